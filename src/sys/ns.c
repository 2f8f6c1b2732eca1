/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif
/* PROC_USER_INIT_INO of the kernel: the inode of the initial user namespace never changes. */
#define INITIAL_USER_NS_INO 0xEFFFFFFDU
#define NESTED_MAX 33 /* user namespaces one in the other: the kernel makes 32 below the initial one */

int ns_open(const char *path)
{
	scoped_fd int at = open(path, O_PATH | O_CLOEXEC);
	struct statfs fs;

	if (at < 0 || fstatfs(at, &fs) < 0)
		return -errno;
	if (fs.f_type != NSFS_MAGIC)
		return -ENOTTY;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool ns_is_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool ns_is_below(int fd, int userns)
{
	scoped_fd int owner = ioctl(fd, NS_GET_USERNS);

	/* EPERM: not in the caller's user namespace, nor below it. */
	for (int depth = 0; owner >= 0 && depth < NESTED_MAX; depth++) {
		if (ns_is_same(owner, userns))
			return true;
		int parent = ioctl(owner, NS_GET_PARENT);
		fd_close(&owner);
		owner = parent;
	}
	return false;
}

static bool in_initial_user_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USER_NS_INO;
}

bool ns_is_root_of_system(void)
{
	return geteuid() == 0 && (in_initial_user_ns() || faccessat(AT_FDCWD, "/run", W_OK, AT_EACCESS) == 0);
}
