/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_run with real programs: cp copies what the kernel says about itself, sh does the rest. */
#include "run/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "scratch.h"

#define STATE "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":1,\"bundle\":\"/b\"}"

static size_t read_file(const char *name, char *buf, size_t size)
{
	int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	ck_assert_msg(fd >= 0, "open %s: %s", name, strerror(errno));
	while ((r = read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)r;
	ck_assert_int_eq(r, 0);
	buf[n] = '\0';
	close(fd);
	return n;
}

#define ARGS(...)                                                                                                    \
	{                                                                                                            \
		.v = (const char *[]){ __VA_ARGS__ }, .n = ARRAY_LEN(((const char *[]){ __VA_ARGS__ })), .set = true \
	}
#define SH(script, ...)                                                                                               \
	{                                                                                                             \
		.path = "/bin/sh", .args = ARGS("sh", "-c", script, ##__VA_ARGS__), .env = ARGS("PATH=/usr/bin:/bin") \
	}
#define CP(from, to)                                            \
	{                                                       \
		.path = "/bin/cp", .args = ARGS("cp", from, to) \
	}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Run one list; whatever happens, no child and no descriptor is left. */
static int run_list(const struct oci_hook *hooks, size_t n, const char *json, struct err *e)
{
	unsigned fds = count_fds();

	*e = (struct err){ 0 };
	int r = hooks_run("createRuntime", hooks, n, json, dir, NULL, e);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_uint_eq(count_fds(), fds);
	return r;
}

static void must_run(const struct oci_hook *hooks, size_t n, const char *json)
{
	struct err e;
	char msg[ERR_RENDER_MAX];

	int r = run_list(hooks, n, json, &e);
	ck_assert_msg(r == 0, "%s", err_render(&e, msg, sizeof(msg)));
}

static void must_fail(const struct oci_hook *hooks, size_t n, const char *expected)
{
	struct err e;
	char msg[ERR_RENDER_MAX];

	ck_assert_int_lt(run_list(hooks, n, STATE, &e), 0);
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)), expected);
}

START_TEST(runs_in_order)
{
	struct oci_hook hooks[] = { SH("sleep 0.1; echo one >>\"$0\"", in_dir("out")), SH("echo two >>\"$0\"",
											  in_dir("out")) };
	char buf[64];

	must_run(hooks, 2, STATE);
	read_file("out", buf, sizeof(buf));
	ck_assert_str_eq(buf, "one\ntwo\n");
}
END_TEST

START_TEST(first_failure_ends)
{
	struct oci_hook hooks[] = { SH("exit 0"), SH("exit 3"), SH(": >\"$0\"", in_dir("out")) };

	must_fail(hooks, 3, "hook /bin/sh: exit status 3 (hooks.createRuntime[1])");
	ck_assert_int_lt(access(in_dir("out"), F_OK), 0);
}
END_TEST

START_TEST(environment_is_exact)
{
	struct oci_hook none = CP("/proc/self/environ", in_dir("none"));
	struct oci_hook two = CP("/proc/self/environ", in_dir("two"));
	const char *env[] = { "A=1", "B=x y" };
	char buf[64];

	setenv("LD_PRELOAD_OF_THE_CALLER", "1", 1);
	two.env = (struct oci_strv){ .v = env, .n = 2, .set = true };
	must_run(&none, 1, STATE);
	must_run(&two, 1, STATE);
	ck_assert_uint_eq(read_file("none", buf, sizeof(buf)), 0);
	ck_assert_uint_eq(read_file("two", buf, sizeof(buf)), 10);
	ck_assert_int_eq(memcmp(buf, "A=1\0B=x y\0", 10), 0);
}
END_TEST

/* Without args the program's path is its only argument. */
START_TEST(args_default_to_path)
{
	const char *path = in_dir("hook");
	struct oci_hook hook = { .path = path };
	char buf[256], expected[256];
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\necho \"$#:$0\" >out\n");
	fclose(f);
	ck_assert_int_eq(chmod(path, 0755), 0);
	must_run(&hook, 1, STATE);
	read_file("out", buf, sizeof(buf));
	snprintf(expected, sizeof(expected), "0:%s\n", path);
	ck_assert_str_eq(buf, expected);
}
END_TEST

START_TEST(runs_in_bundle)
{
	struct oci_hook hook = SH("pwd -P >out");
	char buf[256], expected[256];

	must_run(&hook, 1, STATE);
	read_file("out", buf, sizeof(buf));
	snprintf(expected, sizeof(expected), "%s\n", dir);
	ck_assert_str_eq(buf, expected);
}
END_TEST

static char *big_document(size_t size)
{
	char *s = malloc(size + 1);

	ck_assert_ptr_nonnull(s);
	for (size_t i = 0; i < size; i++)
		s[i] = (char)('a' + i % 23);
	s[size] = '\0';
	return s;
}

/* Larger than any pipe, read by each of two hooks from its beginning. */
START_TEST(stdin_is_state)
{
	const size_t size = 3 << 20;
	char *json = big_document(size), *got = malloc(size + 2);
	struct oci_hook hooks[] = { SH("cat >\"$0\"", in_dir("a")), SH("cat /dev/stdin >\"$0\"", in_dir("b")) };

	must_run(hooks, 2, json);
	ck_assert_uint_eq(read_file("a", got, size + 2), size);
	ck_assert_str_eq(got, json);
	ck_assert_uint_eq(read_file("b", got, size + 2), size);
	ck_assert_str_eq(got, json);
	free(json);
	free(got);
}
END_TEST

START_TEST(stdin_unread_or_closed)
{
	char *json = big_document(3 << 20);
	struct oci_hook hooks[] = { SH("exit 0"), SH("exec <&-; sleep 0.05") };

	must_run(hooks, 2, json);
	free(json);
}
END_TEST

START_TEST(stdin_cannot_be_changed)
{
	struct oci_hook hook = SH("if printf X 1<>/proc/self/fd/0; then exit 1; fi; cat >\"$0\"", in_dir("out"));
	char buf[256];

	must_run(&hook, 1, STATE);
	read_file("out", buf, sizeof(buf));
	ck_assert_str_eq(buf, STATE);
}
END_TEST

START_TEST(stderr_is_in_the_error)
{
	struct oci_hook hook = SH("echo ignored >&1; echo first >&2; echo 'no such \033[31mdevice' >&2; echo >&2; exit 7");

	must_fail(&hook, 1, "hook /bin/sh: exit status 7: no such \\x1b[31mdevice (hooks.createRuntime[0])");
}
END_TEST

/* More than is kept, and more than a pipe holds: the hook is never stopped by it, the end is what is told. */
START_TEST(stderr_is_bounded)
{
	struct oci_hook hook = SH("i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done >&2; "
				  "echo the end >&2; exit 1");

	must_fail(&hook, 1, "hook /bin/sh: exit status 1: the end (hooks.createRuntime[0])");
}
END_TEST

START_TEST(one_endless_line)
{
	struct oci_hook hook = SH("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
	struct err e;

	ck_assert_int_lt(run_list(&hook, 1, STATE, &e), 0);
	ck_assert(str_starts(e.msg, "hook /bin/sh: exit status 1: xxxxxxxx"));
	ck_assert_uint_eq(strlen(e.msg), sizeof(e.msg) - 1);
}
END_TEST

START_TEST(signal_is_told)
{
	struct oci_hook hook = SH("kill -SEGV $$");

	must_fail(&hook, 1, "hook /bin/sh: killed by signal 11 (hooks.createRuntime[0])");
}
END_TEST

START_TEST(cannot_be_run)
{
	struct oci_hook missing = { .path = "/nonexistent/hook" }, directory = { .path = "/usr" }, fine = SH("exit 0");
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX];

	must_fail(&missing, 1, "hook /nonexistent/hook: run (hooks.createRuntime[0]): no such file or directory");
	must_fail(&directory, 1, "hook /usr: run (hooks.createRuntime[0]): permission denied");
	ck_assert_int_eq(hooks_run("poststart", &fine, 1, STATE, "/nonexistent/bundle", NULL, &e), -ENOENT);
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)),
			 "hook /bin/sh: change to the bundle (hooks.poststart[0]): no such file or directory");
}
END_TEST

/* The hook, and what it left in its group, are dead when hooks_run returns. As subreaper we get the orphan's status. */
START_TEST(timeout_kills_group)
{
	struct oci_hook hook = SH("sleep 300 & echo $! >\"$0\"; echo waiting >&2; wait", in_dir("pid"));
	struct err e = { 0 };
	char buf[64], msg[ERR_RENDER_MAX];
	int status;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	hook.timeout = (struct opt_i64){ .set = true, .v = 1 };
	double began = seconds();
	ck_assert_int_lt(hooks_run("prestart", &hook, 1, STATE, dir, NULL, &e), 0);
	ck_assert_double_ge(seconds() - began, 0.99);
	ck_assert_double_lt(seconds() - began, 3);
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)),
			 "hook /bin/sh: killed after its timeout of 1 s: waiting (hooks.prestart[0])");
	read_file("pid", buf, sizeof(buf));
	ck_assert_int_eq(waitpid((pid_t)atoi(buf), &status, 0), atoi(buf));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
}
END_TEST

/* In time: a timeout that isn't reached changes nothing. */
START_TEST(timeout_not_reached)
{
	struct oci_hook hook = SH("sleep 0.2");

	hook.timeout = (struct opt_i64){ .set = true, .v = 2 };
	must_run(&hook, 1, STATE);
	hook.timeout.v = INT64_MAX;
	must_run(&hook, 1, STATE);
}
END_TEST

/* A hook that leaves a process behind that holds its stderr: only the hook itself is waited for. */
START_TEST(leftover_holds_stderr)
{
	struct oci_hook hook = SH("sleep 300 & echo $! >\"$0\"", in_dir("pid"));
	char buf[64];
	double began = seconds();
	struct err e = { 0 };

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(hooks_run("poststart", &hook, 1, STATE, dir, NULL, &e), 0);
	ck_assert_double_lt(seconds() - began, 5);
	read_file("pid", buf, sizeof(buf));
	ck_assert_int_eq(kill((pid_t)atoi(buf), SIGKILL), 0);
	ck_assert_int_eq(waitpid((pid_t)atoi(buf), NULL, 0), atoi(buf));
}
END_TEST

START_TEST(no_descriptor_leaks)
{
	struct oci_hook hook = SH("n=3; while [ $n -lt 120 ]; do [ -e /proc/$$/fd/$n ] && echo $n >&2 && exit 1; n=$((n+1)); done; exit 0");

	/* Without CLOEXEC, as a careless caller leaves them. */
	ck_assert_int_eq(dup2(0, 50), 50);
	ck_assert_int_eq(dup2(0, 101), 101);
	must_run(&hook, 1, STATE);
}
END_TEST

static unsigned long long status_mask(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	ck_assert_ptr_nonnull(at);
	return strtoull(at + strlen(field), NULL, 16);
}

START_TEST(signals_are_reset)
{
	struct oci_hook hook = CP("/proc/self/status", in_dir("out"));
	char buf[8192];
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	must_run(&hook, 1, STATE);
	read_file("out", buf, sizeof(buf));
	ck_assert_uint_eq(status_mask(buf, "SigBlk:\t"), 0);
	ck_assert_uint_eq(status_mask(buf, "SigIgn:\t"), 0);
	/* Ours are as they were. */
	sigprocmask(SIG_BLOCK, NULL, &set);
	ck_assert_int_eq(sigismember(&set, SIGTERM), 1);
	ck_assert_int_eq(sigismember(&set, SIGHUP), 0);
	ck_assert_ptr_eq(signal(SIGUSR1, SIG_DFL), SIG_IGN);
}
END_TEST

START_TEST(session_of_its_own)
{
	struct oci_hook hook = CP("/proc/self/stat", in_dir("out"));
	char buf[1024];
	int pid, group, session;

	must_run(&hook, 1, STATE);
	read_file("out", buf, sizeof(buf));
	ck_assert_int_eq(sscanf(buf, "%d (cp) %*c %*d %d %d", &pid, &group, &session), 3);
	ck_assert_int_eq(group, pid);
	ck_assert_int_eq(session, pid);
	ck_assert_int_ne(pid, getpid());
}
END_TEST

/* The hook dies with the hull that runs it. */
START_TEST(dies_with_its_parent)
{
	struct oci_hook hook = SH("echo $$ >\"$0\"; mv \"$0\" \"$0.done\"; exec sleep 300", in_dir("pid"));
	char buf[64];
	int status;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t runner = fork();
	if (runner == 0) {
		struct err e = { 0 };
		hooks_run("prestart", &hook, 1, STATE, dir, NULL, &e);
		_exit(0);
	}
	for (int i = 0; i < 500 && access(in_dir("pid.done"), F_OK) < 0; i++)
		usleep(10000);
	read_file("pid.done", buf, sizeof(buf));
	ck_assert_int_eq(kill(runner, SIGKILL), 0);
	ck_assert_int_eq(waitpid(runner, &status, 0), runner);
	ck_assert_int_eq(waitpid((pid_t)atoi(buf), &status, 0), atoi(buf));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

static char logged[4096];

static void remember(void *arg UNUSED, enum log_level level, const char *line)
{
	if (level != LOG_LVL_WARNING)
		return;
	strcat(logged, line);
	strcat(logged, "\n");
}

START_TEST(warn_goes_on)
{
	struct oci_hook hooks[] = { SH("exit 1"), SH(": >\"$0\"", in_dir("out")), SH("echo why >&2; exit 2") };

	log_set_sink((struct log_sink){ .write = remember, .level = LOG_LVL_WARNING });
	hooks_run_warn("poststop", hooks, 3, STATE, dir, NULL);
	ck_assert_int_eq(access(in_dir("out"), F_OK), 0);
	ck_assert_str_eq(logged,
			 "hook /bin/sh: exit status 1 (hooks.poststop[0])\nhook /bin/sh: exit status 2: why (hooks.poststop[2])\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hooks");
	TCase *t = tcase_create("host");

	tcase_set_timeout(t, 20);
	scratch_for(t, NULL);
	tcase_add_test(t, runs_in_order);
	tcase_add_test(t, first_failure_ends);
	tcase_add_test(t, environment_is_exact);
	tcase_add_test(t, args_default_to_path);
	tcase_add_test(t, runs_in_bundle);
	tcase_add_test(t, stdin_is_state);
	tcase_add_test(t, stdin_unread_or_closed);
	tcase_add_test(t, stdin_cannot_be_changed);
	tcase_add_test(t, stderr_is_in_the_error);
	tcase_add_test(t, stderr_is_bounded);
	tcase_add_test(t, one_endless_line);
	tcase_add_test(t, signal_is_told);
	tcase_add_test(t, cannot_be_run);
	tcase_add_test(t, timeout_kills_group);
	tcase_add_test(t, timeout_not_reached);
	tcase_add_test(t, leftover_holds_stderr);
	tcase_add_test(t, no_descriptor_leaks);
	tcase_add_test(t, signals_are_reset);
	tcase_add_test(t, session_of_its_own);
	tcase_add_test(t, dies_with_its_parent);
	tcase_add_test(t, warn_goes_on);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return unit_run(suite());
}
