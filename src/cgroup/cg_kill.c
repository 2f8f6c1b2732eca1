/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to everything in a container's cgroup, and waiting until it is empty. Only in a cgroup that carries the
 * container's token: a name proves nothing (security rule R17). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

/* Processes handled at once: each takes a descriptor. */
#define CHUNK 64
/* How often a cgroup whose processes multiply is gone through, a millisecond apart. */
#define KILL_ROUNDS 500

struct pid_list {
	struct oci_arena *a;
	pid_t *v;
	size_t n, cap;
};

static int add_pid(struct pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *v = oci_arena_alloc(l->a, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = pid;
	return 0;
}

static int read_procs(int dfd, void *arg)
{
	int fd = openat(dfd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	char line[32];
	int r = 0;

	if (!f) {
		fd_close_scoped(&fd);
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	}
	while (r == 0 && fgets(line, sizeof(line), f)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		/* 0 is a process outside of our pid namespace: there is no name for it here. */
		if (pid > 0)
			r = add_pid(arg, pid);
	}
	/* EOPNOTSUPP is a threaded cgroup, whose processes the domain above lists; ENODEV one that is gone. */
	if (r == 0 && ferror(f) && errno != EOPNOTSUPP && errno != ENODEV)
		r = -errno;
	fclose(f);
	return r;
}

static int compare_pids(const void *x, const void *y)
{
	pid_t a = *(const pid_t *)x, b = *(const pid_t *)y;

	return (a > b) - (a < b);
}

static int list_pids(int dfd, struct pid_list *l)
{
	size_t n = 0;
	int r;

	l->n = 0;
	r = cg_walk(dfd, read_procs, l);
	if (r < 0 || l->n == 0)
		return r;
	qsort(l->v, l->n, sizeof(*l->v), compare_pids);
	/* A process that moves meanwhile is seen twice. */
	for (size_t i = 0; i < l->n; i++)
		if (n == 0 || l->v[n - 1] != l->v[i])
			l->v[n++] = l->v[i];
	l->n = n;
	return 0;
}

static bool has_pid(const struct pid_list *l, pid_t pid)
{
	return l->n && bsearch(&pid, l->v, l->n, sizeof(pid), compare_pids);
}

int cg_pids_in(const struct cgroup *cg, int i, struct oci_arena *a, pid_t **ret, size_t *ret_n)
{
	struct pid_list l = { .a = a };
	int r = i < 0 ? 0 : list_pids(cg->dfd[i], &l);

	*ret = l.v;
	*ret_n = l.n;
	return r;
}

int cg_pids(const struct cgroup *cg, struct oci_arena *a, pid_t **ret, size_t *ret_n, struct err *e)
{
	int r = cg_pids_in(cg, cg_main_hier(cg), a, ret, ret_n);

	return r < 0 ? err_sys(e, r, "list the processes of cgroup %s", cg->path) : 0;
}

/* Signal up to CHUNK processes. A pid may pass to a stranger between reading and signalling: so each is pinned by a
 * pidfd first, and signalled only if the cgroup still lists it afterwards, which the stranger's wouldn't be. */
static int signal_chunk(int dfd, const pid_t *pids, size_t n, int sig, struct pid_list *again)
{
	int fds[CHUNK], r;

	for (size_t i = 0; i < n; i++)
		fds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
	r = list_pids(dfd, again);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		if (r == 0 && has_pid(again, pids[i]) && syscall(SYS_pidfd_send_signal, fds[i], sig, NULL, 0) < 0 &&
		    errno != ESRCH)
			r = -errno;
		close(fds[i]);
	}
	return r;
}

static int signal_list(int dfd, const struct pid_list *l, int sig)
{
	struct pid_list again = { .a = l->a };
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i += CHUNK)
		r = signal_chunk(dfd, l->v + i, l->n - i < CHUNK ? l->n - i : CHUNK, sig, &again);
	return r;
}

enum cg_owner cg_owner_of(const struct cgroup *cg, int i, const char *token)
{
	scoped_fd int fd = openat(cg->dfd[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? CG_OWNER_UNKNOWN : cg_token_owner(fd, token);
}

/* The v1 hierarchy that has `controller` if its directory is the container's, else -1. */
static int our_v1(const struct cgroup *cg, const char *controller, const char *token)
{
	int i = cg_layout_find(cg->lay, controller);

	if (i < 0 || cg->lay->h[i].v2 || cg->dfd[i] < 0)
		return -1;
	return cg_owner_of(cg, i, token) == CG_OWNER_US ? i : -1;
}

/* Nothing frozen by v1 ends before it is thawed. The signal is pending by then, so it doesn't run on. */
static int thaw_v1(const struct cgroup *cg, const char *token)
{
	int i = our_v1(cg, "freezer", token);

	return i < 0 ? 0 : cg_walk(cg->dfd[i], cg_v1_thaw, NULL);
}

/* Without cgroup.kill: rounds until one sees nobody who hasn't been signalled. pids.max 0 keeps processes from
 * multiplying meanwhile. */
static int kill_rounds(const struct cgroup *cg, int dfd, const char *token, struct oci_arena *a)
{
	struct pid_list lists[2] = { { .a = a }, { .a = a } };
	int pids = our_v1(cg, "pids", token);

	if (pids >= 0)
		io_write_once_at(cg->dfd[pids], "pids.max", "0", 1);
	for (unsigned round = 0; round < KILL_ROUNDS; round++) {
		struct pid_list *now = &lists[round % 2], *before = &lists[(round + 1) % 2];
		bool fresh = false;
		int r = list_pids(dfd, now);

		for (size_t i = 0; i < now->n && !fresh; i++)
			fresh = !has_pid(before, now->v[i]);
		if (r < 0 || (!fresh && round > 0))
			return r;
		r = signal_list(dfd, now, SIGKILL);
		if (r == 0)
			r = thaw_v1(cg, token);
		if (r < 0 || now->n == 0)
			return r;
		cg_sleep_ms(1);
	}
	return -EAGAIN;
}

static int kill_all(const struct cgroup *cg, int i, const char *token, struct oci_arena *a)
{
	int r = cg->lay->h[i].v2 ? io_write_once_at(cg->dfd[i], "cgroup.kill", "1", 1) : -ENOENT;

	if (r == 0)
		return thaw_v1(cg, token);
	/* EOPNOTSUPP: the container made its cgroup a threaded one. */
	return r == -ENOENT || r == -EOPNOTSUPP ? kill_rounds(cg, cg->dfd[i], token, a) : r;
}

bool cg_is_ours(const struct cgroup *cg, const char *token)
{
	int i = cg_main_hier(cg);

	return i >= 0 && cg_owner_of(cg, i, token) == CG_OWNER_US;
}

/* What is killed has to end by itself, in the kernel, and before Linux 6.18 a throttled process doesn't get on there either: with 1 ms a second that can take
 * minutes (seen with 6.1). Nobody is left who could use the time. */
static void lift_quota(const struct cgroup *cg, const char *token)
{
	int i = cg_layout_find(cg->lay, "cpu");

	if (i < 0 || cg->dfd[i] < 0 || cg_owner_of(cg, i, token) != CG_OWNER_US)
		return;
	if (cg->lay->h[i].v2)
		io_write_once_at(cg->dfd[i], "cpu.max", "max", strlen("max"));
	else
		io_write_once_at(cg->dfd[i], "cpu.cfs_quota_us", "-1", strlen("-1"));
}

int cg_kill(const struct cgroup *cg, const char *token, int sig, struct err *e)
{
	struct oci_arena arena = { 0 };
	struct pid_list l = { .a = &arena };
	int i = cg_main_hier(cg), r;

	if (i < 0)
		return 0;
	if (cg_owner_of(cg, i, token) != CG_OWNER_US)
		return err_set(e, ERR_STATE, EPERM,
			       "signal the processes of cgroup %s%s: it doesn't carry this container's token",
			       cg->lay->h[i].dir, cg->path);
	if (sig == SIGKILL) {
		lift_quota(cg, token);
		r = kill_all(cg, i, token, &arena);
	} else {
		r = list_pids(cg->dfd[i], &l);
		if (r == 0)
			r = signal_list(cg->dfd[i], &l, sig);
	}
	oci_arena_release(&arena);
	/* It went away meanwhile: nobody is left. */
	if (r == -ENODEV)
		return 0;
	return r < 0 ? err_sys(e, r, "send signal %d to the processes of cgroup %s", sig, cg->path) : 0;
}

/* Is anybody in the cgroup or below? 1, 0 or -errno; *ret is one of them. */
static int populated(const struct cgroup *cg, int i, pid_t *ret)
{
	struct oci_arena arena = { 0 };
	struct pid_list l = { .a = &arena };
	int r = 0;

	*ret = 0;
	if (cg->lay->h[i].v2) {
		int64_t p = cg_read_key(cg->dfd[i], "cgroup.events", "populated");
		if (p == 0 || p == -1)
			return 0;
	}
	r = list_pids(cg->dfd[i], &l);
	if (r == 0 && l.n)
		*ret = l.v[0];
	r = r < 0 ? r : cg->lay->h[i].v2 || l.n > 0;
	oci_arena_release(&arena);
	return r == -ENODEV ? 0 : r;
}

void cg_wait_change(int events_fd, int64_t left_ms, unsigned *pause_ms)
{
	struct pollfd p = { .fd = events_fd, .events = POLLPRI };

	if (events_fd >= 0) {
		poll(&p, 1, left_ms < 1000 ? (int)left_ms : 1000);
		return;
	}
	cg_sleep_ms(*pause_ms < left_ms ? *pause_ms : (unsigned)left_ms);
	*pause_ms = *pause_ms < 16 ? *pause_ms * 2 : *pause_ms;
}

int cg_wait_empty(const struct cgroup *cg, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ms() + (timeout_ms > 0 ? timeout_ms : 0);
	int i = cg_main_hier(cg), r;
	unsigned pause_ms = 1;
	char who[256], text[256];
	pid_t pid;

	if (i < 0)
		return 0;
	scoped_fd int events_fd =
		cg->lay->h[i].v2 ? openat(cg->dfd[i], "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	for (;;) {
		/* Reading at this descriptor arms its poll; the answer counts only when asked for after that. */
		if (events_fd >= 0 && pread(events_fd, text, sizeof(text), 0) < 0)
			return errno == ENODEV ? 0 : err_sys(e, -errno, "read cgroup.events of cgroup %s", cg->path);
		r = populated(cg, i, &pid);
		if (r < 0)
			return err_sys(e, r, "list the processes of cgroup %s", cg->path);
		if (r == 0)
			return 0;
		int64_t now = clock_now_ms();
		if (now >= deadline)
			break;
		cg_wait_change(events_fd, deadline - now, &pause_ms);
	}
	return err_sys(e, -ETIMEDOUT, "wait until cgroup %s is empty: %s is still in it", cg->path,
		       pid ? cg_describe_pid(pid, who, sizeof(who)) : "a process");
}
