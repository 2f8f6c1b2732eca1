/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, whole: read at a directory fd, write once, replace atomically. Names are single components or paths of our own making;
 * nothing below a rootfs goes through here (see sys/rootfs.h). */
#ifndef HULL_BASE_IO_H
#define HULL_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/* Read all of `fd` into buf and terminate it. Returns the length, -EFBIG when it doesn't fit in size - 1 bytes, or -errno. */
ssize_t io_read_fd(int fd, char *buf, size_t size);
/* The same of the file `name` at directory `dfd`, opened O_NOFOLLOW|O_NONBLOCK; anything but a regular file
 * is -EINVAL. */
ssize_t io_read_at(int dfd, const char *name, char *buf, size_t size);
/* Write all of `data` to `fd`, retrying short writes and EINTR. Returns 0 or -errno. */
int io_write_all(int fd, const void *data, size_t len);
/* Open the existing file `name` at `dfd` and write `data` with exactly one write(2): what kernel files want. Returns 0 or -errno
 * (-EIO after a short write). */
int io_write_once_at(int dfd, const char *name, const void *data, size_t len);
/* Put a new file with `data` and `mode` at `name`, atomically: temporary file (O_EXCL, a dot name beside it), write, fsync when the file
 * system keeps data over a crash, rename. Returns 0 or -errno; nothing is left behind on failure. */
int io_replace_at(int dfd, const char *name, const void *data, size_t len, unsigned mode);

#endif
