/* SPDX-License-Identifier: Apache-2.0 */
/* Start hull-init with a plan, and understand how it ended. */
#ifndef HULL_RUN_SPAWN_H
#define HULL_RUN_SPAWN_H

#include <sys/types.h>

#include "base/ctl.h"
#include "plan/plan.h"
#include "run/agent.h"

/* The set-up process as the host sees it; in the rows of the table where S is not I, `pid` and `pidfd` become I's with BORN. */
struct child {
	pid_t pid;
	int pidfd;
	struct ctl ctl;
	int setup_pidfd; /* S's when it is not I, until it is reaped; -1 */
	int listener;    /* of the seccomp filter, until the agent has it; -1 */
	struct cg_hits before; /* of its cgroup, to tell whether a limit is the reason of a failure */
};

/* What the child is given beside the plan. fds are the caller's and stay open here. */
struct spawn_fds {
	int cgroup;          /* directory of the v2 cgroup for CLONE_INTO_CGROUP, -1 none */
	int start;           /* bound start.sock, -1 none */
	int pidfd;           /* of the container's init (exec), -1 none */
	int userns;          /* that hull-init is born in, where the plan says so; else not looked at */
	int outer;           /* the caller's own user namespace, where the plan has a slot for it */
	int hook_out, hook_err; /* files for what the container's hooks say; used where the plan has slots for them */
	int notify;          /* directory for the container's notify socket; used where the plan has a slot for it */
	const int *tasks;    /* v1 `tasks` files, as many as the plan has slots */
};

/* hull-init is born from a private sealed copy by clone3(VM|VFORK) + execveat, so that the caller's size costs nothing. Returns 0; -EAGAIN with *e when the cgroup's
 * pids limit is reached (the caller may try without fds->cgroup and move the child). (clone(2), memfd_create(2)) */
int spawn_init(struct plan *p, const struct spawn_fds *fds, struct child *ret, struct err *e);
/* ctl_expect with this child: an end of file becomes "init was killed by signal N while at PHASE". Limits of `cg` that
 * may be the reason are named. `cg` may be NULL. */
int spawn_expect(struct child *c, unsigned type, int timeout_ms, struct ctl_msg *ret, int *ret_fd, const struct cgroup *cg, struct err *e);
/* Wait for CONSOLE, check that what came is a pty's master, and hand it over `sock`; without one (-1) it stays here, in *ret_master. */
int spawn_take_console(struct child *c, int timeout_ms, const struct cgroup *cg, int sock, int *ret_master, struct err *e);
/* Wait for BORN: take over I's pid and pidfd, reap S. */
int spawn_adopt(struct child *c, int timeout_ms, struct err *e);
/* Take the listener of a filter that S loads before I is born. */
int spawn_take_listener(struct child *c, int timeout_ms, const struct cgroup *cg, struct err *e);
/* Give it to the agent, or kill the child: the program runs only when its agent has the listener. */
int spawn_introduce(struct child *c, struct agent *agent, struct err *e);
/* Wait until the child has executed its program (end of file after EXECING), or return the error that it sent. `agent` gets the listener of its filter
 * on the way; a child whose agent doesn't get it is killed. */
int spawn_wait_exec(struct child *c, int timeout_ms, const struct cgroup *cg, struct agent *agent, struct err *e);
/* Wait until the child has closed its end after RELEASE: it listens at the gate. */
int spawn_wait_gate(struct child *c, int timeout_ms, const struct cgroup *cg, struct err *e);
/* A failure `r` of the child (or to make it): when a limit of its cgroup is the likely reason, *e says so. `cg` may be NULL. Returns r. */
int spawn_blame(const struct child *c, const struct cgroup *cg, int r, struct err *e);
/* Close; kill and reap what still runs when `kill` is set. */
void spawn_end(struct child *c, bool kill);

#endif
