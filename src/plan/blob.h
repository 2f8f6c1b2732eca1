/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as hull-init sees it: one read-only block of memory. Offsets instead of pointers, slots instead of file descriptors, final
 * numbers instead of configuration words: whoever applies a step decides nothing.
 *
 * The host builds exactly this form (plan.c), so there is one representation to print, to test and to apply. */
#ifndef HULL_PLAN_BLOB_H
#define HULL_PLAN_BLOB_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/util.h"

#define BLOB_MAGIC 0x4c4c5548u /* "HULL" */
#define BLOB_VERSION 1u

/* Offset of a NUL-terminated string from the start of the block; 0 = absent. */
struct bstr { uint32_t off; };
/* The same for a path inside the container: only rootfs_*() may have it. */
struct bpath { uint32_t off; };
/* `n` consecutive elements at `off` (aligned to 8). */
struct blist { uint32_t off, n; };

/* Who applies a step. S is set-up, I is the process that becomes the container; see docs/architecture.md, section 6. */
enum step_who { WHO_HOST, WHO_S, WHO_I };

/* Phases in the order in which they happen. */
enum phase {
	PH_CGROUP, /* host: cgroup and limits */
	PH_SPAWN,  /* host: clone3 */
	PH_ENTER,  /* v1 tasks, joined namespaces, unshare */
	PH_SOURCE, /* what is going to be mounted becomes detached mounts in the configuration's order, before the mount namespace changes: bind sources, new file systems */
	PH_IDENT,  /* network devices (host), hostname, domainname, lo, sysctl */
	PH_MOUNT,  /* rootfs attached, mounts in the configuration's order, /dev */
	PH_LOCK,   /* user namespace: S's part of PH_MASK; then the container's process takes over, in a copy in which all of it is locked */
	PH_HOOKS,  /* prestart, createRuntime (host), createContainer */
	PH_PIVOT,
	PH_MASK,   /* masked and read-only paths, late read-only, propagation; then everything is read back */
	PH_TTY,
	PH_DROP,
	PH_LATE,   /* host: late cgroup writes */
	PH_GATE,
	PH_EXEC,
	PH_MAX
};

enum step_op {
	STEP_NONE,
	STEP_CGROUP_MAKE,  /* host */
	STEP_CGROUP_WRITE, /* host */
	STEP_CGROUP_OWNER, /* host: the user in `value` owns it */
	STEP_SCOPE,        /* host: u.cg.file is the unit, u.cg.value its slice */
	STEP_SCOPE_PROPERTY, /* host */
	STEP_TASKS,        /* write 0 to the v1 `tasks` file in slot `in` */
	STEP_JOIN,         /* setns to the namespace at a host path; with `out` >= 0 (pid) only opened and checked: entered last, see FIN_JOIN_PID */
	STEP_JOIN_INIT,    /* setns to the namespaces of the pidfd in slot `in` (exec); with `out` >= 0 its root at the host path goes there first */
	STEP_UNSHARE,
	STEP_OUTER,        /* a mount namespace in which we may mount, by a user namespace of the caller's own in slot `in` (-1: we are in one) */
	STEP_TIME,         /* a time namespace of its own, with the offsets in `value` (absent: none), entered at once */
	STEP_IDMAP,        /* a user namespace that does nothing but map ids for mounts: its fd goes into slot `out` */
	STEP_SOURCE,       /* host path, or (`in` >= 0) the directory that the host has opened → detached clone in slot `out` */
	STEP_NETLINK,      /* hand the host a netlink socket of the network namespace, and wait while it moves devices there */
	STEP_NETDEV,       /* host: a device `name` becomes `value` there */
	STEP_HOSTNAME,
	STEP_DOMAINNAME,
	STEP_LO_UP,
	STEP_SYSCTL,
	STEP_SUPERBLOCK,   /* a new file system as a detached mount in slot `out`; proc of a joined pid namespace: `in` is that */
	STEP_MOUNT,        /* the superblock in slot `in` attached */
	STEP_BIND,         /* slot `in` attached */
	STEP_REMOUNT,      /* attributes of an existing mount */
	STEP_DIR,          /* a directory on the mount in slot `in` */
	STEP_NODE,
	STEP_LINK,
	STEP_MASK,
	STEP_RDONLY,
	STEP_ATTR,         /* late: attributes of the mount in slot `in` (read-only after /dev is filled, read-only root) */
	STEP_PROPAGATION,  /* late: propagation of the mount in slot `in` */
	STEP_OP_MAX
};

/* flags of a step */
enum {
	STEP_OPTIONAL = 1 << 0, /* a failure is a warning */
	STEP_SKIP_MISSING = 1 << 1, /* the path does not exist: nothing to do (masks, read-only paths, links to what isn't there) */
	STEP_IN_USERNS = 1 << 2, /* sysctl: written by who stands in the container's user namespace, where there is one */
};

/* flags of step.u.mnt, step.u.bind, step.u.link, step.u.join */
enum {
	MNT_REAL_DIR = 1 << 0,      /* proc, sysfs, and a bind in its place: the destination must be an ordinary directory, no symlink on the way (SEC-06) */
	MNT_COVERED_MODE = 1 << 1,  /* tmpfs without mode=: takes the mode of the directory that it covers */
	MNT_LEGACY_IVERSION = 1 << 2, /* the words that fsconfig doesn't know: applied by mount(2), MS_REMOUNT */
	MNT_LEGACY_SILENT = 1 << 3,
	BIND_RECURSIVE = 1 << 4,
	LINK_IF_TARGET = 1 << 5,    /* only if the link's target exists in the container */
	JOIN_MUST_DIFFER = 1 << 6,  /* the namespace must not be the host's own: something will be set in it */
	MNT_DEV_TMPFS = 1 << 7,     /* this superblock is the container's /dev: nodes go to its fd */
	MNT_DEVPTS = 1 << 8,        /* this superblock is the container's /dev/pts: the console comes from it */
	NODE_IN_DEV = 1 << 9,       /* `at` counts from the container's own /dev tmpfs, not from the root */
	NODE_FOREIGN = 1 << 10,     /* under a /dev that is not ours: may be used when it is there, is never made */
	SOURCE_NOFOLLOW = 1 << 11,  /* a symbolic link is bound itself; of the bind, too */
	SOURCE_COPY_LINK = 1 << 21, /* a symbolic link is made once more in the container; of the bind, too */
	BIND_AT_NOFOLLOW = 1 << 22, /* a symbolic link at the destination is covered itself */
	SOURCE_KEEP_SHARED = 1 << 13, /* a volume that sends its mounts to the host: the clone stays a peer, and the plan mounts nothing below it */
	MNT_COPY_UP = 1 << 14,      /* tmpfs: begins with what the directory that it covers holds */
	MNT_LABEL_ROOT = 1 << 20,   /* the mount label is set on the root of the file system when it is mounted */
	MNT_PROC_PIDNS = 1 << 12,   /* proc of a joined pid namespace: fsconfig SET_FD "pidns" with the fd in slot `in` (6.17) */
	MNT_IN_USERNS = 1 << 15,    /* the superblock is made in the container's user namespace, to which it belongs then */
	NODE_CLONE = 1 << 16,       /* the place is on a file system of the container's user namespace, where no node works: one of our own making is bound there */
	BIND_IDMAP_REC = 1 << 17,   /* the ids of all mounts below are mapped, too */
	NODE_HOST = 1 << 18,        /* the host's own node, cloned into slot `out`, is bound: nobody makes one in a user namespace */
};

/* `prop` of mnt and bind is set before the mount is attached: MS_PRIVATE or MS_SLAVE, with MS_REC; 0 = as it is (a clone is a slave of its source). What the
 * configuration wants shared or unbindable is a late STEP_PROPAGATION: mounting on a shared clone would write into the host's table. Only a bind with rshared
 * is a peer of its source from the beginning (SOURCE_KEEP_SHARED): left once, a peer group can't be joined again. */

#define ID_ROOT UINT32_MAX

struct blob_mount_opt { struct bstr key, value; }; /* value absent: a flag */

struct step_mnt { struct bstr fstype, source; struct blist opts; uint64_t attr; uint32_t flags, prop; struct bpath at; };

struct step {
	uint8_t op;
	uint8_t phase;
	uint8_t who;
	uint8_t flags;
	int16_t in, out;     /* slots, -1 none */
	struct bstr origin;  /* "mounts[3]", "(default device)" */
	union {
		struct { struct bstr controller, file, value; uint8_t late; } cg;
		struct { uint32_t ns; uint32_t flags; struct bstr path; } join; /* ns: CLONE_NEW… */
		struct { uint32_t ns; } unshare;
		struct { struct bstr uid_map, gid_map; } idmap;
		struct { struct bstr path; uint32_t flags; } source;
		struct { struct bstr name, value; } write;
		struct step_mnt mnt; /* of both the file system and its place */
		struct { uint64_t set, clr, rset, rclr; uint32_t flags, prop; struct bpath at; int16_t idmap; } bind; /* idmap: slot of a user namespace, 0 none */
		struct { struct bpath at; uint32_t mode; uint32_t flags; } dir;
		struct { struct bpath at; uint32_t mode, uid, gid, major, minor, flags; } node; /* mode with S_IFMT; ids as S sees them, ID_ROOT: the container's root */
		struct { struct bpath at; struct bstr target; uint32_t flags; } link;
		struct { struct bpath at; } path;
		/* prop: MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0. `at`: the mount by its place, where the slot's would be one of another namespace */
		struct { uint64_t set, clr; uint64_t prop; struct bpath at; uint8_t recursive; } attr;
	} u;
};

struct blob_rlimit { uint32_t resource, spare; uint64_t soft, hard; };

struct blob_hook {
	struct bstr path;
	struct blist args, env; /* of struct bstr; args[0] is there always */
	uint32_t timeout;       /* seconds, 0 = none */
	struct bstr origin;
};

enum cap_set { CAPSET_EFFECTIVE, CAPSET_BOUNDING, CAPSET_INHERITABLE, CAPSET_PERMITTED, CAPSET_AMBIENT, CAPSET_N };

/* flags of the finale */
enum {
	FIN_TERMINAL = 1 << 0,       /* make a pty; exec: from the container's own devpts */
	FIN_NO_NEW_PRIVS = 1 << 1,
	FIN_NEW_KEYRING = 1 << 2,
	FIN_UMASK = 1 << 3,
	FIN_OOM = 1 << 4,
	FIN_HOME = 1 << 5,           /* HOME is not in env: look the uid up in the container's passwd */
	FIN_GATE = 1 << 6,           /* create: wait at start.sock; run and exec: RELEASE is the start */
	FIN_EXEC = 1 << 7,           /* hull exec: no root to build, cwd is not made */
	FIN_JOIN_PID = 1 << 8,       /* S makes I in the pid namespace of slot pidns_slot */
	FIN_FILTER_IN_S = 1 << 9,    /* the filter is loaded before the last clone (attacks-tried C1) */
	FIN_HOST_HOOKS = 1 << 10,    /* HOOKS_PLEASE / HOOKS_DONE */
	FIN_CHROOT = 1 << 11,        /* no mount namespace of its own: the finished tree is taken out of the one it was built in, and entered by chroot */
	FIN_NO_PROGRAM = 1 << 12,    /* create without `process`: the container waits at its gate, `start` refuses it */
	FIN_LISTENER = 1 << 14,      /* the filter has a listener, which goes to the host */
	FIN_KEEP_CPUS = 1 << 15,     /* exec: the CPUs that the process was born with stay, whatever the cgroup has */
	FIN_MEMORY_POLICY = 1 << 16,
	FIN_PERSONALITY = 1 << 17,
	FIN_KEEP_GROUPS = 1 << 18,   /* the caller's additional groups stay */
	FIN_PLACED = 1 << 13,        /* the first step waits for PLACED: somebody else moves S into its cgroup */
	FIN_ORDINARY = 1 << 19,      /* the caller has no rights of its own, and only a dumpable process shows itself to it */
	FIN_HOST_NODES = 1 << 20,    /* device nodes are the host's, which nobody in the container owns */
};

struct blob_finale {
	uint32_t flags;
	uint32_t umask, uid, gid;
	int32_t oom_score_adj;
	uint16_t console_width, console_height;
	struct blist gids;      /* of uint32_t */
	struct blist cpus;      /* of uint64_t, a bit a CPU: taken in the container's cgroup; n 0 = all that the cgroup has */
	struct blist nodes;     /* of uint64_t, a bit a node */
	uint32_t memory_policy; /* mode and flags of set_mempolicy(2) */
	uint32_t personality;   /* of personality(2) */
	struct bstr apparmor;   /* what is written to attr/apparmor/exec: "exec PROFILE" */
	struct bstr label;      /* SELinux: of the program and of the session keyring */
	struct bstr mount_label; /* SELinux: of what is mounted for the container alone */
	uint64_t caps[CAPSET_N];
	struct blist rlimits;   /* of struct blob_rlimit */
	struct blist args, env; /* of struct bstr */
	struct bstr args_origin; /* JSON path of args[0] */
	struct bpath cwd;
	struct blist filter;    /* of struct sock_filter; n 0 = none */
	uint32_t filter_flags;  /* SECCOMP_FILTER_FLAG_… */
	struct blist create_container, start_container; /* of struct blob_hook */
	struct bstr state_head, state_tail; /* the state document for these hooks ("created"): the pid goes in between */
	uint8_t token[16];
};

/* What is in the mount namespace before anything is mounted. */
enum {
	UNSHARE_COPY = 1, /* a copy of all of the caller's mounts; the root file system gets to the top by pivot_root(2) */
	UNSHARE_ROOT = 2, /* the root file system alone (OPEN_TREE_NAMESPACE, 7.0): costs the same however many mounts the host has */
};

/* How the container's process comes into its user namespace (docs/architecture.md, "Processes"). */
enum userns_chain {
	USERNS_NONE,   /* there is none, or exec: joined with the others */
	USERNS_FIRST,  /* new pid namespace: S has its first process born in the user namespace, makes the tree with the caller's rights, and ends */
	USERNS_KEEPER, /* pid namespace joined or the caller's: a child of S keeps the new namespaces until the tree is made; then S enters them itself */
};

struct blob {
	uint32_t magic, version, size;
	uint32_t log_level;
	struct blist steps;     /* of struct step, sorted by phase */
	uint16_t first[PH_MAX + 1]; /* phase p is steps first[p] … first[p + 1] - 1 */
	uint16_t n_slots;       /* slots used by the plan; the first n_fds are given by the host */
	struct blist fds;       /* of int32_t: fd number of each given slot */
	struct blist preserved; /* of int32_t: fd numbers that the container keeps beside 0, 1, 2 */
	int16_t ctl_slot, start_slot, pidns_slot;
	int16_t hook_out_slot, hook_err_slot; /* files for what the container's hooks say; -1: it is kept for the error */
	int16_t mntns_slot;     /* a joined mount namespace, entered when the tree is finished; -1 none */
	int16_t root_slot;      /* hull-init puts the root mount's fd here; STEP_NODE, _LINK and _DIR count from the slot `in` (the root's or the /dev tmpfs's) */
	struct bstr rootfs;     /* host path */
	uint32_t new_namespaces; /* CLONE_NEW… that S is born with: for messages and read-back */
	uint32_t unshare_mount; /* UNSHARE_…: a mount namespace of its own */
	uint32_t userns;        /* enum userns_chain */
	uint32_t userns_new;    /* CLONE_NEW… that the process in the user namespace makes: they belong to it then */
	int16_t userns_slot;    /* a user namespace that is joined by path, -1: a new one */
	int16_t idmap_slot;     /* takes an fd of the container's user namespace, for mounts that are mapped by it; -1: not needed */
	int16_t null_slot;      /* takes a clone of the host's /dev/null for masks, where no node can be made; -1 */
	struct bstr uid_map, gid_map; /* of a new one: lines for /proc/PID/uid_map */
	uint32_t outer_uid;     /* the process's user as the caller sees it, UINT32_MAX: not known */
	uint32_t outer_root_uid, outer_root_gid; /* the container's root, UINT32_MAX: not known */
	uint64_t root_propagation; /* MS_… | MS_REC that the old tree gets before anything is mounted (slave or private) */
	struct blob_finale fin;
};

#define BLOB_MAX ((size_t)16 << 20)
#define BLOB_SLOTS_MAX 4096

static inline const char *blob_str(const struct blob *b, struct bstr s)
{
	return s.off ? (const char *)b + s.off : NULL;
}

static inline const void *blob_list(const struct blob *b, struct blist l)
{
	return (const char *)b + l.off;
}

#endif
