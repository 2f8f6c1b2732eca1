/* SPDX-License-Identifier: Apache-2.0 */
/* config → plan: every decision is taken here, once, without a side effect and without root. The plan is built directly in the form that hull-init reads
 * (blob.h); what belongs to the host stands beside it. A plan never depends on the machine that runs it: the host comes in as `struct facts`. */
#ifndef HULL_PLAN_PLAN_H
#define HULL_PLAN_PLAN_H

#include <linux/capability.h>

#include "base/err.h"
#include "base/log.h"
#include "cgroup/systemd.h"
#include "ocispec/ocispec.h"
#include "plan/blob.h"
#include "seccomp/seccomp.h"

/* What the host is like, as far as a decision depends on it. */
struct facts {
	uint32_t euid;
	uint32_t egid;
	bool in_userns;           /* not in the initial user namespace: no device node can be made */
	bool foreign_mounts;      /* our mount namespace belongs to a user namespace outside of ours: nothing can be mounted in it */
	bool no_setgroups;        /* the user namespace forbids it (/proc/PID/setgroups) */
	uint32_t last_cap;        /* highest capability that the kernel knows */
	uint64_t caps;            /* what the caller can give: permitted and in the bounding set */
	bool procfs_pidns;        /* procfs takes pidns= (seen from 6.17) */
	bool open_tree_namespace; /* open_tree(2) makes mount namespaces (7.0) */
	bool trees_dissolve;      /* a detached tree loses its mounts with its last descriptor (seen on 7.3; 6.18 leaves them to who has its root there) */
	bool sysfs_refused;       /* the network namespace of the container belongs to a user namespace in which nobody of ours may mount it */
	bool joins_userns;        /* the configuration's user namespace is one of an ordinary caller's that exists: caps and all above are as they are in there */
	bool shown_inside;        /* joins_userns: it maps the caller's ids, so that what is born in there shows itself to the caller */
	bool apparmor, selinux;   /* active on this host */
	bool foreign;             /* read from a text: nothing may be asked of the machine that we are on */
	struct cg_layout cg;
	struct cg_manager systemd; /* where the systemd driver was asked for */
};

/* No CAP_SYS_ADMIN in the user namespace that we are in: nothing works but in one of our own. */
static inline bool facts_is_ordinary(const struct facts *f)
{
	return !(f->caps & 1ull << CAP_SYS_ADMIN);
}

/* Not root of the host: no device node can be made, so they are clones of the host's, and cgroups only where somebody has given room. */
static inline bool facts_is_guest(const struct facts *f)
{
	return f->in_userns || facts_is_ordinary(f);
}

int facts_detect(struct facts *ret, struct err *e);
/* What costs too much to be looked at for every container: only where `cfg` depends on it; the mappings of a user namespace that an ordinary caller joins
 * are put into `cfg`, in `a`. The machine isn't asked when `f` is foreign. */
int facts_detect_for(struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e);
/* Read facts from a text of "key value" lines (tests/plan): only what is named differs from a fixed modern v2 host with root. */
int facts_parse(const char *text, struct facts *ret, struct err *e);

/* Of the configuration's annotations, what is honoured. */
struct plan_annotations {
	bool keep_groups;           /* the program keeps the caller's additional groups */
	const char *mount_context;  /* SELinux mount option that takes linux.mountLabel: "context" and relatives, never NULL */
	/* absolute host paths, NULL: not asked for */
	const char *hooks_stdout, *hooks_stderr; /* what hooks say is appended there */
	const char *seccomp_receiver; /* as linux.seccomp.listenerPath */
	const char *pidfd_receiver;   /* socket that is sent a pidfd of the container's process */
};

struct plan_opts {
	const char *id;
	const char *bundle;        /* absolute */
	bool gate;                 /* create: wait for start */
	bool new_keyring;
	bool no_cgroup;            /* stay in the caller's cgroups, without limits and device filter */
	bool no_delegation;        /* because it may make none, and the configuration names none */
	const int *preserved; size_t n_preserved; /* fd numbers */
	const char *listen_names;  /* and by LISTEN_FDNAMES, unless NULL */
	bool notify;               /* the caller has a service manager that wants to be notified (sd_notify(3)) */
	unsigned listen_fds;       /* so many of them, the first, are told to the program by LISTEN_FDS */
	const uint8_t *token;      /* 16 bytes */
	uint32_t log_level;
	struct seccomp_cache *cache; /* NULL: compile in any case */
	const char *const *annotations; /* names that the caller allows beside the harmless ones (str_matches), NULL-terminated; NULL: none */
};

/* Which process of the configuration exec runs, and in what. */
struct plan_exec_opts {
	const char *id;
	const int *preserved; size_t n_preserved;
	bool no_cgroup;            /* the container has none of its own */
	bool new_keyring;
	bool joins_pid;            /* the container has a pid namespace other than the caller's */
	uint32_t namespaces;       /* CLONE_NEW… that the container has and the caller is not in */
	bool place_late;           /* the process enters no cgroup by itself: the host moves it once it is born */
	uint32_t log_level;
	const char *init_root;     /* /proc/PID/root of the container's init where it was entered by chroot; NULL: the root of its mount namespace */
	bool shares_ptrace;        /* the container's bounding set has CAP_SYS_PTRACE */
	const char *const *annotations; /* what was allowed when the container was made, as in plan_opts */
	struct seccomp_cache *cache; /* NULL: compile in any case */
};

/* Slots that the host fills. -1: not used by this plan. */
struct plan_slots { int16_t ctl, start, pidfd, hook_out, hook_err, notify, tasks, n_tasks, outer; };

/* An ordinary caller's own user namespace, around that of the container: S has rights in it, and the same ids by the same numbers as the caller. */
struct plan_outer {
	bool on;
	const char *uid_map, *gid_map; /* lines for /proc/PID/uid_map */
	bool own_uid, own_gid;   /* nothing but the caller's own id: that needs no right */
};

/* linux.intelRdt, decided. */
struct plan_rdt {
	bool on;
	const char *group;      /* below the root of resctrl; "" its own, default group */
	const char *schemata;   /* lines to write, or to compare with an existing group; "" none */
	const char *mon_group;  /* path of the monitoring group, NULL none */
	bool named;             /* closID: may be shared, and stays when the container goes */
	bool must_exist;
};

/* Set by the host, by pid, when the process is finished: no later fork of ours would lose it or be forbidden by it, and it needs what the process has given
 * up by then. */
struct plan_sched {
	bool set;
	uint32_t policy, priority;
	uint64_t flags;
	int32_t nice;
	uint64_t runtime, deadline, period; /* nanoseconds */
	const char *origin;
};

struct mount_words;

struct plan {
	struct blob hdr;           /* copied to the front of `mem` when sealed */
	char *mem; size_t len, cap; /* the block, in the arena */
	struct step *steps; size_t n_steps, cap_steps;
	struct oci_arena *arena;
	const struct facts *facts;
	const struct oci_config *cfg;
	struct plan_slots slots;
	int16_t dev_slot;          /* the /dev tmpfs of this container, or -1 */
	bool dev_foreign;          /* /dev is a bind or somebody's file system: nothing is made there */
	const char *bundle, *rootfs; /* absolute host paths */
	const char *cgroup_path;   /* absolute in each hierarchy; NULL: the container stays in the caller's cgroups */
	struct cg_unit unit;       /* systemd driver: the scope, else an empty name */
	struct cg_props props, late_props; /* what systemd is told of it when it starts, and with the late writes */
	struct cg_writes writes;
	uint32_t cgroup_owner;     /* who gets it, as the caller sees it; UINT32_MAX: it stays the caller's */
	struct cg_devices devices; /* `v` NULL: no filter */
	struct plan_sched sched;
	int io_priority;           /* as ioprio_set(2) takes it, -1: unchanged */
	const char *io_priority_origin, *memory_policy_name;
	const uint64_t *first_cpus; size_t n_first_cpus; /* where the host starts the process of exec: a bit a CPU; 0: anywhere */
	unsigned listen_fds;
	const char *listen_names;
	struct plan_annotations honoured;
	uint32_t joined;           /* CLONE_NEW… joined by path */
	const struct oci_mount *idmap_of; int16_t idmap_of_slot; /* the mount whose mappings STEP_IDMAP has made last: often the next one has the same */
	bool container_hooks;      /* createContainer or startContainer hooks */
	bool host_hooks;           /* prestart or createRuntime hooks run at create */
	bool late_writes;
	bool warned_slave;         /* that a shared volume of a user namespace sends nothing to the host */
	struct plan_rdt rdt;
	struct plan_outer outer;
	const char *birth_userns;  /* host path of the user namespace that hull-init is born in (facts.joins_userns), else NULL */
	bool net_devices;          /* the host moves network devices: steps STEP_NETDEV */
	bool sealed;
	struct seccomp_cache *cache;
	struct seccomp_filter fresh_filter; /* compiled, not found in the cache; n 0: none */
};

/* The plan of create and run. Strings and block live in `a`; `cfg` and `f` must live as long as the plan. Every error names a JSON path. */
int plan_create(const struct facts *f, const struct oci_config *cfg, const struct plan_opts *o, struct oci_arena *a, struct plan *ret, struct err *e);
/* The plan of exec: `proc` in a container whose configuration is `cfg`. */
int plan_exec(const struct facts *f, const struct oci_config *cfg, const struct oci_process *proc, const struct plan_exec_opts *o, struct oci_arena *a,
	      struct plan *ret, struct err *e);
/* What is honoured of the annotations `m`: of those that reach files, sockets or groups of the host, what `allowed` names (NULL-terminated, str_matches; NULL:
 * nothing). A refused one is a warning where `warn` is set. Strings are those of `m`. Returns 0 or -EINVAL with *e. (crun(1), "Extensions to OCI") */
int plan_read_annotations(const struct oci_map *m, const char *const *allowed, bool warn, struct plan_annotations *ret, struct err *e);
/* All names that hull knows, for `features`; one that ends in '.' stands for all that begin so. */
const char *const *plan_annotations_known(size_t *ret_n);
/* The socket of the seccomp agent: of the configuration, or of its annotation. NULL: none. */
const char *plan_seccomp_receiver(const struct oci_config *cfg, const struct plan_annotations *honoured);
/* Text (one line a step) or JSON. */
const char *plan_explain(const struct plan *p, bool json, struct err *e);

/* The finished block, `*ret_size` bytes; the host writes fd numbers into it through plan_set_fd before it is sent. */
const struct blob *plan_seal(struct plan *p, size_t *ret_size, struct err *e);
void plan_set_fd(struct plan *p, int16_t slot, int fd);

/* ---- for the files of this directory ---- */

/* The facts of an ordinary caller whose configuration joins a user namespace become those of that namespace's root; else nothing. -EINVAL with the place in *e where
 * the caller has no right to it. */
int facts_join_userns(struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e);
/* What depends on the user namespace that one is in. */
void facts_detect_inside(bool *ret_no_setgroups, bool *ret_procfs_pidns);

struct bstr plan_str(struct plan *p, const char *s);
struct bstr plan_strf(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct bpath plan_path(struct plan *p, const char *s);
/* `n` strings as a list of struct bstr. */
struct blist plan_strv(struct plan *p, const char *const *v, size_t n);
/* Copy of `n` elements of `size` bytes. */
struct blist plan_list(struct plan *p, const void *v, size_t n, size_t size);
/* A new step; `origin` is its JSON path or "(reason)". Never NULL: when memory is short an error is remembered and plan_seal reports it. */
struct step *plan_step(struct plan *p, enum step_op op, enum phase phase, enum step_who who, const char *origin);
int16_t plan_slot(struct plan *p);
/* printf into the arena. */
const char *plan_text(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Absolute, without "." and doubled or trailing slashes; ".." stays (the kernel resolves it inside the root). */
const char *plan_clean_path(struct plan *p, const char *s);

int plan_add_namespaces(struct plan *p, struct err *e);
/* Lines for /proc/PID/uid_map, neighbours merged; an error when the kernel would not take them. `where` is the JSON path of the list. */
int plan_map_text(struct plan *p, const struct oci_id_mapping *m, size_t n, const char *where, struct bstr *ret, struct err *e);
/* The id outside for `id` inside; false: not mapped. */
bool plan_map_id(const struct oci_id_mapping *m, size_t n, uint32_t id, uint32_t *ret);
/* Is the container in a user namespace of its own, and do we know what it maps? */
bool plan_has_userns(const struct plan *p);
/* The slot with the user namespace that maps the ids of mount `m`, 0 for none. `where` is "mounts[i]". */
int plan_add_idmap(struct plan *p, const struct oci_mount *m, const struct mount_words *w, const char *where, int16_t *ret, struct err *e);
/* The mappings of the option `word`, "idmap=uids=…;gids=…", at JSON path `at`, as those of *ret. */
int plan_idmap_text(struct plan *p, const char *word, const char *at, struct oci_mount *ret, struct err *e);
/* `id` of a file that S makes for the container, as S has to write it. `where` is its JSON path. */
int plan_owner(struct plan *p, bool gid, uint32_t id, const char *where, uint32_t *ret, struct err *e);
/* Where S can't mount where the caller is: the step that brings it to where it can, and for an ordinary caller the maps. */
int plan_add_outer(struct plan *p, struct err *e);
int plan_add_ident(struct plan *p, struct err *e);
/* linux.netDevices: before the sysctls, which may name them. */
int plan_add_net_devices(struct plan *p, struct err *e);
int plan_add_rdt(struct plan *p, const char *id, struct err *e);
int plan_add_sysctls(struct plan *p, struct err *e);
/* The type of namespace that the sysctl `key` (with dots or slashes) belongs to; OCI_NS_NONE: to none, or refused. */
enum oci_namespace_type plan_sysctl_owner(struct plan *p, const char *key);
int plan_add_mounts(struct plan *p, struct err *e);
/* A clone of what is at the host's `path`, for a later step: returns its slot. `opened` >= 0 is a slot in which the host has opened it; `flags` are those of
 * step.u.source. */
int16_t plan_add_source(struct plan *p, int16_t opened, const char *path, uint32_t flags, const char *where);
/* A new file system and its place. Returns the slot that has the mount, for later steps. */
int16_t plan_add_superblock(struct plan *p, const struct step_mnt *m, const char *where);
/* A mount of type cgroup (v2_only: cgroup2) at `at`: what the container may see of the hierarchies. */
int plan_add_cgroup_mount(struct plan *p, const char *at, const char *where, uint64_t attr, bool v2_only, struct err *e);
/* The container's cgroup for a caller like `f`, by the cgroupfs driver. `buf` has CG_PATH_MAX bytes. */
int plan_cgroup_path(const struct facts *f, const struct oci_config *c, const char *id, char *buf, struct err *e);
/* Path, writes and device rules. */
int plan_add_cgroup(struct plan *p, const struct plan_opts *o, struct err *e);
/* Who owns it: after mounts and process. */
void plan_add_cgroup_owner(struct plan *p);
int plan_add_devices(struct plan *p, struct err *e);
int plan_add_paths(struct plan *p, struct err *e);
/* `at` must not lie below a volume that is shared with the host. */
int plan_check_shared(struct plan *p, const char *at, const char *where, struct err *e);
int plan_add_process(struct plan *p, const struct oci_process *proc, const char *where, struct err *e);
/* RLIMIT_… of getrlimit(2), or -1. */
int plan_rlimit(const char *name);
/* Scheduler, I/O priority, memory policy, personality. */
int plan_add_sched(struct plan *p, const struct oci_process *proc, const char *where, struct err *e);
/* exec only: the CPUs before and after the process enters the container's cgroup. */
int plan_add_exec_cpus(struct plan *p, const struct oci_exec_cpu_affinity *cpus, const char *where, struct err *e);
/* AppArmor profile, SELinux label. */
int plan_add_labels(struct plan *p, const struct oci_process *proc, const char *where, struct err *e);
int plan_add_mount_label(struct plan *p, struct err *e);
/* How a new file system of that type gets the mount label: not at all, as an option, on its root. */
enum label_way { LABEL_NONE, LABEL_CONTEXT, LABEL_ROOT };
enum label_way plan_label_way(const struct plan *p, const char *fstype);
/* `traced`: members of the pid namespace may ptrace, whatever this process may. */
int plan_add_filter(struct plan *p, bool traced, struct err *e);
/* Does the program get a NOTIFY_SOCKET of ours? Not where its environment has one already. */
bool plan_wants_notify(const struct oci_config *cfg);
/* The directory in the slot `notify`, where that is used, for the container. */
int plan_add_notify(struct plan *p, const char *id, struct err *e);
/* What NOTIFY_SOCKET of the program says. */
#define PLAN_NOTIFY_SOCKET "/run/notify/notify.sock"
int plan_add_hooks(struct plan *p, const struct plan_opts *o, struct err *e);
/* What this build can't do yet, refused with its JSON path. */
int plan_refuse(const struct facts *f, const struct oci_config *cfg, struct err *e);
/* The namespace of this type in the configuration, or NULL. */
const struct oci_namespace *plan_find_namespace(const struct oci_config *cfg, enum oci_namespace_type type);
uint32_t plan_clone_flag(enum oci_namespace_type type);

/* One mount's options, decided. */
struct mount_words {
	uint64_t set, clr, rset, rclr; /* MOUNT_ATTR_… of the mount, of it and all below */
	uint32_t sb_flags;             /* index bits into the table of superblock flags */
	uint32_t prop;                 /* MS_… | MS_REC, 0 = not asked for */
	bool bind, recursive, remount, ro, copy_up;
	enum { MOUNT_IDMAP_NONE, MOUNT_IDMAP_ONE, MOUNT_IDMAP_REC } idmap;
	const char *idmap_text; const char *idmap_at; /* "idmap=uids=…;gids=…" and where it stands; NULL: without mappings */
	uint32_t legacy;               /* MNT_LEGACY_… */
	uint32_t links;                /* SOURCE_NOFOLLOW, SOURCE_COPY_LINK, BIND_AT_NOFOLLOW */
	struct blob_mount_opt *data; size_t n_data;
	const char **data_word; size_t *data_index; /* as they were written, and where */
};
/* `where` is "mounts[i]". */
int mount_words_parse(struct plan *p, const struct oci_mount *m, const char *where, struct mount_words *ret, struct err *e);
/* All words that hull knows, for `features` and tests; NULL-terminated. */
const char *const *mount_words_known(void);
/* fsconfig flag names of `sb_flags`, in order; returns how many were written to `ret` (8 at most). */
unsigned mount_words_sb_names(uint32_t sb_flags, const char **ret);

#endif
