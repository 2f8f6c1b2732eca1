/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: a container that exists, and its end. Private to src/lib. */
#ifndef HULL_LIB_CONTAINER_H
#define HULL_LIB_CONTAINER_H

#include "cgroup/cgroup.h"
#include "lib/hull.h"
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

/* The state document (runtime.md, State): pid 0 when stopped, as engines know it. NULL when memory ran out. */
struct oci_state *container_state(const struct container *c, struct oci_arena *a);

/* The end of a container, alive or half made: undo what the record lists, run the poststop hooks of its own
 * configuration (a failing one is a warning), remove the state directory. The caller holds the lock or has
 * broken it. (runtime.md, Lifecycle, steps 12 and 13) */
int container_destroy(struct state_dir *d, const struct state_rec *rec, struct err *e);
/* What `delete --force` does, to the container whose directory is open in `d` (not locked by us) and to no other that has got its name since: for who
 * made it and waited for its end. Gone already is success. */
int container_delete_own(const struct state_dir *d, struct err *e);
/* Undo and remove the container `id` whose creator died: for a creator that state_claim told so with *ret_stale. */
int container_destroy_stale(int root_dfd, const char *id, struct err *e);

#endif
