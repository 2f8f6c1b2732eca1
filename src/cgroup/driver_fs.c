/* SPDX-License-Identifier: Apache-2.0 */
/* The container's own directories, made and found by plain file calls: one in every hierarchy, named ones and v2
 * included, so that /proc/PID/cgroup reads the same everywhere, as with the peers. Removal is in remove.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

/* Another container's removal may take an empty parent away between our steps. */
#define MAKE_TRIES 32

/* What people look at even where no limit is set (stats of engines): enabled at every creation where the host lets us. */
static const char *const accounting[] = { "cpu", "io", "memory", "pids" };

void cg_rel_path(const struct cg_hier *h, const char *path, char *buf)
{
	snprintf(buf, CG_REL_MAX, "%s%s", h->dir, h->dir[0] ? path : path + 1);
}

/* Make one directory above the leaf and mark it as made by us. -EEXIST is fine. */
static int make_parent(int root_fd, const struct cg_hier *h, const char *rel, struct err *e)
{
	if (mkdirat(root_fd, rel, CG_DIR_MODE) < 0)
		return errno == EEXIST ? 0 : err_sys(e, -errno, "create cgroup %s", rel);
	scoped_fd int fd = openat(root_fd, rel, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "open cgroup %s", rel);
	/* Without the mark it stays behind when it is empty, unless it is below /hull: no reason to fail. */
	cg_token_set(fd, CG_TOKEN_PARENT);
	/* Children of a v1 cpuset then begin with its cpus and mems: two files fewer to read and write for each
	 * container. */
	if (strstr(h->controllers, " cpuset ") && !h->v2)
		io_write_once_at(fd, "cgroup.clone_children", "1", 1);
	return 0;
}

/* Length of what stands before the last component. */
static size_t parent_len(const char *rel)
{
	const char *slash = strrchr(rel, '/');

	return slash ? (size_t)(slash - rel) : 0;
}

static int make_parents(int root_fd, const struct cg_hier *h, const char *rel, struct err *e)
{
	size_t begin = h->dir[0] ? strlen(h->dir) + 1 : 0, end = parent_len(rel);
	char part[CG_REL_MAX];

	for (size_t i = begin; i <= end && end > begin; i++) {
		if (i < end && rel[i] != '/')
			continue;
		memcpy(part, rel, i);
		part[i] = '\0';
		int r = make_parent(root_fd, h, part, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1: made, 0: it was there. */
static int make_leaf(int root_fd, const struct cg_hier *h, const char *rel, struct err *e)
{
	for (int i = 0; i < MAKE_TRIES; i++) {
		if (mkdirat(root_fd, rel, CG_DIR_MODE) == 0)
			return 1;
		if (errno == EEXIST)
			return 0;
		if (errno != ENOENT)
			break;
		int r = make_parents(root_fd, h, rel, e);
		if (r < 0)
			return r;
	}
	return err_sys(e, -errno, "create cgroup %s", rel);
}

/* How a container's directories come to be. */
struct making {
	const char *token;
	pid_t occupant; /* systemd has made some of them already, around this process; 0: nobody has */
};

/* Is `pid` all there is in the directory? */
static bool holds_only(int fd, pid_t pid)
{
	char want[24], have[24];
	struct stat st;

	snprintf(want, sizeof(want), "%d\n", (int)pid);
	return pid && fstat(fd, &st) == 0 && st.st_nlink <= 2 && io_read_at(fd, "cgroup.procs", have, sizeof(have)) > 0 && streq(want, have);
}

/* May an existing directory become the container's? 1: it has been made for it, 0: it may be used. */
static int adopt(int fd, const char *rel, pid_t occupant, struct err *e)
{
	if (holds_only(fd, occupant))
		return 1;
	int empty = cg_is_empty(fd);

	if (empty < 0)
		return err_at(e, err_sys(e, empty, "look into the existing cgroup %s", rel), "linux.cgroupsPath");
	if (!empty)
		return err_at(
			e,
			err_set(e, ERR_STATE, EBUSY, "the cgroup %s exists and holds processes or other cgroups", rel),
			"linux.cgroupsPath");
	if (cg_token_owner(fd, NULL) == CG_OWNER_OTHER)
		return err_at(e, err_set(e, ERR_STATE, EBUSY, "the cgroup %s belongs to another container", rel),
			      "linux.cgroupsPath");
	return 0;
}

/* In a threaded subtree whole processes have no place, and a new directory there is "domain invalid". Making it threaded would take its controllers of
 * memory and more away, and change the subtree of whoever made it so. (cgroup-v2.rst, Threads) */
static int check_type(int dfd, const char *rel, struct err *e)
{
	char type[32];
	ssize_t n = io_read_at(dfd, "cgroup.type", type, sizeof(type));

	if (n < 0)
		return err_at(e, err_sys(e, (int)n, "read cgroup.type of cgroup %s", rel), "linux.cgroupsPath");
	type[strcspn(type, "\n")] = '\0';
	if (streq(type, "domain"))
		return 0;
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, 0, "the cgroup %s is of type \"%s\": it lies in a threaded subtree, which holds threads, not containers", rel,
			      type),
		      "linux.cgroupsPath");
}

static int open_leaf(struct cgroup *cg, int root_fd, unsigned i, const char *rel, const struct making *how, struct err *e)
{
	scoped_fd int fd = openat(root_fd, rel, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return err_sys(e, -errno, "open cgroup %s", rel);
	r = cg->lay->h[i].v2 ? check_type(fd, rel, e) : 0;
	if (r < 0)
		return r;
	r = cg->made[i] ? 1 : adopt(fd, rel, how->occupant, e);
	if (r < 0)
		return r;
	cg->made[i] = r == 1;
	r = cg->made[i] ? cg_token_set(fd, how->token) : 0;
	/* A cgroup file system without attributes: only empty directories will be removed then, nothing killed. */
	if (r < 0 && r != -EOPNOTSUPP && r != -EPERM)
		return err_sys(e, r, "mark cgroup %s", rel);
	/* What CLONE_INTO_CGROUP takes must be of no other use to whoever inherits it. */
	cg->dfd[i] = cg->lay->h[i].v2 ? openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC) : take_fd(&fd);
	return cg->dfd[i] < 0 ? err_sys(e, -errno, "open cgroup %s", rel) : 0;
}

/* The controllers for accounting that the v2 hierarchy has but the new directory doesn't. */
static void enable_accounting(const struct cgroup *cg, int root_fd, unsigned i)
{
	const struct cg_hier *h = &cg->lay->h[i];
	char have[512], word[32];
	bool read = false;
	struct err ignored;

	for (size_t k = 0; k < ARRAY_LEN(accounting); k++) {
		snprintf(word, sizeof(word), " %s ", accounting[k]);
		if (!strstr(h->controllers, word))
			continue;
		if (!read) {
			have[0] = ' ';
			ssize_t n = io_read_at(cg->dfd[i], "cgroup.controllers", have + 1, sizeof(have) - 2);
			if (n < 0)
				return;
			have[1 + strcspn(have + 1, "\n")] = ' ';
			read = true;
		}
		/* No property asks for it yet. One that does gets the reason when it is written (apply.c). */
		if (!strstr(have, word))
			cg_enable(root_fd, h, cg->path, word, &ignored);
	}
}

static int create_one(struct cgroup *cg, int root_fd, unsigned i, const struct making *how, struct err *e)
{
	const struct cg_hier *h = &cg->lay->h[i];
	char rel[CG_REL_MAX];
	int r;

	cg_rel_path(h, cg->path, rel);
	r = make_leaf(root_fd, h, rel, e);
	if (r < 0)
		return err_at(e, r, "linux.cgroupsPath");
	cg->made[i] = r == 1;
	r = open_leaf(cg, root_fd, i, rel, how, e);
	if (r < 0)
		return r;
	if (h->v2)
		enable_accounting(cg, root_fd, i);
	else if (strstr(h->controllers, " cpuset "))
		return cg_cpuset_inherit(root_fd, h, cg->path, e);
	return 0;
}

static void open_none(struct cgroup *cg, const struct cg_layout *l, const char *path)
{
	cg->lay = l;
	snprintf(cg->path, sizeof(cg->path), "%s", path);
	for (unsigned i = 0; i < CG_HIER_MAX; i++) {
		cg->dfd[i] = -1;
		cg->made[i] = false;
	}
}

/* Only what this call made: adopted directories stay. */
static void undo_create(struct cgroup *cg, int root_fd)
{
	char rel[CG_REL_MAX];

	for (unsigned i = 0; i < cg->lay->n; i++) {
		if (!cg->made[i])
			continue;
		cg_rel_path(&cg->lay->h[i], cg->path, rel);
		unlinkat(root_fd, rel, AT_REMOVEDIR);
		cg_prune_parents(root_fd, &cg->lay->h[i], cg->path);
	}
	cg_close(cg);
}

static int move_pid(const struct cgroup *cg, unsigned i, pid_t pid, struct err *e)
{
	const struct cg_hier *h = &cg->lay->h[i];
	char text[24];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);
	int r = io_write_once_at(cg->dfd[i], h->v2 ? "cgroup.procs" : "tasks", text, (size_t)len);

	if (r == -EBUSY && h->v2)
		return err_sys(e, r, "move process %d to cgroup %s (it has children with controllers enabled)", (int)pid, cg->path);
	return r < 0 ? err_sys(e, r, "move process %d to cgroup %s%s", (int)pid, h->dir, cg->path) : 0;
}

/* Into the directories that systemd, which uses but some of v1's controllers, hasn't made. */
static int move_occupant(const struct cgroup *cg, pid_t pid, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < cg->lay->n && r == 0; i++)
		r = cg->lay->h[i].absent || holds_only(cg->dfd[i], pid) ? 0 : move_pid(cg, i, pid, e);
	return r;
}

static int create_all(const struct cg_layout *l, const char *path, const struct making *how, struct cgroup *ret, struct err *e)
{
	scoped_fd int root_fd = open(CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	open_none(ret, l, path);
	if (root_fd < 0)
		return l->n == 0 ? 0 : err_sys(e, -errno, "open " CG_MOUNT);
	for (unsigned i = 0; i < l->n && r == 0; i++)
		r = l->h[i].absent ? 0 : create_one(ret, root_fd, i, how, e);
	if (r == 0 && how->occupant)
		r = move_occupant(ret, how->occupant, e);
	if (r == 0 && cg_frozen(ret) == 1)
		r = err_at(e, err_set(e, ERR_STATE, EBUSY, "the cgroup %s is frozen: nothing could run in it", path),
			   "linux.cgroupsPath");
	if (r < 0)
		undo_create(ret, root_fd);
	return r;
}

int cg_create(const struct cg_layout *l, const char *path, const char *token, struct cgroup *ret, struct err *e)
{
	return create_all(l, path, &(struct making){ .token = token }, ret, e);
}

int cg_create_in_scope(const struct cg_layout *l, const char *path, const char *token, pid_t pid, struct cgroup *ret, struct err *e)
{
	return create_all(l, path, &(struct making){ .token = token, .occupant = pid }, ret, e);
}

int cg_open(const struct cg_layout *l, const char *path, struct cgroup *ret, struct err *e)
{
	scoped_fd int root_fd = open(CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char rel[CG_REL_MAX];
	int found = 0;

	open_none(ret, l, path);
	if (root_fd < 0)
		return l->n == 0 ? 0 : err_sys(e, -errno, "open " CG_MOUNT);
	for (unsigned i = 0; i < l->n; i++) {
		cg_rel_path(&l->h[i], path, rel);
		ret->dfd[i] = openat(root_fd, rel, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		found += ret->dfd[i] >= 0;
		if (ret->dfd[i] < 0 && errno != ENOENT && errno != ENOTDIR) {
			int r = err_sys(e, -errno, "open cgroup %s", rel);
			cg_close(ret);
			return r;
		}
	}
	return found;
}

void cg_close(struct cgroup *cg)
{
	for (unsigned i = 0; i < CG_HIER_MAX; i++) {
		fd_close_scoped(&cg->dfd[i]);
		cg->dfd[i] = -1;
	}
}

void cg_none(struct cgroup *ret)
{
	static const struct cg_layout no_hierarchies;

	open_none(ret, &no_hierarchies, "");
}

int cg_clone_fd(const struct cgroup *cg)
{
	int v2 = cg_layout_v2(cg->lay);

	return v2 < 0 ? -1 : cg->dfd[v2];
}

int cg_open_tasks(const struct cgroup *cg, int *fds, unsigned max, struct err *e)
{
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; i < cg->lay->n && r == 0; i++) {
		if (cg->lay->h[i].v2 || cg->dfd[i] < 0)
			continue;
		int fd = n < max ? openat(cg->dfd[i], "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
		if (fd >= 0)
			fds[n++] = fd;
		else
			r = n < max ? err_sys(e, -errno, "open %s%s/tasks", cg->lay->h[i].dir, cg->path)
				    : err_set(e, ERR_BUG, E2BIG, "more than %u cgroup v1 hierarchies", max);
	}
	if (r == 0)
		return (int)n;
	while (n > 0)
		close(fds[--n]);
	return r;
}

int cg_move(const struct cgroup *cg, pid_t pid, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < cg->lay->n && r == 0; i++)
		r = cg->dfd[i] < 0 ? 0 : move_pid(cg, i, pid, e);
	return r;
}
