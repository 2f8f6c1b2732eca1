/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory controller says about its limit: how often it killed, how much was used, how much was allowed. */
#include <errno.h>

#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* What v1 prints for "no limit": the largest multiple of the page size in a signed 64-bit number. Pages have up to 64 KiB. */
#define V1_NO_LIMIT (INT64_MAX - 65535)

/* The directory of the memory controller, or -1; *ret_v2 where there is one. */
static int memory_dfd(const struct cgroup *cg, bool *ret_v2)
{
	int i = cg_layout_find(cg->lay, "memory");

	if (i < 0)
		return -1;
	*ret_v2 = cg->lay->h[i].v2;
	return cg->dfd[i];
}

/* The one number in `file`, INT64_MAX for "max", -1 when it can't be read. */
static int64_t read_bytes(int dfd, const char *file)
{
	char text[32];
	uint64_t v;
	ssize_t n = io_read_at(dfd, file, text, sizeof(text));

	if (n <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (streq(text, "max"))
		return INT64_MAX;
	return num_parse_u64(text, INT64_MAX, &v) == 0 ? (int64_t)v : -1;
}

int64_t cg_oom_kills(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);

	return dfd < 0 ? -1 : cg_read_key(dfd, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
}

int64_t cg_memory_peak(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);

	return dfd < 0 ? -1 : read_bytes(dfd, v2 ? "memory.peak" : "memory.max_usage_in_bytes");
}

int64_t cg_memory_limit(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);
	int64_t limit = dfd < 0 ? -1 : read_bytes(dfd, v2 ? "memory.max" : "memory.limit_in_bytes");

	return limit >= V1_NO_LIMIT ? INT64_MAX : limit;
}
