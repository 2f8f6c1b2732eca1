/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/idmap.h"

#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "base/io.h"
#include "sys/sys.h"

static int write_one(struct procfs *p, pid_t pid, const char *file, const char *lines)
{
	scoped_fd int fd = procfs_process(p, pid, file, O_WRONLY);

	return fd < 0 ? fd : io_write_all(fd, lines, strlen(lines));
}

int idmap_write(struct procfs *p, pid_t pid, const char *uid_map, const char *gid_map)
{
	int r = write_one(p, pid, "uid_map", uid_map);

	return r < 0 ? r : write_one(p, pid, "gid_map", gid_map);
}

int idmap_userns(struct procfs *p, const char *uid_map, const char *gid_map)
{
	int hold[2], r;
	char c;

	if (pipe2(hold, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = sys_fork(CLONE_NEWUSER | SIGCHLD, NULL);
	if (pid == 0) {
		/* Only there to be looked at, until the other end is closed. */
		close(hold[1]);
		while (read(hold[0], &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	close(hold[0]);
	r = pid < 0 ? pid : idmap_write(p, pid, uid_map, gid_map);
	scoped_fd int fd = r < 0 ? r : procfs_process_ns(p, pid, "user");
	close(hold[1]);
	if (pid > 0)
		sys_reap(pid);
	return r < 0 ? r : take_fd(&fd);
}
