/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: what the child is born with, what it joins, what it makes itself (table of S and I in docs/architecture.md, section 6). */
#include <linux/sched.h>

#include "plan/plan.h"

/* Something of the configuration is set inside this namespace, so it must not be the host's own (attacks-tried H14). */
static bool is_written(const struct plan *p, enum oci_namespace_type type)
{
	const struct oci_config *c = p->cfg;
	const struct oci_map *sysctl = &c->linux_->sysctl;

	if (type == OCI_NS_UTS && (c->hostname || c->domainname))
		return true;
	if (type == OCI_NS_NETWORK && c->linux_->n_net_devices)
		return true;
	for (size_t i = 0; i < sysctl->n; i++) {
		const char *k = sysctl->v[i].key;
		bool net = str_starts(k, "net.") || str_starts(k, "net/");
		bool uts = streq(k, "kernel.domainname") || streq(k, "kernel/domainname") || streq(k, "kernel.hostname") || streq(k, "kernel/hostname");
		enum oci_namespace_type owner = net ? OCI_NS_NETWORK : uts ? OCI_NS_UTS : OCI_NS_IPC;
		if (owner == type)
			return true;
	}
	return false;
}

static void add_join(struct plan *p, const struct oci_namespace *ns, const char *origin)
{
	struct step *s = plan_step(p, STEP_JOIN, PH_ENTER, WHO_S, origin);

	s->u.join.ns = plan_clone_flag(ns->type);
	s->u.join.path = plan_str(p, ns->path);
	s->u.join.flags = is_written(p, ns->type) ? JOIN_MUST_DIFFER : 0;
	if (ns->type == OCI_NS_MOUNT) {
		s->out = plan_slot(p);
		p->hdr.mntns_slot = s->out;
	}
	if (ns->type == OCI_NS_PID) {
		s->out = plan_slot(p);
		p->hdr.pidns_slot = s->out;
		p->hdr.fin.flags |= FIN_JOIN_PID;
	}
	p->joined |= s->u.join.ns;
}

/* Without the host's mounts where nobody needs them: these hooks look at the container's mount namespace with the host's names. */
static uint32_t mount_namespace(const struct plan *p)
{
	const struct oci_hooks *h = p->cfg->hooks;
	bool hooks = h && (h->n_prestart || h->n_create_runtime || h->n_create_container);

	return p->facts->open_tree_namespace && !hooks ? UNSHARE_ROOT : UNSHARE_COPY;
}

/* On v1 and hybrid, and with systemd, the process must be in its cgroups before the cgroup namespace is made: the namespace's root is where it stands then.
 * On v2 CLONE_INTO_CGROUP has placed it already. */
static void add_new(struct plan *p, const struct oci_namespace *ns, const char *origin)
{
	uint32_t flag = plan_clone_flag(ns->type);

	if (ns->type == OCI_NS_MOUNT) {
		p->hdr.unshare_mount = mount_namespace(p);
	} else if (ns->type == OCI_NS_CGROUP && (p->facts->cg.mode != CG_MODE_V2 || p->facts->systemd.used)) {
		struct step *s = plan_step(p, STEP_UNSHARE, PH_ENTER, WHO_S, origin);
		s->u.unshare.ns = flag;
	} else {
		p->hdr.new_namespaces |= flag;
	}
}

void plan_add_namespaces(struct plan *p)
{
	const struct oci_linux *l = p->cfg->linux_;

	for (int16_t i = 0; i < p->slots.n_tasks; i++) {
		struct step *s = plan_step(p, STEP_TASKS, PH_ENTER, WHO_S, "linux.cgroupsPath");
		s->in = (int16_t)(p->slots.tasks + i);
	}
	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct oci_namespace *ns = &l->namespaces[i];
		const char *origin = plan_text(p, "linux.namespaces[%zu]", i);
		if (ns->path)
			add_join(p, ns, plan_text(p, "%s.path", origin));
		else
			add_new(p, ns, origin);
	}
	/* Inherited or joined: others see what is mounted there, so the tree is built elsewhere (attacks-tried H4). */
	if (!p->hdr.unshare_mount)
		p->hdr.fin.flags |= FIN_CHROOT;
}
