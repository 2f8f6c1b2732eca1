/* SPDX-License-Identifier: Apache-2.0 */
/* src/sys/rootfs: a path of a stranger never leads out of the root, whatever links, "..", magic links and a
 * racing neighbour do; what is missing is made inside. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "sys/rootfs.h"
#include "unit.h"

#define EXCHANGE (1u << 1) /* RENAME_EXCHANGE */

/* TOP/root is the root of the tests, TOP/outside the host: it holds "secret" and nothing may ever be added to it. */
static char top[64];
static int top_fd, root, outside;

static void make_dir(int dfd, const char *name)
{
	ck_assert_msg(mkdirat(dfd, name, 0755) == 0, "mkdir %s: %s", name, strerror(errno));
}

static void make_file(int dfd, const char *name)
{
	scoped_fd int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
}

static void make_link(int dfd, const char *name, const char *target)
{
	ck_assert_int_eq(symlinkat(target, dfd, name), 0);
}

static void set_up(void)
{
	umask(022);
	snprintf(top, sizeof(top), "/tmp/hull-rootfs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top_fd, 0);
	make_dir(top_fd, "root");
	make_dir(top_fd, "outside");
	root = openat(top_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	outside = openat(top_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert(root >= 0 && outside >= 0);
	make_file(outside, "secret");
	make_dir(root, "etc");
	make_file(root, "etc/passwd");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)st;
	(void)kind;
	(void)f;
	return remove(path);
}

static void tear_down(void)
{
	close(root);
	close(outside);
	close(top_fd);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct ctr_path path(const char *s)
{
	return (struct ctr_path){ s };
}

static bool same(int fd, int dfd, const char *name)
{
	struct stat a, b;

	ck_assert_int_eq(fstat(fd, &a), 0);
	if (fstatat(dfd, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* `p` leads to `inside` (a path below the root without links). */
static void expect_open(const char *p, const char *inside)
{
	scoped_fd int fd = rootfs_open(root, path(p), 0);

	ck_assert_msg(fd >= 0, "%s: %s", p, strerror(-fd));
	ck_assert_msg(same(fd, root, inside), "%s is not %s", p, inside);
}

static void expect_error(const char *p, int error)
{
	scoped_fd int fd = rootfs_open(root, path(p), 0);

	ck_assert_msg(fd == -error, "%s: %d instead of %s", p, fd, strerror(error));
}

/* Nothing was added outside. */
static void expect_outside_untouched(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(outside, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 2);
	ck_assert_int_eq(unlinkat(outside, "secret", 0), 0);
	/* Only an empty directory can be removed. */
	ck_assert_msg(unlinkat(top_fd, "outside", AT_REMOVEDIR) == 0, "something was made outside: %s",
		      strerror(errno));
	make_dir(top_fd, "outside");
}

START_TEST(test_links_stay_inside)
{
	char up[PATH_MAX];

	make_link(root, "abs", "/etc");
	make_link(root, "climb", "../../../../../../etc");
	make_link(root, "etc/again", "../climb/passwd");
	make_link(root, "out", "../outside");
	expect_open("/etc/passwd", "etc/passwd");
	expect_open("etc/passwd", "etc/passwd");
	expect_open("//etc/./passwd", "etc/passwd");
	expect_open("/abs/passwd", "etc/passwd");
	expect_open("/climb/passwd", "etc/passwd");
	expect_open("/etc/again", "etc/passwd");
	expect_open("/../../../etc/passwd", "etc/passwd");
	expect_open("/etc/../../etc/../../../etc/passwd", "etc/passwd");
	expect_error("/out/secret", ENOENT);
	expect_error("/../outside/secret", ENOENT);
	/* The name that it has on the host leads nowhere inside. */
	snprintf(up, sizeof(up), "%s/outside/secret", top);
	expect_error(up, ENOENT);
	make_link(root, "host", up);
	expect_error("/host", ENOENT);
	scoped_fd int self = rootfs_open(root, path("/"), 0);
	ck_assert(same(self, top_fd, "root"));
}
END_TEST

START_TEST(test_loops_end)
{
	char name[8], target[8];

	make_link(root, "a", "b");
	make_link(root, "b", "/a");
	make_link(root, "self", "self/x");
	expect_error("/a", ELOOP);
	expect_error("/a/etc", ELOOP);
	expect_error("/self", ELOOP);
	ck_assert_int_eq(rootfs_dir(root, path("/a/new"), 0, 0755, NULL), -ELOOP);
	/* A chain that dangles after 60 links, each of which would be followed by hand. */
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		snprintf(target, sizeof(target), "l%u", i + 1);
		make_link(root, name, target);
	}
	ck_assert_int_eq(rootfs_dir(root, path("/l0"), 0, 0755, NULL), -ELOOP);
	ck_assert_int_eq(faccessat(root, "l60", F_OK, 0), -1);
}
END_TEST

/* A magic link jumps anywhere; the host's own root has some. */
START_TEST(test_magic_links_are_refused)
{
	static const char *const magic[] = { "/proc/self/cwd", "/proc/self/root/etc", "/proc/self/exe",
					     "/proc/self/fd/0", "/proc/thread-self/cwd/.." };
	scoped_fd int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	char number[32], link[64];

	for (size_t i = 0; i < ARRAY_LEN(magic); i++) {
		ck_assert_msg(lstat("/proc/self", &st) == 0, "this test needs /proc");
		scoped_fd int fd = rootfs_open(host, path(magic[i]), 0);
		ck_assert_msg(fd == -ELOOP, "%s: %d", magic[i], fd);
	}
	/* Looked at without following it is a name like any other. */
	scoped_fd int fd = rootfs_open(host, path("/proc/self/cwd"), ROOTFS_NOFOLLOW);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	/* Nor is anything made behind one. */
	snprintf(number, sizeof(number), "/proc/self/fd/%d/new", outside);
	ck_assert_int_eq(rootfs_dir(host, path(number), 0, 0755, NULL), -ELOOP);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", outside);
	make_link(root, "cwd", link);
	ck_assert_int_eq(rootfs_open(root, path("/cwd"), 0), -ENOENT); /* inside there is no /proc */
	expect_outside_untouched();
}
END_TEST

START_TEST(test_flags)
{
	struct stat st;

	make_link(root, "link", "etc");
	scoped_fd int link = rootfs_open(root, path("/link"), ROOTFS_NOFOLLOW);
	ck_assert_int_ge(link, 0);
	ck_assert_int_eq(fstat(link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(rootfs_open(root, path("/link"), ROOTFS_NO_SYMLINKS), -ELOOP);
	ck_assert_int_eq(rootfs_open(root, path("/link/passwd"), ROOTFS_NO_SYMLINKS), -ELOOP);
	ck_assert_int_eq(rootfs_dir(root, path("/link"), ROOTFS_NO_SYMLINKS, 0755, NULL), -ELOOP);
	/* Not even one that dangles is followed then. */
	make_link(root, "dangling", "/proc-of-the-image");
	ck_assert_int_eq(rootfs_dir(root, path("/dangling"), ROOTFS_NO_SYMLINKS, 0755, NULL), -ELOOP);
	ck_assert_int_eq(faccessat(root, "proc-of-the-image", F_OK, 0), -1);
}
END_TEST

static void expect_made_dir(const char *p, const char *inside)
{
	bool made = false;
	scoped_fd int fd = rootfs_dir(root, path(p), 0, 0755, &made);

	ck_assert_msg(fd >= 0, "%s: %s", p, strerror(-fd));
	ck_assert_msg(made && same(fd, root, inside), "%s is not a new %s", p, inside);
}

START_TEST(test_dirs_are_made)
{
	bool made = true;
	char deep[1024] = "", name[300];
	struct stat st;

	scoped_fd int etc = rootfs_dir(root, path("/etc"), 0, 0700, &made);
	ck_assert(etc >= 0 && !made);
	expect_made_dir("/a/b/c", "a/b/c");
	ck_assert_int_eq(fstatat(root, "a/b", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
	expect_made_dir("/a/./x//y/", "a/x/y");
	expect_made_dir("/m/../n", "n");
	expect_made_dir("/../../../o/p", "o/p");
	for (size_t n = 0; n + sizeof("/deeper") < sizeof(deep); n += strlen("/deeper"))
		memcpy(deep + n, "/deeper", sizeof("/deeper"));
	expect_made_dir(deep, deep + 1);
	ck_assert_int_eq(rootfs_dir(root, path("/etc/passwd"), 0, 0755, NULL), -ENOTDIR);
	ck_assert_int_eq(rootfs_dir(root, path("/etc/passwd/x"), 0, 0755, NULL), -ENOTDIR);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(rootfs_dir(root, path(name), 0, 0755, NULL), -ENAMETOOLONG);
	expect_outside_untouched();
}
END_TEST

/* Images have /var/run → /run without /run, and /etc/resolv.conf → ../run/…: both are made where the link says,
 * inside. */
START_TEST(test_dangling_links_are_made_inside)
{
	bool made = false;
	struct stat st;

	make_dir(root, "var");
	make_link(root, "var/run", "/run");
	make_link(root, "rel", "var/../sub/dir");
	make_link(root, "out", "../../../outside/new");
	make_link(root, "etc/resolv.conf", "../run/resolve/stub.conf");
	expect_made_dir("/var/run/secrets", "run/secrets");
	expect_made_dir("/rel/x", "sub/dir/x");
	expect_made_dir("/out/x", "outside/new/x");
	scoped_fd int fd = rootfs_file(root, path("/etc/resolv.conf"), 0644, 0755, &made);
	ck_assert(fd >= 0 && made && same(fd, root, "run/resolve/stub.conf"));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISREG(st.st_mode) && st.st_size == 0);
	expect_outside_untouched();
}
END_TEST

START_TEST(test_files)
{
	bool made = true;
	char byte;

	scoped_fd int old = rootfs_file(root, path("/etc/passwd"), 0600, 0755, &made);
	ck_assert(old >= 0 && !made && same(old, root, "etc/passwd"));
	/* Never opened for reading or writing, whatever it is. */
	ck_assert_int_eq(read(old, &byte, 1), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(mknodat(root, "fifo", S_IFIFO | 0644, 0), 0);
	scoped_fd int fifo = rootfs_file(root, path("/fifo"), 0644, 0755, &made);
	ck_assert(fifo >= 0 && !made);
	ck_assert_int_eq(rootfs_file(root, path("/etc"), 0644, 0755, NULL), -EISDIR);
	scoped_fd int new = rootfs_file(root, path("/x/y/z"), 0640, 0755, &made);
	ck_assert(new >= 0 && made && same(new, root, "x/y/z"));
}
END_TEST

START_TEST(test_parent)
{
	static const char *const bad[] = { "/", "", "//", "/.", "/etc/..", "..", "." };
	char name[ROOTFS_NAME_MAX];

	scoped_fd int etc = rootfs_parent(root, path("/etc/passwd"), 0755, name);
	ck_assert(etc >= 0 && same(etc, root, "etc") && streq(name, "passwd"));
	scoped_fd int self = rootfs_parent(root, path("null/"), 0755, name);
	ck_assert(self >= 0 && same(self, top_fd, "root") && streq(name, "null"));
	scoped_fd int new = rootfs_parent(root, path("/dev/net/tun"), 0755, name);
	ck_assert(new >= 0 && same(new, root, "dev/net") && streq(name, "tun"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(rootfs_parent(root, path(bad[i]), 0755, name) == -EINVAL, "\"%s\"", bad[i]);
}
END_TEST

/* ---- the neighbour ---- */

/* Exchange root/vol/a (a directory) and root/vol/b (a link out of the root) as fast as possible. */
static pid_t start_racer(void)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s/outside", top);
	make_dir(root, "vol");
	make_dir(root, "vol/a");
	make_link(root, "vol/b", target);
	scoped_fd int vol = openat(root, "vol", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(vol, 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	for (time_t end = time(NULL) + 50; time(NULL) < end;)
		for (unsigned i = 0; i < 1000; i++)
			syscall(SYS_renameat2, vol, "a", vol, "b", EXCHANGE);
	_exit(0);
}

static void stop_racer(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* The racer is worth something only if it catches a look-up by a joined string. */
static bool catches_plain_open(void)
{
	char p[PATH_MAX];

	snprintf(p, sizeof(p), "%s/root/vol/a/secret", top);
	for (time_t end = time(NULL) + 10; time(NULL) <= end;)
		for (unsigned i = 0; i < 1000; i++) {
			scoped_fd int fd = open(p, O_PATH | O_CLOEXEC);
			if (fd >= 0)
				return true;
		}
	return false;
}

static bool is_race_error(int r)
{
	return r == -EAGAIN || r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -EEXIST;
}

START_TEST(test_racer_is_never_followed)
{
	pid_t racer = start_racer();
	unsigned opened = 0, made = 0;
	char p[64];

	ck_assert_msg(catches_plain_open(), "the racer catches nobody: this test would show nothing");
	for (unsigned i = 0; i < 8000; i++) {
		scoped_fd int fd = rootfs_open(root, path(i & 1 ? "/vol/a/../../vol/a/secret" : "/vol/a/secret"), 0);
		opened += fd >= 0;
		ck_assert_msg(fd < 0 && is_race_error(fd), "\"secret\" was reached: %d", fd);
	}
	for (unsigned i = 0; i < 800; i++) {
		snprintf(p, sizeof(p), "/vol/a/dir%u/x", i);
		scoped_fd int dir = rootfs_dir(root, path(p), 0, 0755, NULL);
		ck_assert_msg(dir >= 0 || is_race_error(dir), "%s: %s", p, strerror(-dir));
		snprintf(p, sizeof(p), "/vol/a/file%u", i);
		scoped_fd int file = rootfs_file(root, path(p), 0644, 0755, NULL);
		ck_assert_msg(file >= 0 || is_race_error(file), "%s: %s", p, strerror(-file));
		made += dir >= 0;
		made += file >= 0;
	}
	stop_racer(racer);
	ck_assert_uint_eq(opened, 0);
	ck_assert_uint_gt(made, 400);
	expect_outside_untouched();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rootfs");
	TCase *t = tcase_create("resolve"), *race = tcase_create("race");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, test_links_stay_inside);
	tcase_add_test(t, test_loops_end);
	tcase_add_test(t, test_magic_links_are_refused);
	tcase_add_test(t, test_flags);
	tcase_add_test(t, test_dirs_are_made);
	tcase_add_test(t, test_dangling_links_are_made_inside);
	tcase_add_test(t, test_files);
	tcase_add_test(t, test_parent);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(race, set_up, tear_down);
	tcase_set_timeout(race, 60);
	tcase_add_test(race, test_racer_is_never_followed);
	suite_add_tcase(s, race);
	return unit_run(s);
}
