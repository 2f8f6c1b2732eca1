/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/procfs.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "sys/mnt.h"
#include "sys/sys.h"

#define PROC_ROOT_INO 1
#define FD_NAME_MAX 24

/* Without symbolic links and without crossing a mount (NO_XDEV), so that nothing can stand in for the file that
 * is asked for. */
static int look(int dfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	int fd = -EAGAIN;

	for (unsigned i = 0; i < 128 && fd == -EAGAIN; i++)
		fd = sys_openat2(dfd, path, &how);
	return fd;
}

int procfs_adopt(struct procfs *ret, int root_fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(root_fd, &fs) < 0 || fstat(root_fd, &st) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return -ENODEV;
	*ret = (struct procfs){ root_fd, -1 };
	return 0;
}

int procfs_open(struct procfs *ret, bool pid_only, int fallback_fd)
{
	static const struct mnt_option only_pids = { "subset", "pid" };
	int fd = mnt_new("proc", &only_pids, pid_only ? 1 : 0,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, 0);

	if (fd >= 0) {
		*ret = (struct procfs){ fd, -1 };
		return 0;
	}
	if ((fd != -EACCES && fd != -EPERM) || fallback_fd < 0)
		return fd;
	scoped_fd int copy = fcntl(fallback_fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	int r = procfs_adopt(ret, copy);
	if (r == 0)
		take_fd(&copy);
	return r;
}

void procfs_close(struct procfs *p)
{
	fd_close(&p->self_fd);
	fd_close(&p->root_fd);
	*p = PROCFS_NONE;
}

/* "self" is a symbolic link to the pid as that procfs sees it, which we may not know ourselves. */
static int self_dir(struct procfs *p)
{
	char pid[FD_NAME_MAX];
	ssize_t n;

	if (p->self_fd >= 0)
		return p->self_fd;
	if (p->root_fd < 0)
		return -EBADF;
	n = readlinkat(p->root_fd, "self", pid, sizeof(pid) - 1);
	if (n < 0)
		return -errno;
	pid[n] = '\0';
	int fd = look(p->root_fd, pid, O_PATH | O_DIRECTORY);
	if (fd >= 0)
		p->self_fd = fd;
	return fd;
}

int procfs_self(struct procfs *p, const char *name, int flags)
{
	int dfd = self_dir(p);

	return dfd < 0 ? dfd : look(dfd, name, flags);
}

/* Through the magic link `name` in `dir` of our own process. First the link itself is looked at: a mount on it is
 * refused; what is not there now can't be put there, because nobody else mounts in the mount namespace that we
 * stand in, or on a procfs that no path leads to. */
static int through_link(struct procfs *p, const char *dir, const char *name, int flags)
{
	scoped_fd int dfd = procfs_self(p, dir, O_PATH | O_DIRECTORY);

	if (dfd < 0)
		return dfd;
	scoped_fd int link = look(dfd, name, O_PATH | O_NOFOLLOW);
	if (link < 0)
		return link;
	int fd = openat(dfd, name, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int procfs_ns(struct procfs *p, const char *name)
{
	return through_link(p, "ns", name, O_RDONLY);
}

int procfs_process(struct procfs *p, pid_t pid, const char *name, int flags)
{
	char path[FD_NAME_MAX + 32];

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	return look(p->root_fd, path, flags);
}

int procfs_process_ns(struct procfs *p, pid_t pid, const char *name)
{
	scoped_fd int dfd = procfs_process(p, pid, "ns", O_PATH | O_DIRECTORY);

	if (dfd < 0)
		return dfd;
	int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int procfs_reopen(struct procfs *p, int fd, int flags)
{
	char name[FD_NAME_MAX];

	snprintf(name, sizeof(name), "%d", fd);
	return through_link(p, "fd", name, flags | O_NOCTTY | O_NONBLOCK);
}

int procfs_sysctl(struct procfs *p, const char *name, int flags)
{
	scoped_fd int dfd = look(p->root_fd, "sys", O_PATH | O_DIRECTORY);

	return dfd < 0 ? dfd : look(dfd, name, flags);
}

int procfs_chmod(struct procfs *p, int fd, mode_t mode)
{
	int r = sys_fchmodat2(fd, "", mode, AT_EMPTY_PATH);
	char name[FD_NAME_MAX];

	if (r != -ENOSYS && r != -EPERM)
		return r;
	/* Before 6.6, or under a filter that doesn't know the call: by the magic link of the same fd. */
	scoped_fd int dfd = procfs_self(p, "fd", O_PATH | O_DIRECTORY);
	if (dfd < 0)
		return dfd;
	snprintf(name, sizeof(name), "%d", fd);
	return fchmodat(dfd, name, mode, 0) < 0 ? -errno : 0;
}
