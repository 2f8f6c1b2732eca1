/* SPDX-License-Identifier: Apache-2.0 */
/* THE way into a rootfs: a path under a stranger's control goes in, a file descriptor comes out. Every look-up is
 * openat2(2) with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS: symbolic links, ".." and renames of a neighbour can
 * lead to another place inside, never outside (CVE-2021-30465 and the thirty others of its class). There is no
 * weaker way for kernels without openat2.
 *
 * All functions return an fd (CLOEXEC) or -errno: -ENOSYS when openat2 is missing or blocked, -EAGAIN when a
 * neighbour kept renaming during all of ROOTFS_RETRIES attempts, -ELOOP for a magic link on the way. `root` is
 * any directory fd; its mount may be attached or not. */
#ifndef HULL_SYS_ROOTFS_H
#define HULL_SYS_ROOTFS_H

#include <sys/types.h>

#include "base/util.h"
#include "hull/path.h"

#define ROOTFS_RETRIES 256
#define ROOTFS_NAME_MAX 256 /* one component with its NUL */

enum {
	ROOTFS_NO_SYMLINKS = 1 << 0, /* a symbolic link anywhere on the way is -ELOOP */
	ROOTFS_NOFOLLOW = 1 << 1,    /* the last component is taken as it is, a link as a link */
};

/* What is at `p`, as an O_PATH fd: nothing is opened for reading, whatever it is. */
int rootfs_open(int root, struct ctr_path p, unsigned flags);
/* The directory at `p`, O_PATH; it and missing ones on the way are made with `mode` (the caller's umask counts).
 * A dangling symbolic link is followed: its target is made, inside the root. *ret_made (may be NULL): something
 * was made. */
int rootfs_dir(int root, struct ctr_path p, unsigned flags, mode_t mode, bool *ret_made);
/* The file (of any type but a directory) at `p`, O_PATH, as a place to mount on; an empty regular file of `mode`
 * is made where nothing is, missing directories with `dir_mode`. A directory is -EISDIR. */
int rootfs_file(int root, struct ctr_path p, mode_t mode, mode_t dir_mode, bool *ret_made);
/* The directory in which the last component of `p` lies (made with `mode` where missing), and that component, for
 * mknodat and its like. "/", "." and ".." as last component are -EINVAL. */
int rootfs_parent(int root, struct ctr_path p, mode_t mode, char name[ROOTFS_NAME_MAX]);

#endif
