/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mnt.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "sys/sys.h"

int mnt_clone(int dfd, const char *path, unsigned flags)
{
	unsigned how = OPEN_TREE_CLONE | (path[0] ? 0u : (unsigned)AT_EMPTY_PATH) |
		       (flags & MNT_CLONE_RECURSIVE ? AT_RECURSIVE : 0u) |
		       (flags & MNT_CLONE_NOFOLLOW ? (unsigned)AT_SYMLINK_NOFOLLOW : 0u);
	struct mount_attr attr = { .propagation = MS_SLAVE };
	scoped_fd int fd = sys_open_tree(dfd, path, how);
	int r;

	if (fd < 0)
		return fd;
	if (flags & MNT_CLONE_PEER)
		return take_fd(&fd);
	r = sys_mount_setattr(fd, "", (unsigned)AT_EMPTY_PATH | AT_RECURSIVE, &attr);
	return r < 0 ? r : take_fd(&fd);
}

int mnt_attach(int mnt_fd, int at_fd)
{
	return sys_move_mount(mnt_fd, "", at_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mnt_set(int fd, bool recursive, uint64_t set, uint64_t clr, uint64_t prop)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clr, .propagation = prop };

	if (!set && !clr && !prop)
		return 0;
	return sys_mount_setattr(fd, "", (unsigned)AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &attr);
}

/* Since when ids can be mapped on a file system (fs/…: FS_ALLOW_IDMAP). */
static const struct { long magic; const char *name, *since; } idmap_fs[] = {
	{ 0xef53, "ext4", "5.12" },	   { 0x58465342, "xfs", "5.12" },     { 0x4d44, "vfat", "5.12" },     { 0x9123683e, "btrfs", "5.15" },
	{ 0x65735546, "fuse", "6.12, where its server allows it" },		      { 0x01021994, "tmpfs", "6.3" },    { 0xe0f5e1e2, "erofs", "5.19" },
	{ 0xf2f52010, "f2fs", "5.18" },	   { 0x794c7630, "overlay", "5.19, by its layers" }, { 0x73717368, "squashfs", "6.2" }, { 0xc36400, "ceph", "6.7" },
	{ 0x6969, "nfs", NULL },	   { 0xff534d42, "cifs", NULL },      { 0x01021997, "9p", NULL },     { 0x9fa0, "proc", NULL },
	{ 0x62656572, "sysfs", NULL },	   { 0x63677270, "cgroup2", NULL },   { 0x27e0eb, "cgroup", NULL },
};

static void explain_idmap(int fd, int r, char *why, size_t size)
{
	struct statfs fs = { 0 };
	struct utsname u = { 0 };
	const char *since = "", *name = NULL;

	fstatfs(fd, &fs);
	uname(&u);
	for (size_t i = 0; i < ARRAY_LEN(idmap_fs); i++)
		if ((unsigned long)fs.f_type == (unsigned long)idmap_fs[i].magic) {
			name = idmap_fs[i].name;
			since = idmap_fs[i].since;
		}
	if (r == -EPERM)
		snprintf(why, size, "%s, Linux %s: mapped already, or another user namespace's", name ? name : "file system", u.release);
	else if (!name)
		snprintf(why, size, "file system 0x%lx can't do it on Linux %s", (unsigned long)fs.f_type, u.release);
	else if (!since)
		snprintf(why, size, "%s can't do it on any kernel (this is Linux %s)", name, u.release);
	else
		snprintf(why, size, "%s (or what is mounted below) can't do it on Linux %s; since %s", name, u.release, since);
}

int mnt_idmap(int fd, int userns_fd, bool recursive, char *why, size_t why_size)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)(unsigned)userns_fd };
	int r = sys_mount_setattr(fd, "", (unsigned)AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &attr);

	if (r == -EINVAL || r == -EPERM || r == -EOPNOTSUPP)
		explain_idmap(fd, r, why, why_size);
	return r;
}

int mnt_new_option(int fs_fd, const char *key, const char *value)
{
	return sys_fsconfig(fs_fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}

int mnt_new_finish(int fs_fd, uint64_t attr)
{
	int r = sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);

	return r < 0 ? r : sys_fsmount(fs_fd, attr);
}

void mnt_message(int fs_fd, char *buf, size_t size)
{
	char line[256];
	ssize_t n;

	buf[0] = '\0';
	/* One message a read: "e text", also "w" and "i". */
	while ((n = read(fs_fd, line, sizeof(line) - 1)) > 0) {
		size_t len = (size_t)n;
		while (len && line[len - 1] == '\n')
			len--;
		if (len < 3 || line[0] != 'e')
			continue;
		len = len - 2 < size - 1 ? len - 2 : size - 1;
		memcpy(buf, line + 2, len);
		buf[len] = '\0';
		return;
	}
}

int mnt_new(const char *type, const struct mnt_option *opts, size_t n, uint64_t attr, char *kernel, size_t kernel_size)
{
	scoped_fd int fs = sys_fsopen(type);
	int r = fs;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = mnt_new_option(fs, opts[i].key, opts[i].value);
	if (r >= 0)
		r = mnt_new_finish(fs, attr);
	if (r < 0 && fs >= 0 && kernel)
		mnt_message(fs, kernel, kernel_size);
	return r;
}

int mnt_tree_stays(void)
{
	scoped_fd int tree = mnt_new("tmpfs", NULL, 0, 0, NULL, 0);
	scoped_fd int upper = tree < 0 ? tree : mnt_new("tmpfs", NULL, 0, 0, NULL, 0);
	struct stat mounted, seen;

	if (upper < 0)
		return upper;
	if (mkdirat(tree, "d", 0700) < 0 || fstat(upper, &mounted) < 0)
		return -errno;
	scoped_fd int at = openat(tree, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int root = at < 0 ? -1 : openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	int r = mnt_attach(upper, at);
	/* Before 6.15 nothing can be mounted in a detached tree. */
	if (r < 0)
		return r == -EINVAL ? 1 : r;
	fd_close(&upper);
	fd_close(&tree);
	return fstatat(root, "d", &seen, 0) < 0 ? -errno : seen.st_dev == mounted.st_dev;
}
