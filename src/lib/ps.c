/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a container, from its cgroup alone: no namespace of it is entered and no file of a
 * process is read. */
#include "lib/container.h"

#include <errno.h>

/* A container without a cgroup: all that is known of it is its init. */
static int init_alone(const struct container *c, struct oci_arena *a, pid_t **ret, size_t *ret_n)
{
	*ret_n = c->status != OCI_STATUS_STOPPED && c->rec.init.pid > 0;
	*ret = oci_arena_alloc(a, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)[0] = c->rec.init.pid;
	return 0;
}

int hull_ps(const struct hull *h, const char *id, struct oci_arena *a, pid_t **ret, size_t *ret_n, struct err *e)
{
	struct container c;
	struct cg_layout lay;
	struct cgroup cg;

	*ret = NULL;
	*ret_n = 0;
	int r = container_open(h, id, -1, a, &c, e);
	if (r < 0)
		return r;
	if (!state_rec_cgroup(&c.rec)) {
		r = init_alone(&c, a, ret, ret_n);
		if (r < 0)
			err_sys(e, r, "list processes of container \"%s\"", id);
	} else {
		r = container_cgroup(&c, &lay, &cg, e);
		if (r > 0) {
			r = cg_pids(&cg, a, ret, ret_n, e);
			cg_close(&cg);
		}
	}
	container_close(&c);
	return r < 0 ? r : 0;
}
