/* SPDX-License-Identifier: Apache-2.0 */
/* A container's directory: claimed whole, opened, locked. The lock is flock(2) on the directory itself, so
 * there is no lock file to lose, and a name that was removed and made again while we waited is noticed by
 * its inode. */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "base/log.h"
#include "state/layout.h"

#define CLAIM_TRIES 64
/* A reader that asks whether the lock is held takes it for a moment: one failed attempt means nothing. */
#define PROBE_GRACE_MS 20

int state_rename_new(int root_dfd, const char *from, const char *to)
{
	return syscall(SYS_renameat2, root_dfd, from, root_dfd, to, STATE_RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int state_random_name(char *buf, size_t n)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char raw[32];

	if (n > sizeof(raw) || getrandom(raw, n, GRND_NONBLOCK) != (ssize_t)n)
		return errno ? -errno : -EIO;
	for (size_t i = 0; i < n; i++)
		buf[i] = alphabet[raw[i] % (sizeof(alphabet) - 1)];
	buf[n] = '\0';
	return 0;
}

bool state_is_linked(int root_dfd, const char *name, int dfd)
{
	struct stat here, there;

	return fstat(dfd, &here) == 0 && fstatat(root_dfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

bool state_is_same(const struct state_dir *a, const struct state_dir *b)
{
	struct stat x, y;

	return fstat(a->dfd, &x) == 0 && fstat(b->dfd, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

bool state_still_ours(const struct state_dir *d)
{
	return state_is_linked(d->root_dfd, d->name, d->dfd);
}

int state_open_dir(int root_dfd, const char *name)
{
	scoped_fd int dfd = openat(root_dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dfd < 0)
		return errno == ELOOP ? -ENOTDIR : -errno;
	if (fstat(dfd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	return take_fd(&dfd);
}

int state_try_lock(int dfd)
{
	/* An open file description of its own: closing it is unlocking, whoever has copies of `dfd`. */
	scoped_fd int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return take_fd(&fd);
}

/* The lock of `dfd` within `timeout_ms`, -EWOULDBLOCK when it stays taken. flock(2) knows no deadline, so
 * ask again and again, a little later each time. */
static int lock_within(int dfd, int timeout_ms)
{
	int64_t end = clock_now_ms() + timeout_ms;
	long pause_ms = 1;

	for (;;) {
		int fd = state_try_lock(dfd);
		int64_t left = end - clock_now_ms();
		if (fd != -EWOULDBLOCK || left <= 0)
			return fd;
		long ms = left < pause_ms ? (long)left : pause_ms;
		nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
		pause_ms = pause_ms < 16 ? 2 * pause_ms : 20;
	}
}

int state_lock_held(const struct state_dir *d)
{
	scoped_fd int fd = -EBADF;

	if (d->lock_fd >= 0)
		return 1;
	fd = openat(d->dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Shared, so that two readers who ask at the same time don't see each other. */
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? 1 : -errno;
}

const char *state_lock_holder(const struct state_dir *d, char *buf, size_t size)
{
	char line[256], who[192];
	struct stat st;
	int pid = 0;

	snprintf(buf, size, "another process");
	FILE *f = fopen("/proc/locks", "re");
	if (!f || fstat(d->dfd, &st) < 0) {
		if (f)
			fclose(f);
		return buf;
	}
	/* "3: FLOCK  ADVISORY  WRITE 17 00:1b:9043 0 EOF" (proc_locks(5)) */
	while (pid == 0 && fgets(line, sizeof(line), f)) {
		unsigned major, minor;
		uint64_t ino;
		int holder;
		if (sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%" SCNu64, &holder, &major, &minor, &ino) == 4 &&
		    ino == st.st_ino && makedev(major, minor) == st.st_dev)
			pid = holder;
	}
	fclose(f);
	if (pid > 0)
		snprintf(buf, size, "process %s", proc_describe(pid, who, sizeof(who)));
	return buf;
}

void state_close(struct state_dir *d)
{
	fd_close(&d->lock_fd);
	fd_close(&d->dfd);
	fd_close(&d->root_dfd);
}

int state_dir_init(struct state_dir *d, int root_dfd, const char *id, const char *name)
{
	*d = STATE_DIR_NONE;
	snprintf(d->id, sizeof(d->id), "%s", id);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->root_dfd = fcntl(root_dfd, F_DUPFD_CLOEXEC, 3);
	return d->root_dfd < 0 ? -errno : 0;
}

/* Make the directory of a claim and lock it: 1, or 0 when someone who took it for a dead one was faster with
 * the lock. */
static int make_claim(struct state_dir *d)
{
	char suffix[STATE_CLAIM_SUFFIX + 1];

	int r = state_random_name(suffix, STATE_CLAIM_SUFFIX);
	if (r < 0)
		return r;
	snprintf(d->name, sizeof(d->name), ".%s.%s", d->id, suffix);
	if (mkdirat(d->root_dfd, d->name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	d->dfd = state_open_dir(d->root_dfd, d->name);
	if (d->dfd == -ENOENT)
		return 0;
	if (d->dfd < 0)
		return d->dfd;
	d->lock_fd = state_try_lock(d->dfd);
	if (d->lock_fd >= 0 && state_still_ours(d))
		return 1;
	r = d->lock_fd < 0 && d->lock_fd != -EWOULDBLOCK && d->lock_fd != -ENOENT ? d->lock_fd : 0;
	fd_close(&d->lock_fd);
	fd_close(&d->dfd);
	return r;
}

static int fill_claim(struct state_dir *d, const struct state_rec *rec, const char *config_json, size_t len,
		      struct err *e)
{
	int r = io_replace_at(d->dfd, STATE_CONFIG_FILE, config_json, len, 0600);

	if (r < 0)
		return err_sys(e, r, "write %s of container \"%s\"", STATE_CONFIG_FILE, d->id);
	d->config_sum = num_sum64(NUM_SUM64_START, config_json, len);
	d->has_config_sum = true;
	return state_rec_write(d, rec, e);
}

/* Is the container in the way one whose creator died? */
static bool is_dead_creation(int root_dfd, const char *id)
{
	struct oci_arena a = { 0 };
	struct state_dir d;
	struct state_rec rec;
	struct err ignored;

	if (state_open(root_dfd, id, PROBE_GRACE_MS, &d, &ignored) < 0)
		return false;
	bool dead = state_rec_read(&d, &a, &rec, &ignored) == 0 && rec.stage == STAGE_CREATING;
	oci_arena_release(&a);
	state_close(&d);
	return dead;
}

static int publish(struct state_dir *d, bool *ret_stale, struct err *e)
{
	int r = state_rename_new(d->root_dfd, d->name, d->id);

	if (r == -EEXIST) {
		*ret_stale = is_dead_creation(d->root_dfd, d->id);
		err_set(e, ERR_STATE, 0, "container with id exists: %s", d->id);
		return r;
	}
	if (r < 0)
		return err_sys(e, r, "claim container id \"%s\"", d->id);
	snprintf(d->name, sizeof(d->name), "%s", d->id);
	return 0;
}

static int claim_dir(struct state_dir *d, struct err *e)
{
	for (int i = 0; i < CLAIM_TRIES; i++) {
		int r = make_claim(d);
		if (r < 0)
			return err_sys(e, r, "make the state directory of container \"%s\"", d->id);
		if (r > 0)
			return 0;
	}
	return err_set(e, ERR_STATE, EBUSY, "claim container id \"%s\": others took each directory away", d->id);
}

int state_claim(int root_dfd, const struct state_rec *rec, const char *config_json, size_t config_len,
		struct state_dir *ret, bool *ret_stale, struct err *e)
{
	struct err ignored;

	*ret = STATE_DIR_NONE;
	*ret_stale = false;
	int r = state_id_check(rec->id, e);
	if (r < 0)
		return r;
	r = state_remove_claims(root_dfd, rec->id, e);
	if (r < 0)
		return r;
	r = state_dir_init(ret, root_dfd, rec->id, "");
	if (r < 0)
		return err_sys(e, r, "open the state root");
	r = claim_dir(ret, e);
	if (r == 0) {
		r = fill_claim(ret, rec, config_json, config_len, e);
		if (r == 0)
			r = publish(ret, ret_stale, e);
		if (r < 0)
			state_remove_linked(ret, &ignored);
	}
	if (r < 0)
		state_close(ret);
	return r;
}

static int unknown(struct err *e, const char *id)
{
	/* No errno text: "no such file or directory" would tell engines that a program is missing. */
	err_set(e, ERR_STATE, 0, "container \"%s\" does not exist", id);
	return -ENOENT;
}

/* Open and lock, once: 1, 0 when the name was given to another directory meanwhile. */
static int open_once(struct state_dir *d, int lock_ms, struct err *e)
{
	char who[256];

	d->dfd = state_open_dir(d->root_dfd, d->name);
	if (d->dfd == -ENOENT)
		return unknown(e, d->id);
	if (d->dfd == -EPERM)
		return err_set(e, ERR_STATE, EPERM,
			       "state directory of container \"%s\" is not the caller's alone (owner, mode 0700)",
			       d->id);
	if (d->dfd < 0)
		return err_sys(e, d->dfd, "open the state directory of container \"%s\"", d->id);
	if (lock_ms < 0)
		return 1;
	d->lock_fd = lock_within(d->dfd, lock_ms);
	if (d->lock_fd == -EWOULDBLOCK) {
		err_set(e, ERR_STATE, 0, "container \"%s\" is locked by %s", d->id,
			state_lock_holder(d, who, sizeof(who)));
		return -EBUSY;
	}
	/* ENOENT: "." of a directory that was removed while we waited. */
	if (d->lock_fd < 0 && d->lock_fd != -ENOENT)
		return err_sys(e, d->lock_fd, "lock container \"%s\"", d->id);
	return d->lock_fd >= 0 && state_still_ours(d);
}

int state_open(int root_dfd, const char *id, int lock_ms, struct state_dir *ret, struct err *e)
{
	*ret = STATE_DIR_NONE;
	int r = state_id_check(id, e);
	if (r < 0)
		return r;
	r = state_dir_init(ret, root_dfd, id, id);
	if (r < 0)
		return err_sys(e, r, "open the state root");
	for (int i = 0; i < CLAIM_TRIES; i++) {
		r = open_once(ret, lock_ms, e);
		if (r > 0)
			return 0;
		if (r < 0)
			break;
		fd_close(&ret->lock_fd);
		fd_close(&ret->dfd);
	}
	state_close(ret);
	if (r < 0)
		return r;
	return err_set(e, ERR_STATE, EBUSY, "open container \"%s\": it was removed and made again each time", id);
}

int state_notify_open(const struct state_dir *d)
{
	int fd = openat(d->dfd, STATE_NOTIFY_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int state_notify_make(const struct state_dir *d)
{
	if (mkdirat(d->dfd, STATE_NOTIFY_DIR, 0755) < 0)
		return -errno;
	/* Whatever the umask is: the container's users, who aren't its owner, go through it. */
	if (fchmodat(d->dfd, STATE_NOTIFY_DIR, 0755, 0) < 0)
		return -errno;
	return state_notify_open(d);
}
