/* SPDX-License-Identifier: Apache-2.0 */
/* Two kinds of path that must never be mixed up. A leaf: everyone may include it. */
#ifndef HULL_PATH_H
#define HULL_PATH_H

/* A path in the host's tree. Only src/sys/hostfs.c opens it. */
struct host_path { const char *s; };

/* A path inside the container, under the control of whoever made the image. Only src/sys/rootfs.c resolves it,
 * and what comes back is an fd. */
struct ctr_path { const char *s; };

#endif
