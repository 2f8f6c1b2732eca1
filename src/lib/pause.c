/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: the freezer of the container's own cgroup. Who is killed in between leaves a container that `state`
 * shows as paused and `resume` thaws: what is frozen is the kernel's to know, never the record's. */
#include "lib/container.h"

#include <errno.h>

#include "ocispec/ocispec.h"

/* Stopping takes as long as the longest uninterruptible sleep in there. */
#define PAUSE_TIMEOUT_MS 10000

/* Created or running: what runc and crun pause. */
static int check_pausable(const struct container *c, struct err *e)
{
	if (c->status == OCI_STATUS_CREATED || c->status == OCI_STATUS_RUNNING)
		return 0;
	if (c->status == OCI_STATUS_PAUSED)
		return err_set(e, ERR_STATE, 0, "cannot pause container \"%s\": it is paused already", c->dir.id);
	return err_set(e, ERR_STATE, 0, "container not running: cannot pause \"%s\", which is %s", c->dir.id,
		       oci_status_word(c->status));
}

static int check_paused(const struct container *c, struct err *e)
{
	if (c->status == OCI_STATUS_PAUSED)
		return 0;
	return err_set(e, ERR_STATE, 0, "cannot resume container \"%s\": it is not paused but %s", c->dir.id,
		       oci_status_word(c->status));
}

static int freeze(const struct container *c, const struct cgroup *cg, struct err *e)
{
	return cg_freeze(cg, c->rec.token, PAUSE_TIMEOUT_MS, e);
}

static int thaw(const struct container *c, const struct cgroup *cg, struct err *e)
{
	return cg_thaw(cg, c->rec.token, e);
}

static int with_cgroup(const struct container *c, int (*f)(const struct container *c, const struct cgroup *cg, struct err *e),
		       struct err *e)
{
	struct cg_layout lay;
	struct cgroup cg;

	int r = container_cgroup(c, &lay, &cg, e);
	if (r == 0)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has no cgroup, and so no freezer", c->dir.id);
	if (r < 0)
		return r;
	r = f(c, &cg, e);
	cg_close(&cg);
	return r;
}

/* With the lock: a container that is being started or updated is not paused half-way. */
static int change(const struct hull *h, const char *id, const char *verb, int (*check)(const struct container *c, struct err *e),
		  int (*f)(const struct container *c, const struct cgroup *cg, struct err *e), struct err *e)
{
	struct oci_arena a = { 0 };
	struct container c;

	int r = container_open(h, id, CONTAINER_LOCK_MS, &a, &c, e);
	if (r >= 0) {
		r = check(&c, e);
		if (r == 0)
			r = with_cgroup(&c, f, e);
		container_close(&c);
	}
	oci_arena_release(&a);
	return r < 0 && e->kind == ERR_SYS ? err_wrap(e, r, "%s %s", verb, id) : r;
}

int hull_pause(const struct hull *h, const char *id, struct err *e)
{
	return change(h, id, "pause", check_pausable, freeze, e);
}

int hull_resume(const struct hull *h, const char *id, struct err *e)
{
	return change(h, id, "resume", check_paused, thaw, e);
}
