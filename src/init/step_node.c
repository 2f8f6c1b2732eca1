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
#include "sys/mnt.h"
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

int node_chmod(struct init *in, int fd, mode_t mode)
{
	int r = procfs_chmod(&in->proc, fd, mode);

	if (r != -EBADF)
		return r;
	/* No fchmodat2 before 6.6: by our procfs, which is made now. */
	r = init_procfs(in);
	return r < 0 ? r : procfs_chmod(&in->proc, fd, mode);
}

static int own(struct init *in, int fd, const struct step *s)
{
	mode_t mode = s->u.node.mode & 07777;
	uint32_t uid = s->u.node.uid == ID_ROOT ? in->apart.root_uid : s->u.node.uid;
	uint32_t gid = s->u.node.gid == ID_ROOT ? in->apart.root_gid : s->u.node.gid;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!same_node(&st, s) || st.st_nlink != 1)
		return err_set(&in->err, ERR_SYS, EEXIST, "it was exchanged while it was made");
	if ((st.st_uid != uid || st.st_gid != gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	return (st.st_mode & 07777) == mode ? 0 : node_chmod(in, fd, mode);
}

static bool is_roots(uint32_t id)
{
	return id == 0 || id == ID_ROOT;
}

/* Make the node, as nobody may use it before it belongs to whom it should. */
static int make_node(struct init *in, int dir, const char *name, const struct step *s)
{
	mode_t type = s->u.node.mode & S_IFMT;
	mode_t mode = is_roots(s->u.node.uid) && is_roots(s->u.node.gid) ? s->u.node.mode & 07777 : 0;

	if (mknodat(dir, name, type | mode, is_device(type) ? makedev(s->u.node.major, s->u.node.minor) : 0) < 0)
		return -errno;
	scoped_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : own(in, fd, s);
}

static void node_name(char buf[16], uint32_t index)
{
	snprintf(buf, 16, "%u", index);
}

static bool is_cloned(const struct step *s)
{
	return s->op == STEP_NODE && (s->u.node.flags & (NODE_CLONE | NODE_HOST)) == NODE_CLONE;
}

static int clone_each(struct init *in, int tmp)
{
	char name[16];

	for (uint32_t i = 0; i < in->b->steps.n; i++) {
		if (!is_cloned(&in->steps[i]))
			continue;
		node_name(name, i);
		int r = in->slots[in->steps[i].out] = mnt_clone(tmp, name, MNT_CLONE_NOFOLLOW);
		if (r < 0)
			return r;
	}
	return 0;
}

/* No node can be made in a user namespace, and none works on its file systems. So they are made on a tmpfs of our own, with the caller's rights, and each is bound to its
 * place: inodes of this container, with owner and mode as they were asked for. Before 6.15 a detached mount can't be cloned: the tmpfs lies on the root for a moment. */
static int make_all(struct init *in)
{
	static const struct mnt_option opts[] = { { "source", "tmpfs" }, { "mode", "0755" } };
	char name[16];
	int r = 0;

	in->node_fd = mnt_new("tmpfs", opts, ARRAY_LEN(opts), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, NULL, 0);
	if (in->node_fd < 0)
		return in->node_fd;
	for (uint32_t i = 0; i < in->b->steps.n && r == 0; i++) {
		node_name(name, i);
		r = is_cloned(&in->steps[i]) ? make_node(in, in->node_fd, name, &in->steps[i]) : 0;
	}
	if (r == 0)
		r = mnt_attach(in->node_fd, in->root_fd);
	if (r < 0)
		return r;
	r = clone_each(in, in->node_fd);
	if (fchdir(in->node_fd) < 0)
		return -errno;
	int u = sys_umount(".", SYS_UMOUNT_DETACH);
	if (u < 0)
		return u;
	return fchdir(in->root_fd) < 0 ? -errno : r;
}

/* It keeps the host's mode and owner, whatever the configuration says. */
static int check_host_node(struct init *in, const struct step *s)
{
	mode_t mode = s->u.node.mode & 07777;
	struct stat st;

	if (fstat(init_slot(in, s->out), &st) < 0)
		return -errno;
	if (!same_node(&st, s))
		return err_set(&in->err, ERR_SYS, ENODEV, "the host's node of that name is another one");
	if (mode && (st.st_mode & 07777) != mode)
		log_warn("%s: the host's node %s has mode %04o, not %04o: it is not changed", init_str(in, s->origin), init_path(in, s->u.node.at).s,
			 (unsigned)(st.st_mode & 07777), (unsigned)mode);
	return 0;
}

static int bind_node(struct init *in, int dir, const char *name, const struct step *s)
{
	bool host = s->u.node.flags & NODE_HOST;
	int r = host ? check_host_node(in, s) : in->node_fd < 0 ? make_all(in) : 0;

	if (r < 0)
		return r;
	if (mknodat(dir, name, S_IFREG, 0) < 0)
		return errno == EEXIST ? accept_existing(in, dir, name, s) : -errno;
	scoped_fd int at = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return at < 0 ? -errno : mnt_attach(init_slot(in, s->out), at);
}

int step_node(struct init *in, const struct step *s)
{
	char name[ROOTFS_NAME_MAX];
	struct ctr_path at = init_path(in, s->u.node.at);

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
	if (s->u.node.flags & NODE_CLONE)
		return bind_node(in, dir, name, s);
	int r = make_node(in, dir, name, s);
	return r == -EEXIST ? accept_existing(in, dir, name, s) : r;
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

int node_link(struct init *in, int root, struct ctr_path at, const char *target)
{
	char name[ROOTFS_NAME_MAX], is[PATH_MAX];
	scoped_fd int dir = rootfs_parent(root, at, PARENT_MODE, name);

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

int step_link(struct init *in, const struct step *s)
{
	const char *target = init_str(in, s->u.link.target);

	if ((s->u.link.flags & LINK_IF_TARGET) && target[0] == '/' && !has_target(in, target))
		return 0;
	return node_link(in, init_slot(in, s->in), init_path(in, s->u.link.at), target);
}
