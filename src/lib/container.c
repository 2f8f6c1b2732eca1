/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container.h"

#include <errno.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "ocispec/ocispec.h"
#include "run/host.h"

#define REREAD_TRIES 8

/* Record and status that belong together: a creator may finish between the two. */
static int load(struct container *c, struct oci_arena *a, struct err *e)
{
	for (int i = 0; i < REREAD_TRIES; i++) {
		int r = state_rec_read(&c->dir, a, &c->rec, e);
		if (r < 0)
			return r;
		c->status = state_status(&c->dir, &c->rec);
		bool has_pid = c->rec.stage == STAGE_CREATED;
		if (has_pid || c->status == OCI_STATUS_CREATING || c->status == OCI_STATUS_STOPPED)
			return 0;
	}
	return err_set(e, ERR_STATE, EBUSY, "record of container \"%s\" changes while it is read", c->dir.id);
}

int container_open_at(int root_dfd, const char *id, int lock_ms, struct oci_arena *a, struct container *ret,
		      struct err *e)
{
	*ret = (struct container){ 0 };
	int r = state_open(root_dfd, id, lock_ms, &ret->dir, e);
	if (r < 0)
		return r;
	r = load(ret, a, e);
	/* Removed while we looked: its files go before its name does. */
	if (r == -EBADMSG && !state_still_ours(&ret->dir)) {
		err_set(e, ERR_STATE, 0, "container \"%s\" does not exist", id);
		r = -ENOENT;
	}
	if (r < 0)
		state_close(&ret->dir);
	return r;
}

int container_open(const struct hull *h, const char *id, int lock_ms, struct oci_arena *a, struct container *ret,
		   struct err *e)
{
	ret->dir = STATE_DIR_NONE;
	int r = state_id_check(id, e);
	if (r < 0)
		return r;
	scoped_fd int root_dfd = state_root_open(h->root, false, e);
	if (root_dfd == -ENOENT)
		err_set(e, ERR_STATE, 0, "container \"%s\" does not exist", id);
	if (root_dfd < 0)
		return root_dfd;
	return container_open_at(root_dfd, id, lock_ms, a, ret, e);
}

void container_close(struct container *c)
{
	state_close(&c->dir);
}

int container_cgroup(const struct container *c, struct cg_layout *lay, struct cgroup *cg, struct err *e)
{
	const char *path = state_rec_cgroup(&c->rec);
	char boot[64];

	if (!path || state_boot_id(boot, sizeof(boot)) < 0 || !streq(boot, c->rec.boot_id))
		return 0;
	int r = cg_layout_detect(lay, e);
	if (r >= 0)
		r = cg_open(lay, path, cg, e);
	return r < 0 ? r : 1;
}

int container_hook_files(const struct state_rec *rec, struct hook_files *ret, struct err *e)
{
	struct plan_annotations honoured;
	int r = plan_read_annotations(&rec->annotations, rec->allowed_annotations, false, &honoured, e);

	*ret = HOOK_FILES_NONE;
	return r < 0 ? r : hook_files_open(honoured.hooks_stdout, honoured.hooks_stderr, ret, e);
}

struct oci_state *container_state(const struct container *c, struct oci_arena *a)
{
	const struct state_rec *rec = &c->rec;
	struct oci_state *s = oci_arena_alloc(a, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct oci_state){
		/* The version that hull implements, as runc prints it; the bundle's own stands in its
		 * config.json. */
		.oci_version = OCI_VERSION_MAX,
		.id = rec->id,
		.status = c->status,
		.pid = { true, c->status == OCI_STATUS_STOPPED ? 0 : rec->init.pid },
		.bundle = rec->bundle,
		.annotations = rec->annotations,
		.rootfs = rec->rootfs,
		.created = rec->created,
		.owner = rec->owner,
	};
	if (c->status == OCI_STATUS_STOPPED && rec->stage == STAGE_CREATED)
		s->exit = exit_find(c, a);
	return s;
}

const char *container_timestamp(struct oci_arena *a)
{
	struct timespec t;
	struct tm tm;
	char date[32];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	return oci_arena_printf(a, "%s.%09ldZ", date, t.tv_nsec);
}

static void run_poststop(struct state_dir *d, const struct state_rec *rec, struct oci_arena *a)
{
	struct oci_config *config;
	char text[ERR_RENDER_MAX];
	struct err e;

	if (state_config_read(d, a, &config, &e) < 0) {
		log_warn("container %s: its poststop hooks are not run: %s", d->id,
			 err_render(&e, text, sizeof(text)));
		return;
	}
	const struct oci_hooks *hooks = config->hooks;
	if (!hooks || !hooks->n_poststop)
		return;
	struct hook_files files;
	if (container_hook_files(rec, &files, &e) < 0)
		log_warn("container %s: %s", d->id, err_render(&e, text, sizeof(text)));
	hooks_run_warn("poststop", hooks->poststop, hooks->n_poststop, host_state_json(rec, OCI_STATUS_STOPPED, a),
		       rec->bundle, &files);
	hook_files_close(&files);
}

int container_destroy(struct state_dir *d, const struct state_rec *rec, int answer_ms, struct err *e)
{
	struct oci_arena a = { 0 };

	int r = undo_run(rec, UNDO_TIMEOUT_MS, answer_ms, e);
	if (r < 0)
		return r;
	/* The record goes last: whatever is interrupted here is done again by the next delete. */
	run_poststop(d, rec, &a);
	oci_arena_release(&a);
	return state_remove(d, e);
}

int container_destroy_stale(int root_dfd, const char *id, int answer_ms, struct err *e)
{
	struct oci_arena a = { 0 };
	struct container c;

	int r = container_open_at(root_dfd, id, 0, &a, &c, e);
	/* Somebody else was faster. */
	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		/* With the lock in hand a record that says CREATING has no creator. */
		if (c.rec.stage == STAGE_CREATING) {
			r = container_destroy(&c.dir, &c.rec, answer_ms, e);
		} else {
			err_set(e, ERR_STATE, 0, "container with id exists: %s", id);
			r = -EEXIST;
		}
		container_close(&c);
	}
	oci_arena_release(&a);
	return r;
}
