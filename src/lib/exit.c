/* SPDX-License-Identifier: Apache-2.0 */
/* How a container ended. hull isn't there then, unless somebody runs it in the foreground or waits for it: whoever sees the end writes it into the
 * record; others look at what is left, and say so where that isn't enough (docs/state.md). */
#include "lib/container.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"

/* For the lock, when something has been seen that belongs into the record. */
#define NOTE_LOCK_MS 3000

static bool is_known(const struct oci_state_exit *x)
{
	return x && (x->code.set || x->signal.set);
}

void exit_count_oom(struct oci_state_exit *x, const struct cgroup *cg)
{
	int64_t n = cg ? cg_oom_kills(cg) : -1;

	if (n >= 0)
		x->oom_kills = (struct opt_u64){ true, (uint64_t)n };
}

static bool is_this_boot(const struct state_rec *rec)
{
	char boot[64];

	return rec->boot_id && state_boot_id(boot, sizeof(boot)) == 0 && streq(boot, rec->boot_id);
}

/* Its cgroup is there until it is deleted. */
static void count_oom_of(const struct state_rec *rec, struct oci_state_exit *x)
{
	const char *path = state_rec_cgroup(rec);
	struct cg_layout lay;
	struct cgroup cg;
	struct err ignored;

	if (!path || cg_layout_detect(&lay, &ignored) < 0 || cg_open(&lay, path, &cg, &ignored) < 0)
		return;
	exit_count_oom(x, &cg);
	cg_close(&cg);
}

struct oci_state_exit *exit_find(const struct container *c, struct oci_arena *a)
{
	struct oci_state_exit *x = oci_arena_alloc(a, sizeof(*x));
	bool this_boot = is_this_boot(&c->rec);
	scoped_fd int pidfd = -EBADF;

	if (!x)
		return NULL;
	if (c->rec.exit)
		*x = *c->rec.exit;
	pidfd = this_boot && !is_known(x) ? proc_id_open(&c->rec.init) : -ESRCH;
	if (pidfd >= 0)
		proc_exit_status(&c->rec.init, pidfd, x);
	if (this_boot && !x->oom_kills.set)
		count_oom_of(&c->rec, x);
	x->unknown = is_known(x) ? NULL : this_boot ? "nobody was watching when it ended" : "the host has been booted since";
	return x;
}

int exit_note(const struct state_dir *d, struct oci_state_exit *x, struct err *e)
{
	struct oci_arena a = { 0 };
	struct state_rec rec;
	struct state_dir own;

	int r = state_open(d->root_dfd, d->id, NOTE_LOCK_MS, &own, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (state_is_same(&own, d)) {
		r = state_rec_read(&own, &a, &rec, e);
		if (r == 0 && !is_known(rec.exit)) {
			rec.exit = x;
			r = state_rec_write(&own, &rec, e);
		}
	}
	state_close(&own);
	oci_arena_release(&a);
	return r;
}

struct oci_state_exit *exit_see(const struct container *c, int pidfd, const struct cgroup *cg, struct oci_arena *a)
{
	struct oci_state_exit *x = oci_arena_alloc(a, sizeof(*x));
	char text[ERR_RENDER_MAX];
	struct err e;

	if (!x)
		return NULL;
	x->finished = container_timestamp(a);
	/* First what will be gone in a moment. */
	exit_count_oom(x, cg);
	proc_exit_status(&c->rec.init, pidfd, x);
	if (exit_note(&c->dir, x, &e) < 0)
		log_warn("container %s: how it ended is not recorded: %s", c->rec.id, err_render(&e, text, sizeof(text)));
	return x;
}
