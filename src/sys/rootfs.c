/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/rootfs.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "sys/sys.h"

#define LINKS_MAX 40    /* as the kernel */
#define MAKE_TRIES 1024 /* components and links that one call makes or follows by itself */

/* A path on its way to existence: what is dangling is replaced by its target. It is only a request: every prefix
 * of it is resolved by the kernel, inside the root. */
struct walk {
	char path[PATH_MAX];
	unsigned links;
	unsigned flags;
	mode_t mode, file_mode;
	bool file; /* the last component is a file */
	bool made;
};

/* One component of walk.path. */
struct part {
	size_t start, end;
	bool last; /* nothing but slashes follows */
	char name[ROOTFS_NAME_MAX];
};

static int lookup(int root, const char *path, int oflags, unsigned flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(oflags | O_PATH | O_CLOEXEC |
					      (flags & ROOTFS_NOFOLLOW ? O_NOFOLLOW : 0)),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
			   (flags & ROOTFS_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0),
	};
	int fd = -EAGAIN;

	/* EAGAIN: something was renamed or mounted during the walk and the kernel can't tell whether it left the
	 * root (8 % of look-ups under an attacker who does nothing else). */
	for (unsigned i = 0; i < ROOTFS_RETRIES && fd == -EAGAIN; i++)
		fd = sys_openat2(root, path, &how);
	return fd;
}

int rootfs_open(int root, struct ctr_path p, unsigned flags)
{
	return lookup(root, p.s, 0, flags);
}

/* The component after `at`. False at the end of the path. */
static bool next_part(const char *path, size_t at, struct part *ret)
{
	ret->start = at + strspn(path + at, "/");
	size_t len = strcspn(path + ret->start, "/");

	ret->end = ret->start + len;
	ret->last = path[ret->end + strspn(path + ret->end, "/")] == '\0';
	if (len == 0)
		return false;
	/* A longer name is ENAMETOOLONG at the look-up before anything is made of this copy. */
	if (len >= sizeof(ret->name))
		len = sizeof(ret->name) - 1;
	memcpy(ret->name, path + ret->start, len);
	ret->name[len] = '\0';
	return true;
}

/* `c` of the path exists but leads nowhere: if it is a link, put its target in its place. */
static int follow_dangling(struct walk *w, int parent, const struct part *c)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(parent, c->name, target, sizeof(target) - 1);

	if (n < 0)
		return errno == EINVAL || errno == ENOENT ? 0 : -errno; /* no link, or not any more: look again */
	if ((w->flags & ROOTFS_NO_SYMLINKS) || ++w->links > LINKS_MAX)
		return -ELOOP;
	size_t len = (size_t)n, keep = len && target[0] == '/' ? 0 : c->start, rest_len = strlen(w->path + c->end);

	if (keep + len + rest_len + 1 > sizeof(w->path))
		return -ENAMETOOLONG;
	memcpy(rest, w->path + c->end, rest_len + 1);
	memcpy(w->path + keep, target, len);
	memcpy(w->path + keep + len, rest, rest_len + 1);
	return 0;
}

static int make_part(struct walk *w, int parent, const struct part *c)
{
	bool file = c->last && w->file;
	int r = file ? mknodat(parent, c->name, S_IFREG | w->file_mode, 0) : mkdirat(parent, c->name, w->mode);

	if (r == 0) {
		w->made = true;
		return 0;
	}
	return errno == EEXIST ? follow_dangling(w, parent, c) : -errno;
}

/* Make the first component that is missing, or follow the first link that dangles. Returns 0 ("look again") or
 * -errno. */
static int make_next(int root, struct walk *w)
{
	scoped_fd int parent = -EBADF;
	struct part c = { .end = 0 };

	while (next_part(w->path, c.end, &c)) {
		char saved = w->path[c.end];

		w->path[c.end] = '\0';
		int fd = lookup(root, w->path, 0, w->flags);
		w->path[c.end] = saved;
		if (fd == -ENOENT)
			return make_part(w, parent < 0 ? root : parent, &c);
		if (fd < 0)
			return fd;
		fd_close(&parent);
		parent = fd;
	}
	return 0;
}

static int open_or_make(int root, struct ctr_path p, struct walk *w)
{
	size_t len = strlen(p.s);

	if (len >= sizeof(w->path))
		return -ENAMETOOLONG;
	memcpy(w->path, p.s, len + 1);
	for (unsigned i = 0; i < MAKE_TRIES; i++) {
		int fd = lookup(root, w->path[0] ? w->path : "/", w->file ? 0 : O_DIRECTORY, w->flags);
		if (fd != -ENOENT)
			return fd;
		int r = make_next(root, w);
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

int rootfs_dir(int root, struct ctr_path p, unsigned flags, mode_t mode, bool *ret_made)
{
	struct walk w = { .flags = flags & ROOTFS_NO_SYMLINKS, .mode = mode };
	int fd = open_or_make(root, p, &w);

	if (ret_made)
		*ret_made = w.made;
	return fd;
}

int rootfs_file(int root, struct ctr_path p, mode_t mode, mode_t dir_mode, bool *ret_made)
{
	struct walk w = { .file = true, .mode = dir_mode, .file_mode = mode };
	scoped_fd int fd = open_or_make(root, p, &w);
	struct stat st;

	if (ret_made)
		*ret_made = w.made;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : take_fd(&fd);
}

int rootfs_parent(int root, struct ctr_path p, mode_t mode, char name[ROOTFS_NAME_MAX])
{
	char dir[PATH_MAX];
	size_t len = strlen(p.s);

	while (len && p.s[len - 1] == '/')
		len--;
	size_t start = len;
	while (start && p.s[start - 1] != '/')
		start--;
	if (len - start >= ROOTFS_NAME_MAX || start >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(name, p.s + start, len - start);
	name[len - start] = '\0';
	if (!name[0] || streq(name, ".") || streq(name, ".."))
		return -EINVAL;
	memcpy(dir, p.s, start);
	dir[start] = '\0';
	return rootfs_dir(root, (struct ctr_path){ dir }, 0, mode, NULL);
}
