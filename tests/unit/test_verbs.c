/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that need no child: state, list, kill, delete, ps. The containers are records beside plain
 * processes; the one test that needs a pid namespace is left out without root. What needs cgroups is in
 * test_undo.c. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "lib/hull.h"
#include "run/run.h"
#include "verbs_fixture.h"
#include "unit.h"

/* ---- kill ---- */

START_TEST(test_kill)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	char text[ERR_RENDER_MAX];
	struct err e;

	ck_assert_int_eq(hull_kill(&h, "c1", SIGTERM, false, &e), -ENOENT);
	ck_assert(strstr(err_render(&e, text, sizeof(text)), "does not exist"));
	ck_assert_ptr_null(strstr(text, "no such file"));
	make(&h, &rec, "");
	ck_assert_int_eq(hull_kill(&h, "c1", 0, false, &e), 0);
	ck_assert_int_eq(hull_kill(&h, "c1", -1, false, &e), -EINVAL);
	ck_assert_int_eq(hull_kill(&h, "c1", SIGRTMAX + 1, false, &e), -EINVAL);
	ck_assert(alive(pid));
	ck_assert_int_eq(hull_kill(&h, "c1", SIGTERM, false, &e), 0);
	waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
	for (int reaped = 0; reaped < 2; reaped++) {
		ck_assert_int_eq(hull_kill(&h, "c1", SIGTERM, false, &e), -ESRCH);
		err_render(&e, text, sizeof(text));
		ck_assert(strstr(text, "container not running") && strstr(text, "no such process"));
		/* All of nothing is done. */
		ck_assert_int_eq(hull_kill(&h, "c1", SIGKILL, true, &e), 0);
		if (!reaped)
			ck_assert_int_eq(ended_by(pid), SIGTERM);
	}
}
END_TEST

START_TEST(test_kill_is_no_number)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct err e;

	rec.init.pidfs_ino = 0;
	rec.init.start_time++;
	make(&h, &rec, "");
	ck_assert_int_eq(hull_kill(&h, "c1", SIGKILL, false, &e), -ESRCH);
	ck_assert(alive(pid));
	kill(pid, SIGKILL);
	ended_by(pid);
}
END_TEST

START_TEST(test_kill_without_cgroup)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct err e;

	make(&h, &rec, "");
	ck_assert_int_lt(hull_kill(&h, "c1", SIGKILL, true, &e), 0);
	ck_assert(strstr(e.msg, "no cgroup"));
	ck_assert(alive(pid));
	/* Not the init of a pid namespace: there may be others, which can't be found. */
	ck_assert_int_eq(hull_kill(&h, "c1", SIGKILL, false, &e), 0);
	ck_assert_int_eq(ended_by(pid), SIGKILL);
	ck_assert(strstr(warnings, "only its init is killed"));
}
END_TEST

/* ---- delete ---- */

START_TEST(test_delete_unknown)
{
	struct hull h = begin(), nowhere = { .root = strdup(fixture_path("nowhere")) };
	struct err e;

	ck_assert_int_eq(hull_delete(&h, "c1", true, &e), 0);
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -ENOENT);
	ck_assert_str_eq(e.msg, "container \"c1\" does not exist");
	ck_assert_int_eq(hull_delete(&nowhere, "c1", true, &e), 0);
	ck_assert_int_eq(hull_delete(&nowhere, "c1", false, &e), -ENOENT);
	ck_assert_str_eq(e.msg, "container \"c1\" does not exist");
	ck_assert_int_eq(access(nowhere.root, F_OK), -1);
	ck_assert_int_eq(hull_delete(&h, "../c1", true, &e), -EINVAL);
}
END_TEST

static int listen_in(const struct hull *h, const char *id)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(chdir(h->root), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/start.sock", id);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

START_TEST(test_delete_refused)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct err e;

	make(&h, &rec, "");
	int64_t before = clock_now_ms();
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -EBUSY);
	ck_assert_str_eq(e.msg, "container \"c1\" is not stopped: running");
	/* Nobody kills it: no reason to wait. */
	ck_assert_int_lt(clock_now_ms() - before, 500);
	int sock = listen_in(&h, "c1");
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -EBUSY);
	ck_assert_str_eq(e.msg, "container \"c1\" is not stopped: created");
	close(sock);
	ck_assert(alive(pid));
	ck_assert(exists(&h, "c1/state.json"));
	ck_assert_int_eq(hull_delete(&h, "c1", true, &e), 0);
	ck_assert_int_eq(ended_by(pid), SIGKILL);
	ck_assert_int_eq(entries(&h), 0);
}
END_TEST

/* A killed process that takes its time: the init of a pid namespace waits for one that a tracer holds at its
 * exit. */
static pid_t slow_to_die(pid_t *ret_held)
{
	int out[2];
	pid_t pids[1] = { 0 };

	ck_assert_int_eq(pipe(out), 0);
	pid_t middle = fork();
	if (middle == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(1);
		pids[0] = fork();
		if (pids[0] == 0) {
			if (fork() < 0)
				_exit(1);
			for (;;)
				pause();
		}
		_exit(write(out[1], pids, sizeof(pids)) != sizeof(pids));
	}
	ck_assert_int_eq(read(out[0], pids, sizeof(pids)), sizeof(pids));
	waitpid(middle, NULL, 0);
	char path[64], text[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pids[0], pids[0]);
	for (int i = 0; i < 1000 && io_read_at(AT_FDCWD, path, text, sizeof(text)) <= 0; i++)
		usleep(1000);
	*ret_held = (pid_t)strtol(text, NULL, 10);
	ck_assert_int_gt(*ret_held, 0);
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, *ret_held, 0, PTRACE_O_TRACEEXIT), 0);
	return pids[0];
}

START_TEST(test_delete_waits_for_the_dying)
{
	struct hull h = begin();
	struct err e;
	pid_t held;
	int status;

	if (geteuid() != 0)
		return;
	pid_t pid = slow_to_die(&held);
	ck_assert(proc_is_ns_init(pid));
	struct state_rec rec = rec_of("c1", pid);
	make(&h, &rec, "");
	/* Init of its own pid namespace: one signal by pidfd, nothing about cgroups. */
	ck_assert_int_eq(hull_kill(&h, "c1", SIGKILL, false, &e), 0);
	ck_assert_str_eq(warnings, "");
	ck_assert_int_eq(waitpid(held, &status, __WALL), held);
	ck_assert(WIFSTOPPED(status));
	ck_assert(proc_is_dying(pid));
	/* In vain first. */
	int64_t before = clock_now_ms();
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -EBUSY);
	ck_assert_int_ge(clock_now_ms() - before, 900);
	ck_assert_int_lt(clock_now_ms() - before, 2500);
	/* By force: the error names what is stuck. Not asked for: undo's ten seconds. */
	ck_assert_int_eq(undo_run(&rec, 100, 100, &e), -ETIMEDOUT);
	char number[32];
	snprintf(number, sizeof(number), "process %d (", pid);
	ck_assert_msg(strstr(e.msg, number), "%s", e.msg);
	pid_t deleter = fork();
	if (deleter == 0)
		_exit(hull_delete(&h, "c1", false, &e) == 0 ? 0 : 1);
	usleep(300000);
	ck_assert_int_eq(waitpid(deleter, NULL, WNOHANG), 0);
	ck_assert_int_eq(ptrace(PTRACE_CONT, held, 0, 0), 0);
	ck_assert_int_eq(waitpid(held, NULL, __WALL), held);
	ck_assert_int_eq(waitpid(deleter, &status, 0), deleter);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(entries(&h), 0);
}
END_TEST

static void read_text(const char *path, char *buf, size_t size)
{
	ssize_t n = io_read_at(AT_FDCWD, path, buf, size);

	ck_assert_msg(n >= 0, "%s: %s", path, strerror((int)-n));
}

START_TEST(test_poststop)
{
	struct hull h = begin();
	struct state_rec rec = rec_of("c1", 0);
	const char *out = strdup(fixture_path("hook-saw"));
	char config[1024], text[4096];
	struct err e;

	rec.bundle = h.root;
	snprintf(config, sizeof(config),
		 ",\"hooks\":{\"poststop\":[{\"path\":\"/bin/false\"},"
		 "{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"cat > %s; test -e %s/c1/state.json\"]}]}",
		 out, h.root);
	make(&h, &rec, config);
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), 0);
	read_text(out, text, sizeof(text));
	ck_assert(strstr(text, "\"stopped\""));
	/* One warning, of the hook that failed; the other saw the record still there. */
	ck_assert_msg(strstr(warnings, "poststop"), "%s", warnings);
	ck_assert_ptr_null(strstr(warnings, "[1]"));
	ck_assert_int_eq(entries(&h), 0);
}
END_TEST

START_TEST(test_delete_damaged)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	const char *out = strdup(fixture_path("hook-ran"));
	char path[512], config[512];
	struct err e;

	snprintf(config, sizeof(config),
		 ",\"hooks\":{\"poststop\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"echo > %s\"]}]}", out);
	make(&h, &rec, config);
	snprintf(path, sizeof(path), "%s/c1/state.json", h.root);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "#", 1, 30), 1);
	close(fd);
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -EBADMSG);
	ck_assert(exists(&h, "c1"));
	ck_assert_int_eq(hull_delete(&h, "c1", true, &e), 0);
	ck_assert(strstr(warnings, "damaged"));
	ck_assert_int_eq(entries(&h), 0);
	/* Neither a pid nor a hook of a damaged record is believed. */
	ck_assert(alive(pid));
	ck_assert_int_eq(access(out, F_OK), -1);
	kill(pid, SIGKILL);
	ended_by(pid);
}
END_TEST

START_TEST(test_delete_breaks_a_stuck_lock)
{
	struct hull h = begin();
	struct state_rec rec = fixture_rec("c1");
	struct err e;
	char number[32];
	int ready[2];
	char c;

	rec.undo = process_only;
	rec.n_undo = 1;
	make(&h, &rec, "");
	ck_assert_int_eq(pipe(ready), 0);
	pid_t holder = fork();
	if (holder == 0) {
		ck_assert_int_eq(chdir(h.root), 0);
		if (flock(open("c1", O_RDONLY | O_DIRECTORY | O_CLOEXEC), LOCK_EX) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	/* A creator at work, as far as anyone can see. */
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -EBUSY);
	ck_assert_str_eq(e.msg, "container \"c1\" is not stopped: creating");
	int64_t before = clock_now_ms();
	ck_assert_int_eq(hull_delete(&h, "c1", true, &e), 0);
	ck_assert_int_ge(clock_now_ms() - before, 3000);
	ck_assert_int_lt(clock_now_ms() - before, 6000);
	snprintf(number, sizeof(number), "process %d (", holder);
	ck_assert_msg(strstr(warnings, number), "%s", warnings);
	ck_assert_int_eq(entries(&h), 0);
	ck_assert(alive(holder));
	kill(holder, SIGKILL);
	ended_by(holder);
}
END_TEST

START_TEST(test_delete_leftovers)
{
	struct hull h = begin();
	pid_t pid = sleeper();
	struct state_rec rec = rec_of("c1", pid);
	struct err e;

	/* A claim whose creator was killed, a delete that was killed at its end, a delete that was killed
	 * after it broke a lock. */
	make(&h, &rec, "");
	ck_assert_int_eq(chdir(h.root), 0);
	ck_assert_int_eq(rename("c1", ".dead-c1.0123456789abcdef"), 0);
	ck_assert_int_eq(mkdir(".dead-c1.fedcba9876543210", 0700), 0);
	ck_assert_int_eq(mkdir(".c1.abcdef", 0700), 0);
	ck_assert_int_eq(mkdir("c1.x", 0700), 0);
	int locked = open(".dead-c1.0123456789abcdef", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(locked, LOCK_EX), 0);
	ck_assert_int_eq(hull_delete(&h, "c1", false, &e), -ENOENT);
	ck_assert_int_eq(entries(&h), 2);
	ck_assert(alive(pid));
	ck_assert_int_eq(hull_delete(&h, "c1", true, &e), 0);
	ck_assert_int_eq(entries(&h), 1);
	ck_assert_int_eq(ended_by(pid), SIGKILL);
	ck_assert(exists(&h, "c1.x"));
}
END_TEST

/* ---- state, list, ps ---- */

START_TEST(test_state_and_list)
{
	struct hull h = begin(), nowhere = { .root = strdup(fixture_path("nowhere")) };
	pid_t pid = sleeper();
	struct state_rec b = rec_of("b", pid), a = rec_of("a", 0);
	struct oci_kv note[] = { { "k", "v" } };
	struct oci_arena arena = { 0 };
	struct hull_list list;
	struct oci_state *s;
	struct err e;

	b.annotations = (struct oci_map){ note, 1, true };
	make(&h, &b, "");
	make(&h, &a, "");
	ck_assert_int_eq(hull_state(&h, "none", &arena, &s, &e), -ENOENT);
	ck_assert_int_eq(hull_state(&h, "b", &arena, &s, &e), 0);
	ck_assert_str_eq(s->oci_version, OCI_VERSION_MAX);
	ck_assert_str_eq(s->id, "b");
	ck_assert_int_eq(s->status, OCI_STATUS_RUNNING);
	ck_assert_int_eq(s->pid.v, pid);
	ck_assert_str_eq(s->bundle, "/bundle");
	ck_assert_str_eq(oci_map_get(&s->annotations, "k"), "v");
	ck_assert_int_eq(mkdir(strcat(strcpy((char[512]){ 0 }, h.root), "/broken"), 0700), 0);
	ck_assert_int_eq(hull_list(&h, &arena, &list, &e), 0);
	ck_assert_uint_eq(list.n, 2);
	ck_assert_str_eq(list.v[0]->id, "a");
	ck_assert_int_eq(list.v[0]->status, OCI_STATUS_STOPPED);
	ck_assert(list.v[0]->pid.set && list.v[0]->pid.v == 0);
	ck_assert_str_eq(list.v[1]->id, "b");
	ck_assert_msg(strstr(warnings, "\"broken\""), "%s", warnings);
	/* A root that was named should be there. */
	ck_assert_int_eq(hull_list(&nowhere, &arena, &list, &e), -ENOENT);
	ck_assert_uint_eq(list.n, 0);
	kill(pid, SIGKILL);
	ended_by(pid);
	ck_assert_int_eq(hull_state(&h, "b", &arena, &s, &e), 0);
	ck_assert_int_eq(s->status, OCI_STATUS_STOPPED);
	ck_assert_int_eq(s->pid.v, 0);
	oci_arena_release(&arena);
}
END_TEST

START_TEST(test_ps_without_cgroup)
{
	struct hull h = begin();
	pid_t pid = sleeper(), *pids;
	struct state_rec rec = rec_of("c1", pid);
	struct oci_arena a = { 0 };
	struct err e;
	size_t n;

	ck_assert_int_eq(hull_ps(&h, "c1", &a, &pids, &n, &e), -ENOENT);
	make(&h, &rec, "");
	ck_assert_int_eq(hull_ps(&h, "c1", &a, &pids, &n, &e), 0);
	ck_assert(n == 1 && pids[0] == pid);
	kill(pid, SIGKILL);
	ended_by(pid);
	ck_assert_int_eq(hull_ps(&h, "c1", &a, &pids, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	oci_arena_release(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("verbs");
	TCase *t = tcase_create("verbs");

	fixture_start();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_kill);
	tcase_add_test(t, test_kill_is_no_number);
	tcase_add_test(t, test_kill_without_cgroup);
	tcase_add_test(t, test_delete_unknown);
	tcase_add_test(t, test_delete_refused);
	tcase_add_test(t, test_delete_waits_for_the_dying);
	tcase_add_test(t, test_poststop);
	tcase_add_test(t, test_delete_damaged);
	tcase_add_test(t, test_delete_breaks_a_stuck_lock);
	tcase_add_test(t, test_delete_leftovers);
	tcase_add_test(t, test_state_and_list);
	tcase_add_test(t, test_ps_without_cgroup);
	suite_add_tcase(s, t);
	int r = unit_run(s);
	fixture_end();
	return r;
}
