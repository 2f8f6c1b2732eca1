/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's world, put in order before anything is opened. */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/num.h"

/* A file opened where 0, 1 or 2 was closed would become a container's standard stream: fill the holes. */
static int open_standard_fds(struct err *e)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is this one: those below are open. */
		if (open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
			return err_sys(e, -errno, "open /dev/null as descriptor %d", fd);
	}
	return 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int note_fd(struct hull *h, size_t *room, int fd, struct oci_arena *a)
{
	if (h->n_inherited == *room) {
		size_t bigger = *room ? 2 * *room : 16;
		int *v = oci_arena_alloc(a, bigger * sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (h->n_inherited)
			memcpy(v, h->inherited, h->n_inherited * sizeof(*v));
		h->inherited = v;
		*room = bigger;
	}
	h->inherited[h->n_inherited++] = fd;
	return 0;
}

/* --preserve-fds may name only what the caller passed, never what we open ourselves under the same number. */
static int list_inherited(struct hull *h, struct oci_arena *a, struct err *e)
{
	DIR *d = opendir("/proc/self/fd");
	size_t room = 0;
	int r = 0;

	if (!d)
		return err_sys(e, -errno, "list the open descriptors in /proc/self/fd");
	for (struct dirent *ent = readdir(d); ent && r == 0; ent = readdir(d)) {
		uint64_t fd;
		if (num_parse_u64(ent->d_name, INT32_MAX, &fd) < 0 || fd <= 2 || (int)fd == dirfd(d))
			continue;
		r = note_fd(h, &room, (int)fd, a);
	}
	closedir(d);
	if (r < 0)
		return err_sys(e, r, "list the open descriptors");
	if (h->n_inherited)
		qsort(h->inherited, h->n_inherited, sizeof(*h->inherited), compare_int);
	return 0;
}

int world_enter(struct cli *c, struct err *e)
{
	if (getauxval(AT_SECURE))
		return err_set(e, ERR_USAGE, 0, "refuses to run set-user-ID, set-group-ID or with file capabilities");
	int r = open_standard_fds(e);
	if (r < 0)
		return r;
	r = list_inherited(&c->hull, &c->arena, e);
	if (r < 0)
		return r;
	const char *notify = getenv("NOTIFY_SOCKET");
	c->hull.notify_socket = notify && notify[0] ? notify : NULL;
	/* Before any child exists: its memory and descriptors are ours until it execs. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, -errno, "prctl PR_SET_DUMPABLE");
	/* A write to a closed pipe is an error like others; init gives the container the default back. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(e, -errno, "ignore SIGPIPE");
	return 0;
}

int world_listen_fds(unsigned *ret, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t v;

	*ret = 0;
	if (!pid || !fds || num_parse_u64(pid, INT32_MAX, &v) < 0 || (pid_t)v != getpid())
		return 0;
	if (num_parse_u64(fds, OPT_UINT_MAX, &v) < 0)
		return err_set(e, ERR_USAGE, 0, "LISTEN_FDS: \"%s\" is not a number from 0 to %d", fds, OPT_UINT_MAX);
	*ret = (unsigned)v;
	return 0;
}
