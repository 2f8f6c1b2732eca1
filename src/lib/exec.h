/* SPDX-License-Identifier: Apache-2.0 */
/* The process that exec runs. */
#ifndef HULL_LIB_EXEC_H
#define HULL_LIB_EXEC_H

#include "lib/hull.h"

/* From --process, or from the container's own process with args and options over it; what a --process document leaves out of capabilities, rlimits
 * and noNewPrivileges is the container's. The result lives in `a`. */
int exec_process(const struct oci_config *cfg, const struct hull_exec_opts *o, struct oci_arena *a, struct oci_process **ret, struct err *e);

#endif
