/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "base/fd.h"
#include "lib/container.h"
#include "lib/create.h"

#define STOP_MS 5000

static int check_created(const struct container *c, struct err *e)
{
	enum oci_status s = c->status;
	const struct state_rec *rec = &c->rec;

	if (s == OCI_STATUS_CREATED)
		return 0;
	if (s == OCI_STATUS_RUNNING)
		return err_set(e, ERR_STATE, 0, "cannot start an already running container: \"%s\" is %s", rec->id, oci_status_word(s));
	if (s == OCI_STATUS_PAUSED)
		return err_set(e, ERR_STATE, 0, "cannot start a paused container: \"%s\"", rec->id);
	if (s == OCI_STATUS_STOPPED)
		return err_set(e, ERR_STATE, 0, "cannot start a container that has stopped: \"%s\"", rec->id);
	return err_set(e, ERR_STATE, 0, "cannot start container \"%s\": it is %s", rec->id, oci_status_word(s));
}

/* Its init in any case: a cgroup that was there before the container carries no token, and nobody is killed by it. */
static void stop(const struct state_rec *rec, const struct cgroup *cg)
{
	scoped_fd int init = proc_id_open(&rec->init);
	struct err ignored;

	if (init >= 0)
		proc_kill(init, SIGKILL);
	if (cg_kill(cg, rec->token, SIGKILL, &ignored) == 0)
		cg_wait_empty(cg, STOP_MS, &ignored);
	if (init >= 0)
		proc_exited(init, STOP_MS);
}

/* A poststart hook that fails stops the container (runtime.md, Lifecycle 9, since 1.3.0); `delete` then runs poststop as for any stopped one. */
static int run_poststart(const struct oci_config *cfg, const struct state_rec *rec, struct cgroup *cg, struct oci_arena *a, struct err *e)
{
	const struct oci_hooks *h = cfg->hooks;
	int r;

	if (!h || !h->n_poststart)
		return 0;
	struct hook_files files;
	r = container_hook_files(rec, &files, e);
	if (r == 0)
		r = hooks_run("poststart", h->poststart, h->n_poststart, host_state_json(rec, OCI_STATUS_RUNNING, a), rec->bundle, &files, e);
	hook_files_close(&files);
	if (r < 0)
		stop(rec, cg);
	return r;
}

static int start_open(const struct hull *h, const struct state_dir *d, const struct state_rec *rec, struct oci_config *cfg, struct oci_arena *a, struct err *e)
{
	struct cg_layout lay;
	struct cgroup cg;
	struct agent agent;
	const char *path = state_rec_cgroup(rec);
	int timeout = cfg->hooks && cfg->hooks->n_start_container ? hull_patience_ms(h) : hull_timeout_ms(h);
	int r = path ? cg_layout_detect(&lay, e) : 0;

	struct plan_annotations honoured;
	if (r == 0)
		r = plan_read_annotations(&rec->annotations, rec->allowed_annotations, false, &honoured, e);
	if (r == 0)
		r = agent_connect(cfg, plan_seccomp_receiver(cfg, &honoured), rec, OCI_STATUS_CREATED, a, &agent, e);
	if (r < 0)
		return r;
	cg_none(&cg);
	if (path)
		r = cg_open(&lay, path, &cg, e);
	if (r >= 0) {
		r = gate_start(d, rec, &cg, timeout, &agent, e);
		if (r == 0)
			r = run_poststart(cfg, rec, &cg, a, e);
		cg_close(&cg);
	}
	agent_close(&agent);
	return r;
}

/* Between the program and the service manager of our caller, if it has one and had one when the container was made. */
static int open_notify(const struct hull *h, const struct container *c, struct notify *ret, struct err *e)
{
	scoped_fd int dfd = h->notify_socket ? state_notify_open(&c->dir) : -ENOENT;

	if (dfd == -ENOENT)
		return 0;
	if (dfd < 0)
		return err_sys(e, dfd, "open the directory of the notify socket");
	ret->main_pid = c->rec.init.pid;
	int r = notify_connect(ret, h->notify_socket, e);
	return r == 0 ? notify_bind(ret, dfd, STATE_NOTIFY_SOCKET, e) : r;
}

/* Nobody else is kept waiting: the lock is given back before. */
static int await_ready(const struct hull *h, struct notify *n, int init, struct err *e)
{
	if (n->down_fd < 0)
		return 0;
	return init < 0 ? 0 : notify_await_ready(n, init, hull_patience_ms(h), e);
}

int hull_start(const struct hull *h, const char *id, struct err *e)
{
	struct notify notify = NOTIFY_NONE;
	scoped_fd int init = -1;
	struct oci_arena arena = { 0 };
	struct oci_config *cfg;
	struct container c;
	int r = container_open(h, id, CONTAINER_LOCK_MS, &arena, &c, e);

	if (r >= 0) {
		r = check_created(&c, e);
		if (r == 0)
			r = state_config_read(&c.dir, &arena, &cfg, e);
		if (r == 0 && !cfg->process)
			r = err_set(e, ERR_STATE, 0, "cannot start container \"%s\": its configuration has no process", id);
		if (r == 0)
			r = open_notify(h, &c, &notify, e);
		if (r == 0 && notify.down_fd >= 0)
			init = proc_id_open(&c.rec.init);
		if (r == 0)
			r = start_open(h, &c.dir, &c.rec, cfg, &arena, e);
		container_close(&c);
	}
	if (r >= 0)
		r = await_ready(h, &notify, init, e);
	notify_close(&notify);
	oci_arena_release(&arena);
	return r < 0 && e->kind != ERR_STATE ? err_wrap(e, r, "start %s", id) : r;
}
