/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies are mounted, and which controllers each has.
 *
 * /proc/self/cgroup lists the hierarchies, /sys/fs/cgroup holds them under names that follow from that list. mountinfo
 * grows with the host's mounts: it is read only for the options of v2, on kernels without statmount(2). */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

/* One line per hierarchy, each with a path of at most PATH_MAX. */
#define PROC_CGROUP_MAX 65536

static long fs_magic(const char *root, const char *name)
{
	char path[256];
	struct statfs s;
	int n = snprintf(path, sizeof(path), "%s/%s", root, name);

	if (n < 0 || (size_t)n >= sizeof(path) || statfs(path, &s) < 0)
		return 0;
	return (long)s.f_type;
}

/* Take "CONTROLLER,CONTROLLER" into " CONTROLLER CONTROLLER ". */
static int set_controllers(struct cg_hier *h, const char *list, struct err *e)
{
	size_t n = strlen(list);

	if (n + 3 > sizeof(h->controllers))
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "/proc/self/cgroup: the list of controllers \"%.60s…\" is too long", list);
	h->controllers[0] = ' ';
	for (size_t i = 0; i < n; i++)
		h->controllers[i + 1] = list[i] == ',' || list[i] == '\n' ? ' ' : list[i];
	h->controllers[n + 1] = ' ';
	h->controllers[n + 2] = '\0';
	return 0;
}

/* Find the directory of a v1 hierarchy: "cpu,cpuacct", the same two in the other order, or the first alone (often a
 * symbolic link). */
static bool find_v1_dir(const char *root, const char *list, char *buf, size_t size)
{
	const char *comma = strchr(list, ',');

	if (str_starts(list, "name=")) {
		snprintf(buf, size, "%s", list + strlen("name="));
		return strlen(list) - strlen("name=") < size && fs_magic(root, buf) == CGROUP_SUPER_MAGIC;
	}
	if (strlen(list) >= size)
		return false;
	snprintf(buf, size, "%s", list);
	if (fs_magic(root, buf) == CGROUP_SUPER_MAGIC)
		return true;
	if (!comma)
		return false;
	snprintf(buf, size, "%s,%.*s", comma + 1, (int)(comma - list), list);
	if (fs_magic(root, buf) == CGROUP_SUPER_MAGIC)
		return true;
	snprintf(buf, size, "%.*s", (int)(comma - list), list);
	return fs_magic(root, buf) == CGROUP_SUPER_MAGIC;
}

/* The next free slot, or NULL with *e. */
static struct cg_hier *add_hier(struct cg_layout *l, const char *dir, bool v2, struct err *e)
{
	struct cg_hier *h = l->n < CG_HIER_MAX ? &l->h[l->n++] : NULL;

	if (!h) {
		err_set(e, ERR_UNSUPPORTED, 0, "more than %d cgroup hierarchies", CG_HIER_MAX);
		return NULL;
	}
	memset(h, 0, sizeof(*h));
	h->v2 = v2;
	snprintf(h->dir, sizeof(h->dir), "%s", dir);
	return h;
}

static int set_own(struct cg_hier *h, const char *own, struct err *e)
{
	if (strlen(own) >= sizeof(h->own))
		return err_set(e, ERR_UNSUPPORTED, 0,
			       "the path of hull's own cgroup in \"%s\" has %zu bytes, more than %zu", h->dir,
			       strlen(own), sizeof(h->own) - 1);
	snprintf(h->own, sizeof(h->own), "%s", own);
	return 0;
}

static int add_v1(struct cg_layout *l, const char *root, const char *list, const char *own, struct err *e)
{
	char dir[sizeof(l->h[0].dir)];

	if (!find_v1_dir(root, list, dir, sizeof(dir)))
		return 0;
	struct cg_hier *h = add_hier(l, dir, false, e);
	int r = h ? set_controllers(h, list, e) : -EINVAL;
	return r < 0 ? r : set_own(h, own, e);
}

static int add_v2(struct cg_layout *l, const char *root, const char *dir, const char *own, struct err *e)
{
	char text[sizeof(l->h[0].controllers)], path[128];

	snprintf(path, sizeof(path), "%.80s/%.20s/cgroup.controllers", root, dir);
	ssize_t n = io_read_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return err_sys(e, (int)n, "read %s", path);
	text[strcspn(text, "\n")] = '\0';
	struct cg_hier *h = add_hier(l, dir, true, e);
	int r = h ? set_controllers(h, text, e) : -EINVAL;
	return r < 0 ? r : set_own(h, own, e);
}

/* "4:memory:/own/path" or "0::/own/path" */
static int parse_line(struct cg_layout *l, const char *root, bool pure, char *line, struct err *e)
{
	char *list = strchr(line, ':'), *own = list ? strchr(list + 1, ':') : NULL;

	if (!own)
		return err_set(e, ERR_SYS, 0, "/proc/self/cgroup: cannot read the line \"%.60s\"", line);
	*list++ = '\0';
	*own++ = '\0';
	if (*list)
		return pure ? 0 : add_v1(l, root, list, own, e);
	if (pure)
		return add_v2(l, root, "", own, e);
	return fs_magic(root, "unified") == CGROUP2_SUPER_MAGIC ? add_v2(l, root, "unified", own, e) : 0;
}

int cg_layout_parse(struct cg_layout *ret, const char *root, char *text, struct err *e)
{
	bool pure = fs_magic(root, ".") == CGROUP2_SUPER_MAGIC;

	memset(ret, 0, sizeof(*ret));
	while (*text) {
		char *line = text, *end = strchr(text, '\n');
		int r;

		text = end ? end + 1 : text + strlen(text);
		if (end)
			*end = '\0';
		r = *line ? parse_line(ret, root, pure, line, e) : 0;
		if (r < 0)
			return r;
	}
	int v2 = cg_layout_v2(ret);
	if (ret->n == 0)
		ret->mode = CG_MODE_NONE;
	else if (v2 < 0)
		ret->mode = CG_MODE_V1;
	else
		ret->mode = ret->n == 1 ? CG_MODE_V2 : CG_MODE_HYBRID;
	return 0;
}

/* statmount(2) says a mount's options in one call (6.11). The headers of older systems don't have it. */
struct mnt_id_req_v0 {
	uint32_t size, spare;
	uint64_t mnt_id, param;
};
struct statmount_opts {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint64_t rest[62];
	char str[512];
};
#define SYS_STATMOUNT 457
/* The kernel's struct statx, as far as it matters here: not every C library has it. */
struct statx_mnt_id {
	uint32_t mask, rest1[35];
	uint64_t mnt_id, rest2[13];
};
#define STATMOUNT_MNT_OPTS_BIT 0x80u
#define STATX_MNT_ID_UNIQUE_BIT 0x4000u

/* 0, or -errno where the kernel can't say. */
static int options_by_statmount(int fd, char *ret, size_t size)
{
	struct statmount_opts sm;
	struct statx_mnt_id sx;

	memset(&sx, 0, sizeof(sx));
	memset(&sm, 0, sizeof(sm));
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE_BIT, &sx) < 0)
		return -errno;
	if (!(sx.mask & STATX_MNT_ID_UNIQUE_BIT))
		return -EOPNOTSUPP;
	struct mnt_id_req_v0 req = { .size = sizeof(req), .mnt_id = sx.mnt_id, .param = STATMOUNT_MNT_OPTS_BIT };
	if (syscall(SYS_STATMOUNT, &req, &sm, sizeof(sm), 0) < 0)
		return -errno;
	if (!(sm.mask & STATMOUNT_MNT_OPTS_BIT) || sm.mnt_opts >= sizeof(sm.str))
		return sm.mask & STATMOUNT_MNT_OPTS_BIT ? -EOVERFLOW : 0;
	sm.str[sizeof(sm.str) - 1] = '\0';
	snprintf(ret, size, "%s", sm.str + sm.mnt_opts);
	return 0;
}

/* Older kernels: the superblock's options stand in the last field of the mount's line, after rw or ro. */
static void options_by_mountinfo(const char *dir, char *ret, size_t ret_size)
{
	char want[128], *line = NULL;
	size_t size = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return;
	snprintf(want, sizeof(want), " " CG_MOUNT "%s%s ", dir[0] ? "/" : "", dir);
	while (getline(&line, &size, f) > 0) {
		const char *tail = strstr(line, " - cgroup2 ");
		/* The topmost mount comes last: what it says counts. */
		if (!tail || !strstr(line, want))
			continue;
		line[strcspn(line, "\n")] = '\0';
		const char *super = strrchr(tail, ' ') + 1, *comma = strchr(super, ',');
		snprintf(ret, ret_size, "%s", comma ? comma + 1 : "");
	}
	free(line);
	fclose(f);
}

static void detect_options(const char *dir, char *ret, size_t size)
{
	scoped_fd int fd = open(dir[0] ? CG_MOUNT "/unified" : CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : options_by_statmount(fd, ret, size);

	if (r < 0)
		options_by_mountinfo(dir, ret, size);
}

int cg_layout_detect(struct cg_layout *ret, struct err *e)
{
	char text[PROC_CGROUP_MAX];
	ssize_t n;
	int r;

	memset(ret, 0, sizeof(*ret));
	n = io_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	if (n == -ENOENT)
		return err_sys(e, -ENOENT, "read /proc/self/cgroup (is /proc mounted?)");
	if (n < 0)
		return err_sys(e, (int)n, "read /proc/self/cgroup");
	r = cg_layout_parse(ret, CG_MOUNT, text, e);
	if (r < 0)
		return r;
	int v2 = cg_layout_v2(ret);
	if (v2 >= 0)
		detect_options(ret->h[v2].dir, ret->options, sizeof(ret->options));
	return 0;
}

int cg_layout_find(const struct cg_layout *l, const char *controller)
{
	size_t n = strlen(controller);

	for (unsigned i = 0; i < l->n; i++) {
		const char *p = l->h[i].controllers;
		while ((p = strstr(p, controller)) != NULL) {
			if (p[-1] == ' ' && p[n] == ' ')
				return (int)i;
			p += n;
		}
	}
	return -1;
}

int cg_layout_v2(const struct cg_layout *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->h[i].v2)
			return (int)i;
	return -1;
}
