/* SPDX-License-Identifier: Apache-2.0 */
/* What an ordinary caller may do in the hierarchies: those directories are its own that the administrator, or systemd with Delegate=, has given to it.
 * (cgroup-v2.rst, Delegation; cgroups(7)) */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/internal.h"

static bool may_write(int root_fd, const char *rel, const char *file)
{
	char path[CG_REL_MAX + 32];

	snprintf(path, sizeof(path), "%s%s%s", rel[0] ? rel : ".", file[0] ? "/" : "", file);
	return faccessat(root_fd, path, W_OK, AT_EACCESS) == 0;
}

/* The last directory on the way to `rel` that is there, in place. */
static void cut_to_existing(int root_fd, char *rel)
{
	char *slash;

	while (faccessat(root_fd, rel[0] ? rel : ".", F_OK, 0) < 0 && (slash = strrchr(rel, '/')))
		*slash = '\0';
}

/* v2 lets nobody move a process, nor be born, across a border of what was given to it: cgroup.procs of the directory above both must be the caller's. */
static bool may_enter(int root_fd, const struct cg_hier *h, const char *path)
{
	size_t same = 0;
	char rel[CG_REL_MAX], above[CG_PATH_MAX];

	for (size_t i = 0; path[i] && path[i] == h->own[i]; i++)
		if (path[i] == '/')
			same = i;
	snprintf(above, sizeof(above), "%.*s", same ? (int)same : 1, path);
	cg_rel_path(h, above, rel);
	return may_write(root_fd, rel, "cgroup.procs");
}

static bool is_delegated(int root_fd, const struct cg_hier *h, const char *path, bool by_manager)
{
	char rel[CG_REL_MAX];

	cg_rel_path(h, path, rel);
	cut_to_existing(root_fd, rel);
	return may_write(root_fd, rel, "") && (!h->v2 || by_manager || may_enter(root_fd, h, path));
}

unsigned cg_layout_keep_delegated(struct cg_layout *l, const char *path, bool by_manager)
{
	scoped_fd int root_fd = open(CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned left = 0;

	for (unsigned i = 0; i < l->n; i++) {
		l->h[i].absent = root_fd < 0 || !is_delegated(root_fd, &l->h[i], path, by_manager);
		left += !l->h[i].absent;
	}
	return left;
}
