/* SPDX-License-Identifier: Apache-2.0 */
/* exec --cgroup [CONTROLLER[,CONTROLLER]…:]PATH: which cgroup the process enters, in each hierarchy. They must be there: exec makes none. */
#include "lib/exec.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"

struct choice {
	struct cgroup *cg;
	const char *id, *option; /* as it was given */
	const char *sub;         /* below the container's cgroup */
	bool taken[CG_HIER_MAX];
	struct oci_arena *arena;
};

static int check_sub(struct choice *c, struct err *e)
{
	if (strstr(c->sub, "..") || strchr(c->sub, ':'))
		return err_set(e, ERR_USAGE, 0, "--cgroup \"%s\" — must be a path below the container's cgroup, without \"..\"", c->option);
	while (*c->sub == '/')
		c->sub++;
	return 0;
}

/* In hierarchy `i` the process goes there instead. */
static int choose(struct choice *c, unsigned i, struct err *e)
{
	const struct cg_hier *h = &c->cg->lay->h[i];

	c->taken[i] = true;
	if (c->cg->dfd[i] < 0 || !*c->sub)
		return 0;
	int fd = openat(c->cg->dfd[i], c->sub, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(e, ERR_STATE, errno, "cgroup %s/%s of container \"%s\" in hierarchy \"%s\"", c->cg->path, c->sub, c->id, h->dir);
	fd_close(&c->cg->dfd[i]);
	c->cg->dfd[i] = fd;
	return 0;
}

static int choose_by_controller(struct choice *c, const char *name, struct err *e)
{
	int i = *name ? cg_layout_find(c->cg->lay, name) : -1;

	if (i < 0)
		return err_set(e, ERR_USAGE, 0, "--cgroup \"%s\" — \"%s\" is no controller of this host", c->option, name);
	if (c->cg->lay->h[i].v2)
		return err_set(e, ERR_USAGE, 0, "--cgroup \"%s\" — on cgroup v2 all controllers have one cgroup: a path without \"%s:\"", c->option, name);
	if (c->cg->dfd[i] < 0)
		return err_set(e, ERR_STATE, ENOENT, "--cgroup \"%s\" — container \"%s\" has no cgroup of controller %s", c->option, c->id, name);
	if (c->taken[i])
		return err_set(e, ERR_USAGE, 0, "--cgroup \"%s\" — the cgroup of controller %s has been named before", c->option, name);
	return choose(c, (unsigned)i, e);
}

static int choose_by_list(struct choice *c, const char *colon, struct err *e)
{
	char *names = oci_arena_strndup(c->arena, c->option, (size_t)(colon - c->option)), *next = names;
	int r = names ? 0 : err_sys(e, -ENOMEM, "--cgroup");

	while (r == 0 && next) {
		const char *name = strsep(&next, ",");
		r = choose_by_controller(c, name, e);
	}
	return r;
}

int exec_choose_cgroup(struct cgroup *cg, const struct hull_exec_opts *o, const char *id, struct oci_arena *a, struct err *e)
{
	struct choice c = { .cg = cg, .id = id, .arena = a };
	int r = 0;

	for (size_t i = 0; i < o->n_cgroups && r == 0; i++) {
		const char *colon = strchr(o->cgroups[i], ':');
		c.option = o->cgroups[i];
		c.sub = colon ? colon + 1 : c.option;
		if (!colon && o->n_cgroups > 1)
			return err_set(e, ERR_USAGE, 0, "--cgroup \"%s\" — more than one need their controllers: CONTROLLER:PATH", c.option);
		r = check_sub(&c, e);
		for (unsigned h = 0; h < cg->lay->n && r == 0 && !colon; h++)
			r = choose(&c, h, e);
		if (r == 0 && colon)
			r = choose_by_list(&c, colon, e);
	}
	return r;
}
