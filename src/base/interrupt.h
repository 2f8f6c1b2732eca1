/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever waits for a set-up in the foreground may lose patience: while a set-up can be given up, every wait of the host also watches for the signals that ask us
 * to end. They are blocked then, and read from a signalfd(2). */
#ifndef HULL_BASE_INTERRUPT_H
#define HULL_BASE_INTERRUPT_H

#include <poll.h>

/* From now on waits end when `fd`, a signalfd of those signals, has one; -1: no longer. The fd stays the caller's. */
void interrupt_watch(int fd);
/* poll(2) for at most INTERRUPT_POLL_MAX descriptors. Returns what poll returns, or -errno; -ECANCELED: we were asked to end, interrupt_signal() says how. */
#define INTERRUPT_POLL_MAX 4
int interrupt_poll(struct pollfd *p, nfds_t n, int timeout_ms);
/* The signal that was read last, 0: none. */
int interrupt_signal(void);

#endif
