/* SPDX-License-Identifier: Apache-2.0 */
/* Performing planned writes in a container's cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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
	{ "memory.kmem.limit_in_bytes", EOPNOTSUPP, "this kernel doesn't enforce a limit of kernel memory" },
	{ "cpu.cfs_quota_us", EINVAL, "more than the parent cgroup has, or less than 1 ms" },
	{ "cpu.cfs_period_us", EINVAL, "must be 1 ms to 1 s" },
	{ "cpu.max", EINVAL, "the period must be 1 ms to 1 s, the quota at least 1 ms" },
	{ "cpu.rt_runtime_us", EINVAL, "more than the parent cgroup has" },
	{ "cpu.rt_runtime_us", ENOENT, "the kernel has no realtime group scheduling" },
	{ "cpu.rt_period_us", ENOENT, "the kernel has no realtime group scheduling" },
	{ "cpu.idle", ENOENT, "needs Linux 5.15" },
	{ "cpu.idle", EINVAL, "must be 0 or 1" },
	{ "cpu.shares", EINVAL, "an idle cgroup takes no shares" },
	{ "cpu.weight", EINVAL, "an idle cgroup takes no weight" },
	{ "cpu.max.burst", EINVAL, "more than the quota" },
	{ "cpu.cfs_burst_us", EINVAL, "more than the quota" },
	{ "pids.max", EINVAL, "must be at most 4194304, the kernel's own limit of pids" },
	{ "memory.swappiness", EINVAL, "more than the kernel takes: 100, since Linux 5.8 200" },
	{ "cpuset.cpus", ERANGE, "not a list of this host's CPUs" },
	{ "cpuset.mems", ERANGE, "not a list of this host's memory nodes" },
	{ "io.max", EINVAL, "a rate must be 2 or more on cgroup v2" },
	{ "rdma.max", EINVAL, "no such RDMA device" },
	{ "rdma.max", ENODEV, "no such RDMA device" },
	{ "misc.max", EINVAL, "no such resource on this host" },
	{ "net_prio.ifpriomap", ENODEV, "no such interface in hull's network namespace" },
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

/* What the kernel made of a value that it took, as the error that says so. */
static int differs(const struct cg_write *w, const char *file, const char *value, char *text, const char *why, struct err *e)
{
	static const struct {
		const char *file, *why;
	} reasons[] = {
		{ "memory.kmem.limit_in_bytes", ", this kernel doesn't enforce a limit of kernel memory" },
		{ "memory.swappiness", ", this kernel has no swappiness of its own for a cgroup" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons) && !*why; i++)
		if (streq(reasons[i].file, file))
			why = reasons[i].why;
	text[strcspn(text, "\n")] = '\0';
	return err_at(e, err_set(e, ERR_UNSUPPORTED, 0, "write %s = %.200s: the kernel took it, but the file reads \"%.80s\"%s", file, value, text, why),
		      w->origin);
}

/* A v2 cpuset takes what its parent doesn't have. As long as one is left the processes get those that both have (the parent may lose CPUs at any time,
 * cgroup-v2.rst), else all that the parent has: then they would run where nobody asked for. */
static int check_effective(int dfd, const struct cg_write *w, const char *file, const char *value, struct err *e)
{
	char effective[64], text[65536];

	snprintf(effective, sizeof(effective), "%.40s.effective", file);
	ssize_t n = io_read_at(dfd, effective, text, sizeof(text));
	if (n < 0)
		return err_at(e, err_sys(e, (int)n, "read %s", effective), w->origin);
	if (cg_readback_covers(value, text))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, 0, "write %s = %.200s: none of them belong to the parent cgroup, %s reads \"%.80s\"", file, value,
			      effective, text),
		      w->origin);
}

/* What was written is what is in force. Files that can only be written (memory.reclaim) answer -EINVAL, without CAP_DAC_OVERRIDE -EACCES. */
static int check_written(const struct cgroup *cg, const struct cg_write *w, const char *file, const char *value, struct err *e)
{
	char text[65536];
	int dfd = cg->dfd[w->hier];
	ssize_t n = io_read_at(dfd, file, text, sizeof(text));

	if (n == -EINVAL || n == -EACCES)
		return 0;
	if (n < 0)
		return err_at(e, err_sys(e, (int)n, "read back %s", file), w->origin);
	if (!cg_readback_agrees(file, value, text)) {
		/* Splitting it into words has left terminators in it. */
		n = io_read_at(dfd, file, text, sizeof(text));
		return differs(w, file, value, n < 0 ? memcpy(text, "?", 2) : text, "", e);
	}
	bool set = cg->lay->h[w->hier].v2 && (streq(file, "cpuset.cpus") || streq(file, "cpuset.mems"));
	return set && value[0] != '\n' ? check_effective(dfd, w, file, value, e) : 0;
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
	/* Where the kernel can't limit it there is no limit. */
	if (r == -ENOENT && w->unlimited)
		return 0;
	return r < 0 ? write_failed(w, file, value, r, e) : check_written(cg, w, file, value, e);
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

/* For update.c. */
int cg_write_one(const struct cgroup *cg, const struct cg_write *w, struct err *e)
{
	return write_one(cg, w, e);
}

int cg_write_failed(const struct cg_write *w, int r, struct err *e)
{
	return write_failed(w, w->file, w->value, r, e);
}

int cg_enable_for(const struct cgroup *cg, const struct cg_write *w, struct err *e)
{
	return enable_for(cg, w, e);
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
