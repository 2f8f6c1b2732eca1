/* SPDX-License-Identifier: Apache-2.0 */
/* The process that exec runs. */
#ifndef HULL_LIB_EXEC_H
#define HULL_LIB_EXEC_H

#include "cgroup/cgroup.h"
#include "lib/hull.h"

/* From --process, or from the container's own process with args and options over it; what a --process document leaves out of capabilities, rlimits
 * and noNewPrivileges is the container's. The result lives in `a`. */
int exec_process(const struct oci_config *cfg, const struct hull_exec_opts *o, struct oci_arena *a, struct oci_process **ret, struct err *e);
/* Put the sub-cgroups that `o` names, which must exist, into `cg`, the open cgroup of container `id`: by their controllers on v1, where more than one may be named; one
 * without controllers is that of every hierarchy. (runc-exec(8), --cgroup) Returns 0 or -errno with *e; `cg` stays the caller's to close. */
int exec_choose_cgroup(struct cgroup *cg, const struct hull_exec_opts *o, const char *id, struct oci_arena *a, struct err *e);

#endif
