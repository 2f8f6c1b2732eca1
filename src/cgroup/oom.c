/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory controller says about its limit: how often it killed, how much was used, how much was allowed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* What v1 prints for "no limit": the largest multiple of the page size in a signed 64-bit number. Pages have up to 64 KiB. */
#define V1_NO_LIMIT (INT64_MAX - 65535)

/* The directory of the memory controller, or -1; *ret_v2 where there is one. */
static int memory_dfd(const struct cgroup *cg, bool *ret_v2)
{
	int i = cg_layout_find(cg->lay, "memory");

	if (i < 0)
		return -1;
	*ret_v2 = cg->lay->h[i].v2;
	return cg->dfd[i];
}

/* The one number in `file`, INT64_MAX for "max", -1 when it can't be read. */
static int64_t read_bytes(int dfd, const char *file)
{
	char text[32];
	uint64_t v;
	ssize_t n = io_read_at(dfd, file, text, sizeof(text));

	if (n <= 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (streq(text, "max"))
		return INT64_MAX;
	return num_parse_u64(text, INT64_MAX, &v) == 0 ? (int64_t)v : -1;
}

int64_t cg_oom_kills(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);

	return dfd < 0 ? -1 : cg_read_key(dfd, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
}

int64_t cg_memory_peak(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);

	return dfd < 0 ? -1 : read_bytes(dfd, v2 ? "memory.peak" : "memory.max_usage_in_bytes");
}

int64_t cg_memory_limit(const struct cgroup *cg)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);
	int64_t limit = dfd < 0 ? -1 : read_bytes(dfd, v2 ? "memory.max" : "memory.limit_in_bytes");

	return limit >= V1_NO_LIMIT ? INT64_MAX : limit;
}

/* ---- notification ---- */

#define NO_WATCH ((struct cg_oom_watch){ .fd = -1, .file_fd = -1, .event_fd = -1 })

/* Read oom_kill at the open file, which arms its poll too (kernfs: poll tells of changes since the last read at this descriptor). */
static int read_kills(int fd, uint64_t *ret)
{
	static const char key[] = "\noom_kill ";
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	/* Before Linux 4.13 nothing counts the kills; v2's memory.events has other lines before it. */
	const char *line = strstr(text, key);
	*ret = line ? strtoull(line + strlen(key), NULL, 10) : 0;
	return 0;
}

static int watch_v2(int dfd, struct cg_oom_watch *w, struct err *e)
{
	w->file_fd = openat(dfd, "memory.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (w->file_fd < 0 && errno == ENOENT)
		return 0; /* the controller isn't enabled there */
	if (w->file_fd < 0)
		return err_sys(e, -errno, "open memory.events");
	w->fd = w->file_fd;
	w->events = POLLPRI;
	int r = read_kills(w->file_fd, &w->kills);
	return r < 0 ? err_sys(e, r, "read memory.events") : 0;
}

static int watch_v1(int dfd, struct cg_oom_watch *w, struct err *e)
{
	char text[32];

	w->file_fd = openat(dfd, "memory.oom_control", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (w->file_fd < 0)
		return err_sys(e, -errno, "open memory.oom_control");
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0)
		return err_sys(e, -errno, "make an event descriptor");
	int len = snprintf(text, sizeof(text), "%d %d", w->event_fd, w->file_fd);
	int r = io_write_once_at(dfd, "cgroup.event_control", text, (size_t)len);
	if (r < 0)
		return err_sys(e, r, "ask for OOM notifications (cgroup.event_control)");
	w->fd = w->event_fd;
	w->events = POLLIN;
	return 0;
}

int cg_oom_watch_open(const struct cgroup *cg, struct cg_oom_watch *ret, struct err *e)
{
	bool v2;
	int dfd = memory_dfd(cg, &v2);

	*ret = NO_WATCH;
	if (dfd < 0)
		return 0;
	int r = v2 ? watch_v2(dfd, ret, e) : watch_v1(dfd, ret, e);
	if (r < 0)
		cg_oom_watch_close(ret);
	return r;
}

/* The eventfd is also written when the cgroup goes: what it says counts only while the file can still be read. */
static int take_v1(struct cg_oom_watch *w, uint64_t *ret)
{
	uint64_t n = 0;
	ssize_t got = read(w->event_fd, &n, sizeof(n));
	char c;

	if (pread(w->file_fd, &c, 1, 0) < 0)
		return -ENODEV;
	*ret = got == (ssize_t)sizeof(n) ? n : 0;
	return 0;
}

int cg_oom_watch_take(struct cg_oom_watch *w, uint64_t *ret)
{
	uint64_t now;

	*ret = 0;
	if (w->fd < 0)
		return 0;
	if (w->event_fd >= 0)
		return take_v1(w, ret);
	int r = read_kills(w->file_fd, &now);
	if (r < 0)
		return -ENODEV;
	*ret = now > w->kills ? now - w->kills : 0;
	w->kills = now;
	return 0;
}

void cg_oom_watch_close(struct cg_oom_watch *w)
{
	fd_close(&w->event_fd);
	fd_close(&w->file_fd);
	*w = NO_WATCH;
}
