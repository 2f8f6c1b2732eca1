/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of the v1 controllers (Linux admin-guide/cgroup-v1). */
#include <stdio.h>

#include "cgroup/stats_internal.h"

/* USER_HZ of every architecture that Linux runs on today; cpuacct.stat counts in it. */
#define TICK_NS UINT64_C(10000000)

void cg_stats_v1_cpu(struct cg_reader *rd)
{
	struct cg_cpu_stats *s = &rd->s->cpu;
	struct cg_counts c = { 0 };

	if (!cg_read_counts(rd, "cpu.stat", &c))
		return;
	s->has_throttling = cg_counts_get(&c, "nr_periods", &s->periods);
	cg_counts_get(&c, "nr_throttled", &s->throttled_periods);
	cg_counts_get(&c, "throttled_time", &s->throttled_time);
	/* Linux 5.14 */
	s->has_burst = cg_counts_get(&c, "nr_bursts", &s->bursts);
	cg_counts_get(&c, "burst_time", &s->burst_time);
}

/* "cpu user system", then a line of three numbers for each. */
static void read_percpu_modes(struct cg_reader *rd, struct cg_cpu_stats *s)
{
	struct cg_u64s all = { 0 };
	static const char heading[] = "cpu user system\n";
	char *text;

	if (!cg_read_text(rd, "cpuacct.usage_all", &text))
		return;
	if (!str_starts(text, heading)) {
		cg_bad_file(rd, "cpuacct.usage_all", text);
		return;
	}
	if (!cg_parse_numbers(rd, "cpuacct.usage_all", text + strlen(heading), &all))
		return;
	s->percpu_user.v = all.v;
	s->percpu_kernel.v = oci_arena_alloc(rd->a, all.n * sizeof(uint64_t) + 1);
	for (size_t i = 0; s->percpu_kernel.v && i + 2 < all.n; i += 3) {
		uint64_t user = all.v[i + 1], kernel = all.v[i + 2];
		s->percpu_user.v[s->percpu_user.n++] = user;
		s->percpu_kernel.v[s->percpu_kernel.n++] = kernel;
	}
}

void cg_stats_v1_cpuacct(struct cg_reader *rd)
{
	struct cg_cpu_stats *s = &rd->s->cpu;
	struct cg_counts c = { 0 };

	s->has_usage = cg_read_u64(rd, "cpuacct.usage", &s->total) && cg_read_counts(rd, "cpuacct.stat", &c) &&
		       cg_counts_get(&c, "user", &s->user) && cg_counts_get(&c, "system", &s->kernel);
	s->user *= TICK_NS;
	s->kernel *= TICK_NS;
	s->has_percpu = cg_read_numbers(rd, "cpuacct.usage_percpu", &s->percpu);
	read_percpu_modes(rd, s);
}

void cg_stats_v1_cpuset(struct cg_reader *rd)
{
	struct cg_cpuset_stats *s = &rd->s->cpuset;

	s->has = cg_read_list(rd, "cpuset.cpus", &s->cpus);
	cg_read_list(rd, "cpuset.mems", &s->mems);
	const struct {
		const char *file;
		uint64_t *into;
	} flags[] = {
		{ "cpuset.cpu_exclusive", &s->cpu_exclusive },
		{ "cpuset.mem_hardwall", &s->mem_hardwall },
		{ "cpuset.mem_exclusive", &s->mem_exclusive },
		{ "cpuset.memory_migrate", &s->memory_migrate },
		{ "cpuset.memory_spread_page", &s->memory_spread_page },
		{ "cpuset.memory_spread_slab", &s->memory_spread_slab },
		{ "cpuset.memory_pressure", &s->memory_pressure },
		{ "cpuset.sched_load_balance", &s->sched_load_balance },
	};
	s->has_flags = s->has;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		cg_read_u64(rd, flags[i].file, flags[i].into);
	cg_read_i64(rd, "cpuset.sched_relax_domain_level", &s->sched_relax_domain_level);
}

/* memory.usage_in_bytes …, memory.memsw.usage_in_bytes …: `what` is "memory" or "memory.memsw". */
static void read_memory(struct cg_reader *rd, const char *what, struct cg_amount *ret)
{
	char file[64];
	const struct {
		const char *name;
		uint64_t *into;
	} more[] = { { "limit_in_bytes", &ret->limit }, { "max_usage_in_bytes", &ret->max }, { "failcnt", &ret->failcnt } };

	snprintf(file, sizeof(file), "%s.usage_in_bytes", what);
	ret->has = cg_read_u64(rd, file, &ret->usage);
	for (size_t i = 0; ret->has && i < ARRAY_LEN(more); i++) {
		snprintf(file, sizeof(file), "%s.%s", what, more[i].name);
		cg_read_u64(rd, file, more[i].into);
	}
}

/* The one count of memory.oom_control, where this kernel has it (4.13). */
static void read_oom_kills(struct cg_reader *rd, struct cg_counts *ret)
{
	struct cg_counts c = { 0 };

	if (!cg_read_counts(rd, "memory.oom_control", &c))
		return;
	for (size_t i = 0; i < c.n; i++)
		if (streq(c.v[i].key, "oom_kill"))
			*ret = (struct cg_counts){ .has = true, .v = &c.v[i], .n = 1 };
}

void cg_stats_v1_memory(struct cg_reader *rd)
{
	struct cg_memory_stats *s = &rd->s->memory;

	read_memory(rd, "memory", &s->usage);
	read_memory(rd, "memory.memsw", &s->swap);
	read_memory(rd, "memory.kmem", &s->kernel);
	read_memory(rd, "memory.kmem.tcp", &s->kernel_tcp);
	cg_read_counts(rd, "memory.stat", &s->raw);
	read_oom_kills(rd, &s->events);
	s->has_cache = cg_counts_get(&s->raw, "cache", &s->cache);
	s->has = s->usage.has;
}

/* The first of the files that lists a device counts: BFQ's where it is in use, CFQ's before Linux 5.0, the throttling layer's otherwise. */
static const char *const blkio_files[CG_IO_KINDS][3] = {
	[CG_IO_SERVICE_BYTES] = { "blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive" },
	[CG_IO_SERVICED] = { "blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive", "blkio.throttle.io_serviced_recursive" },
	[CG_IO_QUEUED] = { "blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive", NULL },
	[CG_IO_SERVICE_TIME] = { "blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive", NULL },
	[CG_IO_WAIT_TIME] = { "blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive", NULL },
	[CG_IO_MERGED] = { "blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive", NULL },
	[CG_IO_TIME] = { "blkio.bfq.time_recursive", "blkio.time_recursive", NULL },
	[CG_IO_SECTORS] = { "blkio.bfq.sectors_recursive", "blkio.sectors_recursive", NULL },
};

void cg_stats_v1_blkio(struct cg_reader *rd)
{
	struct cg_io_stats *s = &rd->s->io;

	for (size_t kind = 0; kind < CG_IO_KINDS; kind++) {
		for (size_t i = 0; i < ARRAY_LEN(blkio_files[kind]) && blkio_files[kind][i] && s->list[kind].n == 0; i++)
			s->has |= cg_read_blkio(rd, blkio_files[kind][i], &s->list[kind]);
	}
}

static void read_hugetlb(struct cg_reader *rd, const char *size, const char *kind, struct cg_amount *ret)
{
	const struct {
		const char *name;
		uint64_t *into;
	} files[] = { { "usage_in_bytes", &ret->usage }, { "limit_in_bytes", &ret->limit }, { "max_usage_in_bytes", &ret->max }, { "failcnt", &ret->failcnt } };
	char file[96];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(file, sizeof(file), "hugetlb.%.32s.%s%s", size, kind, files[i].name);
		ret->has |= cg_read_u64(rd, file, files[i].into);
	}
}

void cg_stats_v1_hugetlb(struct cg_reader *rd)
{
	struct cg_stats *s = rd->s;

	s->has_hugetlb = cg_read_hugetlb_sizes(rd, ".usage_in_bytes", &s->hugetlb, &s->n_hugetlb);
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		read_hugetlb(rd, s->hugetlb[i].size, "", &s->hugetlb[i].usage);
		/* Linux 5.7 */
		read_hugetlb(rd, s->hugetlb[i].size, "rsvd.", &s->hugetlb[i].rsvd);
	}
}
