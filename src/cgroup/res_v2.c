/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources as files of cgroup v2. Pure. Beside it: Documentation/admin-guide/cgroup-v2.rst and config-linux.md,
 * Control groups. What v2 can't express is an error: the specification asks for one where a value can't be converted. */
#include "cgroup/internal.h"

#define CPU "linux.resources.cpu."
#define MEMORY "linux.resources.memory."
#define BLOCK_IO "linux.resources.blockIO."

/* Of the two in cpu.max, the one that the kernel would refuse: it takes periods of 1 ms to 1 s (max_cfs_quota_period and min_cfs_quota_period in
 * kernel/sched/core.c), and says EINVAL for either. */
static const char *cpu_max_origin(const struct oci_cpu *c)
{
	bool bad_period = c->period.set && c->period.v && (c->period.v < 1000 || c->period.v > 1000000);

	return c->quota.set && !bad_period ? CPU "quota" : CPU "period";
}

/* cpu.max is one line of quota and period. The default period goes with a quota that stands alone, no limit with a
 * period alone. */
static void add_cpu_max(struct cg_out *o, const struct oci_cpu *c)
{
	bool period = c->period.set && c->period.v;
	const char *quota = c->quota.set && c->quota.v > 0 ? cg_printf(o, "%lld", (long long)c->quota.v) : "max";
	const char *value = period ? cg_printf(o, "%s %llu", quota, (unsigned long long)c->period.v) : quota;

	if (c->quota.set || period)
		cg_add(o, cpu_max_origin(c), cg_quota_when(c), "cpu.max", value);
}

/* The weight before idle: an idle group takes no weight. The quota before burst, which must not be more. */
void cg_v2_cpu(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_cpu *c = r->cpu;

	if (c->realtime_runtime.set && c->realtime_runtime.v)
		cg_refuse(o, CPU "realtimeRuntime", "%lld — cgroup v2 has no realtime budget in the controller cpu",
			  (long long)c->realtime_runtime.v);
	if (c->realtime_period.set && c->realtime_period.v)
		cg_refuse(o, CPU "realtimePeriod", "%llu — cgroup v2 has no realtime budget in the controller cpu",
			  (unsigned long long)c->realtime_period.v);
	if (c->shares.set && c->shares.v)
		cg_add_u64(o, CPU "shares", "cpu.weight", cg_shares_to_weight(c->shares.v));
	add_cpu_max(o, c);
	if (c->burst.set)
		cg_add(o, CPU "burst", cg_quota_when(c), "cpu.max.burst",
		       cg_printf(o, "%llu", (unsigned long long)c->burst.v));
	if (c->idle.set)
		cg_add_u64(o, CPU "idle", "cpu.idle", (uint64_t)c->idle.v);
}

void cg_v2_cpuset(struct cg_out *o, const struct oci_resources *r)
{
	if (r->cpu->cpus && r->cpu->cpus[0])
		cg_add(o, CPU "cpus", CG_EARLY, "cpuset.cpus", r->cpu->cpus);
	if (r->cpu->mems && r->cpu->mems[0])
		cg_add(o, CPU "mems", CG_EARLY, "cpuset.mems", r->cpu->mems);
}

/* What memory on v1 could do and v2 can't. Values that ask for nothing more than what v2 does anyway are fine. */
static void refuse_v1_memory(struct cg_out *o, const struct oci_memory *m)
{
	if (m->kernel.set && m->kernel.v >= 0)
		cg_refuse(o, MEMORY "kernel",
			  "%lld — cgroup v2 has no limit of kernel memory alone in the controller memory",
			  (long long)m->kernel.v);
	if (m->kernel_tcp.set && m->kernel_tcp.v >= 0)
		cg_refuse(o, MEMORY "kernelTCP",
			  "%lld — cgroup v2 has no limit of TCP buffers in the controller memory",
			  (long long)m->kernel_tcp.v);
	if (m->swappiness.set)
		cg_refuse(o, MEMORY "swappiness", "%llu — cgroup v2 has no swappiness in the controller memory",
			  (unsigned long long)m->swappiness.v);
	if (m->disable_oom_killer.set && m->disable_oom_killer.v)
		cg_refuse(o, MEMORY "disableOOMKiller",
			  "true — cgroup v2 can't switch the OOM killer off in the controller memory");
	if (m->use_hierarchy.set && !m->use_hierarchy.v)
		cg_refuse(o, MEMORY "useHierarchy", "false — cgroup v2 always counts memory hierarchically");
}

void cg_v2_memory(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_memory *m = r->memory;

	cg_check_swap(o, m);
	refuse_v1_memory(o, m);
	if (m->limit.set)
		cg_add_limit(o, MEMORY "limit", "memory.max", m->limit.v, "max");
	/* The configuration limits the sum of memory and swap, v2 limits swap alone. Without a limit of memory there is
	 * none of the sum. */
	if (m->swap.set)
		cg_add_limit(o, MEMORY "swap", "memory.swap.max", m->swap.v < 0 ? -1 : m->swap.v - m->limit.v, "max");
	else if (m->limit.set && m->limit.v < 0)
		cg_add_limit(o, MEMORY "limit", "memory.swap.max", -1, "max");
	if (m->reservation.set)
		cg_add_limit(o, MEMORY "reservation", "memory.low", m->reservation.v, "max");
}

/* BFQ's weights are v1's (1 … 1000); io.cost, which takes its place where BFQ isn't there, has 1 … 10000. */
static unsigned weight_to_io(unsigned w)
{
	return w <= 10 ? 1 : 1 + (w - 10) * 9999 / 990;
}

static void add_throttle(struct cg_out *o, const char *property, const char *key, const struct oci_throttle_device *v,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* 0 lifts a limit on v1. */
		const char *rate = v[i].rate.v ? cg_printf(o, "%llu", (unsigned long long)v[i].rate.v) : "max";

		cg_add(o, cg_printf(o, BLOCK_IO "%s[%zu]", property, i), CG_EARLY, "io.max",
		       cg_printf(o, "%lld:%lld %s=%s", (long long)v[i].major.v, (long long)v[i].minor.v, key, rate));
	}
}

void cg_v2_io(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_block_io *b = r->block_io;

	if (b->leaf_weight.set)
		cg_refuse(o, BLOCK_IO "leafWeight", "%u — cgroup v2 has no leaf weights in the controller io",
			  b->leaf_weight.v);
	if (b->weight.set)
		cg_add_alt(o, BLOCK_IO "weight", "io.bfq.weight", cg_printf(o, "%u", b->weight.v), "io.weight",
			   cg_printf(o, "%u", weight_to_io(b->weight.v)));
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const struct oci_weight_device *d = &b->weight_device[i];
		const char *origin = cg_printf(o, BLOCK_IO "weightDevice[%zu]", i);
		const char *dev = cg_printf(o, "%lld:%lld", (long long)d->major.v, (long long)d->minor.v);

		if (d->leaf_weight.set)
			cg_refuse(o, cg_printf(o, "%s.leafWeight", origin),
				  "%u — cgroup v2 has no leaf weights in the controller io", d->leaf_weight.v);
		if (d->weight.set)
			cg_add_alt(o, origin, "io.bfq.weight", cg_printf(o, "%s %u", dev, d->weight.v), "io.weight",
				   cg_printf(o, "%s %u", dev, weight_to_io(d->weight.v)));
	}
	add_throttle(o, "throttleReadBpsDevice", "rbps", b->throttle_read_bps, b->n_throttle_read_bps);
	add_throttle(o, "throttleWriteBpsDevice", "wbps", b->throttle_write_bps, b->n_throttle_write_bps);
	add_throttle(o, "throttleReadIOPSDevice", "riops", b->throttle_read_iops, b->n_throttle_read_iops);
	add_throttle(o, "throttleWriteIOPSDevice", "wiops", b->throttle_write_iops, b->n_throttle_write_iops);
}

void cg_v2_hugetlb(struct cg_out *o, const struct oci_resources *r)
{
	cg_res_hugetlb(o, r, "max");
}

/* Files of the core that are no property of a container. */
static const struct {
	const char *key, *why;
} unified_forbidden[] = {
	{ "cgroup.procs", "this file acts on processes; it can't be set by the configuration" },
	{ "cgroup.threads", "this file acts on processes; it can't be set by the configuration" },
	{ "cgroup.kill", "this file acts on processes; it can't be set by the configuration" },
	{ "cgroup.freeze", "this file acts on processes; it can't be set by the configuration" },
	{ "cgroup.subtree_control", "a cgroup that hands controllers to its children can't hold the container's processes" },
	{ "cgroup.type", "a threaded cgroup can't hold the container's processes" },
};

/* Which rule does the key break? NULL for none. On success *ret_ctl is the controller's name, "" for the core's own
 * files. */
static const char *unified_fault(struct cg_out *o, const char *key, const char **ret_ctl)
{
	size_t n = strcspn(key, ".");

	for (const char *p = key; *p; p++)
		if (*p == '/' || (unsigned char)*p <= 0x20 || *p == 0x7f)
			return "must be the name of a file without slashes, spaces and control characters";
	if (n == 0 || !key[n] || !key[n + 1] || strlen(key) > CG_NAME_MAX)
		return "must be the name of a file of the cgroup, like \"memory.high\"";
	for (size_t i = 0; i < ARRAY_LEN(unified_forbidden); i++)
		if (streq(key, unified_forbidden[i].key))
			return unified_forbidden[i].why;
	/* Pressure files of all resources are the core's; irq is the only one that is no controller. */
	bool core = str_starts(key, "cgroup.") || str_starts(key, "irq.");
	*ret_ctl = core ? "" : cg_printf(o, "%.*s", (int)n, key);
	return NULL;
}

/* The kernel takes one line per write of files like io.max. */
static void add_lines(struct cg_out *o, const char *origin, const char *key, const char *value)
{
	do {
		size_t n = strcspn(value, "\n");
		char *line = oci_arena_strndup(o->a, value, n);

		/* Nothing written is no write: an empty value goes as an empty line. */
		cg_add(o, origin, CG_EARLY, key, !line ? "" : *line ? line
								    : "\n");
		value += n + (value[n] != '\0');
	} while (*value);
}

void cg_v2_unified(struct cg_out *o, const struct cg_layout *l, const struct oci_resources *r)
{
	for (size_t i = 0; i < r->unified.n; i++) {
		const char *key = r->unified.v[i].key, *ctl = "";
		const char *origin = cg_printf(o, "linux.resources.unified.%.120s", key);
		const char *fault = unified_fault(o, key, &ctl);

		if (fault)
			cg_refuse(o, origin, "\"%.120s\" — %s", key, fault);
		else if (o->hier < 0)
			cg_refuse(o, origin, "there is no cgroup v2 hierarchy on this host");
		else if (*ctl && cg_layout_find(l, ctl) != o->hier)
			cg_refuse(o, origin, "the cgroup v2 hierarchy has no controller %s%s", ctl,
				  cg_layout_find(l, ctl) >= 0 ? ": it is on cgroup v1" : "");
		else
			add_lines(o, origin, key, r->unified.v[i].value ? r->unified.v[i].value : "");
		if (o->r < 0)
			return;
	}
}
