/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

struct wait_args {
	struct opt_u32 timeout;
};

static const struct opt wait_opts[] = {
	O_DURATION(struct wait_args, timeout, "timeout", 't', "TIME", "give up after so long (default: never)"),
};

static int run_wait(struct cli *c, struct err *e)
{
	const struct wait_args *a = c->opts;

	return hull_wait(&c->hull, c->args[0], a->timeout.set ? (int64_t)a->timeout.v : -1, &c->status, e);
}

const struct cmd cmd_wait = {
	.name = "wait",
	.synopsis = "[OPTION]... ID",
	.help = "wait until a container has ended and leave with its exit status (128 + signal; 255: not known)",
	.opts = wait_opts,
	.n_opts = ARRAY_LEN(wait_opts),
	.opts_size = sizeof(struct wait_args),
	.min_args = 1,
	.max_args = 1,
	.missing = "the container's id",
	.error_status = 255,
	.run = run_wait,
};
