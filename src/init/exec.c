/* SPDX-License-Identifier: Apache-2.0 */
/* The last act: the birth of I in a joined pid namespace, the filter, execve. */
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "init/init.h"

int exec_load_filter(struct init *in)
{
	struct sock_fprog prog = { .len = (unsigned short)in->fin->filter.n,
				   .filter = (struct sock_filter *)(uintptr_t)blob_list(in->b, in->fin->filter) };
	int r = 0;

	if (in->fin->flags & FIN_LISTENER)
		return listener_load(in, &prog);
	if (in->fin->filter.n)
		r = sys_seccomp(SECCOMP_SET_MODE_FILTER, in->fin->filter_flags, &prog);

	return r < 0 ? err_at(&in->err, err_sys(&in->err, r, "load the seccomp filter"), "linux.seccomp") : 0;
}

/* I, just born: a session of its own, and no longer than its creator lives. */
static int start_life(struct init *in, int sync_fd)
{
	char go;

	/* S tells the host first who we are. */
	if (read(sync_fd, &go, 1) != 1)
		init_gone(1);
	close(sync_fd);
	in->ctl.last = CTL_BORN;
	if (setsid() != getpid())
		return err_set(&in->err, ERR_SYS, EPERM, "start a session");
	int r = creds_guard();
	return r < 0 ? err_sys(&in->err, r, "guard the container's process") : 0;
}

static NORETURN void end_of_s(struct init *in, pid_t pid, int pidfd, int sync_fd)
{
	int r = ctl_send(&in->ctl, CTL_BORN, (uint32_t)pid, NULL, 0, pidfd);

	if (r == 0 && write(sync_fd, "", 1) == 1)
		init_gone(0);
	err_sys(&in->err, r < 0 ? r : -EPIPE, "report the container's process");
	init_fail(in, 1);
}

static int filter_in_s(struct init *in)
{
	int r;

	if (!(in->fin->flags & FIN_FILTER_IN_S))
		return 0;
	r = finale_limits(in);
	if (r == 0)
		r = exec_load_filter(in);
	if (r == 0)
		r = creds_drop_admin(in);
	/* Under a filter an answer may be a lie; what it claims to have filled in is looked at. */
	return r == 0 ? creds_check(in, false) : r;
}

int exec_birth(struct init *in)
{
	int sync[2], pidfd = -1, r;

	if (pipe2(sync, O_CLOEXEC) < 0)
		return err_sys(&in->err, -errno, "prepare the container's process");
	r = filter_in_s(in);
	if (r < 0)
		return r;
	/* CLONE_PARENT: hull is the parent and waits for it. The kernel gives it S's exit signal. */
	pid_t pid = sys_fork(CLONE_PARENT | CLONE_PIDFD, &pidfd);
	if (pid < 0)
		return err_sys(&in->err, pid, "start the container's process in the joined pid namespace");
	if (pid > 0) {
		close(sync[0]);
		end_of_s(in, pid, pidfd, sync[1]);
	}
	close(sync[1]);
	return start_life(in, sync[0]);
}

/* Only 0-2, the preserved fds, the socket for the last word and the hooks' document stay, and the last two not
 * over execve. */
static int close_last(struct init *in, int document)
{
	const int32_t *preserved = blob_list(in->b, in->b->preserved);
	const int keep[] = { in->ctl.fd, document };
	int r = init_close_but(in, keep, ARRAY_LEN(keep));

	if (r == 0)
		r = fd_set_cloexec(in->ctl.fd, 1);
	for (uint32_t i = 0; i < in->b->preserved.n && r == 0; i++)
		r = fd_set_cloexec(preserved[i], 0);
	return r < 0 ? err_sys(&in->err, r, "close what the program must not have") : 0;
}

static int prepare(struct init *in, int *ret_document)
{
	int r = in->fin->flags & FIN_FILTER_IN_S ? 0 : finale_limits(in);

	if (r == 0 && in->fin->start_container.n)
		r = *ret_document = hook_document(in);
	return r < 0 ? r : 0;
}

void exec_program(struct init *in)
{
	int document = -1, r;

	char **argv = init_vector(in, in->fin->args, NULL), **envp = init_vector(in, in->fin->env, in->home[0] ? in->home : NULL);
	r = argv && envp ? prepare(in, &document) : err_sys(&in->err, -ENOMEM, "prepare exec");
	if (r == 0)
		r = ctl_send(&in->ctl, CTL_EXECING, listener_follows(in), NULL, 0, -1);
	/* Whoever started us may be gone: the container runs all the same. */
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0;
	if (r == 0)
		r = close_last(in, document);
	if (r == 0 && !(in->fin->flags & FIN_FILTER_IN_S))
		r = exec_load_filter(in);
	if (r == 0 && document >= 0)
		r = hook_run(in, in->fin->start_container, document);
	fd_close(&document);
	if (r < 0)
		init_fail(in, 126);
	execve(in->program, argv, envp);
	r = -errno;
	err_sys(&in->err, r, "exec %s", init_list_str(in, in->fin->args, 0));
	err_at(&in->err, r, init_str(in, in->fin->args_origin));
	init_fail(in, r == -ENOENT ? 127 : 126);
}
