/* SPDX-License-Identifier: Apache-2.0 */
/* What the cgroup's own counters say about a failure in it: a limit is often the reason, and neither an errno nor a signal names it. */
#include <errno.h>
#include <stdio.h>

#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* The number in `file` of the controller's directory, INT64_MAX for "max", -1 when it can't be read. */
static int64_t read_number(const struct cgroup *cg, const char *controller, const char *file)
{
	int i = cg_layout_find(cg->lay, controller);
	char text[32];
	uint64_t v;

	if (i < 0 || cg->dfd[i] < 0 || io_read_at(cg->dfd[i], file, text, sizeof(text)) <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (streq(text, "max"))
		return INT64_MAX;
	return num_parse_u64(text, INT64_MAX, &v) == 0 ? (int64_t)v : -1;
}

/* How often something wanted more than the limit of memory. */
static int64_t memory_hits(const struct cgroup *cg)
{
	int i = cg_layout_find(cg->lay, "memory");

	if (i < 0 || cg->dfd[i] < 0)
		return -1;
	return cg->lay->h[i].v2 ? cg_read_key(cg->dfd[i], "memory.events", "max") : read_number(cg, "memory", "memory.failcnt");
}

/* In how many periods something had used up the quota of cpu before the end. */
static int64_t cpu_hits(const struct cgroup *cg)
{
	int i = cg_layout_find(cg->lay, "cpu");

	return i < 0 || cg->dfd[i] < 0 ? -1 : cg_read_key(cg->dfd[i], "cpu.stat", "nr_throttled");
}

void cg_hits_read(const struct cgroup *cg, struct cg_hits *ret)
{
	ret->oom_kills = cg_oom_kills(cg);
	ret->memory_hits = memory_hits(cg);
	ret->cpu_hits = cpu_hits(cg);
}

static const char *print_number(int64_t v, char *buf, size_t size)
{
	if (v < 0 || v == INT64_MAX)
		return v < 0 ? "unknown" : "max";
	snprintf(buf, size, "%lld", (long long)v);
	return buf;
}

/* Errors that a lack of memory brings about; 0: it died without a word. With the OOM killer off on v1 a copy to user memory fails, or nothing happens. E2BIG:
 * execve gets no page for its arguments (get_arg_page() in fs/exec.c). */
static bool may_be_memory(int code)
{
	return code == 0 || code == ENOMEM || code == EFAULT || code == EPIPE || code == ETIMEDOUT || code == E2BIG;
}

static bool blame_memory(const struct cgroup *cg, const struct cg_hits *before, int code, char *buf, size_t size)
{
	struct cg_hits now;
	char limit[NUM_U64_MAX_CHARS], peak[NUM_U64_MAX_CHARS];

	cg_hits_read(cg, &now);
	bool killed = now.oom_kills > before->oom_kills, hit = now.memory_hits > before->memory_hits;
	if (!killed && !(hit && may_be_memory(code)))
		return false;
	snprintf(buf, size, "; cgroup reports oom_kill %lld (memory limit %s, peak %s)", (long long)(now.oom_kills - before->oom_kills),
		 print_number(cg_memory_limit(cg), limit, sizeof(limit)), print_number(cg_memory_peak(cg), peak, sizeof(peak)));
	return true;
}

static bool blame_pids(const struct cgroup *cg, char *buf, size_t size)
{
	int64_t max = read_number(cg, "pids", "pids.max"), top = read_number(cg, "pids", "pids.peak");
	char limit[NUM_U64_MAX_CHARS], peak[NUM_U64_MAX_CHARS];

	/* pids.peak is there since Linux 6.1. */
	if (top < 0)
		top = read_number(cg, "pids", "pids.current");
	if (max < 0)
		return false;
	snprintf(buf, size, "; cgroup reports pids limit %s, peak %s", print_number(max, limit, sizeof(limit)), print_number(top, peak, sizeof(peak)));
	return true;
}

/* "QUOTA PERIOD", as v2 writes it. */
static void print_quota(const struct cgroup *cg, char *buf, size_t size)
{
	char quota[NUM_U64_MAX_CHARS], period[NUM_U64_MAX_CHARS];
	int i = cg_layout_find(cg->lay, "cpu");

	if (cg->lay->h[i].v2) {
		if (io_read_at(cg->dfd[i], "cpu.max", buf, size) <= 0)
			snprintf(buf, size, "unknown");
		buf[strcspn(buf, "\n")] = '\0';
		return;
	}
	snprintf(buf, size, "%s %s", print_number(read_number(cg, "cpu", "cpu.cfs_quota_us"), quota, sizeof(quota)),
		 print_number(read_number(cg, "cpu", "cpu.cfs_period_us"), period, sizeof(period)));
}

static bool blame_cpu(const struct cgroup *cg, const struct cg_hits *before, char *buf, size_t size)
{
	int64_t hits = cpu_hits(cg) - (before->cpu_hits > 0 ? before->cpu_hits : 0);
	char limit[64];

	if (hits <= 0)
		return false;
	print_quota(cg, limit, sizeof(limit));
	snprintf(buf, size, "; cgroup reports %lld periods without CPU time (cpu quota and period %s us)", (long long)hits, limit);
	return true;
}

bool cg_blame(const struct cgroup *cg, const struct cg_hits *before, int code, char *buf, size_t size)
{
	return blame_memory(cg, before, code, buf, size) || (code == EAGAIN && blame_pids(cg, buf, size)) ||
	       (code == ETIMEDOUT && blame_cpu(cg, before, buf, size));
}

bool cg_pids_full(const struct cgroup *cg, unsigned more)
{
	int64_t max = read_number(cg, "pids", "pids.max"), now = read_number(cg, "pids", "pids.current");

	return max >= 0 && now >= 0 && now > max - (int64_t)more;
}
