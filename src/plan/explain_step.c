/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the plan in words. */
#include <linux/sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "plan/explain.h"

static const struct { uint32_t flag; const char *name; } ns_names[] = {
	{ CLONE_NEWPID, "pid" }, { CLONE_NEWNET, "network" }, { CLONE_NEWNS, "mount" }, { CLONE_NEWIPC, "ipc" }, { CLONE_NEWUTS, "uts" }, { CLONE_NEWCGROUP, "cgroup" },
	{ CLONE_NEWUSER, "user" }, { CLONE_NEWTIME, "time" },
};

void explain_namespaces(struct buf *b, uint32_t flags)
{
	const char *sep = "";

	for (size_t i = 0; i < ARRAY_LEN(ns_names); i++) {
		if (!(flags & ns_names[i].flag))
			continue;
		buf_printf(b, "%s%s", sep, ns_names[i].name);
		sep = "|";
	}
}

static const struct { uint64_t bit; const char *on, *off; } attr_names[] = {
	{ MOUNT_ATTR_RDONLY, "ro", "rw" }, { MOUNT_ATTR_NOSUID, "nosuid", "suid" }, { MOUNT_ATTR_NODEV, "nodev", "dev" }, { MOUNT_ATTR_NOEXEC, "noexec", "exec" },
	{ MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime" }, { MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow" },
};

/* "  ro,nosuid", with "r" before each word for the recursive masks. Returns whether anything was written. */
static bool add_attr(struct buf *b, uint64_t set, uint64_t clr, const char *prefix, bool begun)
{
	for (size_t i = 0; i < ARRAY_LEN(attr_names); i++) {
		bool on = set & attr_names[i].bit, off = clr & attr_names[i].bit;
		if (!on && !off)
			continue;
		buf_printf(b, "%s%s%s", begun ? "," : "  ", prefix, on ? attr_names[i].on : attr_names[i].off);
		begun = true;
	}
	if (clr & MOUNT_ATTR__ATIME || set & MOUNT_ATTR__ATIME) {
		const char *mode = set & MOUNT_ATTR_NOATIME ? "noatime" : set & MOUNT_ATTR_STRICTATIME ? "strictatime" : "relatime";
		buf_printf(b, "%s%s%s", begun ? "," : "  ", prefix, mode);
		begun = true;
	}
	return begun;
}

const char *explain_prop_name(uint64_t prop)
{
	return prop & MS_SHARED ? "shared" : prop & MS_SLAVE ? "slave" : prop & MS_PRIVATE ? "private" : prop & MS_UNBINDABLE ? "unbindable" : "";
}

static void add_prop(struct buf *b, uint64_t prop, bool recursive)
{
	if (prop)
		buf_printf(b, "  %s%s", recursive ? "r" : "", explain_prop_name(prop));
}

static void say_superblock(const struct plan *p, struct buf *b, const struct step *s)
{
	const struct blob_mount_opt *o = (const void *)(p->mem + s->u.mnt.opts.off);

	buf_printf(b, "make %s%s", explain_str(p, s->u.mnt.fstype), s->u.mnt.flags & MNT_IN_USERNS ? " in the user namespace" : "");
	add_attr(b, s->u.mnt.attr, 0, "", false);
	for (uint32_t i = 0; i < s->u.mnt.opts.n; i++)
		buf_printf(b, "%s%s%s%s", i ? "," : "  ", explain_str(p, o[i].key), o[i].value.off ? "=" : "", explain_str(p, o[i].value));
}

static void say_mount(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "mount %s on %s", explain_str(p, s->u.mnt.fstype), explain_path(p, s->u.mnt.at));
	if (s->u.mnt.flags & MNT_LEGACY_IVERSION)
		buf_add(b, "  iversion");
	if (s->u.mnt.flags & MNT_LEGACY_SILENT)
		buf_add(b, "  silent");
	if (s->u.mnt.flags & MNT_COPY_UP)
		buf_add(b, "  tmpcopyup");
	if (s->u.mnt.flags & MNT_LABEL_ROOT)
		buf_printf(b, "  label %s", explain_str(p, p->hdr.fin.mount_label));
	add_prop(b, s->u.mnt.prop, s->u.mnt.prop & MS_REC);
}

/* The host path whose clone is in `slot`. */
static const char *source_of(const struct plan *p, int16_t slot)
{
	for (unsigned i = p->hdr.first[PH_SOURCE]; i < p->hdr.first[PH_SOURCE + 1]; i++)
		if (p->steps[i].out == slot)
			return explain_str(p, p->steps[i].u.source.path);
	return "";
}

static void say_bind(const struct plan *p, struct buf *b, const struct step *s)
{
	if (s->op == STEP_REMOUNT)
		buf_printf(b, "remount %s", explain_path(p, s->u.bind.at));
	else
		buf_printf(b, "%s %s on %s", s->u.bind.flags & BIND_RECURSIVE ? "rbind" : "bind", source_of(p, s->in), explain_path(p, s->u.bind.at));
	add_attr(b, s->u.bind.rset, s->u.bind.rclr, "r", add_attr(b, s->u.bind.set, s->u.bind.clr, "", false));
	if (s->u.bind.idmap)
		buf_printf(b, "  %s %s", s->u.bind.flags & BIND_IDMAP_REC ? "ridmap" : "idmap", s->u.bind.idmap == p->hdr.idmap_slot ? "of the container" : "of its own");
	add_prop(b, s->u.bind.prop, s->u.bind.prop & MS_REC);
	buf_printf(b, "%s%s", s->u.bind.flags & BIND_AT_NOFOLLOW ? "  nofollow" : "", s->u.bind.flags & SOURCE_COPY_LINK ? "  or make the link" : "");
}

static void say_node(const struct plan *p, struct buf *b, const struct step *s)
{
	char type = S_ISBLK(s->u.node.mode) ? 'b' : S_ISFIFO(s->u.node.mode) ? 'p' : S_ISREG(s->u.node.mode) ? '-' : 'c';
	char owner[2][16];
	const uint32_t ids[2] = { s->u.node.uid, s->u.node.gid };

	for (unsigned i = 0; i < 2; i++)
		snprintf(owner[i], sizeof(owner[i]), ids[i] == ID_ROOT ? "root" : "%u", ids[i]);
	buf_printf(b, "node %s%s %c %u:%u %04o %s:%s%s%s", s->u.node.flags & NODE_IN_DEV ? "/dev/" : "", explain_path(p, s->u.node.at), type, s->u.node.major, s->u.node.minor,
		   s->u.node.mode & 07777, owner[0], owner[1], s->u.node.flags & NODE_FOREIGN ? "  must exist" : "", s->u.node.flags & NODE_HOST ? "  bound from the host" : s->u.node.flags & NODE_CLONE ? "  bound" : "");
}

static void say_outer(const struct plan *p, struct buf *b)
{
	const struct plan_outer *o = &p->outer;

	if (o->on) {
		buf_printf(b, "join user of the caller, uids%s ", o->own_uid ? "" : " by newuidmap");
		explain_map(b, o->uid_map);
		buf_printf(b, "; gids%s ", o->own_gid ? ", no setgroups" : " by newgidmap");
		explain_map(b, o->gid_map);
		buf_add(b, "; ");
	}
	buf_add(b, "mount namespace of our own");
}

static void say_enter(const struct plan *p, struct buf *b, const struct step *s)
{
	if (s->op == STEP_TASKS) {
		buf_printf(b, "write 0 to the tasks file in slot %d", s->in);
	} else if (s->op == STEP_TIME) {
		const char *lines = explain_str(p, s->u.write.value);
		buf_printf(b, "unshare time%s", lines[0] ? ", offsets" : "");
		for (const char *l = lines; *l; l += strcspn(l, "\n") + 1)
			buf_printf(b, "%s %.*s", l == lines ? "" : ",", (int)strcspn(l, "\n"), l);
	} else if (s->op == STEP_OUTER) {
		say_outer(p, b);
	} else if (s->op == STEP_UNSHARE) {
		buf_add(b, "unshare ");
		explain_namespaces(b, s->u.unshare.ns);
	} else {
		buf_add(b, "join ");
		explain_namespaces(b, s->u.join.ns);
		buf_printf(b, " %s", s->op == STEP_JOIN_INIT ? "of the container's init" : explain_str(p, s->u.join.path));
	}
}

static void say_late_attr(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "%s", s->u.attr.at.off ? explain_path(p, s->u.attr.at) : s->in == p->hdr.root_slot ? "root" : "mount");
	add_attr(b, s->u.attr.set, s->u.attr.clr, "", false);
	add_prop(b, s->u.attr.prop, s->u.attr.recursive);
}

static void say_path(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "%s %s", s->op == STEP_MASK ? "mask" : "read-only", explain_path(p, s->u.path.at));
}

static void say_dir(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "directory %s", explain_path(p, s->u.dir.at));
}

static void say_link(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "link %s → %s%s", explain_path(p, s->u.link.at), explain_str(p, s->u.link.target), s->u.link.flags & LINK_IF_TARGET ? "  if it exists" : "");
}

static void say_source(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_printf(b, "clone %s%s%s%s", explain_str(p, s->u.source.path), s->u.source.flags & BIND_RECURSIVE ? "  recursive" : "",
		   s->u.source.flags & SOURCE_NOFOLLOW ? "  nofollow" : "", s->u.source.flags & SOURCE_COPY_LINK ? "  or read the link" : "");
}

void explain_map(struct buf *b, const char *lines)
{
	for (const char *l = lines; *l; l += strcspn(l, "\n") + 1)
		buf_printf(b, "%s%.*s", l == lines ? "" : ", ", (int)strcspn(l, "\n"), l);
}

static void say_idmap(const struct plan *p, struct buf *b, const struct step *s)
{
	buf_add(b, "ids for mounts: uids ");
	explain_map(b, explain_str(p, s->u.idmap.uid_map));
	buf_add(b, "; gids ");
	explain_map(b, explain_str(p, s->u.idmap.gid_map));
}

static void say_cgroup(const struct plan *p, struct buf *b, const struct step *s)
{
	if (s->op == STEP_SCOPE)
		buf_printf(b, "systemd unit %s in %s", explain_str(p, s->u.cg.file), explain_str(p, s->u.cg.value));
	else if (s->op == STEP_SCOPE_PROPERTY)
		buf_printf(b, "systemd property %s = %s", explain_str(p, s->u.cg.file), explain_str(p, s->u.cg.value));
	else if (s->op == STEP_CGROUP_MAKE)
		buf_printf(b, "make cgroup %s", explain_str(p, s->u.cg.value));
	else if (s->op == STEP_CGROUP_OWNER)
		buf_printf(b, "give the cgroup to uid %s", explain_str(p, s->u.cg.value));
	else
		buf_printf(b, "write %s = %s (%s)", explain_str(p, s->u.cg.file), explain_str(p, s->u.cg.value), explain_str(p, s->u.cg.controller));
}

static void say_ident(const struct plan *p, struct buf *b, const struct step *s)
{
	static const char *const names[STEP_OP_MAX] = { [STEP_HOSTNAME] = "hostname", [STEP_DOMAINNAME] = "domainname", [STEP_LO_UP] = "lo up" };

	if (s->op == STEP_SYSCTL)
		buf_printf(b, "sysctl %s = %s%s", explain_str(p, s->u.write.name), explain_str(p, s->u.write.value),
			   s->flags & STEP_IN_USERNS ? "  from the user namespace" : "");
	else
		buf_printf(b, "%s%s%s", names[s->op], s->u.write.value.off ? " " : "", explain_str(p, s->u.write.value));
}

static void say_net(const struct plan *p, struct buf *b, const struct step *s)
{
	if (s->op == STEP_NETDEV)
		buf_printf(b, "move network device %s to the container as %s, with its addresses, up", explain_str(p, s->u.write.name), explain_str(p, s->u.write.value));
	else
		buf_add(b, "open the network namespace to the host");
}

static const struct { void (*say)(const struct plan *p, struct buf *b, const struct step *s); } steps[STEP_OP_MAX] = {
	[STEP_CGROUP_MAKE] = { say_cgroup }, [STEP_CGROUP_OWNER] = { say_cgroup }, [STEP_CGROUP_WRITE] = { say_cgroup }, [STEP_SCOPE] = { say_cgroup }, [STEP_SCOPE_PROPERTY] = { say_cgroup },
	[STEP_TASKS] = { say_enter }, [STEP_JOIN] = { say_enter },
	[STEP_JOIN_INIT] = { say_enter }, [STEP_UNSHARE] = { say_enter }, [STEP_OUTER] = { say_enter }, [STEP_TIME] = { say_enter }, [STEP_IDMAP] = { say_idmap }, [STEP_SOURCE] = { say_source }, [STEP_NETLINK] = { say_net }, [STEP_NETDEV] = { say_net }, [STEP_HOSTNAME] = { say_ident },
	[STEP_DOMAINNAME] = { say_ident }, [STEP_LO_UP] = { say_ident }, [STEP_SYSCTL] = { say_ident }, [STEP_SUPERBLOCK] = { say_superblock }, [STEP_MOUNT] = { say_mount }, [STEP_BIND] = { say_bind },
	[STEP_REMOUNT] = { say_bind }, [STEP_DIR] = { say_dir }, [STEP_NODE] = { say_node }, [STEP_LINK] = { say_link }, [STEP_MASK] = { say_path },
	[STEP_RDONLY] = { say_path }, [STEP_ATTR] = { say_late_attr }, [STEP_PROPAGATION] = { say_late_attr },
};

void explain_step(const struct plan *p, struct buf *b, const struct step *s)
{
	steps[s->op].say(p, b, s);
}
