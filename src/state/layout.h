/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/state share: names in the state root and in a container's directory, and the few
 * operations below state.h. */
#ifndef HULL_STATE_LAYOUT_H
#define HULL_STATE_LAYOUT_H

#include "state/state.h"

#define STATE_RECORD_FILE "state.json"
#define STATE_CONFIG_FILE "config.json"
#define STATE_START_SOCKET "start.sock"
#define STATE_NOTIFY_DIR "notify"

/* .ID.XXXXXX is a claim, .dead-ID.XXXXXXXXXXXXXXXX one that is going away. The lengths keep them apart: an
 * id may begin with "dead-" and may contain dots. */
#define STATE_CLAIM_SUFFIX 6
#define STATE_DEAD_SUFFIX 16

#define STATE_RENAME_NOREPLACE 1 /* linux/fs.h: RENAME_NOREPLACE, which glibc shows only with _GNU_SOURCE */

/* Rename within the root; -EEXIST when `to` exists. */
int state_rename_new(int root_dfd, const char *from, const char *to);
/* `n` (at most 32) random lower-case letters and digits with a final NUL. */
int state_random_name(char *buf, size_t n);
/* Is `name` in the root still the directory behind `dfd`? */
bool state_is_linked(int root_dfd, const char *name, int dfd);
/* Open a directory in the root; -ENOTDIR for anything else, -EPERM when it isn't the caller's alone. */
int state_open_dir(int root_dfd, const char *name);
/* Take the lock of the directory: the fd that holds it, -EWOULDBLOCK when another has it. */
int state_try_lock(int dfd);
/* Start *d: names and a duplicate of the root, nothing opened. */
int state_dir_init(struct state_dir *d, int root_dfd, const char *id, const char *name);
/* Remove the files and the directory `d->name`, whatever it is called. */
int state_remove_linked(struct state_dir *d, struct err *e);

#endif
