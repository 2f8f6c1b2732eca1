/* SPDX-License-Identifier: Apache-2.0 */
/* What an update leaves out and yet needs: two properties that are one file, or one limit that is the sum of two. The
 * other half is what the kernel says it is now. And what engines mean by a zero. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"

#define MEMORY "linux.resources.memory."

/* Engines written in Go send a zero for what wasn't asked for, and runc and crun take it so. Other zeros have a meaning:
 * pids.limit, cpu.burst, cpu.idle. */
static void drop_zeros(struct oci_resources *r)
{
	struct oci_cpu *c = r->cpu;
	struct oci_memory *m = r->memory;

	if (c) {
		c->shares.set &= c->shares.v != 0;
		c->quota.set &= c->quota.v != 0;
		c->period.set &= c->period.v != 0;
		c->realtime_runtime.set &= c->realtime_runtime.v != 0;
		c->realtime_period.set &= c->realtime_period.v != 0;
	}
	if (m) {
		m->limit.set &= m->limit.v != 0;
		m->reservation.set &= m->reservation.v != 0;
		m->swap.set &= m->swap.v != 0;
		m->kernel.set &= m->kernel.v != 0;
		m->kernel_tcp.set &= m->kernel_tcp.v != 0;
	}
}

/* A number of the controller's hierarchy: its value, INT64_MAX for no limit, -1 when the file isn't there. */
static int64_t read_limit(const struct cgroup *cg, const char *controller, const char *v1_file, const char *v2_file)
{
	int i = cg_layout_find(cg->lay, controller);
	const char *file = i >= 0 && cg->lay->h[i].v2 ? v2_file : v1_file;
	char text[64];
	uint64_t v;

	if (i < 0 || cg->dfd[i] < 0 || io_read_at(cg->dfd[i], file, text, sizeof(text)) < 0)
		return -1;
	text[strcspn(text, " \n")] = '\0';
	if (streq(text, "max"))
		return INT64_MAX;
	/* v1 without a limit: the largest number of whole pages. */
	return num_parse_u64(text, INT64_MAX, &v) < 0 ? -1 : v > (uint64_t)INT64_MAX / 2 ? INT64_MAX : (int64_t)v;
}

static bool on_v2(const struct cgroup *cg, const char *controller)
{
	int i = cg_layout_find(cg->lay, controller);

	return i >= 0 && cg->lay->h[i].v2;
}

/* The sum of memory and swap, given alone, keeps the limit of memory; a limit that is lifted lifts the sum, as it can't
 * be less. */
static void complete_memory(const struct cgroup *cg, struct oci_memory *m)
{
	int64_t now = m->swap.set && m->swap.v > 0 && !m->limit.set
			      ? read_limit(cg, "memory", "memory.limit_in_bytes", "memory.max")
			      : -1;

	if (now > 0 && now < INT64_MAX)
		m->limit = (struct opt_i64){ .set = true, .v = now };
	if (m->limit.set && m->limit.v < 0 && !m->swap.set && !on_v2(cg, "memory") &&
	    read_limit(cg, "memory", "memory.memsw.limit_in_bytes", NULL) >= 0)
		m->swap = (struct opt_i64){ .set = true, .v = -1 };
}

/* On v2 quota and period are one file. A quota alone keeps the period, a period alone would lift the quota. */
static void complete_cpu(const struct cgroup *cg, struct oci_cpu *c)
{
	if (!c->period.set || c->quota.set || !on_v2(cg, "cpu"))
		return;
	int64_t quota = read_limit(cg, "cpu", NULL, "cpu.max");
	if (quota > 0 && quota < INT64_MAX)
		c->quota = (struct opt_i64){ .set = true, .v = quota };
}

/* config-linux.md, Memory: checkBeforeUpdate. Without it v2 makes room by the OOM killer. */
static int check_usage(const struct cgroup *cg, const struct oci_memory *m, struct err *e)
{
	if (!m->check_before_update.set || !m->check_before_update.v || !m->limit.set || m->limit.v < 0)
		return 0;
	int64_t usage = read_limit(cg, "memory", "memory.usage_in_bytes", "memory.current");
	if (usage > m->limit.v)
		return err_config(e, MEMORY "limit", "%lld — %lld bytes are in use (checkBeforeUpdate)",
				  (long long)m->limit.v, (long long)usage);
	int64_t sum = read_limit(cg, "memory", "memory.memsw.usage_in_bytes", "memory.swap.current");
	if (on_v2(cg, "memory") && sum >= 0)
		sum += usage;
	if (m->swap.set && m->swap.v >= 0 && sum > m->swap.v)
		return err_config(e, MEMORY "swap", "%lld — %lld bytes of memory and swap are in use (checkBeforeUpdate)",
				  (long long)m->swap.v, (long long)sum);
	return 0;
}

int cg_update_complete(const struct cgroup *cg, struct oci_resources *r, struct err *e)
{
	drop_zeros(r);
	if (r->cpu)
		complete_cpu(cg, r->cpu);
	if (!r->memory)
		return 0;
	complete_memory(cg, r->memory);
	return check_usage(cg, r->memory, e);
}

/* ---- reclaim ---- */

/* In steps, so that the time is bounded: one write of a large number runs until it has all of it. */
#define RECLAIM_STEP ((uint64_t)64 << 20)

int cg_reclaim(const struct cgroup *cg, const char *token, uint64_t bytes, int timeout_ms, uint64_t *ret, struct err *e)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	uint64_t asked = 0;
	int i = cg_layout_find(cg->lay, "memory");
	int64_t before, after;
	char text[NUM_U64_MAX_CHARS];
	int r = 0;

	*ret = 0;
	if (i < 0 || !cg->lay->h[i].v2)
		return err_set(e, ERR_UNSUPPORTED, 0, "memory can't be reclaimed: that needs the controller memory of cgroup v2%s",
			       i < 0 ? "" : ", on this host it is on v1");
	before = read_limit(cg, "memory", NULL, "memory.current");
	if (before < 0)
		return err_set(e, ERR_STATE, ENOENT, "read memory.current of cgroup %s", cg->path);
	if (cg_owner_of(cg, i, token) == CG_OWNER_OTHER)
		return err_set(e, ERR_STATE, EPERM, "reclaim memory of cgroup %s: it carries another container's token", cg->path);
	while (r == 0 && asked < bytes && clock_now_ms() < deadline) {
		uint64_t step = bytes - asked < RECLAIM_STEP ? bytes - asked : RECLAIM_STEP;

		r = io_write_once_at(cg->dfd[i], "memory.reclaim", text, num_print_u64(text, step));
		asked += step;
	}
	after = read_limit(cg, "memory", NULL, "memory.current");
	if (after >= 0 && after < before)
		*ret = (uint64_t)(before - after);
	/* EAGAIN: there was less to be had than that. How much, the caller says. */
	if (r == 0 || r == -EAGAIN)
		return 0;
	return err_sys(e, r, "write memory.reclaim = %s%s", text, r == -ENOENT ? " (needs Linux 5.19)" : "");
}
