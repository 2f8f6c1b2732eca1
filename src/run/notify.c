/* SPDX-License-Identifier: Apache-2.0 */
#include "run/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"

#define UP_WAIT_MS 1000      /* for a manager whose queue is full */
#define BARRIER_WAIT_MS 5000 /* for it to have read what we sent: as long as systemd-notify(1) waits */
#define WINDOW_MS 1000
#define OUT_MAX (NOTIFY_MESSAGE_MAX + 32)

/* What a service may say of itself (sd_notify(3)). Not in it: MAINPID, MAINPIDFDID, FDSTORE and its like, NOTIFYACCESS, WATCHDOG_USEC, BARRIER, X_…. */
static const struct { const char *name; bool text; } allowed[] = {
	{ "READY", false },  { "RELOADING", false }, { "STOPPING", false }, { "MONOTONIC_USEC", false }, { "STATUS", true },
	{ "ERRNO", false },  { "BUSERROR", false },  { "WATCHDOG", false }, { "EXTEND_TIMEOUT_USEC", false },
};

/* ---- what is passed on ---- */

static bool is_value(const char *s, size_t n, bool text)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
		if (text ? c < 0x20 || c == 0x7f : !word)
			return false;
	}
	return text || n > 0;
}

static bool is_allowed(const char *line, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		size_t key = strlen(allowed[i].name);
		if (n > key && line[key] == '=' && memcmp(line, allowed[i].name, key) == 0)
			return is_value(line + key + 1, n - key - 1, allowed[i].text);
	}
	return false;
}

size_t notify_filter(const char *msg, size_t len, pid_t main_pid, char *out, bool *ret_ready)
{
	struct buf b;

	*ret_ready = false;
	buf_init(&b, out, OUT_MAX);
	for (size_t at = 0, n; at < len; at += n + 1) {
		const char *end = memchr(msg + at, '\n', len - at);
		n = end ? (size_t)(end - msg) - at : len - at;
		if (!is_allowed(msg + at, n))
			continue;
		buf_printf(&b, "%.*s\n", (int)n, msg + at);
		*ret_ready |= n == strlen("READY=1") && memcmp(msg + at, "READY=1", n) == 0;
	}
	if (*ret_ready)
		buf_printf(&b, "MAINPID=%d\n", (int)main_pid);
	return b.overflow ? 0 : b.len;
}

/* Without waiting, but once for a while: what isn't taken is lost, as it would be for the program itself. */
static void send_up(struct notify *n, const char *msg, size_t len)
{
	struct pollfd p = { .fd = n->up_fd, .events = POLLOUT };
	ssize_t r = send(n->up_fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r < 0 && errno == EAGAIN && !n->stuck && poll(&p, 1, UP_WAIT_MS) > 0)
		r = send(n->up_fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0 && !n->stuck)
		log_warn("NOTIFY_SOCKET: the service manager doesn't take what the container says: %s", err_text(errno));
	n->stuck = r < 0;
}

/* One message. A descriptor with it is never ours: without room for control data the kernel drops it, which is also what answers a BARRIER=1.
 * False: nothing there. */
static bool take_one(struct notify *n)
{
	char msg[NOTIFY_MESSAGE_MAX], out[OUT_MAX];
	bool ready;
	ssize_t len = recv(n->down_fd, msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);

	if (len < 0)
		return errno == EINTR;
	n->n_window++;
	size_t out_len = (size_t)len <= sizeof(msg) ? notify_filter(msg, (size_t)len, n->main_pid, out, &ready) : 0;
	if (out_len == 0)
		return true;
	send_up(n, out, out_len);
	n->ready |= ready;
	return true;
}

/* How many more may be taken now. */
static unsigned allowance(struct notify *n)
{
	int64_t now = clock_now_ms();

	if (now - n->window_ms >= WINDOW_MS) {
		n->window_ms = now;
		n->n_window = 0;
	}
	return n->n_window < NOTIFY_RATE ? NOTIFY_RATE - n->n_window : 0;
}

void notify_take(struct notify *n)
{
	for (unsigned left = n->down_fd < 0 ? 0 : allowance(n); left > 0 && take_one(n); left--)
		continue;
}

void notify_poll_set(struct notify *n, struct pollfd *p, int *timeout_ms)
{
	bool open = n->down_fd >= 0, throttled = open && allowance(n) == 0;

	*p = (struct pollfd){ .fd = open && !throttled ? n->down_fd : -1, .events = POLLIN };
	if (throttled && (*timeout_ms < 0 || *timeout_ms > WINDOW_MS))
		*timeout_ms = WINDOW_MS;
}

/* ---- the two ends ---- */

static int fill_address(const char *address, struct sockaddr_un *ret, socklen_t *ret_len, struct err *e)
{
	size_t n = strlen(address);
	bool abstract = address[0] == '@';

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((address[0] != '/' && !abstract) || n < 2)
		return err_set(e, ERR_USAGE, 0, "NOTIFY_SOCKET: \"%s\" — must be an absolute path or @name", address);
	if (n > sizeof(ret->sun_path) - 1)
		return err_set(e, ERR_USAGE, 0, "NOTIFY_SOCKET: \"%s\" — at most %zu bytes", address, sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, address, n);
	if (abstract)
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
	return 0;
}

int notify_check(const char *address, struct err *e)
{
	struct sockaddr_un at;
	socklen_t len;

	return fill_address(address, &at, &len, e);
}

int notify_connect(struct notify *n, const char *address, struct err *e)
{
	struct sockaddr_un at;
	socklen_t len;
	int r = fill_address(address, &at, &len, e);

	if (r < 0)
		return r;
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, -errno, "NOTIFY_SOCKET: make a socket");
	if (connect(fd, (struct sockaddr *)&at, len) < 0)
		return err_sys(e, -errno, "NOTIFY_SOCKET: connect to %s", address);
	n->up_fd = take_fd(&fd);
	return 0;
}

int notify_bind(struct notify *n, int dfd, const char *name, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, -errno, "make the container's notify socket");
	if (unlinkat(dfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, -errno, "remove the old notify socket of the container");
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", dfd, name);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_sys(e, -errno, "bind the container's notify socket");
	/* Whatever user the program runs as. The directory is the state directory's, which nobody else reaches, and read-only in the container. */
	if (fchmodat(dfd, name, 0666, 0) < 0)
		return err_sys(e, -errno, "give the container its notify socket");
	n->down_fd = take_fd(&fd);
	return 0;
}

void notify_close(struct notify *n)
{
	fd_close(&n->up_fd);
	fd_close(&n->down_fd);
}

/* ---- start ---- */

/* The manager finds out which service we belong to by our pid, so we stay until it has read all: it closes the descriptor then (sd_notify_barrier(3)). */
static void await_barrier(struct notify *n)
{
	int ends[2];

	if (n->stuck || pipe2(ends, O_CLOEXEC) < 0)
		return;
	scoped_fd int watch = ends[0];
	struct pollfd p = { .fd = watch };
	int r = fd_send(n->up_fd, "BARRIER=1", strlen("BARRIER=1"), ends[1]);
	close(ends[1]);
	if (r == 0 && poll(&p, 1, BARRIER_WAIT_MS) == 0)
		log_warn("NOTIFY_SOCKET: the service manager hasn't read what it was sent within %d s", BARRIER_WAIT_MS / 1000);
}

int notify_await_ready(struct notify *n, int pidfd, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	bool exited = false;

	while (!n->ready && !exited) {
		struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN } };
		int64_t left = timeout_ms < 0 ? -1 : deadline - clock_now_ms();
		int wait_ms = (int)left;
		if (timeout_ms >= 0 && left <= 0) {
			err_set(e, ERR_STATE, 0, "the program runs, but didn't say READY=1 over NOTIFY_SOCKET within %d ms", timeout_ms);
			return -ETIMEDOUT;
		}
		notify_poll_set(n, &p[1], &wait_ms);
		if (poll(p, ARRAY_LEN(p), wait_ms) < 0 && errno != EINTR)
			return err_sys(e, -errno, "wait for the program to be ready");
		exited = p[0].revents;
		notify_take(n);
	}
	if (n->ready)
		await_barrier(n);
	return 0;
}
