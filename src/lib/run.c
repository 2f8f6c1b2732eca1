/* SPDX-License-Identifier: Apache-2.0 */
/* run: create and start in one go, and wait for the end in the foreground. */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "lib/container.h"
#include "lib/create.h"

/* What only we know, being its parent: for the record, where one stays. */
static void tell_end(struct creation *c, const struct wait_ctx *w, int status, bool keep)
{
	struct oci_state_exit x = { .finished = container_timestamp(c->arena) };
	char text[ERR_RENDER_MAX];
	struct err e;

	if (w->killed)
		x.signal = (struct opt_i32){ true, status - 128 };
	else
		x.code = (struct opt_i32){ true, status };
	exit_count_oom(&x, &c->cg);
	if (x.oom_kills.v > 0)
		log_warn("container %s: its cgroup counts %llu OOM kills: memory limit %lld, peak %lld bytes", c->id, (unsigned long long)x.oom_kills.v,
			 (long long)cg_memory_limit(&c->cg), (long long)cg_memory_peak(&c->cg));
	if (keep && exit_note(&c->dir, &x, &e) < 0)
		log_warn("container %s: how it ended is not recorded: %s", c->id, err_render(&e, text, sizeof(text)));
}

/* The lock is given back while the program runs, so that other commands can reach the container. The directory stays open: somebody may delete the
 * container and give its name to another, which is none of ours. */
static int run_foreground(struct creation *c, const struct hull_create_opts *o, struct wait_ctx *w, int *ret_status, struct err *e)
{
	int r;

	fd_close(&c->dir.lock_fd);
	c->notify.main_pid = getpid();
	w->notify = &c->notify;
	r = wait_foreground(w, c->child.pid, c->child.pidfd, c->master, ret_status, e);
	if (r >= 0)
		tell_end(c, w, *ret_status, o->keep);
	if (o->keep)
		return r;
	struct err del;
	int d = container_delete_own(&c->dir, c->timeout_ms, &del);
	if (d < 0 && r == 0)
		*e = del;
	return r < 0 ? r : d;
}

static int run_planned(struct creation *c, const struct hull_create_opts *o, int *ret_status, struct err *e)
{
	struct wait_ctx w;
	bool foreground = !o->detach;
	int r = foreground ? wait_prepare(&w, e) : 0;

	if (r < 0)
		return r;
	/* Orphans of a container without a pid namespace of its own are reaped here, not by whoever called us. */
	if (foreground && !o->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warn("become the reaper of orphans: %s", err_text(errno));
	r = creation_claim(c, e);
	if (r == 0)
		r = host_build(c, e);
	if (r == 0)
		r = host_execute(c, e);
	/* What is to be undone is undone to its end. */
	wait_no_more();
	if (r < 0)
		creation_abandon(c);
	else if (foreground)
		r = run_foreground(c, o, &w, ret_status, e);
	if (foreground)
		wait_restore(&w);
	return r;
}

/* Detached: when we have gone nobody passes on what the program says, so it is the program that says when we may go. */
static int await_ready(struct creation *c, const struct hull *h, struct err *e)
{
	if (c->notify.down_fd < 0)
		return 0;
	fd_close(&c->dir.lock_fd);
	c->notify.main_pid = c->child.pid;
	return notify_await_ready(&c->notify, c->child.pidfd, hull_patience_ms(h), e);
}

int hull_run(const struct hull *h, const char *id, const struct hull_create_opts *o, int *ret_status, struct err *e)
{
	struct oci_arena arena = { 0 };
	struct creation c = CREATION_NONE(&arena);
	int r = creation_look(&c, h, e);

	*ret_status = 0;
	if (r == 0)
		r = creation_plan(&c, h, id, o, true, e);
	if (r == 0)
		r = creation_open(&c, h, o, e);
	if (r == 0)
		r = run_planned(&c, o, ret_status, e);
	if (r >= 0 && o->detach)
		r = await_ready(&c, h, e);
	host_close(&c);
	fd_close(&c.root_dfd);
	if (r < 0 && e->kind != ERR_CONFIG && e->kind != ERR_USAGE)
		err_wrap(e, r, "run %s", id);
	oci_arena_release(&arena);
	return r;
}
