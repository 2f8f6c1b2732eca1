/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/exec.h"

#include <errno.h>

#include "base/num.h"
#include "lib/bundle.h"

static int no_memory(struct err *e)
{
	return err_sys(e, -ENOMEM, "exec");
}

/* `old` and then `more`, in the arena. */
static int append(struct oci_strv *v, const char *const *more, size_t n, struct oci_arena *a, struct err *e)
{
	const char **all = oci_arena_alloc(a, (v->n + n + 1) * sizeof(*all));

	if (!all)
		return no_memory(e);
	if (v->n)
		memcpy(all, v->v, v->n * sizeof(*all));
	if (n)
		memcpy(all + v->n, more, n * sizeof(*all));
	*v = (struct oci_strv){ all, v->n + n, true };
	return 0;
}

static int parse_id(const char *s, const char *option, uint32_t *ret, struct err *e)
{
	uint64_t v;

	/* (uid_t)-1 is no id: the kernel reads it as "unchanged". */
	if (num_parse_u64(s, UINT32_MAX - 1, &v) < 0)
		return err_set(e, ERR_USAGE, 0, "%s \"%s\" — must be a number from 0 to %u", option, s, UINT32_MAX - 1);
	*ret = (uint32_t)v;
	return 0;
}

/* UID[:GID] */
static int set_user(struct oci_process *p, const char *text, struct oci_arena *a, struct err *e)
{
	const char *colon = strchr(text, ':');
	char *uid = oci_arena_strndup(a, text, colon ? (size_t)(colon - text) : strlen(text));
	struct oci_user *u = oci_arena_alloc(a, sizeof(*u));

	if (!uid || !u)
		return no_memory(e);
	if (p->user)
		*u = *p->user;
	p->user = u;
	u->uid.set = u->gid.set = true;
	int r = parse_id(uid, "--user", &u->uid.v, e);
	return r == 0 && colon ? parse_id(colon + 1, "--user", &u->gid.v, e) : r;
}

static int add_gids(struct oci_process *p, const struct hull_exec_opts *o, struct oci_arena *a, struct err *e)
{
	struct oci_user *u = oci_arena_alloc(a, sizeof(*u));

	if (!u)
		return no_memory(e);
	if (p->user)
		*u = *p->user;
	p->user = u;
	size_t n = u->additional_gids.n;
	uint32_t *gids = oci_arena_alloc(a, (n + o->n_additional_gids) * sizeof(*gids));
	if (!gids)
		return no_memory(e);
	if (n)
		memcpy(gids, u->additional_gids.v, n * sizeof(*gids));
	for (size_t i = 0; i < o->n_additional_gids; i++) {
		int r = parse_id(o->additional_gids[i], "--additional-gids", &gids[n + i], e);
		if (r < 0)
			return r;
	}
	u->additional_gids = (struct oci_u32v){ gids, n + o->n_additional_gids, true };
	return 0;
}

/* Bounding, effective and permitted, never inheritable or ambient (CVE-2022-29162). */
static int add_caps(struct oci_process *p, const struct hull_exec_opts *o, struct oci_arena *a, struct err *e)
{
	struct oci_capabilities *c = oci_arena_alloc(a, sizeof(*c));
	int r;

	if (!c)
		return no_memory(e);
	if (p->capabilities)
		*c = *p->capabilities;
	p->capabilities = c;
	r = append(&c->bounding, o->caps, o->n_caps, a, e);
	if (r == 0)
		r = append(&c->effective, o->caps, o->n_caps, a, e);
	return r < 0 ? r : append(&c->permitted, o->caps, o->n_caps, a, e);
}

static int check_env(const struct hull_exec_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->n_env; i++) {
		const char *eq = strchr(o->env[i], '=');
		if (!eq || eq == o->env[i])
			return err_set(e, ERR_USAGE, 0, "--env \"%s\" — must be NAME=VALUE", o->env[i]);
	}
	return 0;
}

static int apply_options(struct oci_process *p, const struct hull_exec_opts *o, struct oci_arena *a, struct err *e)
{
	int r = check_env(o, e);

	if (r == 0 && o->n_env)
		r = append(&p->env, o->env, o->n_env, a, e);
	if (r == 0 && o->user)
		r = set_user(p, o->user, a, e);
	if (r == 0 && o->n_additional_gids)
		r = add_gids(p, o, a, e);
	if (r == 0 && o->n_caps)
		r = add_caps(p, o, a, e);
	if (r == 0 && o->cwd && o->cwd[0] != '/')
		r = err_set(e, ERR_USAGE, 0, "--cwd \"%s\" — must be an absolute path", o->cwd);
	if (r < 0)
		return r;
	if (o->cwd)
		p->cwd = o->cwd;
	if (o->no_new_privs)
		p->no_new_privileges = (struct opt_bool){ true, true };
	if (o->apparmor)
		p->apparmor_profile = o->apparmor;
	if (o->process_label)
		p->selinux_label = o->process_label;
	return 0;
}

static int from_file(const struct oci_config *cfg, const struct hull_exec_opts *o, struct oci_arena *a, struct oci_process **ret, struct err *e)
{
	struct oci_process *p = document_read(&oci_process_desc, o->process_file, o->process_file, a, e);

	if (!p)
		return e->code ? -e->code : -EINVAL;
	if (cfg->process && !p->capabilities)
		p->capabilities = cfg->process->capabilities;
	if (cfg->process && !p->n_rlimits) {
		p->rlimits = cfg->process->rlimits;
		p->n_rlimits = cfg->process->n_rlimits;
	}
	if (cfg->process && !p->no_new_privileges.set)
		p->no_new_privileges = cfg->process->no_new_privileges;
	*ret = p;
	return 0;
}

static int from_container(const struct oci_config *cfg, const struct hull_exec_opts *o, struct oci_arena *a, struct oci_process **ret, struct err *e)
{
	struct oci_process *p = oci_arena_alloc(a, sizeof(*p));

	if (!p)
		return no_memory(e);
	if (!o->n_args)
		return err_set(e, ERR_USAGE, 0, "exec needs a program to run");
	if (cfg->process)
		*p = *cfg->process;
	else
		p->cwd = "/";
	p->args = (struct oci_strv){ 0 };
	p->terminal = (struct opt_bool){ true, o->tty };
	p->exec_cpu_affinity = cfg->process ? cfg->process->exec_cpu_affinity : NULL;
	*ret = p;
	return append(&p->args, o->args, o->n_args, a, e);
}

int exec_process(const struct oci_config *cfg, const struct hull_exec_opts *o, struct oci_arena *a, struct oci_process **ret, struct err *e)
{
	int r = o->process_file ? from_file(cfg, o, a, ret, e) : from_container(cfg, o, a, ret, e);

	if (r == 0)
		r = apply_options(*ret, o, a, e);
	if (r == 0 && o->tty)
		(*ret)->terminal = (struct opt_bool){ true, true };
	return r;
}
