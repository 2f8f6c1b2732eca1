/* SPDX-License-Identifier: Apache-2.0 */
/* The foreground without a terminal: exit status, signals, orphans. */
#include "wait_fixture.h"

static void exits_with(void *arg)
{
	_exit(*(int *)arg);
}

static void dies_by(void *arg)
{
	signal(*(int *)arg, SIG_DFL);
	raise(*(int *)arg);
}

START_TEST(exit_codes)
{
	static const int codes[] = { 0, 1, 127, 255 };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct wait_ctx w;
		int code = codes[i];
		prepare(&w);
		ck_assert_int_eq(wait_for(&w, start(&w, exits_with, &code), -1), code);
		wait_restore(&w);
		ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	}
}
END_TEST

START_TEST(killed_by_signal)
{
	static const int sigs[] = { SIGKILL, SIGTERM, SIGHUP, SIGUSR1 };

	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		struct wait_ctx w;
		int sig = sigs[i];
		prepare(&w);
		ck_assert_int_eq(wait_for(&w, start(&w, dies_by, &sig), -1), 128 + sig);
		wait_restore(&w);
	}
}
END_TEST

/* Says on `fd` that it is ready, then exits with the number of the first signal that comes. */
static void exits_by_signal(void *arg)
{
	sigset_t all;
	int sig;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (write(*(int *)arg, "r", 1) != 1)
		_exit(98);
	sigwait(&all, &sig);
	_exit(sig);
}

START_TEST(signals_are_passed_on)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTSTP,
				    SIGPWR };

	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		struct wait_ctx w;
		int fds[2];
		char c;
		ck_assert_int_eq(pipe(fds), 0);
		prepare(&w);
		struct proc p = start(&w, exits_by_signal, &fds[1]);
		ck_assert_int_eq(read(fds[0], &c, 1), 1);
		/* These are about ourselves and must not be the first to arrive. */
		raise(SIGURG);
		raise(SIGPIPE);
		raise(SIGWINCH);
		raise(SIGCHLD);
		raise(sigs[i]);
		ck_assert_int_eq(wait_for(&w, p, -1), sigs[i]);
		wait_restore(&w);
		close(fds[0]);
		close(fds[1]);
	}
}
END_TEST

START_TEST(mask_is_restored)
{
	struct wait_ctx w;
	sigset_t now;
	int code = 0;

	prepare(&w);
	sigprocmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 1);
	ck_assert_int_eq(sigismember(&now, SIGSEGV), 0);
	ck_assert_int_eq(wait_for(&w, start(&w, exits_with, &code), -1), 0);
	/* Too late for the container: must not kill us either. */
	raise(SIGPIPE);
	raise(SIGTERM);
	wait_restore(&w);
	sigprocmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 0);
	ck_assert_int_eq(w.signal_fd < 0, 1);
}
END_TEST

static void leaves_orphan(void *arg UNUSED)
{
	for (int i = 0; i < 3; i++) {
		if (fork() == 0) {
			if (fork() == 0)
				_exit(5);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		continue;
	usleep(200000);
	_exit(4);
}

START_TEST(orphans_are_reaped)
{
	struct wait_ctx w;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	prepare(&w);
	ck_assert_int_eq(wait_for(&w, start(&w, leaves_orphan, NULL), -1), 4);
	wait_restore(&w);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wait");
	TCase *t = tcase_create("processes");

	tcase_set_timeout(t, 20);
	tcase_add_test(t, exit_codes);
	tcase_add_test(t, killed_by_signal);
	tcase_add_test(t, signals_are_passed_on);
	tcase_add_test(t, mask_is_restored);
	tcase_add_test(t, orphans_are_reaped);
	suite_add_tcase(s, t);
	return unit_run(s);
}
