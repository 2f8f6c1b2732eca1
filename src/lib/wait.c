/* SPDX-License-Identifier: Apache-2.0 */
/* wait: sleep until a container has ended, and say how. Its parent is somebody else: see exit.c. */
#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "lib/container.h"
#include "ocispec/ocispec.h"

static int status_of(const struct oci_state_exit *x, const char *id, int *ret, struct err *e)
{
	if (!x)
		return err_sys(e, -ENOMEM, "wait for container \"%s\"", id);
	if (!x->code.set && !x->signal.set)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has ended, but how is not known: %s", id,
			       x->unknown ? x->unknown : "its parent took the exit status, and this kernel keeps it for nobody else (Linux 6.15 does)");
	*ret = x->code.set ? x->code.v : 128 + x->signal.v;
	return 0;
}

/* 0 when it has exited. */
static int sleep_until_end(const struct container *c, int pidfd, int64_t timeout_ms, struct err *e)
{
	int64_t end = clock_now_ms() + timeout_ms;
	int r = 0;

	while (r == 0) {
		int64_t left = timeout_ms < 0 ? INT32_MAX : end - clock_now_ms();
		r = proc_exited(pidfd, left > INT32_MAX ? INT32_MAX : (int)left);
		if (r == 0 && timeout_ms >= 0 && clock_now_ms() >= end) {
			err_set(e, ERR_STATE, 0, "container \"%s\" has not ended within %lld ms: it is %s", c->rec.id, (long long)timeout_ms,
				oci_status_word(state_status(&c->dir, &c->rec)));
			return -ETIMEDOUT;
		}
	}
	return r < 0 ? err_sys(e, r, "wait for process %d of container \"%s\"", (int)c->rec.init.pid, c->rec.id) : 0;
}

static int wait_for(const struct container *c, int pidfd, int64_t timeout_ms, struct oci_arena *a, int *ret_status, struct err *e)
{
	const char *path = state_rec_cgroup(&c->rec);
	struct cg_layout lay;
	struct cgroup cg;
	struct err ignored;

	/* Open before the end, for the OOM kills: a foreground run removes it at once. */
	bool has_cg = path && cg_layout_detect(&lay, &ignored) == 0 && cg_open(&lay, path, &cg, &ignored) >= 0;
	int r = sleep_until_end(c, pidfd, timeout_ms, e);
	if (r == 0)
		r = status_of(exit_see(c, pidfd, has_cg ? &cg : NULL, a), c->rec.id, ret_status, e);
	if (has_cg)
		cg_close(&cg);
	return r;
}

int hull_wait(const struct hull *h, const char *id, int64_t timeout_ms, int *ret_status, struct err *e)
{
	struct oci_arena a = { 0 };
	struct container c;

	int r = container_open(h, id, -1, &a, &c, e);
	if (r == 0) {
		scoped_fd int pidfd = c.status == OCI_STATUS_STOPPED ? -ESRCH : proc_id_open(&c.rec.init);
		if (c.status == OCI_STATUS_CREATING || c.rec.stage == STAGE_CREATING)
			r = err_set(e, ERR_STATE, 0, "container \"%s\" has never run: it is %s", id,
				    c.status == OCI_STATUS_CREATING ? "being created" : "left by a create that died");
		else if (pidfd >= 0)
			r = wait_for(&c, pidfd, timeout_ms, &a, ret_status, e);
		else if (pidfd == -ESRCH)
			r = status_of(exit_find(&c, &a), id, ret_status, e);
		else
			r = err_sys(e, pidfd, "open process %d of container \"%s\"", (int)c.rec.init.pid, id);
		container_close(&c);
	}
	oci_arena_release(&a);
	return r;
}
