/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container.h"

#include <errno.h>

int hull_state(const struct hull *h, const char *id, struct oci_arena *a, struct oci_state **ret, struct err *e)
{
	struct container c;

	int r = container_open(h, id, -1, a, &c, e);
	if (r < 0)
		return r;
	*ret = container_state(&c, a);
	container_close(&c);
	return *ret ? 0 : err_sys(e, -ENOMEM, "state of container \"%s\"", id);
}
