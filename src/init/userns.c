/* SPDX-License-Identifier: Apache-2.0 */
/* A container with a user namespace: S and I are two from the beginning (docs/architecture.md, "Processes").
 *
 * What a mount namespace owned by the caller's user namespace holds is locked in a copy that belongs to another one: no flag of a mount can be
 * cleared there, and nothing can be taken off what it covers (mount_namespaces(7)). So S makes the whole tree with the caller's rights, and the
 * copy is the container's. File systems whose ids and rights are the container's own are made inside, by a process that does nothing else, and
 * handed to S as detached mounts.
 *
 * Nobody of ours is dumpable in the user namespace: its owner may be somebody who is uid 0 outside and has no right at all (SEC-51). */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/idmap.h"
#include "sys/mnt.h"

/* What S asks for, and the answer; the mount's fd comes with it. */
struct ask { uint32_t step; };
struct answer { int32_t r; char kernel[96]; };

/* Sockets between S ([0]) and the process in the user namespace ([1]). */
struct links { int sync[2], serve[2]; };

static int failed(struct init *in, int r, const char *what)
{
	return r < 0 ? err_sys(&in->err, r, "%s", what) : 0;
}

/* ---- in the user namespace ---- */

/* Root there, before anything is made. The host's root, which we still were, is nobody in there. */
static int be_root(struct init *in)
{
	int r = sys_setresgid(0);

	if (r == 0)
		r = sys_setresuid(0);
	if (r == -EINVAL)
		return err_set(&in->err, ERR_CONFIG, EINVAL, "the user namespace maps no id 0, as which the container is set up");
	return failed(in, r < 0 ? r : creds_guard(), "become root of the user namespace");
}

static void make_one(struct init *in, const struct ask *a, struct answer *ret, int *ret_fd)
{
	const struct step *s = a->step < in->b->steps.n ? &in->steps[a->step] : NULL;
	bool sysctl = s && s->op == STEP_SYSCTL;
	int r = sysctl ? step_write_sysctl(in, s) : s && s->op == STEP_SUPERBLOCK ? superblock_make(in, s) : -EINVAL;

	*ret = (struct answer){ .r = r < 0 ? r : 0 };
	memcpy(ret->kernel, in->kernel, sizeof(ret->kernel));
	if (r < 0 && in->err.kind)
		snprintf(ret->kernel, sizeof(ret->kernel), "%.*s", (int)sizeof(ret->kernel) - 1, in->err.msg);
	*ret_fd = sysctl ? -1 : r;
}

/* Make superblocks, and write sysctls, until S has enough. They come from a mount namespace of our own: in S's we have no right to mount. */
static NORETURN void serve(struct init *in, int sock)
{
	struct answer answer;
	struct ask ask;
	int none, r;

	init_phase("make");
	fd_close(&in->ctl.fd);
	if (sys_unshare(CLONE_NEWNS) < 0)
		init_gone(1);
	in->host_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (;;) {
		if (fd_recv(sock, &ask, sizeof(ask), &none, 0) != (ssize_t)sizeof(ask))
			init_gone(0);
		in->kernel[0] = '\0';
		in->err.kind = ERR_NONE;
		make_one(in, &ask, &answer, &r);
		scoped_fd int fd = r;
		if (fd_send(sock, &answer, sizeof(answer), fd) < 0)
			init_gone(1);
	}
}

/* Nothing of S is open any more but what we need. */
static int forget_host(struct init *in, const int *keep, size_t n)
{
	int r = init_close_but(in, keep, n);

	for (unsigned i = 0; i < in->b->n_slots; i++)
		if ((int)i != in->b->start_slot && (int)i != in->b->ctl_slot)
			in->slots[i] = -1;
	in->proc = in->sysctl = PROCFS_NONE;
	in->root_fd = in->rootfs_fd = in->root_source_fd = in->dev_fd = in->pts_fd = in->mask_dir_fd = in->mask_file_fd = in->mntns_fd = in->host_proc_fd = in->node_fd = -1;
	return failed(in, r, "close what belongs to the host");
}

/* The start of the process in the user namespace: wait for the maps, become root, make the namespaces that are to belong to it. */
static int begin(struct init *in, const struct links *l)
{
	const int keep[] = { in->ctl.fd, init_slot(in, in->b->start_slot), l->sync[1], l->serve[1] };
	int r = forget_host(in, keep, ARRAY_LEN(keep));
	char go;

	if (r < 0)
		return r;
	if (setsid() != getpid())
		return err_sys(&in->err, -EPERM, "start a session");
	r = creds_guard();
	if (r < 0)
		return err_sys(&in->err, r, "guard the container's process");
	if (read(l->sync[1], &go, 1) != 1)
		init_gone(1);
	r = be_root(in);
	if (r < 0)
		return r;
	return failed(in, in->b->userns_new ? sys_unshare((int)in->b->userns_new) : 0, "make the namespaces of the user namespace");
}

/* I: somebody else makes the superblocks, so that we stay where S makes the tree. Then wait until it is made. */
static int await_tree(struct init *in, const struct links *l, int *ret_fd)
{
	char go;
	pid_t maker = sys_fork(SIGCHLD, NULL);

	if (maker < 0)
		return err_sys(&in->err, maker, "start the process that makes file systems");
	if (maker == 0) {
		close(l->sync[1]);
		if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			init_gone(1);
		serve(in, l->serve[1]);
	}
	close(l->serve[1]);
	if (write(l->sync[1], "", 1) != 1)
		init_gone(1);
	if (fd_recv(l->sync[1], &go, 1, ret_fd, 0) != 1 || *ret_fd < 0)
		init_gone(1);
	close(l->sync[1]);
	sys_reap(maker);
	return 0;
}

/* Returns in I only. */
static int live_in_userns(struct init *in, const struct links *l)
{
	int fd, r = begin(in, l);

	if (r < 0)
		return r;
	if (in->b->userns == USERNS_KEEPER) {
		if (write(l->sync[1], "", 1) != 1)
			init_gone(1);
		serve(in, l->serve[1]);
	}
	r = await_tree(in, l, &fd);
	in->root_fd = fd;
	in->slots[in->b->root_slot] = fd;
	in->ctl.last = CTL_BORN;
	in->role = WHO_I;
	return r;
}

/* ---- S: the birth ---- */

static unsigned long birth_flags(const struct init *in)
{
	bool first = in->b->userns == USERNS_FIRST, joined = in->b->userns_slot >= 0;

	/* With CLONE_PARENT the host is the parent, and the kernel gives the child S's exit signal. */
	return (first ? CLONE_PARENT | CLONE_NEWPID : SIGCHLD) | (joined ? 0u : CLONE_NEWUSER);
}

static int enter_joined(struct init *in)
{
	int r = sys_setns(init_slot(in, in->b->userns_slot), CLONE_NEWUSER);

	if (r == 0)
		r = creds_guard();
	return failed(in, r, "join the user namespace");
}

/* A pid namespace belongs to the user namespace of whoever makes it: one process in between joins the user namespace and has I born in it. Returns I's pid
 * in S, 0 in I. */
static pid_t birth_by_another(struct init *in, const struct links *l)
{
	int pidfd = -1;
	pid_t pid;

	in->apart.between = sys_fork(CLONE_PARENT, NULL);
	if (in->apart.between == 0) {
		if (enter_joined(in) < 0)
			init_fail(in, 1);
		pid = sys_fork(birth_flags(in) | CLONE_PIDFD, &pidfd);
		if (pid == 0)
			return 0;
		if (pid < 0) {
			err_sys(&in->err, pid, "start the container's process in the joined user namespace");
			init_fail(in, 1);
		}
		int r = fd_send(l->sync[1], &pid, sizeof(pid), pidfd);
		init_gone(r < 0);
	}
	if (in->apart.between < 0)
		return in->apart.between;
	/* Our copy of the other end stays open until I is born: its death is seen on the host's socket. */
	if (fd_recv(l->sync[0], &pid, sizeof(pid), &in->apart.pidfd, 0) != (ssize_t)sizeof(pid) || in->apart.pidfd < 0)
		return -ECHILD;
	return pid;
}

static pid_t birth(struct init *in, const struct links *l)
{
	bool joined = in->b->userns_slot >= 0;

	if (joined && in->b->userns == USERNS_FIRST)
		return birth_by_another(in, l);
	pid_t pid = sys_fork(birth_flags(in) | CLONE_PIDFD, &in->apart.pidfd);
	if (pid == 0 && joined && enter_joined(in) < 0)
		init_fail(in, 1);
	return pid;
}

/* One that joins a mount namespace is born there: it could not enter it later, and S comes back. */
static pid_t birth_in_place(struct init *in, const struct links *l)
{
	if (!(in->fin->flags & FIN_CHROOT) || in->b->mntns_slot < 0 || in->b->userns != USERNS_FIRST)
		return birth(in, l);
	scoped_fd int own = procfs_ns(&in->proc, "mnt");
	int r = own < 0 ? own : sys_setns(init_slot(in, in->b->mntns_slot), CLONE_NEWNS);
	if (r < 0)
		return r;
	pid_t pid = birth(in, l);
	if (pid > 0 && (r = sys_setns(own, CLONE_NEWNS)) < 0)
		return r;
	return pid;
}

static int open_links(struct init *in, struct links *l)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, l->sync) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, l->serve) < 0)
		return err_sys(&in->err, -errno, "connect with the process in the user namespace");
	in->apart.sync_fd = l->sync[0];
	in->apart.serve_fd = l->serve[0];
	return 0;
}

/* With its maps it becomes root there and says so. The kernel adds who that is for us. */
static int await_root(struct init *in)
{
	int on = 1;
	union { char buf[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr align; } control;
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	struct ucred who;
	ssize_t n;

	if (setsockopt(in->apart.sync_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return err_sys(&in->err, -errno, "ask for the sender's ids");
	if (write(in->apart.sync_fd, "", 1) != 1)
		init_gone(1);
	do
		n = recvmsg(in->apart.sync_fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	/* It has told the host why. */
	if (n <= 0)
		init_gone(1);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_CREDENTIALS)
		return err_sys(&in->err, -EPROTO, "learn the ids of the container's root");
	memcpy(&who, CMSG_DATA(h), sizeof(who));
	in->apart.root_uid = who.uid;
	in->apart.root_gid = who.gid;
	return 0;
}

/* The configuration's mappings of a joined user namespace are the namespace's own, or the files that we make would belong to somebody else. */
static int check_root(struct init *in)
{
	const struct blob *b = in->b;
	const struct { const char *list; uint32_t is, said; } ids[] = { { "linux.uidMappings", in->apart.root_uid, b->outer_root_uid },
									  { "linux.gidMappings", in->apart.root_gid, b->outer_root_gid } };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (ids[i].said != ID_ROOT && ids[i].is != ids[i].said) {
			err_set(&in->err, ERR_CONFIG, 0, "the user namespace maps 0 to %u, not to %u", ids[i].is, ids[i].said);
			return err_at(&in->err, -EINVAL, ids[i].list);
		}
	return 0;
}

static int join_made(struct init *in)
{
	if (!in->b->userns_new)
		return 0;
	return failed(in, sys_setns(in->apart.pidfd, (int)in->b->userns_new), "join the namespaces of the user namespace");
}

static void give_stdio(const struct init *in)
{
	uint32_t uid = in->b->outer_uid != ID_ROOT ? in->b->outer_uid : in->apart.root_uid;

	if (!(in->fin->flags & FIN_TERMINAL) && (in->b->outer_uid != ID_ROOT || in->fin->uid == 0))
		tty_give(uid);
}

static int learn_userns(struct init *in)
{
	int fd = in->b->idmap_slot < 0 ? 0 : procfs_process_ns(&in->proc, in->apart.pid, "user");

	if (fd > 0)
		in->slots[in->b->idmap_slot] = fd;
	return failed(in, fd, "open the user namespace");
}

/* S, after the birth. */
static int raise_child(struct init *in)
{
	const struct blob *b = in->b;
	int r = b->userns_slot >= 0 ? 0 : idmap_write(&in->proc, in->apart.pid, init_str(in, b->uid_map), init_str(in, b->gid_map));

	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "write the maps of the user namespace"), "linux.uidMappings");
	r = await_root(in);
	if (r == 0)
		r = check_root(in);
	if (r == 0)
		r = join_made(in);
	if (r == 0)
		r = learn_userns(in);
	if (r < 0)
		return r;
	give_stdio(in);
	return failed(in, creds_make_files_as(in->apart.root_uid, in->apart.root_gid), "make files as the container's root");
}

int userns_birth(struct init *in)
{
	struct links l;
	int r = init_procfs(in);

	if (r < 0)
		return err_sys(&in->err, r, "open a procfs");
	r = finale_raise_limits(in);
	if (r == 0)
		r = open_links(in, &l);
	if (r < 0)
		return r;
	in->apart.pid = birth_in_place(in, &l);
	if (in->apart.pid == 0)
		return live_in_userns(in, &l);
	if (in->apart.pid == -ECHILD)
		init_gone(1);
	if (in->apart.pid < 0)
		return err_sys(&in->err, in->apart.pid, "start a process in the user namespace");
	close(l.sync[1]);
	close(l.serve[1]);
	return raise_child(in);
}

/* Where the kernel finds a new proc too revealing in there (the mount namespace that is inherited or joined has none without masks), we may make it: 6.17. */
static int make_proc(struct init *in, const struct step *s)
{
	int r;

	in->apart.pidns_fd = procfs_process_ns(&in->proc, in->apart.pid, "pid");
	r = in->apart.pidns_fd < 0 ? -EPERM : superblock_make(in, s);
	fd_close(&in->apart.pidns_fd);
	return r == -EINVAL ? -EPERM : r;
}

static int ask_for(struct init *in, const struct step *s, struct answer *ret, int *ret_fd)
{
	struct ask ask = { .step = (uint32_t)(s - in->steps) };
	int r = fd_send(in->apart.serve_fd, &ask, sizeof(ask), -1);

	if (r < 0)
		return r;
	ssize_t n = fd_recv(in->apart.serve_fd, ret, sizeof(*ret), ret_fd, 0);
	if (n != (ssize_t)sizeof(*ret))
		return n < 0 ? (int)n : -ECHILD;
	ret->kernel[sizeof(ret->kernel) - 1] = '\0';
	return 0;
}

int userns_superblock(struct init *in, const struct step *s)
{
	struct answer answer;
	int fd = -1, r = ask_for(in, s, &answer, &fd);

	if (r < 0)
		return r;
	if (answer.r == -EPERM && streq(init_str(in, s->u.mnt.fstype), "proc"))
		answer.r = fd = make_proc(in, s);
	if (answer.r < 0)
		memcpy(in->kernel, answer.kernel, sizeof(in->kernel));
	return answer.r < 0 ? answer.r : fd;
}

int userns_sysctl(struct init *in, const struct step *s)
{
	struct answer answer;
	int none, r = ask_for(in, s, &answer, &none);

	if (r == 0 && answer.r < 0)
		memcpy(in->kernel, answer.kernel, sizeof(in->kernel));
	return r < 0 ? r : answer.r;
}

/* ---- the change of hands ---- */

/* S's end where I is a process of its own: the host is told, I gets the root. */
static int hand_over(struct init *in)
{
	bool leaves = in->fin->flags & FIN_CHROOT;
	scoped_fd int tree = leaves ? mnt_clone(in->root_fd, "", MNT_CLONE_RECURSIVE | MNT_CLONE_PEER) : -EBADF;
	const pid_t between = in->apart.between;

	if (leaves && tree < 0)
		return err_sys(&in->err, tree, "take the finished tree out of its mount namespace");
	fd_close(&in->apart.serve_fd);
	int r = ctl_send(&in->ctl, CTL_BORN, (uint32_t)in->apart.pid, &between, between > 0 ? sizeof(between) : 0, in->apart.pidfd);
	if (r == 0)
		r = fd_send(in->apart.sync_fd, "", 1, leaves ? tree : in->root_fd);
	if (r == 0)
		init_gone(0);
	return err_sys(&in->err, r, "report the container's process");
}

/* Where S becomes what runs in the container: it joins the keeper's user namespace. Pid and mount namespace that are joined come first: they may belong to somebody
 * over whom the user namespace has no right. */
static int follow_keeper(struct init *in)
{
	int r = setup_leave(in);

	if (r == 0 && (in->fin->flags & FIN_JOIN_PID)) {
		r = failed(in, sys_setns(init_slot(in, in->b->pidns_slot), CLONE_NEWPID), "join the pid namespace");
		in->pid_joined = true;
	}
	if (r < 0)
		return r;
	const int keep[] = { in->ctl.fd, init_slot(in, in->b->start_slot), in->root_fd, in->apart.pidfd, in->apart.serve_fd };
	int root = in->root_fd;
	pid_t keeper = in->apart.pid;
	r = forget_host(in, keep, ARRAY_LEN(keep));
	in->root_fd = in->slots[in->b->root_slot] = root;
	if (r == 0)
		r = failed(in, sys_setns(in->apart.pidfd, CLONE_NEWUSER), "join the user namespace");
	if (r == 0)
		r = failed(in, creds_guard(), "guard the container's process");
	fd_close(&in->apart.pidfd);
	fd_close(&in->apart.serve_fd);
	if (r == 0)
		sys_reap(keeper);
	in->role = WHO_I;
	return r == 0 ? be_root(in) : r;
}

/* The copy of the mount namespace that belongs to the user namespace. pivot_root takes no mount that is locked, so the root is cloned over itself. */
static int copy_tree(struct init *in)
{
	scoped_fd int old = in->root_fd;
	int r;

	in->root_fd = -1;
	if (fchdir(old) < 0)
		return err_at(&in->err, err_sys(&in->err, -errno, "enter the root as the container's root"), "root.path");
	r = sys_unshare(CLONE_NEWNS);
	if (r < 0)
		return err_sys(&in->err, r, "copy the mount namespace");
	/* While the caller's is in sight: afterwards the kernel may refuse another one (mount_too_revealing()). */
	in->host_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = init_procfs(in);
	if (r < 0)
		return err_sys(&in->err, r, "open a procfs");
	return setup_clone_root(in);
}

int userns_enter(struct init *in)
{
	bool leaves = in->fin->flags & FIN_CHROOT;
	int r = 0;

	if (in->role == WHO_S)
		r = in->b->userns == USERNS_FIRST ? hand_over(in) : follow_keeper(in);
	if (r < 0)
		return r;
	if (!leaves)
		return copy_tree(in);
	return in->b->userns == USERNS_FIRST ? setup_change_root(in) : 0;
}

int userns_joined(struct init *in)
{
	int r = creds_guard();

	return r < 0 ? err_sys(&in->err, r, "guard the process in the user namespace") : be_root(in);
}
