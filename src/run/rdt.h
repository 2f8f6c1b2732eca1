/* SPDX-License-Identifier: Apache-2.0 */
/* resctrl (kernel document arch/x86/resctrl): a directory is a class of service; who stands in its `tasks` shares its part of the cache and of the memory
 * bandwidth, children too. Directories of ours carry the record's token, and only those are removed. */
#ifndef HULL_RUN_RDT_H
#define HULL_RUN_RDT_H

#include <sys/types.h>

#include "plan/plan.h"

/* The root of the mounted resctrl: an fd, or an error that says that there is none. */
int rdt_open(struct err *e);
/* Make the group and the monitoring group of `r`, or compare what an existing one has with what is asked for; write the schemata. *ret_made: the group is
 * ours. On failure nothing stays. */
int rdt_prepare(int root_dfd, const struct plan_rdt *r, const char *token, bool *ret_made, struct err *e);
/* Put the process `pid` into it. */
int rdt_join(int root_dfd, const struct plan_rdt *r, pid_t pid, struct err *e);
/* Change an existing group: write the lines `schemata` and read them back. *ret_before (RDT_SCHEMATA_MAX bytes) is what was there, for rdt_put_back. A failure
 * changes nothing. */
#define RDT_SCHEMATA_MAX 16384
int rdt_update(int root_dfd, const struct plan_rdt *r, const char *token, const char *schemata, char *ret_before, struct err *e);
int rdt_put_back(int root_dfd, const struct plan_rdt *r, const char *before, struct err *e);
/* Remove the directory `path` where it carries the token. "Already gone" is success. */
int rdt_remove(int root_dfd, const char *path, const char *token, struct err *e);
/* Does every line of `asked` hold in `has` (a `schemata` file)? Blanks and leading zeros don't count, nor does what isn't asked for. */
bool rdt_schemata_hold(const char *asked, const char *has);

#endif
