/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "lib/bundle.h"
#include "lib/container.h"
#include "lib/labels.h"
#include "run/rdt.h"
#include "sys/ns.h"

int preserved_fds(const struct hull *h, unsigned n, struct oci_arena *a, const int **ret, struct err *e)
{
	if (n > 65536)
		return err_set(e, ERR_USAGE, 0, "--preserve-fds %u — at most 65536", n);
	int *fds = oci_arena_alloc(a, (n + 1) * sizeof(*fds));

	if (!fds)
		return err_sys(e, -ENOMEM, "--preserve-fds %u", n);
	for (unsigned i = 0; i < n; i++) {
		size_t k = 0;
		fds[i] = 3 + (int)i;
		while (k < h->n_inherited && h->inherited[k] != fds[i])
			k++;
		if (k == h->n_inherited)
			return err_set(e, ERR_USAGE, EBADF, "--preserve-fds %u: fd %d is not open", n, fds[i]);
	}
	*ret = fds;
	return 0;
}

int creation_check_options(const struct hull *h, const struct hull_create_opts *o, struct err *e)
{
	if (o->no_pivot)
		return err_set(e, ERR_UNSUPPORTED, 0, "--no-pivot is not supported: without pivot_root the host's mounts stay reachable below the container's root");
	return h->systemd_cgroup ? cg_systemd_supported(e) : 0;
}

/* When is a terminal handed to whom? */
static int check_terminal(const struct creation *c, const struct hull_create_opts *o, struct err *e)
{
	bool terminal = c->cfg->process && c->cfg->process->terminal.v, foreground = c->immediate && !o->detach;

	if (terminal && foreground && o->console_socket)
		return err_set(e, ERR_USAGE, 0, "--console-socket %s: the terminal of a container in the foreground stays here", o->console_socket);
	if (terminal && !foreground && !o->console_socket)
		return err_config(e, "process.terminal", "true — needs --console-socket to hand the terminal to");
	if (!terminal && o->console_socket)
		return err_set(e, ERR_USAGE, 0, "--console-socket %s: process.terminal is not true, there is no terminal to send", o->console_socket);
	return 0;
}

static int make_token(uint8_t *raw, char *hex, struct err *e)
{
	if (getrandom(raw, STATE_TOKEN_LEN, 0) != STATE_TOKEN_LEN)
		return err_sys(e, -errno, "getrandom");
	for (size_t i = 0; i < STATE_TOKEN_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", raw[i]);
	return 0;
}

#define UNDO_MAX 5 /* cgroup, resctrl group, its monitoring group, scope, process */

static int fill_record(struct creation *c, const char *bundle, struct err *e)
{
	const struct plan_rdt *rdt = &c->plan.rdt;
	struct undo *undo = oci_arena_alloc(c->arena, UNDO_MAX * sizeof(*undo));
	size_t n_undo = 0;
	char boot[64];
	int r = state_boot_id(boot, sizeof(boot));

	if (r < 0)
		return err_sys(e, r, "read the boot id");
	if (!undo)
		return err_sys(e, -ENOMEM, "record of container \"%s\"", c->id);
	if (c->plan.cgroup_path)
		undo[n_undo++] = (struct undo){ UNDO_CGROUP, c->plan.cgroup_path };
	/* A class of service with a name of its own may be shared: it stays. */
	if (rdt->on && !rdt->named)
		undo[n_undo++] = (struct undo){ UNDO_RDT, rdt->group };
	if (rdt->mon_group)
		undo[n_undo++] = (struct undo){ UNDO_RDT, rdt->mon_group };
	if (c->facts.systemd.used)
		undo[n_undo++] = (struct undo){ c->facts.systemd.user ? UNDO_USER_SCOPE : UNDO_SCOPE, c->plan.unit.name };
	undo[n_undo++] = (struct undo){ UNDO_PROCESS, NULL };
	c->rec.systemd_cgroup = c->facts.systemd.used;
	c->rec.version = STATE_VERSION;
	c->rec.stage = STAGE_CREATING;
	c->rec.id = c->id;
	c->rec.bundle = bundle;
	c->rec.rootfs = c->plan.rootfs;
	c->rec.created = container_timestamp(c->arena);
	c->rec.owner = geteuid() == 0 ? "root" : oci_arena_printf(c->arena, "%u", (unsigned)geteuid());
	c->rec.boot_id = oci_arena_strdup(c->arena, boot);
	c->rec.oci_version = c->cfg->oci_version;
	c->rec.undo = undo;
	c->rec.n_undo = n_undo;
	c->rec.annotations = c->cfg->annotations;
	return 0;
}

/* Whoever isn't root of the host makes cgroups where it may. None where it may nowhere: no error, as long as nothing is asked of one. */
static int keep_delegated(struct creation *c, const char *id, struct plan_opts *o, struct err *e)
{
	struct facts *f = &c->facts;
	char path[CG_PATH_MAX];
	int r = 0;

	if (o->no_cgroup || f->foreign || !facts_is_guest(f) || !c->cfg->linux_)
		return 0;
	if (f->systemd.used)
		snprintf(path, sizeof(path), "%s/%s", f->systemd.root, id);
	else
		r = plan_cgroup_path(f, c->cfg, id, path, e);
	if (r < 0 || cg_layout_keep_delegated(&f->cg, path, f->systemd.used) || f->systemd.used)
		return r;
	if (c->cfg->linux_->cgroups_path && c->cfg->linux_->cgroups_path[0])
		return err_at(e, err_set(e, ERR_SYS, EACCES, "the caller may make the cgroup %s in no hierarchy: delegate a directory on its way, with cgroup.procs, "
					 "to uid %u", path, f->euid), "linux.cgroupsPath");
	o->no_cgroup = o->no_delegation = true;
	return 0;
}

/* Where are the manager's units? The first question to systemd: what may be wrong without it has been looked at. */
static int ask_manager(struct creation *c, const char *id, struct err *e)
{
	struct cg_manager *m = &c->facts.systemd;
	char path[CG_PATH_MAX];
	struct cg_unit unit;

	/* `explain` from facts in a file has been told. */
	if (!m->used || m->root[0])
		return 0;
	int r = cg_unit_resolve(c->cfg->linux_ ? c->cfg->linux_->cgroups_path : NULL, id, m, &unit, path, e);
	if (r < 0)
		return r;
	r = cg_manager_detect(m->user, c->timeout_ms, m, e);
	return r < 0 ? err_wrap(e, r, "unit %s", unit.name) : 0;
}

int creation_plan(struct creation *c, const struct hull *h, const char *id, const struct hull_create_opts *o, bool immediate, struct err *e)
{
	uint8_t token[STATE_TOKEN_LEN];
	const char *bundle;
	const int *preserved = NULL;
	int r = state_id_check(id, e);

	c->id = id;
	c->immediate = immediate;
	c->timeout_ms = hull_timeout_ms(h);
	if (r == 0)
		r = creation_check_options(h, o, e);
	if (r == 0 && h->notify_socket)
		r = notify_check(h->notify_socket, e);
	if (r == 0)
		r = bundle_load(o->bundle, o->config, c->arena, &bundle, &c->cfg, e);
	if (r == 0)
		r = preserved_fds(h, o->preserve_fds, c->arena, &preserved, e);
	if (r == 0)
		r = ask_manager(c, id, e);
	if (r == 0)
		r = make_token(token, c->rec.token, e);
	if (r < 0)
		return r;
	struct err none;
	scoped_fd int root_dfd = state_root_open(h->root, false, &none);
	c->cache.root_dfd = root_dfd;
	struct plan_opts po = { .id = id, .bundle = bundle, .gate = !immediate, .new_keyring = !o->no_new_keyring,
				.no_cgroup = h->no_cgroup,
				.preserved = preserved, .n_preserved = o->preserve_fds, .token = token,
				.listen_fds = o->listen_fds, .listen_names = o->listen_names, .log_level = log_enabled(LOG_LVL_DEBUG) ? LOG_LVL_DEBUG : LOG_LVL_WARNING };
	po.cache = &c->cache;
	c->rec.callers_keyring = o->no_new_keyring;
	po.notify = h->notify_socket != NULL;
	po.annotations = c->rec.allowed_annotations = h->allow_annotations;
	r = labels_of_config(&c->facts, c->cfg, c->arena, e);
	if (r == 0)
		r = facts_detect_for(&c->facts, c->cfg, c->arena, e);
	if (r == 0)
		r = keep_delegated(c, id, &po, e);
	if (r == 0)
		r = plan_create(&c->facts, c->cfg, &po, c->arena, &c->plan, e);
	return r < 0 ? r : fill_record(c, bundle, e);
}

/* One pidfd goes to one place. */
static int check_receivers(const struct creation *c, const struct hull_create_opts *o, struct err *e)
{
	const char *receiver = c->plan.honoured.pidfd_receiver;

	if (receiver && o->pidfd_socket && !streq(receiver, o->pidfd_socket))
		return err_set(e, ERR_USAGE, 0, "--pidfd-socket %s: annotation run.oci.pidfd_receiver names another one, %s", o->pidfd_socket, receiver);
	return 0;
}

/* What annotations name. */
static int connect_annotated(struct creation *c, const struct hull_create_opts *o, struct err *e)
{
	const struct plan_annotations *y = &c->plan.honoured;

	if (y->pidfd_receiver && !o->pidfd_socket)
		c->pidfd_sock = console_connect(y->pidfd_receiver, "annotation run.oci.pidfd_receiver", e);
	if (y->pidfd_receiver && c->pidfd_sock < 0)
		return c->pidfd_sock;
	return c->cfg->hooks ? hook_files_open(y->hooks_stdout, y->hooks_stderr, &c->hook_files, e) : 0;
}

int creation_open(struct creation *c, const struct hull *h, const struct hull_create_opts *o, struct err *e)
{
	int r = check_terminal(c, o, e);

	if (r == 0)
		r = check_receivers(c, o, e);
	if (r < 0)
		return r;
	c->pid_file = o->pid_file;
	if (o->console_socket)
		c->console_sock = console_connect(o->console_socket, "--console-socket", e);
	if (o->console_socket && c->console_sock < 0)
		return c->console_sock;
	if (o->pidfd_socket)
		c->pidfd_sock = console_connect(o->pidfd_socket, "--pidfd-socket", e);
	if (o->pidfd_socket && c->pidfd_sock < 0)
		return c->pidfd_sock;
	r = connect_annotated(c, o, e);
	if (r < 0)
		return r;
	if (c->immediate && c->plan.slots.notify >= 0 && (r = notify_connect(&c->notify, h->notify_socket, e)) < 0)
		return r;
	if (c->plan.rdt.on && (c->rdt_dfd = rdt_open(e)) < 0)
		return c->rdt_dfd;
	if (c->immediate && (r = agent_connect(c->cfg, plan_seccomp_receiver(c->cfg, &c->plan.honoured), &c->rec, OCI_STATUS_CREATED, c->arena, &c->agent, e)) < 0)
		return r;
	c->root_dfd = state_root_open(h->root, true, e);
	return c->root_dfd < 0 ? c->root_dfd : 0;
}

void keep_filter(const struct seccomp_cache *cache, int root_dfd, const struct plan *p)
{
	int r = p->fresh_filter.n ? seccomp_cache_keep(cache, root_dfd, &p->fresh_filter, p->arena) : 0;

	/* It is compiled again next time. */
	if (r < 0)
		log_debug("keep the compiled seccomp profile: %s", err_text(-r));
}

/* A dead creation of the same id is finished off here; whoever is alive keeps its name. */
int creation_claim(struct creation *c, struct err *e)
{
	size_t len;
	const char *config = oci_write(&oci_config_desc, c->cfg, 0, c->arena, &len);
	bool stale = false;

	if (!config)
		return err_sys(e, -ENOMEM, "write the configuration");
	int r = state_claim(c->root_dfd, &c->rec, config, len, &c->dir, &stale, e);
	if (r == -EEXIST && stale) {
		r = container_destroy_stale(c->root_dfd, c->id, c->timeout_ms, e);
		if (r >= 0)
			r = state_claim(c->root_dfd, &c->rec, config, len, &c->dir, &stale, e);
	}
	c->claimed = r >= 0;
	if (c->claimed)
		keep_filter(&c->cache, c->root_dfd, &c->plan);
	return r < 0 ? r : 0;
}

void creation_abandon(struct creation *c)
{
	char text[ERR_RENDER_MAX];
	struct err e, none;
	int r;

	netdev_undo(&c->netdevs);
	if (c->spawned)
		spawn_end(&c->child, true);
	c->spawned = false;
	if (!c->claimed)
		return;
	if (c->pid_file_written)
		unlink(c->pid_file);
	if (c->hooks_ran) {
		r = container_destroy(&c->dir, &c->rec, c->timeout_ms, &e);
	} else {
		r = undo_run(&c->rec, UNDO_TIMEOUT_MS, c->timeout_ms, &e);
		if (r >= 0)
			r = state_remove(&c->dir, &e);
	}
	/* Made for this creation alone: nobody else relies on it yet. */
	if (c->rdt_made && c->plan.rdt.named)
		rdt_remove(c->rdt_dfd, c->plan.rdt.group, c->rec.token, &none);
	if (r < 0)
		log_warn("container %s is not wholly removed after its failed creation, `delete --force` will try again: %s", c->id,
			 err_render(&e, text, sizeof(text)));
}

int creation_look(struct creation *c, const struct hull *h, struct err *e)
{
	int r = facts_detect(&c->facts, e);

	/* An ordinary user's containers are in the user's own manager, also when their engine has made a user namespace (podman). */
	if (r == 0 && h->systemd_cgroup)
		c->facts.systemd = (struct cg_manager){ .used = true, .user = !ns_is_root_of_system() };
	return r;
}

int hull_create(const struct hull *h, const char *id, const struct hull_create_opts *o, struct err *e)
{
	struct oci_arena arena = { 0 };
	struct creation c = CREATION_NONE(&arena);
	int r = creation_look(&c, h, e);

	if (r == 0)
		r = creation_plan(&c, h, id, o, false, e);
	if (r == 0)
		r = creation_open(&c, h, o, e);
	if (r == 0)
		r = creation_claim(&c, e);
	if (r == 0)
		r = host_build(&c, e);
	if (r == 0)
		r = host_leave_at_gate(&c, e);
	if (r < 0)
		creation_abandon(&c);
	host_close(&c);
	fd_close(&c.root_dfd);
	if (r < 0 && e->kind != ERR_CONFIG && e->kind != ERR_USAGE)
		err_wrap(e, r, "create %s", id);
	oci_arena_release(&arena);
	return r;
}

int hull_explain(const struct hull *h, const char *id, const struct hull_create_opts *o, bool json, const char *facts_file, struct oci_arena *a,
		 const char **ret_text, struct err *e)
{
	struct creation c = CREATION_NONE(a);
	char text[4096];
	int r = 0;

	if (facts_file) {
		ssize_t n = io_read_at(AT_FDCWD, facts_file, text, sizeof(text));
		r = n < 0 ? err_sys(e, (int)n, "read %s", facts_file) : facts_parse(text, &c.facts, e);
	} else {
		r = creation_look(&c, h, e);
	}
	if (r == 0)
		r = creation_plan(&c, h, id, o, false, e);
	if (r < 0)
		return r;
	*ret_text = plan_explain(&c.plan, json, e);
	return *ret_text ? 0 : -EFBIG;
}
