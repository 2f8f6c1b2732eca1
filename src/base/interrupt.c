/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interrupt.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/util.h"

static int watched = -1, last_signal;

void interrupt_watch(int fd)
{
	watched = fd;
}

int interrupt_signal(void)
{
	return last_signal;
}

static bool was_asked(void)
{
	struct signalfd_siginfo si;

	if (read(watched, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return false;
	last_signal = (int)si.ssi_signo;
	return true;
}

int interrupt_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	struct pollfd all[INTERRUPT_POLL_MAX + 1];

	if (watched < 0 || n > INTERRUPT_POLL_MAX) {
		int r = poll(p, n, timeout_ms);
		return r < 0 ? -errno : r;
	}
	memcpy(all, p, n * sizeof(*p));
	all[n] = (struct pollfd){ .fd = watched, .events = POLLIN };
	int r = poll(all, n + 1, timeout_ms);
	if (r < 0)
		return -errno;
	if (all[n].revents && was_asked())
		return -ECANCELED;
	memcpy(p, all, n * sizeof(*p));
	return all[n].revents ? r - 1 : r;
}
