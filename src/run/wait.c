/* SPDX-License-Identifier: Apache-2.0 */
/* The foreground: wait for the container's process, pass signals on to it and, with a terminal, bytes. */
#include "run/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/interrupt.h"
#include "run/notify.h"
#include "run/pty.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Signals that the kernel raises against ourselves: blocking them would turn a fault into a loop. */
static const int left_alone[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
/* Taken, but not passed on: our own children, our own broken pipes, and job control that is about our own terminal. */
static const int kept[] = { SIGCHLD, SIGURG, SIGPIPE, SIGWINCH, SIGTTIN, SIGTTOU };
/* These end the wait for a reader that doesn't read when the process has gone. */
static const int impatient[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

static bool is_in(int sig, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == sig)
			return true;
	}
	return false;
}

int wait_prepare(struct wait_ctx *w, struct err *e)
{
	sigset_t mask;

	w->notify = NULL;
	sigfillset(&mask);
	for (size_t i = 0; i < ARRAY_LEN(left_alone); i++)
		sigdelset(&mask, left_alone[i]);
	scoped_fd int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(e, -errno, "make a signal descriptor");
	if (sigprocmask(SIG_BLOCK, &mask, &w->old_mask) < 0)
		return err_sys(e, -errno, "block signals");
	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_LEN(impatient); i++)
		sigaddset(&mask, impatient[i]);
	w->end_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->end_fd < 0) {
		int r = err_sys(e, -errno, "make a signal descriptor");
		sigprocmask(SIG_SETMASK, &w->old_mask, NULL);
		return r;
	}
	w->signal_fd = take_fd(&fd);
	interrupt_watch(w->end_fd);
	return 0;
}

void wait_no_more(void)
{
	interrupt_watch(-1);
}

void wait_restore(struct wait_ctx *w)
{
	struct signalfd_siginfo si;

	wait_no_more();
	fd_close(&w->end_fd);
	/* What came too late to be passed on must not hit us when it is unblocked: SIGPIPE of the last write, for
	 * one. */
	while (read(w->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		continue;
	fd_close(&w->signal_fd);
	sigprocmask(SIG_SETMASK, &w->old_mask, NULL);
}

/* Orphans that came to us as subreaper. The process itself is left for the end. */
static void reap_others(pid_t pid)
{
	for (;;) {
		siginfo_t si = { 0 };
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0 || si.si_pid == pid)
			return;
		if (waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG) < 0)
			return;
	}
}

struct front {
	struct wait_ctx *w;
	pid_t pid;
	int pidfd;
	bool exited;
	bool hurried; /* a signal that asks us to end came after the exit */
	struct pty *pty;
};

static void take_signals(struct front *f)
{
	struct signalfd_siginfo si;

	while (read(f->w->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int sig = (int)si.ssi_signo;
		if (sig == SIGCHLD)
			reap_others(f->pid);
		if (sig == SIGWINCH && f->pty)
			pty_size_of_caller(f->pty->master);
		if (sig == SIGCONT && f->pty)
			pty_continue(f->pty);
		if (is_in(sig, kept, ARRAY_LEN(kept)))
			continue;
		if (f->exited)
			f->hurried |= is_in(sig, impatient, ARRAY_LEN(impatient));
		else /* ESRCH: it has just gone, which the pidfd will tell. */
			(void)syscall(SYS_pidfd_send_signal, f->pidfd, sig, NULL, 0);
	}
}

/* One round: sleep until something happens, then do all that can be done without sleeping. */
static int round_of(struct front *f, struct err *e)
{
	struct notify *notify = f->w->notify;
	struct pollfd p[3 + PTY_POLL_FDS] = {
		{ .fd = f->w->signal_fd, .events = POLLIN },
		{ .fd = f->exited ? -1 : f->pidfd, .events = POLLIN },
		{ .fd = -1 },
	};
	int timeout = -1;
	nfds_t n = 3;

	if (f->pty) {
		timeout = pty_poll_set(f->pty, p + 3);
		n += PTY_POLL_FDS;
	}
	if (notify)
		notify_poll_set(notify, &p[2], &timeout);
	if (poll(p, n, timeout) < 0)
		return errno == EINTR ? 0 : err_sys(e, -errno, "wait for the container");
	if (p[0].revents)
		take_signals(f);
	if (p[1].revents)
		f->exited = true;
	/* Its last words, too, after it has ended. */
	if (notify && (p[2].revents || f->exited))
		notify_take(notify);
	if (f->pty)
		pty_copy(f->pty, p + 3);
	return 0;
}

static int exit_status(const struct front *f, int *ret, struct err *e)
{
	siginfo_t si = { 0 };
	int r;

	do
		r = waitid((idtype_t)P_PIDFD, (id_t)f->pidfd, &si, WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, -errno, "read the exit status of process %d", (int)f->pid);
	f->w->killed = si.si_code != CLD_EXITED;
	*ret = f->w->killed ? 128 + si.si_status : si.si_status;
	return 0;
}

/* Until the process has ended and all that it wrote is delivered (or can't be). */
static int attend(struct front *f, struct err *e)
{
	int r = 0;

	while (r == 0 && !f->exited)
		r = round_of(f, e);
	if (r < 0 || !f->pty)
		return r;
	pty_end(f->pty);
	while (r == 0 && !f->hurried && !pty_drained(f->pty))
		r = round_of(f, e);
	return r;
}

int wait_foreground(struct wait_ctx *w, pid_t pid, int pidfd, int master, int *ret_status, struct err *e)
{
	struct front f = { .w = w, .pid = pid, .pidfd = pidfd };
	struct pty pty;
	int r = 0;

	wait_no_more();
	if (master >= 0) {
		r = pty_begin(&pty, master, e);
		if (r < 0)
			return r;
		f.pty = &pty;
	}
	r = attend(&f, e);
	if (f.pty)
		pty_finish(&pty);
	if (r < 0)
		return r;
	r = exit_status(&f, ret_status, e);
	reap_others(pid);
	return r;
}
