/* SPDX-License-Identifier: Apache-2.0 */
/* Performing planned writes in a container's cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

/* What the kernel means by an errno that doesn't say it. */
static const struct {
	const char *file;
	int code;
	const char *hint;
} hints[] = {
	{ "memory.memsw.limit_in_bytes", ENOENT, "swap isn't accounted on this host (swapaccount=1)" },
	{ "memory.swap.max", ENOENT, "swap isn't accounted on this host" },
	{ "memory.memsw.limit_in_bytes", EINVAL, "less than the limit of memory" },
	{ "memory.limit_in_bytes", EINVAL, "more than the limit of memory and swap" },
	{ "memory.limit_in_bytes", EBUSY, "less than what is in use" },
	{ "memory.kmem.limit_in_bytes", EOPNOTSUPP, "not enforced since Linux 5.16" },
	{ "cpu.cfs_quota_us", EINVAL, "more than the parent cgroup has, or less than 1 ms" },
	{ "cpu.cfs_period_us", EINVAL, "must be 1 ms to 1 s" },
	{ "cpu.max", EINVAL, "the period must be 1 ms to 1 s, the quota at least 1 ms" },
	{ "cpu.rt_runtime_us", EINVAL, "more than the parent cgroup has" },
	{ "cpu.rt_runtime_us", ENOENT, "the kernel has no realtime group scheduling" },
	{ "cpu.rt_period_us", ENOENT, "the kernel has no realtime group scheduling" },
	{ "cpu.idle", ENOENT, "needs Linux 5.15" },
	{ "cpuset.cpus", EACCES, "not all of them belong to the parent cgroup" },
	{ "cpuset.mems", EACCES, "not all of them belong to the parent cgroup" },
	{ "cpuset.cpus", EINVAL, "not a list of this host's CPUs" },
	{ "cpuset.mems", EINVAL, "not a list of this host's memory nodes" },
	{ "blkio.bfq.weight", ENOENT, "the I/O scheduler BFQ isn't there" },
	{ "blkio.bfq.weight_device", ENOENT, "the I/O scheduler BFQ isn't there" },
	{ "io.weight", ENOENT, "neither the I/O scheduler BFQ nor io.cost is there" },
};

static const char *find_hint(const char *file, int code)
{
	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (hints[i].code == code && streq(hints[i].file, file))
			return hints[i].hint;
	return str_starts(file, "hugetlb.") && code == ENOENT ? "this host has no pages of that size" : NULL;
}

static int write_failed(const struct cg_write *w, const char *file, const char *value, int r, struct err *e)
{
	const char *hint = find_hint(file, -r);

	err_sys(e, r, "write %s = %.200s%s%s%s", file, value, hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
	return err_at(e, r, w->origin);
}

/* A file of a controller that the directories above haven't enabled. Most are enabled when the directory is made; the
 * rest here, by the property that needs it. */
static int enable_for(const struct cgroup *cg, const struct cg_write *w, struct err *e)
{
	const struct cg_hier *h = &cg->lay->h[w->hier];
	char controller[64];
	scoped_fd int root_fd = open(CG_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int n = snprintf(controller, sizeof(controller), " %.*s ", (int)strcspn(w->file, "."), w->file);

	if (n < 0 || (size_t)n >= sizeof(controller) || !strstr(h->controllers, controller))
		return -ENOENT;
	if (root_fd < 0)
		return err_sys(e, -errno, "open " CG_MOUNT);
	return err_at(e, cg_enable(root_fd, h, cg->path, controller, e), w->origin);
}

static int write_one(const struct cgroup *cg, const struct cg_write *w, struct err *e)
{
	const char *file = w->file, *value = w->value;
	int dfd = cg->dfd[w->hier];
	int r;

	if (dfd < 0)
		return err_at(e,
			      err_set(e, ERR_STATE, ENOENT, "write %s: the container has no cgroup in %s", file,
				      cg->lay->h[w->hier].dir),
			      w->origin);
	r = io_write_once_at(dfd, file, value, strlen(value));
	if (r == -ENOENT && cg->lay->h[w->hier].v2) {
		int enabled = enable_for(cg, w, e);

		if (enabled < 0 && enabled != -ENOENT)
			return enabled;
		if (enabled == 0)
			r = io_write_once_at(dfd, file, value, strlen(value));
	}
	if (r == -ENOENT && w->alt_file) {
		file = w->alt_file;
		value = w->alt_value;
		r = io_write_once_at(dfd, file, value, strlen(value));
	}
	return r < 0 ? write_failed(w, file, value, r, e) : 0;
}

int cg_apply(const struct cgroup *cg, const struct cg_writes *w, enum cg_when when, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		int r = w->v[i].when == (uint8_t)when ? write_one(cg, &w->v[i], e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int write_devices_v1(int dfd, const struct cg_devices_v1 *list, const char *origin, struct err *e)
{
	scoped_fd int deny_fd = openat(dfd, "devices.deny", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	scoped_fd int allow_fd = openat(dfd, "devices.allow", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (deny_fd < 0 || allow_fd < 0)
		return err_at(e, err_sys(e, -errno, "open devices.deny and devices.allow"), origin);
	for (size_t i = 0; i < list->n; i++) {
		size_t len = strlen(list->value[i]);
		ssize_t n = write(list->deny[i] ? deny_fd : allow_fd, list->value[i], len);

		if (n >= 0 && (size_t)n == len)
			continue;
		int r = n < 0 ? -errno : -EIO;
		const char *hint = r == -EPERM ? " (the parent cgroup doesn't allow it)" : "";
		err_sys(e, r, "write devices.%s = %s%s", list->deny[i] ? "deny" : "allow", list->value[i], hint);
		return err_at(e, r, origin);
	}
	return 0;
}

int cg_devices_apply(const struct cgroup *cg, const struct cg_devices *d, struct err *e)
{
	int v1 = cg_layout_find(cg->lay, "devices"), v2 = cg_layout_v2(cg->lay);
	struct oci_arena arena = { 0 };
	struct cg_devices_v1 list;
	int r;

	if (v1 >= 0 && !cg->lay->h[v1].v2 && cg->dfd[v1] >= 0) {
		/* What a new directory has anyway; asking for it where the parent has less would fail. */
		if (cg->made[v1] && cg_devices_allow_all(d))
			return 0;
		r = cg_devices_to_v1(d, &arena, &list, e);
		if (r == 0)
			r = write_devices_v1(cg->dfd[v1], &list, d->origin, e);
		oci_arena_release(&arena);
		return r;
	}
	if (v2 >= 0 && cg->dfd[v2] >= 0)
		return cg_devices_attach(cg->dfd[v2], d, cg->made[v2], e);
	if (cg_devices_allow_all(d))
		return 0;
	return err_at(e, err_set(e, ERR_UNSUPPORTED, 0, "no cgroup hierarchy on this host can filter devices"),
		      d->origin);
}
