/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sys.h"

_Thread_local const char *sys_failed_call = "";

/* struct statx (linux/stat.h) collides with what musl and glibc define themselves: only the field that we read
 * has a name here. */
struct statx_mount {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint8_t before_mnt_id[128];
	uint64_t mnt_id; /* byte 144 */
	uint8_t rest[104];
};
_Static_assert(offsetof(struct statx_mount, mnt_id) == 144 && sizeof(struct statx_mount) == 256,
	       "layout of struct statx");

static int statx_mount(int fd, unsigned mask, struct statx_mount *ret)
{
	return (int)sys_result("statx", syscall(SYS_statx, fd, "", AT_EMPTY_PATH | 0x800 /* AT_NO_AUTOMOUNT */, mask, ret));
}

int sys_is_mount_root(int fd)
{
	struct statx_mount x = { 0 };
	int r = statx_mount(fd, 0, &x);

	return r < 0 ? r : !!(x.attributes & 0x2000 /* STATX_ATTR_MOUNT_ROOT */);
}

int sys_mount_id(int fd, uint64_t *ret)
{
	struct statx_mount x = { 0 };
	/* A kernel before 6.8 ignores the second bit and gives the reusable id: still different for mounts that
	 * exist at the same time. */
	int r = statx_mount(fd, SYS_STATX_MNT_ID | SYS_STATX_MNT_ID_UNIQUE, &x);

	if (r < 0)
		return r;
	if (!(x.mask & (SYS_STATX_MNT_ID | SYS_STATX_MNT_ID_UNIQUE)))
		return -EOPNOTSUPP;
	*ret = x.mnt_id;
	return 0;
}
