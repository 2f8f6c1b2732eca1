/* SPDX-License-Identifier: Apache-2.0 */
/* create, run and explain: the same options, so that what explain prints is what the others do. */
#include "cli/cli.h"

#include <stdlib.h>

#include "cli/out.h"

struct create_args {
	struct hull_create_opts o;
	bool json;
	const char *facts;
};

#define CREATE_STR(m, name, letter, arg, help) O_STR(struct create_args, o.m, name, letter, arg, help)
#define CREATE_UINT(m, name, letter, arg, help) O_UINT(struct create_args, o.m, name, letter, arg, help)
#define CREATE_FLAG(m, name, letter, help) O_FLAG(struct create_args, o.m, name, letter, help)

/* What all three take. */
#define CREATE_ROWS \
	CREATE_STR(bundle, "bundle", 'b', "DIR", "the bundle (default: the current directory)"), \
	CREATE_STR(config, "config", 'f', "FILE", "the configuration's name or path (default config.json)"), \
	CREATE_STR(console_socket, "console-socket", 0, "PATH", "UNIX socket that is sent the terminal's master"), \
	CREATE_STR(pid_file, "pid-file", 0, "PATH", "file for the pid of the container's process"), \
	CREATE_STR(pidfd_socket, "pidfd-socket", 0, "PATH", "UNIX socket that is sent a pidfd of that process"), \
	CREATE_UINT(preserve_fds, "preserve-fds", 0, "N", "pass N more descriptors, beginning with 3"), \
	CREATE_FLAG(no_pivot, "no-pivot", 0, "refused: the root is always changed by pivot_root"), \
	CREATE_FLAG(no_new_keyring, "no-new-keyring", 0, "keep the caller's session keyring"), \
	CREATE_FLAG(no_subreaper, "no-subreaper", 0, "don't become the reaper of orphans (run)")

static const struct opt create_opts[] = { CREATE_ROWS };

static const struct opt run_opts[] = {
	CREATE_ROWS,
	CREATE_FLAG(detach, "detach", 'd', "return when the container runs"),
	CREATE_FLAG(keep, "keep", 0, "don't delete the container when its process has ended"),
};

static const struct opt explain_opts[] = {
	CREATE_ROWS,
	O_FLAG(struct create_args, json, "json", 0, "print JSON"),
	O_STR(struct create_args, facts, "facts", 0, "FILE", "plan for the host described there instead of this one"),
};

static struct create_args *take_args(struct cli *c)
{
	struct create_args *a = c->opts;

	a->o.listen_fds = c->listen_fds;
	a->o.listen_names = c->listen_fds ? getenv("LISTEN_FDNAMES") : NULL;
	a->o.preserve_fds += c->listen_fds;
	return a;
}

static int run_create(struct cli *c, struct err *e)
{
	return hull_create(&c->hull, c->args[0], &take_args(c)->o, e);
}

static int run_run(struct cli *c, struct err *e)
{
	return hull_run(&c->hull, c->args[0], &take_args(c)->o, &c->status, e);
}

static int run_explain(struct cli *c, struct err *e)
{
	struct create_args *a = take_args(c);
	const char *text;

	int r = hull_explain(&c->hull, c->args[0], &a->o, a->json, a->facts, &c->arena, &text, e);
	return r < 0 ? r : out_text(text, e);
}

#define CREATE_CMD(var, word, what, table, f)            \
	const struct cmd var = {                         \
		.name = word,                            \
		.synopsis = "[OPTION]... ID",            \
		.help = what,                            \
		.opts = table,                           \
		.n_opts = ARRAY_LEN(table),              \
		.opts_size = sizeof(struct create_args), \
		.min_args = 1,                           \
		.max_args = 1,                           \
		.missing = "the container's id",         \
		.error_status = 1,                       \
		.run = f,                                \
	}

CREATE_CMD(cmd_create, "create", "make a container; its program waits for start", create_opts, run_create);
CREATE_CMD(cmd_run, "run", "make a container and start it", run_opts, run_run);
CREATE_CMD(cmd_explain, "explain", "print what create would do, without doing it", explain_opts, run_explain);
