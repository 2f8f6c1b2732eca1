/* SPDX-License-Identifier: Apache-2.0 */
/* A procfs that nobody else can put something over. The usual one is our own: a detached superblock (subset=pid)
 * that no path leads to. Where that is refused (AppArmor-confined callers: EACCES), the /proc that is there,
 * after a look whether it is one; then every look-up refuses to cross a mount. (rule R6) */
#ifndef HULL_SYS_PROCFS_H
#define HULL_SYS_PROCFS_H

#include <sys/types.h>

#include "base/util.h"

struct procfs {
	int root_fd; /* -1: not open */
	int self_fd; /* our own process's directory, -1 until asked for */
};

#define PROCFS_NONE ((struct procfs){ -1, -1 })

/* A new one of the caller's pid namespace. `pid_only`: only processes (oom_score_adj, ns, fd), else everything,
 * sysctls too. `fallback_fd`: a directory fd that may be procfs's root (-1: none), looked at when a new one is
 * refused. Returns 0 or -errno. */
int procfs_open(struct procfs *ret, bool pid_only, int fallback_fd);
/* Use the procfs at `root_fd` (taken over) when it is one. Returns 0 or -errno, the fd then stays the caller's. */
int procfs_adopt(struct procfs *ret, int root_fd);
void procfs_close(struct procfs *p);

/* Open `name` of our own process's directory ("oom_score_adj"), no links, no mounts crossed. Returns an fd or
 * -errno. */
int procfs_self(struct procfs *p, const char *name, int flags);
/* Open the namespace "net" … of our own process. */
int procfs_ns(struct procfs *p, const char *name);
/* The same of process `pid`, a number of the pid namespace that the procfs shows; and the namespace "user" … of it. */
int procfs_process(struct procfs *p, pid_t pid, const char *name, int flags);
int procfs_process_ns(struct procfs *p, pid_t pid, const char *name);
/* Open a sysctl by its file name below sys/. */
int procfs_sysctl(struct procfs *p, const char *name, int flags);
/* Open once more what the fd `fd` names, in another way: an O_PATH fd for reading. Only after its type was looked
 * at. */
int procfs_reopen(struct procfs *p, int fd, int flags);
/* fchmod of an O_PATH fd (fchmodat2 where the kernel has it: 6.6). `p` may be closed then. */
int procfs_chmod(struct procfs *p, int fd, mode_t mode);

#endif
