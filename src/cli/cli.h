/* SPDX-License-Identifier: Apache-2.0 */
/* One command line: what main.c gives to the command that it found. */
#ifndef HULL_CLI_CLI_H
#define HULL_CLI_CLI_H

#include "cli/opts.h"
#include "lib/hull.h"

struct globals {
	unsigned timeout;
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless, *criu;
	struct opt_list allow_annotations;
	bool debug, systemd_cgroup, version, help;
};

struct cli {
	struct hull hull;
	struct globals globals;
	struct oci_arena arena;
	void *opts; /* the command's own struct, filled by its table */
	const char **args; /* NULL-terminated */
	size_t n_args;
	unsigned listen_fds; /* sockets passed by LISTEN_FDS, when they are meant for us */
	int status; /* exit status of a foreground process */
};

#define CMD_ANY SIZE_MAX

struct cmd {
	const char *name;
	const char *synopsis; /* behind the name */
	const char *help; /* one line */
	const struct opt *opts;
	size_t n_opts;
	size_t opts_size; /* of the struct that the rows fill */
	size_t min_args, max_args;
	const char *missing; /* what the error calls a missing argument */
	bool stops; /* options end at the first argument */
	int error_status; /* exit status when `run` fails */
	int (*run)(struct cli *c, struct err *e);
};

extern const struct cmd cmd_check, cmd_create, cmd_delete, cmd_events, cmd_exec, cmd_explain, cmd_features,
	cmd_kill, cmd_list, cmd_pause, cmd_ps, cmd_resume, cmd_run, cmd_spec, cmd_start, cmd_state, cmd_stats,
	cmd_update, cmd_wait;

/* All commands, sorted; *ret_n of them. */
const struct cmd *const *cli_commands(size_t *ret_n);
/* The table of global options. */
const struct opt *cli_global_opts(size_t *ret_n);
/* Parse and run `argv` (without the program's name). Errors are reported; returns the exit status. */
int cli_main(struct cli *c, char *const *argv);

/* Call `f` for each container whose id matches the extended regular expression `re`; goes on after a failure and
 * returns the first one.
 * No match is success. */
int cli_each_match(struct cli *c, const char *re, int (*f)(struct cli *c, const char *id, struct err *e),
		   struct err *e);

/* ---- world.c: what the caller's process looks like, put in order before anything else ---- */

/* Refuse a set-user-ID start, open closed standard descriptors, note the inherited ones, become non-dumpable, ignore
 * SIGPIPE.
 * Returns 0 or -errno. */
int world_enter(struct cli *c, struct err *e);
/* The number in LISTEN_FDS when LISTEN_PID is our pid, else 0 (sd_listen_fds(3)). -EINVAL with *e when it isn't a
 * number. */
int world_listen_fds(unsigned *ret, struct err *e);

/* ---- version.c ---- */
int version_print(struct cli *c, struct err *e);
/* What is said of this program beside the specification's own words: annotations of the features document, in the arena. */
struct oci_map version_annotations(struct oci_arena *a);

#endif
