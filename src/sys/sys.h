/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that a C library of our age lacks or wraps wrongly (musl 1.2.3, glibc 2.36). Each returns its
 * result or -errno; where a call is missing or blocked, sys_failed_call names it, so that a refusal can name it
 * too.
 *
 * <sys/mount.h> must not be included together with this file: glibc 2.36 defines the mount API a second time.
 * mount(2), umount2(2) and pivot_root(2) are here. */
#ifndef HULL_SYS_SYS_H
#define HULL_SYS_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

/* Numbers that are the same on every architecture that has them (but alpha, which hull doesn't know). */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef OPEN_TREE_NAMESPACE
#define OPEN_TREE_NAMESPACE 2 /* Linux 7.0: a copy of the tree as the root of a new mount namespace; the result is that namespace */
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

#define SYS_UMOUNT_DETACH 2
#define SYS_CLOSE_RANGE_CLOEXEC 4u
#define SYS_STATX_MNT_ID 0x00001000u
#define SYS_STATX_MNT_ID_UNIQUE 0x00004000u /* 6.8 */

/* The call that failed last in this thread. Only meaningful right after a function here has returned an error. */
extern _Thread_local const char *sys_failed_call;

/* Result of syscall(2) → result or -errno; notes `call`. */
static inline long sys_result(const char *call, long r)
{
	if (r >= 0)
		return r;
	sys_failed_call = call;
	return -errno;
}

static inline int sys_openat2(int dfd, const char *path, const struct open_how *how)
{
	return (int)sys_result("openat2", syscall(SYS_openat2, dfd, path, how, sizeof(*how)));
}

static inline int sys_fsopen(const char *type)
{
	return (int)sys_result("fsopen", syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

static inline int sys_fsconfig(int fs_fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)sys_result("fsconfig", syscall(SYS_fsconfig, fs_fd, cmd, key, value, aux));
}

static inline int sys_fsmount(int fs_fd, uint64_t attr)
{
	return (int)sys_result("fsmount", syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, (unsigned)attr));
}

static inline int sys_open_tree(int dfd, const char *path, unsigned flags)
{
	return (int)sys_result("open_tree", syscall(SYS_open_tree, dfd, path, flags | (unsigned)O_CLOEXEC));
}

static inline int sys_move_mount(int from_dfd, const char *from, int to_dfd, const char *to, unsigned flags)
{
	return (int)sys_result("move_mount", syscall(SYS_move_mount, from_dfd, from, to_dfd, to, flags));
}

static inline int sys_mount_setattr(int dfd, const char *path, unsigned flags, const struct mount_attr *attr)
{
	return (int)sys_result("mount_setattr", syscall(SYS_mount_setattr, dfd, path, flags, attr, sizeof(*attr)));
}

static inline int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
			    const void *data)
{
	return (int)sys_result("mount", syscall(SYS_mount, source, target, type, flags, data));
}

static inline int sys_umount(const char *target, int flags)
{
	return (int)sys_result("umount2", syscall(SYS_umount2, target, flags));
}

static inline int sys_chroot(const char *path)
{
	return (int)sys_result("chroot", syscall(SYS_chroot, path));
}

static inline int sys_pivot_root(const char *root, const char *old)
{
	return (int)sys_result("pivot_root", syscall(SYS_pivot_root, root, old));
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)sys_result("close_range", syscall(SYS_close_range, first, last, flags));
}

static inline int sys_pidfd_open(pid_t pid)
{
	return (int)sys_result("pidfd_open", syscall(SYS_pidfd_open, pid, 0));
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)sys_result("pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}

/* fchmodat2(2): 6.6. */
static inline int sys_fchmodat2(int dfd, const char *path, mode_t mode, int flags)
{
	return (int)sys_result("fchmodat2", syscall(SYS_fchmodat2, dfd, path, mode, flags));
}

static inline int sys_setns(int fd, int type)
{
	return (int)sys_result("setns", syscall(SYS_setns, fd, type));
}

static inline int sys_unshare(int flags)
{
	return (int)sys_result("unshare", syscall(SYS_unshare, flags));
}

static inline int sys_seccomp(unsigned op, unsigned flags, const void *args)
{
	return (int)sys_result("seccomp", syscall(SYS_seccomp, op, flags, args));
}

static inline int sys_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return (int)sys_result("prctl", syscall(SYS_prctl, op, a, b, c, d));
}

static inline int sys_keyctl(int op, unsigned long a, unsigned long b)
{
	return (int)sys_result("keyctl", syscall(SYS_keyctl, op, a, b, 0, 0));
}

static inline int sys_capget(struct __user_cap_header_struct *h, struct __user_cap_data_struct d[2])
{
	return (int)sys_result("capget", syscall(SYS_capget, h, d));
}

static inline int sys_capset(struct __user_cap_header_struct *h, const struct __user_cap_data_struct d[2])
{
	return (int)sys_result("capset", syscall(SYS_capset, h, d));
}

struct sys_rlimit { uint64_t soft, hard; };

static inline int sys_prlimit(unsigned resource, const struct sys_rlimit *new_limit, struct sys_rlimit *old_limit)
{
	return (int)sys_result("prlimit64", syscall(SYS_prlimit64, 0, resource, new_limit, old_limit));
}

/* The C libraries change the ids of every thread, by signals; we have one thread and want the call. On 32-bit
 * machines the plain names take 16 bits. */
#ifdef SYS_setresuid32
#define SYS_IDS(name) SYS_##name##32
#else
#define SYS_IDS(name) SYS_##name
#endif

static inline int sys_setresuid(uid_t uid)
{
	return (int)sys_result("setresuid", syscall(SYS_IDS(setresuid), uid, uid, uid));
}

static inline int sys_setresgid(gid_t gid)
{
	return (int)sys_result("setresgid", syscall(SYS_IDS(setresgid), gid, gid, gid));
}

static inline int sys_setgroups(size_t n, const uint32_t *gids)
{
	return (int)sys_result("setgroups", syscall(SYS_IDS(setgroups), n, gids));
}

/* fork without a C library's handlers, with further CLONE_ flags; `ret_pidfd` with CLONE_PIDFD. */
static inline pid_t sys_fork(unsigned long flags, int *ret_pidfd)
{
#if defined(__s390x__)
	return (pid_t)sys_result("clone", syscall(SYS_clone, 0, flags, ret_pidfd, NULL, 0));
#else
	return (pid_t)sys_result("clone", syscall(SYS_clone, flags, 0, ret_pidfd, NULL, 0));
#endif
}

/* Wait for the end of our child `pid`. Its status as waitpid(2) tells it, or -errno. */
static inline int sys_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

/* Kill our child `pid` and wait for its end, a second at most: one in a cgroup that v1 has frozen doesn't end before it is thawed. */
static inline void sys_put_down(pid_t pid)
{
	struct timespec pause = { .tv_nsec = 15000 };

	kill(pid, SIGKILL);
	for (; waitpid(pid, NULL, WNOHANG) == 0 && pause.tv_nsec < 500000000; pause.tv_nsec *= 2)
		nanosleep(&pause, NULL);
}

/* statx(2) as far as mounts need it: the identity of the mount at `fd` (unique in the life of the machine from
 * 6.8). */
int sys_mount_id(int fd, uint64_t *ret);
/* Does `fd` name the root of a mount (STATX_ATTR_MOUNT_ROOT, 5.8)? 1, 0 or -errno. */
int sys_is_mount_root(int fd);

#endif
