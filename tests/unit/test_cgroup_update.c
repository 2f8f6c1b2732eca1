/* SPDX-License-Identifier: Apache-2.0 */
/* src/cgroup/update.c on files in memory that keep the kernel's rules between each other: whatever values there were and
 * are wanted, no step of an update is refused, and after a failure of any one of them all is as before. */
#include <errno.h>
#include <stdio.h>

#include "cgroup/internal.h"
#include "unit.h"

#define MiB (1LL << 20)
#define NONE INT64_MAX

enum { LIMIT, MEMSW, QUOTA, BURST, PERIOD, SHARES, IDLE, BPS, PIDS, N_FILES };

/* A v1 cgroup. */
static struct kernel {
	int64_t v[N_FILES]; /* NONE: unlimited */
	double quotient; /* the parent's quota / period */
	int fail_at; /* the write that fails, from 0; -1: none */
	int odd_at; /* the write that is taken and reads back as something else */
	int writes;
} k;

static const char *const names[N_FILES] = {
	[LIMIT] = "memory.limit_in_bytes", [MEMSW] = "memory.memsw.limit_in_bytes", [QUOTA] = "cpu.cfs_quota_us",
	[BURST] = "cpu.cfs_burst_us",	   [PERIOD] = "cpu.cfs_period_us",	    [SHARES] = "cpu.shares",
	[IDLE] = "cpu.idle",		   [BPS] = "blkio.throttle.read_bps_device", [PIDS] = "pids.max",
};

static struct cg_layout one_v1 = { .mode = CG_MODE_V1, .n = 1, .h = { { .dir = "all" } } };
static struct oci_arena arena;
static struct err e;

static int file_of(const char *name)
{
	for (int i = 0; i < N_FILES; i++)
		if (streq(names[i], name))
			return i;
	return -1;
}

static void print_value(int file, int64_t v, char *buf, size_t size)
{
	if (file == BPS)
		snprintf(buf, size, v ? "8:0 %lld" : "%.0lld", (long long)v);
	else if (v == NONE)
		snprintf(buf, size, "%s", file == QUOTA ? "-1" : file == PIDS ? "max" : "9223372036854771712");
	else
		snprintf(buf, size, "%lld", (long long)v);
}

static ssize_t fake_read(void *arg UNUSED, const struct cg_write *w, char *buf, size_t size)
{
	int file = file_of(w->file);

	if (file < 0)
		return streq(w->file, "write.only") ? -EINVAL : -ENOENT;
	print_value(file, k.v[file], buf, size - 1);
	strcat(buf, "\n");
	return (ssize_t)strlen(buf);
}

static int64_t value_of(const char *text)
{
	if (streq(text, "-1") || streq(text, "max") || streq(text, "9223372036854771712"))
		return NONE;
	return str_starts(text, "8:0 ") ? strtoll(text + 4, NULL, 10) : strtoll(text, NULL, 10);
}

/* What the kernel checks at each write. */
static bool is_legal(const struct kernel *x)
{
	bool ratio = x->v[QUOTA] == NONE || (double)x->v[QUOTA] / (double)x->v[PERIOD] <= x->quotient + 1e-9;

	return x->v[LIMIT] <= x->v[MEMSW] && (x->v[QUOTA] == NONE || x->v[BURST] <= x->v[QUOTA]) && ratio;
}

static int fake_write(void *arg UNUSED, const struct cg_write *w, struct err *err)
{
	int file = file_of(w->file), n = k.writes++;
	struct kernel next = k;

	if (n == k.fail_at)
		return err_sys(err, -EIO, "write %s = %s", w->file, w->value);
	if (file < 0)
		return 0;
	next.v[file] = value_of(w->value);
	if (file == IDLE && next.v[IDLE] != k.v[IDLE])
		next.v[SHARES] = next.v[IDLE] ? 3 : 1024;
	if (!is_legal(&next) || (file == SHARES && k.v[IDLE]))
		return err_sys(err, -EINVAL, "write %s = %s", w->file, w->value);
	k = next;
	if (n == k.odd_at) {
		k.v[file] = file == IDLE ? k.v[file] : 7;
		return err_set(err, ERR_UNSUPPORTED, 0, "write %s = %s: it reads 7", w->file, w->value);
	}
	return 0;
}

static const struct cg_io io = { .read = fake_read, .write = fake_write };

static void add_write(struct cg_writes *w, const char *file, const char *value)
{
	w->v[w->n++] = (struct cg_write){ .file = file, .value = oci_arena_strdup(&arena, value), .origin = "linux.resources.x" };
}

/* Random values that a cgroup can have. */
static void pick(uint64_t *seed, struct kernel *x)
{
	do {
		for (int i = 0; i < N_FILES; i++)
			x->v[i] = 0;
		x->v[LIMIT] = unit_below(seed, 4) ? (int64_t)unit_below(seed, 64) * MiB + 1 : NONE;
		x->v[MEMSW] = unit_below(seed, 4) && x->v[LIMIT] != NONE ? x->v[LIMIT] + (int64_t)unit_below(seed, 64) * MiB : NONE;
		x->v[PERIOD] = 1000 + (int64_t)unit_below(seed, 100) * 10000;
		x->v[QUOTA] = unit_below(seed, 4) ? 1000 + (int64_t)unit_below(seed, 200) * 5000 : NONE;
		x->v[BURST] = (int64_t)unit_below(seed, 20) * 5000;
		x->v[IDLE] = (int64_t)unit_below(seed, 2);
		x->v[SHARES] = x->v[IDLE] ? 3 : 2 + (int64_t)unit_below(seed, 5000);
		x->v[BPS] = (int64_t)unit_below(seed, 3) * 1000;
		x->v[PIDS] = unit_below(seed, 3) ? (int64_t)unit_below(seed, 100) : NONE;
	} while (!is_legal(x));
}

/* Everything of `want`, in an order that has nothing to do with what the kernel wants. */
static void plan_all(uint64_t *seed, const struct kernel *want, struct cg_writes *w)
{
	int order[N_FILES];
	char text[64];

	w->v = oci_arena_alloc(&arena, N_FILES * sizeof(*w->v));
	w->n = 0;
	for (int i = 0; i < N_FILES; i++)
		order[i] = i;
	for (size_t i = N_FILES; i-- > 1;) {
		size_t j = unit_below(seed, i + 1);
		int t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	for (int i = 0; i < N_FILES; i++) {
		print_value(order[i], want->v[order[i]], text, sizeof(text));
		if (order[i] == BPS)
			snprintf(text, sizeof(text), "8:0 %lld", (long long)want->v[BPS]);
		else if (order[i] == SHARES && want->v[IDLE])
			snprintf(text, sizeof(text), "512");
		else if (order[i] == LIMIT && want->v[LIMIT] == NONE)
			snprintf(text, sizeof(text), "-1");
		add_write(w, names[order[i]], text);
	}
}

static void expect_values(const struct kernel *want, const char *when, unsigned round)
{
	for (int i = 0; i < N_FILES; i++)
		ck_assert_msg(k.v[i] == want->v[i], "round %u, %s: %s is %lld, not %lld", round, when, names[i], (long long)k.v[i],
			      (long long)want->v[i]);
}

static int update(const struct cg_writes *w)
{
	struct cg_change *v;
	size_t n;
	int r = cg_update_list(&one_v1, &io, w, &arena, &v, &n, &e);

	return r < 0 ? r : cg_update_run(&io, v, n, &e);
}

START_TEST(every_step_is_accepted_and_every_failure_undone)
{
	uint64_t seed = 20261124;

	for (unsigned round = 0; round < 3000; round++) {
		struct kernel old = { .quotient = 1e9, .fail_at = -1, .odd_at = -1 }, want = old;
		struct cg_writes w = { 0 };

		pick(&seed, &old);
		pick(&seed, &want);
		/* A parent that has exactly as much as the larger of both asks for. */
		double now = old.v[QUOTA] == NONE ? 0 : (double)old.v[QUOTA] / (double)old.v[PERIOD];
		double then = want.v[QUOTA] == NONE ? 0 : (double)want.v[QUOTA] / (double)want.v[PERIOD];
		old.quotient = now > then ? now : then;
		plan_all(&seed, &want, &w);
		k = old;
		ck_assert_msg(update(&w) == 0, "round %u: %s", round, e.msg);
		expect_values(&want, "updated", round);
		int writes = k.writes;
		for (int i = 0; i < writes; i++) {
			k = old;
			k.fail_at = i;
			ck_assert_int_eq(update(&w), -EIO);
			ck_assert_msg(str_starts(e.msg, "nothing is changed: write "), "%s", e.msg);
			expect_values(&old, "a write failed", round);
		}
		oci_arena_release(&arena);
	}
}
END_TEST

START_TEST(what_reads_back_as_something_else_is_undone_too)
{
	struct kernel old = { .quotient = 1e9, .fail_at = -1, .odd_at = -1 };
	struct cg_writes w = { .v = oci_arena_alloc(&arena, 4 * sizeof(*w.v)) };
	uint64_t seed = 1;

	pick(&seed, &old);
	old.v[PIDS] = 50;
	old.v[IDLE] = 0;
	old.v[SHARES] = 100;
	add_write(&w, "cpu.shares", "200");
	add_write(&w, "pids.max", "5");
	k = old;
	k.odd_at = 1;
	ck_assert_int_eq(update(&w), -EINVAL);
	ck_assert_str_eq(e.msg, "nothing is changed: write pids.max = 5: it reads 7");
	expect_values(&old, "odd", 0);
}
END_TEST

/* cpu.idle resets the weight: undoing it gives the weight back, though nobody asked for one. */
START_TEST(idle_takes_its_weight_along)
{
	struct kernel old = { .quotient = 1e9, .fail_at = -1, .odd_at = -1 };
	struct cg_writes w = { .v = oci_arena_alloc(&arena, 4 * sizeof(*w.v)) };
	uint64_t seed = 1;

	pick(&seed, &old);
	old.v[IDLE] = 0;
	old.v[SHARES] = 700;
	add_write(&w, "cpu.idle", "1");
	add_write(&w, "pids.max", "5");
	k = old;
	k.fail_at = 1;
	ck_assert_int_eq(update(&w), -EIO);
	expect_values(&old, "idle undone", 0);
	k = old;
	ck_assert_int_eq(update(&w), 0);
	ck_assert_int_eq(k.v[IDLE], 1);
	/* The whole of the resources again, as Kubernetes' engines send it: an idle group takes no shares. */
	w.n = 0;
	add_write(&w, "cpu.shares", "512");
	add_write(&w, "cpu.idle", "1");
	ck_assert_int_eq(update(&w), 0);
	ck_assert_int_eq(k.v[SHARES], 3);
}
END_TEST

START_TEST(the_last_word_about_a_file_counts)
{
	struct cg_writes w = { .v = oci_arena_alloc(&arena, 4 * sizeof(*w.v)) };
	struct cg_change *v;
	size_t n;

	k = (struct kernel){ .v = { [PERIOD] = 1000 }, .quotient = 1e9, .fail_at = -1, .odd_at = -1 };
	add_write(&w, "pids.max", "5");
	add_write(&w, "pids.max", "6");
	add_write(&w, "blkio.throttle.read_bps_device", "8:0 5");
	add_write(&w, "blkio.throttle.read_bps_device", "8:16 5");
	ck_assert_int_eq(cg_update_list(&one_v1, &io, &w, &arena, &v, &n, &e), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(v[0].w.value, "6");
	ck_assert_str_eq(v[2].undo, "8:16 0");
}
END_TEST

START_TEST(what_cannot_be_put_back_comes_last)
{
	struct cg_writes w = { .v = oci_arena_alloc(&arena, 4 * sizeof(*w.v)) };

	k = (struct kernel){ .v = { [PERIOD] = 1000, [PIDS] = 9 }, .quotient = 1e9, .fail_at = 1, .odd_at = -1 };
	add_write(&w, "write.only", "x");
	add_write(&w, "pids.max", "5");
	ck_assert_int_eq(update(&w), -EIO);
	ck_assert_str_eq(e.msg, "nothing is changed: write write.only = x");
	ck_assert_int_eq(k.v[PIDS], 9);
	/* Two of them: the first is in force when the second fails. */
	w.n = 0;
	add_write(&w, "write.only", "x");
	add_write(&w, "write.only", "y");
	k.writes = 0;
	struct cg_change v[2] = { { .w = w.v[0] }, { .w = w.v[1] } };
	ck_assert_int_eq(cg_update_run(&io, v, 2, &e), -EIO);
	ck_assert_str_eq(e.msg, "write.only could not be put back: write write.only = y");
}
END_TEST

/* A v2 cpuset with processes can't be emptied again (fake_write knows no such file and takes all: only the order is asked). */
START_TEST(an_empty_cpuset_is_written_last)
{
	struct cg_change v[] = {
		{ .w = { .file = "cpuset.cpus", .value = "0" }, .now = "\n", .undo = "\n", .fallback = "0-1", .v2 = true },
		{ .w = { .file = "pids.max", .value = "5" }, .now = "9\n", .undo = "9", .v2 = true },
		{ .w = { .file = "cpuset.mems", .value = "0" }, .now = "0\n", .undo = "0", .v2 = true },
	};

	cg_update_order(v, ARRAY_LEN(v));
	ck_assert_str_eq(v[0].w.file, "pids.max");
	ck_assert_str_eq(v[1].w.file, "cpuset.mems");
	ck_assert_str_eq(v[2].w.file, "cpuset.cpus");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error_before_any_write)
{
	struct cg_writes w = { .v = oci_arena_alloc(&arena, 4 * sizeof(*w.v)) };

	k = (struct kernel){ .v = { [PERIOD] = 1000 }, .quotient = 1e9, .fail_at = -1, .odd_at = -1 };
	add_write(&w, "pids.max", "5");
	add_write(&w, "io.nothing", "5");
	ck_assert_int_eq(update(&w), -ENOENT);
	ck_assert_int_eq(k.writes, 0);
	/* Where the kernel has only the other one, that is taken. */
	w.v[1].alt_file = "pids.max";
	w.v[1].alt_value = "6";
	w.n = 2;
	ck_assert_int_eq(update(&w), 0);
	ck_assert_int_eq(k.v[PIDS], 6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup update");
	TCase *t = tcase_create("update");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_step_is_accepted_and_every_failure_undone);
	tcase_add_test(t, what_reads_back_as_something_else_is_undone_too);
	tcase_add_test(t, idle_takes_its_weight_along);
	tcase_add_test(t, the_last_word_about_a_file_counts);
	tcase_add_test(t, what_cannot_be_put_back_comes_last);
	tcase_add_test(t, an_empty_cpuset_is_written_last);
	tcase_add_test(t, a_file_that_is_not_there_is_an_error_before_any_write);
	suite_add_tcase(s, t);
	return unit_run(s);
}
