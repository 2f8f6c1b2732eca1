/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a container, one JSON object a line, as runc prints it. */
#include "cli/cli.h"
#include "cli/out.h"

#define INTERVAL_MS 5000

struct events_args {
	struct opt_u32 interval;
	bool stats;
};

static const struct opt events_opts[] = {
	O_DURATION(struct events_args, interval, "interval", 0, "TIME", "time between two lines of figures (default 5s)"),
	O_FLAG(struct events_args, stats, "stats", 0, "print the figures once and leave"),
};

static int print_line(void *arg UNUSED, const char *line, struct err *e)
{
	struct oci_arena a = { 0 };
	int r = out_text(oci_arena_printf(&a, "%s\n", line), e);

	oci_arena_release(&a);
	return r;
}

static int print_once(struct cli *c, struct err *e)
{
	struct hull_stats stats;

	int r = hull_stats(&c->hull, c->args[0], &c->arena, &stats, e);
	if (r < 0)
		return r;
	const char *line = hull_event_json("stats", stats.id, &stats, &c->arena);
	return line ? print_line(NULL, line, e) : out_text(NULL, e);
}

static int run_events(struct cli *c, struct err *e)
{
	const struct events_args *a = c->opts;
	const struct hull_events_opts o = { .interval_ms = a->interval.set ? a->interval.v : INTERVAL_MS, .emit = print_line };

	if (o.interval_ms == 0)
		return err_set(e, ERR_USAGE, 0, "--interval: must be more than 0");
	return a->stats ? print_once(c, e) : hull_events(&c->hull, c->args[0], &o, e);
}

const struct cmd cmd_events = {
	.name = "events",
	.synopsis = "[OPTION]... ID",
	.help = "print a container's figures and OOM kills as JSON until it stops",
	.opts = events_opts,
	.n_opts = ARRAY_LEN(events_opts),
	.opts_size = sizeof(struct events_args),
	.min_args = 1,
	.max_args = 1,
	.missing = "the container's id",
	.error_status = 1,
	.run = run_events,
};
