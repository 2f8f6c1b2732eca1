/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives the child, undone by the record alone: a process that is who the record says, and a cgroup
 * that carries the record's token. Names prove nothing: whatever else sits at the same path or number is
 * left alone (security rule R17). */
#include "run/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cgroup/systemd.h"
#include "run/rdt.h"

struct undo_ctx {
	const struct state_rec *rec;
	struct cg_layout lay;
	bool has_lay;
	int64_t deadline;
	int answer_ms;
	int pidfd;
};

static int time_left(const struct undo_ctx *u)
{
	int64_t left = u->deadline - clock_now_ms();

	return left > 0 ? (int)left : 0;
}

/* A record of another boot lists nothing that is still there: pids and cgroups are gone, and their numbers
 * and names belong to others. */
static bool is_other_boot(const struct state_rec *rec)
{
	char boot[64];

	/* A damaged record comes without a boot id; its token is proof enough, cgroups don't survive a boot. */
	return rec->boot_id && state_boot_id(boot, sizeof(boot)) == 0 && !streq(boot, rec->boot_id);
}

static int kill_process(struct undo_ctx *u, struct err *e)
{
	u->pidfd = proc_id_open(&u->rec->init);
	if (u->pidfd == -ESRCH)
		return 0;
	if (u->pidfd < 0)
		return err_sys(e, u->pidfd, "open process %d of container \"%s\"", u->rec->init.pid, u->rec->id);
	int r = proc_kill(u->pidfd, SIGKILL);
	if (r == 0 || r == -ESRCH)
		return 0;
	return err_sys(e, r, "kill process %d of container \"%s\"", u->rec->init.pid, u->rec->id);
}

static int await_process(struct undo_ctx *u, struct err *e)
{
	char who[256];

	if (u->pidfd < 0)
		return 0;
	int r = proc_exited(u->pidfd, time_left(u));
	if (r == 1)
		return 0;
	if (r < 0)
		return err_sys(e, r, "wait for process %d of container \"%s\"", u->rec->init.pid, u->rec->id);
	err_set(e, ERR_STATE, 0, "container \"%s\": process %s did not end after SIGKILL", u->rec->id,
		proc_describe(u->rec->init.pid, who, sizeof(who)));
	return -ETIMEDOUT;
}

/* Can there be anything to undo at `path`? 1 with the layout filled, or 0: no token, or a path that hull
 * never writes (a damaged record). */
static int look_for_cgroup(struct undo_ctx *u, const char *path, struct err *e)
{
	char resolved[CG_PATH_MAX];
	struct err ignored;

	if (!u->rec->token[0])
		return 0;
	if (path[0] != '/' || cg_path_resolve(path, u->rec->id, resolved, &ignored) < 0 || !streq(path, resolved)) {
		log_warn("container %s: \"%s\" is no path of a cgroup: left alone", u->rec->id, path);
		return 0;
	}
	int r = u->has_lay ? 0 : cg_layout_detect(&u->lay, e);
	u->has_lay = r >= 0;
	return r < 0 ? r : 1;
}

static int kill_cgroup(struct undo_ctx *u, const char *path, struct err *e)
{
	struct cgroup cg;

	int r = look_for_cgroup(u, path, e);
	if (r <= 0)
		return r;
	r = cg_open(&u->lay, path, &cg, e);
	if (r < 0)
		return r;
	r = cg_kill(&cg, u->rec->token, SIGKILL, e);
	/* -EPERM: somebody else's, or one that was there before us. Removal makes the same check once more. */
	if (r == -EPERM) {
		log_debug("container %s: cgroup %s does not carry its token: nothing killed", u->rec->id, path);
		r = 0;
	} else if (r >= 0) {
		r = cg_wait_empty(&cg, time_left(u), e);
	}
	cg_close(&cg);
	return r < 0 ? r : 0;
}

static int remove_cgroup(struct undo_ctx *u, const char *path, struct err *e)
{
	int r = look_for_cgroup(u, path, e);
	if (r <= 0)
		return r;
	r = cg_remove(&u->lay, path, u->rec->token, time_left(u), e);
	if (r == -EPERM) {
		log_warn("container %s: cgroup %s does not carry its token: left alone", u->rec->id, path);
		return 0;
	}
	return r < 0 ? r : 0;
}

/* A group of resctrl that carries the token; where resctrl isn't mounted (any more) there is none. */
static int remove_rdt(struct undo_ctx *u, const char *path, struct err *e)
{
	struct err none;
	scoped_fd int root_dfd = rdt_open(&none);

	if (root_dfd < 0 || !u->rec->token[0] || path[0] == '/' || strstr(path, ".."))
		return 0;
	int r = rdt_remove(root_dfd, path, u->rec->token, e);
	if (r == -EPERM) {
		log_warn("container %s: resctrl group %s does not carry its token: left alone", u->rec->id, path);
		return 0;
	}
	return r;
}

/* Is the container's cgroup still there, and does it carry the token? Then the unit around it is ours, too. */
static bool scope_is_ours(struct undo_ctx *u)
{
	const char *path = state_rec_cgroup(u->rec);
	struct cgroup cg;
	struct err ignored;

	if (!path || look_for_cgroup(u, path, &ignored) <= 0 || cg_open(&u->lay, path, &cg, &ignored) < 0)
		return false;
	bool ours = cg_is_ours(&cg, u->rec->token);
	cg_close(&cg);
	return ours;
}

/* On v2 the kernel tells systemd by an event of the cgroup's own file that a scope is empty. Whoever removes the directory before that is read leaves a unit that is
 * active for ever, and no container can have its name again (seen with systemd 252). */
static void leave_watched(struct cg_layout *l)
{
	int v2 = cg_layout_v2(l);

	if (v2 < 0)
		return;
	l->n--;
	memmove(&l->h[v2], &l->h[v2 + 1], (l->n - (unsigned)v2) * sizeof(l->h[0]));
}

/* Everything in the scope is dead by now, and systemd forgets an empty one by itself. A systemd that doesn't answer is no reason to keep the rest: unit and cgroup
 * go when it wakes up. */
static int stop_scope(struct undo_ctx *u, const char *unit, bool user)
{
	struct cg_manager m = { .used = true, .user = user };
	int patience = u->answer_ms < time_left(u) / 2 ? u->answer_ms : time_left(u) / 2;
	char text[ERR_RENDER_MAX];
	struct err e;

	if (!scope_is_ours(u) || cg_scope_stop(&m, unit, patience, &e) >= 0)
		return 0;
	log_warn("container %s: its systemd unit stays, with an empty cgroup, until systemd looks at it again: %s", u->rec->id, err_render(&e, text, sizeof(text)));
	leave_watched(&u->lay);
	return 0;
}

static int kill_one(struct undo_ctx *u, const struct undo *what, struct err *e)
{
	switch ((enum undo_kind)what->kind) {
	case UNDO_PROCESS:
		return kill_process(u, e);
	case UNDO_CGROUP:
		return kill_cgroup(u, what->arg, e);
	default:
		return 0;
	}
}

static int remove_one(struct undo_ctx *u, const struct undo *what, struct err *e)
{
	switch ((enum undo_kind)what->kind) {
	case UNDO_PROCESS:
		return await_process(u, e);
	case UNDO_CGROUP:
		return remove_cgroup(u, what->arg, e);
	case UNDO_RDT:
		return remove_rdt(u, what->arg, e);
	case UNDO_SCOPE:
	case UNDO_USER_SCOPE:
		return stop_scope(u, what->arg, what->kind == UNDO_USER_SCOPE);
	default:
		return 0;
	}
}

/* First everything is killed, then the rest: a process in a frozen v1 cgroup dies only when cg_kill thaws it. */
static int undo_all(struct undo_ctx *u, struct err *e)
{
	const struct undo *v = u->rec->undo;
	int r = 0;

	for (size_t i = u->rec->n_undo; i-- > 0 && r >= 0;)
		r = kill_one(u, &v[i], e);
	for (size_t i = u->rec->n_undo; i-- > 0 && r >= 0;)
		r = remove_one(u, &v[i], e);
	return r < 0 ? r : 0;
}

int undo_run(const struct state_rec *rec, int timeout_ms, int answer_ms, struct err *e)
{
	struct undo_ctx u = { .rec = rec, .deadline = clock_now_ms() + timeout_ms, .answer_ms = answer_ms, .pidfd = -1 };

	if (is_other_boot(rec)) {
		log_debug("container %s is of another boot: nothing of it is left to undo", rec->id);
		return 0;
	}
	int r = undo_all(&u, e);
	fd_close(&u.pidfd);
	return r;
}
