/* SPDX-License-Identifier: Apache-2.0 */
/* All figures of a cgroup: each controller where it is. */
#include "cgroup/stats.h"

#include "cgroup/stats_internal.h"

/* Which functions read a controller, by the version of its hierarchy. */
static const struct {
	const char *name;
	void (*v1)(struct cg_reader *rd);
	void (*v2)(struct cg_reader *rd);
} controllers[] = {
	{ "cpu", cg_stats_v1_cpu, NULL /* below */ },
	{ "cpuacct", cg_stats_v1_cpuacct, NULL },
	{ "cpuset", cg_stats_v1_cpuset, cg_stats_v2_cpuset },
	{ "memory", cg_stats_v1_memory, cg_stats_v2_memory },
	{ "pids", cg_stats_pids, cg_stats_pids },
	{ "blkio", cg_stats_v1_blkio, NULL },
	{ "io", NULL, cg_stats_v2_io },
	{ "hugetlb", cg_stats_v1_hugetlb, cg_stats_v2_hugetlb },
	{ "rdma", cg_stats_rdma, cg_stats_rdma },
	{ "misc", cg_stats_misc, cg_stats_misc },
};

/* What v2 tells of every cgroup, with or without controllers: pressure, and the use of the CPU unless a v1 controller counts it. */
static void read_v2_core(struct cg_reader *rd)
{
	struct cg_stats *s = rd->s;

	cg_read_psi(rd, "cpu.pressure", &s->cpu.psi);
	cg_read_psi(rd, "memory.pressure", &s->memory.psi);
	cg_read_psi(rd, "io.pressure", &s->io.psi);
	if (!s->cpu.has_usage && !s->cpu.has_throttling)
		cg_stats_v2_cpu(rd);
}

int cg_stats_read(const struct cgroup *cg, struct oci_arena *a, struct cg_stats *ret, struct err *e)
{
	struct cg_reader rd = { .a = a, .s = ret, .e = e };
	int v2 = cg_layout_v2(cg->lay);

	*ret = (struct cg_stats){ 0 };
	for (size_t k = 0; k < ARRAY_LEN(controllers) && rd.r == 0; k++) {
		int i = cg_layout_find(cg->lay, controllers[k].name);
		if (i < 0 || cg->dfd[i] < 0)
			continue;
		void (*read)(struct cg_reader *) = cg->lay->h[i].v2 ? controllers[k].v2 : controllers[k].v1;
		rd.dfd = cg->dfd[i];
		if (read)
			read(&rd);
	}
	if (rd.r == 0 && v2 >= 0 && cg->dfd[v2] >= 0) {
		rd.dfd = cg->dfd[v2];
		read_v2_core(&rd);
	}
	return rd.r;
}
