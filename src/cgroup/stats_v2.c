/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of the v2 controllers, and of those that look the same on v1 (Linux admin-guide/cgroup-v2.rst). Where v1 and v2 count
 * differently the result is what runc prints: swap is memory and swap together, usage of the CPU is in nanoseconds. */
#include <stdio.h>

#include "base/num.h"
#include "cgroup/stats_internal.h"

#define USEC_NS UINT64_C(1000)

static bool get_usec(const struct cg_counts *c, const char *key, uint64_t *ret)
{
	bool has = cg_counts_get(c, key, ret);

	*ret *= USEC_NS;
	return has;
}

void cg_stats_v2_cpu(struct cg_reader *rd)
{
	struct cg_cpu_stats *s = &rd->s->cpu;
	struct cg_counts c = { 0 };

	if (!cg_read_counts(rd, "cpu.stat", &c))
		return;
	s->has_usage = get_usec(&c, "usage_usec", &s->total);
	get_usec(&c, "user_usec", &s->user);
	get_usec(&c, "system_usec", &s->kernel);
	/* Only with the controller enabled. */
	s->has_throttling = cg_counts_get(&c, "nr_periods", &s->periods);
	cg_counts_get(&c, "nr_throttled", &s->throttled_periods);
	get_usec(&c, "throttled_usec", &s->throttled_time);
	s->has_burst = cg_counts_get(&c, "nr_bursts", &s->bursts);
	get_usec(&c, "burst_usec", &s->burst_time);
}

void cg_stats_v2_cpuset(struct cg_reader *rd)
{
	struct cg_cpuset_stats *s = &rd->s->cpuset;

	s->has = cg_read_list(rd, "cpuset.cpus.effective", &s->cpus);
	cg_read_list(rd, "cpuset.mems.effective", &s->mems);
}

/* `what` is "memory" or "memory.swap". The peaks came with Linux 5.19 and 6.5. */
static void read_memory(struct cg_reader *rd, const char *what, struct cg_amount *ret)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.current", what);
	ret->has = cg_read_u64(rd, file, &ret->usage);
	snprintf(file, sizeof(file), "%s.max", what);
	ret->has = ret->has && cg_read_u64(rd, file, &ret->limit);
	snprintf(file, sizeof(file), "%s.peak", what);
	if (ret->has)
		cg_read_u64(rd, file, &ret->max);
}

static uint64_t add_limits(uint64_t a, uint64_t b)
{
	return a == CG_UNLIMITED || b == CG_UNLIMITED || a > CG_UNLIMITED - b ? CG_UNLIMITED : a + b;
}

void cg_stats_v2_memory(struct cg_reader *rd)
{
	struct cg_memory_stats *s = &rd->s->memory;
	struct cg_counts swap_events = { 0 };

	read_memory(rd, "memory", &s->usage);
	read_memory(rd, "memory.swap", &s->swap_only);
	cg_read_counts(rd, "memory.stat", &s->raw);
	cg_read_counts(rd, "memory.events", &s->events);
	/* Linux 5.2 */
	cg_read_counts(rd, "memory.events.local", &s->events_local);
	if (cg_read_counts(rd, "memory.swap.events", &swap_events))
		cg_counts_get(&swap_events, "fail", &s->swap_only.failcnt);
	cg_counts_get(&s->events, "max", &s->usage.failcnt);
	s->has_cache = cg_counts_get(&s->raw, "file", &s->cache);
	s->has = s->usage.has;
	if (s->usage.has && s->swap_only.has)
		s->swap = (struct cg_amount){ .has = true, .usage = s->usage.usage + s->swap_only.usage,
					      .limit = add_limits(s->usage.limit, s->swap_only.limit),
					      .failcnt = s->swap_only.failcnt };
}

static const struct {
	const char *key, *op;
	enum cg_io_kind kind;
} io_keys[] = {
	{ "rbytes", "Read", CG_IO_SERVICE_BYTES }, { "wbytes", "Write", CG_IO_SERVICE_BYTES }, { "dbytes", "Discard", CG_IO_SERVICE_BYTES },
	{ "rios", "Read", CG_IO_SERVICED },        { "wios", "Write", CG_IO_SERVICED },        { "dios", "Discard", CG_IO_SERVICED },
};

static void add_device(struct cg_reader *rd, const struct cg_named_counts *d)
{
	char major[16];
	struct cg_io_entry entry = { 0 };
	size_t n = strcspn(d->name, ":");

	if (n >= sizeof(major) || d->name[n] != ':') {
		cg_bad_file(rd, "io.stat", d->name);
		return;
	}
	memcpy(major, d->name, n);
	major[n] = '\0';
	if (num_parse_u64(major, UINT32_MAX, &entry.major) < 0 || num_parse_u64(d->name + n + 1, UINT32_MAX, &entry.minor) < 0) {
		cg_bad_file(rd, "io.stat", d->name);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(io_keys); i++) {
		struct cg_io_list *l = &rd->s->io.list[io_keys[i].kind];
		entry.op = io_keys[i].op;
		if (cg_counts_get(&d->counts, io_keys[i].key, &entry.v))
			l->v[l->n++] = entry;
	}
}

void cg_stats_v2_io(struct cg_reader *rd)
{
	struct cg_io_stats *s = &rd->s->io;

	s->has = cg_read_named(rd, "io.stat", &s->raw);
	for (size_t kind = 0; s->has && kind < CG_IO_KINDS; kind++) {
		s->list[kind].v = oci_arena_alloc(rd->a, s->raw.n * ARRAY_LEN(io_keys) * sizeof(struct cg_io_entry) + 1);
		s->has = s->list[kind].v;
	}
	for (size_t i = 0; s->has && i < s->raw.n; i++)
		add_device(rd, &s->raw.v[i]);
}

/* `kind` is "" or "rsvd.". */
static void read_hugetlb(struct cg_reader *rd, const char *size, const char *kind, struct cg_amount *ret)
{
	char file[96];

	snprintf(file, sizeof(file), "hugetlb.%.32s.%scurrent", size, kind);
	ret->has = cg_read_u64(rd, file, &ret->usage);
	snprintf(file, sizeof(file), "hugetlb.%.32s.%smax", size, kind);
	if (ret->has)
		cg_read_u64(rd, file, &ret->limit);
}

void cg_stats_v2_hugetlb(struct cg_reader *rd)
{
	struct cg_stats *s = rd->s;
	char file[96];

	s->has_hugetlb = cg_read_hugetlb_sizes(rd, ".current", &s->hugetlb, &s->n_hugetlb);
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		struct cg_hugetlb_stats *h = &s->hugetlb[i];
		struct cg_counts events = { 0 };
		read_hugetlb(rd, h->size, "", &h->usage);
		/* Linux 5.7 */
		read_hugetlb(rd, h->size, "rsvd.", &h->rsvd);
		snprintf(file, sizeof(file), "hugetlb.%.32s.events", h->size);
		if (cg_read_counts(rd, file, &events))
			cg_counts_get(&events, "max", &h->usage.failcnt);
	}
}

void cg_stats_pids(struct cg_reader *rd)
{
	struct cg_pids_stats *s = &rd->s->pids;

	s->has = cg_read_u64(rd, "pids.current", &s->current) && cg_read_u64(rd, "pids.max", &s->limit);
	/* Linux 6.6 */
	s->has_peak = cg_read_u64(rd, "pids.peak", &s->peak);
	cg_read_counts(rd, "pids.events", &s->events);
}

void cg_stats_rdma(struct cg_reader *rd)
{
	cg_read_named(rd, "rdma.current", &rd->s->rdma_current);
	cg_read_named(rd, "rdma.max", &rd->s->rdma_max);
}

void cg_stats_misc(struct cg_reader *rd)
{
	cg_read_counts(rd, "misc.current", &rd->s->misc_current);
	cg_read_counts(rd, "misc.max", &rd->s->misc_max);
	cg_read_counts(rd, "misc.events", &rd->s->misc_events);
}
