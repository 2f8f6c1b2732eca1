/* SPDX-License-Identifier: Apache-2.0 */
/* What a new directory must get from those above it before processes can use it: v2 controllers, the cpus and mems of a
 * v1 cpuset. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

/* Call `f` for every directory from the hierarchy's root to the parent of the leaf `path`, or to the leaf itself. */
static int along_path(int root_fd, const struct cg_hier *h, const char *path, bool with_leaf,
		      int (*f)(int dfd, int parent_dfd, const char *rel, const void *arg, struct err *e),
		      const void *arg, struct err *e)
{
	scoped_fd int parent_fd = -EBADF;
	char rel[CG_REL_MAX], part[CG_REL_MAX];
	size_t len, begin = strlen(h->dir);

	cg_rel_path(h, path, rel);
	len = strlen(rel);
	for (size_t i = begin; i <= len; i++) {
		bool border = i == begin || rel[i] == '/' || rel[i] == '\0';

		if (!border || (i == len && !with_leaf))
			continue;
		memcpy(part, rel, i);
		part[i] = '\0';
		scoped_fd int fd = openat(root_fd, i ? part : ".", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && i == begin)
			fd = openat(root_fd, i ? part : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, -errno, "open cgroup %s", part);
		int r = f(fd, parent_fd, part, arg, e);
		if (r < 0)
			return r;
		fd_close_scoped(&parent_fd);
		parent_fd = take_fd(&fd);
	}
	return 0;
}

static const struct {
	int code;
	const char *why;
} enable_reasons[] = {
	{ EBUSY, "there are processes in it, and a cgroup with processes can't hand controllers to its children" },
	{ EOPNOTSUPP, "it is a threaded cgroup, which has no controllers of whole processes" },
	{ ENOENT, "it has not been handed that controller itself" },
	{ EACCES, "it isn't the caller's to change: delegate it (systemd: Delegate= of its unit; else chown it and its cgroup.subtree_control)" },
	{ EROFS, "the cgroup file system is mounted read-only" },
};

/* `arg` is " memory ". */
static int enable_here(int dfd, int parent_dfd UNUSED, const char *rel, const void *arg, struct err *e)
{
	const char *word = arg;
	char have[512] = " ", line[64];
	ssize_t n = io_read_at(dfd, "cgroup.subtree_control", have + 1, sizeof(have) - 2);

	if (n >= 0) {
		have[1 + strcspn(have + 1, "\n")] = ' ';
		if (strstr(have, word))
			return 0;
	}
	int len = snprintf(line, sizeof(line), "+%.*s", (int)strlen(word + 1) - 1, word + 1);
	int r = io_write_once_at(dfd, "cgroup.subtree_control", line, (size_t)len);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(enable_reasons); i++)
		if (enable_reasons[i].code == -r)
			return err_sys(e, r, "enable the controller %s in cgroup %s: %s", line + 1, rel[0] ? rel : "/",
				       enable_reasons[i].why);
	return err_sys(e, r, "enable the controller %s in cgroup %s", line + 1, rel[0] ? rel : "/");
}

int cg_enable(int root_fd, const struct cg_hier *h, const char *path, const char *controller, struct err *e)
{
	return along_path(root_fd, h, path, false, enable_here, controller, e);
}

static int inherit_file(int dfd, int parent_dfd, const char *rel, const char *file, struct err *e)
{
	char text[4096];
	ssize_t n = io_read_at(dfd, file, text, sizeof(text));

	if (n < 0)
		return err_sys(e, (int)n, "read %s of cgroup %s", file, rel);
	if (n > 1)
		return 0;
	n = io_read_at(parent_dfd, file, text, sizeof(text));
	if (n < 0)
		return err_sys(e, (int)n, "read %s above cgroup %s", file, rel);
	int r = io_write_once_at(dfd, file, text, (size_t)n);
	return r < 0 ? err_sys(e, r, "write %s of cgroup %s", file, rel) : 0;
}

static int inherit_here(int dfd, int parent_dfd, const char *rel, const void *arg UNUSED, struct err *e)
{
	/* The root has all. */
	if (parent_dfd < 0)
		return 0;
	int r = inherit_file(dfd, parent_dfd, rel, "cpuset.cpus", e);
	return r < 0 ? r : inherit_file(dfd, parent_dfd, rel, "cpuset.mems", e);
}

int cg_cpuset_inherit(int root_fd, const struct cg_hier *h, const char *path, struct err *e)
{
	char rel[CG_REL_MAX], text[4096];

	/* The common case: the parent has clone_children, so the kernel has copied both. */
	cg_rel_path(h, path, rel);
	scoped_fd int fd = openat(root_fd, rel, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && io_read_at(fd, "cpuset.mems", text, sizeof(text)) > 1 &&
	    io_read_at(fd, "cpuset.cpus", text, sizeof(text)) > 1)
		return 0;
	return along_path(root_fd, h, path, true, inherit_here, NULL, e);
}
