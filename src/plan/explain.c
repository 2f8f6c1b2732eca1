/* SPDX-License-Identifier: Apache-2.0 */
/* The plan for people (one line a step) and for programs (JSON). Fixed sequences come from a constant table, so the picture is complete. */
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "plan/explain.h"

#define TEXT_MAX ((size_t)4 << 20)

static const char *const phase_names[PH_MAX] = { "cgroup", "spawn", "enter", "source", "ident", "mount", "lock", "hooks",
						 "pivot",  "mask",  "tty",   "drop",   "late",  "gate",  "exec" };
static const char *const who_names[] = { "host", "S", "I" };

/* ---- what is code and not steps ---- */

static void say_devices(const struct plan *p, struct buf *b)
{
	buf_add(b, "device rules:");
	for (size_t i = 0; i < p->devices.n; i++) {
		const struct cg_device_rule *d = &p->devices.v[i];
		buf_printf(b, "%s %s %c ", i ? "," : "", d->allow ? "allow" : "deny", d->type);
		buf_printf(b, d->major < 0 ? "*" : "%lld", (long long)d->major);
		buf_printf(b, d->minor < 0 ? ":* " : ":%lld ", (long long)d->minor);
		buf_printf(b, "%s%s%s", d->access & 1 ? "r" : "", d->access & 2 ? "w" : "", d->access & 4 ? "m" : "");
	}
}

static void say_rdt(const struct plan *p, struct buf *b)
{
	buf_printf(b, "resctrl group %s, %s", p->rdt.group[0] ? p->rdt.group : "/", p->rdt.must_exist ? "must exist" : p->rdt.named ? "made or compared" : "made");
	for (const char *s = p->rdt.schemata; *s; s += strcspn(s, "\n") + 1)
		buf_printf(b, ", %.*s", (int)strcspn(s, "\n"), s);
	if (p->rdt.mon_group)
		buf_printf(b, ", monitored in %s", p->rdt.mon_group);
}

static void say_spawn(const struct plan *p, struct buf *b)
{
	buf_add(b, "clone3 ");
	explain_namespaces(b, p->hdr.new_namespaces);
	if (p->birth_userns)
		buf_printf(b, ", as root of the user namespace %s", p->birth_userns);
	if (p->facts->systemd.used)
		buf_add(b, ", then moved into the unit");
	else if (p->cgroup_path && cg_layout_v2(&p->facts->cg) >= 0 && !p->facts->cg.h[cg_layout_v2(&p->facts->cg)].absent)
		buf_add(b, ", into cgroup");
}

/* The chain of a user namespace, as one line: who is born when, and what belongs to it. */
static void say_userns(const struct plan *p, struct buf *b)
{
	bool first = p->hdr.userns == USERNS_FIRST;

	buf_printf(b, "%s user%s%s", p->hdr.userns_slot >= 0 ? "child in joined" : "child in new", first ? "|pid" : "", p->hdr.userns_new ? "|" : "");
	explain_namespaces(b, p->hdr.userns_new);
	if (p->hdr.userns_slot >= 0)
		return;
	buf_add(b, ", uids ");
	explain_map(b, explain_str(p, p->hdr.uid_map));
	buf_add(b, "; gids ");
	explain_map(b, explain_str(p, p->hdr.gid_map));
}

static void say_copy(const struct plan *p, struct buf *b)
{
	buf_add(b, p->hdr.fin.flags & FIN_CHROOT ? "take the tree along, chroot" : "copy the mount namespace: mounts and their flags are locked");
}

static void say_root(const struct plan *p, struct buf *b)
{
	buf_printf(b, "mount namespace %s %s, %s", p->hdr.unshare_mount == UNSHARE_ROOT ? "of" : "around", p->rootfs, explain_prop_name(p->hdr.root_propagation));
}

static void say_hooks(struct buf *b, const char *list, const struct oci_hook *hooks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s[%zu] %s", b->len ? ", " : "", list, i, hooks[i].path);
}

static void say_hook_files(const struct plan *p, struct buf *b)
{
	if (p->honoured.hooks_stdout)
		buf_printf(b, ", stdout to %s", p->honoured.hooks_stdout);
	if (p->honoured.hooks_stderr)
		buf_printf(b, ", stderr to %s", p->honoured.hooks_stderr);
}

static void say_host_hooks(const struct plan *p, struct buf *b)
{
	say_hooks(b, "hooks.prestart", p->cfg->hooks->prestart, p->cfg->hooks->n_prestart);
	say_hooks(b, "hooks.createRuntime", p->cfg->hooks->create_runtime, p->cfg->hooks->n_create_runtime);
	say_hook_files(p, b);
}

static void say_container_hooks(const struct plan *p, struct buf *b)
{
	say_hooks(b, "hooks.createContainer", p->cfg->hooks->create_container, p->cfg->hooks->n_create_container);
	say_hook_files(p, b);
}

static void say_pivot(const struct plan *p, struct buf *b)
{
	(void)p;
	buf_add(b, "pivot_root, drop the old root");
}

static void say_leave(const struct plan *p, struct buf *b)
{
	buf_printf(b, "take the tree into the %s mount namespace, chroot", p->hdr.mntns_slot >= 0 ? "joined" : "inherited");
}

static void say_tty(const struct plan *p, struct buf *b)
{
	buf_printf(b, "terminal %u × %u, /dev/console", p->hdr.fin.console_width, p->hdr.fin.console_height);
}

static void say_ids(const struct plan *p, struct buf *b)
{
	const uint32_t *gids = (const void *)(p->mem + p->hdr.fin.gids.off);

	buf_printf(b, "cwd %s, uid %u, gid %u, groups", explain_path(p, p->hdr.fin.cwd), p->hdr.fin.uid, p->hdr.fin.gid);
	for (uint32_t i = 0; i < p->hdr.fin.gids.n; i++)
		buf_printf(b, "%s%u", i ? "," : " ", gids[i]);
	if (p->hdr.fin.flags & FIN_KEEP_GROUPS)
		buf_add(b, " of the caller");
	else if (!p->hdr.fin.gids.n)
		buf_add(b, " none");
	if (p->hdr.fin.flags & FIN_UMASK)
		buf_printf(b, ", umask %04o", p->hdr.fin.umask);
}

static void say_caps(const struct plan *p, struct buf *b)
{
	static const char *const sets[CAPSET_N] = { "effective", "bounding", "inheritable", "permitted", "ambient" };

	buf_add(b, "capabilities");
	for (unsigned i = 0; i < CAPSET_N; i++)
		buf_printf(b, " %s=%llx", sets[i], (unsigned long long)p->hdr.fin.caps[i]);
	if (p->hdr.fin.flags & FIN_NO_NEW_PRIVS)
		buf_add(b, ", no_new_privs");
}

static void say_rlimits(const struct plan *p, struct buf *b)
{
	const struct blob_rlimit *r = (const void *)(p->mem + p->hdr.fin.rlimits.off);

	buf_add(b, "rlimits");
	for (uint32_t i = 0; i < p->hdr.fin.rlimits.n; i++)
		buf_printf(b, " %u=%llu:%llu", r[i].resource, (unsigned long long)r[i].soft, (unsigned long long)r[i].hard);
}

/* "0-3,7" */
static void add_bits(const struct plan *p, struct buf *b, struct blist l)
{
	const uint64_t *v = (const void *)(p->mem + l.off);
	const char *sep = " ";

	for (uint32_t i = 0; i < l.n * 64; i++) {
		uint32_t last = i;
		if (!(v[i / 64] >> (i % 64) & 1))
			continue;
		while (last + 1 < l.n * 64 && (v[(last + 1) / 64] >> ((last + 1) % 64) & 1))
			last++;
		buf_printf(b, last > i ? "%s%u-%u" : "%s%u", sep, i, last);
		sep = ",";
		i = last;
	}
}

static void say_memory_policy(const struct plan *p, struct buf *b)
{
	static const struct { uint32_t bit; const char *name; } flags[] = {
		{ MPOL_F_STATIC_NODES, "static" }, { MPOL_F_RELATIVE_NODES, "relative" }, { MPOL_F_NUMA_BALANCING, "balancing" },
	};

	buf_printf(b, "memory policy %s", p->memory_policy_name);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (p->hdr.fin.memory_policy & flags[i].bit)
			buf_printf(b, " %s", flags[i].name);
	if (p->hdr.fin.nodes.n)
		add_bits(p, b, p->hdr.fin.nodes);
}

static void say_personality(const struct plan *p, struct buf *b)
{
	buf_printf(b, "personality 0x%x", p->hdr.fin.personality);
}

static void say_labels(const struct plan *p, struct buf *b)
{
	const char *profile = explain_str(p, p->hdr.fin.apparmor), *label = explain_str(p, p->hdr.fin.label);

	if (profile[0])
		buf_printf(b, "AppArmor: %s", profile);
	if (label[0])
		buf_printf(b, "%sSELinux: %s", profile[0] ? ", " : "", label);
}

static void say_sched(const struct plan *p, struct buf *b)
{
	const struct plan_sched *s = &p->sched;

	buf_printf(b, "scheduling policy %u", s->policy);
	if (s->nice)
		buf_printf(b, ", nice %d", s->nice);
	if (s->priority)
		buf_printf(b, ", priority %u", s->priority);
	if (s->runtime)
		buf_printf(b, ", %llu ns of every %llu, within %llu", (unsigned long long)s->runtime, (unsigned long long)s->period, (unsigned long long)s->deadline);
	if (s->flags)
		buf_printf(b, ", flags 0x%llx", (unsigned long long)s->flags);
}

static void say_io_priority(const struct plan *p, struct buf *b)
{
	buf_printf(b, "I/O priority class %u, %u", (unsigned)IOPRIO_PRIO_CLASS(p->io_priority), (unsigned)IOPRIO_PRIO_DATA(p->io_priority));
}

static void say_gate(const struct plan *p, struct buf *b)
{
	(void)p;
	buf_add(b, "wait for `hull start`");
}

static void say_filter(const struct plan *p, struct buf *b)
{
	buf_printf(b, "seccomp filter, %u instructions, flags 0x%x", p->hdr.fin.filter.n, p->hdr.fin.filter_flags);
	if (p->hdr.fin.flags & FIN_LISTENER)
		buf_printf(b, ", listener to %s", plan_seccomp_receiver(p->cfg, &p->honoured));
}

static void say_start_hooks(const struct plan *p, struct buf *b)
{
	say_hooks(b, "hooks.startContainer", p->cfg->hooks->start_container, p->cfg->hooks->n_start_container);
	say_hook_files(p, b);
}

static void say_exec(const struct plan *p, struct buf *b)
{
	const struct bstr *args = (const void *)(p->mem + p->hdr.fin.args.off);

	for (uint32_t i = 0; i < p->hdr.fin.args.n; i++)
		buf_printf(b, "%s%s", i ? " " : "", explain_str(p, args[i]));
}

static bool always(const struct plan *p) { return p->mem != NULL; }
static bool if_devices(const struct plan *p) { return p->cgroup_path && p->devices.v; }
static bool if_rdt(const struct plan *p) { return p->rdt.on; }
static bool if_host_hooks(const struct plan *p) { return p->host_hooks; }
static bool if_container_hooks(const struct plan *p) { return p->hdr.fin.create_container.n; }
static bool if_start_hooks(const struct plan *p) { return p->hdr.fin.start_container.n; }
static bool if_terminal(const struct plan *p) { return p->hdr.fin.flags & FIN_TERMINAL; }
static bool if_rlimits(const struct plan *p) { return p->hdr.fin.rlimits.n; }
static bool if_filter(const struct plan *p) { return p->hdr.fin.filter.n; }
static bool if_chroot(const struct plan *p) { return (p->hdr.fin.flags & FIN_CHROOT) && !p->hdr.userns; }
static bool if_userns(const struct plan *p) { return p->hdr.userns; }
static bool if_pivot(const struct plan *p) { return !p->hdr.userns || !(p->hdr.fin.flags & FIN_CHROOT); }
static bool if_memory_policy(const struct plan *p) { return p->hdr.fin.flags & FIN_MEMORY_POLICY; }
static bool if_personality(const struct plan *p) { return p->hdr.fin.flags & FIN_PERSONALITY; }
static bool if_labels(const struct plan *p) { return p->hdr.fin.apparmor.off || p->hdr.fin.label.off; }
static bool if_sched(const struct plan *p) { return p->sched.set; }
static bool if_io_priority(const struct plan *p) { return p->io_priority >= 0; }
static bool if_gate(const struct plan *p) { return p->hdr.fin.flags & FIN_GATE; }

/* In the order in which they happen; each stands at the begin (before the steps) or at the end of its phase. */
static const struct fixed {
	uint8_t phase, who;
	bool before;
	const char *origin;
	bool (*when)(const struct plan *p);
	void (*say)(const struct plan *p, struct buf *b);
} fixed[] = {
	{ PH_CGROUP, WHO_HOST, false, "linux.resources.devices", if_devices, say_devices },
	{ PH_CGROUP, WHO_HOST, false, "linux.intelRdt", if_rdt, say_rdt },
	{ PH_SPAWN, WHO_HOST, true, "linux.namespaces", always, say_spawn },
	{ PH_SOURCE, WHO_S, false, "linux.namespaces", if_userns, say_userns },
	{ PH_MOUNT, WHO_S, true, "root.path", always, say_root },
	{ PH_HOOKS, WHO_I, true, "linux.namespaces", if_userns, say_copy },
	{ PH_HOOKS, WHO_HOST, true, "hooks", if_host_hooks, say_host_hooks },
	{ PH_HOOKS, WHO_S, true, "hooks.createContainer", if_container_hooks, say_container_hooks },
	{ PH_PIVOT, WHO_S, true, "root.path", if_pivot, say_pivot },
	{ PH_TTY, WHO_S, true, "process.terminal", if_terminal, say_tty },
	{ PH_DROP, WHO_S, true, "linux.namespaces", if_chroot, say_leave },
	{ PH_DROP, WHO_S, true, "process", if_labels, say_labels },
	{ PH_DROP, WHO_S, true, "linux.memoryPolicy", if_memory_policy, say_memory_policy },
	{ PH_DROP, WHO_S, true, "linux.personality", if_personality, say_personality },
	{ PH_DROP, WHO_S, true, "process.user", always, say_ids },
	{ PH_DROP, WHO_S, true, "process.capabilities", always, say_caps },
	{ PH_DROP, WHO_S, true, "process.rlimits", if_rlimits, say_rlimits },
	{ PH_LATE, WHO_HOST, true, "process.scheduler", if_sched, say_sched },
	{ PH_LATE, WHO_HOST, true, "process.ioPriority", if_io_priority, say_io_priority },
	{ PH_GATE, WHO_I, true, "", if_gate, say_gate },
	{ PH_EXEC, WHO_I, true, "linux.seccomp", if_filter, say_filter },
	{ PH_EXEC, WHO_I, true, "hooks.startContainer", if_start_hooks, say_start_hooks },
	{ PH_EXEC, WHO_I, true, "process.args", always, say_exec },
};

/* ---- output ---- */

struct line { unsigned n; uint8_t phase, who; const char *origin; char text[4096]; };

static const char *who_name(const struct plan *p, uint8_t who)
{
	bool one_process = !(p->hdr.fin.flags & FIN_JOIN_PID) && !p->hdr.userns;

	return who != WHO_HOST && one_process ? "init" : who_names[who];
}

static void print_line(const struct plan *p, struct buf *b, bool json, const struct line *l)
{
	char text[sizeof(l->text) * 2];

	err_escape(l->text, text, sizeof(text));
	if (!json) {
		buf_printf(b, "%4u  %-6s  %-4s  %-60s  %s\n", l->n, phase_names[l->phase], who_name(p, l->who), text, l->origin);
		return;
	}
	buf_printf(b, "%s\n  {\"n\": %u, \"phase\": \"%s\", \"who\": \"%s\", \"step\": ", l->n > 1 ? "," : "", l->n, phase_names[l->phase], who_name(p, l->who));
	buf_add_json(b, text);
	buf_add(b, ", \"from\": ");
	buf_add_json(b, l->origin);
	buf_add(b, "}");
}

static void print_fixed(const struct plan *p, struct buf *b, bool json, unsigned phase, bool before, struct line *l)
{
	struct buf text;

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const struct fixed *f = &fixed[i];
		if (f->phase != phase || f->before != before || !f->when(p))
			continue;
		buf_init(&text, l->text, sizeof(l->text));
		f->say(p, &text);
		l->n++;
		l->phase = f->phase;
		/* Where S and I are two from the birth on, whatever comes after the tree is I's. */
		l->who = p->hdr.userns && f->who == WHO_S && f->phase >= PH_HOOKS ? WHO_I : f->who;
		l->origin = f->origin;
		print_line(p, b, json, l);
	}
}

const char *plan_explain(const struct plan *p, bool json, struct err *e)
{
	struct line l = { 0 };
	struct buf out, text;
	char *storage = oci_arena_alloc(p->arena, TEXT_MAX);

	if (!storage) {
		err_sys(e, -ENOMEM, "print the plan");
		return NULL;
	}
	buf_init(&out, storage, TEXT_MAX);
	if (json)
		buf_add(&out, "[");
	else
		buf_printf(&out, "%4s  %-6s  %-4s  %-60s  %s\n", "#", "phase", "who", "step", "from");
	for (unsigned phase = 0; phase < PH_MAX; phase++) {
		print_fixed(p, &out, json, phase, true, &l);
		for (unsigned i = p->hdr.first[phase]; i < p->hdr.first[phase + 1]; i++) {
			const struct step *s = &p->steps[i];
			buf_init(&text, l.text, sizeof(l.text));
			explain_step(p, &text, s);
			l.n++;
			l.phase = s->phase;
			l.who = s->who;
			l.origin = explain_str(p, s->origin);
			print_line(p, &out, json, &l);
		}
		print_fixed(p, &out, json, phase, false, &l);
	}
	buf_add(&out, json ? "\n]\n" : "");
	if (out.overflow) {
		err_set(e, ERR_SYS, EFBIG, "print the plan");
		return NULL;
	}
	return storage;
}
