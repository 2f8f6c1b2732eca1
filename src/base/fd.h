/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: scope owns them, take_fd gives them away. Every fd is CLOEXEC from birth. */
#ifndef HULL_BASE_FD_H
#define HULL_BASE_FD_H

#include <errno.h>
#include <unistd.h>

static inline void fd_close_scoped(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

/* `scoped_fd int fd = open(...)`: closed at the end of the scope unless taken. */
#define scoped_fd __attribute__((cleanup(fd_close_scoped)))

static inline int take_fd(int *fd)
{
	int r = *fd;

	*fd = -EBADF;
	return r;
}

/* Close *fd if it is open and forget it. */
static inline void fd_close(int *fd)
{
	fd_close_scoped(fd);
	*fd = -EBADF;
}

/* Send `len` bytes (1 or more) and, when `fd` is not negative, one descriptor over the UNIX socket `sock`. Returns 0 or -errno. */
int fd_send(int sock, const void *data, size_t len, int fd);
/* Receive one message of up to `size` bytes and at most one descriptor (CLOEXEC; -1 when none came). More than one descriptor is
 * -EPROTO and all of them are closed. Returns the number of bytes, 0 at end of file, or -errno. */
ssize_t fd_recv(int sock, void *data, size_t size, int *ret_fd, int flags);
/* fd_recv() on `sock` gives up after `ms` milliseconds: -EAGAIN (SO_RCVTIMEO, socket(7)). */
int fd_set_patience(int sock, unsigned ms);
/* Set or clear FD_CLOEXEC. Returns 0 or -errno. */
int fd_set_cloexec(int fd, int on);

#endif
