/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, device nodes, links. A thing is made once by name and then handled by the fd that names it: a
 * neighbour who exchanges it for a link to a host file would else have that file's mode changed (attacks-tried
 * H1). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/rootfs.h"

#define PARENT_MODE 0755

int step_dir(struct init *in, const struct step *s)
{
	scoped_fd int fd = rootfs_dir(init_slot(in, s->in), init_path(in, s->u.dir.at), 0, s->u.dir.mode, NULL);

	return fd < 0 ? fd : 0;
}

static bool is_device(mode_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

static bool same_node(const struct stat *st, const struct step *s)
{
	mode_t type = s->u.node.mode & S_IFMT;

	return (st->st_mode & S_IFMT) == type &&
	       (!is_device(type) || st->st_rdev == makedev(s->u.node.major, s->u.node.minor));
}

/* A mount of the configuration that lies on the node's place ("-v /dev/urandom:/dev/random") was asked for as
 * well. */
static bool is_mounted_over(int dir, int fd)
{
	uint64_t a, b;

	return sys_mount_id(dir, &a) == 0 && sys_mount_id(fd, &b) == 0 && a != b;
}

/* What is there already is used when it is what is asked for, and then not changed; anything else is an error
 * (config-linux.md, Devices). */
static int accept_existing(struct init *in, int dir, const char *name, const struct step *s)
{
	scoped_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (same_node(&st, s) || is_mounted_over(dir, fd))
		return 0;
	return err_set(&in->err, ERR_SYS, EEXIST, "something else is there");
}

static int own(struct init *in, int fd, const struct step *s)
{
	mode_t mode = s->u.node.mode & 07777;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!same_node(&st, s) || st.st_nlink != 1)
		return err_set(&in->err, ERR_SYS, EEXIST, "it was exchanged while it was made");
	if ((st.st_uid != s->u.node.uid || st.st_gid != s->u.node.gid) &&
	    fchownat(fd, "", s->u.node.uid, s->u.node.gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if ((st.st_mode & 07777) == mode)
		return 0;
	r = procfs_chmod(&in->proc, fd, mode);
	if (r == -EBADF) {
		/* No fchmodat2 before 6.6: by our procfs, which is made now. */
		r = init_procfs(in);
		if (r == 0)
			r = procfs_chmod(&in->proc, fd, mode);
	}
	return r;
}

int step_node(struct init *in, const struct step *s)
{
	char name[ROOTFS_NAME_MAX];
	struct ctr_path at = init_path(in, s->u.node.at);
	mode_t type = s->u.node.mode & S_IFMT;
	/* Nobody may use it before it belongs to whom it should. */
	mode_t mode = s->u.node.uid == 0 && s->u.node.gid == 0 ? s->u.node.mode & 07777 : 0;

	if (s->u.node.flags & NODE_FOREIGN) {
		scoped_fd int there = rootfs_open(init_slot(in, s->in), at, 0);
		struct stat st;
		if (there < 0)
			return there;
		if (fstat(there, &st) < 0)
			return -errno;
		return same_node(&st, s) ? 0 : err_set(&in->err, ERR_SYS, EEXIST, "something else is there");
	}
	scoped_fd int dir = rootfs_parent(init_slot(in, s->in), at, PARENT_MODE, name);
	if (dir < 0)
		return dir;
	if (mknodat(dir, name, type | mode, is_device(type) ? makedev(s->u.node.major, s->u.node.minor) : 0) < 0)
		return errno == EEXIST ? accept_existing(in, dir, name, s) : -errno;
	scoped_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : own(in, fd, s);
}

/* Does the link's target exist in the container? Absolute targets only: others count from the link's place. Below
 * /proc/self it depends on who looks (S has no place in a joined pid namespace's proc), so there it is enough
 * that the name is. */
static bool has_target(struct init *in, const char *target)
{
	struct ctr_path path = { str_starts(target, "/proc/self/") ? "/proc/self" : target };
	scoped_fd int fd = rootfs_open(in->root_fd, path, ROOTFS_NOFOLLOW);

	return fd >= 0;
}

int step_link(struct init *in, const struct step *s)
{
	const char *target = init_str(in, s->u.link.target);
	char name[ROOTFS_NAME_MAX], is[PATH_MAX];

	if ((s->u.link.flags & LINK_IF_TARGET) && target[0] == '/' && !has_target(in, target))
		return 0;
	scoped_fd int dir = rootfs_parent(init_slot(in, s->in), init_path(in, s->u.link.at), PARENT_MODE, name);
	if (dir < 0)
		return dir;
	if (symlinkat(target, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	ssize_t n = readlinkat(dir, name, is, sizeof(is) - 1);
	if (n >= 0) {
		is[n] = '\0';
		if (streq(is, target))
			return 0;
	}
	return err_set(&in->err, ERR_SYS, EEXIST, "something else is there");
}
