/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of our own in a container's place, for the programs that test the foreground. */
#ifndef HULL_TESTS_WAIT_FIXTURE_H
#define HULL_TESTS_WAIT_FIXTURE_H

#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define BULK ((size_t)1 << 20)

struct proc {
	pid_t pid;
	int pidfd;
};

/* The signals' mask is the one of before wait_prepare, as hull-init sets it for a container. */
static struct proc start(struct wait_ctx *w, void (*body)(void *arg), void *arg)
{
	struct proc p = { .pid = fork() };

	ck_assert_int_ge(p.pid, 0);
	if (p.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &w->old_mask, NULL);
		body(arg);
		_exit(99);
	}
	p.pidfd = (int)syscall(SYS_pidfd_open, p.pid, 0);
	ck_assert_int_ge(p.pidfd, 0);
	return p;
}

static int wait_for(struct wait_ctx *w, struct proc p, int master)
{
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX];
	int status = -1;

	int r = wait_foreground(w, p.pid, p.pidfd, master, &status, &e);
	ck_assert_msg(r == 0, "%s", err_render(&e, msg, sizeof(msg)));
	close(p.pidfd);
	return status;
}

static void prepare(struct wait_ctx *w)
{
	struct err e = { 0 };

	ck_assert_int_eq(wait_prepare(w, &e), 0);
}

#endif
