/* SPDX-License-Identifier: Apache-2.0 */
/* killer: run a command and kill -9 one of its processes at its Nth system call, before the call is made.
 *
 *	killer VICTIM N COMMAND [ARGUMENT]...
 *
 * VICTIM 0 is the command itself, 1 the first process that it makes, 2 the next. N 0 kills nobody. At the end one line goes to standard
 * error: "killer: CALLS KILLED NR STATUS": how many system calls the victim began, whether it was killed, the number of the call at which it
 * was, the command's wait status. A static program can't be reached by LD_PRELOAD, and strace counts each call by itself; this counts all. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif
#ifndef PTRACE_SYSCALL_INFO_ENTRY
#define PTRACE_SYSCALL_INFO_ENTRY 1
#endif

enum { MAX_TASKS = 64, OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC };

/* linux/ptrace.h's struct ptrace_syscall_info, as far as it is read here. */
struct call_info {
	unsigned char op, pad[3];
	unsigned arch;
	unsigned long long ip, sp, nr, args[6];
};

static pid_t tasks[MAX_TASKS];
static int n_tasks;

/* The order in which tasks were first seen: 0 is the command. */
static int task_index(pid_t pid)
{
	for (int i = 0; i < n_tasks; i++)
		if (tasks[i] == pid)
			return i;
	if (n_tasks == MAX_TASKS) {
		fprintf(stderr, "killer: more than %d processes\n", MAX_TASKS);
		exit(2);
	}
	tasks[n_tasks] = pid;
	return n_tasks++;
}

static pid_t begin(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(126);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Is this stop the beginning of a system call, and of which? */
static bool is_entry(pid_t pid, unsigned long long *ret_nr)
{
	struct call_info info;

	memset(&info, 0, sizeof(info));
	if (ptrace((int)PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) < 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*ret_nr = info.nr;
	return true;
}

/* The signal with which a stopped task goes on: its own, or none when the stop is ptrace's. */
static int signal_to_deliver(pid_t pid, int status)
{
	siginfo_t info;
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80) || status >> 16)
		return 0;
	/* A new task's first SIGSTOP comes from ptrace; a group stop has no siginfo. */
	if (sig == SIGSTOP || ptrace(PTRACE_GETSIGINFO, pid, NULL, &info))
		return 0;
	return sig;
}

int main(int argc, char **argv)
{
	unsigned long long nr = 0, killed_at = 0;
	long calls = 0, want, victim;
	bool executed = false, killed = false;
	int status, end = 0;

	if (argc < 4)
		return 2;
	victim = atol(argv[1]);
	want = atol(argv[2]);
	pid_t main_pid = begin(argv + 3);

	if (main_pid < 0 || waitpid(main_pid, &status, 0) != main_pid || !WIFSTOPPED(status))
		return 2;
	task_index(main_pid);
	if (ptrace(PTRACE_SETOPTIONS, main_pid, NULL, OPTIONS) || ptrace(PTRACE_SYSCALL, main_pid, NULL, 0))
		return 2;
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			break;
		int index = task_index(pid);

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == main_pid) {
				end = status;
				break; /* what is still traced goes on when we end */
			}
			continue;
		}
		/* The command's own calls count from its first exec on. */
		if (status >> 16 == PTRACE_EVENT_EXEC)
			executed = true;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && executed && index == victim && is_entry(pid, &nr) && ++calls == want) {
			kill(pid, SIGKILL);
			killed = true;
			killed_at = nr;
			continue;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, signal_to_deliver(pid, status));
	}
	fprintf(stderr, "killer: %ld %d %llu %d\n", calls, killed, killed_at, end);
	return 0;
}
