/* SPDX-License-Identifier: Apache-2.0 */
/* The state root, one directory a container, and its record: written before the first lasting effect,
 * replaced atomically, never trusted beyond what the kernel confirms (running, paused and stopped are asked,
 * not stored). docs/state.md */
#ifndef HULL_STATE_STATE_H
#define HULL_STATE_STATE_H

#include <sys/types.h>

#include "base/err.h"
#include "ocispec/arena.h"
#include "ocispec/runtime.h"

#define STATE_VERSION 1
#define STATE_ID_MAX 200
#define STATE_TOKEN_LEN 16

enum state_stage { STAGE_CREATING, STAGE_CREATED };

struct proc_id {
	pid_t pid;           /* 0 = none yet */
	/* Field 22 of /proc/PID/stat, clock ticks since boot: 10 ms coarse, shifted by the reader's time
	 * namespace. */
	uint64_t start_time;
	/* The inode of its pidfd, unique until the next boot (Linux 6.9, 64 bits): decides where known. 0 =
	 * unknown. */
	uint64_t pidfs_ino;
};

struct ns_id { uint64_t dev, ino; }; /* nsfs; ino 0 = not recorded */

/* Undo kinds: the effects that outlive the child. */
enum undo_kind { UNDO_NONE, UNDO_PROCESS, UNDO_CGROUP, UNDO_RDT, UNDO_SCOPE, UNDO_USER_SCOPE, UNDO_KIND_MAX };
struct undo { uint8_t kind; const char *arg; /* CGROUP, RDT: path; SCOPE, USER_SCOPE: unit of the system's, of the user's systemd */ };

struct state_rec {
	uint32_t version;
	enum state_stage stage;
	const char *id, *bundle, *rootfs, *created, *owner, *boot_id;
	const char *oci_version;
	char token[2 * STATE_TOKEN_LEN + 1]; /* hex */
	uint32_t cgroup_made;                /* bit per hierarchy, see cgroup.h */
	bool systemd_cgroup;
	bool callers_keyring;                /* --no-new-keyring: exec makes none either */
	struct ns_id ns[OCI_NS_MAX];         /* by enum oci_namespace_type: what init was given */
	struct proc_id init;
	struct undo *undo; size_t n_undo;
	struct oci_map annotations;
	const char *const *allowed_annotations; /* --allow-annotation at its creation, NULL-terminated; NULL none */
	struct oci_state_exit *exit;         /* NULL: not seen by anyone who could write it down */
};

/* An open container directory. The lock is flock on `lock_fd` (an open file description of its own; -1 = not
 * locked), always taken before the record is read for a change. All three descriptors are the structure's
 * own (`root_dfd` is a duplicate). */
struct state_dir {
	int root_dfd, dfd, lock_fd;
	char id[STATE_ID_MAX + 1];
	char name[STATE_ID_MAX + 32]; /* what the directory is called now: ID, or .dead-ID.… */
	uint64_t config_sum;          /* checksum of config.json: from state_claim or state_rec_read */
	bool has_config_sum;
};

/* One that state_close takes as "nothing open". */
#define STATE_DIR_NONE ((struct state_dir){ .root_dfd = -1, .dfd = -1, .lock_fd = -1 })

/* ---- root.c ---- */

/* --root, else /run/hull; for euid != 0 or inside a user namespace without a writable /run:
 * $XDG_RUNTIME_DIR/hull (absent: error, never /tmp). The root must be a directory of the caller, mode & 077
 * == 0, no symlink, not "/"; it is made (0700, parents too) when `create`. Returns the dfd; -ENOENT when
 * there is none and it isn't to be made. */
int state_root_open(const char *root_option, bool create, struct err *e);
/* [A-Za-z0-9_+.-]+, not beginning with a dot, at most STATE_ID_MAX. */
int state_id_check(const char *id, struct err *e);
/* Call `f` for each container id in the root, sorted, until it returns a negative number, which is returned. */
int state_each(int root_dfd, int (*f)(void *arg, const char *id), void *arg, struct err *e);
/* This boot's id (37 bytes with the final NUL). Returns 0 or -errno. */
int state_boot_id(char *buf, size_t size);

/* ---- dir.c ---- */

/* Claim `rec->id`: .ID.XXXXXX made 0700, locked, config.json and the CREATING record written, renamed with
 * RENAME_NOREPLACE. -EEXIST with "container with id exists: ID". A dead CREATING directory of that id found
 * in the way is reported as -EEXIST too, with *ret_stale set so that the caller can undo it and try again.
 * Leftover unlocked .ID.* are removed. */
int state_claim(int root_dfd, const struct state_rec *rec, const char *config_json, size_t config_len,
		struct state_dir *ret, bool *ret_stale, struct err *e);
/* Open an existing one. `lock_ms`: -1 don't lock, else take the lock within so many ms (-EBUSY, *e names the
 * holder). After flock the directory is compared with the name once more. Unknown id: -ENOENT, "container
 * \"ID\" does not exist". */
int state_open(int root_dfd, const char *id, int lock_ms, struct state_dir *ret, struct err *e);
void state_close(struct state_dir *d);
/* Is the directory still linked under its name? A creator asks before each lasting effect. */
bool state_still_ours(const struct state_dir *d);
/* Do both stand for the same directory, whatever its name is now? */
bool state_is_same(const struct state_dir *a, const struct state_dir *b);
/* Does any process (this one included) hold the lock? 1, 0 or -errno. */
int state_lock_held(const struct state_dir *d);
/* "process 17 (hull, state D in fuse_wait)" for the holder of the lock, or "another process". Returns buf. */
const char *state_lock_holder(const struct state_dir *d, char *buf, size_t size);

/* The directory that the container finds at /run/notify, and the only file that is ever in it. */
#define STATE_NOTIFY_SOCKET "notify.sock"
/* Make it, open to all who reach it; an O_PATH fd, or -errno. */
int state_notify_make(const struct state_dir *d);
/* Open it: -ENOENT where the container has none. */
int state_notify_open(const struct state_dir *d);

/* ---- record.c ---- */

/* Write the record, replacing the old one atomically. */
int state_rec_write(const struct state_dir *d, const struct state_rec *rec, struct err *e);
/* Read the record; strings live in `a`. -ENOTSUP: a sound record of another version. -EBADMSG: damaged; *ret
 * then holds nothing but what the token can prove: id, token and the cgroup to undo, as far as they can be
 * found. */
int state_rec_read(struct state_dir *d, struct oci_arena *a, struct state_rec *ret, struct err *e);
/* The container's own copy of its configuration, as create wrote it. The record must have been read from `d`
 * before: it has the checksum. */
int state_config_read(const struct state_dir *d, struct oci_arena *a, struct oci_config **ret, struct err *e);
/* The cgroup that the record lists for undo, or NULL. */
const char *state_rec_cgroup(const struct state_rec *rec);
/* The systemd unit that it lists, and whether it is one of the user's own manager; NULL. */
const char *state_rec_scope(const struct state_rec *rec, bool *ret_user);

/* ---- remove.c ---- */

/* Rename to .dead-…, remove all files in it (known names only, one level) and the directory. "Already gone"
 * is success. */
int state_remove(struct state_dir *d, struct err *e);
/* Break a lock that is held for too long: rename the directory away to .dead-<id>.<n>; `d` stays open on it,
 * unlocked. */
int state_break(struct state_dir *d, struct err *e);
/* Remove the claims .ID.XXXXXX whose creator is dead: nothing was done outside of them yet. */
int state_remove_claims(int root_dfd, const char *id, struct err *e);
/* Call `f` for each directory .dead-ID.… : a delete that was killed. Those that someone holds the lock of
 * only when `locked_too`. `d` is closed afterwards. A negative result ends the loop and is returned. */
int state_each_dead(int root_dfd, const char *id, bool locked_too,
		    int (*f)(void *arg, struct state_dir *d, struct err *e), void *arg, struct err *e);

/* ---- proc.c, status.c: the kernel's truth ---- */

/* Who is `pid` now? Returns 0, -ESRCH or another -errno. */
int proc_id_of(pid_t pid, struct proc_id *ret);
/* The namespace of `type` that `pid` (0: the caller) is in now. Returns 0 or -errno. */
int proc_namespace(pid_t pid, enum oci_namespace_type type, struct ns_id *ret);
/* A pidfd of exactly this process (pidfs inode, else pid and start time, agree after the open), or -ESRCH. A
 * zombie still counts. */
int proc_id_open(const struct proc_id *p);
/* Has the process behind `pidfd` exited (all its threads; reaped or not) within `timeout_ms`? 1, 0 or -errno. */
int proc_exited(int pidfd, int timeout_ms);
/* Is SIGKILL on its way to it, or is it exiting already? */
bool proc_is_dying(pid_t pid);
/* Is `pid` the init of a pid namespace of its own (seen from a parent of that namespace)? Then its death is
 * the death of all in there. */
bool proc_is_ns_init(pid_t pid);
/* Send a signal by pidfd. Returns 0 or -errno. */
int proc_kill(int pidfd, int sig);
/* "17 (name, state D in wait_channel)". Returns buf. */
const char *proc_describe(pid_t pid, char *buf, size_t size);

/* ---- exit.c ---- */

/* How did the process `p` behind `pidfd`, which has exited (proc_exited), end? Fills code or signal and returns 1, or 0 when nobody can say any
 * more. A zombie tells whom may look into it, like ptrace(2) would; one that was reaped while `pidfd` was open tells since Linux 6.15. */
int proc_exit_status(const struct proc_id *p, int pidfd, struct oci_state_exit *ret);

/* creating (no init yet, creator holds the lock), created (init waits at start.sock), running, paused, stopped. */
enum oci_status state_status(const struct state_dir *d, const struct state_rec *rec);

#endif
