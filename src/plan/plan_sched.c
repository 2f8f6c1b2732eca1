/* SPDX-License-Identifier: Apache-2.0 */
/* When and where the process runs: scheduling policy, I/O priority, CPUs, memory nodes, execution domain. */
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <sys/personality.h>

#include "base/num.h"
#include "plan/plan.h"
#include "sys/sched.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
/* Newer than the headers of a Debian 12. */
#define MPOL_WEIGHTED_INTERLEAVE_ 6 /* 6.9 */

/* ---- process.scheduler, process.ioPriority: the host sets them, by pid, when the process is finished ---- */

static const uint32_t policies[] = {
	[OCI_SCHED_OTHER] = SCHED_NORMAL, [OCI_SCHED_FIFO] = SCHED_FIFO, [OCI_SCHED_RR] = SCHED_RR,		[OCI_SCHED_BATCH] = SCHED_BATCH,
	[OCI_SCHED_IDLE] = SCHED_IDLE,	  [OCI_SCHED_DEADLINE] = SCHED_DEADLINE,
};

static const uint64_t sched_flags[] = {
	[OCI_SCHEDFLAG_RESET_ON_FORK] = SCHED_FLAG_RESET_ON_FORK,   [OCI_SCHEDFLAG_RECLAIM] = SCHED_FLAG_RECLAIM,
	[OCI_SCHEDFLAG_DL_OVERRUN] = SCHED_FLAG_DL_OVERRUN,	    [OCI_SCHEDFLAG_KEEP_POLICY] = SCHED_FLAG_KEEP_POLICY,
	[OCI_SCHEDFLAG_KEEP_PARAMS] = SCHED_FLAG_KEEP_PARAMS,	    [OCI_SCHEDFLAG_UTIL_CLAMP_MIN] = SCHED_FLAG_UTIL_CLAMP_MIN,
	[OCI_SCHEDFLAG_UTIL_CLAMP_MAX] = SCHED_FLAG_UTIL_CLAMP_MAX,
};

/* The ranges and which member belongs to which policy are libocispec's rules. */
static int add_scheduler(struct plan *p, const struct oci_scheduler *s, const char *where, struct err *e)
{
	if (!s)
		return 0;
	if (s->policy == OCI_SCHED_ISO)
		return err_config(e, plan_text(p, "%s.scheduler.policy", where), "\"SCHED_ISO\" — is reserved in Linux, no kernel has it");
	p->sched = (struct plan_sched){ .set = true, .policy = policies[s->policy], .nice = s->nice.v, .priority = (uint32_t)s->priority.v,
					.runtime = s->runtime.v, .deadline = s->deadline.v, .period = s->period.v };
	for (size_t i = 0; i < s->flags.n; i++)
		p->sched.flags |= sched_flags[s->flags.v[i]];
	p->sched.origin = plan_text(p, "%s.scheduler", where);
	return 0;
}

static void add_io_priority(struct plan *p, const struct oci_io_priority *io, const char *where)
{
	static const int classes[] = { [OCI_IOPRIO_RT] = IOPRIO_CLASS_RT, [OCI_IOPRIO_BE] = IOPRIO_CLASS_BE, [OCI_IOPRIO_IDLE] = IOPRIO_CLASS_IDLE };

	p->io_priority = -1;
	if (!io)
		return;
	/* The macro of linux/ioprio.h is of type unsigned long in some versions. */
	p->io_priority = (int)IOPRIO_PRIO_VALUE(classes[io->io_class], io->priority.v);
	p->io_priority_origin = plan_text(p, "%s.ioPriority", where);
}

/* ---- lists of CPUs and nodes ---- */

struct bits { uint64_t *v; size_t n; };

/* "0-3,7" as bits. `max` is one above the highest number. */
static int parse_list(struct plan *p, const char *text, unsigned max, const char *where, struct bits *ret, struct err *e)
{
	uint64_t first, last;
	const char *s = text;

	*ret = (struct bits){ .v = oci_arena_alloc(p->arena, max / 8) };
	if (!ret->v)
		return err_sys(e, -ENOMEM, "read %s", where);
	do {
		s += strspn(s, " ");
		int r = num_take_range(&s, &first, &last);
		s += strspn(s, " ");
		if (r < 0 || (*s && *s != ','))
			return err_config(e, where, "\"%s\" — must be a list such as 0-3,7", text);
		if (first > last || last >= max)
			return err_config(e, where, "\"%s\" — must be ranges of numbers below %u, the smaller one first", text, max);
		for (uint64_t i = first; i <= last; i++)
			ret->v[i / 64] |= 1ull << (i % 64);
		if (last / 64 + 1 > ret->n)
			ret->n = last / 64 + 1;
	} while (*s++ == ',');
	return 0;
}

int plan_add_exec_cpus(struct plan *p, const struct oci_exec_cpu_affinity *cpus, const char *where, struct err *e)
{
	struct bits bits;
	int r = 0;

	if (!cpus)
		return 0;
	if (cpus->initial && cpus->initial[0]) {
		r = parse_list(p, cpus->initial, SYS_CPUS_MAX, plan_text(p, "%s.execCPUAffinity.initial", where), &bits, e);
		p->first_cpus = bits.v;
		p->n_first_cpus = bits.n;
		/* config.md: without `final` the runtime leaves the affinity to the kernel. */
		p->hdr.fin.flags |= FIN_KEEP_CPUS;
	}
	if (r == 0 && cpus->final && cpus->final[0]) {
		r = parse_list(p, cpus->final, SYS_CPUS_MAX, plan_text(p, "%s.execCPUAffinity.final", where), &bits, e);
		if (r == 0)
			p->hdr.fin.cpus = plan_list(p, bits.v, bits.n, sizeof(*bits.v));
	}
	return r;
}

/* ---- linux.memoryPolicy ---- */

/* set_mempolicy(2): which mode takes nodes. */
static const struct mode { uint32_t mode; bool takes, needs; const char *name; } modes[] = {
	[OCI_MPOL_DEFAULT] = { MPOL_DEFAULT, false, false, "MPOL_DEFAULT" },
	[OCI_MPOL_BIND] = { MPOL_BIND, true, true, "MPOL_BIND" },
	[OCI_MPOL_INTERLEAVE] = { MPOL_INTERLEAVE, true, true, "MPOL_INTERLEAVE" },
	[OCI_MPOL_WEIGHTED_INTERLEAVE] = { MPOL_WEIGHTED_INTERLEAVE_, true, true, "MPOL_WEIGHTED_INTERLEAVE" },
	[OCI_MPOL_PREFERRED] = { MPOL_PREFERRED, true, false, "MPOL_PREFERRED" },
	[OCI_MPOL_PREFERRED_MANY] = { MPOL_PREFERRED_MANY, true, true, "MPOL_PREFERRED_MANY" },
	[OCI_MPOL_LOCAL] = { MPOL_LOCAL, false, false, "MPOL_LOCAL" },
};

static const uint32_t mode_flags[] = {
	[OCI_MPOLFLAG_NUMA_BALANCING] = MPOL_F_NUMA_BALANCING,
	[OCI_MPOLFLAG_RELATIVE_NODES] = MPOL_F_RELATIVE_NODES,
	[OCI_MPOLFLAG_STATIC_NODES] = MPOL_F_STATIC_NODES,
};

static int check_mode(const struct mode *m, uint32_t flags, const char *nodes, struct err *e)
{
	if (m->needs && !nodes[0])
		return err_config(e, "linux.memoryPolicy.nodes", "is needed: %s takes the nodes of a list", m->name);
	if (!m->takes && nodes[0])
		return err_config(e, "linux.memoryPolicy.nodes", "\"%s\" — %s takes no nodes", nodes, m->name);
	if (!nodes[0] && flags)
		return err_config(e, "linux.memoryPolicy.flags", "%s without nodes takes no flags", m->name);
	if ((flags & MPOL_F_STATIC_NODES) && (flags & MPOL_F_RELATIVE_NODES))
		return err_config(e, "linux.memoryPolicy.flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
	return 0;
}

static int add_memory_policy(struct plan *p, struct err *e)
{
	const struct oci_memory_policy *mp = p->cfg->linux_ ? p->cfg->linux_->memory_policy : NULL;
	const struct mode *m = mp ? &modes[mp->mode] : NULL;
	struct blob_finale *f = &p->hdr.fin;
	struct bits bits = { 0 };
	uint32_t flags = 0;

	if (!mp)
		return 0;
	const char *nodes = mp->nodes ? mp->nodes : "";
	for (size_t i = 0; i < mp->flags.n; i++)
		flags |= mode_flags[mp->flags.v[i]];
	int r = check_mode(m, flags, nodes, e);
	if (r == 0 && nodes[0])
		r = parse_list(p, nodes, SYS_NODES_MAX, "linux.memoryPolicy.nodes", &bits, e);
	if (r < 0)
		return r;
	f->flags |= FIN_MEMORY_POLICY;
	f->memory_policy = m->mode | flags;
	f->nodes = plan_list(p, bits.v, bits.n, sizeof(*bits.v));
	p->memory_policy_name = m->name;
	return 0;
}

/* ---- linux.personality ---- */

static int add_personality(struct plan *p, struct err *e)
{
	const struct oci_personality *per = p->cfg->linux_ ? p->cfg->linux_->personality : NULL;

	if (!per)
		return 0;
	if (per->flags.n)
		return err_config(e, "linux.personality.flags[0]", "\"%s\" — the specification has no flags for a personality yet", per->flags.v[0]);
	p->hdr.fin.flags |= FIN_PERSONALITY;
	p->hdr.fin.personality = per->domain == OCI_PER_LINUX32 ? PER_LINUX32 : PER_LINUX;
	return 0;
}

int plan_add_sched(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	int r = add_scheduler(p, proc->scheduler, where, e);

	add_io_priority(p, proc->io_priority, where);
	if (r == 0)
		r = add_memory_policy(p, e);
	return r == 0 ? add_personality(p, e) : r;
}
