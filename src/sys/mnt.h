/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts by file descriptor (open_tree(2), move_mount(2), mount_setattr(2), fsopen(2)). Results are fds
 * (CLOEXEC), 0, or -errno. */
#ifndef HULL_SYS_MNT_H
#define HULL_SYS_MNT_H

#include "base/util.h"

enum {
	MNT_CLONE_RECURSIVE = 1 << 0,
	MNT_CLONE_NOFOLLOW = 1 << 1, /* a symbolic link as last component is cloned itself */
	MNT_CLONE_PEER = 1 << 2,     /* still shared: for volumes that are to send mounts to the host, and below which nothing is mounted */
};

/* A detached copy of the mount (with MNT_CLONE_RECURSIVE: the tree) at `path` below `dfd` ("": `dfd` itself), its
 * propagation cut in the same function: what is mounted on a copy that is still shared appears in the host's
 * table (tried). There is no other way to clone, and MNT_CLONE_PEER is for
 * what the configuration wants to appear there. */
int mnt_clone(int dfd, const char *path, unsigned flags);
/* Attach the detached mount `mnt_fd` at the place that `at_fd` names. */
int mnt_attach(int mnt_fd, int at_fd);
/* Change attributes (MOUNT_ATTR_…) and, when not 0, propagation (MS_SHARED …) of the mount whose root `fd` names. */
int mnt_set(int fd, bool recursive, uint64_t set, uint64_t clr, uint64_t prop);

/* Map the ids of the detached mount `fd` by the user namespace `userns_fd` (mount_setattr(2), ID-mapped mounts). Returns 0 or -errno, `why` (not NULL) then says which file
 * system on which kernel it was, and what is missing. */
int mnt_idmap(int fd, int userns_fd, bool recursive, char *why, size_t why_size);

struct mnt_option { const char *key, *value; }; /* value NULL: a flag */

/* A new superblock as a detached mount with `attr`. On failure `kernel` (may be NULL) has what the kernel says
 * about it. */
int mnt_new(const char *type, const struct mnt_option *opts, size_t n, uint64_t attr, char *kernel, size_t kernel_size);
/* Does what is mounted in a detached tree stay there for who has its root there, once the last descriptor of the tree is closed? 1, 0 or -errno. Tried on a
 * small tree of its own. Up to 6.18 the mounts stay connected (UMOUNT_CONNECTED in dissolve_on_fput()); on 7.3 they are gone and what they covered is bare. */
int mnt_tree_stays(void);
/* The pieces, for callers whose options are not in such a list. */
int mnt_new_option(int fs_fd, const char *key, const char *value);
int mnt_new_finish(int fs_fd, uint64_t attr);
/* The first error that the kernel left in the log of `fs_fd`; "" if none. */
void mnt_message(int fs_fd, char *buf, size_t size);

#endif
