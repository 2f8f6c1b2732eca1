/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over the plan, and the one place that knows what each step is called and how it is told. */
#include "init/init.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"

#define STR(s) (init_str(in, s) ? init_str(in, s) : "")
#define PATH(p) (init_path(in, p).s)
#define DESCRIBE(name) static void name(const struct init *in, const struct step *s, char *buf, size_t size)

static const struct {
	uint32_t flag;
	const char *name;
} ns_names[] = {
	{ CLONE_NEWPID, "pid" }, { CLONE_NEWNET, "network" }, { CLONE_NEWNS, "mount" },   { CLONE_NEWIPC, "ipc" },
	{ CLONE_NEWUTS, "uts" }, { CLONE_NEWUSER, "user" },   { CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
};

static const char *ns_name(uint32_t flag)
{
	for (size_t i = 0; i < ARRAY_LEN(ns_names); i++)
		if (ns_names[i].flag == flag)
			return ns_names[i].name;
	return "unknown";
}

/* Paths on the container's own /dev are told as the user knows them. */
static const char *dev_prefix(uint32_t flags)
{
	return flags & NODE_IN_DEV ? "/dev/" : "";
}

DESCRIBE(tell_tasks) { snprintf(buf, size, "enter the cgroup of hierarchy %d", s->in); (void)in; }
DESCRIBE(tell_join) { snprintf(buf, size, "join the %s namespace %s", ns_name(s->u.join.ns), STR(s->u.join.path)); }
DESCRIBE(tell_join_init) { snprintf(buf, size, "join the container's namespaces"); (void)in; (void)s; }
DESCRIBE(tell_unshare) { snprintf(buf, size, "make a %s namespace", ns_name(s->u.unshare.ns)); (void)in; }
DESCRIBE(tell_outer) { snprintf(buf, size, "make a mount namespace as an ordinary user"); (void)in; (void)s; }
DESCRIBE(tell_time) { snprintf(buf, size, "make a time namespace"); (void)in; (void)s; }
DESCRIBE(tell_idmap) { snprintf(buf, size, "make a user namespace that maps the ids of a mount"); (void)in; (void)s; }
DESCRIBE(tell_source) { snprintf(buf, size, "open mount source %s", STR(s->u.source.path)); }
DESCRIBE(tell_netlink) { snprintf(buf, size, "receive network devices"); (void)in; (void)s; }
DESCRIBE(tell_hostname) { snprintf(buf, size, "set the host name \"%s\"", STR(s->u.write.value)); }
DESCRIBE(tell_domainname) { snprintf(buf, size, "set the domain name \"%s\"", STR(s->u.write.value)); }
DESCRIBE(tell_lo_up) { snprintf(buf, size, "bring up the interface lo"); (void)in; (void)s; }
DESCRIBE(tell_sysctl) { snprintf(buf, size, "write sysctl %s = %.200s", STR(s->u.write.name), STR(s->u.write.value)); }
DESCRIBE(tell_mount) { snprintf(buf, size, "mount %s on %s", STR(s->u.mnt.fstype), PATH(s->u.mnt.at)); }
DESCRIBE(tell_bind) { snprintf(buf, size, "bind %s", PATH(s->u.bind.at)); }
DESCRIBE(tell_remount) { snprintf(buf, size, "remount %s", PATH(s->u.bind.at)); }
DESCRIBE(tell_dir) { snprintf(buf, size, "make directory %s", PATH(s->u.dir.at)); }
DESCRIBE(tell_node) { snprintf(buf, size, "make node %s%s", dev_prefix(s->u.node.flags), PATH(s->u.node.at)); }
DESCRIBE(tell_link) { snprintf(buf, size, "make link %s to %s", PATH(s->u.link.at), STR(s->u.link.target)); }
DESCRIBE(tell_mask) { snprintf(buf, size, "mask %s", PATH(s->u.path.at)); }
DESCRIBE(tell_rdonly) { snprintf(buf, size, "make %s read-only", PATH(s->u.path.at)); }
DESCRIBE(tell_attr) { snprintf(buf, size, "set the last attributes of a mount"); (void)in; (void)s; }
DESCRIBE(tell_propagation) { snprintf(buf, size, "set the propagation of a mount"); (void)in; (void)s; }

static const struct {
	int (*apply)(struct init *in, const struct step *s);
	void (*describe)(const struct init *in, const struct step *s, char *buf, size_t size);
} ops[STEP_OP_MAX] = {
	[STEP_TASKS] = { step_tasks, tell_tasks },
	[STEP_JOIN] = { step_join, tell_join },
	[STEP_JOIN_INIT] = { step_join_init, tell_join_init },
	[STEP_UNSHARE] = { step_unshare, tell_unshare },
	[STEP_OUTER] = { step_outer, tell_outer },
	[STEP_TIME] = { step_time, tell_time },
	[STEP_IDMAP] = { step_idmap, tell_idmap },
	[STEP_SOURCE] = { step_source, tell_source },
	[STEP_NETLINK] = { step_netlink, tell_netlink },
	[STEP_HOSTNAME] = { step_hostname, tell_hostname },
	[STEP_DOMAINNAME] = { step_domainname, tell_domainname },
	[STEP_LO_UP] = { step_lo_up, tell_lo_up },
	[STEP_SYSCTL] = { step_sysctl, tell_sysctl },
	[STEP_SUPERBLOCK] = { step_superblock, tell_mount },
	[STEP_MOUNT] = { step_mount, tell_mount },
	[STEP_BIND] = { step_bind, tell_bind },
	[STEP_REMOUNT] = { step_remount, tell_remount },
	[STEP_DIR] = { step_dir, tell_dir },
	[STEP_NODE] = { step_node, tell_node },
	[STEP_LINK] = { step_link, tell_link },
	[STEP_MASK] = { step_mask, tell_mask },
	[STEP_RDONLY] = { step_rdonly, tell_rdonly },
	[STEP_ATTR] = { step_attr, tell_attr },
	[STEP_PROPAGATION] = { step_propagation, tell_propagation },
};

void steps_describe(const struct init *in, const struct step *s, char *buf, size_t size)
{
	ops[s->op].describe(in, s, buf, size);
}

/* The error as the host sees it: what was being done, what went wrong, where in the configuration that was asked
 * for. */
static int explain(struct init *in, uint32_t index, int r)
{
	const struct step *s = &in->steps[index];
	struct err *e = &in->err;
	char what[INIT_TEXT_MAX];

	steps_describe(in, s, what, sizeof(what));
	if (e->kind == ERR_NONE)
		err_sys(e, r, "%s", what);
	else
		err_wrap(e, r, "%s", what);
	if (in->kernel[0] && !e->kernel[0])
		memcpy(e->kernel, in->kernel, sizeof(e->kernel));
	e->step = (uint16_t)(index + 1);
	return err_at(e, r, init_str(in, s->origin));
}

static void note(const struct init *in, uint32_t index, int64_t start)
{
	char what[INIT_TEXT_MAX];

	steps_describe(in, &in->steps[index], what, sizeof(what));
	log_debug("step %u %s %dus", index + 1, what, (int)((clock_now_ns() - start) / 1000));
}

static void close_used(struct init *in, int slot, uint32_t index)
{
	if (slot >= 0 && in->last_use[slot] == index + 1)
		fd_close(&in->slots[slot]);
}

static int run_one(struct init *in, uint32_t index)
{
	const struct step *s = &in->steps[index];
	bool debug = log_enabled(LOG_LVL_DEBUG);
	int64_t start = debug ? clock_now_ns() : 0;
	char line[ERR_RENDER_MAX];

	in->kernel[0] = '\0';
	int r = ops[s->op].apply ? ops[s->op].apply(in, s) : -EINVAL;
	if (r < 0 && (s->flags & STEP_SKIP_MISSING) && (r == -ENOENT || r == -ENOTDIR)) {
		in->err.kind = ERR_NONE;
		r = 0;
	}
	if (r < 0)
		r = explain(in, index, r);
	if (r < 0 && (s->flags & STEP_OPTIONAL)) {
		log_warn("%s", err_render(&in->err, line, sizeof(line)));
		in->err.kind = ERR_NONE;
		r = 0;
	}
	if (r == 0 && debug)
		note(in, index, start);
	close_used(in, s->in, index);
	close_used(in, s->out, index);
	if (s->op == STEP_BIND && s->u.bind.idmap)
		close_used(in, s->u.bind.idmap, index);
	return r;
}

int steps_run(struct init *in, enum phase phase)
{
	for (uint32_t i = in->b->first[phase]; i < in->b->first[phase + 1]; i++) {
		uint8_t who = in->steps[i].who;
		if (who == WHO_HOST || (in->b->userns && who != in->role))
			continue;
		int r = run_one(in, i);
		if (r < 0)
			return r;
	}
	return 0;
}
