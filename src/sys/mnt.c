/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mnt.h"

#include <string.h>

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
