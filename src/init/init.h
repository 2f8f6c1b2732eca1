/* SPDX-License-Identifier: Apache-2.0 */
/* hull-init: the second program. It applies the plan (plan/blob.h) and becomes the container. It has no heap,
 * parses nothing, decides nothing, and what it says goes over the control socket.
 *
 * S is the set-up process and I the one that executes the container's program; they are the same process unless
 * the pid namespace is joined (docs/architecture.md, section 6). */
#ifndef HULL_INIT_INIT_H
#define HULL_INIT_INIT_H

#include <limits.h>
#include <sys/types.h>

#include "base/ctl.h"
#include "base/err.h"
#include "hull/path.h"
#include "plan/blob.h"
#include "sys/procfs.h"
#include "sys/sys.h"

#define INIT_TEXT_MAX 512

/* Everything that hull-init knows besides the plan. One, for the life of the process. */
struct init {
	const struct blob *b;
	const struct blob_finale *fin;
	const struct step *steps;
	struct ctl ctl;          /* to hull; after the gate: to `hull start` */
	struct err err;
	char kernel[96];         /* what the kernel said beside errno about the step at hand */
	int *slots;              /* fd of each slot, -1 empty */
	uint16_t *last_use;      /* of each slot: the last step that needs it, + 1; 0 = none */
	uint64_t *mount_ids;     /* of each step: the mount that it attached, 0 = none */
	int root_fd;             /* the container's root */
	int rootfs_fd, root_source_fd; /* until then: the directory of the root file system; its detached clone, or the namespace that was made of it (UNSHARE_ROOT); -1 */
	int dev_fd;              /* mount of our own /dev, -1 */
	int mask_dir_fd, mask_file_fd; /* an attached mask of each kind, to clone from; -1 */
	int pts_fd;              /* mount of our own devpts, -1 */
	int mntns_fd;            /* FIN_CHROOT: the mount namespace that the container ends up in, -1 */
	int hook_out_fd, hook_err_fd; /* files for what hooks say, kept as long as there may be one; -1 */
	int host_proc_fd;        /* the /proc that we were born with: only a fallback */
	enum step_who role;      /* where S and I are two from the beginning (plan.userns): which one this is */
	bool oom_set;            /* done: in another user namespace we might not be allowed to any more */
	bool pid_joined;         /* our next child is born in the pid namespace that is joined */
	struct {
		pid_t pid;       /* of the one in the user namespace, as we see it */
		pid_t between;   /* of a process that ended after it had started that one; 0 none */
		int pidfd, sync_fd, serve_fd;
		int pidns_fd;    /* for a proc that we make ourselves, else -1 */
		uint32_t root_uid, root_gid; /* its ids, as we see them: the container's root */
	} apart;                 /* userns.c: S's view of the process in the user namespace */
	int node_fd;             /* S: a mount of our own with the device nodes that are bound into the container, -1 */
	struct procfs proc;      /* processes only, of the pid namespace that we stand in */
	struct procfs sysctl;    /* with sysctls */
	mode_t caller_umask;
	struct sys_rlimit nofile; /* as the caller had it */
	char home[PATH_MAX + 8]; /* "HOME=/…", or "" */
	char program[PATH_MAX];  /* what execve gets */
	uint32_t *groups, n_groups; /* FIN_KEEP_GROUPS: as the caller had them */
	uint64_t granted[CAPSET_N]; /* what of the asked capabilities can be had */
};

/* ---- setup.c: from exec to the first step ---- */

/* Map and check the plan in memory fd `fd`. */
int setup_map(struct init *in, int fd);
/* Take the slots, close everything else. */
int setup_fds(struct init *in);
/* Session, parent-death signal, signals, umask, limits. */
int setup_self(struct init *in);
/* Before anything else that is going to be mounted, so that the root is the first line of mountinfo, which newer kernels (6.8) sort by the age of the mounts. */
int setup_open_root(struct init *in);
/* The mount namespace, and the root's clone at its own path in it. */
int setup_tree(struct init *in);
int setup_pivot(struct init *in);
/* A container without a mount namespace of its own: what it is to see was built in a namespace of ours like any other, so that nothing shows on the host. Now
 * the finished tree is taken along, detached, into the namespace that the container inherits or joins, and becomes its root. No path leads to it there. */
int setup_leave(struct init *in);

/* Clone the tree at the working directory over itself: it becomes the root mount, which pivot_root needs. */
int setup_clone_root(struct init *in);
int setup_change_root(struct init *in);

/* ---- userns.c: S and I apart ---- */

/* S: start the process in the user namespace, map its ids, join what it has made, and become who may make files for the container.
 * Returns in S, and once more, as role WHO_I, in the container's process when S has made the tree. */
int userns_birth(struct init *in);
/* S: the superblock of `s` from inside of the user namespace, as a detached mount. */
int userns_superblock(struct init *in, const struct step *s);
/* Write a sysctl in there: 0 or -errno. */
int userns_sysctl(struct init *in, const struct step *s);
/* The tree is made: from here on it is I who acts, in the user namespace and in a copy of the mount namespace, in which all mounts and their flags are locked. */
int userns_enter(struct init *in);
/* exec: after the join. */
int userns_joined(struct init *in);
/* The file system of STEP_SUPERBLOCK here and now, as a detached mount (step_mount.c). */
int superblock_make(struct init *in, const struct step *s);
/* Write the sysctl of a step, as who we are and where we stand. 0 or -errno. */
int step_write_sysctl(struct init *in, const struct step *s);

/* ---- blob.c ---- */

/* The host is trusted, yet a damaged plan must be an error and not a crash: every offset, list and slot is in
 * bounds, every string ends. */
int blob_check(const struct blob *b, size_t size, struct err *e);

/* ---- steps.c ---- */

/* Apply the steps of `phase` in order. */
int steps_run(struct init *in, enum phase phase);
/* "mount proc on /proc" */
void steps_describe(const struct init *in, const struct step *s, char *buf, size_t size);

/* ---- apply functions: 0 or -errno; in->err only where they know more than the step's own text ---- */

int step_tasks(struct init *in, const struct step *s);
int step_join(struct init *in, const struct step *s);
int step_join_init(struct init *in, const struct step *s);
int step_unshare(struct init *in, const struct step *s);
int step_outer(struct init *in, const struct step *s);
int step_time(struct init *in, const struct step *s);
int step_idmap(struct init *in, const struct step *s);
int step_source(struct init *in, const struct step *s);
int step_netlink(struct init *in, const struct step *s);
int step_hostname(struct init *in, const struct step *s);
int step_domainname(struct init *in, const struct step *s);
int step_lo_up(struct init *in, const struct step *s);
int step_sysctl(struct init *in, const struct step *s);
int step_superblock(struct init *in, const struct step *s);
int step_mount(struct init *in, const struct step *s);
int step_bind(struct init *in, const struct step *s);
int step_remount(struct init *in, const struct step *s);
int step_dir(struct init *in, const struct step *s);
int step_node(struct init *in, const struct step *s);
int step_link(struct init *in, const struct step *s);
int step_mask(struct init *in, const struct step *s);
int step_rdonly(struct init *in, const struct step *s);
int step_attr(struct init *in, const struct step *s);
int step_propagation(struct init *in, const struct step *s);

/* ---- step_node.c ---- */

/* A symbolic link to `target` at `at` below `root`. One that is there already must lead to the same. 0 or -errno. */
int node_link(struct init *in, int root, struct ctr_path at, const char *target);
/* fchmod(2) of `fd`, O_PATH. 0 or -errno. */
int node_chmod(struct init *in, int fd, mode_t mode);

/* ---- copyup.c ---- */

/* Copy what the directory `at` (O_PATH) holds into the detached tmpfs `mnt_fd`, which is going to cover it: regular
 * files, directories and symbolic links, with owner, mode, time and harmless attributes. What is left out is told
 * in a warning. 0 or -errno, in->err then names what could not be copied. */
int copyup_fill(struct init *in, const struct step *s, int at, int mnt_fd);

/* ---- mask.c ---- */

/* A device node 1:3 of our own making, opened with `flags`; O_PATH allowed. */
int mask_null(struct init *in, int flags);

/* ---- verify.c ---- */

/* Every destination leads to the mount that was attached there, or to a later one whose destination covers it by
 * its name. */
int verify_mounts(struct init *in);
/* I, in its copy of the mount namespace: there still is a mount on every destination. */
int verify_copies(struct init *in);

/* ---- hook.c ---- */

/* The host's hooks (HOOKS_PLEASE, HOOKS_DONE), then our createContainer hooks. */
int hook_create_container(struct init *in);
/* The document for a hook's stdin, with our pid in it, as a sealed memory file. Returns the fd or -errno. */
int hook_document(struct init *in);
/* Run `hooks` in order, `document_fd` as stdin. */
int hook_run(struct init *in, struct blist hooks, int document_fd);

/* ---- tty.c ---- */

/* Make the pty, hand its master to the host, its slave becomes fds 0-2. */
int tty_make(struct init *in);
/* The session leader takes fd 0 as its controlling terminal. */
int tty_take(struct init *in);
/* fds 0-2: the host's /dev/null becomes our own, pipes and the like belong to the container's user. */
int tty_stdio(struct init *in);
/* Pipes and the like go to user `uid`. */
void tty_give(uint32_t uid);

/* ---- finale.c, creds.c, passwd.c ---- */

int finale_oom(struct init *in);
/* Raise hard limits while we may. Exact values come later: a small one must not hit our own work. */
int finale_raise_limits(struct init *in);
/* Keyring, working directory, HOME, identity; everything read back. */
int finale_drop(struct init *in);
/* What execve will be given: the program in the container's PATH. */
int finale_find_program(struct init *in);
/* The limits of the configuration, exactly; the last thing before the filter. */
int finale_limits(struct init *in);
int creds_securebits(struct init *in);
/* Non-dumpable, and no longer than the parent lives: a change of ids, capabilities or user namespace undoes both. */
int creds_guard(void);
/* From here on creds_guard means dumpable: the caller has no right over us but that of the same user, and nobody else is where we are going. */
void creds_show(bool on);
/* Be effectively `uid`, for checks that ask who we are instead of what we may; our rights stay. */
int creds_act_as(uint32_t uid);
/* What is made from here on belongs to these; our rights stay. */
int creds_make_files_as(uint32_t uid, uint32_t gid);
int creds_drop(struct init *in);
int creds_check(struct init *in, bool keep_admin);
/* Give CAP_SYS_ADMIN up, which was kept to load the filter. */
int creds_drop_admin(struct init *in);
/* in->home from the container's passwd. */
void passwd_find_home(struct init *in);

/* ---- sched.c ---- */

/* The CPUs of the container's cgroup (or those that exec asks for), when S is in it. */
int sched_cpus(struct init *in);
/* Memory policy and personality; both survive fork and execve. */
int sched_memory(struct init *in);

/* ---- lsm.c ---- */

/* What the next execve of this process (or of one that it forks) is to change to. */
int lsm_prepare_exec(struct init *in);
/* Keys that are made from now on have the program's label, or again the kernel's own. */
int lsm_label_keys(struct init *in, bool on);
/* Give the mount label to the root of a file system that doesn't take it as an option. */
int lsm_label_mount(struct init *in, int mnt_fd);

/* ---- gate.c, exec.c ---- */

/* READY … RELEASE, then until `hull start` comes. */
int gate_wait(struct init *in);
/* S's last act: I is born in the joined pid namespace. Returns in I only. */
int exec_birth(struct init *in);
int exec_load_filter(struct init *in);

/* ---- listener.c ---- */

/* Load the filter and hand its listener to the host. */
int listener_load(struct init *in, const struct sock_fprog *prog);
/* Does it go to the host after EXECING? 1 or 0. */
uint32_t listener_follows(const struct init *in);
NORETURN void exec_program(struct init *in);

/* ---- main.c ---- */

/* Where a process that dies here died: "hull:NAME" is its comm. At most 10 characters. */
void init_phase(const char *name);
/* Send in->err and end with `status`. */
NORETURN void init_fail(struct init *in, int status);
/* End without a word: the host is gone. */
NORETURN void init_gone(int status);
/* Close every fd above 2 but `keep` and the preserved ones (really: a CLOEXEC fd still resolves during execve). */
int init_close_but(struct init *in, const int *keep, size_t n);

/* Zeroed pages instead of a heap. NULL when there are none. */
void *init_pages(size_t size);
/* The same, shared with the processes that we start. */
void *init_shared_pages(size_t size);
/* argv or envp for execve; `extra` (may be NULL) comes last. NULL when there is no memory. */
char **init_vector(struct init *in, struct blist l, const char *extra);

/* ---- small things that many use ---- */

static inline const char *init_str(const struct init *in, struct bstr s)
{
	return blob_str(in->b, s);
}

static inline struct ctr_path init_path(const struct init *in, struct bpath p)
{
	return (struct ctr_path){ (const char *)in->b + p.off };
}

static inline int init_slot(const struct init *in, int slot)
{
	return slot < 0 ? -1 : in->slots[slot];
}

static inline const char *init_list_str(const struct init *in, struct blist l, uint32_t i)
{
	return init_str(in, ((const struct bstr *)blob_list(in->b, l))[i]);
}

/* Our own procfs, made when somebody first needs it. */
static inline int init_procfs(struct init *in)
{
	return in->proc.root_fd >= 0 ? 0 : procfs_open(&in->proc, true, in->host_proc_fd);
}

#endif
