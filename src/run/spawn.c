/* SPDX-License-Identifier: Apache-2.0 */
#include "run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "run/pty.h"
#include "run/run.h"
#include "sys/sys.h"

#ifndef MFD_EXEC
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif

/* embed.S */
extern const char hull_init_start[], hull_init_end[];

/* A memfd with `len` bytes at `data` that nobody can change any more. MFD_EXEC and MFD_NOEXEC_SEAL are known from 6.3 on; before, every memfd is
 * executable and only the mode says otherwise. */
static int sealed_copy(const char *name, unsigned kind, mode_t mode, const void *data, size_t len, struct err *e)
{
	scoped_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | kind);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 && (errno == EACCES || errno == EPERM) && kind == MFD_EXEC)
		return err_sys(e, -errno, "memfd_create %s: an executable memfd is forbidden here (sysctl vm.memfd_noexec)", name);
	if (fd < 0)
		return err_sys(e, -errno, "memfd_create %s", name);
	int r = io_write_all(fd, data, len);
	if (r < 0)
		return err_sys(e, r, "write %s", name);
	if (kind == MFD_EXEC && fchmod(fd, mode) < 0)
		return err_sys(e, -errno, "fchmod %s", name);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_sys(e, -errno, "seal %s", name);
	return take_fd(&fd);
}

struct launch {
	int init_fd;
	char *argv[3];
	char *envp[1];
	const int32_t *keep; /* fds that survive execve */
	size_t n_keep;
	int result;          /* errno of what failed: the memory is shared until execve */
};

/* Runs in the child, on a stack of its own in memory shared with the (suspended) parent: nothing but system calls. */
static NORETURN void child_main(struct launch *l)
{
	for (size_t i = 0; i < l->n_keep; i++)
		if (l->keep[i] >= 0)
			syscall(SYS_fcntl, l->keep[i], F_SETFD, 0);
	syscall(SYS_execveat, l->init_fd, "", l->argv, l->envp, AT_EMPTY_PATH);
	l->result = errno;
	for (;;)
		syscall(SYS_exit_group, 127);
}

#if defined(__x86_64__)
/* With CLONE_VM the child needs a stack: clone3 sets the pointer, the child calls child_main on it and never comes back. */
static long clone3_vfork(struct clone_args *args, struct launch *l)
{
	static char stack[32768] __attribute__((aligned(64)));
	long r;

	args->flags |= CLONE_VM | CLONE_VFORK;
	args->stack = (uint64_t)(uintptr_t)stack;
	args->stack_size = sizeof(stack);
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[main]\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), [arg] "r"(l), [main] "r"((void (*)(struct launch *))child_main)
			 : "rcx", "r11", "memory");
	return r;
}
#else
/* Elsewhere the child gets a copy of the address space: slower with a large caller, the same otherwise. */
static long clone3_vfork(struct clone_args *args, struct launch *l)
{
	long r = syscall(SYS_clone3, args, sizeof(*args));

	if (r == 0)
		child_main(l);
	return r < 0 ? -errno : r;
}
#endif

/* `flags`: 0 or CLONE_PARENT, with which the child has our own exit signal. */
static int clone_child(const struct plan *p, int cgroup_fd, unsigned flags, struct launch *l, struct child *ret, struct err *e)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD | flags | p->hdr.new_namespaces, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = flags ? 0 : SIGCHLD };
	sigset_t all, old;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup_fd;
	}
	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	long r = clone3_vfork(&args, l);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		return err_sys(e, (int)r, "clone3 with flags 0x%llx", (unsigned long long)args.flags);
	ret->pid = (pid_t)r;
	ret->pidfd = pidfd;
	if (l->result) {
		spawn_end(ret, true);
		return err_sys(e, -l->result, "execveat hull-init");
	}
	return 0;
}

/* Others in the joined user namespace may stop the process between. */
#define BETWEEN_MS 10000
#define GIVE_UP_MS 1000

/* What the process between says; hull-init's pidfd comes with it. */
struct born {
	int32_t r, pid;
	struct err err;
};

/* The right to the cgroups is the caller's, so it comes first. Root comes last: execve keeps the capabilities of no other. */
static int enter_userns(const struct plan *p, const struct spawn_fds *fds, struct err *e)
{
	int r = 0;

	for (int16_t i = 0; i < p->slots.n_tasks && r == 0; i++)
		r = write(fds->tasks[i], "0", 1) == 1 ? 0 : err_at(e, err_sys(e, -errno, "enter the cgroup"), "linux.cgroupsPath");
	if (r == 0 && (r = sys_setns(fds->userns, CLONE_NEWUSER)) < 0)
		return err_sys(e, r, "join the user namespace %s", p->birth_userns);
	if (r == 0 && ((r = sys_setresgid(0)) < 0 || (r = sys_setresuid(0)) < 0))
		return err_sys(e, r, "become root of the user namespace %s", p->birth_userns);
	return r;
}

static NORETURN void be_between(const struct plan *p, const struct spawn_fds *fds, struct launch *l, int sock)
{
	struct child c = { .pidfd = -1, .setup_pidfd = -1, .listener = -1, .ctl = { .fd = -1 } };
	struct born b = { 0 };

	b.r = enter_userns(p, fds, &b.err);
	if (b.r == 0)
		b.r = clone_child(p, -1, CLONE_PARENT, l, &c, &b.err);
	b.pid = c.pid;
	_exit(fd_send(sock, &b, sizeof(b), c.pidfd) < 0);
}

static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (cgroup_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup_fd;
	}
	long r = syscall(SYS_clone3, &args, sizeof(args));
	return r < 0 ? -errno : (pid_t)r;
}

/* The process between was killed, or died, without a word. The child that it had for us by then ends when the control socket is closed, unless it is stopped, too;
 * we don't know its pid, but have no other children now. */
static void end_children(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	siginfo_t si = { 0 };

	for (unsigned i = 0; i < GIVE_UP_MS && waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WNOHANG | __WALL) == 0; i++) {
		if (si.si_pid > 0 && si.si_code == CLD_STOPPED)
			kill(si.si_pid, SIGKILL);
		nanosleep(&ms, NULL);
	}
}

static int give_up_between(pid_t pid, int ctl_fd, ssize_t n, struct err *e)
{
	kill(pid, SIGKILL);
	shutdown(ctl_fd, SHUT_RDWR);
	end_children();
	return n == -EAGAIN ? err_set(e, ERR_PEER, ETIMEDOUT, "the process that joins the user namespace did not get on within %d ms", BETWEEN_MS)
			    : err_set(e, ERR_PEER, EPROTO, "the process that joins the user namespace died");
}

/* Namespaces belong to the user namespace that whoever makes them is in. So a process between us and hull-init joins it, and has its child for us. */
static int clone_in_userns(const struct plan *p, const struct spawn_fds *fds, struct launch *l, struct child *ret, struct err *e)
{
	struct born b = { 0 };
	sigset_t all, old;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	scoped_fd int ours = pair[0], theirs = pair[1];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork_into(fds->cgroup);
	if (pid == 0)
		be_between(p, fds, l, theirs);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_sys(e, pid, "start a process that joins the user namespace");
	fd_close(&theirs);
	int r = fd_set_patience(ours, BETWEEN_MS);
	ssize_t n = r < 0 ? r : fd_recv(ours, &b, sizeof(b), &ret->pidfd, 0);
	if (n != (ssize_t)sizeof(b))
		return give_up_between(pid, ret->ctl.fd, n, e);
	sys_put_down(pid);
	ret->pid = b.pid;
	if (b.r == 0)
		return 0;
	*e = b.err;
	if (b.pid > 0)
		sys_reap(b.pid); /* it is a child of ours, and has ended */
	ret->pid = 0;
	return b.r;
}

/* Write the numbers of the given fds into the plan and seal it. Returns the fd of the blob. */
static int make_blob(struct plan *p, const struct spawn_fds *fds, int ctl_fd, struct err *e)
{
	size_t size;

	plan_set_fd(p, p->slots.ctl, ctl_fd);
	plan_set_fd(p, p->slots.start, fds->start);
	plan_set_fd(p, p->slots.pidfd, fds->pidfd);
	plan_set_fd(p, p->slots.outer, fds->outer);
	plan_set_fd(p, p->slots.hook_out, fds->hook_out);
	plan_set_fd(p, p->slots.hook_err, fds->hook_err);
	plan_set_fd(p, p->slots.notify, fds->notify);
	for (int16_t i = 0; i < p->slots.n_tasks; i++)
		plan_set_fd(p, (int16_t)(p->slots.tasks + i), p->birth_userns ? -1 : fds->tasks[i]);
	const struct blob *b = plan_seal(p, &size, e);
	return b ? sealed_copy("hull-plan", MFD_NOEXEC_SEAL, 0400, b, size, e) : -ENOMEM;
}

int spawn_init(struct plan *p, const struct spawn_fds *fds, struct child *ret, struct err *e)
{
	int pair[2];
	char number[NUM_U64_MAX_CHARS];
	char name[] = "hull-init";

	*ret = (struct child){ .pidfd = -1, .setup_pidfd = -1, .listener = -1, .ctl = { .fd = -1, .side = CTL_HOST }, .before = ret->before };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	ret->ctl.fd = pair[0];
	scoped_fd int peer = pair[1];
	scoped_fd int blob_fd = make_blob(p, fds, peer, e);
	scoped_fd int init_fd = blob_fd < 0 ? -1 : sealed_copy("hull-init", MFD_EXEC, 0111, hull_init_start, (size_t)(hull_init_end - hull_init_start), e);
	int r = blob_fd < 0 ? blob_fd : init_fd < 0 ? init_fd : 0;
	if (r == 0) {
		int32_t keep[10 + CG_HIER_MAX];
		size_t n = p->hdr.fds.n;
		memcpy(keep, p->mem + p->hdr.fds.off, n * sizeof(keep[0]));
		keep[n++] = blob_fd;
		num_print_u64(number, (uint64_t)blob_fd);
		struct launch l = { .init_fd = init_fd, .argv = { name, number, NULL }, .envp = { NULL }, .keep = keep, .n_keep = n };
		r = p->birth_userns ? clone_in_userns(p, fds, &l, ret, e) : clone_child(p, fds->cgroup, 0, &l, ret, e);
	}
	if (r < 0)
		fd_close(&ret->ctl.fd);
	return r;
}

/* hull-init names its phase in its comm, which a zombie keeps. */
static void read_phase(pid_t pid, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	ssize_t n = io_read_at(AT_FDCWD, path, buf, size);
	if (n <= 0)
		snprintf(buf, size, "an unknown step\n");
	buf[strcspn(buf, "\n")] = '\0';
}

int spawn_blame(const struct child *c, const struct cgroup *cg, int r, struct err *e)
{
	char why[128];
	size_t n = strnlen(e->msg, sizeof(e->msg) - 1);

	if (r < 0 && cg && cg_blame(cg, &c->before, e->code, why, sizeof(why)))
		snprintf(e->msg + n, sizeof(e->msg) - n, "%s", why);
	return r;
}

/* The child is gone without a word: say how and where. */
static int explain_death(struct child *c, struct err *e)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	siginfo_t si = { 0 };
	char phase[32];

	if (c->pidfd < 0 || poll(&p, 1, 1000) <= 0)
		return err_set(e, ERR_PEER, EPIPE, "init closed its control socket without a word");
	read_phase(c->pid, phase, sizeof(phase));
	if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED) < 0)
		return err_set(e, ERR_PEER, EPIPE, "init ended while at \"%s\"", phase);
	c->pid = 0;
	if (si.si_code == CLD_EXITED)
		return err_set(e, ERR_PEER, 0, "init ended with status %d while at \"%s\"", si.si_status, phase);
	return err_set(e, ERR_PEER, 0, "init was killed by signal %d while at \"%s\"", si.si_status, phase);
}

int spawn_expect(struct child *c, unsigned type, int timeout_ms, struct ctl_msg *ret, int *ret_fd, const struct cgroup *cg, struct err *e)
{
	int r = ctl_expect(&c->ctl, type, timeout_ms, ret, ret_fd, e);

	if (r == -EPIPE && e->kind == ERR_PEER)
		r = explain_death(c, e);
	return spawn_blame(c, cg, r, e);
}

int spawn_take_console(struct child *c, int timeout_ms, const struct cgroup *cg, int sock, int *ret_master, struct err *e)
{
	struct ctl_msg m;
	scoped_fd int master = -1;
	int r = spawn_expect(c, CTL_CONSOLE, timeout_ms, &m, &master, cg, e);

	if (r == 0)
		r = console_check(master, e);
	if (r < 0)
		return r;
	if (sock >= 0)
		return console_send(sock, master, "/dev/ptmx", "the terminal", e);
	r = pty_prepare(master, e);
	if (r == 0)
		*ret_master = take_fd(&master);
	return r;
}

int spawn_adopt(struct child *c, int timeout_ms, struct err *e)
{
	struct ctl_msg m;
	siginfo_t si;
	int fd = -1, r = spawn_expect(c, CTL_BORN, timeout_ms, &m, &fd, NULL, e);

	if (r < 0)
		return r;
	pid_t between = 0;
	if (m.len == sizeof(between))
		memcpy(&between, m.body, sizeof(between));
	if (fd < 0 || m.arg == 0 || m.arg > INT32_MAX || (m.len && between <= 0)) {
		fd_close(&fd);
		return err_set(e, ERR_PEER, EPROTO, "BORN without a process");
	}
	c->setup_pidfd = c->pidfd;
	c->pid = (pid_t)m.arg;
	c->pidfd = fd;
	/* S ends by itself after BORN; a stopped one is killed with the rest of the cgroup. */
	struct pollfd p = { .fd = c->setup_pidfd, .events = POLLIN };
	if (poll(&p, 1, 1000) > 0)
		waitid(P_PIDFD, (id_t)c->setup_pidfd, &si, WEXITED);
	/* Dead before S knew of I; not reaped by anybody else, so the number is still its own. */
	if (between)
		waitid(P_PID, (id_t)between, &si, WEXITED);
	return 0;
}

/* End of file is what we want here; anything else is the child's error. */
static int expect_end(struct child *c, int timeout_ms, struct err *e)
{
	struct ctl_msg m;
	int r = ctl_expect_any(&c->ctl, 0, timeout_ms, &m, NULL, e);

	return r == -EPIPE && e->kind == ERR_PEER ? 0 : r < 0 ? r : -EPROTO;
}

int spawn_take_listener(struct child *c, int timeout_ms, const struct cgroup *cg, struct err *e)
{
	struct ctl_msg m;
	int r = spawn_expect(c, CTL_LISTENER, timeout_ms, &m, &c->listener, cg, e);

	return r == 0 && c->listener < 0 ? err_set(e, ERR_PEER, EPROTO, "LISTENER without a listener") : r;
}

int spawn_introduce(struct child *c, struct agent *agent, struct err *e)
{
	int r = agent_send(agent, c->listener, c->pid, e);

	if (r < 0 && c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
	fd_close(&c->listener);
	return r;
}

int spawn_wait_exec(struct child *c, int timeout_ms, const struct cgroup *cg, struct agent *agent, struct err *e)
{
	struct ctl_msg m;
	int r = spawn_expect(c, CTL_EXECING, timeout_ms, &m, NULL, cg, e);

	if (r == 0 && m.arg)
		r = spawn_take_listener(c, timeout_ms, cg, e);
	if (r == 0 && m.arg)
		r = spawn_introduce(c, agent, e);
	/* The agent may have to answer for execve itself: how long that takes is its affair. */
	return r < 0 ? r : spawn_blame(c, cg, expect_end(c, m.arg ? -1 : timeout_ms, e), e);
}

int spawn_wait_gate(struct child *c, int timeout_ms, const struct cgroup *cg, struct err *e)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	int r = expect_end(c, timeout_ms, e);

	if (r == 0 && poll(&p, 1, 0) > 0)
		r = explain_death(c, e);
	return spawn_blame(c, cg, r, e);
}

void spawn_end(struct child *c, bool kill)
{
	siginfo_t si;

	fd_close(&c->ctl.fd);
	if (kill && c->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
		if (poll(&p, 1, 2000) > 0)
			waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG);
	}
	fd_close(&c->listener);
	fd_close(&c->pidfd);
	fd_close(&c->setup_pidfd);
}
