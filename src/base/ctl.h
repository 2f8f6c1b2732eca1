/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between hull and hull-init: one SEQPACKET socket, named messages, one table of legal moves (ctl.c, docs/protocol.md).
 * CTL_LOG and CTL_ERROR may be sent by hull-init at any time; everything else is a pair or an announcement in a fixed order.
 * The same messages travel over start.sock between `hull start` and the waiting init. */
#ifndef HULL_BASE_CTL_H
#define HULL_BASE_CTL_H

#include "base/err.h"
#include "base/log.h"

enum ctl_type {
	CTL_NONE,
	CTL_LOG,          /* init → host: arg = level, body = line */
	CTL_ERROR,        /* init → host: body = struct err; init is gone or about to be */
	CTL_PLACED,       /* host → S: you have been moved into your cgroup */
	CTL_BORN,         /* S → host: arg = pid of I in S's own pid namespace, fd = its pidfd */
	CTL_NET_PLEASE,   /* init → host: fd = netlink socket of the container's network namespace: move the devices there */
	CTL_NET_DONE,     /* host → init */
	CTL_HOOKS_PLEASE, /* init → host: the tree is assembled, run prestart and createRuntime hooks */
	CTL_HOOKS_DONE,   /* host → init */
	CTL_CONSOLE,      /* init → host: fd = pty master */
	CTL_READY,        /* init → host: dropped, read back, at the gate */
	CTL_RELEASE,      /* host → init: recorded; clear the parent-death signal and go to the gate (run and exec: start) */
	CTL_START,        /* start → init, over start.sock: body = token */
	CTL_EXECING,      /* init → host/start: the next calls are seccomp and execve; arg 1: a listener comes along */
	CTL_LISTENER,     /* init → host/start: fd = listener of the filter that has just been loaded */
	CTL_TYPE_MAX
};

#define CTL_BODY_MAX 1032
#define CTL_TOKEN_LEN 16

struct ctl_msg {
	uint16_t type;
	uint16_t len; /* bytes used in body */
	uint32_t arg;
	char body[CTL_BODY_MAX];
};

enum ctl_side { CTL_HOST, CTL_INIT };

/* One end. `last` is the last announcement that passed in either direction: the position in the table of moves. */
struct ctl {
	int fd;
	uint8_t side;
	uint8_t last;
};

/* "READY", …; never NULL. */
const char *ctl_name(unsigned type);
/* May `type` be sent by `from` after `last`? The table of moves. */
bool ctl_may(uint8_t last, enum ctl_side from, unsigned type);
/* Send a message; `fd` -1 for none. Returns 0 or -errno; an illegal move is -EPROTO. */
int ctl_send(struct ctl *c, unsigned type, uint32_t arg, const void *body, size_t len, int fd);
/* Wait up to `timeout_ms` (-1: for ever) for the message `type`. LOG lines go to the process's sink. Returns 0 with *ret (and *ret_fd, -1 when
 * none came) filled, or -errno with *e: the peer's own error as it was sent, -ETIMEDOUT, -EPIPE at end of file (e->msg then says only
 * "waiting for NAME"; the caller knows how its child died), -EPROTO for anything out of order. `ret_fd` may be NULL where no fd is due. */
int ctl_expect(struct ctl *c, unsigned type, int timeout_ms, struct ctl_msg *ret, int *ret_fd, struct err *e);
/* Like ctl_expect, for any of several announcements: `mask` has bit (1 << type). Returns the type or -errno. */
int ctl_expect_any(struct ctl *c, uint32_t mask, int timeout_ms, struct ctl_msg *ret, int *ret_fd, struct err *e);
/* Send *e as CTL_ERROR. */
int ctl_send_error(struct ctl *c, const struct err *e);

#endif
