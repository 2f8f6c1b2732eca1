/* SPDX-License-Identifier: Apache-2.0 */
/* /dev (default devices, links, linux.devices) and the paths that are masked or read-only. (config-linux.md, Default Devices, Devices) */
#include <sys/mount.h>
#include <sys/stat.h>

#include "plan/plan.h"

static const struct { const char *path; uint32_t major, minor; } default_devices[] = {
	{ "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 }, { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

/* Links into proc are made only when their target is there after the mounts (runtime-linux.md); ptmx belongs to the container's own devpts. */
static const struct { const char *name, *target; uint32_t flags; } dev_links[] = {
	{ "fd", "/proc/self/fd", LINK_IF_TARGET },	{ "stdin", "/proc/self/fd/0", LINK_IF_TARGET }, { "stdout", "/proc/self/fd/1", LINK_IF_TARGET },
	{ "stderr", "/proc/self/fd/2", LINK_IF_TARGET }, { "core", "/proc/kcore", LINK_IF_TARGET },	{ "ptmx", "pts/ptmx", 0 },
};

struct node { const char *path; uint32_t mode, uid, gid, major, minor; };

static bool in_dev(const char *path)
{
	return str_starts(path, "/dev/");
}

/* A clone of the host's node at the same path: in a user namespace nobody makes one. */
static int16_t add_host_node(struct plan *p, const char *path, const char *origin)
{
	p->hdr.fin.flags |= FIN_HOST_NODES;
	return plan_add_source(p, -1, path, 0, origin);
}

static int add_node(struct plan *p, const struct node *n, const char *origin, struct err *e)
{
	bool ours = in_dev(n->path) && p->dev_slot >= 0, foreign = in_dev(n->path) && !ours && p->dev_foreign;
	bool host = facts_is_guest(p->facts) && !foreign && !S_ISFIFO(n->mode);
	uint32_t uid = ID_ROOT, gid = ID_ROOT;
	/* A node of the host stays whose it is. */
	int r = host ? 0 : plan_owner(p, false, n->uid, plan_text(p, "%s.uid", origin), &uid, e);

	if (r == 0 && !host)
		r = plan_owner(p, true, n->gid, plan_text(p, "%s.gid", origin), &gid, e);
	if (r < 0)
		return r;
	int16_t source = host ? add_host_node(p, n->path, origin) : -1;
	struct bpath at = plan_path(p, ours ? n->path + strlen("/dev/") : n->path);
	struct step *s = plan_step(p, STEP_NODE, PH_MOUNT, WHO_S, origin);

	s->in = ours ? p->dev_slot : p->hdr.root_slot;
	s->u.node.at = at;
	s->u.node.mode = n->mode;
	s->u.node.uid = uid;
	s->u.node.gid = gid;
	s->u.node.major = n->major;
	s->u.node.minor = n->minor;
	s->u.node.flags = ours ? NODE_IN_DEV : foreign ? NODE_FOREIGN : 0;
	if (host) {
		s->u.node.flags |= NODE_CLONE | NODE_HOST;
		s->out = source;
	} else if (p->hdr.userns && !foreign && !S_ISFIFO(n->mode)) {
		s->u.node.flags |= NODE_CLONE;
		s->out = plan_slot(p);
	}
	return 0;
}

static bool is_configured(struct plan *p, const char *path)
{
	const struct oci_linux *l = p->cfg->linux_;

	for (size_t i = 0; i < l->n_devices; i++)
		if (streq(plan_clean_path(p, l->devices[i].path), path))
			return true;
	return false;
}

static uint32_t node_type(enum oci_device_type t)
{
	return t == OCI_DEV_BLOCK ? S_IFBLK : t == OCI_DEV_FIFO ? S_IFIFO : S_IFCHR;
}

static int add_configured(struct plan *p, size_t i, struct err *e)
{
	const struct oci_device *d = &p->cfg->linux_->devices[i];
	const char *where = plan_text(p, "linux.devices[%zu]", i);
	struct node n = { .path = plan_clean_path(p, d->path), .mode = node_type(d->type) | (d->file_mode.set ? d->file_mode.v & 07777 : facts_is_guest(p->facts) && d->type != OCI_DEV_FIFO ? 0 : 0666),
			  .uid = d->uid.v, .gid = d->gid.v };

	if (streq(n.path, "/"))
		return err_config(e, plan_text(p, "%s.path", where), "\"%s\" — not the path of a device", d->path);
	/* The pty multiplexer and the console are the runtime's own (both peers ignore a configured one). */
	if (streq(n.path, "/dev/ptmx") || streq(n.path, "/dev/console"))
		return 0;
	if (d->type != OCI_DEV_FIFO && (d->major.v < 0 || d->major.v > 4095))
		return err_config(e, plan_text(p, "%s.major", where), "%lld — must be from 0 to 4095", (long long)d->major.v);
	if (d->type != OCI_DEV_FIFO && (d->minor.v < 0 || d->minor.v > 1048575))
		return err_config(e, plan_text(p, "%s.minor", where), "%lld — must be from 0 to 1048575", (long long)d->minor.v);
	n.major = d->type == OCI_DEV_FIFO ? 0 : (uint32_t)d->major.v;
	n.minor = d->type == OCI_DEV_FIFO ? 0 : (uint32_t)d->minor.v;
	return add_node(p, &n, where, e);
}

int plan_add_devices(struct plan *p, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(default_devices) && p->dev_slot >= 0; i++) {
		struct node n = { default_devices[i].path, S_IFCHR | 0666, 0, 0, default_devices[i].major, default_devices[i].minor };
		int r = is_configured(p, n.path) ? 0 : add_node(p, &n, "(default device)", e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < p->cfg->linux_->n_devices; i++) {
		int r = add_configured(p, i, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(dev_links) && p->dev_slot >= 0; i++) {
		struct bpath at = plan_path(p, dev_links[i].name);
		struct bstr target = plan_str(p, dev_links[i].target);
		struct step *s = plan_step(p, STEP_LINK, PH_MOUNT, WHO_S, "(default link)");
		s->in = p->dev_slot;
		s->u.link.at = at;
		s->u.link.target = target;
		s->u.link.flags = dev_links[i].flags;
	}
	return 0;
}

static int add_path_steps(struct plan *p, enum step_op op, const struct oci_strv *v, const char *name, struct err *e)
{
	for (size_t i = 0; i < v->n; i++) {
		const char *path = plan_clean_path(p, v->v[i]), *where = plan_text(p, "%s[%zu]", name, i);
		int r = plan_check_shared(p, path, where, e);

		if (r < 0)
			return r;
		struct bpath at = plan_path(p, path);
		struct step *s = plan_step(p, op, PH_MASK, WHO_S, where);
		s->flags = STEP_SKIP_MISSING;
		s->u.path.at = at;
	}
	return 0;
}

static const struct { enum oci_propagation word; uint32_t flags; } root_propagations[] = {
	{ OCI_PROP_PRIVATE, MS_PRIVATE },	  { OCI_PROP_RPRIVATE, MS_PRIVATE | MS_REC },	    { OCI_PROP_SHARED, MS_SHARED },
	{ OCI_PROP_RSHARED, MS_SHARED | MS_REC }, { OCI_PROP_SLAVE, MS_SLAVE },			    { OCI_PROP_RSLAVE, MS_SLAVE | MS_REC },
	{ OCI_PROP_UNBINDABLE, MS_UNBINDABLE },	  { OCI_PROP_RUNBINDABLE, MS_UNBINDABLE | MS_REC },
};

/* Before anything is mounted the old tree becomes a slave, so that nothing of the container shows on the host and the host's mounts still arrive in
 * binds; the word of the configuration is set on the new root at the very end. */
static bool has_creation_hooks(const struct oci_config *c)
{
	return c->hooks && (c->hooks->n_prestart || c->hooks->n_create_runtime || c->hooks->n_create_container);
}

static void add_root_late(struct plan *p)
{
	const struct oci_config *c = p->cfg;
	bool own = p->hdr.userns != USERNS_NONE;

	p->hdr.root_propagation = MS_SLAVE | MS_REC;
	if (c->root->readonly.v) {
		/* Hooks may write to the root. Where none does, S sets it, and the container's root can't take it back. */
		struct step *s = plan_step(p, STEP_ATTR, PH_MASK, own && has_creation_hooks(c) ? WHO_I : WHO_S, "root.readonly");
		s->in = p->hdr.root_slot;
		s->u.attr.set = MOUNT_ATTR_RDONLY;
	}
	for (size_t i = 0; i < ARRAY_LEN(root_propagations); i++) {
		if (root_propagations[i].word != c->linux_->rootfs_propagation)
			continue;
		struct step *s = plan_step(p, STEP_PROPAGATION, PH_MASK, own ? WHO_I : WHO_S, "linux.rootfsPropagation");
		s->in = p->hdr.root_slot;
		s->u.attr.prop = root_propagations[i].flags & ~(uint32_t)MS_REC;
		s->u.attr.recursive = !!(root_propagations[i].flags & MS_REC);
	}
}

int plan_add_paths(struct plan *p, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;

	for (size_t i = 0; i < l->masked_paths.n; i++)
		if (streq(plan_clean_path(p, l->masked_paths.v[i]), "/"))
			return err_config(e, plan_text(p, "linux.maskedPaths[%zu]", i), "\"%s\" — the root can't be masked", l->masked_paths.v[i]);
	if (l->masked_paths.n && facts_is_guest(p->facts))
		p->hdr.null_slot = add_host_node(p, "/dev/null", "linux.maskedPaths");
	int r = add_path_steps(p, STEP_RDONLY, &l->readonly_paths, "linux.readonlyPaths", e);
	if (r == 0)
		r = add_path_steps(p, STEP_MASK, &l->masked_paths, "linux.maskedPaths", e);
	add_root_late(p);
	return r;
}
