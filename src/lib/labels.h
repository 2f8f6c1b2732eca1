/* SPDX-License-Identifier: Apache-2.0 */
/* SELinux labels of a configuration, as the host's policy knows them. */
#ifndef HULL_LIB_LABELS_H
#define HULL_LIB_LABELS_H

#include "plan/plan.h"

/* Bring the labels into the kernel's own form (a policy may have names for levels, mcstransd(8)) and ask the policy whether there are such contexts. Without SELinux on
 * the host nothing is done: the plan refuses a label then. */
int labels_of_config(const struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e);
int labels_of_process(const struct facts *f, struct oci_process *proc, const char *where, struct oci_arena *a, struct err *e);

#endif
