/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks that run in the container's namespaces: createContainer (a program of the host, before the root is
 * changed) and startContainer (a program of the image, under the filter). (config.md, POSIX-platform Hooks) */
#include <errno.h>
#include <linux/memfd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "init/init.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* 6.3; vm.memfd_noexec = 2 refuses a memfd without it */
#endif
#define HOOK_STDERR_MAX 400

/* One hook that runs. */
struct run {
	pid_t pid;
	int pidfd;
	int out_fd, err_fd; /* its stdout (read and dropped) and stderr */
	char text[HOOK_STDERR_MAX]; /* the end of its stderr */
	size_t len;
	bool timed_out;
};

int hook_document(struct init *in)
{
	const char *a = init_str(in, in->fin->state_head), *z = init_str(in, in->fin->state_tail);
	char pid[NUM_U64_MAX_CHARS];
	scoped_fd int fd = memfd_create("hull-state", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("hull-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(&in->err, -errno, "make the state document for hooks");
	unsigned n = num_print_u64(pid, (uint64_t)getpid());
	r = io_write_all(fd, a, strlen(a));
	if (r == 0)
		r = io_write_all(fd, pid, n);
	if (r == 0)
		r = io_write_all(fd, z, strlen(z));
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	return r < 0 ? err_sys(&in->err, r, "write the state document for hooks") : take_fd(&fd);
}

/* In the child: only fds 0-2, a process group of its own (so that a timeout ends its children too), the
 * configured environment and nothing else. */
static NORETURN void child(struct init *in, const struct blob_hook *h, int document, int out, int err)
{
	const char *path = init_str(in, h->path), *text;

	setpgid(0, 0);
	sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (dup2(document, 0) < 0 || dup2(in->hook_out_fd >= 0 ? in->hook_out_fd : out, 1) < 0 ||
	    dup2(in->hook_err_fd >= 0 ? in->hook_err_fd : err, 2) < 0 || lseek(0, 0, SEEK_SET) < 0)
		_exit(126);
	/* `err` stays until execve: what goes wrong there is for our own error, wherever the hook writes to. */
	if (sys_close_range(3, ~0u, SYS_CLOSE_RANGE_CLOEXEC) < 0 || chdir("/") < 0)
		_exit(126);
	char **argv = init_vector(in, h->args, NULL), **envp = init_vector(in, h->env, NULL);
	if (!argv || !envp)
		_exit(126);
	umask(in->caller_umask);
	execve(path, argv, envp);
	text = err_text(errno);
	if (io_write_all(err, "exec: ", 6) == 0)
		io_write_all(err, text, strlen(text));
	_exit(127);
}

static int spawn(struct init *in, const struct blob_hook *h, int document, struct run *ret)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) < 0) {
		int r = -errno;
		close(out[0]);
		close(out[1]);
		return r;
	}
	int pidfd = -1;
	pid_t pid = sys_fork(SIGCHLD | CLONE_PIDFD, &pidfd);
	if (pid == 0)
		child(in, h, document, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	*ret = (struct run){ .pid = pid, .pidfd = pidfd, .out_fd = out[0], .err_fd = err[0] };
	if (pid < 0) {
		close(out[0]);
		close(err[0]);
	}
	return pid < 0 ? pid : 0;
}

/* Read what there is; keep the last HOOK_STDERR_MAX - 1 bytes of stderr. False at its end. */
static bool drain(int fd, struct run *r, bool keep)
{
	char buf[HOOK_STDERR_MAX - 1];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		return false;
	if (!keep)
		return true;
	size_t add = (size_t)n, room = sizeof(buf) - add, stay = r->len < room ? r->len : room;
	memmove(r->text, r->text + (r->len - stay), stay);
	memcpy(r->text + stay, buf, add);
	r->len = stay + add;
	r->text[r->len] = '\0';
	return true;
}

/* What poll waits for: for ever without a deadline, not at all once the hook has ended. */
static int poll_time(bool ended, int64_t deadline)
{
	if (ended)
		return 0;
	if (deadline < 0)
		return -1;
	int64_t left = deadline - clock_now_ms();
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Until the hook has ended or its time is up. A child that it left behind may hold the pipes for ever: what is in
 * them at the hook's end is read, no more. */
static void watch(struct run *r, uint32_t timeout_s)
{
	int64_t deadline = timeout_s ? clock_now_ms() + (int64_t)timeout_s * 1000 : -1;
	struct pollfd p[3] = { { r->out_fd, POLLIN, 0 }, { r->err_fd, POLLIN, 0 }, { r->pidfd, POLLIN, 0 } };
	bool ended = false;

	for (;;) {
		int n = poll(p, 3, poll_time(ended, deadline));

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && p[0].revents && !drain(r->out_fd, r, false))
			p[0].fd = -1;
		if (n > 0 && p[1].revents && !drain(r->err_fd, r, true))
			p[1].fd = -1;
		if (ended && (n <= 0 || (p[0].fd < 0 && p[1].fd < 0)))
			return;
		if (n > 0 && p[2].revents) {
			ended = true;
			p[2].fd = -1;
		}
		if (ended || deadline < 0 || clock_now_ms() < deadline)
			continue;
		r->timed_out = true;
		deadline = -1;
		kill(-r->pid, SIGKILL);
		kill(r->pid, SIGKILL);
	}
}

/* The last line of what the hook wrote to stderr. */
static const char *last_line(struct run *r)
{
	while (r->len && (r->text[r->len - 1] == '\n' || r->text[r->len - 1] == ' '))
		r->text[--r->len] = '\0';
	char *nl = strrchr(r->text, '\n');
	return nl ? nl + 1 : r->text;
}

static int judge(struct init *in, const struct blob_hook *h, struct run *r, int status)
{
	const char *path = init_str(in, h->path), *said = last_line(r);

	if (!said[0] && in->hook_err_fd >= 0)
		said = "its standard error is in the file of annotation run.oci.hooks.stderr";
	const char *sep = said[0] ? ": " : "";

	if (r->timed_out)
		err_set(&in->err, ERR_SYS, 0, "hook %s was killed after its timeout of %u s%s%s", path, h->timeout,
			sep, said);
	else if (WIFSIGNALED(status))
		err_set(&in->err, ERR_SYS, 0, "hook %s was killed by signal %d%s%s", path, WTERMSIG(status), sep, said);
	else if (WEXITSTATUS(status) != 0)
		err_set(&in->err, ERR_SYS, 0, "hook %s: exit status %d%s%s", path, WEXITSTATUS(status), sep, said);
	else
		return 0;
	return err_at(&in->err, -EINVAL, init_str(in, h->origin));
}

static int run_one(struct init *in, const struct blob_hook *h, int document)
{
	struct run run;
	int status = 0, r = spawn(in, h, document, &run);
	pid_t pid;

	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "start hook %s", init_str(in, h->path)),
			      init_str(in, h->origin));
	watch(&run, h->timeout);
	do
		pid = waitpid(run.pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	r = pid < 0 ? err_sys(&in->err, -errno, "wait for hook %s", init_str(in, h->path)) : judge(in, h, &run, status);
	close(run.out_fd);
	close(run.err_fd);
	close(run.pidfd);
	/* As pid 1 we inherit what the hook left behind. */
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
	return r;
}

int hook_run(struct init *in, struct blist hooks, int document_fd)
{
	const struct blob_hook *h = blob_list(in->b, hooks);

	for (uint32_t i = 0; i < hooks.n; i++) {
		int r = run_one(in, &h[i], document_fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int host_hooks(struct init *in)
{
	struct ctl_msg m;
	int r = ctl_send(&in->ctl, CTL_HOOKS_PLEASE, 0, NULL, 0, -1);

	if (r < 0)
		return err_sys(&in->err, r, "ask for the host's hooks");
	r = ctl_expect(&in->ctl, CTL_HOOKS_DONE, -1, &m, NULL, &in->err);
	/* The host has ended: either its hook failed, which it tells itself, or it died. */
	if (r == -EPIPE)
		init_gone(1);
	return r;
}

int hook_create_container(struct init *in)
{
	if (in->fin->flags & FIN_HOST_HOOKS) {
		int r = host_hooks(in);
		if (r < 0)
			return r;
	}
	if (in->fin->create_container.n == 0)
		return 0;
	scoped_fd int document = hook_document(in);
	return document < 0 ? document : hook_run(in, in->fin->create_container, document);
}
