/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) between a program in a container and the service manager of hull's caller. The program sends to a socket of ours; what a service may say of itself
 * is passed on, in our name, to the socket that NOTIFY_SOCKET names in our own environment. */
#ifndef HULL_RUN_NOTIFY_H
#define HULL_RUN_NOTIFY_H

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define NOTIFY_MESSAGE_MAX 4096 /* bytes of one message; longer ones are dropped */

struct notify {
	int up_fd;       /* connected to the caller's manager; -1: nothing is passed on */
	int down_fd;     /* the container's end is in its directory; -1 none */
	pid_t main_pid;  /* goes up with READY=1 */
	bool ready;      /* READY=1 has gone up */
	bool stuck;      /* the manager doesn't take messages: it isn't waited for again */
	int64_t window_ms; unsigned n_window; /* messages since then */
};

#define NOTIFY_NONE ((struct notify){ .up_fd = -1, .down_fd = -1 })

/* Is `address` one that sd_notify(3) knows and we can send to: an absolute path, or "@name" in the abstract namespace? Nothing is opened. 0 or -EINVAL with *e. */
int notify_check(const char *address, struct err *e);
/* Connect to the manager. */
int notify_connect(struct notify *n, const char *address, struct err *e);
/* Bind the socket `name` in the directory `dfd`, for everybody; what an earlier, killed owner left there goes. */
int notify_bind(struct notify *n, int dfd, const char *name, struct err *e);
void notify_close(struct notify *n);

/* For a loop of the caller's: what to poll for, and for how long at most (*timeout_ms is lowered, -1 is for ever). More than NOTIFY_RATE messages a second
 * are left in the socket, and the sender waits. */
#define NOTIFY_RATE 50
void notify_poll_set(struct notify *n, struct pollfd *p, int *timeout_ms);
/* Pass on what has come, without waiting for more. */
void notify_take(struct notify *n);
/* Pass on until READY=1 has gone up and the manager has seen it, or the process behind `pidfd` has exited. -ETIMEDOUT with *e after `timeout_ms` (-1: none). */
int notify_await_ready(struct notify *n, int pidfd, int timeout_ms, struct err *e);

/* Of the message `msg` of `len` bytes, the lines that may go up: READY, RELOADING, STOPPING, STATUS and others by which a service tells of itself. Neither a pid, nor
 * descriptors, nor a change of who is believed: these the container could use against other services of the manager. MAINPID=`main_pid` is added to READY=1.
 * Writes to `out` (NOTIFY_MESSAGE_MAX + 32 bytes) and returns the length, 0: nothing. */
size_t notify_filter(const char *msg, size_t len, pid_t main_pid, char *out, bool *ret_ready);

#endif
