/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[] → steps, in the configuration's order, whoever acts. */
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "plan/plan.h"

#define LATE_PROP (MS_SHARED | MS_UNBINDABLE)

/* One mount on its way into steps. */
struct mount_job {
	const struct oci_mount *m;
	const char *where; /* "mounts[3]" */
	const char *at;    /* cleaned destination */
	struct mount_words w;
	uint32_t place;    /* MNT_REAL_DIR of a bind */
};

/* Over these files of proc lxcfs and its like put their own; anything else below /proc could fake what we or the program rely on (SEC-14). */
static const char *const proc_files[] = {
	"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
	"/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
};

/* Nothing is mounted below a volume that is a peer of the host's mount: it would appear on the host. `count` mounts of the list are looked at. */
static int check_not_shared(struct plan *p, const char *at, size_t count, const char *where, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct oci_mount *m = &p->cfg->mounts[i];
		const char *outer = plan_clean_path(p, m->destination);
		bool shared = false;

		for (size_t k = 0; k < m->options.n; k++)
			shared |= streq(m->options.v[k], "shared") || streq(m->options.v[k], "rshared");
		if (shared && m->source && str_starts(at, outer) && at[strlen(outer)] == '/')
			return err_config(e, where, "\"%s\" — lies below mounts[%zu], which is shared with the host: what is mounted there would appear on the host", at, i);
	}
	return 0;
}

int plan_check_shared(struct plan *p, const char *at, const char *where, struct err *e)
{
	return check_not_shared(p, at, p->cfg->n_mounts, where, e);
}

static int check_destination(struct plan *p, const struct mount_job *j, struct err *e)
{
	const char *at = plan_text(p, "%s.destination", j->where), *type = j->m->type ? j->m->type : "";
	bool in_proc = streq(j->at, "/proc") || str_starts(j->at, "/proc/");

	if (streq(j->at, "/"))
		return err_config(e, at, "\"%s\" — the root itself is configured by root.path", j->m->destination);
	if (!in_proc || j->w.remount)
		return 0;
	if (streq(j->at, "/proc")) {
		bool host_proc = j->w.bind && j->m->source && streq(plan_clean_path(p, j->m->source), "/proc");
		if (streq(type, "proc") || host_proc)
			return 0;
		return err_config(e, at, "\"%s\" — only a mount of type \"proc\" may be there", j->m->destination);
	}
	for (size_t i = 0; i < ARRAY_LEN(proc_files); i++)
		if (streq(j->at, proc_files[i]))
			return 0;
	return err_config(e, at, "\"%s\" — inside /proc only cpuinfo, meminfo, stat, uptime and their like may be covered", j->m->destination);
}

/* The copy of a mount namespace for another user namespace is a slave, whatever the mounts were: what comes from the host arrives, nothing goes back (mount_namespaces(7),
 * "Restrictions on mount namespaces"). Engines ask for rshared by default in places, so it is no error. */
static void warn_slave(struct plan *p, const struct mount_job *j)
{
	if (!j->w.bind || !(j->w.prop & MS_SHARED) || p->warned_slave || (p->hdr.userns == USERNS_NONE && !p->facts->foreign_mounts))
		return;
	p->warned_slave = true;
	log_warn("%s.options: \"%sshared\": in a user namespace it is a slave of the host's: mounts of the host arrive, the container's own don't reach the host", j->where,
		 j->w.prop & MS_REC ? "r" : "");
}

/* What the configuration wants shared or unbindable is set last, when everything below it is mounted. */
static void add_late_propagation(struct plan *p, int16_t slot, const struct mount_job *j)
{
	uint32_t prop = j->w.prop;
	bool own = p->hdr.userns != USERNS_NONE;

	if (!(prop & LATE_PROP))
		return;
	warn_slave(p, j);
	/* The mounts of a user namespace are copies, which are slaves of what was made here: I sets its own, found by their place. */
	struct bpath at = own ? plan_path(p, j->at) : (struct bpath){ 0 };
	struct step *late = plan_step(p, STEP_PROPAGATION, PH_MASK, own ? WHO_I : WHO_S, j->where);
	late->in = own ? p->hdr.root_slot : slot;
	late->u.attr.at = at;
	late->u.attr.prop = prop & ~(uint32_t)MS_REC;
	late->u.attr.recursive = !!(prop & MS_REC);
}

static const char *source_path(struct plan *p, const struct mount_job *j)
{
	const char *source = j->m->source;

	return source[0] == '/' ? source : plan_text(p, "%s/%s", p->bundle, source);
}

int16_t plan_add_source(struct plan *p, int16_t opened, const char *path, uint32_t flags, const char *where)
{
	struct bstr host = plan_str(p, path);
	struct step *s = plan_step(p, STEP_SOURCE, PH_SOURCE, WHO_S, where);

	s->in = opened;
	s->u.source.path = host;
	s->u.source.flags = flags;
	return s->out = plan_slot(p);
}

static int add_bind(struct plan *p, const struct mount_job *j, struct err *e)
{
	if (!j->m->source || !j->m->source[0])
		return err_config(e, plan_text(p, "%s.source", j->where), "a bind mount needs a source");
	/* Both peers' users have configurations with "mode=755" on a bind: said once, without effect. */
	if (j->w.n_data)
		log_warn("%s.options[%zu]: \"%s\" belongs to a file system: without effect on a bind mount", j->where, j->w.data_index[0], j->w.data_word[0]);
	if (j->w.sb_flags || j->w.legacy)
		log_warn("%s.options: sync, dirsync, lazytime, mand, iversion and silent belong to the file system: without effect on a bind mount", j->where);
	int16_t idmap;
	int r = plan_add_idmap(p, j->m, &j->w, j->where, &idmap, e);
	if (r < 0)
		return r;
	uint32_t flags = (j->w.recursive ? BIND_RECURSIVE : 0) | (j->w.prop & MS_SHARED ? SOURCE_KEEP_SHARED : 0) | (j->w.links & ~(uint32_t)BIND_AT_NOFOLLOW);
	int16_t slot = plan_add_source(p, -1, source_path(p, j), flags, plan_text(p, "%s.source", j->where));
	struct step *s = plan_step(p, STEP_BIND, PH_MOUNT, WHO_S, j->where);
	s->in = slot;
	s->u.bind.set = j->w.set;
	s->u.bind.clr = j->w.clr;
	s->u.bind.rset = j->w.rset;
	s->u.bind.rclr = j->w.rclr;
	s->u.bind.flags = (j->w.recursive ? BIND_RECURSIVE : 0) | (j->w.idmap == MOUNT_IDMAP_REC ? BIND_IDMAP_REC : 0) | j->w.links | j->place;
	s->u.bind.idmap = idmap;
	s->u.bind.prop = j->w.prop & LATE_PROP ? 0 : j->w.prop;
	s->u.bind.at = plan_path(p, j->at);
	add_late_propagation(p, slot, j);
	return 0;
}

static bool has_data(const struct mount_job *j, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < j->w.n_data; i++)
		if (str_starts(j->w.data_word[i], key) && j->w.data_word[i][n] == '=')
			return true;
	return false;
}

/* A label of the configuration's own goes before linux.mountLabel. */
static bool wants_context(const struct plan *p, const struct mount_job *j)
{
	static const char *const own[] = { "context", "fscontext", "defcontext", "rootcontext", "seclabel" };

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (has_data(j, own[i]))
			return false;
	return plan_label_way(p, j->m->type) == LABEL_CONTEXT;
}

/* Filesystem data and superblock flags as fsconfig calls, in the configuration's order. */
static struct blist mount_data(struct plan *p, const struct mount_job *j)
{
	const char *names[8];
	unsigned n_sb = mount_words_sb_names(j->w.sb_flags, names);
	struct blob_mount_opt *all = oci_arena_alloc(p->arena, (j->w.n_data + n_sb + 2) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return (struct blist){ 0, 0 };
	for (unsigned i = 0; i < n_sb; i++)
		all[n++] = (struct blob_mount_opt){ plan_str(p, names[i]), { 0 } };
	for (size_t i = 0; i < j->w.n_data; i++)
		all[n++] = j->w.data[i];
	if (wants_context(p, j))
		all[n++] = (struct blob_mount_opt){ plan_str(p, p->honoured.mount_context), p->hdr.fin.mount_label };
	return plan_list(p, all, n, sizeof(*all));
}

/* A tmpfs is filled (nodes, mount points) before it becomes read-only. */
static void add_late_readonly(struct plan *p, int16_t slot, const char *where)
{
	struct step *late = plan_step(p, STEP_ATTR, PH_MASK, WHO_S, where);
	late->in = slot;
	late->u.attr.set = MOUNT_ATTR_RDONLY;
}

/* Which superblocks belong to the container's user namespace by who makes them: those whose ids and rights are its own. sysfs, mqueue and cgroup belong to the
 * owner of the namespace that they show, whoever makes them; proc to that of the pid namespace that its maker is in. */
static bool is_made_in_userns(const struct plan *p, const char *type)
{
	static const char *const by_namespace[] = { "sysfs", "mqueue", "cgroup", "cgroup2" };

	for (size_t i = 0; i < ARRAY_LEN(by_namespace); i++)
		if (streq(type, by_namespace[i]))
			return false;
	return p->hdr.userns == USERNS_FIRST || (p->hdr.userns == USERNS_KEEPER && !streq(type, "proc"));
}

int16_t plan_add_superblock(struct plan *p, const struct step_mnt *m, const char *where)
{
	/* With a user namespace the process that is to make it is born later. */
	struct step *made = plan_step(p, STEP_SUPERBLOCK, p->hdr.userns ? PH_MOUNT : PH_SOURCE, WHO_S, where);
	int16_t slot = made->out = plan_slot(p);

	made->in = m->flags & MNT_PROC_PIDNS ? p->hdr.pidns_slot : -1;
	made->u.mnt = *m;
	struct step *s = plan_step(p, STEP_MOUNT, PH_MOUNT, WHO_S, where);
	s->in = slot;
	s->u.mnt = *m;
	return slot;
}

static void add_new_superblock(struct plan *p, const struct mount_job *j)
{
	const char *type = j->m->type;
	bool tmpfs = streq(type, "tmpfs"), proc = streq(type, "proc");
	uint64_t attr = j->w.set | j->w.rset;
	bool late_readonly = tmpfs && (attr & MOUNT_ATTR_RDONLY);
	struct step_mnt m = { .flags = j->w.legacy | (is_made_in_userns(p, type) ? MNT_IN_USERNS : 0), .prop = j->w.prop & LATE_PROP ? 0 : j->w.prop };

	m.fstype = plan_str(p, type);
	m.source = plan_str(p, j->m->source ? j->m->source : type);
	m.at = plan_path(p, j->at);
	m.opts = mount_data(p, j);
	m.attr = late_readonly ? attr & ~(uint64_t)MOUNT_ATTR_RDONLY : attr;
	if (proc || streq(type, "sysfs"))
		m.flags |= MNT_REAL_DIR;
	if (proc && (p->joined & CLONE_NEWPID))
		m.flags |= MNT_PROC_PIDNS;
	if (tmpfs && !has_data(j, "mode"))
		m.flags |= MNT_COVERED_MODE;
	if (j->w.copy_up)
		m.flags |= MNT_COPY_UP;
	if (plan_label_way(p, type) == LABEL_ROOT)
		m.flags |= MNT_LABEL_ROOT;
	if (tmpfs && streq(j->at, "/dev"))
		m.flags |= MNT_DEV_TMPFS;
	if (streq(type, "devpts") && streq(j->at, "/dev/pts"))
		m.flags |= MNT_DEVPTS;
	int16_t slot = plan_add_superblock(p, &m, j->where);
	if (m.flags & MNT_DEV_TMPFS)
		p->dev_slot = slot;
	if (late_readonly)
		add_late_readonly(p, slot, j->where);
	add_late_propagation(p, slot, j);
}

/* No sysfs of this network namespace can be had: the caller's own, of which nothing can be written to, is what such a container gets from crun, and from podman
 * by its configuration. */
static int add_host_sysfs(struct plan *p, const struct mount_job *j, struct err *e)
{
	struct oci_mount m = { .destination = j->m->destination, .source = "/sys", .type = "bind" };
	struct mount_job bind = { .m = &m, .where = j->where, .at = j->at, .place = MNT_REAL_DIR };

	log_warn("%s: the user namespace that owns the network namespace gives no right to mount a sysfs of it: /sys of the host is there instead, read-only", j->where);
	bind.w.bind = bind.w.recursive = bind.w.ro = true;
	bind.w.rset = ((j->w.set | j->w.rset) & ~(uint64_t)MOUNT_ATTR__ATIME) | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	bind.w.prop = j->w.prop & LATE_PROP ? 0 : j->w.prop;
	return add_bind(p, &bind, e);
}

static int add_one(struct plan *p, const struct mount_job *j, struct err *e)
{
	const char *type = j->m->type;
	int16_t none;

	if (j->w.bind && !j->w.remount)
		return add_bind(p, j, e);
	int r = plan_add_idmap(p, j->m, &j->w, j->where, &none, e);
	if (r < 0)
		return r;
	if (j->w.remount) {
		struct bpath at = plan_path(p, j->at);
		struct step *s = plan_step(p, STEP_REMOUNT, PH_MOUNT, WHO_S, j->where);
		s->u.bind.set = j->w.set;
		s->u.bind.clr = j->w.clr;
		s->u.bind.rset = j->w.rset;
		s->u.bind.rclr = j->w.rclr;
		s->u.bind.at = at;
		return 0;
	}
	if (!type || !type[0] || streq(type, "none"))
		return err_config(e, plan_text(p, "%s.type", j->where), "is needed: the mount is neither \"bind\" nor \"remount\"");
	if (streq(type, "cgroup") || streq(type, "cgroup2"))
		return plan_add_cgroup_mount(p, j->at, j->where, j->w.set | j->w.rset, streq(type, "cgroup2"), e);
	if (streq(type, "sysfs") && p->facts->sysfs_refused)
		return add_host_sysfs(p, j, e);
	if (streq(type, "proc") && (p->joined & CLONE_NEWPID) && !p->facts->procfs_pidns)
		return err_config(e, plan_text(p, "%s.type", j->where), "\"proc\" of a joined pid namespace needs a kernel whose procfs takes pidns= (6.17)");
	add_new_superblock(p, j);
	return 0;
}

/* Where the container's /dev comes from decides who may make nodes in it (attacks-tried H17). */
static void note_dev(struct plan *p, const struct mount_job *j)
{
	if (streq(j->at, "/dev") && !j->w.remount && (j->w.bind || !j->m->type || !streq(j->m->type, "tmpfs"))) {
		p->dev_foreign = true;
		p->dev_slot = -1;
	} else if (streq(j->at, "/dev") && !j->w.remount) {
		p->dev_foreign = false;
	}
}

/* The specification demands the default devices; without any mount on /dev they would be made in the image. */
static void add_default_dev(struct plan *p)
{
	static const char *const options[] = { "nosuid", "strictatime", "mode=755", "size=65536k" };
	struct oci_mount m = { .destination = "/dev", .type = "tmpfs", .source = "tmpfs",
			       .options = { (const char **)(uintptr_t)options, ARRAY_LEN(options), true } };
	struct mount_job j = { .m = &m, .where = "(default /dev)", .at = "/dev" };
	struct err ignored;

	if (mount_words_parse(p, &m, j.where, &j.w, &ignored) == 0)
		add_new_superblock(p, &j);
}

int plan_add_mounts(struct plan *p, struct err *e)
{
	const struct oci_config *c = p->cfg;
	bool has_dev = false;
	int r;

	for (size_t i = 0; i < c->n_mounts; i++)
		has_dev |= streq(plan_clean_path(p, c->mounts[i].destination), "/dev");
	if (!has_dev)
		add_default_dev(p);
	for (size_t i = 0; i < c->n_mounts; i++) {
		struct mount_job j = { .m = &c->mounts[i], .where = plan_text(p, "mounts[%zu]", i), .at = plan_clean_path(p, c->mounts[i].destination) };

		r = mount_words_parse(p, j.m, j.where, &j.w, e);
		if (r == 0)
			r = check_destination(p, &j, e);
		if (r == 0)
			r = check_not_shared(p, j.at, i, plan_text(p, "%s.destination", j.where), e);
		if (r == 0)
			r = add_one(p, &j, e);
		if (r < 0)
			return r;
		note_dev(p, &j);
	}
	return 0;
}
