/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of `events` as a table for people: refreshed on a terminal, once elsewhere. */
#include "cli/cli.h"
#include "cli/out.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 1000
/* Cursor to the top left corner, then erase all below (ECMA-48). */
#define CLEAR "\033[H\033[J"

struct stats_args {
	const char *format;
	struct opt_u32 interval;
	bool no_stream;
};

static const struct opt stats_opts[] = {
	O_STR(struct stats_args, format, "format", 'f', "FORMAT", "table, or json: the lines of `events --stats` (default table)"),
	O_DURATION(struct stats_args, interval, "interval", 0, "TIME", "time between two looks, over which CPU % is measured (default 1s)"),
	O_FLAG(struct stats_args, no_stream, "no-stream", 0, "print once on a terminal too"),
};

enum { COL_ID,
       COL_CPU,
       COL_MEMORY,
       COL_PEAK,
       COL_SWAP,
       COL_PIDS,
       COL_IO,
       COL_NET,
       COL_PRESSURE,
       COL_OOM,
       N_COLS };

static const char *const headings[N_COLS] = {
	"ID", "CPU %", "MEMORY / LIMIT", "PEAK", "SWAP", "PIDS", "IO READ / WRITE", "NET IN / OUT", "PRESSURE CPU/MEM/IO", "OOM KILLS",
};

/* What all containers said at one time. */
struct look {
	struct oci_arena arena;
	struct hull_stats *v;
	size_t n;
};

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

/* "1.5MiB". NULL without memory. */
static const char *bytes(uint64_t v, struct oci_arena *a)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;
	uint64_t rest = 0;

	for (; v >= 1024; unit++) {
		rest = v % 1024;
		v /= 1024;
	}
	if (unit == 0)
		return oci_arena_printf(a, "%lluB", (unsigned long long)v);
	return oci_arena_printf(a, "%llu.%llu%s", (unsigned long long)v, (unsigned long long)(rest * 10 / 1024), units[unit]);
}

/* More than any machine has is no limit: "max", or v1's largest number. */
static const char *limit(uint64_t v, struct oci_arena *a)
{
	return v >= INT64_MAX / 2 ? "-" : bytes(v, a);
}

/* Of one processor, since the look before; NULL when there was none. */
static const char *cpu_percent(const struct hull_stats *s, const struct look *before, struct oci_arena *a)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct hull_stats *b = &before->v[i];
		if (!streq(b->id, s->id) || b->pid != s->pid || s->time_ns <= b->time_ns || s->cg.cpu.total < b->cg.cpu.total)
			continue;
		uint64_t hundredths = (s->cg.cpu.total - b->cg.cpu.total) * 10000 / (uint64_t)(s->time_ns - b->time_ns);
		return oci_arena_printf(a, "%llu.%02llu%%", (unsigned long long)(hundredths / 100), (unsigned long long)(hundredths % 100));
	}
	return NULL;
}

static uint64_t sum_io(const struct cg_io_list *l, const char *op)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < l->n; i++)
		sum += streq(l->v[i].op, op) ? l->v[i].v : 0;
	return sum;
}

/* What leaves the container: not its own loopback. */
static const char *net_cell(const struct hull_stats *s, struct oci_arena *a)
{
	uint64_t in = 0, out = 0;

	for (size_t i = 0; i < s->n_net; i++) {
		bool lo = streq(s->net[i].name, "lo");
		in += lo ? 0 : s->net[i].rx_bytes;
		out += lo ? 0 : s->net[i].tx_bytes;
	}
	return s->has_net ? oci_arena_printf(a, "%s / %s", or_dash(bytes(in, a)), or_dash(bytes(out, a))) : "-";
}

static const char *io_cell(const struct cg_io_stats *s, struct oci_arena *a)
{
	const struct cg_io_list *l = &s->list[CG_IO_SERVICE_BYTES];

	return s->has ? oci_arena_printf(a, "%s / %s", or_dash(bytes(sum_io(l, "Read"), a)), or_dash(bytes(sum_io(l, "Write"), a))) : "-";
}

/* Per cent of the last ten seconds in which something waited. */
static const char *pressure_cell(const struct cg_stats *s, struct oci_arena *a)
{
	return oci_arena_printf(a, "%s/%s/%s", or_dash(s->cpu.psi.some.avg10), or_dash(s->memory.psi.some.avg10), or_dash(s->io.psi.some.avg10));
}

static const char *oom_cell(const struct cg_memory_stats *s, struct oci_arena *a)
{
	for (size_t i = 0; i < s->events.n; i++)
		if (streq(s->events.v[i].key, "oom_kill"))
			return oci_arena_printf(a, "%llu", (unsigned long long)s->events.v[i].v);
	return "-";
}

static const char *pids_cell(const struct cg_pids_stats *s, struct oci_arena *a)
{
	if (!s->has)
		return "-";
	if (s->limit == CG_UNLIMITED)
		return oci_arena_printf(a, "%llu", (unsigned long long)s->current);
	return oci_arena_printf(a, "%llu / %llu", (unsigned long long)s->current, (unsigned long long)s->limit);
}

/* v1 counts swap together with memory. */
static const char *swap_cell(const struct cg_memory_stats *s, struct oci_arena *a)
{
	if (s->swap_only.has)
		return bytes(s->swap_only.usage, a);
	return s->swap.has ? bytes(s->swap.usage > s->usage.usage ? s->swap.usage - s->usage.usage : 0, a) : "-";
}

static int fill_row(const struct hull_stats *s, const struct look *before, const char **row, struct oci_arena *a)
{
	const struct cg_memory_stats *m = &s->cg.memory;

	row[COL_ID] = s->id;
	row[COL_CPU] = s->cg.cpu.has_usage ? or_dash(cpu_percent(s, before, a)) : "-";
	row[COL_MEMORY] = m->usage.has ? oci_arena_printf(a, "%s / %s", or_dash(bytes(m->usage.usage, a)), or_dash(limit(m->usage.limit, a))) : "-";
	row[COL_PEAK] = m->usage.max ? bytes(m->usage.max, a) : "-";
	row[COL_SWAP] = swap_cell(m, a);
	row[COL_PIDS] = pids_cell(&s->cg.pids, a);
	row[COL_IO] = io_cell(&s->cg.io, a);
	row[COL_NET] = net_cell(s, a);
	row[COL_PRESSURE] = pressure_cell(&s->cg, a);
	row[COL_OOM] = oom_cell(m, a);
	for (size_t i = 0; i < N_COLS; i++)
		if (!row[i])
			return -ENOMEM;
	return 0;
}

static int print_table(struct look *l, const struct look *before, bool clear, struct err *e)
{
	const char **cells = oci_arena_alloc(&l->arena, (l->n + 1) * N_COLS * sizeof(*cells));

	if (!cells)
		return out_text(NULL, e);
	memcpy(cells, headings, sizeof(headings));
	for (size_t i = 0; i < l->n; i++)
		if (fill_row(&l->v[i], before, cells + (i + 1) * N_COLS, &l->arena) < 0)
			return out_text(NULL, e);
	const char *text = out_table(cells, l->n + 1, N_COLS, &l->arena);
	return out_text(text ? oci_arena_printf(&l->arena, "%s%s", clear ? CLEAR : "", text) : NULL, e);
}

static int print_json(struct look *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		const char *line = hull_event_json("stats", l->v[i].id, &l->v[i], &l->arena);
		r = out_text(line ? oci_arena_printf(&l->arena, "%s\n", line) : NULL, e);
	}
	return r;
}

/* One container into the look. One that has ended is passed over unless `must`. */
static int add(struct cli *c, struct look *l, const char *id, bool must, struct err *e)
{
	int r = hull_stats(&c->hull, id, &l->arena, &l->v[l->n], e);

	if (r < 0)
		return must || e->kind != ERR_STATE ? r : 0;
	l->n++;
	return 0;
}

/* All that run, or those that were named. */
static int look_at(struct cli *c, bool first, struct look *ret, struct err *e)
{
	struct hull_list list = { 0 };
	size_t n = c->n_args;
	int r = n ? 0 : hull_list(&c->hull, &ret->arena, &list, e);

	n = n ? n : list.n;
	ret->n = 0;
	ret->v = oci_arena_alloc(&ret->arena, (n + 1) * sizeof(*ret->v));
	if (!ret->v)
		return out_text(NULL, e);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = add(c, ret, c->n_args ? c->args[i] : list.v[i]->id, first && c->n_args, e);
	return r;
}

static void sleep_ms(uint32_t ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static void forget(struct look *l)
{
	oci_arena_release(&l->arena);
	*l = (struct look){ 0 };
}

/* Until the named ones have ended, or for ever. A terminal gets its first table at once, without CPU %. */
static int stream(struct cli *c, bool json, uint32_t interval, struct err *e)
{
	struct look looks[2] = { 0 };
	int r = 0;

	for (unsigned i = 0; r >= 0; i++) {
		struct look *now = &looks[i % 2];
		forget(now);
		r = look_at(c, i == 0, now, e);
		if (r >= 0 && (json || now->n || !c->n_args))
			r = json ? print_json(now, e) : print_table(now, &looks[(i + 1) % 2], true, e);
		if (r >= 0 && c->n_args && now->n == 0)
			break;
		if (r >= 0)
			sleep_ms(interval);
	}
	forget(&looks[0]);
	forget(&looks[1]);
	return r;
}

static int once(struct cli *c, bool json, uint32_t interval, struct err *e)
{
	struct look before = { 0 }, now = { 0 };
	int r = json ? 0 : look_at(c, true, &before, e);

	if (r >= 0 && !json)
		sleep_ms(interval);
	if (r >= 0)
		r = look_at(c, json, &now, e);
	if (r >= 0)
		r = json ? print_json(&now, e) : print_table(&now, &before, false, e);
	forget(&before);
	forget(&now);
	return r;
}

static int run_stats(struct cli *c, struct err *e)
{
	const struct stats_args *a = c->opts;
	uint32_t interval = a->interval.set ? a->interval.v : INTERVAL_MS;
	bool json;

	int r = out_format(a->format, &json, e);
	if (r < 0)
		return r;
	if (interval == 0)
		return err_set(e, ERR_USAGE, 0, "--interval: must be more than 0");
	return isatty(STDOUT_FILENO) && !a->no_stream ? stream(c, json, interval, e) : once(c, json, interval, e);
}

const struct cmd cmd_stats = {
	.name = "stats",
	.synopsis = "[OPTION]... [ID]...",
	.help = "print the figures of containers as a table, again and again on a terminal",
	.opts = stats_opts,
	.n_opts = ARRAY_LEN(stats_opts),
	.opts_size = sizeof(struct stats_args),
	.min_args = 0,
	.max_args = CMD_ANY,
	.missing = "nothing",
	.error_status = 1,
	.run = run_stats,
};
