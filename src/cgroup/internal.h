/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/cgroup share among themselves. Nobody else includes this but the unit tests. */
#ifndef HULL_CGROUP_INTERNAL_H
#define HULL_CGROUP_INTERNAL_H

#include <linux/bpf.h>
#include <sys/stat.h>

#include "cgroup/cgroup.h"

#define CG_MOUNT "/sys/fs/cgroup"
#define CG_NAME_MAX 255

/* ---- pure: resources → writes ---- */

/* Where the functions of res_v1.c and res_v2.c put what they find out. The first failure stays in `r`; later calls do
 * nothing. */
struct cg_out {
	struct oci_arena *a;
	struct cg_writes *w;
	int hier; /* of the controller at work; -1 for none */
	unsigned helpers;
	int r;
	struct err *e;
};

/* The controllers on cgroup v1: each adds its writes. Called only when a property of theirs is set. */
void cg_v1_cpu(struct cg_out *o, const struct oci_resources *r);
void cg_v1_cpuset(struct cg_out *o, const struct oci_resources *r);
void cg_v1_memory(struct cg_out *o, const struct oci_resources *r);
void cg_v1_blkio(struct cg_out *o, const struct oci_resources *r);
void cg_v1_hugetlb(struct cg_out *o, const struct oci_resources *r);
void cg_v1_net_cls(struct cg_out *o, const struct oci_resources *r);
void cg_v1_net_prio(struct cg_out *o, const struct oci_resources *r);

/* The controllers on cgroup v2. */
void cg_v2_cpu(struct cg_out *o, const struct oci_resources *r);
void cg_v2_cpuset(struct cg_out *o, const struct oci_resources *r);
void cg_v2_memory(struct cg_out *o, const struct oci_resources *r);
void cg_v2_io(struct cg_out *o, const struct oci_resources *r);
void cg_v2_hugetlb(struct cg_out *o, const struct oci_resources *r);
/* resources.unified: keys are files of the v2 directory, whose controllers must be there. */
void cg_v2_unified(struct cg_out *o, const struct cg_layout *l, const struct oci_resources *r);

/* Controllers that look the same on both; `suffix` is the last part of hugetlb's file names. */
void cg_res_pids(struct cg_out *o, const struct oci_resources *r);
void cg_res_rdma(struct cg_out *o, const struct oci_resources *r);
void cg_res_hugetlb(struct cg_out *o, const struct oci_resources *r, const char *suffix);

/* Append a write; `value` is copied, `origin` and `file` must live as long as the list. */
void cg_add(struct cg_out *o, const char *origin, enum cg_when when, const char *file, const char *value);
void cg_add_u64(struct cg_out *o, const char *origin, const char *file, uint64_t v);
/* A number, or `unlimited` ("-1", "max") for a negative one. */
void cg_add_limit(struct cg_out *o, const char *origin, const char *file, int64_t v, const char *unlimited);
/* A write with an alternative for kernels that have `alt_file` instead. */
void cg_add_alt(struct cg_out *o, const char *origin, const char *file, const char *value, const char *alt_file,
		const char *alt_value);
/* Fail: the property at `origin` can't be had. */
void cg_refuse(struct cg_out *o, const char *origin, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* At most 1,023 bytes, printed into the arena. Never NULL. */
const char *cg_printf(struct cg_out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A word that stands in a line with numbers: 1 to `max` bytes, no spaces, slashes, control characters. */
bool cg_check_word(struct cg_out *o, const char *word, size_t max, const char *path);
/* memory.swap limits memory and swap together: the limit of memory must be there and not above it. v1 would say only
 * EINVAL. */
void cg_check_swap(struct cg_out *o, const struct oci_memory *m);
/* CG_LATE for a quota under a tenth of the period: setting the container up under it would take many periods. */
enum cg_when cg_quota_when(const struct oci_cpu *c);
/* cpu.shares (v1, 2 … 262144) as cpu.weight (v2, 1 … 10000), the conversion of runc, crun and youki:
 * ⌈10^((l² + 125·l)/612 − 7/34)⌉ with l = log2(shares); 1024 gives 100. */
unsigned cg_shares_to_weight(uint64_t shares);

/* ---- what a file shows after a write ---- */

#define CG_VALUE_MAX 4096 /* the kernel takes at most a page in one write */

/* Does `text`, read from `file` (changed by the call), mean the one line `value` that was written to it, after what the kernel may make of it: rounding to
 * pages, ends of a range, another form of a list, no line for a limit that is none? Pure. */
bool cg_readback_agrees(const char *file, const char *value, char *text);
/* Does the list "0-3,7" have everything that `inner` has? */
bool cg_readback_covers(const char *outer, const char *inner);

/* ---- device rules ---- */

/* Check the configuration's rules, append the default ones, drop those that can't matter. Pure. */
int cg_devices_plan(const struct oci_resources *r, struct oci_arena *a, struct cg_devices *ret, struct err *e);
/* The same without dropping: what the rules mean by the letter. */
int cg_devices_expand(const struct oci_resources *r, struct oci_arena *a, struct cg_devices *ret, struct err *e);
/* Does the list let everything through? */
bool cg_devices_allow_all(const struct cg_devices *d);
/* May a process do `access` (1 r, 2 w, 4 m) to the device? The rules read in order, the last that speaks of a letter
 * decides it. */
bool cg_devices_eval(const struct cg_devices *d, char type, uint32_t major, uint32_t minor, unsigned access);
/* The program for BPF_PROG_TYPE_CGROUP_DEVICE. Pure. */
int cg_devices_program(const struct cg_devices *d, struct oci_arena *a, struct bpf_insn **ret, size_t *ret_n,
		       struct err *e);
/* The writes for a v1 devices cgroup: value i goes to devices.deny where deny[i], else to devices.allow. A list that
 * the v1 controller can't express is an error. Pure. */
struct cg_devices_v1 {
	const char **value;
	bool *deny;
	size_t n;
};
int cg_devices_to_v1(const struct cg_devices *d, struct oci_arena *a, struct cg_devices_v1 *ret, struct err *e);
/* What the v1 directory `dfd` has now, in the same form. The exceptions of one that allows everything can't be read. */
int cg_devices_read_v1(int dfd, struct oci_arena *a, struct cg_devices_v1 *ret, struct err *e);
/* Put the program on the v2 directory `dfd`. `fresh`: nothing can be attached there yet. */
int cg_devices_attach(int dfd, const struct cg_devices *d, bool fresh, struct err *e);
/* How many device programs are attached directly to `dfd`, or -errno. */
int cg_devices_attached(int dfd);

/* ---- one write (apply.c) ---- */

/* Write and check one value. */
int cg_write_one(const struct cgroup *cg, const struct cg_write *w, struct err *e);
/* The error of a write that failed with `r`; returns `r`. */
int cg_write_failed(const struct cg_write *w, int r, struct err *e);
/* Enable the controller of a file that isn't there because the directories above haven't done so. Most are enabled when
 * the directory is made; the rest here, by the property that needs it. -ENOENT when it isn't on this hierarchy. */
int cg_enable_for(const struct cgroup *cg, const struct cg_write *w, struct err *e);

/* ---- update.c: several writes as one step ---- */

/* One write of an update. */
struct cg_change {
	struct cg_write w;
	const char *now; /* what the file says before; NULL: it can't be read */
	const char *undo; /* the value that puts it back; NULL: none can */
	const char *fallback; /* means the same as `undo`, where the kernel doesn't take that any more; NULL: nothing does */
	bool v2; /* of its hierarchy */
	bool skip; /* not written: only put back, because another write changes it too */
	bool no_undo; /* put back by the undo of another one */
};

/* Where the files are: the real ones, or a test's. `write` checks what it wrote. */
struct cg_io {
	ssize_t (*read)(void *arg, const struct cg_write *w, char *buf, size_t size);
	int (*write)(void *arg, const struct cg_write *w, struct err *e);
	void *arg;
};

/* The changes that the planned writes are, in the order in which they can be made. Nothing is written. */
int cg_update_list(const struct cg_layout *l, const struct cg_io *io, const struct cg_writes *w, struct oci_arena *a,
		   struct cg_change **ret, size_t *ret_n, struct err *e);
/* The order alone: at every point of it the kernel's rules between two files hold, and so do they on the way back. Pure. */
void cg_update_order(struct cg_change *v, size_t n);
/* Make the changes. After a failure what was made is undone, and *e says so, or what could not be. */
int cg_update_run(const struct cg_io *io, const struct cg_change *v, size_t n, struct err *e);
/* Undo the first `n` changes because of the failure `r` in *e, which is returned. */
int cg_update_undo(const struct cg_io *io, const struct cg_change *v, size_t n, int r, struct err *e);
/* Exchange the device filter; after a failure the old one is in force. (update_devices.c) */
int cg_devices_replace(const struct cgroup *cg, const struct cg_devices *d, struct err *e);

/* ---- directories ---- */

/* Fill the layout from the text of /proc/self/cgroup; the hierarchies are mounted at or below `root`. */
int cg_layout_parse(struct cg_layout *ret, const char *root, char *text, struct err *e);

/* Whose mark does a directory carry? */
enum cg_owner { CG_OWNER_NONE,
		CG_OWNER_US,
		CG_OWNER_OTHER,
		CG_OWNER_UNKNOWN /* this file system keeps no marks */ };
/* The sticky bit means nothing on a cgroup, and mkdir(2) sets it in the same instant: a directory of ours is known by it before it carries its token, so
 * that a kill in between leaves nothing that can't be removed. Such a directory goes only when it is empty. */
#define CG_DIR_MODE (S_ISVTX | 0755)
bool cg_has_birth_mark(int fd);
/* `fd` isn't O_PATH. `token` NULL: CG_OWNER_OTHER for any mark. */
enum cg_owner cg_token_owner(int fd, const char *token);
/* Whose is the container's directory in hierarchy `i`, which must be open? (Security rule R17) */
enum cg_owner cg_owner_of(const struct cgroup *cg, int i, const char *token);
/* Mark the directory. 0, or -errno (-EOPNOTSUPP, -EPERM where no mark can be kept). `fd` isn't O_PATH. */
int cg_token_set(int fd, const char *token);
/* What intermediate directories carry instead of a token. */
#define CG_TOKEN_PARENT "parent"

/* "cpu,cpuacct/hull/c1": a cgroup relative to CG_MOUNT. */
#define CG_REL_MAX (CG_PATH_MAX + 72)
void cg_rel_path(const struct cg_hier *h, const char *path, char *buf);
/* Turn on `controller` (" memory ") in every directory above `path` on the v2 hierarchy `h`; `root_fd` is CG_MOUNT.
 * 0, or -errno with *e naming controller, directory and why. */
int cg_enable(int root_fd, const struct cg_hier *h, const char *path, const char *controller, struct err *e);
/* Remove the directories above `path` that this program made (or that are below /hull) and that are empty now. */
void cg_prune_parents(int root_fd, const struct cg_hier *h, const char *path);
/* Processes can enter a v1 cpuset only when it has cpus and mems: it, and what is above it, gets them from its parent
 * where they are empty. */
int cg_cpuset_inherit(int root_fd, const struct cg_hier *h, const char *path, struct err *e);

/* The number behind `key` in a flat keyed file ("populated 0"), or -1. */
int64_t cg_read_key(int dfd, const char *file, const char *key);
/* Does the directory hold no process and no child? 1, 0 or -errno. */
int cg_is_empty(int dfd);
/* Call `f` for the directory and everything below it, parents first, at most CG_DEPTH_MAX levels. `f` returns 0 or
 * -errno, which ends the walk. What vanishes meanwhile is passed over. */
#define CG_DEPTH_MAX 64
int cg_walk(int dfd, int (*f)(int dfd, void *arg), void *arg);
/* The hierarchy whose list of processes counts: v2, else the v1 freezer, else the first that is there; -1 for none. */
int cg_main_hier(const struct cgroup *cg);
/* cg_pids in hierarchy `i` (-1: nobody). 0 or -errno. */
int cg_pids_in(const struct cgroup *cg, int i, struct oci_arena *a, pid_t **ret, size_t *ret_n);
/* For cg_walk: thaw one directory of the v1 freezer. */
int cg_v1_thaw(int dfd, void *arg);
/* Wait until something changes in a cgroup, at most `left_ms`: v2 tells by `events_fd` (cgroup.events, read before), v1
 * (-1) has to be asked again, a little later each time: *pause_ms begins with 1. */
void cg_wait_change(int events_fd, int64_t left_ms, unsigned *pause_ms);
/* Wait in the kernel for at most `ms`. */
void cg_sleep_ms(unsigned ms);
/* "process 42 (sleep), state D, waits in nfs_wait": for errors about what doesn't go away. */
const char *cg_describe_pid(pid_t pid, char *buf, size_t size);

#endif
