/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel may make of a value that was written to a cgroup file, and what it may not: pure, and with real files. */
#include "cgroup_fixture.h"

struct row {
	const char *file, *value, *text;
	bool agrees;
};

static const struct row rows[] = {
	/* as it is */
	{ "pids.max", "42", "42\n", true },
	{ "pids.max", "42", "43\n", false },
	{ "pids.max", "max", "max\n", true },
	{ "pids.max", "max", "42\n", false },
	{ "cpu.weight", "59", "59\n", true },
	{ "cpu.cfs_quota_us", "-1", "-1\n", true },
	{ "cpu.cfs_quota_us", "-1", "5000\n", false },
	{ "cgroup.unheard_of", "1", "", false },
	{ "cpu.uclamp.min", "50", "50.00\n", true },
	{ "cpu.uclamp.min", "50", "50.01\n", false },
	/* pages of 4 KiB and more */
	{ "memory.max", "0", "0\n", true },
	{ "memory.max", "131073", "131072\n", true },
	{ "memory.max", "131072", "65536\n", false },
	{ "memory.max", "1M", "1048576\n", true },
	{ "memory.max", "0x20000", "131072\n", true },
	{ "memory.max", "9223372036854775807", "max\n", true },
	{ "memory.max", "max", "max\n", true },
	{ "memory.max", "max", "131072\n", false },
	{ "memory.max", "131072", "max\n", false },
	{ "memory.limit_in_bytes", "-1", "9223372036854771712\n", true },
	{ "memory.limit_in_bytes", "131073", "131072\n", true },
	{ "memory.memsw.limit_in_bytes", "196608", "196608\n", true },
	{ "memory.kmem.limit_in_bytes", "196608", "9223372036854771712\n", false },
	{ "memory.kmem.limit_in_bytes", "-1", "9223372036854771712\n", true },
	{ "memory.swap.max", "131073", "131072\n", true },
	{ "memory.zswap.max", "131073", "131072\n", true },
	{ "memory.swappiness", "42", "42\n", true },
	{ "memory.swappiness", "42", "60\n", false },
	{ "memory.oom.group", "1", "1\n", true },
	{ "memory.oom_control", "1", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", true },
	{ "memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 1\noom_kill 1\n", false },
	{ "hugetlb.2MB.max", "2097151", "0\n", true },
	{ "hugetlb.2MB.max", "4194305", "4194304\n", true },
	{ "hugetlb.2MB.rsvd.max", "9223372036854775807", "max\n", true },
	{ "hugetlb.1GB.rsvd.limit_in_bytes", "2147483647", "1073741824\n", true },
	{ "hugetlb.2MB.limit_in_bytes", "9223372036854775807", "9223372036852678656\n", true },
	{ "hugetlb.64KB.max", "65537", "65536\n", true },
	{ "hugetlb.64KB.max", "65537", "0\n", false },
	/* a range */
	{ "cpu.shares", "1", "2\n", true },
	{ "cpu.shares", "300000", "262144\n", true },
	{ "cpu.shares", "1024", "1023\n", false },
	{ "cpu.shares", "2", "262144\n", false },
	/* two words */
	{ "cpu.max", "50000", "50000 100000\n", true },
	{ "cpu.max", "50000 200000", "50000 200000\n", true },
	{ "cpu.max", "50000 200000", "50000 100000\n", false },
	{ "cpu.max", "max", "max 100000\n", true },
	{ "cpu.max", "max 20000", "max 100000\n", false },
	/* sets */
	{ "cpuset.cpus", "0,1,2,7", "0-2,7\n", true },
	{ "cpuset.cpus", "0-3,7", "0-3,7\n", true },
	{ "cpuset.cpus", "0-3,7", "0-3\n", false },
	{ "cpuset.cpus", "0-7:1/2", "0,2,4,6\n", true },
	{ "cpuset.cpus", "0-8191", "0-8191\n", true },
	{ "cpuset.cpus", "\n", "\n", true },
	{ "cpuset.cpus", "\n", "0\n", false },
	{ "cpuset.cpus", "0-x", "0\n", false },
	{ "cpuset.mems", "0", "0\n", true },
	{ "cpuset.mems", "0", "0-1\n", false },
	{ "cpuset.cpus.partition", "root", "root\n", true },
	{ "cpuset.cpus.partition", "root", "root invalid (Parent is not a partition root)\n", false },
	/* lines of devices */
	{ "blkio.throttle.read_bps_device", "8:0 600", "7:0 5\n8:0 600\n", true },
	{ "blkio.throttle.read_bps_device", "8:0 600", "7:0 600\n", false },
	{ "blkio.throttle.write_iops_device", "8:0 4294967296", "8:0 0\n", false },
	{ "blkio.throttle.write_iops_device", "8:0 4294967295", "", true },
	{ "blkio.throttle.read_bps_device", "8:0 0", "", true },
	{ "blkio.throttle.read_bps_device", "8:0 600", "", false },
	{ "blkio.bfq.weight_device", "8:0 20", "8:0 20\n", true },
	{ "io.max", "8:0 wbps=600", "8:0 rbps=max wbps=600 riops=max wiops=max\n", true },
	{ "io.max", "8:0 wbps=600 riops=7", "8:0 rbps=max wbps=600 riops=8 wiops=max\n", false },
	{ "io.max", "8:0 wbps=600", "8:0 rbps=600 wbps=max riops=max wiops=max\n", false },
	{ "io.max", "8:0 wbps=max", "", true },
	{ "io.max", "8:0 riops=18446744073709551615", "8:0 rbps=2 wbps=max riops=max wiops=max\n", true },
	{ "io.max", "8:0 riops=4294967296", "8:0 rbps=2 wbps=max riops=max wiops=max\n", true },
	{ "io.max", "8:0 rbps=4294967296", "8:0 rbps=max wbps=2 riops=max wiops=max\n", false },
	{ "io.max", "8:0 wbps=18446744073709551615", "8:0 rbps=2 wbps=max riops=max wiops=max\n", true },
	{ "io.latency", "8:0 target=75", "8:0 target=75\n", true },
	{ "io.weight", "4950", "default 4950\n8:0 100\n", true },
	{ "io.weight", "4950", "default 100\n8:0 4950\n", false },
	{ "io.weight", "8:0 102", "default 100\n8:0 102\n", true },
	{ "io.weight", "8:0 default", "default 100\n", true },
	{ "rdma.max", "mlx5_0 hca_object=10", "mlx4_0 hca_handle=1 hca_object=2\nmlx5_0 hca_handle=max hca_object=10\n", true },
	{ "rdma.max", "mlx5_0 hca_object=10", "mlx5_0 hca_handle=10 hca_object=max\n", false },
	{ "misc.max", "res_a 1", "res_a 1\nres_b max\n", true },
	{ "net_prio.ifpriomap", "eth0 5", "lo 0\neth0 5\n", true },
	{ "net_prio.ifpriomap", "eth0 5", "lo 5\neth0 0\n", false },
};

START_TEST(test_rows)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s", rows[i].text);
		ck_assert_msg(cg_readback_agrees(rows[i].file, rows[i].value, text) == rows[i].agrees, "%s = %s, read as %s", rows[i].file, rows[i].value,
			      rows[i].text);
	}
}
END_TEST

START_TEST(test_covers)
{
	ck_assert(cg_readback_covers("0-3", "1,2\n"));
	ck_assert(cg_readback_covers("0-3", "0-3\n"));
	ck_assert(!cg_readback_covers("2-3", "0-1\n"));
	ck_assert(!cg_readback_covers("2-3", "1-2\n"));
	ck_assert(cg_readback_covers("2", "\n"));
}
END_TEST

/* ---- real files ---- */

static int apply(struct cgroup *cg, const char *controller, const char *file, const char *value)
{
	struct cg_write w = { .hier = cg_layout_find(&lay, controller), .file = file, .value = value, .origin = "linux.resources.x" };
	struct cg_writes one = { &w, 1, 1 };

	return w.hier < 0 ? -ENODEV : cg_apply(cg, &one, CG_EARLY, &e);
}

/* The kernel (5.16 and later) takes a limit of kernel memory and forgets it. */
START_TEST(test_forgotten_value)
{
	int m = cg_layout_find(&lay, "memory");
	struct cgroup cg;

	if (m < 0 || lay.h[m].v2)
		return;
	create(&cg);
	int r = apply(&cg, "memory", "memory.kmem.limit_in_bytes", "8388608");
	if (r < 0) {
		ck_assert_str_eq(e.path, "linux.resources.x");
		ck_assert_msg(strstr(e.msg, "write memory.kmem.limit_in_bytes = 8388608") && strstr(e.msg, "doesn't enforce"), "%s", e.msg);
	}
	ok(apply(&cg, "memory", "memory.limit_in_bytes", "8388609"));
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_write_only_file)
{
	struct cgroup cg;

	if (!only_v2())
		return;
	create(&cg);
	/* Nothing can be read back: what counts is that it was taken. */
	struct cg_write w = { .file = "cgroup.kill", .value = "1", .origin = "linux.resources.x" };
	ok(cg_apply(&cg, &(struct cg_writes){ &w, 1, 1 }, CG_EARLY, &e));
	cg_close(&cg);
	remove_ours();
}
END_TEST

/* No limit is no reason to fail where the kernel has no such limit. */
START_TEST(test_unlimited_without_file)
{
	struct cg_write w = { .file = "memory.no_such.max", .value = "max", .origin = "linux.resources.x", .unlimited = true };
	struct cg_writes one = { &w, 1, 1 };
	struct cgroup cg;

	create(&cg);
	ok(cg_apply(&cg, &one, CG_EARLY, &e));
	w.unlimited = false;
	ck_assert_int_eq(cg_apply(&cg, &one, CG_EARLY, &e), -ENOENT);
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_threaded_subtree_is_left_alone)
{
	char sub[200], threaded[160];
	struct cgroup cg;

	if (!only_v2())
		return;
	ck_assert_int_eq(mkdir(file_of(0, base, ""), 0755), 0);
	snprintf(threaded, sizeof(threaded), "%s/threaded", base);
	ck_assert_int_eq(mkdir(file_of(0, threaded, ""), 0755), 0);
	write_to(0, threaded, "cgroup.type", "threaded");
	snprintf(sub, sizeof(sub), "%s/threaded/c1", base);
	ck_assert_int_eq(cg_create(&lay, sub, TOKEN, &cg, &e), -EINVAL);
	ck_assert_int_eq(e.kind, ERR_UNSUPPORTED);
	ck_assert_str_eq(e.path, "linux.cgroupsPath");
	ck_assert_msg(strstr(e.msg, "is of type \"domain invalid\""), "%s", e.msg);
	ck_assert(!exists(0, sub));
	ck_assert_str_eq(content(0, threaded, "cgroup.type"), "threaded");
	/* An empty one that is there. */
	ck_assert_int_eq(cg_create(&lay, threaded, TOKEN, &cg, &e), -EINVAL);
	ck_assert_msg(strstr(e.msg, "is of type \"threaded\""), "%s", e.msg);
	ck_assert(exists(0, threaded));
	ck_assert_int_eq(rmdir(file_of(0, threaded, "")), 0);
	ck_assert_int_eq(rmdir(file_of(0, base, "")), 0);
}
END_TEST

/* ---- what a failure is put down to ---- */

START_TEST(test_blame)
{
	int p = cg_layout_find(&lay, "pids"), m = cg_layout_find(&lay, "memory");
	struct cg_hits none = { 0 }, now;
	struct cgroup cg;
	char text[160];

	create(&cg);
	ck_assert(!cg_blame(&cg, &none, 0, text, sizeof(text)));
	ck_assert(!cg_blame(&cg, &none, ENOENT, text, sizeof(text)));
	if (m >= 0) {
		cg_hits_read(&cg, &now);
		ck_assert_int_eq(now.oom_kills, 0);
		ck_assert_int_eq(now.memory_hits, 0);
		/* As if one had been killed since. */
		ck_assert(cg_blame(&cg, &(struct cg_hits){ .oom_kills = -1 }, EPERM, text, sizeof(text)));
		ck_assert_msg(str_starts(text, "; cgroup reports oom_kill 1 (memory limit max, peak "), "%s", text);
	}
	if (p >= 0) {
		ok(apply(&cg, "pids", "pids.max", "3"));
		ck_assert(cg_blame(&cg, &none, EAGAIN, text, sizeof(text)));
		ck_assert_str_eq(text, "; cgroup reports pids limit 3, peak 0");
		ck_assert(cg_pids_full(&cg, 4));
		ck_assert(!cg_pids_full(&cg, 3));
		ok(apply(&cg, "pids", "pids.max", "max"));
		ck_assert(!cg_pids_full(&cg, 1000));
	}
	cg_close(&cg);
	remove_ours();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup read back");
	TCase *pure = tcase_create("pure"), *t;

	tcase_add_test(pure, test_rows);
	tcase_add_test(pure, test_covers);
	suite_add_tcase(s, pure);
	if (!fixture_begin())
		return unit_run(s);
	t = fixture_tcase(s);
	tcase_add_test(t, test_forgotten_value);
	tcase_add_test(t, test_write_only_file);
	tcase_add_test(t, test_unlimited_without_file);
	tcase_add_test(t, test_threaded_subtree_is_left_alone);
	tcase_add_test(t, test_blame);
	return fixture_run(s);
}
