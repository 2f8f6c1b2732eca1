/* SPDX-License-Identifier: Apache-2.0 */
/* exec: join by pidfd, run a process. Configuration and limits come from the record's own copy, never from the bundle. */
#include "lib/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "lib/container.h"
#include "lib/create.h"
#include "lib/labels.h"
#include "run/rdt.h"

struct execution {
	struct oci_arena *arena;
	struct container c;
	struct oci_config *cfg;
	struct oci_process *proc;
	struct facts facts;
	struct plan plan;
	struct cgroup cg;
	bool cg_open, pid_file_written;
	int timeout_ms; /* for every answer of the child */
	bool place_late; /* its pids cgroup is full: what is born in the joined pid namespace is moved there before it is released */
	struct child child;
	int init_pidfd, console_sock, pidfd_sock, master;
	uint32_t namespaces;
	struct agent agent;
};

/* init may have moved into namespaces of its own making since: those are never joined (attacks-tried H12). */
static int compare_namespaces(struct execution *x, struct err *e)
{
	for (int t = OCI_NS_NONE + 1; t < OCI_NS_MAX; t++) {
		enum oci_namespace_type type = (enum oci_namespace_type)t;
		const struct ns_id *given = &x->c.rec.ns[type];
		struct ns_id now, own;

		int r = proc_namespace(x->c.rec.init.pid, type, &now);
		if (r == 0)
			r = proc_namespace(0, type, &own);
		if (r < 0)
			return err_sys(e, r, "compare the %s namespace of process %d", oci_namespace_word(type), (int)x->c.rec.init.pid);
		if (now.ino != given->ino || now.dev != given->dev)
			return err_set(e, ERR_STATE, 0, "init of container \"%s\" has left its %s namespace: nothing is executed there", x->c.rec.id,
				       oci_namespace_word(type));
		if (own.ino != now.ino)
			x->namespaces |= plan_clone_flag(type);
	}
	return 0;
}

static int check_status(const struct execution *x, const struct hull_exec_opts *o, struct err *e)
{
	enum oci_status s = x->c.status;

	if (s == OCI_STATUS_PAUSED && !o->ignore_paused)
		return err_set(e, ERR_STATE, 0, "cannot exec in a paused container: \"%s\" (use --ignore-paused)", x->c.rec.id);
	if (s == OCI_STATUS_STOPPED || s == OCI_STATUS_CREATING)
		return err_set(e, ERR_STATE, 0, "container not running: cannot exec in \"%s\", which is %s", x->c.rec.id, oci_status_word(s));
	return 0;
}

static int open_cgroup(struct execution *x, const struct hull_exec_opts *o, struct err *e)
{
	const char *path = state_rec_cgroup(&x->c.rec);
	int r = cg_layout_detect(&x->facts.cg, e);

	if (r < 0)
		return r;
	if (!path) {
		cg_none(&x->cg);
		return o->n_cgroups ? err_set(e, ERR_STATE, 0, "--cgroup %s: container \"%s\" has no cgroup", o->cgroups[0], x->c.rec.id) : 0;
	}
	r = cg_open(&x->facts.cg, path, &x->cg, e);
	if (r < 0)
		return r;
	x->cg_open = true;
	for (unsigned i = 0; i < x->facts.cg.n; i++)
		if (x->cg.dfd[i] < 0 && facts_is_guest(&x->facts))
			x->facts.cg.h[i].absent = true; /* a directory with init in it can't have been removed: it never was there */
		else if (x->cg.dfd[i] < 0)
			return err_set(e, ERR_STATE, ENOENT, "cgroup %s of container \"%s\" in hierarchy \"%s\"", path, x->c.rec.id, x->facts.cg.h[i].dir);
	return exec_choose_cgroup(&x->cg, o, x->c.rec.id, x->arena, e);
}

static bool has_ptrace(const struct oci_config *cfg)
{
	const struct oci_capabilities *c = cfg->process ? cfg->process->capabilities : NULL;

	for (size_t i = 0; c && i < c->bounding.n; i++)
		if (streq(c->bounding.v[i], "CAP_SYS_PTRACE"))
			return true;
	return false;
}

/* Has create changed the root by pivot_root? */
static bool own_mount_namespace(const struct oci_config *cfg)
{
	const struct oci_namespace *ns = plan_find_namespace(cfg, OCI_NS_MOUNT);

	return ns && !ns->path;
}

static int make_plan(struct execution *x, const struct hull *h, const struct hull_exec_opts *o, struct err *e)
{
	const int *preserved = NULL;
	int r = preserved_fds(h, o->preserve_fds, x->arena, &preserved, e);

	if (r < 0)
		return r;
	struct seccomp_cache cache = { .root_dfd = x->c.dir.root_dfd };
	struct plan_exec_opts po = { .id = x->c.rec.id, .preserved = preserved, .n_preserved = o->preserve_fds,
				     .no_cgroup = !state_rec_cgroup(&x->c.rec), .new_keyring = !x->c.rec.callers_keyring,
				     .joins_pid = x->namespaces & CLONE_NEWPID, .namespaces = x->namespaces, .place_late = x->place_late,
				     .init_root = own_mount_namespace(x->cfg) ? NULL : oci_arena_printf(x->arena, "/proc/%d/root", (int)x->c.rec.init.pid),
				     .shares_ptrace = has_ptrace(x->cfg), .cache = &cache, .annotations = x->c.rec.allowed_annotations,
				     .log_level = log_enabled(LOG_LVL_DEBUG) ? LOG_LVL_DEBUG : LOG_LVL_WARNING };
	r = plan_exec(&x->facts, x->cfg, x->proc, &po, x->arena, &x->plan, e);
	if (r == 0)
		keep_filter(&cache, x->c.dir.root_dfd, &x->plan);
	return r;
}

static int check_terminal(const struct execution *x, const struct hull_exec_opts *o, struct err *e)
{
	bool terminal = x->proc->terminal.v;

	if (terminal && o->detach && !o->console_socket)
		return err_set(e, ERR_USAGE, 0, "a detached exec with a terminal needs --console-socket to hand it to");
	if (!terminal && o->console_socket)
		return err_set(e, ERR_USAGE, 0, "--console-socket %s: there is no terminal to send (--tty)", o->console_socket);
	return 0;
}

/* In the user namespace of the container's init (user_namespaces(7)). */
static bool setgroups_denied(pid_t pid)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	return io_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 && text[0] == 'd';
}

static int prepare(struct execution *x, const struct hull *h, const struct hull_exec_opts *o, struct err *e)
{
	int r = check_status(x, o, e);

	if (r == 0)
		r = state_config_read(&x->c.dir, x->arena, &x->cfg, e);
	if (r == 0)
		r = facts_detect(&x->facts, e);
	if (r == 0)
		r = exec_process(x->cfg, o, x->arena, &x->proc, e);
	if (r == 0)
		r = labels_of_process(&x->facts, x->proc, "process", x->arena, e);
	if (r == 0)
		r = check_terminal(x, o, e);
	if (r < 0)
		return r;
	x->init_pidfd = proc_id_open(&x->c.rec.init);
	if (x->init_pidfd < 0)
		return err_set(e, ERR_STATE, ESRCH, "container not running: init of \"%s\" is gone", x->c.rec.id);
	r = compare_namespaces(x, e);
	if (r == 0 && x->namespaces & CLONE_NEWUSER)
		x->facts.no_setgroups = setgroups_denied(x->c.rec.init.pid);
	if (r == 0)
		r = open_cgroup(x, o, e);
	/* Room for S and I. */
	x->place_late = r == 0 && (x->namespaces & CLONE_NEWPID) && cg_pids_full(&x->cg, 2);
	if (r == 0)
		r = make_plan(x, h, o, e);
	if (r == 0 && o->console_socket && (x->console_sock = console_connect(o->console_socket, "--console-socket", e)) < 0)
		r = x->console_sock;
	if (r == 0 && o->pidfd_socket && (x->pidfd_sock = console_connect(o->pidfd_socket, "--pidfd-socket", e)) < 0)
		r = x->pidfd_sock;
	return r < 0 ? r : agent_connect(x->cfg, plan_seccomp_receiver(x->cfg, &x->plan.honoured), &x->c.rec, x->c.status, x->arena, &x->agent, e);
}

/* A v2 cgroup whose controllers are given to its children takes no process itself (cgroups(7), "no internal
 * processes"): a systemd in the container makes its own so. Where its init stands below then, there is room for
 * others. Returns the fd, -EBUSY where it doesn't. */
static int open_init_cgroup(const struct execution *x)
{
	char path[64], text[8192], *save = NULL;
	int v2 = cg_layout_v2(&x->facts.cg);
	size_t n = strlen(x->cg.path);

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)x->c.rec.init.pid);
	if (v2 < 0 || io_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -EBUSY;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!str_starts(line, "0::") || !str_starts(line + 3, x->cg.path) || line[3 + n] != '/')
			continue;
		int fd = openat(x->cg.dfd[v2], line + 3 + n + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return fd < 0 ? -EBUSY : fd;
	}
	return -EBUSY;
}

/* A fork into a full pids cgroup is EAGAIN, a move isn't: then the process is born outside and moved before it does anything. */
static int spawn_placed(struct execution *x, struct spawn_fds *fds, struct err *e)
{
	int r = spawn_init(&x->plan, fds, &x->child, e);

	if (r != -EAGAIN || fds->cgroup < 0)
		return r;
	fds->cgroup = -1;
	x->plan.hdr.fin.flags |= FIN_PLACED;
	r = spawn_init(&x->plan, fds, &x->child, e);
	if (r == 0)
		r = cg_move(&x->cg, x->child.pid, e);
	if (r == 0 && (r = ctl_send(&x->child.ctl, CTL_PLACED, 0, NULL, 0, -1)) < 0)
		err_sys(e, r, "tell the process that it is in its cgroup");
	return r;
}

static int spawn(struct execution *x, bool may_go_below, struct err *e)
{
	int tasks[CG_HIER_MAX], n = x->place_late ? 0 : cg_open_tasks(&x->cg, tasks, ARRAY_LEN(tasks), e), r;
	uint64_t cpus[CPUS_WORDS] = { 0 };

	if (n < 0)
		return n;
	cg_hits_read(&x->cg, &x->child.before);
	struct spawn_fds fds = { .cgroup = x->place_late ? -1 : cg_clone_fd(&x->cg), .start = -1, .pidfd = x->init_pidfd, .tasks = tasks };
	if (n != x->plan.slots.n_tasks)
		r = err_set(e, ERR_BUG, 0, "%d tasks files for %d slots", n, x->plan.slots.n_tasks);
	else
		r = sched_pin(&x->plan, cpus, e);
	if (r == 0)
		r = spawn_placed(x, &fds, e);
	scoped_fd int below = r == -EBUSY && may_go_below && fds.cgroup >= 0 ? open_init_cgroup(x) : -EBADF;
	if (below >= 0) {
		fds.cgroup = below;
		r = spawn_placed(x, &fds, e);
	}
	sched_free(&x->plan, cpus);
	for (int i = 0; i < n; i++)
		close(tasks[i]);
	return spawn_blame(&x->child, &x->cg, r, e);
}

static int adopt(struct execution *x, struct err *e)
{
	int r = spawn_blame(&x->child, &x->cg, spawn_adopt(&x->child, x->timeout_ms, e), e);

	/* It waits for RELEASE, and has done nothing yet. */
	return r == 0 && x->place_late ? cg_move(&x->cg, x->child.pid, e) : r;
}

static int follow(struct execution *x, const struct hull_exec_opts *o, struct err *e)
{
	struct ctl_msg m;
	int r = 0;

	if (x->plan.hdr.fin.flags & FIN_TERMINAL)
		r = spawn_take_console(&x->child, x->timeout_ms, &x->cg, x->console_sock, &x->master, e);
	bool early = (x->plan.hdr.fin.flags & FIN_FILTER_IN_S) && (x->plan.hdr.fin.flags & FIN_LISTENER);
	if (r == 0 && early)
		r = spawn_take_listener(&x->child, x->timeout_ms, &x->cg, e);
	if (r == 0 && (x->plan.hdr.fin.flags & FIN_JOIN_PID))
		r = adopt(x, e);
	if (r == 0 && early)
		r = spawn_introduce(&x->child, &x->agent, e);
	if (r == 0)
		r = spawn_expect(&x->child, CTL_READY, x->timeout_ms, &m, NULL, &x->cg, e);
	if (r == 0)
		r = sched_apply(&x->plan, x->child.pid, e);
	if (r == 0 && x->pidfd_sock >= 0)
		r = console_send(x->pidfd_sock, x->child.pidfd, x->c.rec.id, "the pidfd", e);
	if (r == 0 && o->pid_file) {
		r = pidfile_write(o->pid_file, x->child.pid, e);
		x->pid_file_written = r == 0;
	}
	if (r == 0 && (r = ctl_send(&x->child.ctl, CTL_RELEASE, 0, NULL, 0, -1)) < 0)
		err_sys(e, r, "release the process");
	return r < 0 ? r : spawn_wait_exec(&x->child, x->timeout_ms, &x->cg, &x->agent, e);
}

/* The process of an exec shares the container's class of service. */
static int join_rdt(struct execution *x, struct err *e)
{
	scoped_fd int root_dfd = x->plan.rdt.on ? rdt_open(e) : -EBADF;

	if (!x->plan.rdt.on)
		return 0;
	return root_dfd < 0 ? root_dfd : rdt_join(root_dfd, &x->plan.rdt, x->child.pid, e);
}

static int execute(struct execution *x, const struct hull_exec_opts *o, int *ret_status, struct err *e)
{
	struct wait_ctx w;
	int r = o->detach ? 0 : wait_prepare(&w, e);

	if (r < 0)
		return r;
	r = spawn(x, o->n_cgroups == 0, e);
	if (r == 0)
		r = join_rdt(x, e);
	if (r == 0)
		r = follow(x, o, e);
	wait_no_more();
	if (r < 0 && x->pid_file_written)
		unlink(o->pid_file);
	if (r < 0)
		spawn_end(&x->child, true);
	else if (!o->detach)
		r = wait_foreground(&w, x->child.pid, x->child.pidfd, x->master, ret_status, e);
	if (!o->detach)
		wait_restore(&w);
	return r;
}

int hull_exec(const struct hull *h, const char *id, const struct hull_exec_opts *o, int *ret_status, struct err *e)
{
	struct oci_arena arena = { 0 };
	struct execution x = { .arena = &arena, .init_pidfd = -1, .console_sock = -1, .pidfd_sock = -1, .master = -1, .timeout_ms = hull_timeout_ms(h),
			       .agent = AGENT_NONE, .child = { .pidfd = -1, .setup_pidfd = -1, .listener = -1, .ctl = { .fd = -1 } } };
	int r = container_open(h, id, -1, &arena, &x.c, e);

	*ret_status = 0;
	if (r >= 0) {
		r = prepare(&x, h, o, e);
		if (r == 0)
			r = execute(&x, o, ret_status, e);
		container_close(&x.c);
	}
	agent_close(&x.agent);
	spawn_end(&x.child, false);
	if (x.cg_open)
		cg_close(&x.cg);
	fd_close(&x.init_pidfd);
	fd_close(&x.console_sock);
	fd_close(&x.pidfd_sock);
	fd_close(&x.master);
	if (r < 0 && e->kind != ERR_CONFIG && e->kind != ERR_USAGE && e->kind != ERR_STATE)
		err_wrap(e, r, "exec in %s", id);
	oci_arena_release(&arena);
	return r;
}
