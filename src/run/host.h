/* SPDX-License-Identifier: Apache-2.0 */
/* create and run on the host's side, one function a phase. */
#ifndef HULL_RUN_HOST_H
#define HULL_RUN_HOST_H

#include "plan/plan.h"
#include "run/agent.h"
#include "run/netdev.h"
#include "run/notify.h"
#include "run/run.h"
#include "run/spawn.h"
#include "state/state.h"

/* Everything of one create or run. Made by lib/create.c; the fds belong to it. */
struct creation {
	const char *id;
	int root_dfd;
	struct oci_arena *arena;
	struct oci_config *cfg;
	struct facts facts;
	struct seccomp_cache cache;
	struct plan plan;
	struct state_rec rec;
	struct state_dir dir;
	struct cgroup cg;
	struct child child;
	int rdt_dfd;       /* root of resctrl, -1: not asked for */
	bool rdt_made;     /* its group is ours */
	struct netdevs netdevs;
	struct agent agent; /* run: gets the listener of the filter */
	struct hook_files hook_files;
	struct notify notify; /* run: between program and service manager */
	const char *pid_file;
	int console_sock;  /* -1: the foreground keeps the master */
	int pidfd_sock;    /* -1 none */
	int master;        /* foreground terminal, -1 none */
	int timeout_ms;
	bool claimed, cgroup_open, hooks_ran, spawned;
	bool pid_file_written; /* whatever else is at that path is not ours to remove */
	bool immediate;    /* run: no gate, RELEASE is the start */
};

/* A creation for which nothing is open. Its strings and lists live in `a`. */
#define CREATION_NONE(a) ((struct creation){ .arena = (a), .root_dfd = -1, .console_sock = -1, .pidfd_sock = -1, .master = -1, .dir = STATE_DIR_NONE, \
	.netdevs = NETDEVS_NONE, .agent = AGENT_NONE, .cache = { .root_dfd = -1 }, .rdt_dfd = -1, .hook_files = HOOK_FILES_NONE, .notify = NOTIFY_NONE })

/* For an id that is claimed: make cgroup and child, follow it until it is READY, record it. What a failure leaves is the caller's to undo. */
int host_build(struct creation *c, struct err *e);
/* create: let it go to the gate. */
int host_leave_at_gate(struct creation *c, struct err *e);
/* run: let it execute; poststart hooks. */
int host_execute(struct creation *c, struct err *e);
/* Close what is open. */
void host_close(struct creation *c);

/* The state of a container, for hooks and agents: `status` as the specification wants it at that moment. */
struct oci_state host_state(const struct state_rec *rec, enum oci_status status);
/* The same as a document. */
const char *host_state_json(const struct state_rec *rec, enum oci_status status, struct oci_arena *a);

/* start, for a container that waits at its gate: connect, prove ourselves by the token, follow it to its execve. (gate.c) */
int gate_start(const struct state_dir *d, const struct state_rec *rec, const struct cgroup *cg, int timeout_ms, struct agent *agent, struct err *e);

#endif
