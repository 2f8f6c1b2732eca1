/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to a command: global options, the table of commands, help. */
#include "cli/cli.h"

#include <errno.h>
#include <regex.h>

#include "cli/logout.h"
#include "cli/out.h"

static const struct opt global_opts[] = {
	O_STR(struct globals, root, "root", 0, "DIR", "directory of the containers' state (default /run/hull)"),
	O_STR(struct globals, log, "log", 0, "DEST", "PATH, file:PATH, journald:ID or syslog:ID (default standard error)"),
	O_STR(struct globals, log_format, "log-format", 0, "FORMAT", "text or json (default text)"),
	O_STR(struct globals, log_level, "log-level", 0, "LEVEL", "error, warning, info or debug (default error)"),
	O_FLAG(struct globals, debug, "debug", 0, "the same as --log-level debug"),
	O_FLAG(struct globals, systemd_cgroup, "systemd-cgroup", 0, "the same as --cgroup-manager systemd"),
	O_STR(struct globals, cgroup_manager, "cgroup-manager", 0, "NAME",
			"cgroupfs, systemd, or disabled: no cgroup is made (default cgroupfs)"),
	O_UINT(struct globals, timeout, "timeout", 0, "SECONDS", "for the set-up and for each conversation with systemd (default 60)"),
	O_STR(struct globals, rootless, "rootless", 0, "WORD", "auto, true or false: accepted for old callers, without effect"),
	O_LIST(struct globals, allow_annotations, "allow-annotation", 0, "NAME",
			"honour this annotation, which reaches beyond the container; NAME may end in *; may be given again"),
	O_STR(struct globals, criu, "criu", 0, "PATH", "accepted for old callers, without effect"),
	O_FLAG(struct globals, version, "version", 'v', "print the version and leave"),
	O_FLAG(struct globals, version, "version", 'V', NULL),
};

struct help {
	bool help;
};

static const struct opt help_opts[] = {
	O_FLAG(struct help, help, "help", 'h', "print this help and leave"),
	O_FLAG(struct help, help, "usage", '?', NULL),
};

static const struct cmd *const commands[] = {
	&cmd_check,
	&cmd_create,
	&cmd_delete,
	&cmd_events,
	&cmd_exec,
	&cmd_explain,
	&cmd_features,
	&cmd_kill,
	&cmd_list,
	&cmd_pause,
	&cmd_ps,
	&cmd_resume,
	&cmd_run,
	&cmd_spec,
	&cmd_start,
	&cmd_state,
	&cmd_stats,
	&cmd_update,
	&cmd_wait,
};

/* Commands that other runtimes have. `checkpoint --help` must fail: engines take its success for support. */
static const char *const refused_commands[] = {
	"checkpoint",
	"mounts",
	"restore",
};

const struct cmd *const *cli_commands(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(commands);
	return commands;
}

const struct opt *cli_global_opts(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(global_opts);
	return global_opts;
}

static int find_command(const char *name, const struct cmd **ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (streq(commands[i]->name, name)) {
			*ret = commands[i];
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(refused_commands); i++) {
		if (streq(refused_commands[i], name))
			return err_set(e, ERR_UNSUPPORTED, 0, "the command \"%s\" is not supported", name);
	}
	return err_set(e, ERR_USAGE, 0, "unknown command \"%s\"; see \"hull --help\"", name);
}

static int print_main_help(struct cli *c, struct err *e)
{
	const struct opt_set globals = { .v = global_opts, .n = ARRAY_LEN(global_opts) };
	const struct opt_set help = { .v = help_opts, .n = ARRAY_LEN(help_opts) };
	const char *list = "";

	for (size_t i = 0; i < ARRAY_LEN(commands) && list; i++)
		list = oci_arena_printf(&c->arena, "%s  %-10s %s\n", list, commands[i]->name, commands[i]->help);
	const char *g = opts_help(&globals, &c->arena), *h = opts_help(&help, &c->arena);
	if (!list || !g || !h)
		return out_text(NULL, e);
	return out_text(oci_arena_printf(&c->arena,
					 "usage: hull [OPTION]... COMMAND [ARGUMENT]...\n\nCommands:\n%s\nOptions:\n%s%s\n"
					 "\"hull COMMAND --help\" says more about one.\n",
					 list, g, h),
			e);
}

static int print_help(struct cli *c, const struct cmd *cmd, struct err *e)
{
	const struct opt_set own = { .v = cmd->opts, .n = cmd->n_opts };
	const struct opt_set help = { .v = help_opts, .n = ARRAY_LEN(help_opts) };
	const char *o = opts_help(&own, &c->arena), *h = opts_help(&help, &c->arena);

	if (!o || !h)
		return out_text(NULL, e);
	return out_text(oci_arena_printf(&c->arena, "usage: hull [OPTION]... %s %s\n\n%s\n\nOptions:\n%s%s",
					 cmd->name, cmd->synopsis,
					 cmd->help, o, h),
			e);
}

/* `help [COMMAND]` */
static int run_help(struct cli *c, const char **args, size_t n_args, struct err *e)
{
	const struct cmd *cmd;

	if (n_args == 0)
		return print_main_help(c, e);
	int r = find_command(args[0], &cmd, e);
	return r < 0 ? r : print_help(c, cmd, e);
}

static int parse_globals(struct cli *c, char *const *argv, struct help *help, const char ***ret_args, size_t *ret_n,
			 struct err *e)
{
	const struct opt_set sets[] = {
		{ .v = global_opts, .n = ARRAY_LEN(global_opts), .into = &c->globals },
		{ .v = help_opts, .n = ARRAY_LEN(help_opts), .into = help },
	};
	const struct opts o = { .sets = sets, .n_sets = ARRAY_LEN(sets), .stops = true, .arena = &c->arena };

	return opts_parse(&o, argv, ret_args, ret_n, e);
}

static int parse_command(struct cli *c, const struct cmd *cmd, const char **words, struct help *help, struct err *e)
{
	c->opts = oci_arena_alloc(&c->arena, cmd->opts_size ? cmd->opts_size : 1);
	if (!c->opts)
		return err_sys(e, -ENOMEM, "read the command line");
	const struct opt_set sets[] = {
		{ .v = cmd->opts, .n = cmd->n_opts, .into = c->opts },
		{ .v = help_opts, .n = ARRAY_LEN(help_opts), .into = help },
		{ .v = global_opts, .n = ARRAY_LEN(global_opts), .into = &c->globals, .long_only = true },
	};
	const struct opts o = { .sets = sets, .n_sets = ARRAY_LEN(sets), .stops = cmd->stops, .arena = &c->arena };

	return opts_parse(&o, (char *const *)(uintptr_t)words, &c->args, &c->n_args, e);
}

static int check_arguments(const struct cli *c, const struct cmd *cmd, struct err *e)
{
	if (c->n_args < cmd->min_args)
		return err_set(e, ERR_USAGE, 0, "%s: %s is missing; see \"hull %s --help\"", cmd->name, cmd->missing,
			       cmd->name);
	if (c->n_args > cmd->max_args)
		return err_set(e, ERR_USAGE, 0, "%s: unexpected argument \"%s\"; see \"hull %s --help\"", cmd->name,
			       c->args[cmd->max_args], cmd->name);
	return 0;
}

static int check_rootless(const char *word, struct err *e)
{
	bool on = false;

	if (!word || streq(word, "auto"))
		return 0;
	if (opts_parse_bool(word, &on) < 0)
		return err_set(e, ERR_USAGE, 0, "--rootless: \"%s\" is not one of auto, true, false", word);
	/* What the caller may do is asked of the kernel. */
	return 0;
}

static int take_annotations(struct cli *c, struct err *e)
{
	const struct opt_list *l = &c->globals.allow_annotations;
	const char **v = oci_arena_alloc(&c->arena, (l->n + 1) * sizeof(*v));

	if (!v)
		return err_sys(e, -ENOMEM, "read the command line");
	for (size_t i = 0; i < l->n; i++)
		v[i] = l->v[i];
	c->hull.allow_annotations = v;
	return 0;
}

/* The global options that ask for what doesn't exist. */
static int check_globals(struct cli *c, struct err *e)
{
	const char *manager = c->globals.cgroup_manager;

	c->hull.no_cgroup = manager && streq(manager, "disabled");
	if (manager && !c->hull.no_cgroup && !streq(manager, "cgroupfs") && !streq(manager, "systemd"))
		return err_set(e, ERR_USAGE, 0, "--cgroup-manager: \"%s\" is not one of cgroupfs, systemd, disabled",
			       manager);
	int r = check_rootless(c->globals.rootless, e);
	if (r < 0)
		return r;
	r = world_listen_fds(&c->listen_fds, e);
	if (r < 0)
		return r;
	c->hull.root = c->globals.root;
	c->hull.systemd_cgroup = !c->hull.no_cgroup && (c->globals.systemd_cgroup || (manager && streq(manager, "systemd")));
	c->hull.timeout_ms = c->globals.timeout * 1000;
	return take_annotations(c, e);
}

/* What was asked for, as far as the command line could be read. `words` NULL: it is done. */
struct request {
	const struct cmd *cmd;
	struct help help;
	const char **words;
	size_t n_words;
};

static int parse_line(struct cli *c, char *const *argv, struct request *q, struct err *e)
{
	int r = parse_globals(c, argv, &q->help, &q->words, &q->n_words, e);

	if (r < 0 || q->help.help || c->globals.version || q->n_words == 0)
		return r;
	if (streq(q->words[0], "help") || streq(q->words[0], "h"))
		return 0;
	r = find_command(q->words[0], &q->cmd, e);
	if (r < 0)
		return r;
	r = parse_command(c, q->cmd, q->words + 1, &q->help, e);
	if (r < 0 || q->help.help || c->globals.version)
		return r;
	return check_arguments(c, q->cmd, e);
}

static int perform(struct cli *c, const struct request *q, struct err *e)
{
	if (c->globals.version)
		return version_print(c, e);
	if (!q->cmd)
		return run_help(c, q->n_words ? q->words + 1 : NULL, q->n_words && !q->help.help ? q->n_words - 1 : 0, e);
	if (q->help.help)
		return print_help(c, q->cmd, e);
	return q->cmd->run(c, e);
}

int cli_main(struct cli *c, char *const *argv)
{
	struct request q = { 0 };
	struct err e = { 0 };
	const struct globals *g = &c->globals;
	int status = 1;

	/* The log is opened even for a command line that is wrong: who reads the log wants to know. */
	int r = parse_line(c, argv, &q, &e);
	struct err log_error = { 0 };
	if (logout_open(g->log, g->log_format, g->log_level, g->debug, &log_error) < 0) {
		logout_error(r < 0 ? &e : &log_error);
		return 1;
	}
	if (r >= 0 && q.cmd && !q.help.help && !g->version)
		r = check_globals(c, &e);
	if (r >= 0) {
		status = q.cmd ? q.cmd->error_status : 1;
		r = perform(c, &q, &e);
	}
	if (r >= 0)
		return c->status;
	logout_error(&e);
	return status;
}

int cli_each_match(struct cli *c, const char *re, int (*f)(struct cli *c, const char *id, struct err *e), struct err *e)
{
	struct hull_list list = { 0 };
	regex_t compiled;
	int first = 0;

	int bad = regcomp(&compiled, re, REG_EXTENDED | REG_NOSUB);
	if (bad) {
		char why[128];
		regerror(bad, &compiled, why, sizeof(why));
		return err_set(e, ERR_USAGE, 0, "--regex: \"%s\": %s", re, why);
	}
	int r = hull_list(&c->hull, &c->arena, &list, e);
	for (size_t i = 0; r >= 0 && i < list.n; i++) {
		struct err one = { 0 };
		if (regexec(&compiled, list.v[i]->id, 0, NULL, 0) != 0)
			continue;
		int k = f(c, list.v[i]->id, &one);
		if (k < 0 && first == 0) {
			first = k;
			*e = one;
		}
	}
	regfree(&compiled);
	return r < 0 ? r : first;
}
