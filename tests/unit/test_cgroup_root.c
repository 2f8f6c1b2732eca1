/* SPDX-License-Identifier: Apache-2.0 */
/* src/cgroup with real cgroups: directories are made, adopted, refused, removed; processes placed, signalled, waited
 * for. */
#include "cgroup_fixture.h"

/* ---- create, adopt, remove ---- */

START_TEST(test_create_everywhere)
{
	struct cgroup cg, again;

	create(&cg);
	for (unsigned i = 0; i < lay.n; i++) {
		scoped_fd int fd = open(file_of(i, path, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		ck_assert(cg.made[i]);
		ck_assert_int_ge(cg.dfd[i], 0);
		ck_assert_int_eq(cg_token_owner(fd, TOKEN), CG_OWNER_US);
		ck_assert_int_eq(cg_token_owner(fd, OTHER_TOKEN), CG_OWNER_OTHER);
	}
	int cpuset = cg_layout_find(&lay, "cpuset");
	if (cpuset >= 0 && !lay.h[cpuset].v2) {
		ck_assert_str_ne(content((unsigned)cpuset, path, "cpuset.cpus"), "");
		ck_assert_str_ne(content((unsigned)cpuset, path, "cpuset.mems"), "");
	}
	/* The same place for another container: refused, and nothing of the first is touched. */
	ck_assert_int_eq(cg_create(&lay, path, OTHER_TOKEN, &again, &e), -EBUSY);
	ck_assert_str_eq(e.path, "linux.cgroupsPath");
	ck_assert_ptr_nonnull(strstr(e.msg, "another container"));
	for (unsigned i = 0; i < lay.n; i++)
		ck_assert(exists(i, path));
	ck_assert_int_eq(cg_open(&lay, path, &again, &e), (int)lay.n);
	cg_close(&again);
	cg_close(&cg);
	remove_ours();
	/* Already gone is success. */
	ok(cg_remove(&lay, path, TOKEN, 0, &e));
	ck_assert_int_eq(cg_open(&lay, path, &again, &e), 0);
	ck_assert_int_eq(cg_frozen(&again), 0);
	ok(cg_kill(&again, TOKEN, SIGKILL, &e));
	ok(cg_wait_empty(&again, 0, &e));
}
END_TEST

START_TEST(test_cpuset_is_filled_along_the_path)
{
	int i = cg_layout_find(&lay, "cpuset");
	struct cgroup cg;

	if (i < 0 || lay.h[i].v2)
		return;
	/* A parent that someone else made and left empty. */
	ck_assert_int_eq(mkdir(file_of((unsigned)i, base, ""), 0755), 0);
	ck_assert_str_eq(content((unsigned)i, base, "cpuset.cpus"), "");
	create(&cg);
	ck_assert_str_ne(content((unsigned)i, base, "cpuset.cpus"), "");
	ck_assert_str_ne(content((unsigned)i, path, "cpuset.cpus"), "");
	ck_assert_str_ne(content((unsigned)i, path, "cpuset.mems"), "");
	cg_close(&cg);
	ok(cg_remove(&lay, path, TOKEN, 1000, &e));
	/* It isn't ours: it stays. */
	ck_assert(exists((unsigned)i, base));
	ck_assert_int_eq(rmdir(file_of((unsigned)i, base, "")), 0);
}
END_TEST

static void make_by_hand(unsigned i)
{
	ck_assert_int_eq(mkdir(file_of(i, base, ""), 0755), 0);
	ck_assert_int_eq(mkdir(file_of(i, path, ""), 0755), 0);
}

static void remove_by_hand(unsigned i)
{
	ck_assert_int_eq(rmdir(file_of(i, path, "")), 0);
	ck_assert_int_eq(rmdir(file_of(i, base, "")), 0);
}

START_TEST(test_adopt)
{
	unsigned last = lay.n - 1;
	struct cgroup cg;

	make_by_hand(last);
	create(&cg);
	ck_assert(!cg.made[last]);
	ck_assert_int_ge(cg.dfd[last], 0);
	if (lay.n > 1)
		ck_assert(cg.made[0]);
	cg_close(&cg);
	ok(cg_remove(&lay, path, TOKEN, 1000, &e));
	for (unsigned i = 0; i < last; i++)
		ck_assert(!exists(i, base));
	ck_assert(exists(last, path));
	remove_by_hand(last);
}
END_TEST

static void expect_refused(void)
{
	struct cgroup cg;

	ck_assert_int_eq(cg_create(&lay, path, TOKEN, &cg, &e), -EBUSY);
	ck_assert_str_eq(e.path, "linux.cgroupsPath");
	ck_assert_ptr_nonnull(strstr(e.msg, "holds processes or other cgroups"));
	for (unsigned i = 0; i + 1 < lay.n; i++)
		ck_assert_msg(!exists(i, base), "%s is left", file_of(i, base, ""));
	for (unsigned i = 0; i < CG_HIER_MAX; i++)
		ck_assert_int_eq(cg.dfd[i], -1);
}

START_TEST(test_adopt_refused)
{
	unsigned last = lay.n - 1;
	char child[160];
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_on(NULL);
	}
	make_by_hand(last);
	snprintf(child, sizeof(child), "%s/sub", path);
	ck_assert_int_eq(mkdir(file_of(last, child, ""), 0755), 0);
	expect_refused();
	ck_assert_int_eq(rmdir(file_of(last, child, "")), 0);
	/* A canary: nobody may signal or move it. */
	char text[16];
	snprintf(text, sizeof(text), "%d", (int)pid);
	write_to(last, path, "cgroup.procs", text);
	expect_refused();
	struct cgroup cg;
	ok(cg_open(&lay, path, &cg, &e));
	ck_assert_int_eq(cg_kill(&cg, TOKEN, SIGKILL, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.msg, "doesn't carry this container's token"));
	ok(cg_remove(&lay, path, TOKEN, 0, &e));
	ck_assert_int_eq(kill(pid, 0), 0);
	cg_close(&cg);
	kill(pid, SIGKILL);
	wait_for(pid);
	remove_by_hand(last);
}
END_TEST

START_TEST(test_wrong_token)
{
	struct cgroup cg;
	char sub[160];

	create(&cg);
	pid_t pid = spawn(&cg, sleep_on, NULL);
	ck_assert_int_eq(cg_kill(&cg, OTHER_TOKEN, SIGKILL, &e), -EPERM);
	ck_assert_int_eq(cg_kill(&cg, OTHER_TOKEN, SIGTERM, &e), -EPERM);
	ck_assert_int_eq(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	wait_for(pid);
	snprintf(sub, sizeof(sub), "%s/sub", path);
	ck_assert_int_eq(mkdir(file_of(0, sub, ""), 0755), 0);
	ok(cg_remove(&lay, path, OTHER_TOKEN, 100, &e));
	ck_assert(exists(0, sub));
	for (unsigned i = 0; i < lay.n; i++)
		ck_assert(exists(i, path));
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_remove_deep_tree)
{
	struct cgroup cg;
	char sub[CG_PATH_MAX];

	create(&cg);
	cg_close(&cg);
	for (unsigned i = 0; i < lay.n; i++) {
		size_t n = (size_t)snprintf(sub, sizeof(sub), "%s", path);

		for (unsigned depth = 0; depth < 100; depth++) {
			n += (size_t)snprintf(sub + n, sizeof(sub) - n, "/d%u", depth);
			if (mkdir(file_of(i, sub, ""), 0755) < 0)
				ck_abort_msg("mkdir %s: %s", sub, err_text(errno));
		}
		for (unsigned wide = 0; wide < 20; wide++) {
			snprintf(sub, sizeof(sub), "%s/d0/w%u", path, wide);
			ck_assert_int_eq(mkdir(file_of(i, sub, ""), 0755), 0);
		}
	}
	remove_ours();
}
END_TEST

START_TEST(test_remove_busy_names_the_process)
{
	struct cgroup cg;
	char want[64];

	create(&cg);
	pid_t pid = spawn(&cg, sleep_on, NULL);
	ck_assert_int_eq(cg_remove(&lay, path, TOKEN, 50, &e), -EBUSY);
	snprintf(want, sizeof(want), "process %d (", (int)pid);
	ck_assert_msg(strstr(e.msg, want) != NULL, "%s", e.msg);
	ck_assert_int_eq(cg_wait_empty(&cg, 50, &e), -ETIMEDOUT);
	ck_assert_msg(strstr(e.msg, want) != NULL, "%s", e.msg);
	kill(pid, SIGKILL);
	ok(cg_wait_empty(&cg, 3000, &e));
	wait_for(pid);
	cg_close(&cg);
	remove_ours();
}
END_TEST

/* Many creators and removers of neighbours: the common parent comes and goes between their steps. */
START_TEST(test_parent_races)
{
	for (int k = 0; k < 4; k++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid > 0)
			continue;
		for (int round = 0; round < 40; round++) {
			char mine[128];
			struct cgroup cg;

			snprintf(mine, sizeof(mine), "%s/k%d", base, k);
			if (cg_create(&lay, mine, TOKEN, &cg, &e) < 0)
				_exit(1);
			cg_close(&cg);
			if (cg_remove(&lay, mine, TOKEN, 1000, &e) < 0)
				_exit(2);
		}
		_exit(0);
	}
	for (int k = 0; k < 4; k++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	for (unsigned i = 0; i < lay.n; i++)
		ck_assert_msg(!exists(i, base), "%s is left", file_of(i, base, ""));
}
END_TEST

/* ---- processes ---- */

static bool is_in(pid_t pid, const char *cgroup)
{
	char name[64], text[16384], want[160];
	unsigned n = 0;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	ck_assert_int_gt(io_read_at(AT_FDCWD, name, text, sizeof(text)), 0);
	snprintf(want, sizeof(want), ":%s\n", cgroup);
	for (const char *p = text; (p = strstr(p, want)) != NULL; p++)
		n++;
	return n == lay.n;
}

START_TEST(test_placement_and_signals)
{
	struct oci_arena a = { 0 };
	struct cgroup cg;
	pid_t *pids, pid[3];
	size_t n;

	create(&cg);
	ck_assert_int_eq(cg_oom_kills(&cg), cg_layout_find(&lay, "memory") < 0 ? -1 : 0);
	for (int i = 0; i < 3; i++) {
		pid[i] = spawn(&cg, sleep_on, NULL);
		ck_assert(is_in(pid[i], path));
	}
	ok(cg_pids(&cg, &a, &pids, &n, &e));
	ck_assert_uint_eq(n, 3);
	ck_assert(pids[0] < pids[1] && pids[1] < pids[2]);
	ok(cg_kill(&cg, TOKEN, SIGTERM, &e));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(WTERMSIG(wait_for(pid[i])), SIGTERM);
	pid[0] = spawn(&cg, sleep_on, NULL);
	ok(cg_kill(&cg, TOKEN, SIGKILL, &e));
	ok(cg_wait_empty(&cg, 3000, &e));
	ck_assert_int_eq(WTERMSIG(wait_for(pid[0])), SIGKILL);
	cg_close(&cg);
	remove_ours();
	oci_arena_release(&a);
}
END_TEST

/* 8 MiB that are really there. */
static int use_memory(void *arg UNUSED)
{
	static char pages[8 << 20];

	memset(pages, 1, sizeof(pages));
	__asm__ volatile("" : : "r"(pages) : "memory");
	return 0;
}

START_TEST(test_memory_limit_and_peak)
{
	int i = cg_layout_find(&lay, "memory");
	const int64_t limit = 64 << 20, used = 8 << 20;
	struct cgroup cg;

	create(&cg);
	if (i < 0) {
		ck_assert_int_eq(cg_memory_limit(&cg), -1);
		ck_assert_int_eq(cg_memory_peak(&cg), -1);
	} else {
		ck_assert_int_eq(cg_memory_limit(&cg), INT64_MAX);
		write_to((unsigned)i, path, lay.h[i].v2 ? "memory.max" : "memory.limit_in_bytes", "67108864");
		ck_assert_int_eq(cg_memory_limit(&cg), limit);
		ck_assert_int_eq(WEXITSTATUS(wait_for(spawn(&cg, use_memory, NULL))), 0);
		/* memory.peak came with Linux 5.19. */
		if (!lay.h[i].v2 || faccessat(cg.dfd[i], "memory.peak", F_OK, 0) == 0)
			ck_assert_int_ge(cg_memory_peak(&cg), used);
		ck_assert_int_le(cg_memory_peak(&cg), limit);
	}
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_move)
{
	struct cgroup cg;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_on(NULL);
	}
	create(&cg);
	ok(cg_move(&cg, pid, &e));
	ck_assert(is_in(pid, path));
	ok(cg_kill(&cg, TOKEN, SIGKILL, &e));
	ck_assert_int_eq(WTERMSIG(wait_for(pid)), SIGKILL);
	cg_close(&cg);
	remove_ours();
}
END_TEST

/* Every generation has two children and ends: no list of processes stays true for long. */
static int multiply(void *arg UNUSED)
{
	for (;;) {
		pid_t pid = fork();

		if (pid > 0 && fork() != 0)
			_exit(0);
		usleep(500);
	}
	return 0;
}

/* The v1 way, with processes that multiply: without v2 in the layout there is no cgroup.kill. */
START_TEST(test_kill_without_v2)
{
	int v2 = cg_layout_v2(&lay), pids = cg_layout_find(&lay, "pids");
	struct cgroup cg;

	if (lay.mode != CG_MODE_HYBRID || pids < 0 || lay.h[pids].v2)
		return;
	ck_assert_int_eq(v2, (int)lay.n - 1);
	lay.n--;
	lay.mode = CG_MODE_V1;
	create(&cg);
	write_to((unsigned)pids, path, "pids.max", "60");
	wait_for(spawn(&cg, multiply, NULL));
	usleep(20000);
	ok(cg_kill(&cg, TOKEN, SIGKILL, &e));
	/* What keeps them from outrunning the rounds. */
	ck_assert_str_eq(content((unsigned)pids, path, "pids.max"), "0");
	ok(cg_wait_empty(&cg, 3000, &e));
	cg_close(&cg);
	remove_ours();
}
END_TEST

START_TEST(test_frozen)
{
	int freezer = cg_layout_find(&lay, "freezer");
	struct cgroup cg, below;
	char sub[160];

	if (freezer < 0 || lay.h[freezer].v2)
		return;
	create(&cg);
	ck_assert_int_eq(cg_frozen(&cg), 0);
	pid_t pid = spawn(&cg, sleep_on, NULL);
	write_to((unsigned)freezer, path, "freezer.state", "FROZEN");
	ck_assert_int_eq(cg_frozen(&cg), 1);
	/* Nothing is created where nothing can run. */
	snprintf(sub, sizeof(sub), "%s/below", path);
	ck_assert_int_eq(cg_create(&lay, sub, TOKEN, &below, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.msg, "is frozen"));
	for (unsigned i = 0; i < lay.n; i++)
		ck_assert(!exists(i, sub));
	ok(cg_kill(&cg, TOKEN, SIGKILL, &e));
	ok(cg_wait_empty(&cg, 3000, &e));
	ck_assert_int_eq(WTERMSIG(wait_for(pid)), SIGKILL);
	cg_close(&cg);
	remove_ours();
}
END_TEST

int main(void)
{
	if (!fixture_begin())
		return SKIPPED;
	Suite *s = suite_create("cgroup root");
	TCase *t = fixture_tcase(s);

	tcase_add_test(t, test_create_everywhere);
	tcase_add_test(t, test_cpuset_is_filled_along_the_path);
	tcase_add_test(t, test_adopt);
	tcase_add_test(t, test_adopt_refused);
	tcase_add_test(t, test_wrong_token);
	tcase_add_test(t, test_remove_deep_tree);
	tcase_add_test(t, test_remove_busy_names_the_process);
	tcase_add_test(t, test_parent_races);
	tcase_add_test(t, test_placement_and_signals);
	tcase_add_test(t, test_memory_limit_and_peak);
	tcase_add_test(t, test_move);
	tcase_add_test(t, test_kill_without_v2);
	tcase_add_test(t, test_frozen);
	return fixture_run(s);
}
