/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a container's directories away, with whatever it made below them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cgroup/internal.h"

/* A name below a cgroup: NAME_MAX and the final NUL. */
#define NAME_SIZE 256

/* Remove the children of `dfd` that can be removed. 0 when none is left, 1 with the name of one that has children
 * itself, -EBUSY when one holds processes, or -errno. */
static int remove_children(int dfd, char name[NAME_SIZE])
{
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct stat st;
	int r = 0;

	if (!d) {
		r = -errno;
		fd_close_scoped(&fd);
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	}
	for (struct dirent *de = readdir(d); de && r != 1; de = readdir(d)) {
		if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		if (unlinkat(fd, de->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		r = -errno;
		if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 2 &&
		    strlen(de->d_name) < NAME_SIZE) {
			snprintf(name, NAME_SIZE, "%s", de->d_name);
			r = 1;
		}
	}
	closedir(d);
	return r;
}

/* Everything below `dfd`, deepest first. Two descriptors whatever the depth: a container may have made a thousand
 * levels. */
static int remove_below(int dfd)
{
	scoped_fd int cur = openat(dfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_SIZE];
	size_t depth = 0;

	for (;;) {
		int r = cur < 0 ? -errno : remove_children(cur, name);

		if (r < 0 || (r == 0 && depth == 0))
			return r;
		int next = openat(cur, r == 1 ? name : "..", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0)
			return -errno;
		depth = r == 1 ? depth + 1 : depth - 1;
		fd_close(&cur);
		cur = next;
	}
}

/* One attempt. */
static int remove_leaf(int root_fd, const char *rel, int fd)
{
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) == 0 && st.st_nlink > 2)
		r = remove_below(fd);
	if (r < 0)
		return r;
	return unlinkat(root_fd, rel, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int first_pid(int dfd, void *arg)
{
	scoped_fd int fd = openat(dfd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32] = "";
	pid_t *ret = arg;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	/* The number ends at the line's end or, cut, is longer than any pid. */
	*ret = (pid_t)strtol(text, NULL, 10);
	return -EEXIST;
}

static int still_busy(int fd, const char *rel, int r, struct err *e)
{
	char who[256] = "";
	pid_t pid = 0;

	if (r == -EBUSY && cg_walk(fd, first_pid, &pid) == -EEXIST)
		cg_describe_pid(pid, who, sizeof(who));
	return err_sys(e, r, "remove cgroup %s%s%s%s", rel, who[0] ? " (" : "", who, who[0] ? " is in it)" : "");
}

static int remove_one(int root_fd, const struct cg_hier *h, const char *path, const char *token, int64_t deadline,
		      struct err *e)
{
	char rel[CG_REL_MAX];

	cg_rel_path(h, path, rel);
	scoped_fd int fd = openat(root_fd, rel, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, -errno, "open cgroup %s", rel);
	enum cg_owner owner = fd < 0 ? CG_OWNER_NONE : cg_token_owner(fd, token);
	if (fd >= 0 && (owner == CG_OWNER_OTHER || (owner == CG_OWNER_NONE && !cg_has_birth_mark(fd)))) {
		log_debug("cgroup %s stays: it wasn't made for this container", rel);
		return 0;
	}
	for (unsigned ms = 1; fd >= 0; ms = ms < 16 ? ms * 2 : ms) {
		/* Without marks nothing proves that what is below is the container's: only an empty directory goes. */
		int r = owner == CG_OWNER_US
				? remove_leaf(root_fd, rel, fd)
				: (unlinkat(root_fd, rel, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0);

		if (r == 0)
			break;
		if (r != -EBUSY && r != -ENOTEMPTY)
			return err_sys(e, r, "remove cgroup %s", rel);
		if (clock_now_ms() >= deadline)
			return still_busy(fd, rel, r, e);
		cg_sleep_ms(ms);
	}
	cg_prune_parents(root_fd, h, path);
	return 0;
}

/* Was the directory made by this program on the way to a container's? */
static bool is_our_parent(int fd, const char *path, size_t len)
{
	enum cg_owner owner = cg_token_owner(fd, CG_TOKEN_PARENT);
	bool below_hull = str_starts(path, "/hull/") && len >= strlen("/hull");

	return owner == CG_OWNER_US || (owner == CG_OWNER_NONE && cg_has_birth_mark(fd)) || (owner == CG_OWNER_UNKNOWN && below_hull);
}

void cg_prune_parents(int root_fd, const struct cg_hier *h, const char *path)
{
	char parent[CG_PATH_MAX], rel[CG_REL_MAX];
	struct stat st;

	snprintf(parent, sizeof(parent), "%s", path);
	for (char *slash = strrchr(parent, '/'); slash && slash != parent; slash = strrchr(parent, '/')) {
		*slash = '\0';
		cg_rel_path(h, parent, rel);
		scoped_fd int fd = openat(root_fd, rel, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_nlink > 2 || !is_our_parent(fd, path, strlen(parent)))
			return;
		if (unlinkat(root_fd, rel, AT_REMOVEDIR) < 0)
			return;
	}
}

int cg_remove(const struct cg_layout *l, const char *path, const char *token, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ms() + (timeout_ms > 0 ? timeout_ms : 0);
	scoped_fd int root_fd = open(CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = 0;

	if (root_fd < 0)
		return l->n == 0 ? 0 : err_sys(e, -errno, "open " CG_MOUNT);
	/* One that doesn't go doesn't keep the others. */
	for (unsigned i = 0; i < l->n; i++) {
		struct err one;
		int r = remove_one(root_fd, &l->h[i], path, token, deadline, &one);

		if (r < 0 && result == 0) {
			result = r;
			*e = one;
		}
	}
	return result;
}
