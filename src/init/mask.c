/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths. What lies over a masked path is an inode of this create, on a tmpfs of its own:
 * neither the host's /dev/null (whose mode the container could change) nor the container's (which may be
 * anything) (attacks-tried H17, CVE-2025-31133). */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/mnt.h"
#include "sys/rootfs.h"

#define MASK_ATTR (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define NULL_DEV makedev(1, 3)

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == NULL_DEV;
}

/* A detached tmpfs for one inode; with the container's mount label, or it could not even see that nothing is there. */
static int make_tmpfs(struct init *in, uint64_t attr, bool ro)
{
	struct mnt_option opts[5] = { { "source", "tmpfs" }, { "nr_inodes", "2" }, { "mode", "0555" } };
	const char *label = init_str(in, in->fin->mount_label);
	size_t n = 3;

	if (label)
		opts[n++] = (struct mnt_option){ "context", label };
	if (ro)
		opts[n++] = (struct mnt_option){ "ro", NULL };
	return mnt_new("tmpfs", opts, n, attr, NULL, 0);
}

/* A tmpfs with nothing but the node "null" on it, detached. */
static int make_null_tmpfs(struct init *in)
{
	scoped_fd int fd = make_tmpfs(in, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false);

	if (fd < 0)
		return fd;
	return mknodat(fd, "null", S_IFCHR | 0666, NULL_DEV) < 0 ? -errno : take_fd(&fd);
}

/* The node on our own /dev, or -errno. Another mount may lie on it: then it isn't ours. */
static int open_dev_null(struct init *in, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	struct open_how look = how;

	if (in->dev_fd < 0)
		return -ENOENT;
	look.flags = O_PATH | O_CLOEXEC;
	scoped_fd int probe = sys_openat2(in->dev_fd, "null", &look);
	if (probe < 0)
		return probe;
	if (!is_null(probe))
		return -ENODEV;
	return flags & O_PATH ? take_fd(&probe) : sys_openat2(in->dev_fd, "null", &how);
}

int mask_null(struct init *in, int flags)
{
	int fd = open_dev_null(in, flags);

	if (fd >= 0)
		return fd;
	scoped_fd int tmp = make_null_tmpfs(in);
	if (tmp < 0)
		return tmp;
	fd = openat(tmp, "null", flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* In a user namespace the host's, whose owner isn't anybody there. It is taken once; the next masks are clones of the first. */
static int take_host_null(struct init *in)
{
	scoped_fd int fd = in->slots[in->b->null_slot];

	in->slots[in->b->null_slot] = -1;
	if (fd < 0 || !is_null(fd))
		return err_set(&in->err, ERR_SYS, ENODEV, "the host's /dev/null is not the null device");
	return take_fd(&fd);
}

/* A detached mount of a null node. Without a /dev of ours the node's tmpfs is attached over the root for as long
 * as it takes to clone from it: before 6.15 a detached mount can't be cloned. */
static int clone_null(struct init *in)
{
	if (in->b->null_slot >= 0)
		return take_host_null(in);
	scoped_fd int dev = open_dev_null(in, O_PATH);
	if (dev >= 0)
		return mnt_clone(dev, "", 0);
	scoped_fd int tmp = make_null_tmpfs(in);
	if (tmp < 0)
		return tmp;
	int r = mnt_attach(tmp, in->root_fd);
	if (r < 0)
		return r;
	scoped_fd int clone = mnt_clone(tmp, "null", MNT_CLONE_NOFOLLOW);
	if (fchdir(tmp) < 0)
		return -errno;
	r = sys_umount(".", SYS_UMOUNT_DETACH);
	if (r < 0)
		return r;
	if (fchdir(in->root_fd) < 0)
		return -errno;
	return clone < 0 ? clone : take_fd(&clone);
}

/* The mount for one mask: the first of its kind is made and attached, the next are clones of the attached one (a
 * detached mount that is dropped costs more than one that is used). */
static int mask_mount(struct init *in, bool dir)
{
	int *first = dir ? &in->mask_dir_fd : &in->mask_file_fd;
	scoped_fd int fd = *first >= 0 ? mnt_clone(*first, "", 0) : dir ? make_tmpfs(in, MASK_ATTR, true) : clone_null(in);

	if (fd < 0)
		return fd;
	if (*first >= 0)
		return take_fd(&fd);
	if (!dir) {
		int r = mnt_set(fd, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
				MOUNT_ATTR_NODEV, 0);
		if (r < 0)
			return r;
	}
	*first = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *first < 0 ? -errno : take_fd(&fd);
}

int step_mask(struct init *in, const struct step *s)
{
	scoped_fd int at = rootfs_open(in->root_fd, init_path(in, s->u.path.at), 0);
	struct stat st;

	if (at < 0)
		return at;
	if (fstat(at, &st) < 0)
		return -errno;
	scoped_fd int fd = mask_mount(in, S_ISDIR(st.st_mode));
	if (fd < 0)
		return fd;
	int r = mnt_attach(fd, at);
	return r < 0 ? r : sys_mount_id(fd, &in->mount_ids[s - in->steps]);
}

/* A clone of what is there, with everything below it, read-only, over itself. */
int step_rdonly(struct init *in, const struct step *s)
{
	scoped_fd int at = rootfs_open(in->root_fd, init_path(in, s->u.path.at), 0);

	if (at < 0)
		return at;
	scoped_fd int fd = mnt_clone(at, "", MNT_CLONE_RECURSIVE);
	if (fd < 0)
		return fd;
	int r = mnt_set(fd, true, MOUNT_ATTR_RDONLY, 0, 0);
	if (r == 0)
		r = mnt_attach(fd, at);
	return r < 0 ? r : sys_mount_id(fd, &in->mount_ids[s - in->steps]);
}
