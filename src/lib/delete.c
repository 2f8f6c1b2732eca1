/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container, and of what killed commands left of one. Every part of it can be repeated. */
#include "lib/container.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"
#include "lib/create.h"
#include "ocispec/ocispec.h"
#include "run/run.h"

/* For the lock of a container that isn't doing anything (list, state and other deletes are short). */
#define LOCK_MS 10000
/* With --force: after that the holder is taken for stuck. */
#define FORCE_LOCK_MS 3000
/* For the end of a container that is being killed. */
#define DYING_MS 1000
/* A signal that was sent just now may not show yet. */
#define SETTLE_MS 10

/* A directory whose delete was killed, or whose lock was broken: do again what may not have been done. */
static int finish_dead(void *arg, struct state_dir *d, struct err *e)
{
	const int *answer_ms = arg;
	struct oci_arena a = { 0 };
	struct state_rec rec;
	struct err why;

	/* ENOTSUP: another hull's record, which it alone can undo. Damaged or gone: undo what the token
	 * proves, if any. */
	int r = state_rec_read(d, &a, &rec, &why);
	if (r == 0 || r == -EBADMSG)
		r = undo_run(&rec, UNDO_TIMEOUT_MS, *answer_ms, e);
	else
		*e = why;
	if (r >= 0)
		r = state_remove(d, e);
	oci_arena_release(&a);
	return r;
}

static int sweep(int root_dfd, const char *id, bool force, int answer_ms, struct err *e)
{
	int r = state_remove_claims(root_dfd, id, e);

	return r < 0 ? r : state_each_dead(root_dfd, id, force, finish_dead, &answer_ms, e);
}

static int refuse(const char *id, enum oci_status status, struct err *e)
{
	err_set(e, ERR_STATE, 0, "container \"%s\" is not stopped: %s", id, oci_status_word(status));
	return -EBUSY;
}

/* Its status once a container that is being killed has had time to die. */
static enum oci_status settle(const struct container *c)
{
	scoped_fd int pidfd = -EBADF;

	if (c->status == OCI_STATUS_STOPPED || c->status == OCI_STATUS_CREATING)
		return c->status;
	pidfd = proc_id_open(&c->rec.init);
	if (pidfd < 0)
		return OCI_STATUS_STOPPED;
	if (proc_exited(pidfd, SETTLE_MS) == 1)
		return OCI_STATUS_STOPPED;
	if (!proc_is_dying(c->rec.init.pid))
		return c->status;
	return proc_exited(pidfd, DYING_MS - SETTLE_MS) == 1 ? OCI_STATUS_STOPPED : c->status;
}

static int delete_stopped(int root_dfd, const char *id, int answer_ms, struct oci_arena *a, struct err *e)
{
	struct container c;

	/* Without the lock first: who is refused must not wait for a start that is at work. */
	int r = container_open_at(root_dfd, id, -1, a, &c, e);
	if (r < 0)
		return r;
	enum oci_status status = settle(&c);
	container_close(&c);
	if (status != OCI_STATUS_STOPPED)
		return refuse(id, status, e);
	r = container_open_at(root_dfd, id, LOCK_MS, a, &c, e);
	if (r < 0)
		return r;
	r = c.status == OCI_STATUS_STOPPED ? container_destroy(&c.dir, &c.rec, answer_ms, e) : refuse(id, c.status, e);
	container_close(&c);
	return r;
}

/* state_open, but another container that has got the name `only` had is an unknown one. */
static int open_same(int root_dfd, const char *id, int lock_ms, const struct state_dir *only, struct state_dir *d, struct err *e)
{
	int r = only && !state_still_ours(only) ? -ENOENT : state_open(root_dfd, id, lock_ms, d, e);

	if (r < 0 || !only || state_is_same(d, only))
		return r;
	state_close(d);
	return -ENOENT;
}

/* Open it with the lock; where somebody sits on that, break it. */
static int open_by_force(int root_dfd, const char *id, const struct state_dir *only, struct state_dir *d, struct err *e)
{
	char who[256];

	int r = open_same(root_dfd, id, FORCE_LOCK_MS, only, d, e);
	if (r != -EBUSY)
		return r;
	r = open_same(root_dfd, id, -1, only, d, e);
	if (r < 0)
		return r;
	log_warn("container %s: its lock is broken, held for more than %d ms by %s", id, FORCE_LOCK_MS,
		 state_lock_holder(d, who, sizeof(who)));
	r = state_break(d, e);
	if (r < 0)
		state_close(d);
	return r;
}

static int delete_by_force(int root_dfd, const char *id, const struct state_dir *only, int answer_ms, struct oci_arena *a, struct err *e)
{
	char text[ERR_RENDER_MAX];
	struct state_dir d;
	struct state_rec rec;

	int r = open_by_force(root_dfd, id, only, &d, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = state_rec_read(&d, a, &rec, e);
	if (r == -EBADMSG) {
		log_warn("%s: only what carries its token is undone", err_render(e, text, sizeof(text)));
		r = undo_run(&rec, UNDO_TIMEOUT_MS, answer_ms, e);
		if (r >= 0)
			r = state_remove(&d, e);
	} else if (r >= 0) {
		r = container_destroy(&d, &rec, answer_ms, e);
	}
	state_close(&d);
	return r;
}

int hull_delete(const struct hull *h, const char *id, bool force, struct err *e)
{
	struct oci_arena a = { 0 };
	struct err ignored;
	int answer_ms = hull_timeout_ms(h);

	int r = state_id_check(id, e);
	if (r < 0)
		return r;
	scoped_fd int root_dfd = state_root_open(h->root, false, e);
	if (root_dfd == -ENOENT && force)
		return 0;
	if (root_dfd == -ENOENT)
		err_set(e, ERR_STATE, 0, "container \"%s\" does not exist", id);
	if (root_dfd < 0)
		return root_dfd;
	r = force ? delete_by_force(root_dfd, id, NULL, answer_ms, &a, e) : delete_stopped(root_dfd, id, answer_ms, &a, e);
	oci_arena_release(&a);
	/* What others left of this id goes too, whatever became of the container itself. */
	int swept = sweep(root_dfd, id, force, answer_ms, r < 0 ? &ignored : e);
	return r < 0 ? r : swept;
}

int container_delete_own(const struct state_dir *d, int answer_ms, struct err *e)
{
	struct oci_arena a = { 0 };
	struct err ignored;

	int r = delete_by_force(d->root_dfd, d->id, d, answer_ms, &a, e);
	oci_arena_release(&a);
	int swept = sweep(d->root_dfd, d->id, true, answer_ms, r < 0 ? &ignored : e);
	return r < 0 ? r : swept;
}
