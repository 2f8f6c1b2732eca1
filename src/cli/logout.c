/* SPDX-License-Identifier: Apache-2.0 */
/* Where log lines and the one error go: a file, standard error, the journal or syslog. */
#include "cli/logout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/io.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum dest { DEST_STDERR,
	    DEST_FILE,
	    DEST_JOURNAL,
	    DEST_SYSLOG };

/* One a process, like the sink itself. */
static struct {
	enum dest dest;
	bool json;
	int fd; /* file or journal socket */
	char ident[64];
} out = { .fd = -1 };

static const struct {
	const char *word;
	enum log_level level;
} levels[] = {
	{ "error", LOG_LVL_ERROR },
	{ "warning", LOG_LVL_WARNING },
	{ "warn", LOG_LVL_WARNING },
	{ "info", LOG_LVL_INFO },
	{ "debug", LOG_LVL_DEBUG },
};

/* By enum log_level: what a log line calls it, and the priority that the journal and syslog know. */
static const struct {
	const char *word;
	int priority;
} level_names[] = {
	[LOG_LVL_ERROR] = { "error", LOG_ERR },
	[LOG_LVL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LVL_INFO] = { "info", LOG_INFO },
	[LOG_LVL_DEBUG] = { "debug", LOG_DEBUG },
};

const char *logout_render(bool json, enum log_level level, const char *msg, const char *time, char *buf, size_t size)
{
	struct buf b;

	buf_init(&b, buf, size);
	if (json) {
		buf_printf(&b, "{\"level\":\"%s\",\"msg\":", level_names[level].word);
		buf_add_json(&b, msg);
		buf_printf(&b, ",\"time\":\"%s\"}\n", time);
	} else {
		buf_printf(&b, "time=\"%s\" level=%s msg=", time, level_names[level].word);
		buf_add_json(&b, msg);
		buf_add_char(&b, '\n');
	}
	return buf;
}

/* RFC 3339, UTC, microseconds. */
static void time_now(char *buf, size_t size)
{
	struct timespec now = { 0 };
	struct tm tm;
	char seconds[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, size, "%s.%06ldZ", seconds, now.tv_nsec / 1000);
}

/* The journal's native protocol: FIELD=value lines, one datagram an entry. `msg` has no newline. */
static void write_journal(enum log_level level, const char *msg)
{
	char entry[ERR_RENDER_MAX + 128];
	struct buf b;

	buf_init(&b, entry, sizeof(entry));
	buf_printf(&b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", level_names[level].priority, out.ident, msg);
	/* A journal that is full or gone must not hold a container: the line is lost, the error stays on standard
	 * error. */
	(void)!send(out.fd, entry, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void write_plain(int fd, enum log_level level, const char *msg)
{
	char line[LOGOUT_LINE_MAX];
	const char *word = level == LOG_LVL_ERROR ? "" : level_names[level].word;

	snprintf(line, sizeof(line), "hull: %s%s%s\n", word, *word ? ": " : "", msg);
	(void)io_write_all(fd, line, strlen(line));
}

/* One write a line: other writers of the same file can't come between. */
static void write_rendered(int fd, enum log_level level, const char *msg)
{
	char line[LOGOUT_LINE_MAX], time[64];

	time_now(time, sizeof(time));
	logout_render(out.json, level, msg, time, line, sizeof(line));
	(void)io_write_all(fd, line, strlen(line));
}

static void sink_write(void *arg UNUSED, enum log_level level, const char *msg)
{
	switch (out.dest) {
	case DEST_STDERR:
		if (out.json)
			write_rendered(STDERR_FILENO, level, msg);
		else
			write_plain(STDERR_FILENO, level, msg);
		break;
	case DEST_FILE:
		write_rendered(out.fd, level, msg);
		break;
	case DEST_JOURNAL:
		write_journal(level, msg);
		break;
	case DEST_SYSLOG:
		syslog(level_names[level].priority, "%s", msg);
		break;
	}
}

/* O_NONBLOCK: a FIFO without a reader must not hold us (ENXIO), one with a reader that sleeps neither; both are
 * refused. */
static int open_file(const char *path, struct err *e)
{
	scoped_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "--log: open %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "--log: stat %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, ERR_USAGE, 0, "--log: %s is neither a regular file nor a character device", path);
	out.dest = DEST_FILE;
	out.fd = take_fd(&fd);
	return 0;
}

/* /dev/stderr and its like may be a pipe, which can't be opened again without its reader's consent. */
static int open_standard(const char *path, int standard, struct err *e)
{
	int fd = fcntl(standard, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return err_sys(e, -errno, "--log: open %s", path);
	out.dest = DEST_FILE;
	out.fd = fd;
	return 0;
}

static int open_path(const char *path, struct err *e)
{
	static const struct {
		const char *path;
		int fd;
	} standard[] = { { "/dev/stdout", 1 }, { "/dev/stderr", 2 } };

	for (size_t i = 0; i < ARRAY_LEN(standard); i++) {
		if (streq(path, standard[i].path))
			return open_standard(path, standard[i].fd, e);
	}
	return open_file(path, e);
}

static int set_ident(const char *ident, struct err *e)
{
	if (!*ident || strlen(ident) >= sizeof(out.ident) || strpbrk(ident, "\n\r"))
		return err_set(e, ERR_USAGE, 0, "--log: \"%s\" is not an identifier of 1 to %zu characters", ident,
			       sizeof(out.ident) - 1);
	memcpy(out.ident, ident, strlen(ident) + 1);
	return 0;
}

static int open_journal(const char *ident, struct err *e)
{
	const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	int r = set_ident(ident, e);
	if (r < 0)
		return r;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_sys(e, -errno, "--log: connect to the journal at " JOURNAL_SOCKET);
	out.dest = DEST_JOURNAL;
	out.fd = take_fd(&fd);
	return 0;
}

static int open_syslog(const char *ident, struct err *e)
{
	int r = set_ident(ident, e);

	if (r < 0)
		return r;
	openlog(out.ident, LOG_PID, LOG_DAEMON);
	out.dest = DEST_SYSLOG;
	return 0;
}

static const struct {
	const char *prefix;
	int (*open)(const char *rest, struct err *e);
} kinds[] = {
	{ "file:", open_path },
	{ "journald:", open_journal },
	{ "syslog:", open_syslog },
};

static int open_dest(const char *dest, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (str_starts(dest, kinds[i].prefix))
			return kinds[i].open(dest + strlen(kinds[i].prefix), e);
	}
	return open_path(dest, e);
}

static int find_level(const char *word, enum log_level *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (streq(word, levels[i].word)) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, 0, "--log-level: \"%s\" is not one of error, warning, info, debug", word);
}

int logout_open(const char *dest, const char *format, const char *level, bool debug, struct err *e)
{
	struct log_sink sink = { .write = sink_write, .level = LOG_LVL_ERROR };
	int r = 0;

	fd_close(&out.fd);
	out.dest = DEST_STDERR;
	out.json = format && streq(format, "json");
	log_set_sink(sink);
	if (format && !out.json && !streq(format, "text"))
		return err_set(e, ERR_USAGE, 0, "--log-format: unknown log format type \"%s\", not one of text, json", format);
	if (dest)
		r = open_dest(dest, e);
	if (r < 0)
		return r;
	if (level)
		r = find_level(level, &sink.level, e);
	if (r < 0)
		return r;
	if (debug)
		sink.level = LOG_LVL_DEBUG;
	log_set_sink(sink);
	return 0;
}

void logout_error(const struct err *e)
{
	char msg[ERR_RENDER_MAX];

	err_render(e, msg, sizeof(msg));
	sink_write(NULL, LOG_LVL_ERROR, msg);
	if (out.dest != DEST_STDERR)
		write_plain(STDERR_FILENO, LOG_LVL_ERROR, msg);
}
