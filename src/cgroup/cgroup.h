/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups: where the hierarchies are, what the configuration means in files, and the container's own directory
 * in each of them.
 *
 * `res_v1.c` and `res_v2.c` are pure (resources → list of writes); drivers only create, place and remove. On a hybrid
 * host every controller is used where it is mounted. Kill, freeze and rmdir act only on a cgroup that carries our token
 * (security rule R17). */
#ifndef HULL_CGROUP_CGROUP_H
#define HULL_CGROUP_CGROUP_H

#include <sys/types.h>

#include "base/err.h"
#include "ocispec/arena.h"
#include "ocispec/runtime.h"

enum cg_mode { CG_MODE_NONE,
	       CG_MODE_V1,
	       CG_MODE_HYBRID,
	       CG_MODE_V2 };

#define CG_HIER_MAX 24
#define CG_PATH_MAX 3072

/* One mounted hierarchy. */
struct cg_hier {
	char dir[64]; /* directory below /sys/fs/cgroup: "memory", "cpu,cpuacct", "unified"; "" for pure v2 */
	char controllers[160]; /* " cpu cpuacct " with spaces around each; v2: what cgroup.controllers of its root says;
				  "name=systemd" for named ones */
	bool v2;
	bool absent; /* the container has no directory in it: the caller may make none there (cg_layout_keep_delegated) */
	char own[256]; /* the caller's own cgroup in it, "/" for the root (from /proc/self/cgroup); cut ones are refused */
};

struct cg_layout {
	enum cg_mode mode;
	unsigned n;
	struct cg_hier h[CG_HIER_MAX];
	char options[160]; /* v2: the superblock's ("nsdelegate,memory_recursiveprot"): who mounts cgroup2 anew from the initial cgroup namespace
			      must repeat them, else the kernel takes them from the host's mount, too */
};

/* Look at /sys/fs/cgroup and /proc/self/cgroup. mountinfo only for `options` before Linux 6.11. CG_MODE_NONE
 * when nothing is mounted. */
int cg_layout_detect(struct cg_layout *ret, struct err *e);
/* Index of the hierarchy that has `controller`, or -1. */
int cg_layout_find(const struct cg_layout *l, const char *controller);
/* Index of the v2 hierarchy, or -1. */
int cg_layout_v2(const struct cg_layout *l);

/* The container's path, absolute within each hierarchy, from linux.cgroupsPath (NULL: "/hull/<id>"; relative: below
 * "/hull/", the same value always means the same place; absolute: as it is). "..", ".", empty components, control
 * characters and over-long paths are errors that name linux.cgroupsPath. `buf` has CG_PATH_MAX bytes. (config-linux.md,
 * Cgroups Path) */
int cg_path_resolve(const char *cgroups_path, const char *id, char *buf, struct err *e);

/* The same for a caller to whom the hierarchies don't belong, where no path is given: beside its own cgroup, "hull-<id>" (a cgroup that has processes can't give
 * controllers to cgroups below it). In its own root "/hull/<id>". */
int cg_path_beside(const struct cg_layout *l, const char *id, char *buf, struct err *e);
/* For such a caller: hierarchies in which it may not make `path`, or may not put a process there, become `absent`. `by_manager`: systemd puts the process there,
 * which may from anywhere. Returns how many are left. */
unsigned cg_layout_keep_delegated(struct cg_layout *l, const char *path, bool by_manager);

enum cg_when { CG_EARLY,
	       CG_LATE };

/* One write. PURE data: printed by explain, compared by golden tests. */
struct cg_write {
	int hier; /* index in the layout */
	const char *file; /* "memory.max" */
	const char *value;
	uint8_t when; /* enum cg_when */
	const char *origin; /* JSON path: "linux.resources.memory.limit" */
	const char *alt_file; /* where the kernel has no `file` (I/O schedulers differ): this one gets alt_value; NULL:
				 none */
	const char *alt_value;
	bool unlimited; /* "no limit": fine where the kernel has no such file */
};

struct cg_writes {
	struct cg_write *v;
	size_t n, cap;
};

/* A normalised device rule list with the default rules that peers add appended, and the program built from it on v2. */
struct cg_device_rule {
	bool allow;
	char type; /* a, b, c */
	int64_t major, minor; /* -1 any */
	uint8_t access; /* 1 r, 2 w, 4 m */
};
struct cg_devices {
	struct cg_device_rule *v;
	size_t n;
	const char *origin;
};

/* All that linux.resources means on this layout. Pure: no system call. A property whose controller is nowhere, or that
 * cannot be expressed, is an error that names property and controller. `r` may be NULL (device defaults still come).
 * `helpers`: how many more processes than the container's own must fit while it is set up (hooks): decides what is
 * CG_LATE. */
int cg_plan(const struct cg_layout *l, const struct oci_resources *r, unsigned helpers, struct oci_arena *a,
	    struct cg_writes *ret, struct cg_devices *ret_dev, struct err *e);

/* The JSON path of a property that limits something, NULL when none does. Device rules are none. */
const char *cg_first_limit(const struct oci_resources *r);

/* The container's directories. */
struct cgroup {
	const struct cg_layout *lay;
	char path[CG_PATH_MAX];
	int dfd[CG_HIER_MAX]; /* -1 where there is none */
	bool made[CG_HIER_MAX]; /* our mkdir made it (else adopted, empty: never killed or removed) */
};

#define CG_TOKEN_HEX 33 /* 128 bits in hex with the final NUL */

/* What the record keeps of a cgroup: enough to undo without the configuration. */
struct cg_ref {
	const char *path;
	const char *token;
	uint32_t made; /* bit per hierarchy index of the layout */
};

/* Make `path` in every hierarchy, the directories above it too, and mark each leaf with `token` as xattr trusted.hull
 * (user.hull where trusted.* is refused). On v2 the controllers that engines read their figures from (cpu, io, memory,
 * pids) are enabled along the path where the host lets us; others when cg_apply needs them. A v1 cpuset gets its parent's
 * cpus and mems. An existing leaf is adopted only when it holds no process and no child and carries nobody's token; it
 * and a frozen place are errors that name linux.cgroupsPath. On failure whatever was made is removed. Directories above
 * the leaf that were made are marked too: cg_remove takes them away when they are empty. */
int cg_create(const struct cg_layout *l, const char *path, const char *token, struct cgroup *ret, struct err *e);
/* Open what exists of a container's cgroup: how many hierarchies have it. Missing ones have dfd -1. `made` is false
 * throughout: who made them is on the directories themselves. */
int cg_open(const struct cg_layout *l, const char *path, struct cgroup *ret, struct err *e);
void cg_close(struct cgroup *cg);
/* A container without a cgroup: nothing is open, and every function here finds nothing to do. */
void cg_none(struct cgroup *ret);
/* Perform the writes with `when`, in order, and read each back: what the file shows must be what was written, but for what the kernel is known to make of
 * it (readback.c). Error text "write memory.max = 4096" with the origin as path. */
int cg_apply(const struct cgroup *cg, const struct cg_writes *w, enum cg_when when, struct err *e);
/* Put the device filter in force: v1 devices.deny/allow, v2 BPF attached to the directory (replaced atomically when one
 * of ours is there). */
int cg_devices_apply(const struct cgroup *cg, const struct cg_devices *d, struct err *e);
/* v2: the container's directory, and in it the files that the kernel lists as safe to delegate, belong to user `uid` from here on. Limits don't. */
int cg_give(const struct cgroup *cg, uint32_t uid, struct err *e);
/* Make an update's resources whole: zeros that engines send for "not asked for" go, and what a property shares with one
 * that wasn't given (cpu.max, the sum of memory and swap) is taken from the kernel. memory.checkBeforeUpdate is answered.
 * (update_complete.c) */
int cg_update_complete(const struct cgroup *cg, struct oci_resources *r, struct err *e);
/* All writes and, where `d` isn't NULL, the device filter, or nothing: after a failure every file is as it was, and *e
 * names the one that failed, or those that could not be put back. Controllers that had to be enabled for it stay so.
 * -EPERM where another container's token is on the directory. (update.c) */
int cg_update(const struct cgroup *cg, const char *token, const struct cg_writes *w, const struct cg_devices *d,
	      struct err *e);
/* What writing `w` would replace, as writes that put it back. */
int cg_update_before(const struct cgroup *cg, const struct cg_writes *w, struct oci_arena *a, struct cg_writes *ret, struct err *e);
/* Reclaim `bytes` of the cgroup's memory (memory.reclaim, cgroup v2 since Linux 5.19) for at most about `timeout_ms`;
 * *ret is by how much its usage went down, which may be less. ERR_UNSUPPORTED on v1. */
int cg_reclaim(const struct cgroup *cg, const char *token, uint64_t bytes, int timeout_ms, uint64_t *ret, struct err *e);
/* fd for CLONE_INTO_CGROUP (O_PATH directory of the v2 hierarchy), or -1 when there is no v2. Not owned by the caller. */
int cg_clone_fd(const struct cgroup *cg);
/* Open the `tasks` files of the v1 hierarchies for writing, O_CLOEXEC, at most `max`. Returns how many; the caller
 * closes them. The process writes "0" itself. */
int cg_open_tasks(const struct cgroup *cg, int *fds, unsigned max, struct err *e);
/* Move `pid` by writing cgroup.procs (tasks on v1): only for a full pids cgroup and for systemd's scopes. */
int cg_move(const struct cgroup *cg, pid_t pid, struct err *e);
/* All pids in the cgroup and below, sorted, unique, in the arena. */
int cg_pids(const struct cgroup *cg, struct oci_arena *a, pid_t **ret, size_t *ret_n, struct err *e);
/* Send `sig` to every process in the cgroup and below. SIGKILL uses cgroup.kill where it exists; else pids.max becomes 0
 * and rounds follow until nobody new appears, with a bound. A frozen v1 cgroup is thawed once SIGKILL is pending; nothing
 * is ever frozen in order to kill; a cpu quota ends before SIGKILL. Refused (-EPERM, *e) when the directory whose processes count (v2, else the v1
 * freezer) doesn't carry `token`. Nothing there at all is success. */
int cg_kill(const struct cgroup *cg, const char *token, int sig, struct err *e);
/* Is any hierarchy's cgroup frozen by the freezer? 1, 0 or -errno. */
int cg_frozen(const struct cgroup *cg);
/* The same of the cgroup at `path`, looking at nothing but the freezers: part of every question for a status. */
int cg_path_frozen(const char *path);
/* Freeze every process in the cgroup and below, by the v1 freezer where one is mounted, else by cgroup.freeze, and wait
 * until all are. After `timeout_ms`, and after any other failure, it is thawed again: -ETIMEDOUT with *e naming a
 * process that didn't freeze. -EPERM where the directory doesn't carry `token`, -ENOENT where there is none.
 * (freezer-subsystem.rst; cgroup-v2.rst, cgroup.freeze) */
int cg_freeze(const struct cgroup *cg, const char *token, int timeout_ms, struct err *e);
/* Thaw what is frozen in the cgroup itself, by either freezer. Sub-cgroups frozen on their own stay so. -EBUSY when a
 * cgroup above it keeps it frozen, -EPERM and -ENOENT as above. */
int cg_thaw(const struct cgroup *cg, const char *token, struct err *e);
/* Does the directory whose processes count carry `token`? */
bool cg_is_ours(const struct cgroup *cg, const char *token);
/* Wait until no process is left in it and below, at most `timeout_ms`. 0, or -ETIMEDOUT with *e naming the first pid
 * left and its wait channel. */
int cg_wait_empty(const struct cgroup *cg, int timeout_ms, struct err *e);
/* Remove the cgroup with all sub-cgroups, then the directories above it that cg_create made and that are empty now. Only
 * directories that carry `token` (on file systems without marks: only empty ones); others stay, without an error. Busy
 * ones are tried again for up to `timeout_ms` in all; one that doesn't go doesn't keep the others, and the error names
 * the first process in it. "Already gone" is success. */
int cg_remove(const struct cg_layout *l, const char *path, const char *token, int timeout_ms, struct err *e);

/* ---- oom.c: what the memory controller says about its limit ---- */

/* OOM kills counted by the cgroup (memory.events oom_kill, v1 memory.oom_control oom_kill), or -1 when unknown. */
int64_t cg_oom_kills(const struct cgroup *cg);
/* The most memory that was ever charged to the cgroup, in bytes (memory.peak, v2 since Linux 5.19; v1
 * memory.max_usage_in_bytes), or -1 when unknown. */
int64_t cg_memory_peak(const struct cgroup *cg);
/* Its limit in bytes (memory.max, v1 memory.limit_in_bytes); INT64_MAX for none, -1 when unknown. */
int64_t cg_memory_limit(const struct cgroup *cg);

/* Waiting for the OOM killer: `fd` is for poll(2) with `events`, -1 where there is no memory controller (nothing will ever happen then). */
struct cg_oom_watch {
	int fd;
	short events;
	int file_fd; /* memory.events, or v1's memory.oom_control */
	int event_fd; /* v1: what `fd` is; else -1 */
	uint64_t kills; /* v2: as last seen */
};
/* v2 polls memory.events; v1 registers an eventfd with memory.oom_control (admin-guide/cgroup-v1/memory.rst, 10). */
int cg_oom_watch_open(const struct cgroup *cg, struct cg_oom_watch *ret, struct err *e);
/* After poll, and once at the end: how many there were since the last call. v1 counts the times that the limit couldn't be kept, v2 the processes killed
 * for it. -ENODEV, without *e, when the cgroup is gone. */
int cg_oom_watch_take(struct cg_oom_watch *w, uint64_t *ret);
void cg_oom_watch_close(struct cg_oom_watch *w);

/* What was counted before something is tried in the cgroup; all zero for a new one. (blame.c) */
struct cg_hits {
	int64_t oom_kills; /* processes killed for the memory limit; -1 unknown */
	int64_t memory_hits; /* how often it was reached; -1 unknown */
	int64_t cpu_hits; /* periods of which the quota took away a part; -1 unknown */
};
void cg_hits_read(const struct cgroup *cg, struct cg_hits *ret);
/* Something failed in the cgroup with errno `code` (0: a process died without a word). Is one of its limits the likely reason? Then print, for the end of the
 * error's text, "; cgroup reports oom_kill 1 (memory limit 262144, peak 262144)". */
bool cg_blame(const struct cgroup *cg, const struct cg_hits *before, int code, char *buf, size_t size);
/* Is there no room for `more` processes under the cgroup's own pids limit? */
bool cg_pids_full(const struct cgroup *cg, unsigned more);

#endif
