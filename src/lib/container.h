/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: a container that exists, and its end. Private to src/lib. */
#ifndef HULL_LIB_CONTAINER_H
#define HULL_LIB_CONTAINER_H

#include "cgroup/cgroup.h"
#include "lib/hull.h"
#include "run/run.h"
#include "state/state.h"

struct container {
	struct state_dir dir;
	struct state_rec rec;
	enum oci_status status;
};

/* How long undo may take before it names what is stuck. */
#define UNDO_TIMEOUT_MS 10000

/* Open the state root, the container, its record, and ask the kernel for its status. `lock_ms` as for
 * state_open. Strings of the record live in `a`. No root at all is an unknown id. On failure nothing is left
 * open. */
int container_open(const struct hull *h, const char *id, int lock_ms, struct oci_arena *a, struct container *ret,
		   struct err *e);
/* The same at an open state root. */
int container_open_at(int root_dfd, const char *id, int lock_ms, struct oci_arena *a, struct container *ret,
		      struct err *e);
void container_close(struct container *c);

/* How long the verbs that change a container (start, pause, resume, update) wait for its lock. */
#define CONTAINER_LOCK_MS 10000

/* Open the container's cgroup as the record has it; `lay` must live as long as `cg`. Returns 1, or 0 when it has none or
 * the record is of another boot, after which somebody else may have one by that name: `cg` is then not to be closed. */
int container_cgroup(const struct container *c, struct cg_layout *lay, struct cgroup *cg, struct err *e);

/* Open what annotations of the container name for its hooks; *ret is closed by the caller in any case. */
int container_hook_files(const struct state_rec *rec, struct hook_files *ret, struct err *e);

/* The state document (runtime.md, State): pid 0 when stopped, as engines know it. NULL when memory ran out. */
struct oci_state *container_state(const struct container *c, struct oci_arena *a);

/* RFC 3339 with nanoseconds, as Go's time.Time reads it. NULL when memory ran out. */
const char *container_timestamp(struct oci_arena *a);

/* ---- exit.c ---- */

/* How a stopped container ended: from its record, else from its zombie; OOM kills from the cgroup while that exists. Where nobody knows, `unknown`
 * says so. NULL when memory ran out. */
struct oci_state_exit *exit_find(const struct container *c, struct oci_arena *a);
/* The process behind `pidfd` has exited just now: find out how, and put it into the record. `cg` NULL or one that may be gone. Strings live in `a`. */
struct oci_state_exit *exit_see(const struct container *c, int pidfd, const struct cgroup *cg, struct oci_arena *a);
/* Put `x` into the record of the container whose directory is open in `d`, unless something stands there already. Gone, or its name given to
 * another, is success. */
int exit_note(const struct state_dir *d, struct oci_state_exit *x, struct err *e);
/* Add the OOM kills that `cg` counts. */
void exit_count_oom(struct oci_state_exit *x, const struct cgroup *cg);

/* The end of a container, alive or half made: undo what the record lists, run the poststop hooks of its own
 * configuration (a failing one is a warning), remove the state directory. The caller holds the lock or has
 * broken it. `answer_ms`, here and below: how long systemd may take to answer. (runtime.md, Lifecycle, steps 12 and 13) */
int container_destroy(struct state_dir *d, const struct state_rec *rec, int answer_ms, struct err *e);
/* What `delete --force` does, to the container whose directory is open in `d` (not locked by us) and to no other that has got its name since: for who
 * made it and waited for its end. Gone already is success. */
int container_delete_own(const struct state_dir *d, int answer_ms, struct err *e);
/* Undo and remove the container `id` whose creator died: for a creator that state_claim told so with *ret_stale. */
int container_destroy_stale(int root_dfd, const char *id, int answer_ms, struct err *e);

#endif
