/* SPDX-License-Identifier: Apache-2.0 */
/* src/cgroup with real cgroups: limits, device filters of both versions, controllers of v2. */
#include <sys/sysmacros.h>

#include "cgroup_fixture.h"

/* ---- limits and devices ---- */

START_TEST(test_apply)
{
	struct oci_cpu cpu = { .shares = { true, 512 }, .quota = { true, 5000 }, .period = { true, 100000 } };
	struct oci_pids pids = { .limit = { true, 7 } };
	struct oci_memory memory = { .limit = { true, 64 << 20 } };
	struct oci_resources r = { 0 };
	struct oci_arena a = { 0 };
	struct cg_writes w;
	struct cg_devices d;
	struct cgroup cg;
	int c = cg_layout_find(&lay, "cpu"), p = cg_layout_find(&lay, "pids"), m = cg_layout_find(&lay, "memory");

	r.cpu = c >= 0 ? &cpu : NULL;
	r.pids = p >= 0 ? &pids : NULL;
	r.memory = m >= 0 ? &memory : NULL;
	ok(cg_plan(&lay, &r, 0, &a, &w, &d, &e));
	create(&cg);
	ok(cg_apply(&cg, &w, CG_EARLY, &e));
	if (p >= 0)
		ck_assert_str_eq(content((unsigned)p, path, "pids.max"), "7");
	if (m >= 0)
		ck_assert_str_eq(content((unsigned)m, path, lay.h[m].v2 ? "memory.max" : "memory.limit_in_bytes"),
				 "67108864");
	if (c >= 0 && !lay.h[c].v2) {
		ck_assert_str_eq(content((unsigned)c, path, "cpu.shares"), "512");
		ck_assert_str_eq(content((unsigned)c, path, "cpu.cfs_quota_us"), "-1");
	}
	ok(cg_apply(&cg, &w, CG_LATE, &e));
	if (c >= 0)
		ck_assert_str_eq(content((unsigned)c, path, lay.h[c].v2 ? "cpu.max" : "cpu.cfs_quota_us"),
				 lay.h[c].v2 ? "5000 100000" : "5000");
	struct cg_write bad = {
		.hier = c < 0 ? 0 : c, .file = "no.such.file", .value = "1", .origin = "linux.resources.x"
	};
	struct cg_writes one = { &bad, 1, 1 };
	char text[ERR_RENDER_MAX];
	ck_assert_int_eq(cg_apply(&cg, &one, CG_EARLY, &e), -ENOENT);
	ck_assert_str_eq(err_render(&e, text, sizeof(text)),
			 "write no.such.file = 1 (linux.resources.x): no such file or directory");
	/* The kernel has one of the two. */
	if (p >= 0) {
		bad = (struct cg_write){ .hier = p,
					 .file = "no.such.file",
					 .value = "1",
					 .origin = "x",
					 .alt_file = "pids.max",
					 .alt_value = "9" };
		ok(cg_apply(&cg, &one, CG_EARLY, &e));
		ck_assert_str_eq(content((unsigned)p, path, "pids.max"), "9");
	}
	cg_close(&cg);
	remove_ours();
	oci_arena_release(&a);
}
END_TEST

struct device_try {
	const char *node;
	int flags;
};

static int try_open(void *arg)
{
	const struct device_try *t = arg;

	return open(t->node, t->flags | O_NONBLOCK | O_CLOEXEC) < 0 ? errno : 0;
}

static int open_in(struct cgroup *cg, const char *node, int flags)
{
	struct device_try t = { node, flags };

	return WEXITSTATUS(wait_for(spawn(cg, try_open, &t)));
}

static void plan_devices(struct oci_arena *a, struct oci_device_rule *rules, size_t n, struct cg_devices *d)
{
	struct oci_resources r = { .devices = rules, .n_devices = n };

	ok(cg_devices_plan(&r, a, d, &e));
}

/* A node of our own for 1:11 (kmsg), in a directory of our own. */
static void with_node(char node[64])
{
	strcpy(node, "/tmp/hulltest.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(node));
	strcat(node, "/kmsg");
	ck_assert_int_eq(mknod(node, S_IFCHR | 0600, makedev(1, 11)), 0);
}

static void without_node(char *node)
{
	unlink(node);
	*strrchr(node, '/') = '\0';
	rmdir(node);
}

static void check_filter(struct cgroup *cg)
{
	struct oci_device_rule read_only = { .allow = { true, true },
					     .type = OCI_DEVRULE_CHAR,
					     .major = { true, 1 },
					     .minor = { true, 11 },
					     .access = "r" };
	struct oci_device_rule all = { .allow = { true, true } };
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct cgroup later;
	char node[64];

	with_node(node);
	ck_assert_int_eq(open_in(cg, node, O_RDONLY), 0);
	plan_devices(&a, NULL, 0, &d);
	ok(cg_devices_apply(cg, &d, &e));
	ck_assert_int_eq(open_in(cg, node, O_RDONLY), EPERM);
	ck_assert_int_eq(open_in(cg, "/dev/null", O_RDWR), 0);
	/* A later change, as by another command. */
	ok(cg_open(&lay, path, &later, &e));
	plan_devices(&a, &read_only, 1, &d);
	ok(cg_devices_apply(&later, &d, &e));
	ck_assert_int_eq(open_in(cg, node, O_RDONLY), 0);
	ck_assert_int_eq(open_in(cg, node, O_RDWR), EPERM);
	plan_devices(&a, &all, 1, &d);
	ok(cg_devices_apply(&later, &d, &e));
	ck_assert_int_eq(open_in(cg, node, O_RDWR), 0);
	cg_close(&later);
	without_node(node);
	oci_arena_release(&a);
}

START_TEST(test_devices_v1)
{
	int i = cg_layout_find(&lay, "devices");
	struct cgroup cg;

	if (i < 0 || lay.h[i].v2)
		return;
	create(&cg);
	check_filter(&cg);
	cg_close(&cg);
	remove_ours();
}
END_TEST

/* ---- v2 alone ---- */

START_TEST(test_v2_lifecycle)
{
	struct cgroup cg;

	if (!only_v2())
		return;
	create(&cg);
	pid_t pid = spawn(&cg, sleep_on, NULL);
	ck_assert_int_eq(cg_open_tasks(&cg, (int[1]){ 0 }, 1, &e), 0);
	write_to(0, path, "cgroup.freeze", "1");
	ck_assert_int_eq(cg_frozen(&cg), 1);
	ok(cg_kill(&cg, TOKEN, SIGKILL, &e));
	ok(cg_wait_empty(&cg, 3000, &e));
	ck_assert_int_eq(WTERMSIG(wait_for(pid)), SIGKILL);
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_v2_device_filter)
{
	struct cgroup cg;

	if (!only_v2() || cg_layout_find(&lay, "devices") >= 0)
		return;
	create(&cg);
	ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 0);
	check_filter(&cg);
	/* The last change allowed all: no filter is left. */
	ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 0);
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_v2_filter_is_replaced)
{
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct cgroup cg, later;

	if (!only_v2())
		return;
	create(&cg);
	plan_devices(&a, NULL, 0, &d);
	ok(cg_devices_apply(&cg, &d, &e));
	ok(cg_open(&lay, path, &later, &e));
	for (int i = 0; i < 200; i++) {
		ok(cg_devices_apply(&later, &d, &e));
		ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 1);
	}
	/* Two of ours, as after a crash in between: one is left. */
	ok(cg_devices_attach(cg.dfd[0], &d, true, &e));
	ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 2);
	ok(cg_devices_apply(&later, &d, &e));
	ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 1);
	cg_close(&later);
	cg_close(&cg);
	remove_ours();
	oci_arena_release(&a);
}
END_TEST

/* The verifier takes lists as long and as mixed as a configuration can hold. */
START_TEST(test_v2_long_lists)
{
	static struct oci_device_rule rules[3000];
	static const char *const accesses[] = { "r", "w", "m", "rw", "rm", "wm", "rwm" };
	uint64_t rnd = 42;
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct cgroup cg;

	if (!only_v2())
		return;
	create(&cg);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		rules[i] = (struct oci_device_rule){ .allow = { true, unit_below(&rnd, 2) },
						     .type = (enum oci_device_rule_type)(2 + unit_below(&rnd, 2)),
						     .major = { true, (int64_t)unit_below(&rnd, 4096) },
						     .minor = { unit_below(&rnd, 8) != 0,
								(int64_t)unit_below(&rnd, 1048576) },
						     .access = accesses[unit_below(&rnd, ARRAY_LEN(accesses))] };
	plan_devices(&a, rules, ARRAY_LEN(rules), &d);
	ck_assert_uint_gt(d.n, 1000);
	ok(cg_devices_attach(cg.dfd[0], &d, true, &e));
	ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), 1);
	cg_close(&cg);
	remove_ours();
	oci_arena_release(&a);
}
END_TEST

/* A controller that no directory has enabled: by the property that needs it, or an error that says where and why not. */
START_TEST(test_v2_enable)
{
	struct cg_write w = {
		.hier = 0, .file = "hugetlb.2MB.max", .value = "0", .origin = "linux.resources.hugepageLimits[0]"
	};
	struct cg_writes one = { &w, 1, 1 };
	struct cgroup cg, inner;
	char sub[160], root_had[512];

	if (!only_v2() || !strstr(lay.h[0].controllers, " hugetlb "))
		return;
	ck_assert_int_ge(io_read_at(AT_FDCWD, CG_MOUNT "/cgroup.subtree_control", root_had, sizeof(root_had)), 0);
	create(&cg);
	int r = cg_apply(&cg, &one, CG_EARLY, &e);
	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0) {
		ok(r);
		ck_assert_str_eq(content(0, path, "hugetlb.2MB.max"), "0");
	}
	ck_assert_str_eq(content(0, base, "cgroup.subtree_control"), "hugetlb");
	pid_t pid = spawn(&cg, sleep_on, NULL);
	snprintf(sub, sizeof(sub), "%s/inner", path);
	ok(cg_create(&lay, sub, TOKEN, &inner, &e));
	ck_assert_int_eq(cg_apply(&inner, &one, CG_EARLY, &e), -EBUSY);
	ck_assert_str_eq(e.path, "linux.resources.hugepageLimits[0]");
	ck_assert_msg(strstr(e.msg, "hugetlb") && strstr(e.msg, path + 1) && strstr(e.msg, "there are processes in it"),
		      "%s", e.msg);
	cg_close(&inner);
	kill(pid, SIGKILL);
	wait_for(pid);
	cg_close(&cg);
	remove_ours();
	if (!strstr(root_had, "hugetlb"))
		io_write_once_at(AT_FDCWD, CG_MOUNT "/cgroup.subtree_control", "-hugetlb", strlen("-hugetlb"));
}
END_TEST

int main(void)
{
	if (!fixture_begin())
		return SKIPPED;
	Suite *s = suite_create("cgroup limits");
	TCase *t = fixture_tcase(s);

	tcase_add_test(t, test_apply);
	tcase_add_test(t, test_devices_v1);
	tcase_add_test(t, test_v2_lifecycle);
	tcase_add_test(t, test_v2_device_filter);
	tcase_add_test(t, test_v2_filter_is_replaced);
	tcase_add_test(t, test_v2_long_lists);
	tcase_add_test(t, test_v2_enable);
	return fixture_run(s);
}
