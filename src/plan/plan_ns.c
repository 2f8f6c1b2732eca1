/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: what the child is born with, what it joins, what it makes itself (table of S and I in docs/architecture.md, "Processes"). */
#include <linux/sched.h>

#include "plan/plan.h"

/* Something of the configuration is set inside this namespace, so it must not be the host's own (attacks-tried H14). */
static bool is_written(struct plan *p, enum oci_namespace_type type)
{
	const struct oci_config *c = p->cfg;
	const struct oci_map *sysctl = &c->linux_->sysctl;

	/* Whoever asks for a user namespace must not get the host's: it would be no wall at all. */
	if (type == OCI_NS_USER)
		return true;
	if (type == OCI_NS_UTS && (c->hostname || c->domainname))
		return true;
	if (type == OCI_NS_NETWORK && c->linux_->n_net_devices)
		return true;
	for (size_t i = 0; i < sysctl->n; i++)
		if (plan_sysctl_owner(p, sysctl->v[i].key) == type)
			return true;
	return false;
}

/* Pid, mount and user namespaces are looked at here and entered last, when all that needs the caller's rights is done. */
static void add_join(struct plan *p, const struct oci_namespace *ns, const char *origin)
{
	struct bstr path = plan_str(p, ns->path);
	struct step *s = plan_step(p, STEP_JOIN, PH_ENTER, WHO_S, origin);
	int16_t *slot = ns->type == OCI_NS_MOUNT ? &p->hdr.mntns_slot : ns->type == OCI_NS_PID ? &p->hdr.pidns_slot :
			ns->type == OCI_NS_USER ? &p->hdr.userns_slot : NULL;

	s->u.join.ns = plan_clone_flag(ns->type);
	s->u.join.path = path;
	s->u.join.flags = is_written(p, ns->type) ? JOIN_MUST_DIFFER : 0;
	if (slot)
		*slot = s->out = plan_slot(p);
	if (ns->type == OCI_NS_PID)
		p->hdr.fin.flags |= FIN_JOIN_PID;
	p->joined |= s->u.join.ns;
}

/* Without the host's mounts where nobody needs them: these hooks look at the container's mount namespace with the host's names, and the kernel gives a user namespace a proc
 * only where it sees one (mount_too_revealing()). */
static uint32_t mount_namespace(const struct plan *p)
{
	const struct oci_hooks *h = p->cfg->hooks;
	bool hooks = h && (h->n_prestart || h->n_create_runtime || h->n_create_container);

	return p->facts->open_tree_namespace && !hooks && !p->hdr.userns && !p->facts->in_userns ? UNSHARE_ROOT : UNSHARE_COPY;
}

static void add_unshare(struct plan *p, uint32_t flag, const char *origin)
{
	plan_step(p, STEP_UNSHARE, PH_ENTER, WHO_S, origin)->u.unshare.ns = flag;
}

/* Offsets are written before anybody is in the namespace, once for all (time_namespaces(7)). */
static void add_time(struct plan *p, const char *origin)
{
	static const struct oci_time_offset none;
	const struct oci_time_offsets *o = p->cfg->linux_->time_offsets;
	const struct oci_time_offset *mono = o && o->monotonic ? o->monotonic : &none, *boot = o && o->boottime ? o->boottime : &none;
	struct bstr lines = { 0 };

	if (o)
		lines = plan_strf(p, "monotonic %lld %u\nboottime %lld %u\n", (long long)mono->secs.v, mono->nanosecs.v, (long long)boot->secs.v,
				  boot->nanosecs.v);
	plan_step(p, STEP_TIME, PH_ENTER, WHO_S, o ? "linux.timeOffsets" : origin)->u.write.value = lines;
}

/* On v1 and hybrid, and with systemd, the process must be in its cgroups before the cgroup namespace is made: the namespace's root is where it stands then.
 * On v2 CLONE_INTO_CGROUP has placed it already. What is to belong to the container's user namespace is made in there. */
static void add_new(struct plan *p, const struct oci_namespace *ns, const char *origin)
{
	uint32_t flag = plan_clone_flag(ns->type);

	if (ns->type == OCI_NS_MOUNT)
		p->hdr.unshare_mount = mount_namespace(p);
	else if (ns->type == OCI_NS_TIME)
		add_time(p, origin);
	else if (ns->type == OCI_NS_USER || (p->hdr.userns && ns->type == OCI_NS_PID))
		return;
	else if (p->hdr.userns)
		p->hdr.userns_new |= flag;
	else if (ns->type == OCI_NS_CGROUP && (p->facts->cg.mode != CG_MODE_V2 || p->facts->systemd.used))
		add_unshare(p, flag, origin);
	else
		p->hdr.new_namespaces |= flag;
}

struct id_list { const char *where; const struct oci_id_mapping *m; size_t n; };

/* What a new user namespace maps; of a joined one, what the configuration says that it maps. */
static int add_maps(struct plan *p, bool joined, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	const struct id_list lists[] = { { "linux.uidMappings", l->uid_mappings, l->n_uid_mappings },
					 { "linux.gidMappings", l->gid_mappings, l->n_gid_mappings } };
	struct bstr *texts[] = { &p->hdr.uid_map, &p->hdr.gid_map };
	uint32_t *roots[] = { &p->hdr.outer_root_uid, &p->hdr.outer_root_gid };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct id_list *list = &lists[i];
		if (list->n == 0 && joined)
			continue;
		if (list->n == 0)
			return err_config(e, list->where, "is needed for a new user namespace: it would map no id at all");
		if (!plan_map_id(list->m, list->n, 0, roots[i]))
			return err_config(e, list->where, "maps no container id 0, as which the container is set up");
		struct bstr text;
		int r = plan_map_text(p, list->m, list->n, list->where, &text, e);
		if (r < 0)
			return r;
		if (!joined)
			*texts[i] = text;
	}
	return 0;
}

static int add_userns(struct plan *p, struct err *e)
{
	const struct oci_namespace *user = plan_find_namespace(p->cfg, OCI_NS_USER), *pid = plan_find_namespace(p->cfg, OCI_NS_PID);
	const struct oci_namespace *mnt = plan_find_namespace(p->cfg, OCI_NS_MOUNT);
	const struct oci_process *proc = p->cfg->process;

	if (!user)
		return 0;
	/* We are root of it from the birth on. */
	if (p->facts->joins_userns) {
		p->birth_userns = user->path;
		return 0;
	}
	p->hdr.userns = pid && !pid->path ? USERNS_FIRST : USERNS_KEEPER;
	if (proc && proc->terminal.v && (!mnt || mnt->path))
		return err_config(e, "process.terminal", "true — in a user namespace it needs a new mount namespace: the container's process mounts /dev/console, and has no right to in another one");
	return add_maps(p, user->path != NULL, e);
}

/* No descriptor of the finished tree outlives execve: proc, masks and read-only paths would be gone, and what they cover bare. A process that keeps the tree
 * would be in reach of the container, and another namespace than the one asked for is none. */
static int refuse_shared_mounts(struct plan *p, struct err *e)
{
	static const char why[] = "on this kernel a container loses its mounts in a mount namespace that isn't its own (Linux 7.3 does that, 6.18 doesn't)";
	const struct oci_linux *l = p->cfg->linux_;

	for (size_t i = 0; i < l->n_namespaces; i++)
		if (l->namespaces[i].type == OCI_NS_MOUNT)
			return err_config(e, plan_text(p, "linux.namespaces[%zu].path", i), "\"%s\" — must not be there: %s", l->namespaces[i].path, why);
	return err_config(e, "linux.namespaces", "must have a \"mount\": %s", why);
}

int plan_add_namespaces(struct plan *p, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	int r = add_userns(p, e);

	if (r < 0)
		return r;
	/* Whoever is born in another user namespace comes from a process that stands there already. */
	for (int16_t i = 0; i < p->slots.n_tasks && !p->birth_userns; i++) {
		struct step *s = plan_step(p, STEP_TASKS, PH_ENTER, WHO_S, "linux.cgroupsPath");
		s->in = (int16_t)(p->slots.tasks + i);
	}
	r = plan_add_outer(p, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct oci_namespace *ns = &l->namespaces[i];
		const char *origin = plan_text(p, "linux.namespaces[%zu]", i);
		if (ns->type == OCI_NS_USER && p->birth_userns)
			continue;
		if (ns->path)
			add_join(p, ns, plan_text(p, "%s.path", origin));
		else
			add_new(p, ns, origin);
	}
	/* Inherited or joined: others see what is mounted there, so the tree is built elsewhere (attacks-tried H4). */
	if (p->hdr.unshare_mount)
		return 0;
	p->hdr.fin.flags |= FIN_CHROOT;
	return p->facts->trees_dissolve ? refuse_shared_mounts(p, e) : 0;
}
