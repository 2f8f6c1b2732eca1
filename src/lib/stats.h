/* SPDX-License-Identifier: Apache-2.0 */
/* What events and stats share. Private to src/lib. */
#ifndef HULL_LIB_STATS_H
#define HULL_LIB_STATS_H

#include "lib/container.h"

/* Open the container and its cgroup for reading figures. A stopped one is an error that says so, one without a cgroup another. The cgroup stays
 * open in `ret_cg`, the container in `ret`; on failure nothing is left open. `lay` must live as long as the cgroup. */
int stats_open(const struct hull *h, const char *id, struct oci_arena *a, struct container *ret, struct cg_layout *lay, struct cgroup *ret_cg,
	       struct err *e);
/* Read all that there is now. */
int stats_read(const struct container *c, const struct cgroup *cg, struct oci_arena *a, struct hull_stats *ret, struct err *e);
/* The lines of /proc/PID/net/dev, cut up in `text`. -EBADMSG when they can't be read. Pure. */
int stats_parse_net(char *text, struct oci_arena *a, struct hull_stats *ret);

#endif
