/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd calls the values that are written to a container's cgroup: a table from files to properties. Made from the writes, so the two can't disagree,
 * and what `unified` says is included. Files without a row are unknown to systemd, which therefore leaves them alone. (systemd.resource-control(5)) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

struct prop_out {
	struct oci_arena *a;
	struct cg_props *props;
	const struct cg_write *w;
	bool failed;
};

int cg_props_add(struct cg_props *p, const struct cg_prop *prop, struct oci_arena *a)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct cg_prop *v = oci_arena_alloc(a, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *prop;
	return 0;
}

static void add_prop(struct prop_out *o, const char *name, const char *type, const char *value)
{
	struct cg_prop p = { .name = name, .type = type, .value = value, .origin = o->w->origin };

	o->failed |= !value || cg_props_add(o->props, &p, o->a) < 0;
}

static const char *number_or_infinity(struct prop_out *o, const char *text)
{
	return streq(text, "max") || text[0] == '-' ? "infinity" : oci_arena_strdup(o->a, text);
}

/* Microseconds of CPU per second. systemd keeps whole percents: rounded up, so that the files, which have the exact value, are never above it. */
static const char *per_second(struct prop_out *o, uint64_t quota, uint64_t period)
{
	uint64_t usec = (quota * 1000000 + period - 1) / period;

	return oci_arena_printf(o->a, "%llu", (unsigned long long)((usec + 9999) / 10000 * 10000));
}

/* "QUOTA PERIOD" */
static void from_cpu_max(struct prop_out *o, const char *name UNUSED)
{
	char quota[32], period[32] = "100000";
	uint64_t q, p;

	if (sscanf(o->w->value, "%31s %31s", quota, period) < 1 || num_parse_u64(period, UINT32_MAX, &p) < 0 || p == 0)
		return;
	if (streq(quota, "max"))
		add_prop(o, "CPUQuotaPerSecUSec", "t", "infinity");
	else if (num_parse_u64(quota, UINT64_MAX / 1000000, &q) == 0)
		add_prop(o, "CPUQuotaPerSecUSec", "t", per_second(o, q, p));
	add_prop(o, "CPUQuotaPeriodUSec", "t", oci_arena_printf(o->a, "%llu", (unsigned long long)p));
}

/* "default 100", "100", or "8:0 100". io.bfq.weight has another range than systemd's IOWeight, which is that of its alternative, io.weight. */
static void from_io_weight(struct prop_out *o, const char *name)
{
	const char *v = o->w->alt_value ? o->w->alt_value : o->w->value;
	unsigned major, minor, weight;

	if (str_starts(v, "default "))
		v += strlen("default ");
	if (sscanf(v, "%u:%u %u", &major, &minor, &weight) == 3)
		add_prop(o, streq(name, "IOWeight") ? "IODeviceWeight" : "BlockIODeviceWeight", "a(st)",
			 oci_arena_printf(o->a, "/dev/block/%u:%u %u", major, minor, weight));
	else
		add_prop(o, name, "t", oci_arena_strdup(o->a, v));
}

/* "8:0 rbps=1048576 wiops=max" */
static void from_io_max(struct prop_out *o, const char *name UNUSED)
{
	static const struct { const char *key, *prop; } limits[] = {
		{ "rbps=", "IOReadBandwidthMax" },
		{ "wbps=", "IOWriteBandwidthMax" },
		{ "riops=", "IOReadIOPSMax" },
		{ "wiops=", "IOWriteIOPSMax" },
	};
	unsigned major, minor;
	char *copy = oci_arena_strdup(o->a, o->w->value), *save = NULL;

	if (!copy || sscanf(copy, "%u:%u", &major, &minor) != 2)
		return;
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		for (size_t i = 0; i < ARRAY_LEN(limits); i++)
			if (str_starts(word, limits[i].key))
				add_prop(o, limits[i].prop, "a(st)", oci_arena_printf(o->a, "/dev/block/%u:%u %s", major, minor,
										     number_or_infinity(o, word + strlen(limits[i].key))));
}

/* v1: "8:0 1048576" */
static void from_throttle(struct prop_out *o, const char *name)
{
	unsigned major, minor;
	unsigned long long n;

	if (sscanf(o->w->value, "%u:%u %llu", &major, &minor, &n) == 3)
		add_prop(o, name, "a(st)", oci_arena_printf(o->a, "/dev/block/%u:%u %llu", major, minor, n));
}

static void from_limit(struct prop_out *o, const char *name)
{
	add_prop(o, name, "t", number_or_infinity(o, o->w->value));
}

/* systemd takes no 0. With 1 nothing more can be started either, and the file gets the 0 behind systemd. */
static void from_tasks(struct prop_out *o, const char *name)
{
	add_prop(o, name, "t", streq(o->w->value, "0") ? "1" : number_or_infinity(o, o->w->value));
}

static void from_list(struct prop_out *o, const char *name)
{
	add_prop(o, name, "ay", oci_arena_strdup(o->a, o->w->value));
}

static const struct {
	const char *file;
	void (*convert)(struct prop_out *o, const char *name);
	const char *name;
} rows[] = {
	/* v2 */
	{ "cpu.weight", from_limit, "CPUWeight" },
	{ "cpu.max", from_cpu_max, "CPUQuotaPerSecUSec" },
	{ "cpuset.cpus", from_list, "AllowedCPUs" },
	{ "cpuset.mems", from_list, "AllowedMemoryNodes" },
	{ "memory.max", from_limit, "MemoryMax" },
	{ "memory.high", from_limit, "MemoryHigh" },
	{ "memory.low", from_limit, "MemoryLow" },
	{ "memory.min", from_limit, "MemoryMin" },
	{ "memory.swap.max", from_limit, "MemorySwapMax" },
	{ "memory.zswap.max", from_limit, "MemoryZSwapMax" },
	{ "io.weight", from_io_weight, "IOWeight" },
	{ "io.bfq.weight", from_io_weight, "IOWeight" },
	{ "io.max", from_io_max, NULL },
	/* both */
	{ "pids.max", from_tasks, "TasksMax" },
	/* v1; the quota is made of two files, see add_v1_quota */
	{ "cpu.shares", from_limit, "CPUShares" },
	{ "memory.limit_in_bytes", from_limit, "MemoryLimit" },
	{ "blkio.weight", from_io_weight, "BlockIOWeight" },
	{ "blkio.bfq.weight", from_io_weight, "BlockIOWeight" },
	{ "blkio.throttle.read_bps_device", from_throttle, "BlockIOReadBandwidth" },
	{ "blkio.throttle.write_bps_device", from_throttle, "BlockIOWriteBandwidth" },
};

static const struct cg_write *find_write(const struct cg_writes *w, enum cg_when when, const char *file)
{
	for (size_t i = w->n; i-- > 0;)
		if (w->v[i].when == (uint8_t)when && streq(w->v[i].file, file))
			return &w->v[i];
	return NULL;
}

static void add_v1_quota(struct prop_out *o, const struct cg_writes *w, enum cg_when when)
{
	const struct cg_write *quota = find_write(w, when, "cpu.cfs_quota_us"), *period = find_write(w, when, "cpu.cfs_period_us");
	uint64_t q, p = 100000;

	if (!quota)
		return;
	o->w = quota;
	if (period && num_parse_u64(period->value, UINT32_MAX, &p) < 0)
		return;
	if (quota->value[0] == '-')
		add_prop(o, "CPUQuotaPerSecUSec", "t", "infinity");
	else if (p && num_parse_u64(quota->value, UINT64_MAX / 1000000, &q) == 0)
		add_prop(o, "CPUQuotaPerSecUSec", "t", per_second(o, q, p));
}

int cg_props_from_writes(const struct cg_writes *w, enum cg_when when, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	struct prop_out o = { .a = a, .props = ret };

	for (size_t i = 0; i < w->n; i++) {
		o.w = &w->v[i];
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			if (o.w->when == (uint8_t)when && streq(rows[k].file, o.w->file))
				rows[k].convert(&o, rows[k].name);
	}
	add_v1_quota(&o, w, when);
	return o.failed ? err_sys(e, -ENOMEM, "convert linux.resources into properties of systemd") : 0;
}
