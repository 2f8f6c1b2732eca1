/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a container: their pids, or the lines that the host's ps(1) has for them. */
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/psfilter.h"

#include <stdlib.h>

#include "base/num.h"

struct ps_args {
	const char *format;
};

static const struct opt ps_opts[] = {
	O_STR(struct ps_args, format, "format", 'f', "FORMAT", "table or json (default table)"),
};

static int compare_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* The pids, each behind `sep` but the first, between `open` and `close`. */
static const char *pid_text(const pid_t *pids, size_t n, const char *open, const char *sep, const char *close,
			    struct oci_arena *a)
{
	size_t size = strlen(open) + strlen(close) + n * (12 + strlen(sep)) + 1;
	char *text = oci_arena_alloc(a, size), *p = text;

	if (!text)
		return NULL;
	p = stpcpy(p, open);
	for (size_t i = 0; i < n; i++) {
		p = stpcpy(p, i ? sep : "");
		p += num_print_u64(p, (uint64_t)pids[i]);
	}
	stpcpy(p, close);
	return text;
}

static int run_ps(struct cli *c, struct err *e)
{
	const struct ps_args *a = c->opts;
	const char *text = NULL;
	pid_t *pids = NULL;
	size_t n = 0;
	bool json;

	int r = out_format(a->format, &json, e);
	if (r < 0)
		return r;
	r = hull_ps(&c->hull, c->args[0], &c->arena, &pids, &n, e);
	if (r < 0)
		return r;
	if (n)
		qsort(pids, n, sizeof(*pids), compare_pid);
	if (json)
		return out_text(pid_text(pids, n, "[", ",", "]\n", &c->arena), e);
	if (c->n_args == 1)
		return out_text(pid_text(pids, n, "PID\n", "\n", n ? "\n" : "", &c->arena), e);
	r = ps_run(c->args + 1, pids, n, &c->arena, &text, e);
	return r < 0 ? r : out_text(text, e);
}

const struct cmd cmd_ps = {
	.name = "ps",
	.synopsis = "[OPTION]... ID [PS-OPTION]...",
	.help = "print the processes of a container; with options for ps(1), its lines for them",
	.opts = ps_opts,
	.n_opts = ARRAY_LEN(ps_opts),
	.opts_size = sizeof(struct ps_args),
	.min_args = 1,
	.max_args = CMD_ANY,
	.missing = "the container's id",
	.stops = true,
	.error_status = 1,
	.run = run_ps,
};
