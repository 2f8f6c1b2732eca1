/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

ssize_t io_read_fd(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t r = read(fd, buf + n, size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0) {
			buf[n] = '\0';
			return (ssize_t)n;
		}
		n += (size_t)r;
	}
	return -EFBIG;
}

ssize_t io_read_at(int dfd, const char *name, char *buf, size_t size)
{
	scoped_fd int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return io_read_fd(fd, buf, size);
}

int io_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t r = write(fd, p, len);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		p += r;
		len -= (size_t)r;
	}
	return 0;
}

int io_write_once_at(int dfd, const char *name, const void *data, size_t len)
{
	scoped_fd int fd = openat(dfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t r;

	if (fd < 0)
		return -errno;
	do
		r = write(fd, data, len);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == len ? 0 : -EIO;
}

/* A tmpfs is gone after a crash of the machine: syncing it costs a call and gives nothing. */
static bool survives_crash(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) < 0 || (s.f_type != TMPFS_MAGIC && s.f_type != RAMFS_MAGIC);
}

int io_replace_at(int dfd, const char *name, const void *data, size_t len, unsigned mode)
{
	char tmp[4096];
	unsigned long salt = 0;
	int r = 0;

	if (getrandom(&salt, sizeof(salt), GRND_NONBLOCK) < 0)
		return -errno;
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;
	int n = snprintf(tmp, sizeof(tmp), "%.*s.%.64s.%016lx", (int)(base - name), name, base, salt);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	scoped_fd int fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, data, len);
	if (r == 0 && fchmod(fd, (mode_t)mode) < 0)
		r = -errno;
	if (r == 0 && survives_crash(fd) && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dfd, tmp, dfd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dfd, tmp, 0);
	return r;
}
