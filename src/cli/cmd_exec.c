/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

struct exec_args {
	struct hull_exec_opts o;
	struct opt_list env, caps, gids, cgroups;
};

#define EXEC_STR(m, name, letter, arg, help) O_STR(struct exec_args, o.m, name, letter, arg, help)
#define EXEC_FLAG(m, name, letter, help) O_FLAG(struct exec_args, o.m, name, letter, help)

static const struct opt exec_opts[] = {
	EXEC_STR(process_file, "process", 'p', "FILE", "the process as a JSON document"),
	EXEC_STR(cwd, "cwd", 0, "DIR", "working directory in the container"),
	O_LIST(struct exec_args, env, "env", 'e', "NAME=VALUE", "add to the environment; may be given again"),
	EXEC_FLAG(tty, "tty", 't', "give the process a terminal"),
	EXEC_STR(user, "user", 'u', "UID[:GID]", "numeric user and group"),
	O_CSV(struct exec_args, gids, "additional-gids", 'g', "GID", "add groups; may be given again"),
	EXEC_FLAG(detach, "detach", 'd', "return when the process runs"),
	EXEC_STR(console_socket, "console-socket", 0, "PATH", "UNIX socket that is sent the terminal's master"),
	EXEC_STR(pid_file, "pid-file", 0, "PATH", "file for the pid of the process"),
	EXEC_STR(pidfd_socket, "pidfd-socket", 0, "PATH", "UNIX socket that is sent a pidfd of the process"),
	EXEC_STR(process_label, "process-label", 0, "LABEL", "SELinux label"),
	EXEC_STR(apparmor, "apparmor", 0, "PROFILE", "AppArmor profile"),
	EXEC_FLAG(no_new_privs, "no-new-privs", 0, "set no_new_privs"),
	O_CSV(struct exec_args, caps, "cap", 'c', "CAP", "add a capability; may be given again"),
	O_UINT(struct exec_args, o.preserve_fds, "preserve-fds", 0, "N", "pass N more descriptors, beginning with 3"),
	O_LIST(struct exec_args, cgroups, "cgroup", 0, "[CONTROLLER:]PATH", "cgroup below the container's; on v1 one a controller"),
	EXEC_FLAG(ignore_paused, "ignore-paused", 0, "also in a paused container"),
};

static int run_exec(struct cli *c, struct err *e)
{
	struct exec_args *a = c->opts;
	struct hull_exec_opts *o = &a->o;

	if (o->process_file && c->n_args > 1)
		return err_set(e, ERR_USAGE, 0, "exec: --process and the argument \"%s\" both name a program",
			       c->args[1]);
	if (!o->process_file && c->n_args < 2)
		return err_set(e, ERR_USAGE, 0, "exec: a program or --process is missing; see \"hull exec --help\"");
	o->args = c->args + 1;
	o->n_args = c->n_args - 1;
	o->env = a->env.v;
	o->n_env = a->env.n;
	o->caps = a->caps.v;
	o->n_caps = a->caps.n;
	o->additional_gids = a->gids.v;
	o->n_additional_gids = a->gids.n;
	o->cgroups = a->cgroups.v;
	o->n_cgroups = a->cgroups.n;
	o->preserve_fds += c->listen_fds;
	return hull_exec(&c->hull, c->args[0], o, &c->status, e);
}

/* 255: the caller can tell our failure from the program's own exit status. */
const struct cmd cmd_exec = {
	.name = "exec",
	.synopsis = "[OPTION]... ID [PROGRAM [ARGUMENT]...]",
	.help = "run another program in a container; all that follows the id belongs to it",
	.opts = exec_opts,
	.n_opts = ARRAY_LEN(exec_opts),
	.opts_size = sizeof(struct exec_args),
	.min_args = 1,
	.max_args = CMD_ANY,
	.missing = "the container's id",
	.stops = true,
	.error_status = 255,
	.run = run_exec,
};
