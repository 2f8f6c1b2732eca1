/* SPDX-License-Identifier: Apache-2.0 */
#include "run/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "run/rdt.h"
#include "sys/ns.h"

struct oci_state host_state(const struct state_rec *rec, enum oci_status status)
{
	struct oci_state s = { .oci_version = OCI_VERSION_MAX, .id = rec->id, .status = status, .bundle = rec->bundle, .annotations = rec->annotations,
			       .rootfs = rec->rootfs };

	if (status != OCI_STATUS_STOPPED)
		s.pid = (struct opt_i64){ true, rec->init.pid };
	return s;
}

const char *host_state_json(const struct state_rec *rec, enum oci_status status, struct oci_arena *a)
{
	struct oci_state s = host_state(rec, status);
	const char *text = oci_write(&oci_state_desc, &s, 0, a, NULL);
	return text ? text : "{}";
}

/* ---- the cgroup ---- */

static int limit_cgroup(struct creation *c, struct err *e)
{
	int r;

	c->cgroup_open = true;
	for (unsigned i = 0; i < c->facts.cg.n; i++)
		if (c->cg.made[i])
			c->rec.cgroup_made |= 1u << i;
	r = cg_apply(&c->cg, &c->plan.writes, CG_EARLY, e);
	if (r == 0 && c->plan.cgroup_owner != UINT32_MAX)
		r = cg_give(&c->cg, c->plan.cgroup_owner, e);
	/* The filter is in force before the first node exists (attacks-tried H13). */
	return r < 0 || !c->plan.devices.v ? r : cg_devices_apply(&c->cg, &c->plan.devices, e);
}

static int make_cgroup(struct creation *c, struct err *e)
{
	if (!c->plan.cgroup_path) {
		cg_none(&c->cg);
		return 0;
	}
	int r = cg_create(&c->facts.cg, c->plan.cgroup_path, c->rec.token, &c->cg, e);

	return r < 0 ? r : limit_cgroup(c, e);
}

/* systemd makes a scope around a process that lives: the child, which does nothing before it is told that it has been moved. */
static int make_scope(struct creation *c, struct err *e)
{
	const char *description = oci_arena_printf(c->arena, "hull container %s", c->id);
	pid_t pid = c->child.pid;
	int r = cg_scope_start(&c->facts.systemd, &c->plan.unit, &c->plan.props, description, pid, c->timeout_ms, e);

	if (r == 0)
		r = cg_create_in_scope(&c->facts.cg, c->plan.cgroup_path, c->rec.token, pid, &c->cg, e);
	if (r == 0)
		r = limit_cgroup(c, e);
	if (r < 0)
		return r;
	r = ctl_send(&c->child.ctl, CTL_PLACED, 0, NULL, 0, -1);
	return r < 0 ? err_sys(e, r, "tell init that it is in its cgroup") : 0;
}

static int late_limits(struct creation *c, struct err *e)
{
	int r = cg_scope_set(&c->facts.systemd, c->plan.unit.name, &c->plan.late_props, c->timeout_ms, e);

	return r < 0 ? r : cg_apply(&c->cg, &c->plan.writes, CG_LATE, e);
}

/* ---- the child ---- */

/* Bound here in the 0700 state directory, listened to by init at its gate. */
static int make_start_socket(const struct state_dir *d, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, -errno, "socket");
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/start.sock", d->dfd);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, -errno, "bind start.sock");
	return take_fd(&fd);
}

/* In the state directory, whose end is its end, too. create leaves the socket to start. */
static int make_notify(struct creation *c, int *ret_dfd, struct err *e)
{
	if (c->plan.slots.notify < 0)
		return 0;
	*ret_dfd = state_notify_make(&c->dir);
	if (*ret_dfd < 0)
		return err_sys(e, *ret_dfd, "make the directory of the notify socket");
	return c->immediate ? notify_bind(&c->notify, *ret_dfd, STATE_NOTIFY_SOCKET, e) : 0;
}

static int spawn(struct creation *c, struct err *e)
{
	int tasks[CG_HIER_MAX], n, r = 0;
	scoped_fd int notify_dfd = -1;
	scoped_fd int start = c->immediate ? -EBADF : make_start_socket(&c->dir, e);

	if (!c->immediate && start < 0)
		return start;
	scoped_fd int outer = c->plan.outer.on ? outer_userns(&c->plan, c->timeout_ms, e) : -EBADF;
	if (c->plan.outer.on && outer < 0)
		return outer;
	scoped_fd int userns = c->plan.birth_userns ? ns_open(c->plan.birth_userns) : -EBADF;
	if (c->plan.birth_userns && userns < 0)
		return err_sys(e, userns, "open the user namespace %s", c->plan.birth_userns);
	/* With systemd there is no cgroup yet. */
	n = c->cgroup_open ? cg_open_tasks(&c->cg, tasks, ARRAY_LEN(tasks), e) : 0;
	if (n < 0)
		return n;
	if (n != c->plan.slots.n_tasks)
		r = err_set(e, ERR_BUG, 0, "%d tasks files for %d slots", n, c->plan.slots.n_tasks);
	struct spawn_fds fds = { .cgroup = c->cgroup_open ? cg_clone_fd(&c->cg) : -1, .start = start, .pidfd = -1, .userns = userns, .outer = outer,
				 .hook_out = c->hook_files.out, .hook_err = c->hook_files.err, .tasks = tasks };
	if (r == 0)
		r = make_notify(c, &notify_dfd, e);
	fds.notify = notify_dfd;
	if (r == 0 && !state_still_ours(&c->dir))
		r = err_set(e, ERR_STATE, 0, "container \"%s\" was deleted while it was being created", c->id);
	if (r == 0)
		r = spawn_blame(&c->child, &c->cg, spawn_init(&c->plan, &fds, &c->child, e), e);
	for (int i = 0; i < n; i++)
		close(tasks[i]);
	if (r < 0)
		return r;
	c->spawned = true;
	return 0;
}

/* Between HOOKS_DONE and READY init runs the createContainer hooks, which have as long as the configuration gives them. */
static int setup_timeout(const struct creation *c)
{
	const struct oci_hooks *h = c->cfg->hooks;

	return h && h->n_create_container ? -1 : c->timeout_ms;
}

static int expect(struct creation *c, unsigned type, struct ctl_msg *m, int *fd, struct err *e)
{
	int timeout = type == CTL_HOOKS_PLEASE || type == CTL_NET_PLEASE ? c->timeout_ms : setup_timeout(c);

	return spawn_expect(&c->child, type, timeout, m, fd, &c->cg, e);
}

/* Before the sysctls, the mounts and the hooks: they find the devices there. */
static int move_net_devices(struct creation *c, struct err *e)
{
	struct ctl_msg m;
	int fd = -1, r;

	if (!c->plan.net_devices)
		return 0;
	r = expect(c, CTL_NET_PLEASE, &m, &fd, e);
	if (r == 0)
		r = netdev_move(&c->plan, fd, &c->netdevs, e);
	if (r < 0)
		return r;
	r = ctl_send(&c->child.ctl, CTL_NET_DONE, 0, NULL, 0, -1);
	return r < 0 ? err_sys(e, r, "tell init that the network devices are there") : 0;
}

static int run_host_hooks(struct creation *c, struct err *e)
{
	const struct oci_hooks *h = c->cfg->hooks;
	struct ctl_msg m;
	int r;

	if (!c->plan.host_hooks)
		return 0;
	r = expect(c, CTL_HOOKS_PLEASE, &m, NULL, e);
	if (r < 0)
		return r;
	c->hooks_ran = true;
	const char *state = host_state_json(&c->rec, OCI_STATUS_CREATED, c->arena);
	r = hooks_run("prestart", h->prestart, h->n_prestart, state, c->rec.bundle, &c->hook_files, e);
	if (r == 0)
		r = hooks_run("createRuntime", h->create_runtime, h->n_create_runtime, state, c->rec.bundle, &c->hook_files, e);
	if (r < 0)
		return r;
	r = ctl_send(&c->child.ctl, CTL_HOOKS_DONE, 0, NULL, 0, -1);
	return r < 0 ? err_sys(e, r, "tell init that the hooks are done") : 0;
}

static int take_console(struct creation *c, struct err *e)
{
	if (!(c->plan.hdr.fin.flags & FIN_TERMINAL))
		return 0;
	return spawn_take_console(&c->child, setup_timeout(c), &c->cg, c->console_sock, &c->master, e);
}

/* ---- recorded and read back ---- */

/* What init was given: exec compares it with what init has then (attacks-tried H12). */
static int note_namespaces(struct creation *c, struct err *e)
{
	for (int type = OCI_NS_NONE + 1; type < OCI_NS_MAX; type++) {
		int r = proc_namespace(c->child.pid, (enum oci_namespace_type)type, &c->rec.ns[type]);
		if (r < 0)
			return err_sys(e, r, "look at the %s namespace of init", oci_namespace_word((enum oci_namespace_type)type));
	}
	return 0;
}

static int record(struct creation *c, enum state_stage stage, struct err *e)
{
	c->rec.stage = stage;
	return state_rec_write(&c->dir, &c->rec, e);
}

/* The pid is on disk before anything of ours depends on it. */
static int note_process(struct creation *c, struct err *e)
{
	int r = proc_id_of(c->child.pid, &c->rec.init);

	return r < 0 ? err_sys(e, r, "read the start time of process %d", (int)c->child.pid) : record(c, STAGE_CREATING, e);
}

static int publish(struct creation *c, struct err *e)
{
	int r = record(c, STAGE_CREATED, e);

	if (r == 0 && c->pidfd_sock >= 0)
		r = console_send(c->pidfd_sock, c->child.pidfd, c->id, "the pidfd", e);
	if (r == 0 && c->pid_file) {
		r = pidfile_write(c->pid_file, c->child.pid, e);
		c->pid_file_written = r == 0;
	}
	return r;
}

static int release(struct creation *c, struct err *e)
{
	int r = ctl_send(&c->child.ctl, CTL_RELEASE, 0, NULL, 0, -1);

	if (r != -EPIPE)
		return r < 0 ? err_sys(e, r, "release init") : 0;
	/* It died meanwhile: its own words, or how it ended. */
	struct ctl_msg m;
	r = expect(c, CTL_READY, &m, NULL, e);
	return r < 0 ? r : err_sys(e, -EPIPE, "release init");
}

/* S hands over to I: from the tree on in a user namespace with its own pid namespace, at the very end in a pid namespace that is joined. */
static int adopt(struct creation *c, struct err *e)
{
	int r = spawn_adopt(&c->child, setup_timeout(c), e);

	return r == 0 ? note_process(c, e) : r;
}

static int follow(struct creation *c, struct err *e)
{
	struct ctl_msg m;
	int r = move_net_devices(c, e);

	if (r == 0 && c->plan.hdr.userns == USERNS_FIRST)
		r = adopt(c, e);
	if (r == 0)
		r = run_host_hooks(c, e);
	if (r == 0)
		r = take_console(c, e);
	if (r == 0 && (c->plan.hdr.fin.flags & FIN_JOIN_PID))
		r = adopt(c, e);
	if (r == 0)
		r = expect(c, CTL_READY, &m, NULL, e);
	if (r == 0)
		r = note_namespaces(c, e);
	if (r == 0)
		r = sched_apply(&c->plan, c->child.pid, e);
	if (r == 0)
		r = late_limits(c, e);
	return r == 0 ? publish(c, e) : r;
}

/* init runs the createContainer hooks itself. Unless it failed at an earlier step of the plan they may have run, and then poststop hooks have to. */
static void note_container_hooks(struct creation *c, const struct err *e)
{
	const struct oci_hooks *h = c->cfg->hooks;

	if (h && h->n_create_container && c->spawned && (e->step == 0 || e->step > c->plan.hdr.first[PH_HOOKS]))
		c->hooks_ran = true;
}

/* resctrl has no group into which a process could be born: the set-up process is put there while it waits, and what it makes inherits it. */
static int join_rdt(struct creation *c, struct err *e)
{
	return c->plan.rdt.on ? rdt_join(c->rdt_dfd, &c->plan.rdt, c->child.pid, e) : 0;
}

int host_build(struct creation *c, struct err *e)
{
	bool systemd = c->facts.systemd.used;
	int r = systemd ? 0 : make_cgroup(c, e);

	if (r == 0 && c->plan.rdt.on)
		r = rdt_prepare(c->rdt_dfd, &c->plan.rdt, c->rec.token, &c->rdt_made, e);
	if (r == 0)
		r = spawn(c, e);
	if (r == 0)
		r = note_process(c, e);
	if (r == 0 && systemd)
		r = make_scope(c, e);
	if (r == 0)
		r = join_rdt(c, e);
	if (r == 0)
		r = follow(c, e);
	if (r < 0)
		note_container_hooks(c, e);
	return r;
}

int host_leave_at_gate(struct creation *c, struct err *e)
{
	int r = release(c, e);

	if (r == 0)
		r = spawn_wait_gate(&c->child, c->timeout_ms, &c->cg, e);
	if (r == 0)
		netdev_close(&c->netdevs);
	return r;
}

int host_execute(struct creation *c, struct err *e)
{
	const struct oci_hooks *h = c->cfg->hooks;
	int timeout = h && h->n_start_container ? -1 : c->timeout_ms;
	int r = release(c, e);

	/* runtime.md, Lifecycle: after a startContainer hook that fails, too, it goes on with poststop. */
	c->hooks_ran |= h && h->n_start_container;
	if (r == 0)
		r = spawn_wait_exec(&c->child, timeout, &c->cg, &c->agent, e);
	if (r == 0 && h && h->n_poststart) {
		c->hooks_ran = true;
		r = hooks_run("poststart", h->poststart, h->n_poststart, host_state_json(&c->rec, OCI_STATUS_RUNNING, c->arena), c->rec.bundle,
			      &c->hook_files, e);
	}
	if (r == 0)
		netdev_close(&c->netdevs);
	return r;
}

void host_close(struct creation *c)
{
	netdev_close(&c->netdevs);
	agent_close(&c->agent);
	hook_files_close(&c->hook_files);
	notify_close(&c->notify);
	fd_close(&c->rdt_dfd);
	if (c->spawned)
		spawn_end(&c->child, false);
	if (c->cgroup_open)
		cg_close(&c->cg);
	state_close(&c->dir);
	fd_close(&c->console_sock);
	fd_close(&c->pidfd_sock);
	fd_close(&c->master);
}
