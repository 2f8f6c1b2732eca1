/* SPDX-License-Identifier: Apache-2.0 */
/* The freezer: is it on, on with it, off with it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

static int v1_frozen(int dfd)
{
	char state[32];
	ssize_t n = io_read_at(dfd, "freezer.state", state, sizeof(state));

	if (n < 0)
		return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	/* FREEZING is on its way there. */
	return str_starts(state, "FR");
}

static int v2_frozen(int dfd)
{
	char asked[8];
	ssize_t n;

	/* By itself or by a cgroup above. */
	if (cg_read_key(dfd, "cgroup.events", "frozen") == 1)
		return 1;
	n = io_read_at(dfd, "cgroup.freeze", asked, sizeof(asked));
	if (n < 0)
		return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	return asked[0] == '1';
}

int cg_frozen(const struct cgroup *cg)
{
	int v2 = cg_layout_v2(cg->lay), v1 = cg_layout_find(cg->lay, "freezer");
	int r = v2 >= 0 && cg->dfd[v2] >= 0 ? v2_frozen(cg->dfd[v2]) : 0;

	if (r != 0 || v1 < 0 || cg->dfd[v1] < 0)
		return r;
	return v1_frozen(cg->dfd[v1]);
}

static int open_hier(const struct cg_hier *h, const char *path)
{
	char name[sizeof(CG_MOUNT) + CG_REL_MAX], rel[CG_REL_MAX];

	cg_rel_path(h, path, rel);
	snprintf(name, sizeof(name), CG_MOUNT "/%s", rel);
	return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int cg_path_frozen(const char *path)
{
	struct cg_layout lay;
	struct err ignored;
	int r = cg_layout_detect(&lay, &ignored), v1, v2;

	if (r < 0)
		return r;
	v2 = cg_layout_v2(&lay);
	v1 = cg_layout_find(&lay, "freezer");
	scoped_fd int v2_fd = v2 >= 0 ? open_hier(&lay.h[v2], path) : -1;
	scoped_fd int v1_fd = v1 >= 0 ? open_hier(&lay.h[v1], path) : -1;
	r = v2_fd >= 0 ? v2_frozen(v2_fd) : 0;
	return r == 0 && v1_fd >= 0 ? v1_frozen(v1_fd) : r;
}

int cg_v1_thaw(int dfd, void *arg UNUSED)
{
	if (v1_frozen(dfd) != 1)
		return 0;
	int r = io_write_once_at(dfd, "freezer.state", "THAWED", strlen("THAWED"));
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* ---- pause and resume ---- */

/* The file that switches each version's freezer. */
static const struct {
	const char *file, *on, *off;
} switches[] = {
	[false] = { "freezer.state", "FROZEN", "THAWED" },
	[true] = { "cgroup.freeze", "1", "0" },
};

static int flip(const struct cgroup *cg, int i, bool on)
{
	bool v2 = cg->lay->h[i].v2;
	const char *word = on ? switches[v2].on : switches[v2].off;

	return io_write_once_at(cg->dfd[i], switches[v2].file, word, strlen(word));
}

/* The hierarchy whose freezer pauses: on a hybrid host v1's, which everybody else there looks at. -1 for none. */
static int freezer_hier(const struct cgroup *cg)
{
	int v1 = cg_layout_find(cg->lay, "freezer"), v2 = cg_layout_v2(cg->lay);

	if (v1 >= 0 && cg->dfd[v1] >= 0)
		return v1;
	return v2 >= 0 && cg->dfd[v2] >= 0 ? v2 : -1;
}

static int check_owner(const struct cgroup *cg, int i, const char *token, const char *verb, struct err *e)
{
	if (cg_owner_of(cg, i, token) == CG_OWNER_US)
		return 0;
	return err_set(e, ERR_STATE, EPERM, "%s cgroup %s%s: it doesn't carry this container's token", verb,
		       cg->lay->h[i].dir, cg->path);
}

/* Have all processes stopped? 1, 0 or -errno. */
static int all_frozen(int dfd, bool v2)
{
	char state[32];
	ssize_t n;

	if (v2) {
		int64_t frozen = cg_read_key(dfd, "cgroup.events", "frozen");
		return frozen < 0 ? -ENODEV : (int)frozen;
	}
	/* Reading it makes the kernel look whether what was FREEZING is FROZEN now. */
	n = io_read_at(dfd, "freezer.state", state, sizeof(state));
	return n < 0 ? (int)n : str_starts(state, "FROZEN");
}

static int wait_frozen(const struct cgroup *cg, int i, int timeout_ms)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	bool v2 = cg->lay->h[i].v2;
	unsigned pause_ms = 1;
	char text[256];
	scoped_fd int events_fd = v2 ? openat(cg->dfd[i], "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	for (;;) {
		/* Reading at this descriptor arms its poll; the answer counts only when asked for after that. */
		if (events_fd >= 0 && pread(events_fd, text, sizeof(text), 0) < 0)
			return -errno;
		int r = all_frozen(cg->dfd[i], v2);
		if (r != 0)
			return r < 0 ? r : 0;
		int64_t now = clock_now_ms();
		if (now >= deadline)
			return -ETIMEDOUT;
		cg_wait_change(events_fd, deadline - now, &pause_ms);
		/* A process that v1's signal met while it couldn't stop is asked once more. */
		if (!v2 && (r = flip(cg, i, true)) < 0)
			return r;
	}
}

/* Where a frozen thread sleeps: v1 in __refrigerator, v2 in do_freezer_trap, which most compilers put into get_signal.
 * One without an address (it runs, or kallsyms are hidden) isn't known to be frozen. */
static bool sleeps_frozen(pid_t pid, const char *tid, char *ret_state)
{
	char path[64], text[512], *end;

	*ret_state = '?';
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid, tid);
	if (io_read_at(AT_FDCWD, path, text, sizeof(text)) < 0 || !(end = strrchr(text, ')')) || end[1] != ' ')
		return true;
	*ret_state = end[2];
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/wchan", (int)pid, tid);
	return io_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 &&
	       (streq(text, "__refrigerator") || streq(text, "do_freezer_trap") || streq(text, "get_signal"));
}

/* How likely it is that a thread in that state is what keeps the cgroup from freezing. Stopped and traced ones count as
 * frozen (v2; v1 since Linux 6.1). */
static int suspicion(char state)
{
	static const char order[] = "?ZXSITtRD";
	const char *at = strchr(order, state);

	return at ? (int)(at - order) : 0;
}

/* The thread of `pid` that looks least frozen, if it does so more than *best. */
static void look_at_threads(pid_t pid, int *best, pid_t *ret)
{
	char path[32], state;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	for (struct dirent *de = d ? readdir(d) : NULL; de; de = readdir(d)) {
		if (de->d_name[0] == '.' || sleeps_frozen(pid, de->d_name, &state) || suspicion(state) <= *best)
			continue;
		*best = suspicion(state);
		*ret = (pid_t)strtol(de->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
}

/* The thread that looks least frozen, if it does so more than one in state `than`; else 0. */
static pid_t find_awake(const struct cgroup *cg, int i, char than)
{
	struct oci_arena arena = { 0 };
	pid_t *pids, found = 0;
	int best = suspicion(than);
	size_t n;

	if (cg_pids_in(cg, i, &arena, &pids, &n) == 0)
		for (size_t k = 0; k < n; k++)
			look_at_threads(pids[k], &best, &found);
	oci_arena_release(&arena);
	return found;
}

int cg_freeze(const struct cgroup *cg, const char *token, int timeout_ms, struct err *e)
{
	int i = freezer_hier(cg), r;
	char who[256];

	if (i < 0)
		return err_set(e, ERR_STATE, ENOENT, "freeze cgroup %s: it is gone", cg->path);
	r = check_owner(cg, i, token, "freeze", e);
	if (r < 0)
		return r;
	r = flip(cg, i, true);
	if (r == 0)
		r = wait_frozen(cg, i, timeout_ms);
	if (r == 0)
		return 0;
	/* Before the thaw, which wakes it for a moment on v2. */
	pid_t awake = r == -ETIMEDOUT ? find_awake(cg, i, 'X') : 0;
	const char *name = awake ? cg_describe_pid(awake, who, sizeof(who)) : "a process";
	int thawed = flip(cg, i, false);
	/* v1 freezes some sleepers where they are (on Linux 7 those in wait4), in state D, too. Theirs is S again by now; a D that is left has kept the rest waiting. */
	pid_t blocked = r == -ETIMEDOUT ? find_awake(cg, i, 'R') : 0;
	if (blocked && blocked != awake)
		name = cg_describe_pid(blocked, who, sizeof(who));
	const char *rest = thawed < 0 && thawed != -ENOENT && thawed != -ENODEV ? "it could not be thawed again"
										: "all of it runs on";
	if (r != -ETIMEDOUT)
		return err_sys(e, r == -ENODEV ? -ENOENT : r, "freeze cgroup %s (%s)", cg->path, rest);
	err_set(e, ERR_STATE, 0, "freeze cgroup %s: %s did not stop within %d ms; %s", cg->path, name, timeout_ms, rest);
	return r;
}

/* v1 says THAWED and v2 "frozen 0" at once, unless somebody above is frozen. */
static int thaw_one(const struct cgroup *cg, int i, const char *token, struct err *e)
{
	bool v2 = cg->lay->h[i].v2;
	int r = v2 ? v2_frozen(cg->dfd[i]) : v1_frozen(cg->dfd[i]);

	if (r == 1)
		r = check_owner(cg, i, token, "thaw", e);
	else
		return r < 0 ? err_sys(e, r, "thaw cgroup %s", cg->path) : 0;
	if (r < 0)
		return r;
	r = flip(cg, i, false);
	if (r == 0)
		r = v2 ? v2_frozen(cg->dfd[i]) : v1_frozen(cg->dfd[i]);
	if (r == 1)
		return err_set(e, ERR_STATE, EBUSY, "thaw cgroup %s: a cgroup above it is frozen", cg->path);
	return r < 0 ? err_sys(e, r == -ENODEV ? -ENOENT : r, "thaw cgroup %s", cg->path) : 0;
}

int cg_thaw(const struct cgroup *cg, const char *token, struct err *e)
{
	int v1 = cg_layout_find(cg->lay, "freezer"), v2 = cg_layout_v2(cg->lay), r = 0;

	if (freezer_hier(cg) < 0)
		return err_set(e, ERR_STATE, ENOENT, "thaw cgroup %s: it is gone", cg->path);
	if (v2 >= 0 && cg->dfd[v2] >= 0)
		r = thaw_one(cg, v2, token, e);
	if (r == 0 && v1 >= 0 && cg->dfd[v1] >= 0)
		r = thaw_one(cg, v1, token, e);
	return r;
}
