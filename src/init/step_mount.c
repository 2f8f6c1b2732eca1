/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts: new superblocks, binds, attributes. All by fd, in the order of the configuration. */
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/mnt.h"
#include "sys/rootfs.h"

#define DIR_MODE 0755
#define FILE_MODE 0644

static bool is_link(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* The symbolic link at `path` itself, or -EINVAL where something else is. */
static int open_link(const char *path)
{
	scoped_fd int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : is_link(fd) ? take_fd(&fd) : -EINVAL;
}

/* Host path → detached clone, before the mount namespace changes. */
int step_source(struct init *in, const struct step *s)
{
	uint32_t f = s->u.source.flags;
	bool opened = s->in >= 0;
	int fd = f & SOURCE_COPY_LINK ? open_link(init_str(in, s->u.source.path)) : -EINVAL;

	if (fd >= 0) {
		in->slots[s->out] = fd;
		return 0;
	}
	fd = mnt_clone(opened ? init_slot(in, s->in) : AT_FDCWD, opened ? "" : init_str(in, s->u.source.path),
			   (f & BIND_RECURSIVE ? MNT_CLONE_RECURSIVE : 0u) |
				   (f & SOURCE_NOFOLLOW ? MNT_CLONE_NOFOLLOW : 0u) |
				   (f & SOURCE_KEEP_SHARED ? MNT_CLONE_PEER : 0u));

	if (fd < 0)
		return fd;
	in->slots[s->out] = fd;
	return 0;
}

/* Attach `mnt_fd` at `at_fd` and remember which mount that was, for the look at the end. */
static int attach(struct init *in, const struct step *s, int mnt_fd, int at_fd)
{
	int r = mnt_attach(mnt_fd, at_fd);

	return r < 0 ? r : sys_mount_id(mnt_fd, &in->mount_ids[s - in->steps]);
}

/* Set propagation as the configuration wants it before anything can be mounted there: MS_PRIVATE, MS_SLAVE, with
 * MS_REC. */
static int set_propagation(int fd, uint32_t prop)
{
	return mnt_set(fd, prop & MS_REC, 0, 0, prop & ~(uint32_t)MS_REC);
}

/* What of /proc may be covered is decided in the plan, by name. A link of the image must not lead another
 * destination there: what lies over files of proc could fake what programs, and other runtimes, rely on (SEC-14). */
static int check_place(struct init *in, int at, struct bpath path)
{
	const char *name = init_path(in, path).s;
	struct statfs fs;

	if (fstatfs(at, &fs) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC || streq(name, "/proc") || str_starts(name, "/proc/"))
		return 0;
	return err_set(&in->err, ERR_SYS, ELOOP, "a link of the image leads the destination into /proc");
}

/* The place of a mount that is a directory. proc and sysfs want a real one: what stands behind a link could be
 * prepared (SEC-06). */
static int open_dir(struct init *in, struct bpath at, uint32_t flags, bool *ret_made)
{
	int fd = rootfs_dir(in->root_fd, init_path(in, at), flags & MNT_REAL_DIR ? ROOTFS_NO_SYMLINKS : 0, DIR_MODE,
			    ret_made);

	if ((fd == -ELOOP || fd == -ENOTDIR) && (flags & MNT_REAL_DIR))
		return err_set(&in->err, ERR_SYS, -fd,
			       "the destination must be an ordinary directory without a symbolic link on the way");
	return fd;
}

/* Options as the plan lists them, then the pid namespace. */
static int set_options(struct init *in, const struct step *s, int fs)
{
	const struct blob_mount_opt *o = blob_list(in->b, s->u.mnt.opts);
	const char *source = init_str(in, s->u.mnt.source);
	int r = source ? mnt_new_option(fs, "source", source) : 0;

	for (uint32_t i = 0; i < s->u.mnt.opts.n && r >= 0; i++)
		r = mnt_new_option(fs, init_str(in, o[i].key), init_str(in, o[i].value));
	/* 6.17; the plan refuses such a mount on older kernels. */
	int pidns = s->u.mnt.flags & MNT_PROC_PIDNS ? init_slot(in, s->in) : in->apart.pidns_fd;
	if (r >= 0 && pidns >= 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_FD, "pidns", NULL, pidns);
	return r;
}

int superblock_make(struct init *in, const struct step *s)
{
	scoped_fd int fs = sys_fsopen(init_str(in, s->u.mnt.fstype));

	if (fs < 0)
		return fs;
	int r = set_options(in, s, fs);
	if (r >= 0)
		r = mnt_new_finish(fs, s->u.mnt.attr);
	if (r < 0)
		mnt_message(fs, in->kernel, sizeof(in->kernel));
	return r;
}

int step_superblock(struct init *in, const struct step *s)
{
	int fd = s->u.mnt.flags & MNT_IN_USERNS ? userns_superblock(in, s) : superblock_make(in, s);

	if (fd < 0)
		return fd;
	in->slots[s->out] = fd;
	return 0;
}

/* What it takes from the directory that it covers. One that was `made` just now has nothing, and its mode says nothing. */
static int take_after(struct init *in, const struct step *s, int mnt_fd, int at, bool made)
{
	struct stat st;
	int r = 0;

	if (made)
		return 0;
	if (s->u.mnt.flags & MNT_COVERED_MODE)
		r = fstat(at, &st) < 0 ? -errno : node_chmod(in, mnt_fd, st.st_mode & 07777);
	if (r == 0 && (s->u.mnt.flags & MNT_COPY_UP))
		r = copyup_fill(in, s, at, mnt_fd);
	return r;
}

static const struct {
	const char *key;
	unsigned long flag;
} sb_words[] = {
	{ "ro", MS_RDONLY },	     { "sync", MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC },
	{ "lazytime", MS_LAZYTIME }, { "mand", MS_MANDLOCK },
};

static const struct {
	uint64_t attr;
	unsigned long flag;
} attr_flags[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },	  { MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },		  { MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ MOUNT_ATTR_NOATIME, MS_NOATIME },	  { MOUNT_ATTR_STRICTATIME, MS_STRICTATIME },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME }, { MOUNT_ATTR_NOSYMFOLLOW, 256 /* MS_NOSYMFOLLOW */ },
};

/* iversion and silent are words of mount(2) only. A remount sets all flags of mount and superblock at once, so
 * all that were set before are said again. */
static int remount_legacy(struct init *in, const struct step *s, int mnt_fd)
{
	const struct blob_mount_opt *o = blob_list(in->b, s->u.mnt.opts);
	unsigned long flags = MS_REMOUNT | (s->u.mnt.flags & MNT_LEGACY_IVERSION ? MS_I_VERSION : 0u) |
			      (s->u.mnt.flags & MNT_LEGACY_SILENT ? MS_SILENT : 0u);
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(attr_flags); i++)
		if (s->u.mnt.attr & attr_flags[i].attr)
			flags |= attr_flags[i].flag;
	for (uint32_t i = 0; i < s->u.mnt.opts.n; i++)
		for (size_t k = 0; k < ARRAY_LEN(sb_words); k++)
			if (!o[i].value.off && streq(init_str(in, o[i].key), sb_words[k].key))
				flags |= sb_words[k].flag;
	int r = init_procfs(in);
	if (r < 0)
		return r;
	/* mount(2) takes a name: "N" in our own procfs's directory of our fds, entered by fd. */
	scoped_fd int dir = procfs_self(&in->proc, "fd", O_PATH | O_DIRECTORY);
	if (dir < 0)
		return dir;
	if (fchdir(dir) < 0)
		return -errno;
	snprintf(name, sizeof(name), "%d", mnt_fd);
	r = sys_mount(NULL, name, NULL, flags, NULL);
	return fchdir(in->root_fd) < 0 ? -errno : r;
}

/* The mounts that others ask for again: /dev takes nodes, devpts gives the console. */
static int keep(struct init *in, const struct step *s, int mnt_fd)
{
	int *place = s->u.mnt.flags & MNT_DEV_TMPFS ? &in->dev_fd : s->u.mnt.flags & MNT_DEVPTS ? &in->pts_fd : NULL;

	if (!place)
		return 0;
	int copy = fcntl(mnt_fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	fd_close(place);
	*place = copy;
	return 0;
}

int step_mount(struct init *in, const struct step *s)
{
	int fd = init_slot(in, s->in);
	bool made = false;
	scoped_fd int at = open_dir(in, s->u.mnt.at, s->u.mnt.flags, &made);

	if (at < 0)
		return at;
	int r = check_place(in, at, s->u.mnt.at);
	if (r == 0)
		r = take_after(in, s, fd, at, made);
	if (r == 0)
		r = set_propagation(fd, s->u.mnt.prop);
	if (r == 0 && (s->u.mnt.flags & MNT_LABEL_ROOT))
		r = lsm_label_mount(in, fd);
	if (r == 0)
		r = attach(in, s, fd, at);
	if (r == 0 && (s->u.mnt.flags & (MNT_LEGACY_IVERSION | MNT_LEGACY_SILENT)))
		r = remount_legacy(in, s, fd);
	return r < 0 ? r : keep(in, s, fd);
}

/* A directory for a directory, a file for a file. */
static int open_bind_place(struct init *in, const struct step *s, int source)
{
	struct stat st;
	int fd;

	if (s->u.bind.flags & BIND_AT_NOFOLLOW) {
		fd = rootfs_open(in->root_fd, init_path(in, s->u.bind.at), ROOTFS_NOFOLLOW);
		if (fd >= 0 && is_link(fd))
			return fd;
		fd_close(&fd);
	}
	if (fstat(source, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		fd = open_dir(in, s->u.bind.at, s->u.bind.flags, NULL);
	else
		fd = rootfs_file(in->root_fd, init_path(in, s->u.bind.at), FILE_MODE, DIR_MODE, NULL);
	if ((fd == -ENOTDIR && S_ISDIR(st.st_mode)) || fd == -EISDIR)
		return err_set(&in->err, ERR_SYS, ENOTDIR, "%s is mounted on %s",
			       S_ISDIR(st.st_mode) ? "a directory" : "a file",
			       S_ISDIR(st.st_mode) ? "a file" : "a directory");
	return fd;
}

/* copy-symlink: the link is made once more, wherever it leads in the container. */
static int copy_link(struct init *in, const struct step *s, int link)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return node_link(in, in->root_fd, init_path(in, s->u.bind.at), target);
}

int step_bind(struct init *in, const struct step *s)
{
	int source = init_slot(in, s->in);

	if ((s->u.bind.flags & SOURCE_COPY_LINK) && is_link(source))
		return copy_link(in, s, source);
	scoped_fd int at = open_bind_place(in, s, source);
	int r;

	if (at < 0)
		return at;
	r = check_place(in, at, s->u.bind.at);
	if (r == 0 && s->u.bind.idmap) {
		r = mnt_idmap(source, init_slot(in, s->u.bind.idmap), s->u.bind.flags & BIND_IDMAP_REC, in->kernel, sizeof(in->kernel));
		if (r < 0)
			return err_sys(&in->err, r, "map its ids");
	}
	if (r == 0)
		r = mnt_set(source, false, s->u.bind.set, s->u.bind.clr, 0);
	if (r == 0)
		r = mnt_set(source, true, s->u.bind.rset, s->u.bind.rclr, 0);
	if (r == 0)
		r = set_propagation(source, s->u.bind.prop);
	return r < 0 ? r : attach(in, s, source, at);
}

int step_remount(struct init *in, const struct step *s)
{
	scoped_fd int at = rootfs_open(in->root_fd, init_path(in, s->u.bind.at), 0);
	int r;

	if (at < 0)
		return at;
	r = mnt_set(at, false, s->u.bind.set, s->u.bind.clr, 0);
	if (r == 0)
		r = mnt_set(at, true, s->u.bind.rset, s->u.bind.rclr, 0);
	return r == -EINVAL ? err_set(&in->err, ERR_SYS, EINVAL, "nothing is mounted there") : r;
}

int step_attr(struct init *in, const struct step *s)
{
	return mnt_set(init_slot(in, s->in), s->u.attr.recursive, s->u.attr.set, s->u.attr.clr, 0);
}

int step_propagation(struct init *in, const struct step *s)
{
	if (!s->u.attr.at.off)
		return mnt_set(init_slot(in, s->in), s->u.attr.recursive, 0, 0, s->u.attr.prop);
	scoped_fd int at = rootfs_open(in->root_fd, init_path(in, s->u.attr.at), 0);
	return at < 0 ? at : mnt_set(at, s->u.attr.recursive, 0, 0, s->u.attr.prop);
}
