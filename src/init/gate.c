/* SPDX-License-Identifier: Apache-2.0 */
/* The wait for `hull start`. Whoever can reach the socket may be anybody: only the record's token opens the gate
 * (SO_PEERCRED is blind in a user namespace, attacks-tried M1), and nobody can hold it for longer than a second. */
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "init/init.h"

#define BACKLOG 16
#define TOKEN_TIMEOUT_MS 1000

static bool same_token(const void *a, const void *b)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (unsigned i = 0; i < CTL_TOKEN_LEN; i++)
		diff = (uint8_t)(diff | (x[i] ^ y[i]));
	return diff == 0;
}

/* Has the peer on `fd` the token? Then it is the one that we report to. */
static bool admit(struct init *in, int fd)
{
	struct ctl c = { .fd = fd, .side = CTL_INIT, .last = CTL_NONE };
	struct ctl_msg m;
	struct err ignored;

	if (ctl_expect(&c, CTL_START, TOKEN_TIMEOUT_MS, &m, NULL, &ignored) < 0)
		return false;
	if (m.len != CTL_TOKEN_LEN || !same_token(m.body, in->fin->token))
		return false;
	in->ctl = c;
	return true;
}

/* Children of processes that were executed into the waiting container may become ours. */
static void reap_children(bool on)
{
	struct sigaction act = { .sa_handler = on ? SIG_IGN : SIG_DFL };

	sigaction(SIGCHLD, &act, NULL);
}

static int serve(struct init *in, int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	for (;;) {
		int r = poll(&p, 1, -1);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		scoped_fd int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (peer < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED))
			continue;
		if (peer < 0)
			return -errno;
		if (admit(in, peer)) {
			take_fd(&peer);
			return 0;
		}
	}
}

static int wait_start(struct init *in, int listener)
{
	int r;

	fd_close(&in->ctl.fd);
	reap_children(true);
	r = serve(in, listener);
	reap_children(false);
	close(listener);
	return r < 0 ? err_sys(&in->err, r, "wait for start") : 0;
}

int gate_wait(struct init *in)
{
	int listener = in->fin->flags & FIN_GATE ? init_slot(in, in->b->start_slot) : -1, r = 0;
	struct ctl_msg m;

	/* Before READY: whoever is told that the container is created can connect. */
	if (listener >= 0 && listen(listener, BACKLOG) < 0)
		return err_sys(&in->err, -errno, "listen for start");
	r = ctl_send(&in->ctl, CTL_READY, 0, NULL, 0, -1);
	if (r < 0)
		return err_sys(&in->err, r, "report that the container is ready");
	r = ctl_expect(&in->ctl, CTL_RELEASE, -1, &m, NULL, &in->err);
	if (r == -EPIPE)
		init_gone(1);
	/* It isn't cleared by a change of ids when root stays root: the container would die with its creator
	 * (attacks-tried H6). */
	if (r == 0)
		r = sys_prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (r < 0)
		return r;
	return listener >= 0 ? wait_start(in, listener) : 0;
}
