/* SPDX-License-Identifier: Apache-2.0 */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"

/* A rename would silently take the place of /dev/stdout, a FIFO or a socket that somebody gave as pid file. */
static int check_target(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0;
	return err_set(e, ERR_USAGE, S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
		       "--pid-file: %s exists and is not a regular file", path);
}

/* Beside the file itself, or rename(2) would cross file systems. */
static int temporary_name(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;
	unsigned long salt = 0;

	if (getrandom(&salt, sizeof(salt), GRND_NONBLOCK) < 0)
		return -errno;
	int n = snprintf(buf, size, "%.*s.hull-pid.%016lx", dir, path, salt);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* No fsync, unlike io_replace_at: after a crash of the machine the pid means nothing, and the call can take longer
 * than the whole start. */
int pidfile_write(const char *path, pid_t pid, struct err *e)
{
	char tmp[4096], text[NUM_U64_MAX_CHARS];
	int r = check_target(path, e);

	if (r < 0)
		return r;
	r = temporary_name(path, tmp, sizeof(tmp));
	if (r < 0)
		return err_sys(e, r, "--pid-file: write %s", path);
	scoped_fd int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, -errno, "--pid-file: write %s", path);
	r = io_write_all(fd, text, num_print_u64(text, (uint64_t)pid));
	/* The caller's umask is none of the reader's business. */
	if (r == 0 && fchmod(fd, 0644) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlink(tmp);
	return err_sys(e, r, "--pid-file: write %s", path);
}
