/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/interrupt.h"

#define AFTER(t) (1u << (t))

/* The legal moves. `after` are the announcements that may precede this one on the same socket; LOG and ERROR are not moves. */
static const struct {
	const char *name;
	uint8_t from; /* enum ctl_side */
	uint32_t after;
} moves[CTL_TYPE_MAX] = {
	[CTL_NONE] = { "nothing", CTL_HOST, 0 },
	[CTL_LOG] = { "LOG", CTL_INIT, 0 },
	[CTL_ERROR] = { "ERROR", CTL_INIT, 0 },
	[CTL_PLACED] = { "PLACED", CTL_HOST, AFTER(CTL_NONE) },
	[CTL_NET_PLEASE] = { "NET_PLEASE", CTL_INIT, AFTER(CTL_NONE) | AFTER(CTL_PLACED) },
	[CTL_NET_DONE] = { "NET_DONE", CTL_HOST, AFTER(CTL_NET_PLEASE) },
	[CTL_HOOKS_PLEASE] = { "HOOKS_PLEASE", CTL_INIT, AFTER(CTL_NONE) | AFTER(CTL_PLACED) | AFTER(CTL_NET_DONE) | AFTER(CTL_BORN) },
	[CTL_HOOKS_DONE] = { "HOOKS_DONE", CTL_HOST, AFTER(CTL_HOOKS_PLEASE) },
	[CTL_CONSOLE] = { "CONSOLE", CTL_INIT, AFTER(CTL_NONE) | AFTER(CTL_PLACED) | AFTER(CTL_NET_DONE) | AFTER(CTL_HOOKS_DONE) | AFTER(CTL_BORN) },
	[CTL_BORN] = { "BORN", CTL_INIT, AFTER(CTL_NONE) | AFTER(CTL_PLACED) | AFTER(CTL_NET_DONE) | AFTER(CTL_HOOKS_DONE) | AFTER(CTL_CONSOLE) |
		       AFTER(CTL_LISTENER) },
	[CTL_READY] = { "READY", CTL_INIT,
			AFTER(CTL_NONE) | AFTER(CTL_PLACED) | AFTER(CTL_NET_DONE) | AFTER(CTL_HOOKS_DONE) | AFTER(CTL_CONSOLE) | AFTER(CTL_BORN) },
	[CTL_RELEASE] = { "RELEASE", CTL_HOST, AFTER(CTL_READY) },
	[CTL_START] = { "START", CTL_HOST, AFTER(CTL_NONE) },
	[CTL_EXECING] = { "EXECING", CTL_INIT, AFTER(CTL_RELEASE) | AFTER(CTL_START) },
	/* Before BORN where the filter is loaded in S. */
	[CTL_LISTENER] = { "LISTENER", CTL_INIT, AFTER(CTL_NONE) | AFTER(CTL_PLACED) | AFTER(CTL_CONSOLE) | AFTER(CTL_EXECING) },
};

const char *ctl_name(unsigned type)
{
	return type < CTL_TYPE_MAX ? moves[type].name : "an unknown message";
}

bool ctl_may(uint8_t last, enum ctl_side from, unsigned type)
{
	return type < CTL_TYPE_MAX && moves[type].from == from && last < CTL_TYPE_MAX && (moves[type].after & AFTER(last));
}

static bool is_announcement(unsigned type)
{
	return type != CTL_LOG && type != CTL_ERROR;
}

int ctl_send(struct ctl *c, unsigned type, uint32_t arg, const void *body, size_t len, int fd)
{
	struct ctl_msg m = { .type = (uint16_t)type, .len = (uint16_t)len, .arg = arg };

	if (len > sizeof(m.body))
		return -EMSGSIZE;
	if (is_announcement(type) && !ctl_may(c->last, c->side, type))
		return -EPROTO;
	if (len)
		memcpy(m.body, body, len);
	int r = fd_send(c->fd, &m, offsetof(struct ctl_msg, body) + len, fd);
	if (r == 0 && is_announcement(type))
		c->last = (uint8_t)type;
	return r;
}

int ctl_send_error(struct ctl *c, const struct err *e)
{
	return ctl_send(c, CTL_ERROR, 0, e, sizeof(*e), -1);
}

/* Wait until something can be read. Returns 0 or -errno (-ETIMEDOUT). `deadline` in ms of CLOCK_MONOTONIC, -1 for ever. */
static int wait_readable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline < 0 ? -1 : deadline - clock_now_ms();
		if (deadline >= 0 && left < 0)
			left = 0;
		int r = interrupt_poll(&p, 1, (int)left);
		if (r > 0)
			return 0;
		if (r == 0 && (deadline < 0 || clock_now_ms() < deadline))
			continue;
		if (r == 0)
			return -ETIMEDOUT;
		if (r != -EINTR)
			return r;
	}
}

/* Receive one message and check its shape. 0 with *ret filled, or -errno (-EPIPE at end of file). */
static int receive(struct ctl *c, struct ctl_msg *ret, int *ret_fd)
{
	ssize_t n = fd_recv(c->fd, ret, sizeof(*ret), ret_fd, 0);

	if (n == -ECONNRESET || n == 0)
		return -EPIPE;
	if (n < 0)
		return (int)n;
	if ((size_t)n < offsetof(struct ctl_msg, body) || (size_t)n != offsetof(struct ctl_msg, body) + ret->len) {
		fd_close(ret_fd);
		return -EPROTO;
	}
	return 0;
}

static void pass_log(struct ctl_msg *m)
{
	char line[sizeof(m->body)];
	size_t n = m->len < sizeof(m->body) ? m->len : sizeof(m->body) - 1;

	memcpy(line, m->body, n);
	line[n] = '\0';
	log_line(m->arg <= LOG_LVL_DEBUG ? (enum log_level)m->arg : LOG_LVL_DEBUG, "%s", line);
}

static int peer_error(const struct ctl_msg *m, struct err *e)
{
	if (m->len != sizeof(*e))
		return err_set(e, ERR_PEER, EPROTO, "an error of the wrong size (%u bytes) from init", m->len);
	memcpy(e, m->body, sizeof(*e));
	err_sanitize(e);
	return e->code ? -e->code : -EINVAL;
}

int ctl_expect_any(struct ctl *c, uint32_t mask, int timeout_ms, struct ctl_msg *ret, int *ret_fd, struct err *e)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_now_ms() + timeout_ms;
	unsigned wanted = 0;

	while (wanted < CTL_TYPE_MAX - 1 && !(mask & (1u << wanted)))
		wanted++;
	for (;;) {
		int fd = -1, r = wait_readable(c->fd, deadline);

		if (r == 0)
			r = receive(c, ret, &fd);
		if (r == -ECANCELED)
			return err_set(e, ERR_STATE, 0, "given up: signal %d came during the set-up", interrupt_signal());
		if (r < 0)
			return err_set(e, ERR_PEER, -r, "waiting for %s", ctl_name(wanted));
		if (ret->type == CTL_LOG || ret->type == CTL_ERROR) {
			fd_close(&fd);
			if (c->side == CTL_INIT)
				return err_set(e, ERR_PEER, EPROTO, "%s is not for init", ctl_name(ret->type));
			if (ret->type == CTL_ERROR)
				return peer_error(ret, e);
			pass_log(ret);
			continue;
		}
		if (!(mask & (1u << (ret->type & 31))) || !ctl_may(c->last, c->side == CTL_HOST ? CTL_INIT : CTL_HOST, ret->type)) {
			fd_close(&fd);
			return err_set(e, ERR_PEER, EPROTO, "%s came instead of %s after %s", ctl_name(ret->type), ctl_name(wanted), ctl_name(c->last));
		}
		c->last = (uint8_t)ret->type;
		if (ret_fd)
			*ret_fd = fd;
		else
			fd_close(&fd);
		return ret->type;
	}
}

int ctl_expect(struct ctl *c, unsigned type, int timeout_ms, struct ctl_msg *ret, int *ret_fd, struct err *e)
{
	int r = ctl_expect_any(c, 1u << type, timeout_ms, ret, ret_fd, e);

	return r < 0 ? r : 0;
}
