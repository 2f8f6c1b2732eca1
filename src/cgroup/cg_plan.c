/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources on this host: each controller's properties go to the hierarchy that has the controller, in the form
 * of its version. */
#include "cgroup/internal.h"

#define RES "linux.resources."

/* The JSON path of the first property that needs the controller, or NULL. Values that ask for nothing need none. */
static const char *needs_cpu(const struct oci_resources *r)
{
	const struct oci_cpu *c = r->cpu;

	if (!c)
		return NULL;
	const struct {
		bool set;
		const char *path;
	} properties[] = {
		{ c->shares.set && c->shares.v, RES "cpu.shares" },
		{ c->quota.set, RES "cpu.quota" },
		{ c->period.set && c->period.v, RES "cpu.period" },
		{ c->burst.set, RES "cpu.burst" },
		{ c->realtime_runtime.set, RES "cpu.realtimeRuntime" },
		{ c->realtime_period.set && c->realtime_period.v, RES "cpu.realtimePeriod" },
		{ c->idle.set, RES "cpu.idle" },
	};
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (properties[i].set)
			return properties[i].path;
	return NULL;
}

static const char *needs_cpuset(const struct oci_resources *r)
{
	if (!r->cpu)
		return NULL;
	if (r->cpu->cpus && r->cpu->cpus[0])
		return RES "cpu.cpus";
	return r->cpu->mems && r->cpu->mems[0] ? RES "cpu.mems" : NULL;
}

static const char *needs_memory(const struct oci_resources *r)
{
	const struct oci_memory *m = r->memory;

	if (!m)
		return NULL;
	const struct {
		bool set;
		const char *path;
	} properties[] = {
		{ m->limit.set, RES "memory.limit" },
		{ m->reservation.set, RES "memory.reservation" },
		{ m->swap.set, RES "memory.swap" },
		{ m->kernel.set, RES "memory.kernel" },
		{ m->kernel_tcp.set, RES "memory.kernelTCP" },
		{ m->swappiness.set, RES "memory.swappiness" },
		{ m->disable_oom_killer.set && m->disable_oom_killer.v, RES "memory.disableOOMKiller" },
		{ m->use_hierarchy.set && !m->use_hierarchy.v, RES "memory.useHierarchy" },
	};
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (properties[i].set)
			return properties[i].path;
	return NULL;
}

static const char *needs_io(const struct oci_resources *r)
{
	const struct oci_block_io *b = r->block_io;

	if (!b)
		return NULL;
	const struct {
		bool set;
		const char *path;
	} properties[] = {
		{ b->weight.set, RES "blockIO.weight" },
		{ b->leaf_weight.set, RES "blockIO.leafWeight" },
		{ b->n_weight_device > 0, RES "blockIO.weightDevice" },
		{ b->n_throttle_read_bps > 0, RES "blockIO.throttleReadBpsDevice" },
		{ b->n_throttle_write_bps > 0, RES "blockIO.throttleWriteBpsDevice" },
		{ b->n_throttle_read_iops > 0, RES "blockIO.throttleReadIOPSDevice" },
		{ b->n_throttle_write_iops > 0, RES "blockIO.throttleWriteIOPSDevice" },
	};
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (properties[i].set)
			return properties[i].path;
	return NULL;
}

static const char *needs_pids(const struct oci_resources *r)
{
	return r->pids && r->pids->limit.set ? RES "pids.limit" : NULL;
}

static const char *needs_hugetlb(const struct oci_resources *r)
{
	return r->n_hugepage_limits ? RES "hugepageLimits[0]" : NULL;
}

static const char *needs_net_cls(const struct oci_resources *r)
{
	return r->network && r->network->class_id.set ? RES "network.classID" : NULL;
}

static const char *needs_net_prio(const struct oci_resources *r)
{
	return r->network && r->network->n_priorities ? RES "network.priorities" : NULL;
}

static const char *needs_rdma(const struct oci_resources *r)
{
	return r->n_rdma ? RES "rdma" : NULL;
}

static const struct controller {
	const char *v1_name, *v2_name; /* NULL: unknown to that version */
	const char *(*needs)(const struct oci_resources *r);
	void (*v1)(struct cg_out *o, const struct oci_resources *r);
	void (*v2)(struct cg_out *o, const struct oci_resources *r);
} controllers[] = {
	{ "cpuset", "cpuset", needs_cpuset, cg_v1_cpuset, cg_v2_cpuset },
	{ "cpu", "cpu", needs_cpu, cg_v1_cpu, cg_v2_cpu },
	{ "memory", "memory", needs_memory, cg_v1_memory, cg_v2_memory },
	{ "pids", "pids", needs_pids, cg_res_pids, cg_res_pids },
	{ "blkio", "io", needs_io, cg_v1_blkio, cg_v2_io },
	{ "hugetlb", "hugetlb", needs_hugetlb, cg_v1_hugetlb, cg_v2_hugetlb },
	{ "rdma", "rdma", needs_rdma, cg_res_rdma, cg_res_rdma },
	{ "net_cls", NULL, needs_net_cls, cg_v1_net_cls, NULL },
	{ "net_prio", NULL, needs_net_prio, cg_v1_net_prio, NULL },
};

static int find_version(const struct cg_layout *l, const char *name, bool v2)
{
	int i = name ? cg_layout_find(l, name) : -1;

	return i >= 0 && l->h[i].v2 == v2 ? i : -1;
}

/* Why nothing can be done with the property at `path`. */
static void refuse_missing(struct cg_out *o, const struct cg_layout *l, const struct controller *c, const char *path)
{
	static const char *const versions[] = {
		[CG_MODE_NONE] = "no cgroup hierarchy is mounted on this host",
		[CG_MODE_V1] = "no mounted cgroup v1 hierarchy has it",
		[CG_MODE_HYBRID] = "no mounted cgroup hierarchy has it, neither v1 nor v2",
		[CG_MODE_V2] = "the cgroup v2 hierarchy doesn't have it",
	};

	if (!c->v2_name && l->mode == CG_MODE_V2)
		cg_refuse(o, path, "needs the controller %s, which cgroup v2 doesn't know", c->v1_name);
	else
		cg_refuse(o, path, "needs the controller %s: %s",
			  l->mode == CG_MODE_V2 && c->v2_name ? c->v2_name : c->v1_name, versions[l->mode]);
}

static void refuse_undelegated(struct cg_out *o, const struct cg_hier *h, const struct cg_write *w)
{
	if (h->v2)
		cg_refuse(o, w->origin, "needs the file %s of cgroup v2, where the caller may make no cgroup: delegate one (systemd: Delegate=yes for the user's unit)", w->file);
	else
		cg_refuse(o, w->origin,
			  "needs the file %s of controller %s, where the caller may make no cgroup: delegate one (chown a directory of " CG_MOUNT
			  "/%s to the user, and name it in linux.cgroupsPath)",
			  w->file, h->dir, h->dir);
}

static void plan_controller(struct cg_out *o, const struct cg_layout *l, const struct controller *c,
			    const struct oci_resources *r)
{
	const char *path = c->needs(r);
	int v1 = find_version(l, c->v1_name, false), v2 = find_version(l, c->v2_name, true);
	size_t before = o->w->n;

	o->hier = v1 >= 0 ? v1 : v2;
	if (v1 >= 0 && (path || (c->v1 == cg_v1_memory && r->memory)))
		c->v1(o, r);
	else if (!path)
		return;
	else if (v2 >= 0)
		c->v2(o, r);
	else
		refuse_missing(o, l, c, path);
	if (o->r == 0 && o->w->n > before && l->h[o->hier].absent)
		refuse_undelegated(o, &l->h[o->hier], &o->w->v[before]);
}

const char *cg_first_limit(const struct oci_resources *r)
{
	const char *path = r && r->unified.n ? RES "unified" : NULL;

	for (size_t i = 0; r && i < ARRAY_LEN(controllers) && !path; i++)
		path = controllers[i].needs(r);
	return path;
}

int cg_plan(const struct cg_layout *l, const struct oci_resources *r, unsigned helpers, struct oci_arena *a,
	    struct cg_writes *ret, struct cg_devices *ret_dev, struct err *e)
{
	static const struct oci_resources nothing;
	struct cg_out o = { .a = a, .w = ret, .helpers = helpers, .e = e };

	if (!r)
		r = &nothing;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_LEN(controllers) && o.r == 0; i++)
		plan_controller(&o, l, &controllers[i], r);
	/* Last: what is said in v2's own words overrides what was converted. */
	o.hier = cg_layout_v2(l);
	if (o.r == 0)
		cg_v2_unified(&o, l, r);
	if (o.r == 0 && r->unified.n && o.hier >= 0 && l->h[o.hier].absent)
		refuse_undelegated(&o, &l->h[o.hier], &ret->v[ret->n - 1]);
	if (o.r < 0)
		return o.r;
	int err = cg_devices_plan(r, a, ret_dev, e);
	if (err < 0)
		return err;
	if (find_version(l, "devices", false) < 0 && cg_layout_v2(l) < 0 && !cg_devices_allow_all(ret_dev))
		return err_config(e, "linux.resources.devices", "no cgroup hierarchy on this host can filter devices%s",
				  l->mode == CG_MODE_V1 ? ": the controller devices isn't mounted"
							: ": none is mounted");
	return 0;
}
