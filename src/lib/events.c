/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of `events`: figures at an interval, OOM kills as they happen, the end when the container ends. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "lib/stats.h"

struct stream {
	const struct hull_events_opts *o;
	struct container c;
	struct cgroup cg;
	struct cg_oom_watch oom;
	int pidfd;
	int64_t next_ms; /* when the next figures are due */
	bool ended;
};

static int emit(const struct stream *s, const char *type, const struct hull_stats *stats, struct oci_arena *a, struct err *e)
{
	const char *line = hull_event_json(type, s->c.rec.id, stats, a);

	return line ? s->o->emit(s->o->arg, line, e) : err_sys(e, -ENOMEM, "write an event of container \"%s\"", s->c.rec.id);
}

static int emit_oom(struct stream *s, struct err *e)
{
	struct oci_arena a = { 0 };
	uint64_t n;
	int r = 0;

	/* Without its cgroup there is nothing left to tell. */
	if (cg_oom_watch_take(&s->oom, &n) == -ENODEV)
		s->ended = true;
	for (; n > 0 && r >= 0; n--)
		r = emit(s, "oom", NULL, &a, e);
	oci_arena_release(&a);
	return r;
}

static int emit_stats(struct stream *s, struct err *e)
{
	struct oci_arena a = { 0 };
	struct hull_stats stats;

	int r = stats_read(&s->c, &s->cg, &a, &stats, e);
	/* It may have ended while its files were read. */
	if (r == 0 && proc_exited(s->pidfd, 0) == 0)
		r = emit(s, "stats", &stats, &a, e);
	oci_arena_release(&a);
	return r;
}

/* One round: sleep until something happens or figures are due. */
static int round_of(struct stream *s, struct err *e)
{
	struct pollfd p[] = {
		{ .fd = s->pidfd, .events = POLLIN },
		{ .fd = s->oom.fd, .events = s->oom.events },
	};
	int64_t left = s->next_ms - clock_now_ms();
	int r = 0;

	if (poll(p, ARRAY_LEN(p), left > 0 ? (int)left : 0) < 0 && errno != EINTR)
		return err_sys(e, -errno, "wait for events of container \"%s\"", s->c.rec.id);
	/* The end first: what killed it has been counted by then. */
	s->ended = p[0].revents;
	if (p[0].revents || p[1].revents)
		r = emit_oom(s, e);
	if (r >= 0 && !s->ended && clock_now_ms() >= s->next_ms) {
		r = emit_stats(s, e);
		/* Not late for all that follow because one was. */
		while (s->next_ms <= clock_now_ms())
			s->next_ms += s->o->interval_ms;
	}
	return r;
}

static int follow(struct stream *s, struct oci_arena *a, struct err *e)
{
	int r = cg_oom_watch_open(&s->cg, &s->oom, e);

	s->next_ms = clock_now_ms() + s->o->interval_ms;
	while (r >= 0 && !s->ended)
		r = round_of(s, e);
	cg_oom_watch_close(&s->oom);
	/* Whoever sees an end writes it down. */
	if (r >= 0 && proc_exited(s->pidfd, 0) == 1)
		exit_see(&s->c, s->pidfd, &s->cg, a);
	return r < 0 ? r : 0;
}

int hull_events(const struct hull *h, const char *id, const struct hull_events_opts *o, struct err *e)
{
	struct oci_arena a = { 0 };
	struct stream s = { .o = o };
	struct cg_layout lay;

	int r = stats_open(h, id, &a, &s.c, &lay, &s.cg, e);
	if (r == 0) {
		s.pidfd = proc_id_open(&s.c.rec.init);
		/* -ESRCH: it has ended since; there is nothing more to come. */
		r = s.pidfd >= 0 ? follow(&s, &a, e) : s.pidfd == -ESRCH ? 0 : err_sys(e, s.pidfd, "open process %d", (int)s.c.rec.init.pid);
		fd_close(&s.pidfd);
		cg_close(&s.cg);
		container_close(&s.c);
	}
	oci_arena_release(&a);
	return r;
}
