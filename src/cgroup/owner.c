/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation of a container's cgroup to the container. (config-linux.md, Cgroup ownership; cgroup-v2.rst, Delegation Containment) */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"

#define DELEGATE_LIST "/sys/kernel/cgroup/delegate"
#define LIST_MAX 4096

/* For kernels before 4.15, which have no list. */
static const char by_name[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/* Files that are on the list but not in this cgroup belong to controllers that it doesn't have. */
static int give_file(int dfd, const char *name, uint32_t uid, struct err *e)
{
	if (strchr(name, '/'))
		return 0;
	if (fchownat(dfd, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, -errno, "give %s of the container's cgroup to uid %u", name, uid);
}

int cg_give(const struct cgroup *cg, uint32_t uid, struct err *e)
{
	char list[LIST_MAX], *save = NULL;
	int v2 = cg_layout_v2(cg->lay), dfd = v2 < 0 ? -1 : cg->dfd[v2], r = 0;

	if (dfd < 0)
		return 0;
	if (io_read_at(AT_FDCWD, DELEGATE_LIST, list, sizeof(list)) <= 0)
		memcpy(list, by_name, sizeof(by_name));
	if (fchownat(dfd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return err_sys(e, -errno, "give the container's cgroup to uid %u", uid);
	for (char *name = strtok_r(list, "\n", &save); name && r == 0; name = strtok_r(NULL, "\n", &save))
		r = give_file(dfd, name, uid, e);
	return r;
}
