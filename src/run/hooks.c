/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks on the host (config.md, POSIX-platform Hooks). A hook is a trusted program of the host; what hull must see to is that it gets
 * exactly what the configuration says, that nobody waits for it longer than asked, and that its failure is told in its own words. */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "ocispec/arena.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define STDERR_KEPT 4096
/* How long a killed hook may take to end: longer only when it is stuck in the kernel. */
#define KILL_WAIT_MS 10000
#define EXIT_NOT_RUN 127

/* The last bytes of what a hook wrote to stderr. */
struct tail {
	char s[STDERR_KEPT];
	size_t len;
};

/* What the child needs; filled before the fork, it allocates nothing. */
struct launch {
	const char *kind;          /* what errors call it */
	const char *path, *cwd;
	char **argv, **envp;
	int stdin_fd, stdout_fd, stderr_fd; /* stderr_fd -1: a pipe of ours */
	bool to_file;              /* what it says is in a file */
	pid_t parent;
	volatile int failed; /* errno of the call that failed, written by the child */
	const char *volatile failed_at;
};

struct running {
	pid_t pid;
	int pidfd;
	int stderr_fd;
};

/* ---- the child: shares our memory until it execs, so it may only make system calls ---- */

static NORETURN void child_fail(struct launch *l, const char *what)
{
	l->failed = errno;
	l->failed_at = what;
	_exit(EXIT_NOT_RUN);
}

static void child_reset_signals(void)
{
	static const unsigned long dfl[8]; /* struct sigaction of the kernel: SIG_DFL, no flags, empty mask */
	sigset_t none;

	/* The raw call: libc refuses to touch 32 and 33, which it keeps for itself. SIGKILL and SIGSTOP fail and have nothing to reset. */
	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, dfl, NULL, (NSIG - 1) / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static NORETURN void child_run(struct launch *l)
{
	/* A session of its own is also a process group of its own, and can't be stopped by reading a terminal in the
	 * background. */
	if (setsid() < 0)
		child_fail(l, "setsid");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		child_fail(l, "prctl PR_SET_PDEATHSIG");
	/* We may have died before the call above. */
	if (getppid() != l->parent)
		_exit(EXIT_NOT_RUN);
	if (dup2(l->stdin_fd, 0) < 0 || dup2(l->stdout_fd, 1) < 0 || dup2(l->stderr_fd, 2) < 0)
		child_fail(l, "dup2");
	if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0)
		child_fail(l, "close_range");
	if (chdir(l->cwd) < 0)
		child_fail(l, "change to the bundle");
	child_reset_signals();
	execve(l->path, l->argv, l->envp);
	child_fail(l, "run");
}

/* ---- the host ---- */

/* Its own function: a frame that calls vfork must not return in the child, and holds no variable that the child
 * could change. */
static __attribute__((noinline)) pid_t fork_child(struct launch *l)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_run(l);
	return pid;
}

/* A pipe could block on a hook that doesn't read; a sealed memory file can't, and is the same for every reader. */
static int make_stdin(const char *json, struct err *e)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	/* From 6.3 vm.memfd_noexec = 2 forbids a memfd without this flag; before, the flag is unknown. */
	scoped_fd int fd = memfd_create("hook-state", (unsigned)flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("hook-state", (unsigned)flags);
	if (fd < 0)
		return err_sys(e, -errno, "make the state document for a hook");
	int r = io_write_all(fd, json, strlen(json));
	if (r < 0)
		return err_sys(e, r, "write the state document for a hook");
	if (fcntl(fd, F_ADD_SEALS, seals) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, -errno, "seal the state document for a hook");
	return take_fd(&fd);
}

/* A NULL-terminated copy; `first` stands for an absent or empty list. */
static char **terminated(const struct oci_strv *l, const char *first, struct oci_arena *a)
{
	char **v = oci_arena_alloc(a, (l->n + 2) * sizeof(*v));

	if (!v)
		return NULL;
	if (l->n == 0)
		v[0] = (char *)(uintptr_t)first;
	for (size_t i = 0; i < l->n; i++)
		v[i] = (char *)(uintptr_t)l->v[i];
	return v;
}

static int launch(struct launch *l, struct running *ret, struct err *e)
{
	sigset_t all, old;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "make a pipe for %s %s", l->kind, l->path);
	scoped_fd int in = fds[0], out = fds[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, -errno, "prepare the pipe of %s %s", l->kind, l->path);
	if (l->stderr_fd < 0)
		l->stderr_fd = out;
	l->parent = getpid();
	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork_child(l);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_sys(e, -saved, "fork for %s %s", l->kind, l->path);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int r = err_sys(e, -errno, "open a pidfd of %s %s", l->kind, l->path);
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret = (struct running){ .pid = pid, .pidfd = pidfd, .stderr_fd = take_fd(&in) };
	return 0;
}

static void tail_add(struct tail *t, const char *s, size_t n)
{
	if (n > sizeof(t->s)) {
		s += n - sizeof(t->s);
		n = sizeof(t->s);
	}
	if (t->len + n > sizeof(t->s)) {
		size_t drop = t->len + n - sizeof(t->s);
		memmove(t->s, t->s + drop, t->len - drop);
		t->len -= drop;
	}
	memcpy(t->s + t->len, s, n);
	t->len += n;
}

/* Take what is there. Closes *fd at end of file. At most 16 reads, so that a hook that never stops writing can't
 * keep us from the clock. */
static void read_stderr(int *fd, struct tail *t)
{
	char buf[4096];

	for (int i = 0; i < 16 && *fd >= 0; i++) {
		ssize_t n = read(*fd, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			fd_close(fd);
		else
			tail_add(t, buf, (size_t)n);
	}
}

/* Wait until the hook has ended or `deadline` (ms, -1: none) has passed, reading its stderr. Returns 1 when it has
 * ended, 0 when not, or -errno. */
static int wait_ended(struct running *h, int64_t deadline, struct tail *t)
{
	for (;;) {
		struct pollfd p[] = { { .fd = h->pidfd, .events = POLLIN }, { .fd = h->stderr_fd, .events = POLLIN } };
		int timeout = -1;
		if (deadline >= 0) {
			int64_t left = deadline - clock_now_ms();
			timeout = left < 0 ? 0 : left > 1000000 ? 1000000
								: (int)left;
		}
		int r = interrupt_poll(p, ARRAY_LEN(p), timeout);
		if (r < 0 && r != -EINTR)
			return r;
		if (r > 0 && p[1].revents)
			read_stderr(&h->stderr_fd, t);
		if (r > 0 && p[0].revents)
			return 1;
		if (deadline >= 0 && clock_now_ms() >= deadline)
			return 0;
	}
}

/* Only the hook itself is waited for: what it left running may keep its stderr open for ever. */
static int reap(struct running *h, siginfo_t *ret, struct tail *t, struct err *e)
{
	int r;

	*ret = (siginfo_t){ 0 };
	do
		r = waitid(P_PID, (id_t)h->pid, ret, WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, -errno, "wait for a hook");
	read_stderr(&h->stderr_fd, t);
	return 0;
}

/* The last line that isn't empty, terminated; "" when there is none. */
static const char *last_line(struct tail *t)
{
	while (t->len && strchr("\n\r\t ", t->s[t->len - 1]))
		t->len--;
	if (t->len == sizeof(t->s))
		t->len--;
	t->s[t->len] = '\0';
	const char *newline = memrchr(t->s, '\n', t->len);
	return newline ? newline + 1 : t->s;
}

static const char *words_of(const struct launch *l, struct tail *t)
{
	return l->to_file ? "its standard error is in the file of annotation run.oci.hooks.stderr" : last_line(t);
}

static int tell_status(const char *path, const siginfo_t *si, const struct launch *l, struct tail *t, struct err *e)
{
	char how[64];

	if (l->failed)
		return err_sys(e, -l->failed, "%s %s: %s", l->kind, path, l->failed_at);
	if (si->si_code == CLD_EXITED && si->si_status == 0)
		return 0;
	if (si->si_code == CLD_EXITED)
		snprintf(how, sizeof(how), "exit status %d", si->si_status);
	else
		snprintf(how, sizeof(how), "killed by signal %d", si->si_status);
	const char *said = words_of(l, t);
	return err_set(e, ERR_PEER, 0, "%s %s: %s%s%s", l->kind, path, how, *said ? ": " : "", said);
}

/* Kill it with all that is still in its process group, and wait for it. */
static int kill_group(struct running *h, const struct oci_hook *hook, const struct launch *l, struct tail *t, struct err *e)
{
	siginfo_t si;

	/* Not reaped yet: the pid, and so the group's number, can't belong to anyone else. */
	kill(-h->pid, SIGKILL);
	int r = wait_ended(h, clock_now_ms() + KILL_WAIT_MS, t);
	if (r > 0)
		r = reap(h, &si, t, e);
	else
		return err_set(e, ERR_PEER, 0, "%s %s: doesn't end although killed after its timeout of %lld s",
			       l->kind, hook->path,
			       (long long)hook->timeout.v);
	if (r < 0)
		return r;
	const char *said = words_of(l, t);
	return err_set(e, ERR_PEER, 0, "%s %s: killed after its timeout of %lld s%s%s", l->kind, hook->path,
		       (long long)hook->timeout.v,
		       *said ? ": " : "", said);
}

static int attend(struct running *h, const struct oci_hook *hook, const struct launch *l, struct err *e)
{
	struct tail t = { .len = 0 };
	siginfo_t si;
	int64_t deadline = -1;

	/* Beyond the clock's range is as good as none. */
	if (hook->timeout.set && hook->timeout.v < INT32_MAX)
		deadline = clock_now_ms() + hook->timeout.v * 1000;
	int r = wait_ended(h, deadline, &t);
	if (r == 0)
		return kill_group(h, hook, l, &t, e);
	if (r < 0) {
		struct err dropped;
		kill_group(h, hook, l, &t, &dropped);
		if (r == -ECANCELED)
			return err_set(e, ERR_STATE, 0, "%s %s: killed, signal %d came during the set-up", l->kind, hook->path, interrupt_signal());
		return err_sys(e, r, "wait for %s %s", l->kind, hook->path);
	}
	r = reap(h, &si, &t, e);
	return r < 0 ? r : tell_status(hook->path, &si, l, &t, e);
}

static int run_one(const char *kind, const struct oci_hook *hook, const char *state_json, const char *cwd, const struct hook_files *files,
		   struct oci_arena *a, struct err *e)
{
	struct launch l = { .kind = kind, .path = hook->path, .cwd = cwd, .stderr_fd = files ? files->err : -1, .to_file = files && files->err >= 0 };
	struct running h;

	l.argv = terminated(&hook->args, hook->path, a);
	l.envp = terminated(&hook->env, NULL, a);
	if (!l.argv || !l.envp)
		return err_sys(e, -ENOMEM, "run %s %s", kind, hook->path);
	scoped_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, -errno, "open /dev/null for %s %s", kind, hook->path);
	scoped_fd int document = make_stdin(state_json, e);
	if (document < 0)
		return document;
	l.stdin_fd = document;
	l.stdout_fd = files && files->out >= 0 ? files->out : null;
	int r = launch(&l, &h, e);
	if (r < 0)
		return r;
	r = attend(&h, hook, &l, e);
	fd_close(&h.stderr_fd);
	fd_close(&h.pidfd);
	return r;
}

static int open_file(const char *path, const char *annotation, int *ret, struct err *e)
{
	struct stat st;

	if (!path)
		return 0;
	scoped_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "open %s for annotation %s", path, annotation);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "look at %s for annotation %s", path, annotation);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, ERR_SYS, 0, "%s for annotation %s is neither a regular file nor a character device", path, annotation);
	/* The hook shall not get EAGAIN from a slow terminal. */
	if (fcntl(fd, F_SETFL, O_APPEND) < 0)
		return err_sys(e, -errno, "prepare %s for annotation %s", path, annotation);
	*ret = take_fd(&fd);
	return 0;
}

int hook_files_open(const char *out, const char *err, struct hook_files *ret, struct err *e)
{
	*ret = HOOK_FILES_NONE;
	int r = open_file(out, "run.oci.hooks.stdout", &ret->out, e);

	if (r == 0)
		r = open_file(err, "run.oci.hooks.stderr", &ret->err, e);
	if (r < 0)
		hook_files_close(ret);
	return r;
}

void hook_files_close(struct hook_files *f)
{
	fd_close(&f->out);
	fd_close(&f->err);
}

/* Run hooks[i] with its name in the error. */
static int run_named(const char *list, const struct oci_hook *hooks, size_t i, const char *state_json,
		     const char *cwd, const struct hook_files *files, struct err *e)
{
	struct oci_arena a = { 0 };
	char path[64];
	int64_t began = clock_now_ms();

	int r = run_one("hook", &hooks[i], state_json, cwd, files, &a, e);
	oci_arena_release(&a);
	snprintf(path, sizeof(path), "hooks.%s[%zu]", list, i);
	log_debug("%s: %s: %lld ms", path, hooks[i].path, (long long)(clock_now_ms() - began));
	return r < 0 ? err_at(e, r, path) : 0;
}

int hooks_run(const char *list, const struct oci_hook *hooks, size_t n, const char *state_json, const char *cwd,
	      const struct hook_files *files, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r = run_named(list, hooks, i, state_json, cwd, files, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int hooks_run_helper(const char *path, const char *const *args, int timeout_ms, struct err *e)
{
	struct oci_arena a = { 0 };
	struct oci_hook helper = { .path = path, .args = { .v = (const char **)(uintptr_t)args, .set = true }, .timeout = { true, (timeout_ms + 999) / 1000 } };

	while (args[helper.args.n])
		helper.args.n++;
	int r = run_one("helper", &helper, "", "/", NULL, &a, e);
	oci_arena_release(&a);
	return r;
}

void hooks_run_warn(const char *list, const struct oci_hook *hooks, size_t n, const char *state_json, const char *cwd,
		    const struct hook_files *files)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = { 0 };
		char msg[ERR_RENDER_MAX];
		if (run_named(list, hooks, i, state_json, cwd, files, &e) < 0)
			log_warn("%s", err_render(&e, msg, sizeof(msg)));
	}
}
