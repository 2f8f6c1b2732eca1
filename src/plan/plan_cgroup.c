/* SPDX-License-Identifier: Apache-2.0 */
/* The container's cgroup (path, writes, device rules) and what it sees of the hierarchies at /sys/fs/cgroup. */
#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "plan/plan.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Host hooks run while the container's process waits: a pids limit must have room for what init itself starts (createContainer hooks). */
static unsigned helper_processes(const struct oci_config *c)
{
	unsigned n = 0;

	if (c->hooks && (c->hooks->n_create_container || c->hooks->n_start_container))
		n++;
	const struct oci_namespace *pid = plan_find_namespace(c, OCI_NS_PID);
	if (pid && pid->path)
		n++;
	/* S, the one that is in the user namespace, the one that makes file systems there, and one in between where it is joined. */
	if (plan_find_namespace(c, OCI_NS_USER))
		n += 3;
	return n;
}

static void add_properties(struct plan *p, const struct cg_props *props, enum phase phase)
{
	for (size_t i = 0; i < props->n; i++) {
		struct bstr name = plan_str(p, props->v[i].name), value = plan_str(p, props->v[i].value);
		struct step *s = plan_step(p, STEP_SCOPE_PROPERTY, phase, WHO_HOST, props->v[i].origin);

		s->u.cg.file = name;
		s->u.cg.value = value;
	}
}

/* The set-up process is born outside and waits until systemd has moved it. */
static void add_scope_steps(struct plan *p)
{
	struct bstr name = plan_str(p, p->unit.name), slice = plan_str(p, p->unit.slice);
	struct step *s = plan_step(p, STEP_SCOPE, PH_CGROUP, WHO_HOST, "linux.cgroupsPath");

	s->u.cg.file = name;
	s->u.cg.value = slice;
	p->hdr.fin.flags |= FIN_PLACED;
	add_properties(p, &p->props, PH_CGROUP);
	add_properties(p, &p->late_props, PH_LATE);
}

/* For the reader: the write itself is the host's own list. */
static struct bstr write_text(struct plan *p, const struct cg_write *w)
{
	return w->alt_file ? plan_strf(p, "%s, where there is no such file %s = %s", w->value, w->alt_file, w->alt_value) : plan_str(p, w->value);
}

static void add_host_steps(struct plan *p)
{
	struct bstr path = plan_str(p, p->cgroup_path);

	if (p->facts->systemd.used)
		add_scope_steps(p);
	plan_step(p, STEP_CGROUP_MAKE, PH_CGROUP, WHO_HOST, "linux.cgroupsPath")->u.cg.value = path;
	for (size_t i = 0; i < p->writes.n; i++) {
		const struct cg_write *w = &p->writes.v[i];
		const char *hier = p->facts->cg.h[w->hier].dir;
		struct bstr controller = plan_str(p, hier[0] ? hier : "v2"), file = plan_str(p, w->file), value = write_text(p, w);
		struct step *s = plan_step(p, STEP_CGROUP_WRITE, w->when == CG_LATE ? PH_LATE : PH_CGROUP, WHO_HOST, w->origin);
		s->u.cg.controller = controller;
		s->u.cg.file = file;
		s->u.cg.value = value;
		s->u.cg.late = w->when;
		p->late_writes |= w->when == CG_LATE;
	}
}

/* What can't be kept is refused; device rules fall with the cgroup that would hold them, as with crun: they stand in every configuration. */
static int refuse_limits(const struct plan *p, const struct plan_opts *o, struct err *e)
{
	const char *path = cg_first_limit(p->cfg->linux_->resources);
	struct cg_writes w;
	struct cg_devices d;

	/* The plan of the hierarchies knows controller and file. */
	if (path && o->no_delegation && cg_plan(&p->facts->cg, p->cfg->linux_->resources, 0, p->arena, &w, &d, e) < 0)
		return -EINVAL;
	return path ? err_config(e, path, "needs a cgroup: %s", o->no_delegation ? "none is delegated to the caller" : "there is none with --cgroup-manager disabled") : 0;
}

int plan_cgroup_path(const struct facts *f, const struct oci_config *c, const char *id, char *buf, struct err *e)
{
	const char *given = c->linux_->cgroups_path && c->linux_->cgroups_path[0] ? c->linux_->cgroups_path : NULL;

	return facts_is_guest(f) && !given ? cg_path_beside(&f->cg, id, buf, e) : cg_path_resolve(given, id, buf, e);
}

static int add_unit_properties(struct plan *p, const struct plan_opts *o, struct err *e)
{
	int r = cg_props_from_writes(&p->writes, CG_EARLY, p->arena, &p->props, e);

	if (r == 0)
		r = cg_props_from_writes(&p->writes, CG_LATE, p->arena, &p->late_props, e);
	if (r == 0 && p->devices.n)
		r = cg_props_from_devices(&p->facts->cg, &p->devices, p->arena, &p->props, e);
	return r < 0 ? r : cg_props_from_annotations(&p->cfg->annotations, o->annotations, p->arena, &p->props, e);
}

int plan_add_cgroup(struct plan *p, const struct plan_opts *o, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	if (o->no_cgroup)
		return refuse_limits(p, o, e);
	char *path = oci_arena_alloc(p->arena, CG_PATH_MAX);
	int r;

	if (!path)
		return err_sys(e, -ENOMEM, "resolve linux.cgroupsPath");
	if (p->facts->cg.mode == CG_MODE_NONE)
		return err_set(e, ERR_UNSUPPORTED, ENOENT, "no cgroup hierarchy is mounted at " CGROUP_ROOT);
	if (p->facts->systemd.used)
		r = cg_unit_resolve(l->cgroups_path, o->id, &p->facts->systemd, &p->unit, path, e);
	else
		r = plan_cgroup_path(p->facts, p->cfg, o->id, path, e);
	if (r < 0)
		return r;
	p->cgroup_path = path;
	r = cg_plan(&p->facts->cg, l->resources, helper_processes(p->cfg), p->arena, &p->writes, &p->devices, e);
	/* Who may make no node, and owns none, needs no filter for them; nor could one be put in force. */
	if (facts_is_guest(p->facts))
		p->devices = (struct cg_devices){ 0 };
	if (r == 0 && p->facts->systemd.used)
		r = add_unit_properties(p, o, e);
	if (r < 0)
		return r;
	add_host_steps(p);
	return 0;
}

/* One hierarchy below the tmpfs: new from inside of a cgroup namespace of our own, else a bind of what the container may see: mounted anew from the
 * host's own cgroup namespace, cgroup2 would lose the host's options (nsdelegate). A joined namespace may be that one, so there they are repeated. */
static void add_hierarchy(struct plan *p, const struct cg_hier *h, const char *at, const char *where, uint64_t attr)
{
	const struct oci_namespace *ns = plan_find_namespace(p->cfg, OCI_NS_CGROUP);

	if (ns) {
		struct blob_mount_opt opts[32];
		size_t n = 0;
		char words[sizeof(h->controllers)], *save = NULL;

		snprintf(words, sizeof(words), "%s", !h->v2 ? h->controllers : ns->path ? p->facts->cg.options : "");
		for (char *c = words; h->v2 && *c; c++)
			if (*c == ',')
				*c = ' ';
		for (char *w = strtok_r(words, " ", &save); w && n + 2 < ARRAY_LEN(opts); w = strtok_r(NULL, " ", &save)) {
			if (str_starts(w, "name=")) {
				opts[n++] = (struct blob_mount_opt){ plan_str(p, "none"), { 0 } };
				opts[n++] = (struct blob_mount_opt){ plan_str(p, "name"), plan_str(p, w + 5) };
			} else {
				opts[n++] = (struct blob_mount_opt){ plan_str(p, w), { 0 } };
			}
		}
		struct step_mnt m = { .attr = attr };
		m.fstype = plan_str(p, h->v2 ? "cgroup2" : "cgroup");
		m.source = plan_str(p, "cgroup");
		m.opts = plan_list(p, opts, n, sizeof(opts[0]));
		m.at = plan_path(p, at);
		plan_add_superblock(p, &m, where);
		return;
	}
	const char *host = plan_text(p, CGROUP_ROOT "%s%s%s", h->dir[0] ? "/" : "", h->dir, h->v2 && !h->dir[0] ? "" : p->cgroup_path && !h->absent ? p->cgroup_path : h->own);
	struct bpath path = plan_path(p, at);
	int16_t slot = plan_add_source(p, -1, host, 0, where);
	struct step *s = plan_step(p, STEP_BIND, PH_MOUNT, WHO_S, where);
	s->in = slot;
	s->u.bind.set = attr;
	s->u.bind.at = path;
}

/* "cpu,cpuacct" is also found as "cpu" and as "cpuacct". */
static void add_names(struct plan *p, const struct cg_hier *h, int16_t tmpfs, const char *where)
{
	char names[sizeof(h->dir)], *save = NULL;

	if (!strchr(h->dir, ','))
		return;
	memcpy(names, h->dir, sizeof(names));
	for (char *w = strtok_r(names, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct bpath at = plan_path(p, w);
		struct bstr target = plan_str(p, h->dir);
		struct step *s = plan_step(p, STEP_LINK, PH_MOUNT, WHO_S, where);
		s->in = tmpfs;
		s->u.link.at = at;
		s->u.link.target = target;
	}
}

static void add_v1_tree(struct plan *p, const char *at, const char *where, uint64_t attr)
{
	struct blob_mount_opt o[2] = { { plan_str(p, "mode"), plan_str(p, "755") }, { plan_str(p, p->honoured.mount_context), p->hdr.fin.mount_label } };
	struct step_mnt m = { .attr = attr & ~(uint64_t)MOUNT_ATTR_RDONLY, .flags = p->hdr.userns ? MNT_IN_USERNS : 0 };
	m.fstype = plan_str(p, "tmpfs");
	m.source = plan_str(p, "cgroup");
	m.opts = plan_list(p, o, plan_label_way(p, "tmpfs") == LABEL_CONTEXT ? 2 : 1, sizeof(o[0]));
	m.at = plan_path(p, at);
	int16_t tmpfs = plan_add_superblock(p, &m, where);

	for (unsigned i = 0; i < p->facts->cg.n; i++) {
		const struct cg_hier *h = &p->facts->cg.h[i];
		struct bpath dir = plan_path(p, h->dir);
		struct step *d = plan_step(p, STEP_DIR, PH_MOUNT, WHO_S, where);
		d->in = tmpfs;
		d->u.dir.at = dir;
		d->u.dir.mode = 0755;
		add_names(p, h, tmpfs, where);
		/* Where the container has no cgroup of its own it sees the caller's. */
		add_hierarchy(p, h, plan_text(p, "%s/%s", at, h->dir), where, attr | (h->absent ? MOUNT_ATTR_RDONLY : 0));
	}
	if (attr & MOUNT_ATTR_RDONLY) {
		struct step *late = plan_step(p, STEP_ATTR, PH_MASK, WHO_S, where);
		late->in = tmpfs;
		late->u.attr.set = MOUNT_ATTR_RDONLY;
	}
}

int plan_add_cgroup_mount(struct plan *p, const char *at, const char *where, uint64_t attr, bool v2_only, struct err *e)
{
	const struct cg_layout *l = &p->facts->cg;
	int v2 = cg_layout_v2(l);

	/* podman's --privileged asks for a writable one, with --cgroups=disabled and for every ordinary user on v1, too. */
	if (!p->cgroup_path && !(attr & MOUNT_ATTR_RDONLY)) {
		log_warn("%s: read-only: without a cgroup of its own the container would change the caller's", where);
		attr |= MOUNT_ATTR_RDONLY;
	}
	if (v2_only && v2 < 0)
		return err_config(e, plan_text(p, "%s.type", where), "\"cgroup2\" — this host has no cgroup v2 hierarchy");
	if (v2_only || l->mode == CG_MODE_V2)
		add_hierarchy(p, &l->h[v2], at, where, attr | (l->h[v2].absent ? MOUNT_ATTR_RDONLY : 0));
	else
		add_v1_tree(p, at, where, attr);
	return 0;
}

/* config-linux.md, Cgroup ownership: "cgroup" on /sys/fs/cgroup without "ro". */
static bool mounts_cgroup_writable(struct plan *p)
{
	for (size_t i = 0; i < p->cfg->n_mounts; i++) {
		const struct oci_mount *m = &p->cfg->mounts[i];
		bool ro = false;

		if (!m->type || (!streq(m->type, "cgroup") && !streq(m->type, "cgroup2")) || !streq(plan_clean_path(p, m->destination), CGROUP_ROOT))
			continue;
		for (size_t k = 0; k < m->options.n; k++)
			ro = streq(m->options.v[k], "ro") || streq(m->options.v[k], "rro") || (ro && !streq(m->options.v[k], "rw") && !streq(m->options.v[k], "rrw"));
		if (!ro)
			return true;
	}
	return false;
}

/* Only on v2, where what is given away has limits (cgroup v1: "Delegation is not secure"), and only in a cgroup namespace of its own. Without a user namespace the
 * container's root is the caller's, who has it already. */
void plan_add_cgroup_owner(struct plan *p)
{
	const struct oci_namespace *ns = plan_find_namespace(p->cfg, OCI_NS_CGROUP);
	uint32_t owner = p->hdr.outer_uid;

	if (!p->cgroup_path || p->facts->cg.mode != CG_MODE_V2 || !ns || ns->path || !p->hdr.userns || owner == ID_ROOT || !mounts_cgroup_writable(p))
		return;
	if (facts_is_ordinary(p->facts) && owner != p->facts->euid) {
		log_warn("linux.cgroupsPath: the container's cgroup stays with uid %u: an ordinary user can't give it to uid %u", p->facts->euid, owner);
		return;
	}
	struct bstr text = plan_strf(p, "%u", owner);
	plan_step(p, STEP_CGROUP_OWNER, PH_CGROUP, WHO_HOST, "linux.cgroupsPath")->u.cg.value = text;
	p->cgroup_owner = owner;
}
