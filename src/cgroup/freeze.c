/* SPDX-License-Identifier: Apache-2.0 */
/* The freezer: is it on, and off with it. */
#include <errno.h>

#include "base/io.h"
#include "cgroup/internal.h"

static int v1_frozen(int dfd)
{
	char state[32];
	ssize_t n = io_read_at(dfd, "freezer.state", state, sizeof(state));

	if (n < 0)
		return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	/* FREEZING is on its way there. */
	return str_starts(state, "FR");
}

static int v2_frozen(int dfd)
{
	char asked[8];
	ssize_t n;

	/* By itself or by a cgroup above. */
	if (cg_read_key(dfd, "cgroup.events", "frozen") == 1)
		return 1;
	n = io_read_at(dfd, "cgroup.freeze", asked, sizeof(asked));
	if (n < 0)
		return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	return asked[0] == '1';
}

int cg_frozen(const struct cgroup *cg)
{
	int v2 = cg_layout_v2(cg->lay), v1 = cg_layout_find(cg->lay, "freezer");
	int r = v2 >= 0 && cg->dfd[v2] >= 0 ? v2_frozen(cg->dfd[v2]) : 0;

	if (r != 0 || v1 < 0 || cg->dfd[v1] < 0)
		return r;
	return v1_frozen(cg->dfd[v1]);
}

int cg_v1_thaw(int dfd, void *arg UNUSED)
{
	if (v1_frozen(dfd) != 1)
		return 0;
	int r = io_write_once_at(dfd, "freezer.state", "THAWED", strlen("THAWED"));
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}
