/* SPDX-License-Identifier: Apache-2.0 */
/* What is undone and what is spared: everything that carries the token, and nothing else. Most of it needs
 * root and the host's cgroups, in a cgroup of the test's own; without root those tests are left out. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "lib/container.h"
#include "run/run.h"
#include "unit.h"
#include "verbs_fixture.h"

#define OTHER_TOKEN "ffeeddccbbaa99887766554433221100"

/* ---- processes ---- */

START_TEST(test_undo_process)
{
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct err e;

	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
	/* A zombie, and then nobody. */
	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
	ck_assert_int_eq(ended_by(pid), SIGKILL);
	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
	rec.init = (struct proc_id){ 0 };
	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
}
END_TEST

START_TEST(test_undo_spares_others)
{
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct undo strange[] = {
		{ UNDO_CGROUP, "relative" }, { UNDO_CGROUP, "/" }, { UNDO_CGROUP, "/a/../b" }, { UNDO_CGROUP, "" },
	};
	struct err e;

	/* The number was given to another process since. */
	rec.init.pidfs_ino = 0;
	rec.init.start_time--;
	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
	ck_assert(alive(pid));
	rec = rec_of("c1", pid);
	if (rec.init.pidfs_ino) {
		rec.init.pidfs_ino++;
		ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
		ck_assert(alive(pid));
	}
	/* The machine was started anew since. */
	rec = rec_of("c1", pid);
	rec.boot_id = "11111111-2222-3333-4444-555555555555";
	ck_assert_int_eq(undo_run(&rec, 5000, 5000, &e), 0);
	ck_assert(alive(pid));
	/* Paths that hull never writes. */
	rec = rec_of("c1", 0);
	rec.undo = strange;
	rec.n_undo = ARRAY_LEN(strange);
	ck_assert_int_eq(undo_run(&rec, 1000, 1000, &e), 0);
	ck_assert(alive(pid));
	kill(pid, SIGKILL);
	ended_by(pid);
}
END_TEST

/* ---- cgroups ---- */

struct world {
	struct hull h;
	struct cg_layout lay;
	struct cgroup cg;
	struct state_rec rec;
	struct undo undo[2];
	char path[64];
	pid_t init, other; /* both in the cgroup, `other` in one below it */
};

static pid_t main_pid;

static bool can_cgroup(void)
{
	struct cg_layout lay;
	struct err e;

	return geteuid() == 0 && cg_layout_detect(&lay, &e) == 0 && lay.n > 0;
}

static void make_sub(const struct cgroup *cg, const char *name)
{
	for (unsigned i = 0; i < cg->lay->n; i++)
		if (cg->dfd[i] >= 0)
			ck_assert(mkdirat(cg->dfd[i], name, 0755) == 0 || errno == EEXIST);
}

static int gone(const struct world *w)
{
	struct cgroup cg;
	struct err e;
	int n = 0;

	ck_assert_int_ge(cg_open(&w->lay, w->path, &cg, &e), 0);
	for (unsigned i = 0; i < w->lay.n; i++)
		n += cg.dfd[i] >= 0;
	cg_close(&cg);
	return n == 0;
}

/* A container with two processes in a cgroup that carries `token`; the record has the fixture's. */
static void build(struct world *w, const char *token)
{
	char sub[128];
	struct cgroup below;
	struct err e;

	w->h = begin();
	ck_assert_int_eq(cg_layout_detect(&w->lay, &e), 0);
	snprintf(w->path, sizeof(w->path), "/hull-unit-%d/%d/c1", main_pid, getpid());
	int r = cg_create(&w->lay, w->path, token, &w->cg, &e);
	ck_assert_msg(r == 0, "%s", e.msg);
	make_sub(&w->cg, "sub");
	snprintf(sub, sizeof(sub), "%s/sub", w->path);
	ck_assert_int_ge(cg_open(&w->lay, sub, &below, &e), 0);
	w->init = sleeper();
	w->other = sleeper();
	r = cg_move(&w->cg, w->init, &e);
	ck_assert_msg(r == 0, "%s", e.msg);
	r = cg_move(&below, w->other, &e);
	ck_assert_msg(r == 0, "%s", e.msg);
	cg_close(&below);
	w->rec = rec_of("c1", w->init);
	w->undo[0] = (struct undo){ UNDO_CGROUP, w->path };
	w->undo[1] = (struct undo){ UNDO_PROCESS, NULL };
	w->rec.undo = w->undo;
	w->rec.n_undo = 2;
	make(&w->h, &w->rec, "");
}

/* Whatever is still there, by the token that the cgroup really has. */
static void clear(struct world *w, const char *token)
{
	struct err e;

	kill(w->init, SIGKILL);
	kill(w->other, SIGKILL);
	waitpid(w->init, NULL, 0);
	waitpid(w->other, NULL, 0);
	cg_close(&w->cg);
	ck_assert_msg(cg_remove(&w->lay, w->path, token, 2000, &e) == 0, "%s", e.msg);
	ck_assert(gone(w));
}

START_TEST(test_undo_cgroup)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	int r = undo_run(&w.rec, 5000, 5000, &e);
	ck_assert_msg(r == 0, "%s", e.msg);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert_int_eq(ended_by(w.other), SIGKILL);
	ck_assert(gone(&w));
	char parent[64];
	snprintf(parent, sizeof(parent), "/hull-unit-%d/%d", main_pid, getpid());
	snprintf(w.path, sizeof(w.path), "%s", parent);
	ck_assert(gone(&w));
	ck_assert_int_eq(undo_run(&w.rec, 5000, 5000, &e), 0);
}
END_TEST

/* The path is the record's, the cgroup is another's: made by another runtime (no mark), or by hull for
 * somebody else. */
START_TEST(test_undo_spares_strangers)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, OTHER_TOKEN);
	w.rec.init = (struct proc_id){ 0 };
	ck_assert_int_eq(undo_run(&w.rec, 2000, 2000, &e), 0);
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGKILL, true, &e), -EPERM);
	ck_assert(alive(w.init) && alive(w.other));
	/* Its own init, proven by its identity, dies; its neighbour in the foreign cgroup doesn't. */
	ck_assert_int_eq(hull_delete(&w.h, "c1", true, &e), 0);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert(alive(w.other));
	ck_assert(!gone(&w));
	clear(&w, OTHER_TOKEN);
}
END_TEST

START_TEST(test_undo_without_token)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	w.rec.init = (struct proc_id){ 0 };
	w.rec.token[0] = '\0';
	ck_assert_int_eq(undo_run(&w.rec, 2000, 2000, &e), 0);
	memcpy(w.rec.token, OTHER_TOKEN, sizeof(w.rec.token));
	ck_assert_int_eq(undo_run(&w.rec, 2000, 2000, &e), 0);
	ck_assert(alive(w.init) && alive(w.other));
	clear(&w, FIXTURE_TOKEN);
}
END_TEST

START_TEST(test_damaged_record_is_undone_by_token)
{
	struct world w;
	char path[512], text[4096];
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	snprintf(path, sizeof(path), "%s/c1/state.json", w.h.root);
	ck_assert_int_gt(io_read_at(AT_FDCWD, path, text, sizeof(text)), 0);
	char *boot = strstr(text, "\"bootId\":\"");
	ck_assert_ptr_nonnull(boot);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "X", 1, boot - text + 12), 1);
	close(fd);
	ck_assert_int_eq(hull_delete(&w.h, "c1", true, &e), 0);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert_int_eq(ended_by(w.other), SIGKILL);
	ck_assert(gone(&w));
	ck_assert_int_eq(entries(&w.h), 0);
	cg_close(&w.cg);
}
END_TEST

START_TEST(test_kill_all_and_ps)
{
	struct world w;
	struct oci_arena a = { 0 };
	pid_t *pids, low, high;
	struct err e;
	size_t n;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	low = w.init < w.other ? w.init : w.other;
	high = w.init < w.other ? w.other : w.init;
	ck_assert_int_eq(hull_ps(&w.h, "c1", &a, &pids, &n, &e), 0);
	ck_assert(n == 2 && pids[0] == low && pids[1] == high);
	/* One signal for init alone, one for all. */
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGTERM, false, &e), 0);
	ck_assert_int_eq(ended_by(w.init), SIGTERM);
	ck_assert(alive(w.other));
	/* Init is gone, its neighbour isn't: what engines send after the exit of a container that shares its
	 * pid namespace. */
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGUSR1, false, &e), -ESRCH);
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGUSR1, true, &e), 0);
	ck_assert_int_eq(ended_by(w.other), SIGUSR1);
	ck_assert_int_eq(hull_ps(&w.h, "c1", &a, &pids, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(hull_delete(&w.h, "c1", false, &e), 0);
	ck_assert(gone(&w));
	ck_assert_int_eq(hull_ps(&w.h, "c1", &a, &pids, &n, &e), -ENOENT);
	cg_close(&w.cg);
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_sigkill_takes_all)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGKILL, false, &e), 0);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert_int_eq(ended_by(w.other), SIGKILL);
	ck_assert_str_eq(warnings, "");
	ck_assert_int_eq(hull_delete(&w.h, "c1", false, &e), 0);
	ck_assert(gone(&w));
	cg_close(&w.cg);
}
END_TEST

static void freeze(const struct world *w)
{
	int v2 = cg_layout_v2(&w->lay), v1 = cg_layout_find(&w->lay, "freezer");

	if (v1 >= 0 && w->cg.dfd[v1] >= 0)
		ck_assert_int_eq(io_write_once_at(w->cg.dfd[v1], "freezer.state", "FROZEN", 6), 0);
	else
		ck_assert_int_eq(io_write_once_at(w->cg.dfd[v2], "cgroup.freeze", "1", 1), 0);
}

START_TEST(test_paused)
{
	struct world w;
	struct oci_arena a = { 0 };
	struct oci_state *s;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	freeze(&w);
	ck_assert_int_eq(hull_state(&w.h, "c1", &a, &s, &e), 0);
	ck_assert_int_eq(s->status, OCI_STATUS_PAUSED);
	ck_assert_int_eq(hull_delete(&w.h, "c1", false, &e), -EBUSY);
	ck_assert_str_eq(e.msg, "container \"c1\" is not stopped: paused");
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGUSR2, false, &e), 0);
	ck_assert_int_eq(hull_kill(&w.h, "c1", SIGKILL, false, &e), 0);
	ended_by(w.init);
	ended_by(w.other);
	ck_assert_int_eq(hull_delete(&w.h, "c1", false, &e), 0);
	ck_assert(gone(&w));
	cg_close(&w.cg);
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_delete_frozen_by_force)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	freeze(&w);
	int64_t before = clock_now_ms();
	ck_assert_int_eq(hull_delete(&w.h, "c1", true, &e), 0);
	ck_assert_int_lt(clock_now_ms() - before, 1000);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert_int_eq(ended_by(w.other), SIGKILL);
	ck_assert(gone(&w));
	cg_close(&w.cg);
}
END_TEST

/* A creator that was killed: the record, maybe a cgroup, no process known. */
START_TEST(test_dead_creation)
{
	struct world w;
	struct err e;

	if (!can_cgroup())
		return;
	build(&w, FIXTURE_TOKEN);
	ck_assert_int_eq(hull_delete(&w.h, "c1", true, &e), 0);
	clear(&w, FIXTURE_TOKEN);
	build(&w, FIXTURE_TOKEN);
	struct state_dir d;
	int root = open(w.h.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(state_open(root, "c1", 0, &d, &e), 0);
	struct oci_arena a = { 0 };
	struct state_rec rec;
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), 0);
	rec.stage = STAGE_CREATING;
	rec.init = (struct proc_id){ 0 };
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	state_close(&d);
	ck_assert_int_eq(container_destroy_stale(root, "c1", 5000, &e), 0);
	ck_assert_int_eq(ended_by(w.init), SIGKILL);
	ck_assert_int_eq(ended_by(w.other), SIGKILL);
	ck_assert(gone(&w));
	ck_assert_int_eq(entries(&w.h), 0);
	ck_assert_int_eq(container_destroy_stale(root, "c1", 5000, &e), 0);
	cg_close(&w.cg);
	oci_arena_release(&a);
}
END_TEST

/* What a failed test left; libcheck has killed its processes. */
static void remove_cgroups(void)
{
	struct cg_layout lay;
	char path[256];
	struct err e;

	if (!can_cgroup() || cg_layout_detect(&lay, &e) < 0)
		return;
	for (unsigned i = 0; i < lay.n; i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/hull-unit-%d", lay.h[i].dir, main_pid);
		fixture_remove_tree(AT_FDCWD, path);
	}
}

int main(void)
{
	Suite *s = suite_create("undo");
	TCase *t = tcase_create("undo");

	main_pid = getpid();
	fixture_start();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_undo_process);
	tcase_add_test(t, test_undo_spares_others);
	tcase_add_test(t, test_undo_cgroup);
	tcase_add_test(t, test_undo_spares_strangers);
	tcase_add_test(t, test_undo_without_token);
	tcase_add_test(t, test_damaged_record_is_undone_by_token);
	tcase_add_test(t, test_kill_all_and_ps);
	tcase_add_test(t, test_sigkill_takes_all);
	tcase_add_test(t, test_paused);
	tcase_add_test(t, test_delete_frozen_by_force);
	tcase_add_test(t, test_dead_creation);
	suite_add_tcase(s, t);
	int r = unit_run(s);
	remove_cgroups();
	fixture_end();
	return r;
}
