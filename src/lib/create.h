/* SPDX-License-Identifier: Apache-2.0 */
/* What create, run and explain do before anything exists. */
#ifndef HULL_LIB_CREATE_H
#define HULL_LIB_CREATE_H

#include "lib/hull.h"
#include "run/host.h"

#define SETUP_TIMEOUT_MS 60000

/* How long the set-up and every answer of systemd may take. */
static inline int hull_timeout_ms(const struct hull *h)
{
	return h->timeout_ms ? (int)h->timeout_ms : SETUP_TIMEOUT_MS;
}

/* How long what the program decides may take, as poll(2) counts: for ever, unless the caller has set a limit. */
static inline int hull_patience_ms(const struct hull *h)
{
	return h->timeout_ms ? (int)h->timeout_ms : -1;
}

/* The facts that the plan is made from. */
int creation_look(struct creation *c, const struct hull *h, struct err *e);
/* Options that ask for what hull doesn't do. */
int creation_check_options(const struct hull *h, const struct hull_create_opts *o, struct err *e);
/* Load, check and plan; with the systemd driver its manager is asked where its units are. `immediate`: run, no gate. No side effect. */
int creation_plan(struct creation *c, const struct hull *h, const char *id, const struct hull_create_opts *o, bool immediate, struct err *e);
/* Open what the caller wants told (console, pidfd sockets) and the state root. Still nothing is made but the root. */
int creation_open(struct creation *c, const struct hull *h, const struct hull_create_opts *o, struct err *e);
/* Take the id: from here on a crash is recoverable. */
int creation_claim(struct creation *c, struct err *e);
/* After a failure: undo all of it; poststop hooks run when others ran (runtime.md, Lifecycle). */
void creation_abandon(struct creation *c);
/* Put the seccomp program that the plan had to compile into the cache below the state root. */
void keep_filter(const struct seccomp_cache *cache, int root_dfd, const struct plan *p);
/* Check that fds 3 … 3+n-1 were open when the program started; *ret lists them. */
int preserved_fds(const struct hull *h, unsigned n, struct oci_arena *a, const int **ret, struct err *e);

#endif
