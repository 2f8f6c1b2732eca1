/* SPDX-License-Identifier: Apache-2.0 */
/* Real cgroups for tests, all below /hulltest-PID: a place, processes in it, and a sweep of what a failed test left. */
#ifndef HULL_TESTS_CGROUP_FIXTURE_H
#define HULL_TESTS_CGROUP_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/internal.h"
#include "unit.h"

#define SKIPPED 77
#define TOKEN "00112233445566778899aabbccddeeff"
#define OTHER_TOKEN "ffffffffffffffffffffffffffffffff"

static char base[64], path[128]; /* "/hulltest-PID", and "/hulltest-PID/c1" */
static struct cg_layout lay;
static struct err e;

static inline const char *file_of(unsigned i, const char *cgroup, const char *file)
{
	static char text[4][CG_REL_MAX + 64];
	static unsigned next;
	char *p = text[next++ % 4], rel[CG_REL_MAX];

	cg_rel_path(&lay.h[i], cgroup, rel);
	snprintf(p, sizeof(text[0]), CG_MOUNT "/%s%s%s", rel, *file ? "/" : "", file);
	return p;
}

static inline bool exists(unsigned i, const char *cgroup)
{
	return access(file_of(i, cgroup, ""), F_OK) == 0;
}

static inline const char *content(unsigned i, const char *cgroup, const char *file)
{
	static char text[4096];
	ssize_t n = io_read_at(AT_FDCWD, file_of(i, cgroup, file), text, sizeof(text));

	ck_assert_msg(n >= 0, "read %s: %zd", file_of(i, cgroup, file), n);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static inline void write_to(unsigned i, const char *cgroup, const char *file, const char *value)
{
	int r = io_write_once_at(AT_FDCWD, file_of(i, cgroup, file), value, strlen(value));

	ck_assert_msg(r == 0, "write %s: %d", file_of(i, cgroup, file), r);
}

static inline void ok(int r)
{
	char text[ERR_RENDER_MAX];

	ck_assert_msg(r >= 0, "%s", err_render(&e, text, sizeof(text)));
}

static inline void create(struct cgroup *cg)
{
	ok(cg_create(&lay, path, TOKEN, cg, &e));
}

static inline void remove_ours(void)
{
	ok(cg_remove(&lay, path, TOKEN, 3000, &e));
	for (unsigned i = 0; i < lay.n; i++) {
		ck_assert_msg(!exists(i, path), "%s is left", file_of(i, path, ""));
		ck_assert_msg(!exists(i, base), "%s is left", file_of(i, base, ""));
	}
}

/* From here on the test runs in a mount namespace where the v2 hierarchy alone is mounted. False where there is none. */
static inline bool only_v2(void)
{
	int v2 = cg_layout_v2(&lay);
	char dir[128];

	if (v2 < 0)
		return false;
	snprintf(dir, sizeof(dir), CG_MOUNT "/%s", lay.h[v2].dir);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	if (lay.h[v2].dir[0])
		ck_assert_int_eq(mount(dir, CG_MOUNT, NULL, MS_BIND, NULL), 0);
	ok(cg_layout_detect(&lay, &e));
	ck_assert_int_eq(lay.mode, CG_MODE_V2);
	ck_assert_uint_eq(lay.n, 1);
	ck_assert_str_eq(lay.h[0].dir, "");
	return true;
}

/* A process born in the v2 cgroup that goes into the v1 ones by itself, then runs `f`. Its answer is the exit status. */
static inline pid_t spawn(struct cgroup *cg, int (*f)(void *arg), void *arg)
{
	int fds[CG_HIER_MAX], ready[2], clone_fd = cg_clone_fd(cg);
	int n = cg_open_tasks(cg, fds, CG_HIER_MAX, &e);
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .flags = clone_fd >= 0 ? CLONE_INTO_CGROUP : 0,
				   .cgroup = clone_fd >= 0 ? (unsigned)clone_fd : 0 };
	char c;

	ok(n);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	ck_assert_msg(pid >= 0, "clone3: %s", err_text(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(99);
		if (write(ready[1], "x", 1) != 1)
			_exit(98);
		_exit(f(arg));
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	while (n > 0)
		close(fds[--n]);
	return pid;
}

static inline int sleep_on(void *arg UNUSED)
{
	for (;;)
		pause();
	return 0;
}

static inline int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static inline int sweep_one(const char *name, const struct stat *st UNUSED, int type, struct FTW *ftw UNUSED)
{
	char file[512];

	if (type == FTW_DP) {
		/* What is frozen doesn't die. */
		io_write_once_at(AT_FDCWD, (snprintf(file, sizeof(file), "%s/freezer.state", name), file), "THAWED",
				 strlen("THAWED"));
		snprintf(file, sizeof(file), "%s/cgroup.procs", name);
		FILE *f = fopen(file, "re");
		char line[32];

		while (f && fgets(line, sizeof(line), f))
			kill((pid_t)strtol(line, NULL, 10), SIGKILL);
		if (f)
			fclose(f);
		for (int i = 0; i < 100 && rmdir(name) < 0 && errno == EBUSY; i++)
			usleep(5000);
	}
	return 0;
}

/* What a failed test left, before the next one and at the end. */
static inline void sweep(void)
{
	/* Twice: a process is in all hierarchies, and which one frees it comes in any order. */
	for (unsigned i = 0; i < 2 * lay.n; i++)
		nftw(file_of(i % lay.n, base, ""), sweep_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool can_make_cgroups(void)
{
	if (geteuid() != 0 || cg_layout_detect(&lay, &e) < 0 || lay.n == 0)
		return false;
	for (unsigned i = 0; i < lay.n; i++) {
		if (mkdir(file_of(i, base, ""), 0755) < 0 || rmdir(file_of(i, base, "")) < 0)
			return false;
	}
	return true;
}

/* Where the place is, and whether there can be one. A test program that can't run says so and returns SKIPPED. */
static inline bool fixture_begin(void)
{
	snprintf(base, sizeof(base), "/hulltest-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/c1", base);
	if (can_make_cgroups())
		return true;
	puts("SKIP: needs root and cgroups that can be written");
	return false;
}

static inline TCase *fixture_tcase(Suite *s)
{
	TCase *t = tcase_create("real");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, sweep, NULL);
	suite_add_tcase(s, t);
	return t;
}

static inline int fixture_run(Suite *s)
{
	int r = unit_run(s);

	sweep();
	return r;
}

#endif
