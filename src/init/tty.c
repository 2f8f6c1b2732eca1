/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal, and what fds 0-2 are. A pty comes from the container's own devpts and its slave through its
 * master, never through a name: /dev/pts/N may be a link to anything (CVE-2025-52565). */
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/mnt.h"
#include "sys/rootfs.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#define PTY_SLAVE_MAJOR_FIRST 136
#define PTY_SLAVE_MAJOR_LAST 143

static bool is_devpts(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

/* The directory of the devpts that the pty comes from: ours when this create made it, else what lies on /dev/pts,
 * if it is a devpts. Names in a devpts are the kernel's, so once the directory is one, "ptmx" in it is the
 * multiplexer unless something is mounted on it. */
static int open_devpts(struct init *in)
{
	scoped_fd int dir = in->pts_fd >= 0 ? fcntl(in->pts_fd, F_DUPFD_CLOEXEC, 3)
					    : rootfs_open(in->root_fd, (struct ctr_path){ "/dev/pts" }, 0);

	if (dir < 0)
		return err_sys(&in->err, in->pts_fd >= 0 ? -errno : dir,
			       "open the container's /dev/pts for the terminal");
	if (!is_devpts(dir))
		return err_set(&in->err, ERR_SYS, ENODEV,
			       "a terminal needs a file system of type \"devpts\" on /dev/pts");
	return take_fd(&dir);
}

static int open_master(struct init *in)
{
	struct open_how how = { .flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	scoped_fd int dir = open_devpts(in);
	struct stat st;
	int unlocked = 0;

	if (dir < 0)
		return dir;
	scoped_fd int master = sys_openat2(dir, "ptmx", &how);
	if (master < 0)
		return err_sys(&in->err, master, "open ptmx in the container's /dev/pts");
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || !is_devpts(master))
		return err_set(&in->err, ERR_SYS, ENODEV,
			       "ptmx in the container's /dev/pts is not the pty multiplexer");
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return err_sys(&in->err, -errno, "unlock the pty");
	return take_fd(&master);
}

static int open_slave(struct init *in, int master)
{
	scoped_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize size = { .ws_row = in->fin->console_height, .ws_col = in->fin->console_width };
	struct stat st;

	if (slave < 0)
		return err_sys(&in->err, -errno, "open the slave of the pty");
	if (fstat(slave, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) < PTY_SLAVE_MAJOR_FIRST ||
	    major(st.st_rdev) > PTY_SLAVE_MAJOR_LAST || !is_devpts(slave))
		return err_set(&in->err, ERR_SYS, ENODEV, "the slave of the pty is none");
	if ((size.ws_row || size.ws_col) && ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_sys(&in->err, -errno, "set the size of the terminal");
	if (st.st_uid != in->fin->uid && fchown(slave, in->fin->uid, (gid_t)-1) < 0)
		return err_sys(&in->err, -errno, "give the terminal to user %u", in->fin->uid);
	return take_fd(&slave);
}

/* The slave on /dev/console. On our own /dev the plan has made the file; under a foreign /dev nothing is made,
 * and a console that is there is only covered when it is no link and no directory. */
static int bind_console(struct init *in, int slave)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	scoped_fd int foreign = in->dev_fd < 0 ? rootfs_open(in->root_fd, (struct ctr_path){ "/dev" }, 0) : -EBADF;
	scoped_fd int at = sys_openat2(in->dev_fd < 0 ? foreign : in->dev_fd, "console", &how);
	struct stat st;

	if (at < 0 && in->dev_fd < 0)
		return 0;
	if (at < 0 || fstat(at, &st) < 0)
		return err_sys(&in->err, at < 0 ? at : -errno, "open /dev/console");
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	scoped_fd int clone = mnt_clone(slave, "", 0);
	int r = clone < 0 ? clone : mnt_attach(clone, at);
	return r < 0 ? err_sys(&in->err, r, "bind the terminal on /dev/console") : 0;
}

int tty_make(struct init *in)
{
	int r;

	if (!(in->fin->flags & FIN_TERMINAL))
		return 0;
	scoped_fd int master = open_master(in);
	if (master < 0)
		return master;
	scoped_fd int slave = open_slave(in, master);
	if (slave < 0)
		return slave;
	if (!(in->fin->flags & FIN_EXEC)) {
		r = bind_console(in, slave);
		if (r < 0)
			return r;
	}
	r = ctl_send(&in->ctl, CTL_CONSOLE, 0, NULL, 0, master);
	if (r < 0)
		return err_sys(&in->err, r, "hand over the terminal");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return err_sys(&in->err, -errno, "make the terminal standard input and output");
	return 0;
}

int tty_take(struct init *in)
{
	if (!(in->fin->flags & FIN_TERMINAL))
		return 0;
	return ioctl(0, TIOCSCTTY, 0) < 0 ? err_sys(&in->err, -errno, "make the terminal the controlling one") : 0;
}

/* The null device that the container has, where this create did not make it: looked at first, then opened. -errno
 * when it isn't one or can't be opened. */
static int open_container_null(struct init *in, int flags)
{
	scoped_fd int probe = rootfs_open(in->root_fd, (struct ctr_path){ "/dev/null" }, 0);
	struct stat st;

	if (probe < 0)
		return probe;
	if (fstat(probe, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return -ENODEV;
	int r = init_procfs(in);
	scoped_fd int fd = r < 0 ? r : procfs_reopen(&in->proc, probe, flags);
	if (fd < 0)
		return fd;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : take_fd(&fd); /* not non-blocking */
}

/* The host's /dev/null must not be the container's: its owner could change the host's node through the fd
 * (attacks-tried H17). */
static int own_null(struct init *in, int fd)
{
	int mode = fcntl(fd, F_GETFL);

	if (mode < 0)
		return err_sys(&in->err, -errno, "look at fd %d", fd);
	scoped_fd int null = in->dev_fd < 0 ? open_container_null(in, mode & O_ACCMODE) : -ENODEV;
	if (null < 0)
		null = mask_null(in, mode & O_ACCMODE);

	if (null < 0)
		return err_sys(&in->err, null, "open a null device for standard input and output");
	return dup2(null, fd) < 0 ? err_sys(&in->err, -errno, "replace the host's /dev/null") : 0;
}

/* A program that opens /dev/stdout anew needs to own the pipe behind it. Both peers do it; what can't be given
 * away stays as it is. */
static void give(uint32_t uid, int fd, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) || S_ISBLK(st->st_mode) || st->st_uid == uid)
		return;
	if (fchown(fd, uid, (gid_t)-1) < 0)
		log_debug("fd %d stays with user %u: %s", fd, (unsigned)st->st_uid, err_text(errno));
}

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

void tty_give(uint32_t uid)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && !is_null_device(&st))
			give(uid, fd, &st);
}

int tty_stdio(struct init *in)
{
	struct stat st;

	/* In a user namespace S has given away what it could, and the host's null is nobody's there. */
	if ((in->fin->flags & FIN_TERMINAL) || in->b->userns)
		return 0;
	for (int fd = 0; fd < 3; fd++) {
		int r = 0;
		if (fstat(fd, &st) < 0)
			return err_sys(&in->err, -errno, "look at fd %d", fd);
		if (is_null_device(&st))
			r = in->fin->flags & FIN_HOST_NODES ? 0 : own_null(in, fd);
		else
			give(in->fin->uid, fd, &st);
		if (r < 0)
			return r;
	}
	return 0;
}
