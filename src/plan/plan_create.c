/* SPDX-License-Identifier: Apache-2.0 */
/* The plans of create, run and exec: which parts, in which order. */
#include <errno.h>
#include <linux/sched.h>

#include "plan/plan.h"

/* Slots that the host fills come first, so that the list of fds is as long as their number. */
static void add_given_slots(struct plan *p, bool gate, bool pidfd, bool notify, bool tasks)
{
	const struct cg_layout *l = &p->facts->cg;
	int32_t fds[7 + CG_HIER_MAX];

	p->slots = (struct plan_slots){ .ctl = plan_slot(p), .start = -1, .pidfd = -1, .hook_out = -1, .hook_err = -1, .notify = -1, .tasks = -1, .outer = -1 };
	if (gate)
		p->slots.start = plan_slot(p);
	if (pidfd)
		p->slots.pidfd = plan_slot(p);
	if (p->container_hooks && p->honoured.hooks_stdout)
		p->slots.hook_out = plan_slot(p);
	if (p->container_hooks && p->honoured.hooks_stderr)
		p->slots.hook_err = plan_slot(p);
	if (notify)
		p->slots.notify = plan_slot(p);
	if (!pidfd && facts_is_ordinary(p->facts))
		p->slots.outer = plan_slot(p);
	for (unsigned i = 0; tasks && i < l->n; i++) {
		if (l->h[i].v2 || l->h[i].absent)
			continue;
		int16_t slot = plan_slot(p);
		if (p->slots.tasks < 0)
			p->slots.tasks = slot;
		p->slots.n_tasks++;
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = -1;
	p->hdr.fds = plan_list(p, fds, p->hdr.n_slots, sizeof(fds[0]));
	p->hdr.ctl_slot = p->slots.ctl;
	p->hdr.start_slot = p->slots.start;
	p->hdr.hook_out_slot = p->slots.hook_out;
	p->hdr.hook_err_slot = p->slots.hook_err;
	p->hdr.pidns_slot = -1;
	p->hdr.root_slot = -1;
	p->hdr.mntns_slot = -1;
	p->hdr.userns_slot = p->hdr.idmap_slot = p->hdr.null_slot = -1;
	p->hdr.outer_uid = p->hdr.outer_root_uid = p->hdr.outer_root_gid = ID_ROOT;
}

static void start_plan(struct plan *p, const struct facts *f, const struct oci_config *cfg, struct oci_arena *a)
{
	*p = (struct plan){ .arena = a, .facts = f, .cfg = cfg, .dev_slot = -1, .cgroup_owner = UINT32_MAX };
	p->hdr.fin.flags = facts_is_ordinary(f) || (f->joins_userns && !f->shown_inside) ? FIN_ORDINARY : 0;
	plan_str(p, ""); /* the block exists from here on */
}

static void add_preserved(struct plan *p, const int *fds, size_t n)
{
	_Static_assert(sizeof(int) == sizeof(int32_t), "fd numbers are copied as they are");
	p->hdr.preserved = plan_list(p, fds, n, sizeof(fds[0]));
}

static int add_root(struct plan *p, const struct plan_opts *o, struct err *e)
{
	const struct oci_root *root = p->cfg->root;

	if (!root || !root->path || !root->path[0])
		return err_config(e, "root.path", "is needed for a container on Linux");
	p->bundle = o->bundle;
	p->rootfs = root->path[0] == '/' ? root->path : plan_text(p, "%s/%s", o->bundle, root->path);
	p->rootfs = plan_clean_path(p, p->rootfs);
	if (streq(p->rootfs, "/"))
		return err_config(e, "root.path", "\"%s\" — is the host's own root", root->path);
	p->hdr.rootfs = plan_str(p, p->rootfs);
	p->hdr.root_slot = plan_slot(p);
	return 0;
}

/* A missing working directory is made before the root may become read-only (both peers do). */
static void add_cwd(struct plan *p, const char *path)
{
	const char *cwd = plan_clean_path(p, path);

	if (streq(cwd, "/"))
		return;
	struct bpath at = plan_path(p, cwd);
	struct step *s = plan_step(p, STEP_DIR, PH_MOUNT, WHO_S, "process.cwd");

	s->in = p->hdr.root_slot;
	s->u.dir.at = at;
	s->u.dir.mode = 0755;
}

/* The console's mount point, before /dev may become read-only. */
static void add_console_file(struct plan *p)
{
	if (!(p->hdr.fin.flags & FIN_TERMINAL) || p->dev_slot < 0)
		return;
	struct bpath at = plan_path(p, "console");
	struct step *s = plan_step(p, STEP_NODE, PH_MOUNT, WHO_S, "process.terminal");

	s->in = p->dev_slot;
	s->u.node.at = at;
	s->u.node.mode = 0100600;
	s->u.node.uid = s->u.node.gid = plan_has_userns(p) ? ID_ROOT : 0;
	s->u.node.flags = NODE_IN_DEV;
}

static int add_process(struct plan *p, struct err *e)
{
	/* runtime.md: `process` is needed by start, not by create. */
	static const char *const nothing[] = { "(none)" };
	static const struct oci_process none = { .cwd = "/", .args = { (const char **)(uintptr_t)nothing, 1, true } };
	const struct oci_process *proc = p->cfg->process ? p->cfg->process : &none;
	int r;

	if (!p->cfg->process && !(p->hdr.fin.flags & FIN_GATE))
		return err_config(e, "process", "is not there: there is nothing to run");
	r = plan_add_process(p, proc, "process", e);
	if (r < 0)
		return r;
	if (!p->cfg->process)
		p->hdr.fin.flags |= FIN_NO_PROGRAM;
	add_cwd(p, proc->cwd);
	add_console_file(p);
	return 0;
}

static int add_all(struct plan *p, const struct plan_opts *o, struct err *e)
{
	int r = add_root(p, o, e);

	if (r == 0)
		r = plan_add_cgroup(p, o, e);
	if (r < 0)
		return r;
	r = plan_add_namespaces(p, e);
	if (r == 0)
		r = plan_add_rdt(p, o->id, e);
	if (r == 0)
		r = plan_add_net_devices(p, e);
	if (r == 0)
		r = plan_add_ident(p, e);
	if (r == 0)
		r = plan_add_sysctls(p, e);
	if (r == 0)
		r = plan_add_mount_label(p, e);
	if (r == 0)
		r = plan_add_mounts(p, e);
	if (r == 0)
		r = plan_add_notify(p, o->id, e);
	if (r == 0)
		r = plan_add_devices(p, e);
	if (r == 0)
		r = add_process(p, e);
	if (r == 0)
		plan_add_cgroup_owner(p);
	if (r == 0)
		r = plan_add_paths(p, e);
	if (r == 0)
		r = plan_add_filter(p, false, e);
	if (r == 0)
		r = plan_add_hooks(p, o, e);
	return r;
}

int plan_create(const struct facts *f, const struct oci_config *cfg, const struct plan_opts *o, struct oci_arena *a, struct plan *ret, struct err *e)
{
	size_t size;
	int r = plan_refuse(f, cfg, e);

	if (r < 0)
		return r;
	start_plan(ret, f, cfg, a);
	ret->hdr.log_level = o->log_level;
	ret->listen_fds = o->listen_fds;
	ret->cache = o->cache;
	ret->listen_names = o->listen_names;
	r = plan_read_annotations(&cfg->annotations, o->annotations, true, &ret->honoured, e);
	if (r < 0)
		return r;
	ret->container_hooks = cfg->hooks && (cfg->hooks->n_create_container || cfg->hooks->n_start_container);
	/* Into a scope of systemd the child is moved. */
	add_given_slots(ret, o->gate, false, o->notify && plan_wants_notify(cfg), !f->systemd.used && !o->no_cgroup);
	add_preserved(ret, o->preserved, o->n_preserved);
	if (o->gate)
		ret->hdr.fin.flags |= FIN_GATE;
	if (o->new_keyring)
		ret->hdr.fin.flags |= FIN_NEW_KEYRING;
	if (o->token)
		memcpy(ret->hdr.fin.token, o->token, sizeof(ret->hdr.fin.token));
	r = add_all(ret, o, e);
	if (r < 0)
		return r;
	return plan_seal(ret, &size, e) ? 0 : -ENOMEM;
}

int plan_exec(const struct facts *f, const struct oci_config *cfg, const struct oci_process *proc, const struct plan_exec_opts *o, struct oci_arena *a,
	      struct plan *ret, struct err *e)
{
	size_t size;
	int r;

	start_plan(ret, f, cfg, a);
	ret->cache = o->cache;
	ret->hdr.log_level = o->log_level;
	r = plan_read_annotations(&cfg->annotations, o->annotations, false, &ret->honoured, e);
	if (r < 0)
		return r;
	add_given_slots(ret, false, true, false, !o->place_late && !o->no_cgroup);
	add_preserved(ret, o->preserved, o->n_preserved);
	for (int16_t i = 0; i < ret->slots.n_tasks; i++) {
		struct step *s = plan_step(ret, STEP_TASKS, PH_ENTER, WHO_S, "linux.cgroupsPath");
		s->in = (int16_t)(ret->slots.tasks + i);
	}
	struct step *join = plan_step(ret, STEP_JOIN_INIT, PH_ENTER, WHO_S, "linux.namespaces");
	join->in = ret->slots.pidfd;
	/* With a user namespace all at once: afterwards the caller's right to the others is gone. */
	join->u.join.ns = o->namespaces & (o->namespaces & CLONE_NEWUSER ? ~0u : ~(uint32_t)CLONE_NEWPID);
	if (o->init_root) {
		struct bstr path = plan_str(ret, o->init_root);
		join->u.join.path = path;
		join->out = ret->hdr.root_slot = plan_slot(ret);
		ret->hdr.fin.flags |= FIN_CHROOT;
	}
	ret->hdr.fin.flags |= FIN_EXEC | (o->new_keyring ? FIN_NEW_KEYRING : 0u);
	if (o->joins_pid) {
		ret->hdr.fin.flags |= FIN_JOIN_PID;
		ret->hdr.pidns_slot = ret->slots.pidfd;
	}
	r = plan_add_process(ret, proc, "process", e);
	if (r == 0)
		r = plan_add_rdt(ret, o->id, e);
	if (r == 0)
		r = plan_add_exec_cpus(ret, proc->exec_cpu_affinity, "process", e);
	if (r == 0)
		r = plan_add_filter(ret, o->shares_ptrace, e);
	if (r < 0)
		return r;
	return plan_seal(ret, &size, e) ? 0 : -ENOMEM;
}
