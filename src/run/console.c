/* SPDX-License-Identifier: Apache-2.0 */
/* Handing a terminal's master (or a pidfd) to whoever listens at --console-socket. */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

/* A listener that takes longer to accept or to read is taken for dead. */
#define SOCKET_DEADLINE_MS 10000
#define CONNECT_RETRY_MS 10
/* The multiplexer's device number: its open file is a master (devices.txt). */
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

int console_check(int fd, struct err *e)
{
	struct statfs fs;
	struct stat st;
	unsigned n;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_sys(e, -errno, "look at the container's terminal");
	bool is_ptmx = S_ISCHR(st.st_mode) && st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR);
	if (!is_ptmx || (unsigned long)fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ERR_PEER, 0,
			       "what came as the container's terminal is not the multiplexer of a devpts");
	if (ioctl(fd, TIOCGPTN, &n) < 0)
		return err_sys(e, -errno, "what came as the container's terminal is not a master");
	return 0;
}

/* A full backlog is EAGAIN, and no poll tells when it has room (unix(7)): ask again until the deadline. */
static int connect_in_time(int sock, const struct sockaddr_un *at)
{
	const struct timespec pause = { .tv_nsec = CONNECT_RETRY_MS * 1000000L };
	int64_t deadline = clock_now_ms() + SOCKET_DEADLINE_MS;

	while (connect(sock, (const struct sockaddr *)at, sizeof(*at)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (clock_now_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int console_connect(const char *path, const char *option, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	/* sun_path has 108 bytes, paths don't: the socket's inode is held and connected to through its descriptor. */
	scoped_fd int inode = open(path, O_PATH | O_CLOEXEC);

	if (inode < 0)
		return err_sys(e, -errno, "%s: open %s", option, path);
	if (fstat(inode, &st) < 0)
		return err_sys(e, -errno, "%s: stat %s", option, path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_USAGE, 0, "%s: %s is not a socket", option, path);
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d", inode);
	scoped_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return err_sys(e, -errno, "%s: make a socket", option);
	int r = connect_in_time(sock, &at);
	if (r < 0)
		return err_sys(e, r, "%s: connect to %s", option, path);
	return take_fd(&sock);
}

int console_send(int sock, int fd, const char *text, const char *what, struct err *e)
{
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	int64_t deadline = clock_now_ms() + SOCKET_DEADLINE_MS;
	/* A message without a byte would be no message on a stream. */
	size_t len = *text ? strlen(text) : 1;
	int r;

	while ((r = fd_send(sock, text, len, fd)) == -EAGAIN) {
		int64_t left = deadline - clock_now_ms();
		if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR)) {
			r = left <= 0 ? -ETIMEDOUT : -errno;
			break;
		}
	}
	return r < 0 ? err_sys(e, r, "send %s over its socket", what) : 0;
}
