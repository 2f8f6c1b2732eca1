/* SPDX-License-Identifier: Apache-2.0 */
/* The small files and sockets beside a container: pid file, console socket. */
#include "run/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "scratch.h"

struct tty {
	int master, slave;
};

/* ---- pid file ---- */

static void read_back(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ssize_t n = read(fd, buf, size - 1);
	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	close(fd);
}

static unsigned count_entries(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *ent = readdir(d); ent; ent = readdir(d))
		n += !streq(ent->d_name, ".") && !streq(ent->d_name, "..");
	closedir(d);
	return n;
}

START_TEST(pid_file_is_atomic)
{
	const char *path = in_dir("pid");
	struct err e = { 0 };
	struct stat st;
	char buf[64];

	umask(077);
	ck_assert_int_eq(pidfile_write(path, 4194304, &e), 0);
	read_back(path, buf, sizeof(buf));
	ck_assert_str_eq(buf, "4194304");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	int old = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pidfile_write(path, 7, &e), 0);
	read_back(path, buf, sizeof(buf));
	ck_assert_str_eq(buf, "7");
	/* Who had it open reads what was there: replaced, not rewritten. */
	ck_assert_int_eq(read(old, buf, sizeof(buf)), 7);
	ck_assert_int_eq(memcmp(buf, "4194304", 7), 0);
	close(old);
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

START_TEST(pid_file_in_cwd)
{
	struct err e = { 0 };
	char buf[64];

	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(pidfile_write("pid", 12, &e), 0);
	read_back(in_dir("pid"), buf, sizeof(buf));
	ck_assert_str_eq(buf, "12");
}
END_TEST

START_TEST(pid_file_errors)
{
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX], expected[512];

	ck_assert_int_eq(mkfifo(in_dir("fifo"), 0600), 0);
	ck_assert_int_eq(mkdir(in_dir("dir"), 0700), 0);
	ck_assert_int_lt(pidfile_write(in_dir("fifo"), 1, &e), 0);
	snprintf(expected, sizeof(expected), "--pid-file: %s exists and is not a regular file: invalid argument",
		 in_dir("fifo"));
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)), expected);
	ck_assert_int_eq(pidfile_write(in_dir("dir"), 1, &e), -EISDIR);
	ck_assert_int_eq(pidfile_write("/dev/null", 1, &e), -EINVAL);
	ck_assert_int_eq(pidfile_write(in_dir("none/pid"), 1, &e), -ENOENT);
	snprintf(expected, sizeof(expected), "--pid-file: write %s: no such file or directory", in_dir("none/pid"));
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)), expected);
	ck_assert_uint_eq(count_entries(), 2);
	struct stat st;
	ck_assert_int_eq(stat("/dev/null", &st), 0);
	ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

/* ---- console socket ---- */

static int listen_at(const char *relative)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", relative);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

/* A master opened on a devpts itself, as hull-init does. The host's ptmx there is for root; others make a devpts of
 * their own. */
static struct tty make_devpts_tty(void)
{
	struct tty t;
	char ptmx[256] = "/dev/pts/ptmx";

	if (geteuid() != 0) {
		ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
		ck_assert_int_eq(mkdir(in_dir("pts"), 0700), 0);
		ck_assert_int_eq(mount("devpts", in_dir("pts"), "devpts", 0, "newinstance,ptmxmode=0666"), 0);
		snprintf(ptmx, sizeof(ptmx), "%s/ptmx", in_dir("pts"));
	}
	t.master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(t.master, 0);
	ck_assert_int_eq(unlockpt(t.master), 0);
	t.slave = ioctl(t.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(t.slave, 0);
	return t;
}

START_TEST(console_reaches_long_path)
{
	char deep[1024];
	struct err e = { 0 };
	char buf[64] = "", msg[ERR_RENDER_MAX];
	struct tty t = make_devpts_tty();
	int got;

	ck_assert_int_eq(chdir(dir), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(mkdir("a-directory-with-a-long-name-a-directory-with-a-long-name", 0700), 0);
		ck_assert_int_eq(chdir("a-directory-with-a-long-name-a-directory-with-a-long-name"), 0);
	}
	int listener = listen_at("console.sock");
	ck_assert_ptr_nonnull(getcwd(deep, sizeof(deep) - 20));
	strcat(deep, "/console.sock");
	ck_assert_uint_gt(strlen(deep), 108);
	ck_assert_int_eq(chdir("/"), 0);
	int sock = console_connect(deep, "--console-socket", &e);
	ck_assert_msg(sock >= 0, "%s", err_render(&e, msg, sizeof(msg)));
	ck_assert_int_eq(console_send(sock, t.master, "/dev/pts/0", "the terminal", &e), 0);
	close(sock);
	int peer = accept(listener, NULL, NULL);
	ck_assert_int_eq(fd_recv(peer, buf, sizeof(buf), &got, 0), 10);
	ck_assert_str_eq(buf, "/dev/pts/0");
	ck_assert_int_eq(console_check(got, &e), 0);
	/* It is the same terminal. */
	ck_assert_int_eq(write(t.slave, "hello", 5), 5);
	ck_assert_int_eq(read(got, buf, sizeof(buf)), 5);
	ck_assert_int_eq(memcmp(buf, "hello", 5), 0);
	/* Nothing but the one message. */
	ck_assert_int_eq(read(peer, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(console_socket_errors)
{
	static const struct {
		const char *name, *why;
	} cases[] = {
		{ "fifo", "--console-socket: %s is not a socket" },
		{ "file", "--console-socket: %s is not a socket" },
		{ "none", "--console-socket: open %s: no such file or directory" },
		{ "dead", "--console-socket: connect to %s: connection refused" },
	};
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX], expected[512];

	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	close(open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(listen_at("dead"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *path = in_dir(cases[i].name);
		ck_assert_int_lt(console_connect(path, "--console-socket", &e), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(expected, sizeof(expected), cases[i].why, path);
#pragma GCC diagnostic pop
		ck_assert_str_eq(err_render(&e, msg, sizeof(msg)), expected);
	}
}
END_TEST

/* Whoever listens doesn't take the message for ever: the deadline is ours (10 s). */
START_TEST(console_never_accepted)
{
	struct err e = { 0 };
	char msg[ERR_RENDER_MAX], expected[512];
	int busy[64], n = 0;

	ck_assert_int_eq(chdir(dir), 0);
	listen_at("sock");
	/* Fill the backlog. */
	for (; n < 64; n++) {
		struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "sock" };
		busy[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(busy[n], (struct sockaddr *)&at, sizeof(at)) < 0)
			break;
	}
	ck_assert_int_lt(n, 64);
	ck_assert_int_lt(console_connect(in_dir("sock"), "--console-socket", &e), 0);
	snprintf(expected, sizeof(expected), "--console-socket: connect to %s: connection timed out", in_dir("sock"));
	ck_assert_str_eq(err_render(&e, msg, sizeof(msg)), expected);
}
END_TEST

START_TEST(console_check_refuses)
{
	struct tty t = make_devpts_tty();
	struct err e = { 0 };
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(console_check(t.master, &e), 0);
	ck_assert_int_lt(console_check(t.slave, &e), 0);
	ck_assert_int_lt(console_check(fds[0], &e), 0);
	ck_assert_int_lt(console_check(open("/dev/null", O_RDWR | O_CLOEXEC), &e), 0);
	ck_assert_int_lt(console_check(open("/dev/ptmx", O_PATH | O_CLOEXEC), &e), 0);
	/* A true master, but not of a devpts: where /dev/ptmx is a node of its own and no link to pts/ptmx. */
	struct stat st;
	ck_assert_int_eq(lstat("/dev/ptmx", &st), 0);
	if (S_ISCHR(st.st_mode))
		ck_assert_int_lt(console_check(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), &e), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("console");
	TCase *files = tcase_create("files");

	tcase_set_timeout(files, 30);
	scratch_for(files, NULL);
	tcase_add_test(files, pid_file_is_atomic);
	tcase_add_test(files, pid_file_in_cwd);
	tcase_add_test(files, pid_file_errors);
	tcase_add_test(files, console_reaches_long_path);
	tcase_add_test(files, console_socket_errors);
	tcase_add_test(files, console_never_accepted);
	tcase_add_test(files, console_check_refuses);
	suite_add_tcase(s, files);
	return unit_run(s);
}
