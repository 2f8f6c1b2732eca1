/* SPDX-License-Identifier: Apache-2.0 */
/* How a process ended that is no child of ours. Its parent alone gets that from wait(2); two ways are left to others: a zombie's line in /proc, and
 * what the kernel keeps of a reaped process for those who held a pidfd of it (Linux 6.15). */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/num.h"
#include "state/state.h"

/* For its parent to reap a process whose zombie we may not look into. */
#define REAP_MS 1000

/* linux/pidfd.h of Linux 6.15; the size is part of the ioctl's number, and older headers have another name for the last member. */
struct pidfd_info_v0 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define GET_INFO _IOWR(0xFF, 11, struct pidfd_info_v0)
#define INFO_EXIT (UINT64_C(1) << 3)

/* `status` as of wait(2). */
static int take_status(int status, struct oci_state_exit *ret)
{
	if (WIFEXITED(status))
		ret->code = (struct opt_i32){ true, WEXITSTATUS(status) };
	else
		ret->signal = (struct opt_i32){ true, WTERMSIG(status) };
	return 1;
}

static int ask_pidfd(int pidfd, struct oci_state_exit *ret)
{
	struct pidfd_info_v0 info = { .mask = INFO_EXIT };

	if (ioctl(pidfd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return 0;
	return take_status(info.exit_code, ret);
}

/* Field 52 of /proc/PID/stat, the last: a wait(2) status, but 0 for whom may not look (proc_pid_stat(5)). */
static int read_exit_code(pid_t pid, int *ret)
{
	char path[64], text[2048];
	uint64_t v;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	text[strcspn(text, "\n")] = '\0';
	/* comm may hold anything; behind it are only numbers and the state. */
	char *close = strrchr(text, ')'), *last = close ? strrchr(close, ' ') : NULL;
	if (!close || close[1] != ' ' || close[2] != 'Z' || !last || num_parse_u64(last + 1, 0xffff, &v) < 0)
		return -EBADMSG;
	*ret = (int)v;
	return 0;
}

/* The namespace link asks the kernel the same question as field 52 does: may we look into it? */
static int look_at_zombie(const struct proc_id *p, int pidfd, struct oci_state_exit *ret)
{
	struct ns_id ignored;
	int status;

	if (proc_namespace(p->pid, OCI_NS_USER, &ignored) < 0 || read_exit_code(p->pid, &status) < 0)
		return 0;
	/* Still there: so it was this process all the time. */
	return proc_kill(pidfd, 0) == -ESRCH ? 0 : take_status(status, ret);
}

int proc_exit_status(const struct proc_id *p, int pidfd, struct oci_state_exit *ret)
{
	/* POLLHUP comes with the reaping (Linux 6.9). */
	struct pollfd reaped = { .fd = pidfd };

	if (look_at_zombie(p, pidfd, ret) || ask_pidfd(pidfd, ret))
		return 1;
	if (proc_kill(pidfd, 0) == -ESRCH || poll(&reaped, 1, REAP_MS) <= 0)
		return 0;
	return ask_pidfd(pidfd, ret);
}
