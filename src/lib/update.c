/* SPDX-License-Identifier: Apache-2.0 */
/* update: other limits for a container that exists. Only what is asked for is touched, and all of it or nothing. */
#include "lib/container.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/systemd.h"
#include "lib/bundle.h"
#include "lib/create.h"
#include "run/rdt.h"

#define PREFIX "linux.resources."
#define RECLAIM_TIMEOUT_MS 30000

int hull_read_resources(const char *path, struct oci_arena *a, struct oci_resources **ret, struct err *e)
{
	bool standard_input = streq(path, "-");

	*ret = standard_input ? document_read_fd(&oci_resources_desc, STDIN_FILENO, "standard input", a, e)
			      : document_read(&oci_resources_desc, path, path, a, e);
	if (*ret)
		return 0;
	/* Its properties stand at the root, and it is not the config.json that such errors are printed with. */
	if (e->kind == ERR_CONFIG) {
		char where[sizeof(e->path)];

		snprintf(where, sizeof(where), "%s", e->path);
		e->kind = ERR_USAGE;
		e->path[0] = '\0';
		err_wrap(e, 0, "--resources %s%s%s", path, where[0] ? ": " : "", where);
	}
	return e->code ? -e->code : -EINVAL;
}

static int check_status(const struct container *c, struct err *e)
{
	if (c->status != OCI_STATUS_STOPPED && c->status != OCI_STATUS_CREATING)
		return 0;
	return err_set(e, ERR_STATE, 0, "container not running: cannot update \"%s\", which is %s", c->dir.id,
		       oci_status_word(c->status));
}

static bool same_number(const struct opt_i64 *x, const struct opt_i64 *y)
{
	return (x->set ? x->v : -1) == (y->set ? y->v : -1);
}

static bool same_text(const char *x, const char *y)
{
	return streq(x ? x : "rwm", y ? y : "rwm");
}

static bool same_rule(const struct oci_device_rule *x, const struct oci_device_rule *y)
{
	return x->allow.v == y->allow.v && x->type == y->type && same_number(&x->major, &y->major) &&
	       same_number(&x->minor, &y->minor) && same_text(x->access, y->access);
}

/* Does the document ask for other devices? Kubernetes' engines send the whole of linux.resources again, with the list
 * that the container was made with; a tool may have opened a device to it since (GPUs), which must not be lost. */
static bool wants_devices(const struct oci_resources *r, const struct oci_config *cfg)
{
	const struct oci_resources *made = cfg->linux_ ? cfg->linux_->resources : NULL;
	bool same = made && r->n_devices == made->n_devices;

	for (size_t i = 0; i < r->n_devices && same; i++)
		same = same_rule(&r->devices[i], &made->devices[i]);
	return r->n_devices > 0 && !same;
}

/* The container was made with checkBeforeUpdate: that holds for each new limit, unless the document says otherwise. (config-linux.md, Memory) */
static void keep_check(struct oci_memory *m, const struct oci_config *cfg)
{
	const struct oci_resources *made = cfg->linux_ ? cfg->linux_->resources : NULL;

	if (m && !m->check_before_update.set && made && made->memory)
		m->check_before_update = made->memory->check_before_update;
}

/* Half an update is what nobody wants: a signal from the terminal waits until it is whole. */
static void hold_signals(sigset_t *ret_old)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, ret_old);
}

static int add_written(const struct cg_writes *w, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	int r = cg_props_from_writes(w, CG_EARLY, a, ret, e);

	return r < 0 ? r : cg_props_from_writes(w, CG_LATE, a, ret, e);
}

static int set_properties(const struct hull *h, const struct container *c, const struct cg_props *props, struct err *e)
{
	struct cg_manager manager = { .used = true };
	const char *unit = state_rec_scope(&c->rec, &manager.user);

	return unit ? cg_scope_set(&manager, unit, props, hull_timeout_ms(h), e) : 0;
}

/* The files first: what the kernel doesn't take systemd is never told. systemd then writes its properties into them, whole percents of a quota among them: so they get
 * the exact values once more. */
static int apply_with_unit(const struct hull *h, const struct container *c, const struct cgroup *cg, const struct cg_writes *w, const struct cg_devices *d,
			   struct oci_arena *a, struct err *e)
{
	struct cg_props now = { 0 }, then = { 0 };
	struct cg_writes before;
	struct err second;

	int r = cg_update_before(cg, w, a, &before, e);
	if (r == 0)
		r = add_written(&before, a, &then, e);
	if (r == 0 && d)
		r = cg_props_of_devices(cg, a, &then, e);
	if (r == 0)
		r = add_written(w, a, &now, e);
	if (r == 0 && d)
		r = cg_props_from_devices(cg->lay, d, a, &now, e);
	if (r == 0)
		r = cg_update(cg, c->rec.token, w, NULL, e);
	if (r < 0)
		return r;
	r = set_properties(h, c, &now, e);
	if (r < 0)
		return cg_update(cg, c->rec.token, &before, NULL, &second) < 0 ? err_wrap(e, r, "and the old values could not be put back: %.200s", second.msg)
									       : err_wrap(e, r, "nothing is changed");
	r = cg_update(cg, c->rec.token, w, d, e);
	if (r < 0 && (set_properties(h, c, &then, &second) < 0 || cg_update(cg, c->rec.token, &before, NULL, &second) < 0))
		err_wrap(e, r, "and the old values could not be put back: %.200s", second.msg);
	return r;
}

static int apply(const struct hull *h, const struct container *c, const struct cgroup *cg, struct oci_resources *r, struct oci_arena *a,
		 struct err *e)
{
	struct cg_writes writes;
	struct cg_devices devices;
	struct oci_config *cfg;

	int x = state_config_read(&c->dir, a, &cfg, e);
	if (x < 0)
		return x;
	keep_check(r->memory, cfg);
	x = cg_update_complete(cg, r, e);
	if (x == 0)
		x = cg_plan(cg->lay, r, 0, a, &writes, &devices, e);
	if (x < 0)
		return x;
	const struct cg_devices *d = wants_devices(r, cfg) ? &devices : NULL;
	return c->rec.systemd_cgroup ? apply_with_unit(h, c, cg, &writes, d, a, e) : cg_update(cg, c->rec.token, &writes, d, e);
}

/* The container's resctrl group while it is changed. */
struct rdt_change {
	int root_dfd;
	struct plan_rdt group;
	char before[RDT_SCHEMATA_MAX];
};

static int change_rdt(const struct container *c, const struct hull_update_opts *o, struct oci_arena *a, struct rdt_change *ret, struct err *e)
{
	struct oci_config *cfg;
	struct plan p;
	int r = state_config_read(&c->dir, a, &cfg, e);

	if (r < 0)
		return r;
	if (!cfg->linux_ || !cfg->linux_->intel_rdt)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has no linux.intelRdt: there is no resctrl group of its own to change", c->dir.id);
	p = (struct plan){ .arena = a, .cfg = cfg };
	r = plan_add_rdt(&p, c->dir.id, e);
	if (r == 0)
		r = ret->root_dfd = rdt_open(e);
	if (r < 0)
		return r;
	ret->group = p.rdt;
	const char *lines = oci_arena_printf(a, "%s%s%s%s", o->l3_cache_schema ? o->l3_cache_schema : "", o->l3_cache_schema ? "\n" : "",
					     o->mem_bw_schema ? o->mem_bw_schema : "", o->mem_bw_schema ? "\n" : "");
	return lines ? rdt_update(ret->root_dfd, &ret->group, c->rec.token, lines, ret->before, e) : err_sys(e, -ENOMEM, "read the schemata");
}

/* The group of resctrl goes first, since only it can be put back without looking at the cgroup. */
static int apply_with_rdt(const struct hull *h, const struct container *c, const struct cgroup *cg, const struct hull_update_opts *o, struct oci_arena *a, struct err *e)
{
	struct rdt_change *rdt = oci_arena_alloc(a, sizeof(*rdt));
	struct err second;

	if (!rdt)
		return err_sys(e, -ENOMEM, "read the schemata");
	rdt->root_dfd = -1;
	int r = change_rdt(c, o, a, rdt, e);
	if (r == 0) {
		r = apply(h, c, cg, o->resources, a, e);
		if (r < 0 && rdt_put_back(rdt->root_dfd, &rdt->group, rdt->before, &second) < 0)
			err_wrap(e, r, "and the old schemata could not be put back: %.200s", second.msg);
	}
	fd_close(&rdt->root_dfd);
	return r;
}

/* All or nothing. */
static int apply_all(const struct hull *h, const struct container *c, const struct cgroup *cg, const struct hull_update_opts *o, struct oci_arena *a, struct err *e)
{
	sigset_t old;

	hold_signals(&old);
	int r = o->l3_cache_schema || o->mem_bw_schema ? apply_with_rdt(h, c, cg, o, a, e) : apply(h, c, cg, o->resources, a, e);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int update_open(const struct hull *h, const struct container *c, const struct hull_update_opts *o, struct oci_arena *a, uint64_t *ret_reclaimed,
		       struct err *e)
{
	struct cg_layout lay;
	struct cgroup cg;

	int r = container_cgroup(c, &lay, &cg, e);
	if (r == 0)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has no cgroup: it has no limits", c->dir.id);
	if (r < 0)
		return r;
	r = apply_all(h, c, &cg, o, a, e);
	if (r == 0 && o->reclaim)
		r = cg_reclaim(&cg, c->rec.token, o->reclaim, RECLAIM_TIMEOUT_MS, ret_reclaimed, e);
	cg_close(&cg);
	return r;
}

/* Plans name the properties as config.json has them. */
static int tell(int r, const char *id, struct err *e)
{
	size_t n = str_starts(e->path, PREFIX) ? strlen(PREFIX) : 0;

	if (e->kind == ERR_STATE)
		return r;
	memmove(e->path, e->path + n, sizeof(e->path) - n);
	if (e->kind == ERR_CONFIG) {
		char path[sizeof(e->path)];

		snprintf(path, sizeof(path), "%s", e->path);
		e->kind = ERR_USAGE;
		e->path[0] = '\0';
		err_wrap(e, r, "%s", path);
	}
	return err_wrap(e, r, "update %s", id);
}

int hull_update(const struct hull *h, const char *id, const struct hull_update_opts *o, uint64_t *ret_reclaimed, struct err *e)
{
	struct oci_arena a = { 0 };
	struct container c;

	*ret_reclaimed = 0;
	int r = container_open(h, id, CONTAINER_LOCK_MS, &a, &c, e);
	if (r >= 0) {
		r = check_status(&c, e);
		if (r == 0)
			r = update_open(h, &c, o, &a, ret_reclaimed, e);
		container_close(&c);
		if (r < 0)
			r = tell(r, id, e);
	}
	oci_arena_release(&a);
	return r;
}
