/* SPDX-License-Identifier: Apache-2.0 */
/* The host side: apply a plan. What of it the verbs in lib/ and the files of this directory call in each other. */
#ifndef HULL_RUN_RUN_H
#define HULL_RUN_RUN_H

#include <sys/types.h>
#include <termios.h>

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "ocispec/runtime.h"
#include "plan/plan.h"
#include "state/state.h"

/* ---- hooks.c: hooks that run on the host (prestart, createRuntime, poststart, poststop) ---- */

/* Files that hooks write to: annotations run.oci.hooks.stdout and .stderr. -1: not asked for. */
struct hook_files { int out, err; };

#define HOOK_FILES_NONE ((struct hook_files){ .out = -1, .err = -1 })

/* Open both for appending (NULL: not asked for), made 0600 where they don't exist. A symlink at the end of a path, and all but regular files and character devices,
 * are refused: a FIFO would block. On failure nothing is left open. */
int hook_files_open(const char *out, const char *err, struct hook_files *ret, struct err *e);
void hook_files_close(struct hook_files *f);

/* Run `hooks` in order; `state_json` goes to stdin. Each runs in a process group of its own, with PDEATHSIG, exactly the configured environment (none: empty), cwd `cwd`,
 * fds 0-2 only (stdout dropped, stderr captured), and is killed with its whole group after its timeout. The first failure ends the run; the error names
 * hooks.LIST[i], the exit status or signal and the last line(s) of its stderr. `list` is "createRuntime" etc. What they write goes to `files` where these are open;
 * NULL: nowhere. (config.md, POSIX-platform Hooks) */
int hooks_run(const char *list, const struct oci_hook *hooks, size_t n, const char *state_json, const char *cwd, const struct hook_files *files, struct err *e);
/* The same, but a failure of one is a warning and the next one runs (poststop). */
void hooks_run_warn(const char *list, const struct oci_hook *hooks, size_t n, const char *state_json, const char *cwd, const struct hook_files *files);

/* A program of the host that does something for us, in the same way: no environment, cwd "/", killed after `timeout_ms`; its last words are in the error. `args` ends with
 * NULL and begins with the program's name. */
int hooks_run_helper(const char *path, const char *const *args, int timeout_ms, struct err *e);

/* ---- outer.c ---- */

/* The user namespace of `p->outer`, its maps written by ourselves or by newuidmap and newgidmap, each within `timeout_ms`. Returns its fd. Nobody is in it. */
int outer_userns(const struct plan *p, int timeout_ms, struct err *e);

/* ---- console.c ---- */

/* Check that `fd` is a pty master of a devpts (S_ISCHR, TIOCGPTN, DEVPTS_SUPER_MAGIC). */
int console_check(int fd, struct err *e);
/* Connect to the AF_UNIX stream socket at host path `path` (longer than 108 bytes works), non-blocking with a deadline. Returns the fd. Called before anything is made. */
int console_connect(const char *path, const char *option, struct err *e);
/* Hand `fd` (pty master, pidfd, seccomp listener) over `sock` in one sendmsg with `text` as payload; `what` is its name in an error. */
int console_send(int sock, int fd, const char *text, const char *what, struct err *e);

/* ---- sched.c ---- */

/* The plan's scheduling policy and I/O priority for the finished process `pid`, a child of ours. */
int sched_apply(const struct plan *p, pid_t pid, struct err *e);
/* The CPUs on which exec starts its process, for ourselves, so that the child is born there; `old` (CPUS_WORDS words) is for sched_free. */
#define CPUS_WORDS 128
int sched_pin(const struct plan *p, uint64_t old[CPUS_WORDS], struct err *e);
void sched_free(const struct plan *p, const uint64_t old[CPUS_WORDS]);

/* ---- wait.c: the foreground ---- */

/* Wait for the process behind `pidfd` to exit, forwarding signals that the caller receives (all that can be caught but SIGCHLD, SIGURG…); with `master` >= 0 also copy between
 * the caller's terminal (raw mode, restored afterwards) and the pty, forwarding SIGWINCH; every byte written is delivered (drain on exit). Reaps `pid` when it is our child.
 * *ret_status: exit code or 128 + signal. Signals must have been blocked by wait_prepare before the process could exit. */
struct notify;
struct wait_ctx {
	int signal_fd, end_fd;
	sigset_t old_mask;
	struct notify *notify; /* whose messages are passed on meanwhile; NULL after wait_prepare */
	bool killed;           /* set by wait_foreground: the status stands for a signal */
};
/* From here on signals are kept; those that ask us to end give up a set-up (base/interrupt.h) until wait_foreground or wait_no_more. */
int wait_prepare(struct wait_ctx *w, struct err *e);
void wait_no_more(void);
int wait_foreground(struct wait_ctx *w, pid_t pid, int pidfd, int master, int *ret_status, struct err *e);
void wait_restore(struct wait_ctx *w);

/* ---- undo.c: the only clean-up code there is for what outlives the child ---- */

/* Undo what the record lists, last first: kill the process (pidfd, start time) and everything in the cgroup that carries the token, wait, remove the cgroup. Idempotent. Within `timeout_ms`, and
 * systemd is waited for at most `answer_ms`. */
int undo_run(const struct state_rec *rec, int timeout_ms, int answer_ms, struct err *e);

/* ---- pidfile.c ---- */
/* Decimal, no newline, atomically (temporary beside it + rename), mode 0644. */
int pidfile_write(const char *path, pid_t pid, struct err *e);

#endif
