/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `check` share. Private to src/lib. */
#ifndef HULL_LIB_CHECK_H
#define HULL_LIB_CHECK_H

#include "lib/hull.h"
#include "plan/plan.h"

struct check {
	struct oci_arena *arena;
	const char *bundle;           /* resolved */
	const struct oci_config *cfg; /* valid */
	struct facts facts;
	const char *const *allow_annotations;
	struct hull_findings *found;
	bool no_memory;
};

/* One more finding, unless the same one is there already. */
void check_add(struct check *c, enum hull_level level, const char *path, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* printf into the arena; "" without memory. */
const char *check_text(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Paths, namespaces, file systems, devices of the network, cgroups: what the configuration names on this host. */
void check_host(struct check *c);
/* Ids, limits and numbers against what this host and this caller have. */
void check_limits(struct check *c);

#endif
