/* SPDX-License-Identifier: Apache-2.0 */
/* src/base: errors, numbers, strings, files, descriptors, the control protocol. */
#include "base/buf.h"
#include "base/ctl.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "unit.h"

static char text[ERR_RENDER_MAX];

/* ---- err ---- */

START_TEST(test_err_forms)
{
	struct err e;

	ck_assert_int_eq(err_sys(&e, -ENOENT, "open cgroup %s", "/x"), -ENOENT);
	ck_assert_str_eq(err_render(&e, text, sizeof(text)), "open cgroup /x: no such file or directory");
	ck_assert_int_eq(err_at(&e, -ENOENT, "mounts[3]"), -ENOENT);
	ck_assert_str_eq(err_render(&e, text, sizeof(text)), "open cgroup /x (mounts[3]): no such file or directory");
	err_at(&e, -1, "other");
	ck_assert_str_eq(e.path, "mounts[3]");
	ck_assert_int_eq(err_wrap(&e, -ENOENT, "create %s", "c1"), -ENOENT);
	ck_assert_str_eq(err_render(&e, text, sizeof(text)), "create c1: open cgroup /x (mounts[3]): no such file or directory");
	snprintf(e.kernel, sizeof(e.kernel), "proc: Bad value");
	ck_assert_ptr_nonnull(strstr(err_render(&e, text, sizeof(text)), "directory (kernel: proc: Bad value)"));

	ck_assert_int_eq(err_config(&e, "process.cwd", "\"%s\" — must be absolute", "x"), -EINVAL);
	ck_assert_str_eq(err_render(&e, text, sizeof(text)), "config.json: process.cwd: \"x\" — must be absolute");
	ck_assert_int_eq(err_set(&e, ERR_USAGE, 0, "no"), -EINVAL);
	ck_assert_int_eq(err_set(&e, ERR_STATE, EBUSY, "no"), -EBUSY);
}
END_TEST

START_TEST(test_err_wrap_keeps_what_is_inside)
{
	char inside[700], outside[700];
	struct err e = { 0 };

	memset(inside, 'i', sizeof(inside) - 1);
	memset(outside, 'o', sizeof(outside) - 1);
	inside[sizeof(inside) - 1] = outside[sizeof(outside) - 1] = '\0';
	err_set(&e, ERR_SYS, EIO, "%s", inside);
	err_wrap(&e, -EIO, "%s", outside);
	ck_assert_uint_lt(strlen(e.msg), sizeof(e.msg));
	ck_assert_ptr_nonnull(strstr(e.msg, inside));
	ck_assert_int_eq(e.msg[0], 'o');
	e = (struct err){ 0 };
	err_wrap(&e, -EPERM, "outer");
	ck_assert_int_eq(e.code, EPERM);
	ck_assert_str_eq(e.msg, "outer");
}
END_TEST

START_TEST(test_errno_words)
{
	static const struct { int code; const char *word; } known[] = { { EPERM, "operation not permitted" },
		{ ENOENT, "no such file or directory" }, { ESRCH, "no such process" }, { EACCES, "permission denied" },
		{ EISDIR, "is a directory" }, { ENOTDIR, "not a directory" }, { EBUSY, "device or resource busy" } };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ck_assert_str_eq(err_text(known[i].code), known[i].word);
	ck_assert_str_eq(err_text(99999), "unknown error");
}
END_TEST

START_TEST(test_escape)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "plain", "plain" }, { "", "" }, { "a\nb\x7f", "a\\x0ab\\x7f" }, { "\x1b[31m", "\\x1b[31m" },
		{ "käse €  𝄞", "käse €  𝄞" }, { "\xc3", "\\xc3" }, { "\xff\xfe", "\\xff\\xfe" }, { "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, { "\xc2\x9b", "\\xc2\\x9b" }, { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_str_eq(err_escape(cases[i].in, buf, sizeof(buf)), cases[i].out);
	ck_assert_str_eq(err_escape("ab€", buf, 5), "ab"); /* cut at a whole character */
	ck_assert_str_eq(err_escape("ab\n", buf, 6), "ab");
	ck_assert_str_eq(err_escape("abc", buf, 1), "");
}
END_TEST

START_TEST(test_sanitize)
{
	struct err e;

	memset(&e, 0xff, sizeof(e));
	err_sanitize(&e);
	ck_assert_int_eq(e.kind, ERR_PEER);
	ck_assert_int_eq(e.code, 0);
	ck_assert_uint_eq(strlen(e.msg), sizeof(e.msg) - 1);
	ck_assert_uint_eq(strlen(e.path), sizeof(e.path) - 1);
	ck_assert_uint_eq(strlen(e.kernel), sizeof(e.kernel) - 1);
	err_render(&e, text, sizeof(text)); /* stays inside */
}
END_TEST

/* ---- num ---- */

START_TEST(test_size)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 },	       { "17", 17 },		{ "17b", 17 },		    { "1k", 1024 },
		{ "200M", 209715200 }, { "1g", 1073741824 },	{ "1.5GiB", 1610612736 },   { "0.5kb", 512 },
		{ "3T", 3298534883328 }, { "2p", 2251799813685248 }, { "9223372036854775807", INT64_MAX }, { "1.k", 1024 },
	};
	static const char *const bad[] = { "", "-1", "k", ".5k", "1x", "1kk", "1ki", "1 k", "1.5.5k", "1e3", "0x1", "1bb", " 1" };
	uint64_t v;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(num_parse_size(good[i].text, &v) == 0, "%s", good[i].text);
		ck_assert_msg(v == good[i].value, "%s", good[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(num_parse_size(bad[i], &v) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(num_parse_size("9223372036854775808", &v), -ERANGE);
	ck_assert_int_eq(num_parse_size("8192p", &v), -ERANGE);
	ck_assert_int_eq(num_parse_size("99999999999999999999", &v), -ERANGE);
}
END_TEST

START_TEST(test_range)
{
	static const struct {
		const char *text;
		uint64_t first, last;
		const char *rest;
	} good[] = {
		{ "0", 0, 0, "" },
		{ "4-7", 4, 7, "" },
		{ "7-4,9", 7, 4, ",9" },
		{ "12:1/2", 12, 12, ":1/2" },
		{ "3 ", 3, 3, " " },
		{ "99999999999999999999-1", UINT64_MAX, 1, "" },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, "" },
	};
	static const char *const bad[] = { "", " 1", "-1", "+1", "x", "1-", "1--2", "1-x", "1- 2" };
	uint64_t first, last;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *s = good[i].text;
		ck_assert_int_eq(num_take_range(&s, &first, &last), 0);
		ck_assert_uint_eq(first, good[i].first);
		ck_assert_uint_eq(last, good[i].last);
		ck_assert_str_eq(s, good[i].rest);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *s = bad[i];
		ck_assert_int_eq(num_take_range(&s, &first, &last), -EINVAL);
		ck_assert_ptr_eq(s, bad[i]);
	}
}
END_TEST

START_TEST(test_num)
{
	uint64_t u = 7;
	int64_t i = 7;
	uint32_t o = 7;
	char buf[NUM_U64_MAX_CHARS];

	ck_assert_int_eq(num_parse_u64("18446744073709551615", UINT64_MAX, &u), 0);
	ck_assert_uint_eq(u, UINT64_MAX);
	ck_assert_int_eq(num_parse_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
	ck_assert_int_eq(num_parse_u64("99999999999999999999999", UINT64_MAX, &u), -ERANGE);
	ck_assert_int_eq(num_parse_u64("256", 255, &u), -ERANGE);
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "a", "１" };
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		ck_assert_int_eq(num_parse_u64(bad[k], UINT64_MAX, &u), -EINVAL);
	ck_assert_uint_eq(u, UINT64_MAX); /* untouched by failures */

	ck_assert_int_eq(num_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	ck_assert_int_eq(i, INT64_MIN);
	ck_assert_int_eq(num_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), -ERANGE);
	ck_assert_int_eq(num_parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &i), -ERANGE);
	ck_assert_int_eq(num_parse_i64("-", INT64_MIN, INT64_MAX, &i), -EINVAL);
	ck_assert_int_eq(num_parse_i64("--1", INT64_MIN, INT64_MAX, &i), -EINVAL);
	ck_assert_int_eq(num_parse_i64("-2", -1, 5, &i), -ERANGE);
	ck_assert_int_eq(num_parse_i64("-1", -1, 5, &i), 0);
	ck_assert_int_eq(i, -1);

	ck_assert_int_eq(num_parse_octal("0777", 07777, &o), 0);
	ck_assert_uint_eq(o, 0777);
	ck_assert_int_eq(num_parse_octal("8", 07777, &o), -EINVAL);
	ck_assert_int_eq(num_parse_octal("10000", 07777, &o), -ERANGE);

	ck_assert_uint_eq(num_print_u64(buf, UINT64_MAX), 20);
	ck_assert_str_eq(buf, "18446744073709551615");
	ck_assert_uint_eq(num_print_u64(buf, 0), 1);
	ck_assert_str_eq(buf, "0");
}
END_TEST

/* ---- buf ---- */

START_TEST(test_buf)
{
	char storage[8];
	struct buf b;

	buf_init(&b, storage, sizeof(storage));
	buf_add(&b, "abc");
	buf_printf(&b, "%d", 1234);
	ck_assert_str_eq(b.s, "abc1234");
	ck_assert(!b.overflow);
	buf_add_char(&b, 'x');
	ck_assert(b.overflow);
	ck_assert_str_eq(b.s, "abc1234");
	buf_init(&b, storage, sizeof(storage));
	buf_printf(&b, "%s", "12345678");
	ck_assert(b.overflow);
	ck_assert_str_eq(b.s, "");

	char json[64];
	buf_init(&b, json, sizeof(json));
	buf_add_json(&b, "a\"\\\n\x7fé");
	ck_assert_str_eq(b.s, "\"a\\\"\\\\\\u000a\\u007fé\"");
}
END_TEST

/* ---- io ---- */

static int temporary_directory(char *path)
{
	ck_assert_ptr_nonnull(mkdtemp(path));
	int dfd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(dfd, 0);
	return dfd;
}

static unsigned count_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(test_io)
{
	char path[] = "/tmp/hull-unit-XXXXXX", buf[64];
	int dfd = temporary_directory(path);
	struct stat st;

	ck_assert_int_eq(io_replace_at(dfd, "f", "one", 3, 0600), 0);
	ck_assert_int_eq(io_replace_at(dfd, "f", "second", 6, 0640), 0);
	ck_assert_uint_eq(count_entries(path), 1);
	ck_assert_int_eq(fstatat(dfd, "f", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(io_read_at(dfd, "f", buf, sizeof(buf)), 6);
	ck_assert_str_eq(buf, "second");
	ck_assert_int_eq(io_read_at(dfd, "f", buf, 6), -EFBIG);
	ck_assert_int_eq(io_read_at(dfd, "f", buf, 7), 6);

	/* A target that can't be replaced leaves no temporary file. */
	ck_assert_int_eq(mkdirat(dfd, "d", 0700), 0);
	ck_assert_int_lt(io_replace_at(dfd, "d", "x", 1, 0600), 0);
	ck_assert_uint_eq(count_entries(path), 2);

	/* Only a regular file is read: no link is followed, no FIFO blocks. */
	ck_assert_int_eq(symlinkat("f", dfd, "link"), 0);
	ck_assert_int_eq(mkfifoat(dfd, "fifo", 0600), 0);
	ck_assert_int_eq(io_read_at(dfd, "link", buf, sizeof(buf)), -ELOOP);
	ck_assert_int_eq(io_read_at(dfd, "fifo", buf, sizeof(buf)), -EINVAL);
	ck_assert_int_eq(io_read_at(dfd, "d", buf, sizeof(buf)), -EINVAL);
	ck_assert_int_eq(io_read_at(dfd, "none", buf, sizeof(buf)), -ENOENT);
	ck_assert_int_eq(io_write_once_at(dfd, "none", "x", 1), -ENOENT);
	ck_assert_int_eq(io_write_once_at(dfd, "link", "x", 1), -ELOOP);
	ck_assert_int_eq(io_write_once_at(dfd, "f", "SEC", 3), 0);
	ck_assert_int_eq(io_read_at(dfd, "f", buf, sizeof(buf)), 6);
	ck_assert_str_eq(buf, "SECond");

	static const char *const all[] = { "f", "link", "fifo" };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		unlinkat(dfd, all[i], 0);
	unlinkat(dfd, "d", AT_REMOVEDIR);
	close(dfd);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* ---- fd ---- */

static void socket_pair(int *sv)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Send `n` descriptors in one message, as a hostile peer could. */
static void send_many(int sock, int n)
{
	char control[CMSG_SPACE(sizeof(int) * 8)] = { 0 };
	struct iovec iov = { .iov_base = (void *)"x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
	for (int i = 0; i < n; i++) {
		int fd = 0;
		memcpy(CMSG_DATA(c) + sizeof(int) * (size_t)i, &fd, sizeof(int));
	}
	ck_assert_int_eq(sendmsg(sock, &msg, 0), 1);
}

START_TEST(test_fd_passing)
{
	int sv[2], got;
	char c[2];

	socket_pair(sv);
	int before = open_fds();
	ck_assert_int_eq(fd_send(sv[0], "a", 1, 0), 0);
	ck_assert_int_eq(fd_recv(sv[1], c, sizeof(c), &got, 0), 1);
	ck_assert_int_ge(got, 0);
	ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fd_set_cloexec(got, 0), 0);
	ck_assert_int_eq(fcntl(got, F_GETFD), 0);
	fd_close(&got);
	ck_assert_int_eq(got, -EBADF);

	ck_assert_int_eq(fd_send(sv[0], "b", 1, -1), 0);
	ck_assert_int_eq(fd_recv(sv[1], c, sizeof(c), &got, 0), 1);
	ck_assert_int_eq(got, -1);

	for (int n = 2; n <= 4; n++) {
		send_many(sv[0], n);
		ck_assert_int_eq(fd_recv(sv[1], c, sizeof(c), &got, 0), -EPROTO);
		ck_assert_int_eq(got, -1);
	}
	/* Too long for the receiver: an error, and the descriptor is closed. */
	ck_assert_int_eq(fd_send(sv[0], "abc", 3, 0), 0);
	ck_assert_int_eq(fd_recv(sv[1], c, sizeof(c), &got, 0), -EMSGSIZE);
	ck_assert_int_eq(open_fds(), before);
	close(sv[0]);
	ck_assert_int_eq(fd_recv(sv[1], c, sizeof(c), &got, 0), 0);
	ck_assert_int_lt(fd_send(sv[1], "x", 1, -1), 0); /* EPIPE, not a signal */
	close(sv[1]);
}
END_TEST

START_TEST(test_scoped_fd)
{
	int before = open_fds(), kept;
	{
		scoped_fd int a = dup(0), b = dup(0);
		ck_assert_int_ge(a, 0);
		kept = take_fd(&b);
		errno = ENOTTY;
	}
	ck_assert_int_eq(errno, ENOTTY);
	ck_assert_int_eq(open_fds(), before + 1);
	close(kept);
}
END_TEST

/* ---- log ---- */

static char last_line[LOG_LINE_MAX];
static int n_lines;

static void sink(void *arg UNUSED, enum log_level level UNUSED, const char *line)
{
	n_lines++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

START_TEST(test_log)
{
	log_info("nobody listens"); /* no sink: no crash */
	log_set_sink((struct log_sink){ .write = sink, .level = LOG_LVL_INFO });
	log_debug("dropped");
	ck_assert_int_eq(n_lines, 0);
	ck_assert(!log_enabled(LOG_LVL_DEBUG));
	log_info("a\nb %d", 1);
	ck_assert_int_eq(n_lines, 1);
	ck_assert_str_eq(last_line, "a\\x0ab 1");
}
END_TEST

/* ---- ctl ---- */

static void ends(struct ctl *host, struct ctl *init)
{
	int sv[2];

	socket_pair(sv);
	*host = (struct ctl){ .fd = sv[0], .side = CTL_HOST };
	*init = (struct ctl){ .fd = sv[1], .side = CTL_INIT };
}

START_TEST(test_ctl_moves)
{
	struct ctl host, init;
	struct ctl_msg m;
	struct err e;
	int fd;

	ends(&host, &init);
	ck_assert_int_eq(ctl_send(&init, CTL_HOOKS_PLEASE, 0, NULL, 0, -1), 0);
	ck_assert_int_eq(ctl_expect(&host, CTL_HOOKS_PLEASE, 1000, &m, NULL, &e), 0);
	ck_assert_int_eq(ctl_send(&host, CTL_RELEASE, 0, NULL, 0, -1), -EPROTO); /* hooks are not done */
	ck_assert_int_eq(ctl_send(&host, CTL_HOOKS_DONE, 5, "xy", 2, -1), 0);
	ck_assert_int_eq(ctl_expect(&init, CTL_HOOKS_DONE, 1000, &m, NULL, &e), 0);
	ck_assert_uint_eq(m.arg, 5);
	ck_assert_mem_eq(m.body, "xy", 2);
	ck_assert_int_eq(ctl_send(&init, CTL_HOOKS_DONE, 0, NULL, 0, -1), -EPROTO); /* the host's word */
	ck_assert_int_eq(ctl_send(&init, CTL_BORN, 9, NULL, 0, 0), 0);
	ck_assert_int_eq(ctl_expect(&host, CTL_BORN, 1000, &m, &fd, &e), 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(ctl_send(&init, CTL_READY, 0, NULL, 0, -1), 0);
	int r = ctl_expect_any(&host, 1u << CTL_READY | 1u << CTL_CONSOLE, 1000, &m, &fd, &e);
	ck_assert_int_eq(r, CTL_READY);
	ck_assert_int_eq(ctl_expect(&host, CTL_EXECING, 20, &m, NULL, &e), -ETIMEDOUT);
	close(init.fd);
	ck_assert_int_eq(ctl_expect(&host, CTL_EXECING, 1000, &m, NULL, &e), -EPIPE);
	ck_assert_ptr_nonnull(strstr(e.msg, "EXECING"));
	close(host.fd);
}
END_TEST

/* What `init` sends raw, the host must refuse. */
static void hostile(const void *data, size_t len)
{
	struct ctl host, init;
	struct ctl_msg m;
	struct err e = { 0 };

	ends(&host, &init);
	ck_assert_int_eq(fd_send(init.fd, data, len, -1), 0);
	int r = ctl_expect(&host, CTL_READY, 1000, &m, NULL, &e);
	ck_assert_msg(r == -EPROTO || r == -EMSGSIZE, "%d", r);
	ck_assert_int_ne(e.kind, ERR_NONE);
	close(host.fd);
	close(init.fd);
}

START_TEST(test_ctl_hostile_peer)
{
	struct ctl_msg m = { .type = CTL_READY };
	size_t head = offsetof(struct ctl_msg, body);

	hostile(&m, 1);
	hostile(&m, head - 1);
	hostile(&m, head + 4); /* len says 0 */
	m.len = 100;
	hostile(&m, head);
	m.len = 0;
	m.type = CTL_TYPE_MAX;
	hostile(&m, head);
	m.type = UINT16_MAX;
	hostile(&m, head);
	m.type = CTL_NONE;
	hostile(&m, head);
	m.type = CTL_PLACED; /* the host's own word */
	hostile(&m, head);
	m.type = CTL_EXECING; /* too early */
	hostile(&m, head);
	char long_message[sizeof(struct ctl_msg) + 64] = { 0 };
	hostile(long_message, sizeof(long_message));
}
END_TEST

START_TEST(test_ctl_error_and_log)
{
	struct ctl host, init;
	struct ctl_msg m;
	struct err sent, e;

	ends(&host, &init);
	log_set_sink((struct log_sink){ .write = sink, .level = LOG_LVL_DEBUG });
	n_lines = 0;
	ck_assert_int_eq(ctl_send(&init, CTL_LOG, LOG_LVL_INFO, "evil\n\x1b", 6, -1), 0);
	err_sys(&sent, -EPERM, "mount proc on /proc");
	err_at(&sent, 0, "mounts[0]");
	ck_assert_int_eq(ctl_send_error(&init, &sent), 0);
	int r = ctl_expect(&host, CTL_READY, 1000, &m, NULL, &e);
	ck_assert_int_lt(r, 0);
	ck_assert_int_eq(n_lines, 1);
	ck_assert_str_eq(last_line, "evil\\x0a\\x1b");
	ck_assert_str_eq(err_render(&e, text, sizeof(text)), "mount proc on /proc (mounts[0]): operation not permitted");
	close(host.fd);
	close(init.fd);
}
END_TEST

START_TEST(test_ctl_table)
{
	for (unsigned t = 0; t < CTL_TYPE_MAX; t++)
		ck_assert_str_ne(ctl_name(t), "");
	ck_assert_ptr_nonnull(ctl_name(CTL_TYPE_MAX));
	ck_assert(!ctl_may(CTL_NONE, CTL_INIT, CTL_TYPE_MAX));
	ck_assert(!ctl_may(CTL_TYPE_MAX, CTL_INIT, CTL_READY));
	ck_assert(!ctl_may(CTL_NONE, CTL_HOST, CTL_READY));
	ck_assert(ctl_may(CTL_NONE, CTL_INIT, CTL_READY));
	ck_assert(ctl_may(CTL_START, CTL_INIT, CTL_EXECING));
	/* Every announcement can be reached. */
	for (unsigned t = CTL_PLACED; t < CTL_TYPE_MAX; t++) {
		bool reachable = false;
		for (unsigned last = 0; last < CTL_TYPE_MAX; last++)
			reachable |= ctl_may((uint8_t)last, CTL_HOST, t) || ctl_may((uint8_t)last, CTL_INIT, t);
		ck_assert_msg(reachable, "%s", ctl_name(t));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");

	tcase_set_timeout(t, 20);
	tcase_add_test(t, test_err_forms);
	tcase_add_test(t, test_err_wrap_keeps_what_is_inside);
	tcase_add_test(t, test_errno_words);
	tcase_add_test(t, test_escape);
	tcase_add_test(t, test_sanitize);
	tcase_add_test(t, test_num);
	tcase_add_test(t, test_range);
	tcase_add_test(t, test_size);
	tcase_add_test(t, test_buf);
	tcase_add_test(t, test_io);
	tcase_add_test(t, test_fd_passing);
	tcase_add_test(t, test_scoped_fd);
	tcase_add_test(t, test_log);
	tcase_add_test(t, test_ctl_moves);
	tcase_add_test(t, test_ctl_hostile_peer);
	tcase_add_test(t, test_ctl_error_and_log);
	tcase_add_test(t, test_ctl_table);
	suite_add_tcase(s, t);
	return unit_run(s);
}
