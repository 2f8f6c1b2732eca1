/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <signal.h>

#include "cli/signals.h"

struct kill_args {
	bool all, regex;
};

static const struct opt kill_opts[] = {
	O_FLAG(struct kill_args, all, "all", 'a', "to every process of the container"),
	O_FLAG(struct kill_args, regex, "regex", 'r', "the id is an extended regular expression"),
};

static int kill_one(struct cli *c, const char *id, struct err *e)
{
	const struct kill_args *a = c->opts;
	int sig = SIGTERM;
	int r = c->n_args > 1 ? signal_parse(c->args[1], &sig, e) : 0;

	return r < 0 ? r : hull_kill(&c->hull, id, sig, a->all, e);
}

static int run_kill(struct cli *c, struct err *e)
{
	const struct kill_args *a = c->opts;
	int sig;
	int r = c->n_args > 1 ? signal_parse(c->args[1], &sig, e) : 0;

	if (r < 0)
		return r;
	return a->regex ? cli_each_match(c, c->args[0], kill_one, e) : kill_one(c, c->args[0], e);
}

const struct cmd cmd_kill = {
	.name = "kill",
	.synopsis = "[OPTION]... ID [SIGNAL]",
	.help = "send a signal, by name or number (default TERM)",
	.opts = kill_opts,
	.n_opts = ARRAY_LEN(kill_opts),
	.opts_size = sizeof(struct kill_args),
	.min_args = 1,
	.max_args = 2,
	.missing = "the container's id",
	.error_status = 1,
	.run = run_kill,
};
