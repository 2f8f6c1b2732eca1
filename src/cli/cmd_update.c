/* SPDX-License-Identifier: Apache-2.0 */
/* update: each option is one property of linux.resources, or a file of cgroup v2 by its own name. */
#include "cli/cli.h"

#include <errno.h>

#include "base/num.h"
#include "cli/out.h"

struct update_args {
	const char *resources, *reclaim;
	const char *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_shares, *cpu_rt_period, *cpu_rt_runtime, *cpu_idle;
	const char *cpuset_cpus, *cpuset_mems, *kernel_memory, *kernel_memory_tcp, *memory, *memory_reservation, *memory_swap;
	const char *pids_limit, *memory_high, *memory_low, *cpu_weight, *io_weight;
	const char *l3_cache_schema, *mem_bw_schema;
};

#define UPDATE_STR(m, name, arg, help) O_STR(struct update_args, m, name, 0, arg, help)

static const struct opt update_opts[] = {
	O_STR(struct update_args, resources, "resources", 'r', "FILE", "linux.resources as a JSON document; - is standard input"),
	UPDATE_STR(blkio_weight, "blkio-weight", "N", "weight of block I/O, 10 to 1000"),
	UPDATE_STR(cpu_period, "cpu-period", "US", "period of the CPU quota, in microseconds"),
	UPDATE_STR(cpu_quota, "cpu-quota", "US", "CPU time in each period, in microseconds; -1: no limit"),
	UPDATE_STR(cpu_burst, "cpu-burst", "US", "CPU time that may be saved up, in microseconds"),
	UPDATE_STR(cpu_shares, "cpu-share", "N", "CPU shares (relative weight)"),
	UPDATE_STR(cpu_shares, "cpu-shares", "N", "the same"),
	UPDATE_STR(cpu_rt_period, "cpu-rt-period", "US", "period of the realtime budget, in microseconds"),
	UPDATE_STR(cpu_rt_runtime, "cpu-rt-runtime", "US", "realtime budget in each period, in microseconds"),
	UPDATE_STR(cpu_idle, "cpu-idle", "N", "1: run only when nobody else wants the CPU"),
	UPDATE_STR(cpuset_cpus, "cpuset-cpus", "LIST", "CPUs to use"),
	UPDATE_STR(cpuset_mems, "cpuset-mems", "LIST", "memory nodes to use"),
	UPDATE_STR(kernel_memory, "kernel-memory", "SIZE", "limit of kernel memory (cgroup v1, before Linux 5.16)"),
	UPDATE_STR(kernel_memory_tcp, "kernel-memory-tcp", "SIZE", "limit of TCP buffers (cgroup v1)"),
	UPDATE_STR(memory, "memory", "SIZE", "limit of memory; -1: none"),
	UPDATE_STR(memory_reservation, "memory-reservation", "SIZE", "memory that is reclaimed last"),
	UPDATE_STR(memory_swap, "memory-swap", "SIZE", "limit of memory and swap together; -1: none"),
	UPDATE_STR(pids_limit, "pids-limit", "N", "limit of processes; -1: none"),
	UPDATE_STR(memory_high, "memory-high", "SIZE", "memory.high of cgroup v2"),
	UPDATE_STR(memory_low, "memory-low", "SIZE", "memory.low of cgroup v2"),
	UPDATE_STR(cpu_weight, "cpu-weight", "N", "cpu.weight of cgroup v2, 1 to 10000"),
	UPDATE_STR(io_weight, "io-weight", "N", "io.weight of cgroup v2, 1 to 10000"),
	UPDATE_STR(reclaim, "reclaim", "SIZE", "reclaim that much memory now (cgroup v2) and print how much it was"),
	UPDATE_STR(l3_cache_schema, "l3-cache-schema", "LINE", "schema of the container's resctrl group for the L3 cache (L3:0=ff)"),
	UPDATE_STR(mem_bw_schema, "mem-bw-schema", "LINE", "the same for memory bandwidth (MB:0=70)"),
};

/* The member of a resources object that an option sets. */
enum set_kind { SET_SIZE, SET_I64, SET_U64, SET_U32, SET_TEXT, SET_UNIFIED_SIZE, SET_UNIFIED_NUMBER };
enum set_group { IN_CPU, IN_MEMORY, IN_PIDS, IN_BLOCK_IO, IN_UNIFIED };

static const struct setting {
	uint16_t option; /* in struct update_args */
	const char *name;
	enum set_kind kind;
	enum set_group group;
	uint16_t member;
	const char *file; /* unified */
} settings[] = {
#define AT(m) (uint16_t) offsetof(struct update_args, m)
#define IN(T, m) (uint16_t) offsetof(T, m)
	{ AT(blkio_weight), "blkio-weight", SET_U32, IN_BLOCK_IO, IN(struct oci_block_io, weight), NULL },
	{ AT(cpu_period), "cpu-period", SET_U64, IN_CPU, IN(struct oci_cpu, period), NULL },
	{ AT(cpu_quota), "cpu-quota", SET_I64, IN_CPU, IN(struct oci_cpu, quota), NULL },
	{ AT(cpu_burst), "cpu-burst", SET_U64, IN_CPU, IN(struct oci_cpu, burst), NULL },
	{ AT(cpu_shares), "cpu-share", SET_U64, IN_CPU, IN(struct oci_cpu, shares), NULL },
	{ AT(cpu_rt_period), "cpu-rt-period", SET_U64, IN_CPU, IN(struct oci_cpu, realtime_period), NULL },
	{ AT(cpu_rt_runtime), "cpu-rt-runtime", SET_I64, IN_CPU, IN(struct oci_cpu, realtime_runtime), NULL },
	{ AT(cpu_idle), "cpu-idle", SET_I64, IN_CPU, IN(struct oci_cpu, idle), NULL },
	{ AT(cpuset_cpus), "cpuset-cpus", SET_TEXT, IN_CPU, IN(struct oci_cpu, cpus), NULL },
	{ AT(cpuset_mems), "cpuset-mems", SET_TEXT, IN_CPU, IN(struct oci_cpu, mems), NULL },
	{ AT(kernel_memory), "kernel-memory", SET_SIZE, IN_MEMORY, IN(struct oci_memory, kernel), NULL },
	{ AT(kernel_memory_tcp), "kernel-memory-tcp", SET_SIZE, IN_MEMORY, IN(struct oci_memory, kernel_tcp), NULL },
	{ AT(memory), "memory", SET_SIZE, IN_MEMORY, IN(struct oci_memory, limit), NULL },
	{ AT(memory_reservation), "memory-reservation", SET_SIZE, IN_MEMORY, IN(struct oci_memory, reservation), NULL },
	{ AT(memory_swap), "memory-swap", SET_SIZE, IN_MEMORY, IN(struct oci_memory, swap), NULL },
	{ AT(pids_limit), "pids-limit", SET_I64, IN_PIDS, IN(struct oci_pids, limit), NULL },
	{ AT(memory_high), "memory-high", SET_UNIFIED_SIZE, IN_UNIFIED, 0, "memory.high" },
	{ AT(memory_low), "memory-low", SET_UNIFIED_SIZE, IN_UNIFIED, 0, "memory.low" },
	{ AT(cpu_weight), "cpu-weight", SET_UNIFIED_NUMBER, IN_UNIFIED, 0, "cpu.weight" },
	{ AT(io_weight), "io-weight", SET_UNIFIED_NUMBER, IN_UNIFIED, 0, "io.weight" },
};

static int refuse(const struct setting *s, const char *text, const char *rule, struct err *e)
{
	return err_set(e, ERR_USAGE, 0, "--%s: \"%s\" — %s", s->name, text, rule);
}

static const char size_rule[] = "must be a number of bytes, with k, m, g or t for binary multiples, or -1 for no limit";

static int parse_size(const struct setting *s, const char *text, int64_t *ret, struct err *e)
{
	uint64_t v;

	if (streq(text, "-1") || streq(text, "max")) {
		*ret = -1;
		return 0;
	}
	if (num_parse_size(text, &v) < 0)
		return refuse(s, text, size_rule, e);
	*ret = (int64_t)v;
	return 0;
}

static int set_number(const struct setting *s, const char *text, char *into, struct err *e)
{
	uint64_t u = 0;
	int64_t i = 0;
	int r;

	if (s->kind == SET_SIZE)
		r = parse_size(s, text, &i, e);
	else if (s->kind == SET_I64)
		r = num_parse_i64(text, INT64_MIN, INT64_MAX, &i);
	else
		r = num_parse_u64(text, s->kind == SET_U32 ? UINT32_MAX : UINT64_MAX, &u);
	if (r < 0)
		return s->kind == SET_SIZE ? r : refuse(s, text, s->kind == SET_I64 ? "must be a number" : "must be a number, not below 0", e);
	if (s->kind == SET_U64)
		*(struct opt_u64 *)(void *)into = (struct opt_u64){ .set = true, .v = u };
	else if (s->kind == SET_U32)
		*(struct opt_u32 *)(void *)into = (struct opt_u32){ .set = true, .v = (uint32_t)u };
	else
		*(struct opt_i64 *)(void *)into = (struct opt_i64){ .set = true, .v = i };
	return 0;
}

static int out_of_memory(struct err *e)
{
	return err_sys(e, -ENOMEM, "read the command line");
}

/* One more file by its own name. */
static int set_unified(struct cli *c, const struct setting *s, const char *text, struct oci_map *m, struct err *e)
{
	struct oci_map more = { .n = m->n + 1 };
	uint64_t n;
	int64_t size = 0;
	int r = 0;

	if (s->kind == SET_UNIFIED_SIZE)
		r = parse_size(s, text, &size, e);
	else if (num_parse_u64(text, 10000, &n) < 0 || n == 0)
		r = refuse(s, text, "must be a number from 1 to 10000", e);
	if (r < 0)
		return r;
	if (s->kind == SET_UNIFIED_SIZE)
		text = size < 0 ? "max" : oci_arena_printf(&c->arena, "%lld", (long long)size);
	more.v = oci_arena_alloc(&c->arena, more.n * sizeof(*more.v));
	if (!more.v || !text)
		return out_of_memory(e);
	if (m->n)
		memcpy(more.v, m->v, m->n * sizeof(*more.v));
	more.v[m->n].key = s->file;
	more.v[m->n].value = text;
	more.set = true;
	*m = more;
	return 0;
}

/* The object that holds the member, made where the document has none. */
static void *find_group(struct cli *c, struct oci_resources *r, enum set_group group)
{
	struct {
		void *now;
		size_t size;
	} const groups[] = {
		[IN_CPU] = { r->cpu, sizeof(*r->cpu) },
		[IN_MEMORY] = { r->memory, sizeof(*r->memory) },
		[IN_PIDS] = { r->pids, sizeof(*r->pids) },
		[IN_BLOCK_IO] = { r->block_io, sizeof(*r->block_io) },
	};
	void *at = groups[group].now ? groups[group].now : oci_arena_alloc(&c->arena, groups[group].size);

	switch (group) {
	case IN_CPU:
		r->cpu = at;
		break;
	case IN_MEMORY:
		r->memory = at;
		break;
	case IN_PIDS:
		r->pids = at;
		break;
	case IN_BLOCK_IO:
		r->block_io = at;
		break;
	case IN_UNIFIED:
		break;
	}
	return at;
}

static int apply_setting(struct cli *c, const struct setting *s, const char *text, struct oci_resources *r, struct err *e)
{
	if (s->group == IN_UNIFIED)
		return set_unified(c, s, text, &r->unified, e);
	char *group = find_group(c, r, s->group);
	if (!group)
		return out_of_memory(e);
	if (s->kind != SET_TEXT)
		return set_number(s, text, group + s->member, e);
	*(const char **)(void *)(group + s->member) = text;
	return 0;
}

/* The document, and the options over it. */
static int read_resources(struct cli *c, struct oci_resources **ret, struct err *e)
{
	const struct update_args *a = c->opts;
	int r = 0;

	if (a->resources)
		r = hull_read_resources(a->resources, &c->arena, ret, e);
	else if (!(*ret = oci_arena_alloc(&c->arena, sizeof(**ret))))
		r = out_of_memory(e);
	for (size_t i = 0; i < ARRAY_LEN(settings) && r == 0; i++) {
		const char *text = *(const char *const *)(const void *)((const char *)a + settings[i].option);

		if (text)
			r = apply_setting(c, &settings[i], text, *ret, e);
	}
	return r;
}

/* As linux.intelRdt has them. */
static int take_schemata(const struct update_args *a, struct hull_update_opts *o, struct err *e)
{
	static const struct setting l3 = { .name = "l3-cache-schema" }, mb = { .name = "mem-bw-schema" };

	if (a->l3_cache_schema && (!a->l3_cache_schema[0] || strchr(a->l3_cache_schema, '\n')))
		return refuse(&l3, a->l3_cache_schema, "must be one line", e);
	if (a->mem_bw_schema && (!str_starts(a->mem_bw_schema, "MB:") || strchr(a->mem_bw_schema, '\n')))
		return refuse(&mb, a->mem_bw_schema, "must be one line that begins with MB:", e);
	o->l3_cache_schema = a->l3_cache_schema;
	o->mem_bw_schema = a->mem_bw_schema;
	return 0;
}

static int run_update(struct cli *c, struct err *e)
{
	static const struct setting reclaim = { .name = "reclaim" };
	const struct update_args *a = c->opts;
	struct hull_update_opts o = { 0 };
	uint64_t reclaimed;

	if (a->reclaim && (num_parse_size(a->reclaim, &o.reclaim) < 0 || o.reclaim == 0))
		return refuse(&reclaim, a->reclaim, "must be a number of bytes above 0, with k, m, g or t for binary multiples", e);
	int r = take_schemata(a, &o, e);
	if (r == 0)
		r = read_resources(c, &o.resources, e);
	if (r == 0)
		r = hull_update(&c->hull, c->args[0], &o, &reclaimed, e);
	if (r < 0 || !o.reclaim)
		return r;
	return out_text(oci_arena_printf(&c->arena, "reclaimed %llu of %llu bytes\n", (unsigned long long)reclaimed,
					 (unsigned long long)o.reclaim),
			e);
}

const struct cmd cmd_update = {
	.name = "update",
	.synopsis = "[OPTION]... ID",
	.help = "change the limits of a container; what isn't asked for stays, and a failure changes nothing",
	.opts = update_opts,
	.n_opts = ARRAY_LEN(update_opts),
	.opts_size = sizeof(struct update_args),
	.min_args = 1,
	.max_args = 1,
	.missing = "the container's id",
	.error_status = 1,
	.run = run_update,
};
