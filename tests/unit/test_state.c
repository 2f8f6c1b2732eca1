/* SPDX-License-Identifier: Apache-2.0 */
/* src/state: ids, roots, claims, locks, records, process identity, status. Needs no root; what does is left
 * out for others. */
#include "state/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "state_fixture.h"
#include "unit.h"


/* ---- ids and roots ---- */

START_TEST(test_ids)
{
	static const char *const good[] = { "a", "A9_+.-", "c1.x", "-", "+", "0", "dead-c1" };
	static const char *const bad[] = { "", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "a%", "/", "a\x01" };
	char longest[STATE_ID_MAX + 2];
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(state_id_check(good[i], &e) == 0, "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e.msg[0] = '\0';
		ck_assert_msg(state_id_check(bad[i], &e) == -EINVAL, "%s", bad[i]);
		ck_assert(strstr(e.msg, "container id"));
	}
	memset(longest, 'x', sizeof(longest));
	longest[STATE_ID_MAX] = '\0';
	ck_assert_int_eq(state_id_check(longest, &e), 0);
	longest[STATE_ID_MAX] = 'x';
	longest[STATE_ID_MAX + 1] = '\0';
	ck_assert_int_eq(state_id_check(longest, &e), -EINVAL);
}
END_TEST

static int try_root(const char *path, bool create, struct err *e)
{
	int r = state_root_open(path, create, e);

	if (r >= 0)
		close(r);
	return r < 0 ? r : 0;
}

START_TEST(test_root_is_made_with_parents)
{
	const char *path = fixture_path("a/b//c/./");
	struct err e;
	struct stat st;

	ck_assert_int_eq(try_root(path, false, &e), -ENOENT);
	ck_assert_int_eq(access(fixture_path("a"), F_OK), -1);
	ck_assert_int_eq(try_root(path, true, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(try_root(path, false, &e), 0);
}
END_TEST

START_TEST(test_root_refused)
{
	static const char *const slash[] = { "/", "//", "/.", "/./", "/../" };
	static const char *const links[] = { "link", "link/", "link/.", "link/./" };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(slash); i++) {
		ck_assert_int_eq(try_root(slash[i], true, &e), -EINVAL);
		ck_assert(strstr(e.msg, "--root / is refused"));
	}
	ck_assert_int_eq(try_root("", true, &e), -EINVAL);
	mkdir(fixture_path("dir"), 0700);
	ck_assert_int_eq(symlink(fixture_path("dir"), fixture_path("link")), 0);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		ck_assert_int_eq(try_root(fixture_path(links[i]), true, &e), -ENOTDIR);
		ck_assert(strstr(e.msg, "symbolic link"));
	}
	close(open(fixture_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_lt(try_root(fixture_path("file"), true, &e), 0);
	for (mode_t bit = 1; bit <= 040; bit <<= 1) {
		ck_assert_int_eq(chmod(fixture_path("dir"), 0700 | bit), 0);
		ck_assert_int_lt(try_root(fixture_path("dir"), true, &e), 0);
		ck_assert(strstr(e.msg, "group and others"));
	}
	ck_assert_int_eq(chmod(fixture_path("dir"), 0700), 0);
	ck_assert_int_eq(try_root(fixture_path("dir"), true, &e), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(fixture_path("dir"), 1, 0), 0);
		ck_assert_int_lt(try_root(fixture_path("dir"), true, &e), 0);
		ck_assert(strstr(e.msg, "belongs to uid 1"));
	}
}
END_TEST

/* The default place: never XDG_RUNTIME_DIR for root of the host, nothing else for others. */
START_TEST(test_root_default)
{
	struct stat xdg, got;
	struct err e;

	mkdir(fixture_path("xdg"), 0700);
	setenv("XDG_RUNTIME_DIR", fixture_path("xdg"), 1);
	if (geteuid() == 0) {
		mkdir(fixture_path("xdg/hull"), 0700);
		int fd = state_root_open(NULL, false, &e);
		ck_assert(fd < 0 || (fstat(fd, &got) == 0 && stat(fixture_path("xdg/hull"), &xdg) == 0 &&
				     got.st_ino != xdg.st_ino));
		rmdir(fixture_path("xdg/hull"));
		ck_assert_int_eq(chmod(fixture_path(""), 0711), 0);
		ck_assert_int_eq(chown(fixture_path("xdg"), 4242, 4242), 0);
		ck_assert_int_eq(seteuid(4242), 0);
	}
	ck_assert_int_eq(try_root(NULL, true, &e), 0);
	ck_assert_int_eq(stat(fixture_path("xdg/hull"), &got), 0);
	ck_assert_int_eq(got.st_mode & 07777, 01700);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	ck_assert_int_eq(try_root(NULL, true, &e), -EINVAL);
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert_int_eq(try_root(NULL, true, &e), -EINVAL);
	ck_assert(strstr(e.msg, "XDG_RUNTIME_DIR is not set"));
}
END_TEST

/* ---- claims ---- */

static int entries_with_dot(int root)
{
	DIR *dir = fdopendir(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *ent;
	int n = 0;

	while ((ent = readdir(dir)))
		n += ent->d_name[0] == '.' && !streq(ent->d_name, ".") && !streq(ent->d_name, "..");
	closedir(dir);
	return n;
}

enum { WON = 0, LOST = 1, STALE = 2, BROKEN = 3 };

/* Claim "c1" and leave at once (a winner without CREATED is a dead creator from then on). */
static void claim_and_exit(int root, int go, int hold)
{
	struct state_rec rec = fixture_rec("c1");
	struct state_dir d;
	struct err e;
	bool stale;
	char c;

	if (read(go, &c, 1) != 0)
		_exit(BROKEN);
	int r = state_claim(root, &rec, "{}", 2, &d, &stale, &e);
	if (r == 0) {
		/* Until all others have tried: a loser must see a live creator. */
		if (read(hold, &c, 1) != 0)
			_exit(BROKEN);
		_exit(WON);
	}
	if (r != -EEXIST || !strstr(e.msg, "container with id exists: c1"))
		_exit(BROKEN);
	_exit(stale ? STALE : LOST);
}

START_TEST(test_claim_race)
{
	enum { N = 32 };
	int root = fixture_root();

	for (int round = 0; round < 8; round++) {
		int go[2], hold[2], count[4] = { 0 }, status;
		pid_t pid[N];
		ck_assert(pipe(go) == 0 && pipe(hold) == 0);
		for (int i = 0; i < N; i++) {
			pid[i] = fork();
			if (pid[i] == 0) {
				close(go[1]);
				close(hold[1]);
				claim_and_exit(root, go[0], hold[0]);
			}
		}
		close(go[1]);
		for (int i = 0; i < N - 1; i++) {
			ck_assert_int_gt(wait(&status), 0);
			ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 4);
			count[WEXITSTATUS(status)]++;
		}
		close(hold[1]);
		ck_assert_int_gt(wait(&status), 0);
		count[WEXITSTATUS(status)]++;
		ck_assert_int_eq(count[WON], 1);
		ck_assert_int_eq(count[LOST], N - 1);
		ck_assert_int_eq(entries_with_dot(root), 0);
		fixture_remove(root, "c1");
		close(go[0]);
		close(hold[0]);
	}
}
END_TEST

/* Those who tidy up never take a living claim away for good. */
START_TEST(test_claim_among_sweepers)
{
	int root = fixture_root();
	pid_t sweeper[3];
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(sweeper); i++) {
		sweeper[i] = fork();
		while (sweeper[i] == 0)
			if (state_remove_claims(root, "c1", &e) < 0)
				_exit(1);
	}
	for (int i = 0; i < 100; i++) {
		struct state_dir d = fixture_claim(root, "c1");
		ck_assert(state_still_ours(&d));
		ck_assert_int_eq(state_remove(&d, &e), 0);
		state_close(&d);
	}
	for (size_t i = 0; i < ARRAY_LEN(sweeper); i++) {
		int status;
		kill(sweeper[i], SIGKILL);
		waitpid(sweeper[i], &status, 0);
		ck_assert(WIFSIGNALED(status));
	}
}
END_TEST

START_TEST(test_claim_stale)
{
	int root = fixture_root();
	struct state_rec rec = fixture_rec("c1");
	struct state_dir d, other;
	struct err e;
	bool stale;

	d = fixture_claim(root, "c1");
	ck_assert_int_eq(state_claim(root, &rec, "{}", 2, &other, &stale, &e), -EEXIST);
	ck_assert(!stale);
	/* The creator dies. */
	state_close(&d);
	ck_assert_int_eq(state_claim(root, &rec, "{}", 2, &other, &stale, &e), -EEXIST);
	ck_assert(stale);
	/* The creator finishes. */
	ck_assert_int_eq(state_open(root, "c1", 0, &d, &e), 0);
	rec.stage = STAGE_CREATED;
	d.has_config_sum = true;
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	state_close(&d);
	rec.stage = STAGE_CREATING;
	ck_assert_int_eq(state_claim(root, &rec, "{}", 2, &other, &stale, &e), -EEXIST);
	ck_assert(!stale);
	/* A damaged one is not for create to remove. */
	ck_assert_int_eq(state_open(root, "c1", 0, &d, &e), 0);
	ck_assert_int_eq(unlinkat(d.dfd, "state.json", 0), 0);
	state_close(&d);
	ck_assert_int_eq(state_claim(root, &rec, "{}", 2, &other, &stale, &e), -EEXIST);
	ck_assert(!stale);
	ck_assert_int_eq(entries_with_dot(root), 0);
}
END_TEST

START_TEST(test_leftover_claims)
{
	static const char *const names[] = {
		".c1.abcdef", ".c1.x.abcdef", ".c1.abcdefg", ".dead-c1.abcdef", ".c10.abcdef", ".c1.locked",
	};
	int root = fixture_root(), fds[ARRAY_LEN(names)];
	struct stat st;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ck_assert_int_eq(mkdirat(root, names[i], 0700), 0);
		fds[i] = openat(root, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_eq(io_replace_at(fds[i], "config.json", "{}", 2, 0600), 0);
		ck_assert_int_eq(io_replace_at(fds[i], ".state.json.0123456789abcdef", "{", 1, 0600), 0);
	}
	ck_assert_int_eq(flock(fds[5], LOCK_EX), 0);
	ck_assert_int_eq(state_remove_claims(root, "c1", &e), 0);
	ck_assert_int_eq(fstatat(root, names[0], &st, 0), -1);
	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		ck_assert_msg(fstatat(root, names[i], &st, 0) == 0, "%s", names[i]);
	ck_assert_int_eq(state_remove_claims(root, "dead-c1", &e), 0);
	ck_assert_int_eq(fstatat(root, names[3], &st, 0), -1);
}
END_TEST

/* ---- locks ---- */

START_TEST(test_lock_deadline_and_break)
{
	int root = fixture_root();
	struct state_dir holder = fixture_claim(root, "c1"), d, again;
	struct state_rec rec = fixture_rec("c1"), back;
	struct oci_arena a = { 0 };
	struct err e;
	char self[32];
	bool stale;

	int64_t before = clock_now_ms();
	ck_assert_int_eq(state_open(root, "c1", 150, &d, &e), -EBUSY);
	int64_t took = clock_now_ms() - before;
	ck_assert_msg(took >= 150 && took < 2000, "%lld ms", (long long)took);
	snprintf(self, sizeof(self), "process %d (", getpid());
	ck_assert_msg(strstr(e.msg, self), "%s", e.msg);

	ck_assert_int_eq(state_open(root, "c1", -1, &d, &e), 0);
	ck_assert(state_still_ours(&holder));
	ck_assert_int_eq(state_break(&d, &e), 0);
	ck_assert(!state_still_ours(&holder));
	ck_assert_int_eq(state_rec_read(&d, &a, &back, &e), 0);
	/* The id is free although the old directory is still locked. */
	ck_assert_int_eq(state_claim(root, &rec, "{}", 2, &again, &stale, &e), 0);
	/* What the stuck creator does later must not hit the new one. */
	ck_assert_int_eq(state_remove(&holder, &e), 0);
	ck_assert(state_still_ours(&again));
	ck_assert_int_eq(faccessat(again.dfd, "state.json", F_OK, 0), 0);
	ck_assert_int_eq(state_remove(&d, &e), 0);
	ck_assert(state_still_ours(&again));
	ck_assert_int_eq(entries_with_dot(root), 0);
	oci_arena_release(&a);
}
END_TEST

/* Who waits for the lock of a directory that is removed and made again gets the new one. */
START_TEST(test_lock_follows_the_name)
{
	int root = fixture_root(), status;
	struct state_dir old = fixture_claim(root, "c1"), d;
	struct err e;

	pid_t waiter = fork();
	if (waiter == 0) {
		state_close(&old);
		if (state_open(root, "c1", 5000, &d, &e) < 0)
			_exit(2);
		_exit(state_still_ours(&d) && faccessat(d.dfd, "state.json", F_OK, 0) == 0 ? 0 : 1);
	}
	usleep(50000);
	ck_assert_int_eq(state_remove(&old, &e), 0);
	struct state_dir fresh = fixture_claim(root, "c1");
	state_close(&old);
	usleep(50000);
	ck_assert_int_eq(waitpid(waiter, &status, WNOHANG), 0);
	state_close(&fresh);
	ck_assert_int_eq(waitpid(waiter, &status, 0), waiter);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_open_refused)
{
	int root = fixture_root();
	struct state_dir d;
	struct err e;

	ck_assert_int_eq(state_open(root, "none", -1, &d, &e), -ENOENT);
	ck_assert_str_eq(e.msg, "container \"none\" does not exist");
	ck_assert_int_eq(e.code, 0);
	ck_assert_int_eq(state_open(root, "../x", -1, &d, &e), -EINVAL);
	ck_assert_int_eq(mkdirat(root, "dir", 0700), 0);
	ck_assert_int_eq(symlinkat("dir", root, "link"), 0);
	ck_assert_int_eq(state_open(root, "link", -1, &d, &e), -ENOTDIR);
	ck_assert_int_eq(mkdirat(root, "open", 0700), 0);
	ck_assert_int_eq(fchmodat(root, "open", 0750, 0), 0);
	ck_assert_int_eq(state_open(root, "open", -1, &d, &e), -EPERM);
	/* Files that are not ours stay, and are named. */
	ck_assert_int_eq(mkdirat(root, "own", 0700), 0);
	ck_assert_int_eq(state_open(root, "own", 0, &d, &e), 0);
	close(openat(d.dfd, "precious", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(state_remove(&d, &e), -ENOTEMPTY);
	ck_assert(strstr(e.msg, "precious"));
	ck_assert_int_eq(faccessat(d.dfd, "precious", F_OK, 0), 0);
}
END_TEST

static int collect(void *arg, const char *id)
{
	strcat(arg, id);
	strcat(arg, " ");
	return streq(id, "stop") ? -ECANCELED : 0;
}

START_TEST(test_each)
{
	static const char *const names[] = { "b", "a", ".c.abcdef", "c.d", "B" };
	char all[256] = "";
	int root = fixture_root();
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		mkdirat(root, names[i], 0700);
	ck_assert_int_eq(state_each(root, collect, all, &e), 0);
	ck_assert_str_eq(all, "B a b c.d ");
	mkdirat(root, "stop", 0700);
	mkdirat(root, "tail", 0700);
	all[0] = '\0';
	ck_assert_int_eq(state_each(root, collect, all, &e), -ECANCELED);
	ck_assert_str_eq(all, "B a b c.d stop ");
}
END_TEST

/* ---- processes and status ---- */

START_TEST(test_proc_identity)
{
	struct proc_id me, other;

	ck_assert_int_eq(proc_id_of(getpid(), &me), 0);
	ck_assert(me.pid == getpid() && me.start_time > 0);
	int fd = proc_id_open(&me);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(proc_exited(fd, 0), 0);
	/* The number belongs to somebody else now: by start time, and by inode. */
	other = me;
	other.pidfs_ino = 0;
	ck_assert_int_ge(proc_id_open(&other), 0);
	other.start_time--;
	ck_assert_int_eq(proc_id_open(&other), -ESRCH);
	if (me.pidfs_ino) {
		other = me;
		other.pidfs_ino++;
		ck_assert_int_eq(proc_id_open(&other), -ESRCH);
	}
	other = (struct proc_id){ .pid = 0 };
	ck_assert_int_eq(proc_id_open(&other), -ESRCH);
	other.pid = -1;
	ck_assert_int_eq(proc_id_open(&other), -ESRCH);
	other.pid = 0x3fffffff;
	ck_assert_int_eq(proc_id_open(&other), -ESRCH);
	/* A name that looks like the rest of the line. */
	ck_assert_int_eq(prctl(PR_SET_NAME, ") Z 1 (", 0, 0, 0), 0);
	ck_assert_int_eq(proc_id_of(getpid(), &other), 0);
	ck_assert(other.start_time == me.start_time);
	ck_assert(!proc_is_dying(getpid()));
	ck_assert(!proc_is_ns_init(getpid()) || getpid() == 1);
}
END_TEST

static void *sleep_for_ever(void *arg UNUSED)
{
	while (true)
		pause();
	return NULL;
}

START_TEST(test_proc_exit)
{
	struct proc_id id;
	pthread_t t;

	/* The leader's end isn't the process's. */
	pid_t pid = fork();
	if (pid == 0) {
		pthread_create(&t, NULL, sleep_for_ever, NULL);
		pthread_exit(NULL);
	}
	ck_assert_int_eq(proc_id_of(pid, &id), 0);
	int fd = proc_id_open(&id);
	ck_assert_int_eq(proc_exited(fd, 100), 0);
	ck_assert_int_eq(proc_kill(fd, SIGKILL), 0);
	ck_assert_int_eq(proc_exited(fd, 5000), 1);
	ck_assert(proc_is_dying(pid));
	/* A zombie keeps its identity until it is reaped. */
	ck_assert_int_ge(proc_id_open(&id), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(proc_id_open(&id), -ESRCH);
	ck_assert_int_eq(proc_kill(fd, 0), -ESRCH);
	ck_assert_int_eq(proc_exited(fd, 0), 1);
}
END_TEST

static int listen_at(int dfd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock", dfd);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

START_TEST(test_status)
{
	int root = fixture_root();
	struct state_rec rec = fixture_rec("c1");
	struct state_dir creator = fixture_claim(root, "c1"), d;
	struct err e;

	ck_assert_int_eq(state_open(root, "c1", -1, &d, &e), 0);
	ck_assert_int_eq(state_lock_held(&d), 1);
	ck_assert_int_eq(state_status(&d, &rec), OCI_STATUS_CREATING);
	fd_close(&creator.lock_fd);
	ck_assert_int_eq(state_lock_held(&d), 0);
	ck_assert_int_eq(state_status(&d, &rec), OCI_STATUS_STOPPED);

	pid_t pid = fork();
	if (pid == 0)
		sleep_for_ever(NULL);
	struct state_rec made = fixture_rec("c1");
	made.stage = STAGE_CREATED;
	made.undo = NULL;
	made.n_undo = 0;
	ck_assert_int_eq(proc_id_of(pid, &made.init), 0);
	int sock = listen_at(creator.dfd);
	ck_assert_int_eq(state_rec_write(&creator, &made, &e), 0);
	ck_assert_int_eq(state_status(&d, &made), OCI_STATUS_RUNNING);
	ck_assert_int_eq(listen(sock, 0), 0);
	/* Also with a full queue: nobody accepts here. */
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(state_status(&d, &made), OCI_STATUS_CREATED);
	/* An old record in hand: the creator has finished meanwhile. */
	ck_assert_int_eq(state_status(&d, &rec), OCI_STATUS_CREATED);
	close(sock);
	ck_assert_int_eq(state_status(&d, &made), OCI_STATUS_RUNNING);
	struct state_rec before = made;
	before.boot_id = "11111111-2222-3333-4444-555555555555";
	ck_assert_int_eq(state_status(&d, &before), OCI_STATUS_STOPPED);
	before = made;
	before.init.start_time++;
	before.init.pidfs_ino = 0;
	ck_assert_int_eq(state_status(&d, &before), OCI_STATUS_STOPPED);
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
	ck_assert_int_eq(state_status(&d, &made), OCI_STATUS_STOPPED);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(state_status(&d, &made), OCI_STATUS_STOPPED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("state");
	TCase *t = tcase_create("state");

	fixture_start();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_ids);
	tcase_add_test(t, test_root_is_made_with_parents);
	tcase_add_test(t, test_root_refused);
	tcase_add_test(t, test_root_default);
	tcase_add_test(t, test_claim_race);
	tcase_add_test(t, test_claim_among_sweepers);
	tcase_add_test(t, test_claim_stale);
	tcase_add_test(t, test_leftover_claims);
	tcase_add_test(t, test_lock_deadline_and_break);
	tcase_add_test(t, test_lock_follows_the_name);
	tcase_add_test(t, test_open_refused);
	tcase_add_test(t, test_each);
	tcase_add_test(t, test_proc_identity);
	tcase_add_test(t, test_proc_exit);
	tcase_add_test(t, test_status);
	suite_add_tcase(s, t);
	int r = unit_run(s);
	fixture_end();
	return r;
}
