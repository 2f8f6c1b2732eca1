/* SPDX-License-Identifier: Apache-2.0 */
/* From exec to the first step, and the two fixed sequences around the mounts: the mount namespace with the root
 * in it, and pivot_root. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/mnt.h"

#define SIGNAL_MAX 64

/* The host's socket is found by the slot, before the plan is checked: until then nobody can be told what is wrong
 * with it. */
static void learn_ctl(struct init *in, size_t size)
{
	const struct blob *b = in->b;

	if (b->magic == BLOB_MAGIC && b->ctl_slot >= 0 && (uint32_t)b->ctl_slot < b->fds.n && b->fds.off % 8 == 0 &&
	    b->fds.off < size && b->fds.n <= (size - b->fds.off) / sizeof(int32_t))
		in->ctl.fd = ((const int32_t *)blob_list(b, b->fds))[b->ctl_slot];
}

int setup_map(struct init *in, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		init_gone(2);
	if (st.st_size < (off_t)sizeof(struct blob) || (uintmax_t)st.st_size > BLOB_MAX)
		init_gone(2);
	size_t size = (size_t)st.st_size;
	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		init_gone(2);
	in->b = map;
	in->fin = &in->b->fin;
	learn_ctl(in, size);
	int r = blob_check(in->b, size, &in->err);
	if (r == 0)
		in->steps = blob_list(in->b, in->b->steps);
	return r;
}

/* A slot is closed after the last step that uses it: what is open longer than needed can be stolen longer. */
static void note_uses(struct init *in)
{
	for (uint32_t i = 0; i < in->b->steps.n; i++) {
		const struct step *s = &in->steps[i];
		if (s->who == WHO_HOST)
			continue;
		if (s->in >= 0)
			in->last_use[s->in] = (uint16_t)(i + 1);
		if (s->out >= 0)
			in->last_use[s->out] = (uint16_t)(i + 1);
		if (s->op == STEP_BIND && s->u.bind.idmap)
			in->last_use[s->u.bind.idmap] = (uint16_t)(i + 1);
	}
	const int16_t kept[] = { in->b->ctl_slot, in->b->start_slot, in->b->pidns_slot, in->b->mntns_slot, in->b->root_slot, in->b->userns_slot,
				 in->b->idmap_slot, in->b->null_slot };
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (kept[i] >= 0)
			in->last_use[kept[i]] = 0;
}

/* They outlive the slots: the last hook may be the last thing that we start. */
static void take_hook_files(struct init *in)
{
	const struct { int16_t slot; int *fd; } files[] = { { in->b->hook_out_slot, &in->hook_out_fd }, { in->b->hook_err_slot, &in->hook_err_fd } };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (files[i].slot < 0)
			continue;
		*files[i].fd = in->slots[files[i].slot];
		in->slots[files[i].slot] = -1;
	}
}

int setup_fds(struct init *in)
{
	const struct blob *b = in->b;
	const int32_t *given = blob_list(b, b->fds);
	int r;

	in->slots = init_pages(((size_t)b->n_slots + 1) * sizeof(*in->slots));
	in->last_use = init_pages(((size_t)b->n_slots + 1) * sizeof(*in->last_use));
	size_t ids_size = ((size_t)b->steps.n + 1) * sizeof(*in->mount_ids);
	in->mount_ids = b->userns ? init_shared_pages(ids_size) : init_pages(ids_size);
	if (!in->slots || !in->last_use || !in->mount_ids)
		return err_sys(&in->err, -ENOMEM, "set up the container");
	for (unsigned i = 0; i < b->n_slots; i++)
		in->slots[i] = i < b->fds.n ? given[i] : -1;
	take_hook_files(in);
	note_uses(in);
	r = init_close_but(in, in->slots, b->fds.n);
	if (r == 0)
		r = sys_close_range(3, ~0u, SYS_CLOSE_RANGE_CLOEXEC);
	return r < 0 ? err_sys(&in->err, r, "close what was inherited") : 0;
}

/* The parent may have died before the parent-death signal was set; then its end of the socket is closed. */
static bool parent_is_there(const struct init *in)
{
	char c;
	ssize_t n = recv(in->ctl.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Ignored signals and the mask survive execve: nothing of the caller's reaches the container. The raw call,
 * because libc keeps 32 to 34 for itself and refuses to touch them. */
static void reset_signals(void)
{
	static const unsigned long dfl[8]; /* struct sigaction of the kernel: SIG_DFL, no flags, empty mask */
	sigset_t none;

	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			syscall(SYS_rt_sigaction, sig, dfl, NULL, SIGNAL_MAX / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int raise_nofile(struct init *in)
{
	int r = sys_prlimit(RLIMIT_NOFILE, NULL, &in->nofile);
	struct sys_rlimit most = { in->nofile.hard, in->nofile.hard };

	return r < 0 || in->nofile.soft == in->nofile.hard ? r : sys_prlimit(RLIMIT_NOFILE, &most, NULL);
}

static int wait_placed(struct init *in)
{
	struct ctl_msg m;

	if (!(in->fin->flags & FIN_PLACED))
		return 0;
	int r = ctl_expect(&in->ctl, CTL_PLACED, -1, &m, NULL, &in->err);
	if (r == -EPIPE)
		init_gone(1);
	return r;
}

int setup_self(struct init *in)
{
	int r = setsid();

	if (r < 0 && getpid() != getsid(0))
		return err_sys(&in->err, -errno, "start a session");
	creds_show(in->fin->flags & FIN_ORDINARY);
	r = creds_guard();
	if (r < 0)
		return err_sys(&in->err, r, "guard the process that sets up the container");
	if (!parent_is_there(in))
		init_gone(1);
	reset_signals();
	in->caller_umask = umask(0);
	r = raise_nofile(in);
	if (r < 0)
		return err_sys(&in->err, r, "raise the limit of open files");
	in->host_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return wait_placed(in);
}

int setup_change_root(struct init *in)
{
	if (fchdir(in->root_fd) < 0)
		return err_sys(&in->err, -errno, "enter the root");
	int r = sys_chroot(".");
	return r < 0 ? err_sys(&in->err, r, "change the root to the container's") : 0;
}

/* exec: the namespaces are joined, "/" is the container's. One that was entered by chroot has its root elsewhere: S has opened init's. */
static int open_joined_root(struct init *in)
{
	if (in->fin->flags & FIN_CHROOT) {
		in->root_fd = init_slot(in, in->b->root_slot);
		return setup_change_root(in);
	}
	in->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return in->root_fd < 0 ? err_sys(&in->err, -errno, "open the container's root") : 0;
}

/* A text that says more than EINVAL: what is no mount point can't be made private, nor left by pivot_root. */
static int not_a_mount(struct init *in, int r, const char *what)
{
	if (r != -EINVAL)
		return err_sys(&in->err, r, "%s", what);
	return err_set(&in->err, ERR_UNSUPPORTED, EINVAL,
		       "%s: the caller's root is not a mount point (a chroot?): pivot_root(2) needs one", what);
}

/* Where the container's process belongs in the end, when that isn't the namespace that the tree is built in. */
static int remember_mount_namespace(struct init *in)
{
	if (!(in->fin->flags & FIN_CHROOT))
		return 0;
	if (in->b->mntns_slot >= 0) {
		in->mntns_fd = init_slot(in, in->b->mntns_slot);
		return 0;
	}
	int r = init_procfs(in);
	if (r == 0)
		r = in->mntns_fd = procfs_ns(&in->proc, "mnt");
	return r < 0 ? err_sys(&in->err, r, "open the mount namespace that is inherited") : 0;
}

/* A copy of the host's mounts. The attach target is reached by fchdir before: the kernel takes the working directory
 * along into the new namespace, an fd not. */
static int copy_mount_namespace(struct init *in, const char *rootfs)
{
	int r;

	if (fchdir(in->rootfs_fd) < 0)
		return err_sys(&in->err, -errno, "enter %s", rootfs);
	r = remember_mount_namespace(in);
	if (r < 0)
		return r;
	r = sys_unshare(CLONE_NEWNS);
	if (r < 0)
		return err_sys(&in->err, r, "make a mount namespace");
	r = sys_mount(NULL, "/", NULL, in->b->root_propagation, NULL);
	return r < 0 ? not_a_mount(in, r, "detach the new mount namespace from the host's") : 0;
}

/* Attach the detached tree `*root` at the working directory and enter it. */
static int attach_root(struct init *in, int *root, const char *rootfs)
{
	int r = sys_move_mount(*root, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH);

	if (r < 0)
		return err_sys(&in->err, r, "attach the root at %s", rootfs);
	if (fchdir(*root) < 0)
		return err_sys(&in->err, -errno, "enter the root");
	in->root_fd = take_fd(root);
	return 0;
}

int setup_clone_root(struct init *in)
{
	const char *rootfs = init_str(in, in->b->rootfs);
	scoped_fd int root = mnt_clone(AT_FDCWD, ".", MNT_CLONE_RECURSIVE);

	int r = root < 0 ? err_sys(&in->err, root, "clone the mounts of %s", rootfs) : attach_root(in, &root, rootfs);
	/* The steps that are I's are for this one. */
	if (r == 0)
		in->slots[in->b->root_slot] = in->root_fd;
	return r;
}

int setup_open_root(struct init *in)
{
	const char *rootfs = init_str(in, in->b->rootfs);
	int r, dir;

	if (in->fin->flags & FIN_EXEC)
		return 0;
	dir = in->rootfs_fd = open(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_at(&in->err, err_sys(&in->err, -errno, "open the root file system %s", rootfs), "root.path");
	if (in->b->unshare_mount == UNSHARE_ROOT) {
		r = in->root_source_fd = sys_open_tree(dir, "", OPEN_TREE_NAMESPACE | AT_EMPTY_PATH | AT_RECURSIVE);
		return r < 0 ? err_sys(&in->err, r, "make a mount namespace of %s", rootfs) : 0;
	}
	r = in->root_source_fd = mnt_clone(dir, "", MNT_CLONE_RECURSIVE);
	if (r >= 0)
		r = mnt_set(in->root_source_fd, true, 0, 0, in->b->root_propagation & ~(uint64_t)MS_REC);
	return r < 0 ? err_sys(&in->err, r, "clone the mounts of %s", rootfs) : 0;
}

/* The root file system is the only mount of the new namespace, and setns(2) makes it "/". Its copy is still the peer of the original. */
static int enter_root_namespace(struct init *in, const char *rootfs)
{
	int r = sys_setns(in->root_source_fd, CLONE_NEWNS);

	if (r >= 0)
		r = sys_mount(NULL, "/", NULL, in->b->root_propagation, NULL);
	if (r < 0)
		return err_sys(&in->err, r, "make a mount namespace of %s", rootfs);
	in->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return in->root_fd < 0 ? err_sys(&in->err, -errno, "open the container's root") : 0;
}

int setup_tree(struct init *in)
{
	const char *rootfs = init_str(in, in->b->rootfs);
	int r;

	if (in->fin->flags & FIN_EXEC)
		return open_joined_root(in);
	if (in->b->unshare_mount == UNSHARE_ROOT) {
		r = enter_root_namespace(in, rootfs);
	} else {
		r = copy_mount_namespace(in, rootfs);
		if (r == 0)
			r = attach_root(in, &in->root_source_fd, rootfs);
	}
	fd_close(&in->root_source_fd);
	fd_close(&in->rootfs_fd);
	in->slots[in->b->root_slot] = in->root_fd;
	return r;
}

int setup_pivot(struct init *in)
{
	int r;

	/* One that left its mount namespace has changed its root already. */
	if ((in->fin->flags & FIN_EXEC) || (in->b->userns && (in->fin->flags & FIN_CHROOT)))
		return 0;
	if (fchdir(in->root_fd) < 0)
		return err_sys(&in->err, -errno, "enter the root");
	if (in->b->unshare_mount == UNSHARE_ROOT)
		return 0;
	r = sys_pivot_root(".", ".");
	if (r < 0)
		return not_a_mount(in, r, "change the root to the container's");
	/* The old root lies over the new one now: "." is the old one until it is gone. */
	r = sys_umount(".", SYS_UMOUNT_DETACH);
	if (r < 0)
		return err_sys(&in->err, r, "drop the old root");
	return chdir("/") < 0 ? err_sys(&in->err, -errno, "enter the new root") : 0;
}

int setup_leave(struct init *in)
{
	int r;

	if (!(in->fin->flags & FIN_CHROOT) || (in->fin->flags & FIN_EXEC) || in->role == WHO_I)
		return 0;
	/* Peers stay peers: what the configuration wants shared has been set by now. */
	scoped_fd int tree = mnt_clone(in->root_fd, "", MNT_CLONE_RECURSIVE | MNT_CLONE_PEER);
	if (tree < 0)
		return err_sys(&in->err, tree, "take the finished tree out of its mount namespace");
	r = sys_setns(in->mntns_fd, CLONE_NEWNS);
	if (r < 0)
		return err_sys(&in->err, r, "enter the container's mount namespace");
	fd_close(&in->root_fd);
	in->root_fd = take_fd(&tree);
	return setup_change_root(in);
}
