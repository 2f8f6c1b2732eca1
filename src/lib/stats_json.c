/* SPDX-License-Identifier: Apache-2.0 */
/* The figures as runc prints them (`runc events`), member by member, for programs that decode them with Go's structures: numbers that Go's
 * omitempty drops are left out when they are 0, parts of missing controllers altogether (Go reads both as 0).
 *
 * Additional members, which such decoders pass over: cpu.burst; memory.swapOnly, event_count_local; pids.peak, events; hugetlb.*.limit, rsvd;
 * blkio.io; rdma; misc. */
#include "lib/hull.h"

#include <yajl/yajl_gen.h>

#include "base/num.h"

struct json {
	yajl_gen g;
	bool failed;
};

static void note(struct json *j, yajl_gen_status s)
{
	j->failed |= s != yajl_gen_status_ok;
}

static void put_text(struct json *j, const char *s)
{
	note(j, yajl_gen_string(j->g, (const unsigned char *)s, strlen(s)));
}

/* A number that is text already. */
static void put_digits(struct json *j, const char *key, const char *digits)
{
	put_text(j, key);
	note(j, yajl_gen_number(j->g, digits, strlen(digits)));
}

static void put_value(struct json *j, uint64_t v)
{
	char text[NUM_U64_MAX_CHARS];

	note(j, yajl_gen_number(j->g, text, num_print_u64(text, v)));
}

static void put_u64(struct json *j, const char *key, uint64_t v)
{
	put_text(j, key);
	put_value(j, v);
}

/* omitempty */
static void put_nonzero(struct json *j, const char *key, uint64_t v)
{
	if (v)
		put_u64(j, key, v);
}

static void open_map(struct json *j, const char *key)
{
	put_text(j, key);
	note(j, yajl_gen_map_open(j->g));
}

static void close_map(struct json *j)
{
	note(j, yajl_gen_map_close(j->g));
}

static void put_numbers(struct json *j, const char *key, const struct cg_u64s *l)
{
	if (!l->n)
		return;
	put_text(j, key);
	note(j, yajl_gen_array_open(j->g));
	for (size_t i = 0; i < l->n; i++)
		put_value(j, l->v[i]);
	note(j, yajl_gen_array_close(j->g));
}

static void put_counts(struct json *j, const char *key, const struct cg_counts *c)
{
	if (!c->has)
		return;
	open_map(j, key);
	for (size_t i = 0; i < c->n; i++)
		put_u64(j, c->v[i].key, c->v[i].v);
	close_map(j);
}

static void put_named(struct json *j, const char *key, const struct cg_named_list *l)
{
	if (!l->has)
		return;
	open_map(j, key);
	for (size_t i = 0; i < l->n; i++)
		put_counts(j, l->v[i].name, &l->v[i].counts);
	close_map(j);
}

static void put_psi_line(struct json *j, const char *key, const struct cg_psi_line *l)
{
	if (!l->has)
		return;
	open_map(j, key);
	put_digits(j, "avg10", l->avg10);
	put_digits(j, "avg60", l->avg60);
	put_digits(j, "avg300", l->avg300);
	put_u64(j, "total", l->total);
	close_map(j);
}

static void put_psi(struct json *j, const struct cg_psi *p)
{
	if (!p->some.has && !p->full.has)
		return;
	open_map(j, "psi");
	put_psi_line(j, "some", &p->some);
	put_psi_line(j, "full", &p->full);
	close_map(j);
}

static bool has_psi(const struct cg_psi *p)
{
	return p->some.has || p->full.has;
}

static void put_cpu(struct json *j, const struct cg_cpu_stats *s)
{
	if (!s->has_usage && !s->has_throttling && !has_psi(&s->psi))
		return;
	open_map(j, "cpu");
	if (s->has_usage) {
		open_map(j, "usage");
		put_nonzero(j, "total", s->total);
		put_numbers(j, "percpu", &s->percpu);
		put_numbers(j, "percpu_kernel", &s->percpu_kernel);
		put_numbers(j, "percpu_user", &s->percpu_user);
		put_u64(j, "kernel", s->kernel);
		put_u64(j, "user", s->user);
		close_map(j);
	}
	if (s->has_throttling) {
		open_map(j, "throttling");
		put_nonzero(j, "periods", s->periods);
		put_nonzero(j, "throttledPeriods", s->throttled_periods);
		put_nonzero(j, "throttledTime", s->throttled_time);
		close_map(j);
	}
	if (s->has_burst) {
		open_map(j, "burst");
		put_u64(j, "periods", s->bursts);
		put_u64(j, "time", s->burst_time);
		close_map(j);
	}
	put_psi(j, &s->psi);
	close_map(j);
}

static void put_cpuset(struct json *j, const struct cg_cpuset_stats *s)
{
	if (!s->has)
		return;
	const struct {
		const char *key;
		uint64_t v;
	} flags[] = {
		{ "mem_hardwall", s->mem_hardwall }, { "mem_exclusive", s->mem_exclusive }, { "memory_migrate", s->memory_migrate },
		{ "memory_spread_page", s->memory_spread_page }, { "memory_spread_slab", s->memory_spread_slab },
		{ "memory_pressure", s->memory_pressure }, { "sched_load_balance", s->sched_load_balance },
	};
	open_map(j, "cpuset");
	put_numbers(j, "cpus", &s->cpus);
	if (s->has_flags)
		put_u64(j, "cpu_exclusive", s->cpu_exclusive);
	put_numbers(j, "mems", &s->mems);
	for (size_t i = 0; s->has_flags && i < ARRAY_LEN(flags); i++)
		put_u64(j, flags[i].key, flags[i].v);
	if (s->has_flags) {
		put_text(j, "sched_relax_domain_level");
		note(j, yajl_gen_integer(j->g, s->sched_relax_domain_level));
	}
	close_map(j);
}

static void put_amount(struct json *j, const char *key, const struct cg_amount *m)
{
	if (!m->has)
		return;
	open_map(j, key);
	put_u64(j, "limit", m->limit);
	put_nonzero(j, "usage", m->usage);
	put_nonzero(j, "max", m->max);
	put_u64(j, "failcnt", m->failcnt);
	close_map(j);
}

static void put_memory(struct json *j, const struct cg_memory_stats *s)
{
	if (!s->has && !has_psi(&s->psi))
		return;
	open_map(j, "memory");
	if (s->has_cache)
		put_nonzero(j, "cache", s->cache);
	put_amount(j, "usage", &s->usage);
	put_amount(j, "swap", &s->swap);
	put_amount(j, "kernel", &s->kernel);
	put_amount(j, "kernelTCP", &s->kernel_tcp);
	put_amount(j, "swapOnly", &s->swap_only);
	put_counts(j, "raw", &s->raw);
	put_psi(j, &s->psi);
	put_counts(j, "event_count", &s->events);
	put_counts(j, "event_count_local", &s->events_local);
	close_map(j);
}

static void put_pids(struct json *j, const struct cg_pids_stats *s)
{
	if (!s->has)
		return;
	open_map(j, "pids");
	put_nonzero(j, "current", s->current);
	/* Here runc says 0 for no limit. */
	put_nonzero(j, "limit", s->limit == CG_UNLIMITED ? 0 : s->limit);
	if (s->has_peak)
		put_u64(j, "peak", s->peak);
	put_counts(j, "events", &s->events);
	close_map(j);
}

static void put_io_list(struct json *j, const char *key, const struct cg_io_list *l)
{
	if (!l->n)
		return;
	put_text(j, key);
	note(j, yajl_gen_array_open(j->g));
	for (size_t i = 0; i < l->n; i++) {
		note(j, yajl_gen_map_open(j->g));
		put_nonzero(j, "major", l->v[i].major);
		put_nonzero(j, "minor", l->v[i].minor);
		if (l->v[i].op[0]) {
			put_text(j, "op");
			put_text(j, l->v[i].op);
		}
		put_nonzero(j, "value", l->v[i].v);
		close_map(j);
	}
	note(j, yajl_gen_array_close(j->g));
}

static void put_io(struct json *j, const struct cg_io_stats *s)
{
	static const char *const keys[CG_IO_KINDS] = {
		[CG_IO_SERVICE_BYTES] = "ioServiceBytesRecursive", [CG_IO_SERVICED] = "ioServicedRecursive",
		[CG_IO_QUEUED] = "ioQueueRecursive",		   [CG_IO_SERVICE_TIME] = "ioServiceTimeRecursive",
		[CG_IO_WAIT_TIME] = "ioWaitTimeRecursive",	   [CG_IO_MERGED] = "ioMergedRecursive",
		[CG_IO_TIME] = "ioTimeRecursive",		   [CG_IO_SECTORS] = "sectorsRecursive",
	};

	if (!s->has && !has_psi(&s->psi))
		return;
	open_map(j, "blkio");
	for (size_t i = 0; i < CG_IO_KINDS; i++)
		put_io_list(j, keys[i], &s->list[i]);
	put_psi(j, &s->psi);
	put_named(j, "io", &s->raw);
	close_map(j);
}

static void put_hugetlb(struct json *j, const struct cg_stats *s)
{
	if (!s->has_hugetlb)
		return;
	open_map(j, "hugetlb");
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		const struct cg_hugetlb_stats *h = &s->hugetlb[i];
		open_map(j, h->size);
		put_nonzero(j, "usage", h->usage.usage);
		put_nonzero(j, "max", h->usage.max);
		put_u64(j, "failcnt", h->usage.failcnt);
		put_u64(j, "limit", h->usage.limit);
		put_amount(j, "rsvd", &h->rsvd);
		close_map(j);
	}
	close_map(j);
}

static void put_rdma_and_misc(struct json *j, const struct cg_stats *s)
{
	if (s->rdma_current.has || s->rdma_max.has) {
		open_map(j, "rdma");
		put_named(j, "current", &s->rdma_current);
		put_named(j, "limit", &s->rdma_max);
		close_map(j);
	}
	if (s->misc_current.has) {
		open_map(j, "misc");
		put_counts(j, "current", &s->misc_current);
		put_counts(j, "limit", &s->misc_max);
		put_counts(j, "events", &s->misc_events);
		close_map(j);
	}
}

static void put_net(struct json *j, const struct hull_stats *s)
{
	put_text(j, "network_interfaces");
	if (!s->has_net) {
		note(j, yajl_gen_null(j->g));
		return;
	}
	note(j, yajl_gen_array_open(j->g));
	for (size_t i = 0; i < s->n_net; i++) {
		const struct hull_net *n = &s->net[i];
		note(j, yajl_gen_map_open(j->g));
		put_text(j, "Name");
		put_text(j, n->name);
		put_u64(j, "RxBytes", n->rx_bytes);
		put_u64(j, "RxPackets", n->rx_packets);
		put_u64(j, "RxErrors", n->rx_errors);
		put_u64(j, "RxDropped", n->rx_dropped);
		put_u64(j, "TxBytes", n->tx_bytes);
		put_u64(j, "TxPackets", n->tx_packets);
		put_u64(j, "TxErrors", n->tx_errors);
		put_u64(j, "TxDropped", n->tx_dropped);
		close_map(j);
	}
	note(j, yajl_gen_array_close(j->g));
}

static void put_data(struct json *j, const struct hull_stats *s)
{
	open_map(j, "data");
	put_cpu(j, &s->cg.cpu);
	put_cpuset(j, &s->cg.cpuset);
	put_memory(j, &s->cg.memory);
	put_pids(j, &s->cg.pids);
	put_io(j, &s->cg.io);
	put_hugetlb(j, &s->cg);
	/* Filled for a container with a resctrl group of its own; there is none without linux.intelRdt, which create refuses. */
	open_map(j, "intel_rdt");
	close_map(j);
	put_net(j, s);
	put_rdma_and_misc(j, &s->cg);
	close_map(j);
}

const char *hull_event_json(const char *type, const char *id, const struct hull_stats *s, struct oci_arena *a)
{
	const unsigned char *text;
	const char *copy = NULL;
	struct json j = { .g = yajl_gen_alloc(NULL) };
	size_t len;

	if (!j.g)
		return NULL;
	note(&j, yajl_gen_map_open(j.g));
	put_text(&j, "type");
	put_text(&j, type);
	put_text(&j, "id");
	put_text(&j, id);
	if (s)
		put_data(&j, s);
	close_map(&j);
	if (!j.failed && yajl_gen_get_buf(j.g, &text, &len) == yajl_gen_status_ok)
		copy = oci_arena_strndup(a, (const char *)text, len);
	yajl_gen_free(j.g);
	return copy;
}
