/* SPDX-License-Identifier: Apache-2.0 */
/* The process part: what the finale sets and what it executes. */
#include <ctype.h>
#include <errno.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "plan/plan.h"

static const struct { const char *name; uint32_t resource; } rlimit_names[] = {
	{ "RLIMIT_AS", RLIMIT_AS },	      { "RLIMIT_CORE", RLIMIT_CORE },	      { "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },	      { "RLIMIT_FSIZE", RLIMIT_FSIZE },	      { "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK }, { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE }, { "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },   { "RLIMIT_NPROC", RLIMIT_NPROC },	      { "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },   { "RLIMIT_RTTIME", RLIMIT_RTTIME },     { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

int plan_rlimit(const char *name)
{
	for (size_t k = 0; k < ARRAY_LEN(rlimit_names); k++)
		if (streq(rlimit_names[k].name, name))
			return (int)rlimit_names[k].resource;
	return -1;
}

static int add_rlimits(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	struct blob_rlimit limits[ARRAY_LEN(rlimit_names)];
	size_t n = 0;

	for (size_t i = 0; i < proc->n_rlimits; i++) {
		const struct oci_rlimit *r = &proc->rlimits[i];
		int resource = plan_rlimit(r->type);
		if (resource < 0 || n == ARRAY_LEN(limits))
			return err_config(e, plan_text(p, "%s.rlimits[%zu].type", where, i), "\"%s\" — not a resource limit of this kernel", r->type);
		if (r->soft.v > r->hard.v)
			return err_config(e, plan_text(p, "%s.rlimits[%zu].soft", where, i), "%llu — must not be above hard, %llu", (unsigned long long)r->soft.v,
					  (unsigned long long)r->hard.v);
		limits[n++] = (struct blob_rlimit){ .resource = (uint32_t)resource, .soft = r->soft.v, .hard = r->hard.v };
	}
	p->hdr.fin.rlimits = plan_list(p, limits, n, sizeof(limits[0]));
	return 0;
}

/* The five sets in the order in which one limits the next. */
static const struct cap_row { enum cap_set set; const char *name; size_t offset; } cap_rows[CAPSET_N] = {
	{ CAPSET_BOUNDING, "bounding", offsetof(struct oci_capabilities, bounding) },
	{ CAPSET_PERMITTED, "permitted", offsetof(struct oci_capabilities, permitted) },
	{ CAPSET_EFFECTIVE, "effective", offsetof(struct oci_capabilities, effective) },
	{ CAPSET_INHERITABLE, "inheritable", offsetof(struct oci_capabilities, inheritable) },
	{ CAPSET_AMBIENT, "ambient", offsetof(struct oci_capabilities, ambient) },
};

static const struct oci_strv *cap_words(const struct oci_capabilities *c, size_t row)
{
	return (const struct oci_strv *)(const void *)((const char *)c + cap_rows[row].offset);
}

static bool named_before(const struct oci_capabilities *c, size_t row, size_t index, const char *word)
{
	for (size_t r = 0; r <= row; r++) {
		const struct oci_strv *v = cap_words(c, r);
		for (size_t i = 0; i < (r == row ? index : v->n); i++)
			if (streq(v->v[i], word))
				return true;
	}
	return false;
}

/* The specification: a capability that can't be mapped or granted is a warning (one, however many sets name it) and never granted; the others are exact. */
static uint64_t capability_mask(struct plan *p, const struct oci_capabilities *c, size_t row, const char *where)
{
	const struct oci_strv *v = cap_words(c, row);
	uint64_t mask = 0;

	for (size_t i = 0; i < v->n; i++) {
		cap_value_t cap;
		if (cap_from_name(v->v[i], &cap) == 0 && cap >= 0 && (uint32_t)cap <= p->facts->last_cap)
			mask |= 1ull << cap;
		else if (!named_before(c, row, i, v->v[i]))
			log_warn("%s.capabilities.%s[%zu]: \"%s\" is not a capability of this kernel: not granted", where, cap_rows[row].name, i, v->v[i]);
	}
	return mask;
}

static void warn_lost(const uint64_t *asked, const uint64_t *got, const char *where)
{
	for (unsigned c = 0; c < 64; c++) {
		char storage[128];
		struct buf sets;

		buf_init(&sets, storage, sizeof(storage));
		for (size_t r = 0; r < CAPSET_N; r++)
			if ((asked[cap_rows[r].set] & ~got[cap_rows[r].set]) & (1ull << c))
				buf_printf(&sets, "%s%s", sets.len ? ", " : "", cap_rows[r].name);
		char *name = sets.len ? cap_to_name((cap_value_t)c) : NULL;
		if (name) {
			for (char *n = name; *n; n++)
				*n = (char)toupper((unsigned char)*n);
			log_warn("%s.capabilities: \"%s\" can't be granted (%s): the caller does not have it, or the set that limits this one does not", where, name,
				 sets.s);
			cap_free(name);
		}
	}
}

static void add_capabilities(struct plan *p, const struct oci_process *proc, const char *where)
{
	static const struct oci_capabilities none;
	const struct oci_capabilities *c = proc->capabilities ? proc->capabilities : &none;
	/* The first process of a user namespace has all there are, over what belongs to it. */
	uint64_t asked[CAPSET_N], *got = p->hdr.fin.caps, all = plan_has_userns(p) ? ~0ull >> (63 - p->facts->last_cap) : p->facts->caps;

	for (size_t r = 0; r < CAPSET_N; r++)
		asked[cap_rows[r].set] = capability_mask(p, c, r, where);
	got[CAPSET_BOUNDING] = asked[CAPSET_BOUNDING] & all;
	got[CAPSET_PERMITTED] = asked[CAPSET_PERMITTED] & all;
	got[CAPSET_EFFECTIVE] = asked[CAPSET_EFFECTIVE] & got[CAPSET_PERMITTED];
	got[CAPSET_INHERITABLE] = asked[CAPSET_INHERITABLE] & all;
	got[CAPSET_AMBIENT] = asked[CAPSET_AMBIENT] & got[CAPSET_PERMITTED] & got[CAPSET_INHERITABLE];
	warn_lost(asked, got, where);
}

/* The value that env has for `key`, NULL: none. The last entry of a name wins, as with both peers. */
static const char *env_value(const struct oci_strv *env, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = env->n; i-- > 0;)
		if (str_starts(env->v[i], key) && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return NULL;
}

bool plan_wants_notify(const struct oci_config *cfg)
{
	return cfg->process && !env_value(&cfg->process->env, "NOTIFY_SOCKET");
}

/* Passed sockets are of no use to a program that isn't told of them (sd_listen_fds(3), sd_notify(3)). Its pid is 1 in a pid
 * namespace of its own; without one both peers say so too. */
static struct oci_strv with_sockets(struct plan *p, const struct oci_strv *env)
{
	bool notify = p->slots.notify >= 0;
	const char **v = p->listen_fds || notify ? oci_arena_alloc(p->arena, (env->n + 4) * sizeof(*v)) : NULL;
	size_t n = env->n;

	if (!v)
		return *env;
	if (env->n)
		memcpy(v, env->v, env->n * sizeof(*v));
	if (notify)
		v[n++] = "NOTIFY_SOCKET=" PLAN_NOTIFY_SOCKET;
	if (p->listen_fds) {
		v[n++] = plan_text(p, "LISTEN_FDS=%u", p->listen_fds);
		v[n++] = "LISTEN_PID=1";
	}
	if (p->listen_fds && p->listen_names)
		v[n++] = plan_text(p, "LISTEN_FDNAMES=%s", p->listen_names);
	return (struct oci_strv){ v, n, true };
}

/* Without doubles (the last one wins), without an empty HOME, which is looked up instead. */
static struct blist unique_env(struct plan *p, const struct oci_strv *env, bool drop_home)
{
	const char **v = oci_arena_alloc(p->arena, (env->n + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; v && i < env->n; i++) {
		size_t key = strcspn(env->v[i], "=") + 1, k = i + 1;
		while (k < env->n && strncmp(env->v[k], env->v[i], key) != 0)
			k++;
		if (k == env->n && !(drop_home && str_starts(env->v[i], "HOME=")))
			v[n++] = env->v[i];
	}
	return plan_strv(p, v, n);
}

/* An id that the user namespace doesn't map can't be had in it. Of a joined one without mappings in the configuration only the kernel knows. */
static int check_mapped(struct plan *p, bool gid, uint32_t id, const char *where, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	uint32_t outer;

	if ((!plan_has_userns(p) && !p->facts->joins_userns) || (gid ? l->n_gid_mappings : l->n_uid_mappings) == 0)
		return 0;
	if (plan_map_id(gid ? l->gid_mappings : l->uid_mappings, gid ? l->n_gid_mappings : l->n_uid_mappings, id, &outer)) {
		if (!gid)
			p->hdr.outer_uid = outer;
		return 0;
	}
	return err_config(e, where, "%u — %s maps no such id", id, gid ? "linux.gidMappings" : "linux.uidMappings");
}

static int check_ids_mapped(struct plan *p, const struct oci_user *u, const char *where, struct err *e)
{
	int r = check_mapped(p, false, u->uid.v, plan_text(p, "%s.user.uid", where), e);

	if (r == 0)
		r = check_mapped(p, true, u->gid.v, plan_text(p, "%s.user.gid", where), e);
	for (size_t i = 0; i < u->additional_gids.n && r == 0; i++)
		r = check_mapped(p, true, u->additional_gids.v[i], plan_text(p, "%s.user.additionalGids[%zu]", where, i), e);
	return r;
}

/* podman's --group-add keep-groups: the right to a file of the host through a group that no user namespace maps. */
static void keep_groups(struct plan *p, const struct oci_user *u, const char *where)
{
	p->hdr.fin.flags |= FIN_KEEP_GROUPS;
	if (u->additional_gids.n)
		log_warn("%s.user.additionalGids: not set: the caller's groups are kept (run.oci.keep_original_groups)", where);
}

/* Where only one group is mapped, and nobody with rights has mapped it, the kernel forbids setgroups(2): it could take away what keeps a user out
 * (user_namespaces(7), /proc/PID/setgroups). The caller's groups then stay, as they do with the peers. */
static int keep_forbidden(struct plan *p, const struct oci_user *u, const char *where, struct err *e)
{
	if (u->additional_gids.n)
		return err_config(e, plan_text(p, "%s.user.additionalGids", where),
				  "must be empty: the user namespace forbids setgroups (one that maps groups of /etc/subgid doesn't)");
	p->hdr.fin.flags |= FIN_KEEP_GROUPS;
	return 0;
}

static int add_ids(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	static const struct oci_user root;
	const struct oci_user *u = proc->user ? proc->user : &root;
	struct blob_finale *f = &p->hdr.fin;
	int r = 0;

	if (u->uid.v == UINT32_MAX || u->gid.v == UINT32_MAX)
		return err_config(e, plan_text(p, "%s.user.%s", where, u->uid.v == UINT32_MAX ? "uid" : "gid"), "%u — is no id (the kernel reads it as \"unchanged\")",
				  UINT32_MAX);
	if (u->umask.set && u->umask.v > 0777)
		return err_config(e, plan_text(p, "%s.user.umask", where), "%u — must be from 0 to 511 (octal 0777)", u->umask.v);
	for (size_t i = 0; i < u->additional_gids.n; i++)
		if (u->additional_gids.v[i] == UINT32_MAX)
			return err_config(e, plan_text(p, "%s.user.additionalGids[%zu]", where, i), "%u — is no id", UINT32_MAX);
	f->uid = u->uid.v;
	f->gid = u->gid.v;
	if (p->honoured.keep_groups)
		keep_groups(p, u, where);
	else if (p->facts->no_setgroups || p->outer.own_gid)
		r = keep_forbidden(p, u, where, e);
	else
		f->gids = plan_list(p, u->additional_gids.v, u->additional_gids.n, sizeof(uint32_t));
	if (u->umask.set) {
		f->umask = u->umask.v;
		f->flags |= FIN_UMASK;
	}
	return r < 0 ? r : check_ids_mapped(p, u, where, e);
}

static int add_terminal(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	struct blob_finale *f = &p->hdr.fin;

	if (!proc->terminal.v)
		return 0;
	f->flags |= FIN_TERMINAL;
	if (!proc->console_size)
		return 0;
	if (proc->console_size->width.v > UINT16_MAX || proc->console_size->height.v > UINT16_MAX)
		return err_config(e, plan_text(p, "%s.consoleSize", where), "%llu × %llu — each must be at most 65535",
				  (unsigned long long)proc->console_size->width.v, (unsigned long long)proc->console_size->height.v);
	f->console_width = (uint16_t)proc->console_size->width.v;
	f->console_height = (uint16_t)proc->console_size->height.v;
	return 0;
}

int plan_add_process(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	struct blob_finale *f = &p->hdr.fin;
	int r;

	if (proc->args.n == 0 || !proc->args.v[0][0])
		return err_config(e, plan_text(p, "%s.args", where), "at least one entry is needed: the program");
	f->args_origin = plan_strf(p, "%s.args[0]", where);
	f->args = plan_strv(p, proc->args.v, proc->args.n);
	const char *home = env_value(&proc->env, "HOME");
	bool find_home = !home || !home[0];
	if (find_home)
		f->flags |= FIN_HOME;
	struct oci_strv env = with_sockets(p, &proc->env);
	f->env = unique_env(p, &env, find_home);
	f->cwd = plan_path(p, proc->cwd);
	if (proc->no_new_privileges.v)
		f->flags |= FIN_NO_NEW_PRIVS;
	if (proc->oom_score_adj.set) {
		if (proc->oom_score_adj.v < -1000 || proc->oom_score_adj.v > 1000)
			return err_config(e, plan_text(p, "%s.oomScoreAdj", where), "%d — must be from -1000 to 1000", proc->oom_score_adj.v);
		f->oom_score_adj = proc->oom_score_adj.v;
		f->flags |= FIN_OOM;
	}
	add_capabilities(p, proc, where);
	r = add_ids(p, proc, where, e);
	if (r == 0)
		r = add_rlimits(p, proc, where, e);
	if (r == 0)
		r = add_terminal(p, proc, where, e);
	if (r == 0)
		r = plan_add_sched(p, proc, where, e);
	return r == 0 ? plan_add_labels(p, proc, where, e) : r;
}

/* From the cache, or compiled for it. */
static int get_filter(struct plan *p, const struct oci_seccomp *s, struct seccomp_filter *ret, struct err *e)
{
	bool keep = p->cache && seccomp_cache_wants(s);
	int r = 0;

	if (keep && seccomp_cache_find(p->cache, s, p->arena, ret))
		return 0;
	r = seccomp_compile(s, p->arena, ret, e);
	if (r == 0 && keep)
		p->fresh_filter = *ret;
	return r;
}

/* Without SCMP_ACT_NOTIFY the path is ignored (config-linux.md, Seccomp). */
static int check_listener(const struct plan *p, const struct oci_seccomp *s, struct err *e)
{
	const char *receiver = p->honoured.seccomp_receiver;

	if (!s->listener_path || !s->listener_path[0]) {
		if (receiver)
			return 0;
		return err_config(e, "linux.seccomp.listenerPath", "is needed for SCMP_ACT_NOTIFY: without it nobody would answer");
	}
	if (s->listener_path[0] != '/')
		return err_config(e, "linux.seccomp.listenerPath", "\"%s\" — must be an absolute path", s->listener_path);
	if (receiver && !streq(receiver, s->listener_path))
		return err_config(e, "linux.seccomp.listenerPath", "\"%s\" — and annotation run.oci.seccomp.receiver \"%s\": there is one listener", s->listener_path,
				  receiver);
	return 0;
}

/* What S does between the load and the moment at which the agent has the listener. */
static const struct { int nr; const char *name; } s_calls[] = {
	{ SYS_sendmsg, "sendmsg" }, { SYS_close, "close" }, { SYS_clone, "clone" }, { SYS_capget, "capget" }, { SYS_capset, "capset" }, { SYS_prctl, "prctl" },
	{ SYS_getresuid, "getresuid" }, { SYS_getresgid, "getresgid" }, { SYS_getgroups, "getgroups" },
};

/* Into a joined pid namespace whose members may ptrace, nothing is born that still holds CAP_SYS_ADMIN: the filter is loaded before the last clone
 * (attacks-tried C1). That needs clone and what follows it to pass the filter. */
static int load_in_s(struct plan *p, const struct seccomp_filter *filter, struct err *e)
{
	p->hdr.fin.flags |= FIN_FILTER_IN_S;
	if (!filter->notify)
		return 0;
	if (!(p->hdr.fin.flags & FIN_EXEC))
		return err_config(e, "linux.seccomp", "SCMP_ACT_NOTIFY in a joined pid namespace needs process.noNewPrivileges or a bounding set without CAP_SYS_PTRACE");
	for (size_t i = 0; i < ARRAY_LEN(s_calls); i++)
		if (!seccomp_allows(filter, s_calls[i].nr))
			return err_config(e, "linux.seccomp", "SCMP_ACT_NOTIFY — this exec needs process.noNewPrivileges, or a profile that allows %s, because the container may ptrace",
					  s_calls[i].name);
	return 0;
}

int plan_add_filter(struct plan *p, bool traced, struct err *e)
{
	struct seccomp_filter filter;
	int r;

	if (!p->cfg->linux_ || !p->cfg->linux_->seccomp)
		return 0;
	r = get_filter(p, p->cfg->linux_->seccomp, &filter, e);
	if (r < 0)
		return r;
	if (filter.notify && (r = check_listener(p, p->cfg->linux_->seccomp, e)) < 0)
		return r;
	if (filter.notify)
		p->hdr.fin.flags |= FIN_LISTENER;
	p->hdr.fin.filter = plan_list(p, filter.insns, filter.n, sizeof(filter.insns[0]));
	p->hdr.fin.filter_flags = filter.flags;
	bool joins = p->hdr.fin.flags & FIN_JOIN_PID, nnp = p->hdr.fin.flags & FIN_NO_NEW_PRIVS;
	traced |= (p->hdr.fin.caps[CAPSET_BOUNDING] & (1ull << CAP_SYS_PTRACE)) != 0;
	return joins && !nnp && traced ? load_in_s(p, &filter, e) : 0;
}
