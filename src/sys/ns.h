/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces as files of the host: opened by path, and who owns them. (ioctl_nsfs(2)) */
#ifndef HULL_SYS_NS_H
#define HULL_SYS_NS_H

#include <stdbool.h>

/* The namespace at the host path `path`. What else is there isn't opened for reading: a FIFO would block, a device may do something. Returns an fd, -ENOTTY
 * when it is no namespace, or another -errno. */
int ns_open(const char *path);
/* Are both the same namespace? */
bool ns_is_same(int a, int b);
/* Is the namespace `fd` owned by the user namespace `userns`, or by one below it? With all capabilities in `userns` one has them over `fd` then.
 * (user_namespaces(7), capabilities) */
bool ns_is_below(int fd, int userns);
/* Is the caller root of the system — the machine, or a container that is a system of its own, where it may write to /run — and not an ordinary user, nor root of
 * a user namespace that one has made (podman's)? State and systemd's manager are the system's then, and the environment isn't asked for the user's. */
bool ns_is_root_of_system(void);

#endif
