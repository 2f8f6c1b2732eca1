/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

struct delete_args {
	bool force, regex;
};

static const struct opt delete_opts[] = {
	O_FLAG(struct delete_args, force, "force", 'f', "kill it if it lives; an unknown id is no error"),
	O_FLAG(struct delete_args, regex, "regex", 'r', "the id is an extended regular expression"),
};

static int delete_one(struct cli *c, const char *id, struct err *e)
{
	const struct delete_args *a = c->opts;

	return hull_delete(&c->hull, id, a->force, e);
}

static int run_delete(struct cli *c, struct err *e)
{
	const struct delete_args *a = c->opts;

	return a->regex ? cli_each_match(c, c->args[0], delete_one, e) : delete_one(c, c->args[0], e);
}

const struct cmd cmd_delete = {
	.name = "delete",
	.synopsis = "[OPTION]... ID",
	.help = "remove a stopped container and all that belongs to it",
	.opts = delete_opts,
	.n_opts = ARRAY_LEN(delete_opts),
	.opts_size = sizeof(struct delete_args),
	.min_args = 1,
	.max_args = 1,
	.missing = "the container's id",
	.error_status = 1,
	.run = run_delete,
};
