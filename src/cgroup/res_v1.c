/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources as files of cgroup v1. Pure. Beside it: Documentation/admin-guide/cgroup-v1 and config-linux.md,
 * Control groups. */
#include "cgroup/internal.h"

#define CPU "linux.resources.cpu."
#define MEMORY "linux.resources.memory."
#define BLOCK_IO "linux.resources.blockIO."

/* The order matters: shares before idle (an idle group takes no shares), period before quota (the parent's ratio is
 * checked at each write), quota before burst (which must not be more). */
void cg_v1_cpu(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_cpu *c = r->cpu;
	enum cg_when when = cg_quota_when(c);

	if (c->shares.set && c->shares.v)
		cg_add_u64(o, CPU "shares", "cpu.shares", c->shares.v);
	if (c->period.set && c->period.v)
		cg_add_u64(o, CPU "period", "cpu.cfs_period_us", c->period.v);
	if (c->quota.set)
		cg_add(o, CPU "quota", when, "cpu.cfs_quota_us",
		       c->quota.v > 0 ? cg_printf(o, "%lld", (long long)c->quota.v) : "-1");
	if (c->burst.set)
		cg_add(o, CPU "burst", when, "cpu.cfs_burst_us", cg_printf(o, "%llu", (unsigned long long)c->burst.v));
	if (c->realtime_period.set && c->realtime_period.v)
		cg_add_u64(o, CPU "realtimePeriod", "cpu.rt_period_us", c->realtime_period.v);
	if (c->realtime_runtime.set)
		cg_add_limit(o, CPU "realtimeRuntime", "cpu.rt_runtime_us", c->realtime_runtime.v, "-1");
	if (c->idle.set)
		cg_add_u64(o, CPU "idle", "cpu.idle", (uint64_t)c->idle.v);
}

void cg_v1_cpuset(struct cg_out *o, const struct oci_resources *r)
{
	if (r->cpu->cpus && r->cpu->cpus[0])
		cg_add(o, CPU "cpus", CG_EARLY, "cpuset.cpus", r->cpu->cpus);
	if (r->cpu->mems && r->cpu->mems[0])
		cg_add(o, CPU "mems", CG_EARLY, "cpuset.mems", r->cpu->mems);
}

/* The limit of memory before that of memory+swap: a new group has no limit of the sum, and the kernel wants memory <=
 * memory+swap. */
void cg_v1_memory(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_memory *m = r->memory;

	cg_check_swap(o, m);
	if (m->use_hierarchy.set && !m->use_hierarchy.v)
		cg_refuse(o, MEMORY "useHierarchy",
			  "false — memory has always been counted hierarchically since Linux 5.11");
	if (m->limit.set)
		cg_add_limit(o, MEMORY "limit", "memory.limit_in_bytes", m->limit.v, "-1");
	if (m->swap.set)
		cg_add_limit(o, MEMORY "swap", "memory.memsw.limit_in_bytes", m->swap.v, "-1");
	if (m->reservation.set)
		cg_add_limit(o, MEMORY "reservation", "memory.soft_limit_in_bytes", m->reservation.v, "-1");
	/* Kernels since 5.16 don't enforce it, and some of them take the value all the same: seen when it is read back. */
	if (m->kernel.set)
		cg_add_limit(o, MEMORY "kernel", "memory.kmem.limit_in_bytes", m->kernel.v, "-1");
	if (m->kernel_tcp.set)
		cg_add_limit(o, MEMORY "kernelTCP", "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp.v, "-1");
	if (m->swappiness.set)
		cg_add_u64(o, MEMORY "swappiness", "memory.swappiness", m->swappiness.v);
	if (m->disable_oom_killer.set)
		cg_add(o, MEMORY "disableOOMKiller", CG_EARLY, "memory.oom_control",
		       m->disable_oom_killer.v ? "1" : "0");
}

/* `max` is what the kernel has room for: it keeps operations in 32 bits, and cuts what is more (4294967296 would become 0, no limit). The largest number is
 * no limit. */
static void add_throttle(struct cg_out *o, const char *property, const char *file, const struct oci_throttle_device *v,
			 size_t n, uint64_t max)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t rate = v[i].rate.v < max ? v[i].rate.v : max;

		cg_add(o, cg_printf(o, BLOCK_IO "%s[%zu]", property, i), CG_EARLY, file,
		       cg_printf(o, "%lld:%lld %llu", (long long)v[i].major.v, (long long)v[i].minor.v, (unsigned long long)rate));
	}
}

/* Weights belong to BFQ since 5.0, when CFQ left the kernel and leaf weights with it. */
void cg_v1_blkio(struct cg_out *o, const struct oci_resources *r)
{
	const struct oci_block_io *b = r->block_io;

	if (b->leaf_weight.set)
		cg_refuse(o, BLOCK_IO "leafWeight", "%u — Linux has no leaf weights since 5.0", b->leaf_weight.v);
	if (b->weight.set)
		cg_add_u64(o, BLOCK_IO "weight", "blkio.bfq.weight", b->weight.v);
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const struct oci_weight_device *d = &b->weight_device[i];
		const char *origin = cg_printf(o, BLOCK_IO "weightDevice[%zu]", i);

		if (d->leaf_weight.set)
			cg_refuse(o, cg_printf(o, "%s.leafWeight", origin), "%u — Linux has no leaf weights since 5.0",
				  d->leaf_weight.v);
		if (d->weight.set)
			cg_add(o, origin, CG_EARLY, "blkio.bfq.weight_device",
			       cg_printf(o, "%lld:%lld %u", (long long)d->major.v, (long long)d->minor.v, d->weight.v));
	}
	add_throttle(o, "throttleReadBpsDevice", "blkio.throttle.read_bps_device", b->throttle_read_bps,
		     b->n_throttle_read_bps, UINT64_MAX);
	add_throttle(o, "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", b->throttle_write_bps,
		     b->n_throttle_write_bps, UINT64_MAX);
	add_throttle(o, "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", b->throttle_read_iops,
		     b->n_throttle_read_iops, UINT32_MAX);
	add_throttle(o, "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", b->throttle_write_iops,
		     b->n_throttle_write_iops, UINT32_MAX);
}

void cg_v1_hugetlb(struct cg_out *o, const struct oci_resources *r)
{
	cg_res_hugetlb(o, r, "limit_in_bytes");
}

void cg_v1_net_cls(struct cg_out *o, const struct oci_resources *r)
{
	cg_add_u64(o, "linux.resources.network.classID", "net_cls.classid", r->network->class_id.v);
}

void cg_v1_net_prio(struct cg_out *o, const struct oci_resources *r)
{
	for (size_t i = 0; i < r->network->n_priorities; i++) {
		const struct oci_interface_priority *p = &r->network->priorities[i];
		const char *origin = cg_printf(o, "linux.resources.network.priorities[%zu]", i);

		if (cg_check_word(o, p->name, 15, origin))
			cg_add(o, origin, CG_EARLY, "net_prio.ifpriomap",
			       cg_printf(o, "%s %u", p->name, p->priority.v));
	}
}
