/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduling of a finished process, and the CPUs on which exec begins. (sched_setattr(2), ioprio_set(2), config.md) */
#include "sys/sched.h"

#include "run/run.h"

#define UTIL_MAX 1024u

static int set_scheduler(const struct plan_sched *s, pid_t pid, struct err *e)
{
	/* The specification has flags for the clamps of the utilisation, but no values: those that clamp nothing. */
	struct sys_sched_attr attr = { .size = sizeof(attr), .policy = s->policy, .flags = s->flags, .nice = s->nice, .priority = s->priority,
				       .runtime = s->runtime, .deadline = s->deadline, .period = s->period, .util_max = UTIL_MAX };
	int r = sys_sched_setattr(pid, &attr);

	if (r == 0)
		return 0;
	err_sys(e, r, "set the scheduling policy%s", r == -EPERM && s->priority ? " (on cgroup v1 it needs a cpu.realtimeRuntime)" : "");
	return err_at(e, r, s->origin);
}

int sched_apply(const struct plan *p, pid_t pid, struct err *e)
{
	int r = p->sched.set ? set_scheduler(&p->sched, pid, e) : 0;

	if (r < 0 || p->io_priority < 0)
		return r;
	r = sys_ioprio_set(pid, p->io_priority);
	return r < 0 ? err_at(e, err_sys(e, r, "set the I/O priority"), p->io_priority_origin) : 0;
}

int sched_pin(const struct plan *p, uint64_t old[CPUS_WORDS], struct err *e)
{
	int r = 0;

	_Static_assert(CPUS_WORDS * 64 == SYS_CPUS_MAX, "room for every CPU");
	if (p->n_first_cpus == 0)
		return 0;
	for (unsigned i = 0; i < CPUS_WORDS; i++)
		old[i] = 0;
	r = sys_sched_getaffinity(0, old, CPUS_WORDS);
	if (r >= 0)
		r = sys_sched_setaffinity(0, p->first_cpus, p->n_first_cpus);
	return r < 0 ? err_at(e, err_sys(e, r, "run on these CPUs"), "process.execCPUAffinity.initial") : 0;
}

void sched_free(const struct plan *p, const uint64_t old[CPUS_WORDS])
{
	if (p->n_first_cpus)
		(void)sys_sched_setaffinity(0, old, CPUS_WORDS);
}
