/* SPDX-License-Identifier: Apache-2.0 */
/* Processes by identity, not by number. Everything here reads files of /proc that never wait for the
 * process's memory map (stat, status, wchan: not cmdline, not environ, whose reading a hostile process can
 * hold up for ever with a FUSE fault). */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"

#define PIDFS_MAGIC 0x50494446 /* linux/magic.h has it from 6.9 on */
#define PF_EXITING 0x4         /* include/linux/sched.h: in do_exit() */

/* What is read of /proc/PID/stat (proc_pid_stat(5)). */
struct proc_stat {
	char comm[64];
	char state;
	uint64_t flags;
	uint64_t start_time;
};

/* Fields are counted from 3 (state), the first after the last ')': comm may contain anything. */
enum { STAT_STATE = 3, STAT_FLAGS = 9, STAT_START_TIME = 22 };

static ssize_t read_proc(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	ssize_t n = io_read_at(AT_FDCWD, path, buf, size);
	return n == -ENOENT ? -ESRCH : n;
}

static int parse_stat(char *text, struct proc_stat *ret)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *save = NULL;
	int field = STAT_STATE;

	if (!open || !close || close < open)
		return -EBADMSG;
	*close = '\0';
	*ret = (struct proc_stat){ 0 };
	snprintf(ret->comm, sizeof(ret->comm), "%s", open + 1);
	for (char *t = strtok_r(close + 1, " \n", &save); t; t = strtok_r(NULL, " \n", &save), field++) {
		if (field == STAT_STATE)
			ret->state = t[0];
		else if (field == STAT_FLAGS)
			ret->flags = strtoull(t, NULL, 10);
		else if (field == STAT_START_TIME)
			ret->start_time = strtoull(t, NULL, 10);
	}
	return field > STAT_START_TIME ? 0 : -EBADMSG;
}

static int read_stat(pid_t pid, struct proc_stat *ret)
{
	char text[2048];
	ssize_t n = read_proc(pid, "stat", text, sizeof(text));

	return n < 0 ? (int)n : parse_stat(text, ret);
}

/* 64 unique bits from Linux 6.9 on; before, all pidfds share one anonymous inode. */
static int pidfs_ino(int pidfd, uint64_t *ret)
{
	struct statfs fs;
	struct stat st;

	*ret = 0;
	if (sizeof(ino_t) < sizeof(uint64_t))
		return 0;
	if (fstatfs(pidfd, &fs) < 0 || fstat(pidfd, &st) < 0)
		return -errno;
	if (fs.f_type == PIDFS_MAGIC)
		*ret = st.st_ino;
	return 0;
}

static int open_pidfd(pid_t pid)
{
	if (pid <= 0)
		return -ESRCH;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0)
		return fd;
	/* EINVAL: a number that belongs to a thread now, so the process is gone. */
	return errno == EINVAL ? -ESRCH : -errno;
}

int proc_kill(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* Is the number still that of the process behind `pidfd`? A zombie keeps its number, a reaped process is
 * ESRCH. Signal 0 may be EPERM. */
static bool number_kept(int pidfd)
{
	return proc_kill(pidfd, 0) != -ESRCH;
}

/* What `pidfd`, just opened by `pid`, refers to. */
static int identify(int pidfd, pid_t pid, struct proc_id *ret)
{
	struct proc_stat st;

	int r = pidfs_ino(pidfd, &ret->pidfs_ino);
	if (r < 0)
		return r;
	r = read_stat(pid, &st);
	if (r < 0)
		return r;
	if (!number_kept(pidfd))
		return -ESRCH;
	ret->pid = pid;
	ret->start_time = st.start_time;
	return 0;
}

int proc_namespace(pid_t pid, enum oci_namespace_type type, struct ns_id *ret)
{
	static const char *const files[OCI_NS_MAX] = {
		[OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "net", [OCI_NS_MOUNT] = "mnt", [OCI_NS_IPC] = "ipc",
		[OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user", [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time",
	};
	char path[64];
	struct stat st;

	if (type <= OCI_NS_NONE || type >= OCI_NS_MAX)
		return -EINVAL;
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, files[type]);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/%s", files[type]);
	if (stat(path, &st) < 0)
		return -errno;
	*ret = (struct ns_id){ st.st_dev, st.st_ino };
	return 0;
}

int proc_id_of(pid_t pid, struct proc_id *ret)
{
	scoped_fd int pidfd = open_pidfd(pid);

	return pidfd < 0 ? pidfd : identify(pidfd, pid, ret);
}

int proc_id_open(const struct proc_id *p)
{
	scoped_fd int pidfd = open_pidfd(p->pid);
	struct proc_id now = { 0 };

	if (pidfd < 0)
		return pidfd;
	int r = pidfs_ino(pidfd, &now.pidfs_ino);
	if (r < 0)
		return r;
	if (p->pidfs_ino && now.pidfs_ino)
		return p->pidfs_ino == now.pidfs_ino ? take_fd(&pidfd) : -ESRCH;
	r = identify(pidfd, p->pid, &now);
	if (r < 0)
		return r;
	return now.start_time == p->start_time ? take_fd(&pidfd) : -ESRCH;
}

int proc_exited(int pidfd, int timeout_ms)
{
	/* Readable when the whole thread group is dead; a leader that is a zombie beside living threads
	 * doesn't count (pidfd_open(2)). */
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t end = clock_now_ms() + (timeout_ms > 0 ? timeout_ms : 0);

	for (;;) {
		int64_t left = end - clock_now_ms();
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		return r > 0;
	}
}

/* The text after "KEY:" in /proc/PID/status, up to the end of the line; NULL when there is none. */
static const char *status_value(char *text, const char *key)
{
	size_t n = strlen(key);

	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == ':') {
			char *v = line + n + 1;
			v[strcspn(v, "\n")] = '\0';
			return v + strspn(v, " \t");
		}
	}
	return NULL;
}

bool proc_is_dying(pid_t pid)
{
	static const char *const masks[] = { "SigPnd", "ShdPnd" };
	struct proc_stat st;
	char text[8192];

	if (read_stat(pid, &st) < 0 || (st.flags & PF_EXITING))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		if (read_proc(pid, "status", text, sizeof(text)) < 0)
			return true;
		/* Any fatal signal becomes a pending SIGKILL of every thread (complete_signal() in the kernel). */
		const char *v = status_value(text, masks[i]);
		if (v && (strtoull(v, NULL, 16) & (UINT64_C(1) << (SIGKILL - 1))))
			return true;
	}
	return false;
}

bool proc_is_ns_init(pid_t pid)
{
	char text[8192];

	if (read_proc(pid, "status", text, sizeof(text)) < 0)
		return false;
	/* "NSpid: 4711 1": its number in each pid namespace from the reader's inwards. */
	const char *v = status_value(text, "NSpid");
	const char *last = v ? strrchr(v, '\t') : NULL;
	return last && streq(last + 1, "1");
}

const char *proc_describe(pid_t pid, char *buf, size_t size)
{
	char wchan[128];
	struct proc_stat st;

	if (read_stat(pid, &st) < 0) {
		snprintf(buf, size, "%d", pid);
		return buf;
	}
	ssize_t n = read_proc(pid, "wchan", wchan, sizeof(wchan));
	bool known = n > 0 && !streq(wchan, "0");
	snprintf(buf, size, "%d (%s, state %c%s%s)", pid, st.comm, st.state, known ? " in " : "", known ? wchan : "");
	return buf;
}

