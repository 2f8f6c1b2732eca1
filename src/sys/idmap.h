/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of user namespaces (user_namespaces(7)). */
#ifndef HULL_SYS_IDMAP_H
#define HULL_SYS_IDMAP_H

#include "sys/procfs.h"

/* Give the user namespace of process `pid` (a number of the pid namespace that `p` shows) its maps: each list in one write, as the kernel wants it. The caller needs
 * CAP_SETUID and CAP_SETGID in the parent user namespace. Returns 0 or -errno. */
int idmap_write(struct procfs *p, pid_t pid, const char *uid_map, const char *gid_map);
/* A user namespace with these maps in which nobody is: what mount_setattr(2) takes to map the ids of a mount. Returns its fd or -errno. */
int idmap_userns(struct procfs *p, const char *uid_map, const char *gid_map);

#endif
