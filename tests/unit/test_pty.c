/* SPDX-License-Identifier: Apache-2.0 */
/* The foreground with a terminal: every byte, no waiting, no spinning, the caller's terminal as it was. */
#include "wait_fixture.h"

struct tty {
	int master, slave;
};

static struct tty make_tty(bool raw)
{
	struct tty t = { .master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
	struct termios termios;

	ck_assert_int_ge(t.master, 0);
	ck_assert_int_eq(unlockpt(t.master), 0);
	t.slave = open(ptsname(t.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(t.slave, 0);
	if (raw) {
		tcgetattr(t.slave, &termios);
		cfmakeraw(&termios);
		tcsetattr(t.slave, TCSANOW, &termios);
	}
	return t;
}

/* Make `fds` our standard input and output (libcheck's own output is elsewhere). */
static int saved_out = -1;

static void take_streams(int in, int out)
{
	fflush(stdout);
	if (saved_out < 0)
		saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
	ck_assert_int_eq(dup2(in, STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
}

static void give_streams_back(void)
{
	ck_assert_int_eq(dup2(saved_out, STDOUT_FILENO), STDOUT_FILENO);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

/* A container that writes BULK bytes to its terminal. */
static void writes_bulk(void *arg)
{
	const struct tty *t = arg;
	unsigned char buf[4096];

	close(t->master);
	for (size_t i = 0; i < BULK;) {
		size_t n = 0;
		for (; n < sizeof(buf) && i + n < BULK; n++)
			buf[n] = pattern(i + n);
		for (size_t done = 0; done < n;) {
			ssize_t r = write(t->slave, buf + done, n - done);
			if (r <= 0)
				_exit(97);
			done += (size_t)r;
		}
		i += n;
	}
	_exit(11);
}

/* Reads BULK bytes from `fd` and compares; slow at first. Exits 0 when all came, and end of file after them when
 * `eof`. */
static void check_bulk(int fd, useconds_t pause, bool eof)
{
	unsigned char buf[8192];
	size_t i = 0;

	while (i < BULK) {
		if (i < BULK / 8)
			usleep(pause);
		ssize_t r = read(fd, buf, sizeof(buf));
		if (r <= 0)
			_exit(1);
		for (ssize_t k = 0; k < r; k++, i++) {
			if (i >= BULK || buf[k] != pattern(i))
				_exit(2);
		}
	}
	if (eof && read(fd, buf, 1) != 0)
		_exit(3);
	_exit(0);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Every byte arrives though the reader sleeps a second first, and that second costs nothing. */
START_TEST(output_with_stalled_reader)
{
	struct tty t = make_tty(true);
	int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wait_ctx w;
	int status;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid_t reader = fork();
	if (reader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(out[1]);
		usleep(1000000);
		check_bulk(out[0], 2000, true);
	}
	close(out[0]);
	take_streams(null, out[1]);
	prepare(&w);
	struct proc p = start(&w, writes_bulk, &t);
	close(t.slave);
	double began = cpu_seconds();
	status = wait_for(&w, p, t.master);
	double used = cpu_seconds() - began;
	ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(t.master, F_GETFL) & O_NONBLOCK, 0);
	give_streams_back();
	close(out[1]);
	wait_restore(&w);
	ck_assert_int_eq(status, 11);
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(used < 0.5, "used %.3f s of processor time", used);
}
END_TEST

static void writes_some(void *arg)
{
	const struct tty *t = arg;
	char buf[12000] = { 0 };

	close(t->master);
	_exit(write(t->slave, buf, sizeof(buf)) == (ssize_t)sizeof(buf) ? 13 : 97);
}

/* The container has long gone when its output can go on. */
START_TEST(output_after_exit)
{
	struct tty t = make_tty(true);
	int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wait_ctx w;
	char buf[4096];
	ssize_t n, all = 0;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	pid_t reader = fork();
	if (reader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(out[1]);
		usleep(700000);
		while ((n = read(out[0], buf, sizeof(buf))) > 0)
			all += n;
		_exit(all == 12000 ? 0 : 1);
	}
	take_streams(null, out[1]);
	prepare(&w);
	struct proc p = start(&w, writes_some, &t);
	close(t.slave);
	int status = wait_for(&w, p, t.master);
	give_streams_back();
	close(out[1]);
	wait_restore(&w);
	ck_assert_int_eq(status, 13);
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* A container that checks what its terminal gives it. */
static void reads_bulk(void *arg)
{
	const struct tty *t = arg;

	close(t->master);
	usleep(500000);
	check_bulk(t->slave, 2000, false);
}

static void feed_bulk(int fd)
{
	unsigned char buf[4096];

	for (size_t i = 0; i < BULK;) {
		size_t n = 0;
		for (; n < sizeof(buf) && i + n < BULK; n++)
			buf[n] = pattern(i + n);
		if (write(fd, buf, n) != (ssize_t)n)
			_exit(1);
		i += n;
	}
	_exit(0);
}

START_TEST(input_to_slow_container)
{
	struct tty t = make_tty(true);
	int in[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	struct wait_ctx w;

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	pid_t feeder = fork();
	if (feeder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[0]);
		feed_bulk(in[1]);
	}
	close(in[1]);
	take_streams(in[0], null);
	prepare(&w);
	double began = cpu_seconds();
	struct proc p = start(&w, reads_bulk, &t);
	close(t.slave);
	status = wait_for(&w, p, t.master);
	double used = cpu_seconds() - began;
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(used < 0.5, "used %.3f s of processor time", used);
	/* The feeder is our child too, and was reaped as an orphan would be, or is still to be. */
	while (waitpid(feeder, NULL, 0) < 0 && errno == EINTR)
		continue;
}
END_TEST

/* Reads lines until end of file; exits with the number of bytes. */
static void reads_to_eof(void *arg)
{
	const struct tty *t = arg;
	char buf[64];
	ssize_t n, all = 0;

	close(t->master);
	while ((n = read(t->slave, buf, sizeof(buf))) > 0)
		all += n;
	_exit(n == 0 ? (int)all : 96);
}

/* The end of our input is the end of the container's, after a whole line as in the middle of one. */
START_TEST(input_ends)
{
	static const struct {
		const char *text;
		int n;
	} cases[] = { { "", 0 }, { "line\n", 5 }, { "line\npart", 9 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tty t = make_tty(false);
		int in[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		struct wait_ctx w;
		ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
		ck_assert_int_eq(write(in[1], cases[i].text, strlen(cases[i].text)), (ssize_t)strlen(cases[i].text));
		close(in[1]);
		take_streams(in[0], null);
		prepare(&w);
		struct proc p = start(&w, reads_to_eof, &t);
		close(t.slave);
		int status = wait_for(&w, p, t.master);
		give_streams_back();
		wait_restore(&w);
		ck_assert_int_eq(status, cases[i].n);
		close(t.master);
		close(in[0]);
		close(null);
	}
}
END_TEST

/* Writes, leaves a process that keeps the terminal open, and goes. */
static void leaves_slave_open(void *arg)
{
	const struct tty *t = arg;

	close(t->master);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		sleep(4);
		_exit(0);
	}
	if (write(t->slave, "last words", 10) != 10)
		_exit(97);
	_exit(12);
}

START_TEST(slave_kept_by_others)
{
	struct tty t = make_tty(true);
	int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wait_ctx w;
	char buf[64] = "";

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	take_streams(null, out[1]);
	prepare(&w);
	alarm(3);
	struct proc p = start(&w, leaves_slave_open, &t);
	close(t.slave);
	int status = wait_for(&w, p, t.master);
	alarm(0);
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 12);
	ck_assert_int_eq(read(out[0], buf, sizeof(buf)), 10);
	ck_assert_str_eq(buf, "last words");
}
END_TEST

/* Closes its terminal, rests, opens it again: the line is silent meanwhile, not gone, and the wait doesn't spin. */
static void reopens_slave(void *arg)
{
	const struct tty *t = arg;
	char name[64], c;

	snprintf(name, sizeof(name), "%s", ptsname(t->master));
	close(t->master);
	close(t->slave);
	usleep(700000);
	int fd = open(name, O_RDWR | O_NOCTTY);
	if (fd < 0 || write(fd, "back", 4) != 4)
		_exit(97);
	if (read(fd, &c, 1) != 1)
		_exit(96);
	_exit(c);
}

START_TEST(slave_closed_and_opened_again)
{
	struct tty t = make_tty(true);
	int in[2], out[2];
	struct wait_ctx w;
	char buf[64] = "";

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	/* Sent while nobody can read it. */
	ck_assert_int_eq(write(in[1], "K", 1), 1);
	take_streams(in[0], out[1]);
	prepare(&w);
	struct proc p = start(&w, reopens_slave, &t);
	close(t.slave);
	usleep(200000);
	double began = cpu_seconds();
	int status = wait_for(&w, p, t.master);
	double used = cpu_seconds() - began;
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 'K');
	ck_assert_int_eq(read(out[0], buf, sizeof(buf)), 4);
	ck_assert_str_eq(buf, "back");
	ck_assert_msg(used < 0.1, "used %.3f s of processor time", used);
}
END_TEST

/* Nobody ever reads: a signal that asks us to end does end us, once the container has gone. */
START_TEST(reader_never_reads)
{
	struct tty t = make_tty(true);
	int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wait_ctx w;
	struct proc p;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	take_streams(null, out[1]);
	prepare(&w);
	p = start(&w, writes_bulk, &t);
	close(t.slave);
	pid_t killer = fork();
	if (killer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		usleep(300000);
		kill(p.pid, SIGKILL);
		usleep(300000);
		kill(getppid(), SIGTERM);
		_exit(0);
	}
	int status = wait_for(&w, p, t.master);
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 128 + SIGKILL);
}
END_TEST

/* The reader has gone: the container goes on and its status arrives. */
START_TEST(reader_has_gone)
{
	struct tty t = make_tty(true);
	int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct wait_ctx w;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	close(out[0]);
	take_streams(null, out[1]);
	prepare(&w);
	struct proc p = start(&w, writes_bulk, &t);
	close(t.slave);
	int status = wait_for(&w, p, t.master);
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 11);
}
END_TEST

/* ---- our own terminal ---- */

static void sleeps(void *arg UNUSED)
{
	sleep(30);
}

/* What a helper sees of the caller's terminal while the container runs. */
static void watch_raw(int slave, pid_t waiter, int sig)
{
	struct termios t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 300; i++) {
		tcgetattr(slave, &t);
		if (!(t.c_lflag & (ICANON | ECHO | ISIG))) {
			kill(waiter, sig);
			_exit(0);
		}
		usleep(10000);
	}
	kill(waiter, sig);
	_exit(1);
}

START_TEST(raw_mode_and_back)
{
	struct tty own = make_tty(false), t = make_tty(false);
	struct termios before, after;
	struct wait_ctx w;
	int status;

	tcgetattr(own.slave, &before);
	take_streams(own.slave, own.slave);
	prepare(&w);
	struct proc p = start(&w, sleeps, NULL);
	pid_t self = getpid(), watcher = fork();
	if (watcher == 0)
		watch_raw(own.slave, self, SIGTERM);
	int exit_code = wait_for(&w, p, t.master);
	give_streams_back();
	tcgetattr(own.slave, &after);
	ck_assert_int_eq(exit_code, 128 + SIGTERM);
	ck_assert_uint_eq(after.c_lflag, before.c_lflag);
	ck_assert_uint_eq(after.c_iflag, before.c_iflag);
	ck_assert_uint_eq(after.c_oflag, before.c_oflag);
	ck_assert_int_eq(fcntl(own.slave, F_GETFL) & O_NONBLOCK, 0);
	wait_restore(&w);
	/* Its status may have been taken with the orphans'. */
	if (waitpid(watcher, &status, 0) == watcher)
		ck_assert_int_eq(status, 0);
	ck_assert(before.c_lflag & ICANON);
}
END_TEST

/* Waits until its terminal has 50 columns; exits with the rows, at first and then. */
static void waits_for_size(void *arg)
{
	const struct tty *t = arg;
	struct winsize s;

	for (int i = 0; i < 500; i++) {
		ioctl(t->slave, TIOCGWINSZ, &s);
		if (s.ws_col == 50)
			_exit(s.ws_row);
		usleep(10000);
	}
	_exit(95);
}

START_TEST(size_at_first)
{
	struct tty own = make_tty(false), t = make_tty(false);
	struct wait_ctx w;

	ioctl(own.slave, TIOCSWINSZ, &(struct winsize){ .ws_row = 33, .ws_col = 50 });
	take_streams(own.slave, own.slave);
	prepare(&w);
	struct proc p = start(&w, waits_for_size, &t);
	int status = wait_for(&w, p, t.master);
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 33);
}
END_TEST

START_TEST(size_changes)
{
	struct tty own = make_tty(false), t = make_tty(false);
	struct wait_ctx w;

	ioctl(own.slave, TIOCSWINSZ, &(struct winsize){ .ws_row = 33, .ws_col = 80 });
	take_streams(own.slave, own.slave);
	prepare(&w);
	struct proc p = start(&w, waits_for_size, &t);
	pid_t self = getpid(), helper = fork();
	if (helper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		usleep(300000);
		ioctl(own.slave, TIOCSWINSZ, &(struct winsize){ .ws_row = 44, .ws_col = 50 });
		kill(self, SIGWINCH);
		_exit(0);
	}
	int status = wait_for(&w, p, t.master);
	give_streams_back();
	wait_restore(&w);
	ck_assert_int_eq(status, 44);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pty");
	TCase *t = tcase_create("terminals");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, output_with_stalled_reader);
	tcase_add_test(t, output_after_exit);
	tcase_add_test(t, input_to_slow_container);
	tcase_add_test(t, input_ends);
	tcase_add_test(t, slave_kept_by_others);
	tcase_add_test(t, slave_closed_and_opened_again);
	tcase_add_test(t, reader_never_reads);
	tcase_add_test(t, reader_has_gone);
	tcase_add_test(t, raw_mode_and_back);
	tcase_add_test(t, size_at_first);
	tcase_add_test(t, size_changes);
	suite_add_tcase(s, t);
	return unit_run(s);
}
