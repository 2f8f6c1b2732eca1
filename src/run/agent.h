/* SPDX-License-Identifier: Apache-2.0 */
/* The agent that answers for SCMP_ACT_NOTIFY: it listens at linux.seccomp.listenerPath and gets the listener of each process's filter with a document that
 * says whose it is. One connection a process, closed after its document. (config-linux.md, Seccomp, The Container Process State) */
#ifndef HULL_RUN_AGENT_H
#define HULL_RUN_AGENT_H

#include "state/state.h"

struct agent {
	int sock;                    /* connected; -1: the profile asks nobody */
	const struct state_rec *rec;
	enum oci_status status;      /* of the container, for the document */
	const char *metadata;        /* NULL none */
	struct oci_arena *arena;
};

#define AGENT_NONE ((struct agent){ .sock = -1 })

/* Connect to the socket `receiver` (plan_seccomp_receiver), before anything is made or started, where the profile of `cfg` asks an agent: *ret->sock is -1 otherwise.
 * `rec` must live as long as *ret. */
int agent_connect(const struct oci_config *cfg, const char *receiver, const struct state_rec *rec, enum oci_status status, struct oci_arena *a, struct agent *ret, struct err *e);
/* Give it `listener` of the process `pid` (as the caller sees it), and close the connection. */
int agent_send(struct agent *g, int listener, pid_t pid, struct err *e);
void agent_close(struct agent *g);

#endif
