/* SPDX-License-Identifier: Apache-2.0 */
/* tmpcopyup: what the covered directory holds is copied into the new tmpfs before that is attached over it. The
 * directory is the image's or a neighbour's: it may hold FIFOs, devices and links, be as deep and as long as its
 * owner likes, and change while it is read (attacks-tried H18). So every name is looked up once, as a descriptor
 * that opens nothing (O_PATH), its type is asked of that descriptor, and only regular files and directories are
 * opened, through it. Links are copied, never followed; nothing leads upwards; other mounts are not entered.
 *
 * The copy is bounded by the size of the tmpfs, and its pages count for the container's cgroup. */
#include "init/init.h"

#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/io.h"
#include "sys/rootfs.h"

#define LEVELS_MAX 64 /* directories in each other, with the covered one */
#define ENTRIES_SIZE 4096
#define BUF_SIZE ((size_t)64 << 10) /* also the longest list and the longest value of attributes that the kernel has */
#define ATTR_NAME_MAX 255 /* XATTR_NAME_MAX */
#define PATH_SHOWN 400     /* of a path in a warning */
#define DIR_MODE 0700
#define FILE_MODE 0600

/* struct linux_dirent64 of getdents64(2). */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* A directory that is being copied. */
struct level {
	_Alignas(struct entry) char entries[ENTRIES_SIZE];
	size_t at, len;  /* in `entries`: the next one, the end */
	size_t path_len; /* of the directory itself in copy.path */
	int from, to;
};

/* What isn't copied: the first one by name, the others by number. */
struct left_out {
	unsigned n;
	char first[ATTR_NAME_MAX + 32 + PATH_SHOWN];
};

struct copy {
	struct init *in;
	uint64_t mount_id; /* of the covered directory */
	struct left_out things, attrs;
	char path[LEVELS_MAX * ROOTFS_NAME_MAX + PATH_MAX]; /* of what is copied right now, for messages */
	char names[BUF_SIZE + 1];
	char buf[BUF_SIZE];
	size_t depth;
	struct level level[LEVELS_MAX];
};

static int fail(struct copy *c, int r)
{
	return err_sys(&c->in->err, r, "copy %s into it", c->path);
}

static void leave_out(struct copy *c, struct left_out *l, const char *what)
{
	if (l->n++ == 0)
		snprintf(l->first, sizeof(l->first), "%s %.*s", what, PATH_SHOWN, c->path);
}

/* One line of warning for each kind, however much there is. */
static void tell_left_out(const struct copy *c, const struct step *s, const struct left_out *l)
{
	const char *origin = init_str(c->in, s->origin);

	if (l->n > 1)
		log_warn("%s: tmpcopyup leaves out %s, and %u more", origin, l->first, l->n - 1);
	else if (l->n)
		log_warn("%s: tmpcopyup leaves out %s", origin, l->first);
}

/* ---- attributes ---- */

enum attr_rule {
	ATTR_DROP,  /* gives rights (file capabilities) or has a meaning to the old file system only (trusted) */
	ATTR_KEEP,  /* left out with a warning where tmpfs doesn't have it (user: before 6.6) */
	ATTR_LABEL, /* a mount with context= has one label for all */
	ATTR_MUST,  /* without its ACL, the file's group would get the rights of the ACL's mask */
};

/* The first prefix counts. */
static const struct {
	const char *prefix;
	enum attr_rule rule;
} attr_rules[] = {
	{ "user.", ATTR_KEEP },
	{ "system.posix_acl_", ATTR_MUST },
	{ "security.capability", ATTR_DROP },
	{ "security.selinux", ATTR_LABEL },
	{ "security.", ATTR_KEEP },
};

static enum attr_rule attr_rule(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(attr_rules); i++)
		if (str_starts(name, attr_rules[i].prefix))
			return attr_rules[i].rule;
	return ATTR_DROP;
}

static void leave_attr_out(struct copy *c, const char *name)
{
	char what[ATTR_NAME_MAX + 32];

	snprintf(what, sizeof(what), "the attribute %.*s of", ATTR_NAME_MAX, name);
	leave_out(c, &c->attrs, what);
}

static int copy_attr(struct copy *c, int from, int to, const char *name)
{
	enum attr_rule rule = attr_rule(name);

	if (rule == ATTR_DROP) {
		leave_attr_out(c, name);
		return 0;
	}
	ssize_t n = fgetxattr(from, name, c->buf, sizeof(c->buf));
	if (n < 0 && errno == ENODATA)
		return 0; /* taken away meanwhile */
	if (n >= 0 && fsetxattr(to, name, c->buf, (size_t)n, 0) == 0)
		return 0;
	if (rule == ATTR_MUST || (errno != EOPNOTSUPP && errno != EPERM))
		return err_sys(&c->in->err, -errno, "copy the attribute %s of %s into it", name, c->path);
	if (rule != ATTR_LABEL)
		leave_attr_out(c, name);
	return 0;
}

static int copy_attrs(struct copy *c, int from, int to)
{
	ssize_t n = flistxattr(from, c->names, BUF_SIZE);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : fail(c, -errno);
	c->names[n] = '\0';
	for (const char *name = c->names; name < c->names + n; name += strlen(name) + 1) {
		int r = copy_attr(c, from, to, name);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Owner, mode, attributes, time, in the order in which none undoes another: a change of owner takes the setuid bit
 * away. A directory gets them when it is full: a default ACL would else go over to what is made in it. */
static int copy_meta(struct copy *c, int from, int to)
{
	struct stat st;
	int r;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return fail(c, -errno);
	r = copy_attrs(c, from, to);
	if (r < 0)
		return r;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st.st_mtim };
	return futimens(to, times) < 0 ? fail(c, -errno) : 0;
}

/* ---- one file, one link ---- */

/* The data at or after *at, which becomes its begin. False: the rest of the file is a hole. Where the file system
 * can't tell, or gives its files no size, there is data to the end, wherever that is. */
static bool find_data(int from, const struct stat *st, off_t *at, off_t *ret_end)
{
	off_t data = st->st_size ? lseek(from, *at, SEEK_DATA) : -1;

	*ret_end = INT64_MAX;
	if (data < 0)
		return !st->st_size || errno != ENXIO;
	off_t hole = lseek(from, data, SEEK_HOLE);
	if (hole > data) {
		*at = data;
		*ret_end = hole;
	}
	return true;
}

/* Copy from *at up to `end` or the end of the file. Returns whether `end` was reached, or -errno. */
static int copy_extent(struct copy *c, int from, int to, off_t *at, off_t end)
{
	if (lseek(to, *at, SEEK_SET) < 0)
		return -errno;
	while (*at < end) {
		off_t left = end - *at;
		ssize_t n = pread(from, c->buf, left < (off_t)BUF_SIZE ? (size_t)left : BUF_SIZE, *at);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		int r = io_write_all(to, c->buf, (size_t)n);
		if (r < 0)
			return r;
		*at += n;
	}
	return 1;
}

/* Holes stay holes: a file of 50 GiB without data costs nothing here as it did there. */
static int copy_data(struct copy *c, int from, int to, const struct stat *st)
{
	off_t at = 0, end;
	int r = 1;

	while (r > 0 && find_data(from, st, &at, &end))
		r = copy_extent(c, from, to, &at, end);
	if (r > 0 && at < st->st_size && ftruncate(to, st->st_size) < 0)
		r = -errno;
	return r < 0 ? fail(c, r) : 0;
}

/* The name is taken when a directory that changes shows an entry twice: the first one was copied. */
static int made_already(struct copy *c)
{
	return errno == EEXIST ? 0 : fail(c, -errno);
}

static int copy_file(struct copy *c, const struct level *l, int fd, const char *name, const struct stat *st)
{
	scoped_fd int from = procfs_reopen(&c->in->proc, fd, O_RDONLY);

	if (from < 0)
		return fail(c, from);
	scoped_fd int to = openat(l->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (to < 0)
		return made_already(c);
	int r = copy_data(c, from, to, st);
	return r < 0 ? r : copy_meta(c, from, to);
}

static int copy_link(struct copy *c, const struct level *l, int fd, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	ssize_t n = readlinkat(fd, "", c->buf, PATH_MAX);

	if (n < 0)
		return fail(c, -errno);
	c->buf[n] = '\0';
	if (symlinkat(c->buf, l->to, name) < 0)
		return made_already(c);
	if (fchownat(l->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(l->to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, -errno);
	return 0;
}

/* ---- the walk ---- */

/* Both directories of one more level: the original that `from` names (O_PATH), the copy `name` in `to_dir`. */
static int push(struct copy *c, int from, int to_dir, const char *name)
{
	struct level *l = &c->level[c->depth];

	scoped_fd int from_fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0)
		return fail(c, -errno);
	scoped_fd int to_fd = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to_fd < 0)
		return fail(c, -errno);
	l->from = take_fd(&from_fd);
	l->to = take_fd(&to_fd);
	l->at = l->len = 0;
	l->path_len = strlen(c->path);
	c->depth++;
	return 0;
}

static void pop(struct copy *c)
{
	struct level *l = &c->level[--c->depth];

	fd_close(&l->from);
	fd_close(&l->to);
}

static int enter(struct copy *c, const struct level *l, int fd, const char *name)
{
	if (c->depth == LEVELS_MAX) {
		leave_out(c, &c->things, "the directory below 64 others");
		return 0;
	}
	if (mkdirat(l->to, name, DIR_MODE) < 0)
		return made_already(c);
	return push(c, fd, l->to, name);
}

/* The mode of the tmpfs's own root is a mount option. */
static int leave(struct copy *c)
{
	struct level *l = &c->level[c->depth - 1];
	int r;

	c->path[l->path_len] = '\0';
	r = c->depth > 1 ? copy_meta(c, l->from, l->to) : 0;
	pop(c);
	return r;
}

static const char *type_name(mode_t mode)
{
	return S_ISFIFO(mode) ? "the FIFO" : S_ISSOCK(mode) ? "the socket" : "the device node";
}

static int copy_entry(struct copy *c, const struct level *l, const char *name)
{
	uint64_t mount_id;
	struct stat st;

	if (streq(name, ".") || streq(name, ".."))
		return 0;
	snprintf(c->path + l->path_len, sizeof(c->path) - l->path_len, "/%s", name);
	scoped_fd int fd = rootfs_open(l->from, (struct ctr_path){ name }, ROOTFS_NOFOLLOW);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fail(c, fd); /* taken away meanwhile */
	int r = sys_mount_id(fd, &mount_id);
	if (r < 0 || fstat(fd, &st) < 0)
		return fail(c, r < 0 ? r : -errno);
	if (mount_id != c->mount_id) {
		leave_out(c, &c->things, "the mount on");
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return enter(c, l, fd, name);
	if (S_ISREG(st.st_mode))
		return copy_file(c, l, fd, name, &st);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, l, fd, name, &st);
	leave_out(c, &c->things, type_name(st.st_mode));
	return 0;
}

/* The next entry, NULL at the end. */
static int next_entry(struct copy *c, struct level *l, const struct entry **ret)
{
	*ret = NULL;
	if (l->at == l->len) {
		long n = sys_result("getdents64", syscall(SYS_getdents64, l->from, l->entries, sizeof(l->entries)));
		if (n <= 0)
			return n == 0 || n == -ENOENT ? 0 : fail(c, (int)n); /* ENOENT: removed meanwhile */
		l->at = 0;
		l->len = (size_t)n;
	}
	*ret = (const void *)(l->entries + l->at);
	l->at += (*ret)->len;
	return 0;
}

static int walk(struct copy *c)
{
	while (c->depth) {
		struct level *l = &c->level[c->depth - 1];
		const struct entry *d;
		int r = next_entry(c, l, &d);

		if (r == 0)
			r = d ? copy_entry(c, l, d->name) : leave(c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int start(struct copy *c, const struct step *s, int at, int mnt_fd)
{
	snprintf(c->path, sizeof(c->path), "%s", init_path(c->in, s->u.mnt.at).s);
	int r = init_procfs(c->in);
	if (r == 0)
		r = sys_mount_id(at, &c->mount_id);
	return r < 0 ? fail(c, r) : push(c, at, mnt_fd, ".");
}

int copyup_fill(struct init *in, const struct step *s, int at, int mnt_fd)
{
	struct copy *c = init_pages(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->in = in;
	int r = start(c, s, at, mnt_fd);
	if (r == 0)
		r = walk(c);
	while (c->depth)
		pop(c);
	if (r == 0) {
		tell_left_out(c, s, &c->things);
		tell_left_out(c, s, &c->attrs);
	}
	munmap(c, sizeof(*c));
	return r;
}
