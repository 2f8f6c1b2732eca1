/* SPDX-License-Identifier: Apache-2.0 */
/* Where the process runs and where its memory lies. What is about time (policy, I/O priority) the host sets from outside, see plan.h. */
#include "sys/sched.h"

#include <string.h>

#include "init/init.h"

/* From 6.2 a process keeps the CPUs that somebody once chose for it, also when it enters a cgroup: a pinned caller would pin the container. (sched_setaffinity(2)
 * narrows what it is given to what the cgroup has.) */
static void take_all(void)
{
	uint64_t all[SYS_CPUS_MAX / 64];

	memset(all, 0xff, sizeof(all));
	int r = sys_sched_setaffinity(0, all, ARRAY_LEN(all));
	if (r < 0)
		log_warn("the container keeps its caller's CPU affinity: %s", err_text(-r));
}

int sched_cpus(struct init *in)
{
	struct blist cpus = in->fin->cpus;

	if (cpus.n == 0) {
		if (!(in->fin->flags & FIN_KEEP_CPUS))
			take_all();
		return 0;
	}
	int r = sys_sched_setaffinity(0, blob_list(in->b, cpus), cpus.n);
	if (r == -EINVAL)
		err_set(&in->err, ERR_CONFIG, EINVAL, "none of these CPUs is the container's");
	else if (r < 0)
		err_sys(&in->err, r, "run on these CPUs");
	return r < 0 ? err_at(&in->err, r, "process.execCPUAffinity.final") : 0;
}

int sched_memory(struct init *in)
{
	const struct blob_finale *f = in->fin;
	int r = 0;

	if (f->flags & FIN_MEMORY_POLICY) {
		r = sys_set_mempolicy(f->memory_policy, blob_list(in->b, f->nodes), f->nodes.n);
		if (r < 0)
			return err_at(&in->err, err_sys(&in->err, r, "set the memory policy (mode %#x)", f->memory_policy), "linux.memoryPolicy");
	}
	if (f->flags & FIN_PERSONALITY)
		r = sys_personality(f->personality);
	return r < 0 ? err_at(&in->err, err_sys(&in->err, r, "set the personality %#x", f->personality), "linux.personality") : 0;
}
