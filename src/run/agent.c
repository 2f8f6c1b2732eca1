/* SPDX-License-Identifier: Apache-2.0 */
#include "run/agent.h"

#include <errno.h>

#include "base/fd.h"
#include "ocispec/ocispec.h"
#include "run/host.h"
#include "seccomp/seccomp.h"

#define WHERE "linux.seccomp.listenerPath"

int agent_connect(const struct oci_config *cfg, const char *receiver, const struct state_rec *rec, enum oci_status status, struct oci_arena *a, struct agent *ret, struct err *e)
{
	const struct oci_seccomp *s = cfg->linux_ ? cfg->linux_->seccomp : NULL;

	*ret = (struct agent){ .sock = -1, .rec = rec, .status = status, .arena = a };
	if (!s || !seccomp_notifies(s))
		return 0;
	ret->metadata = s->listener_metadata;
	ret->sock = console_connect(receiver, WHERE, e);
	return ret->sock < 0 ? ret->sock : 0;
}

int agent_send(struct agent *g, int listener, pid_t pid, struct err *e)
{
	static const char *names[] = { "seccompFd" };
	struct oci_state state = host_state(g->rec, g->status);
	struct oci_container_process_state doc = { .oci_version = OCI_VERSION_MAX, .fds = { names, ARRAY_LEN(names), true }, .pid = { true, pid },
						   .metadata = g->metadata, .state = &state };
	const char *text = oci_write(&oci_container_process_state_desc, &doc, 0, g->arena, NULL);

	if (g->sock < 0)
		return err_set(e, ERR_PEER, EPROTO, "a seccomp listener that nobody waits for");
	if (!text)
		return err_sys(e, -ENOMEM, "write the state for the seccomp agent");
	int r = console_send(g->sock, listener, text, WHERE, e);
	agent_close(g);
	return r;
}

void agent_close(struct agent *g)
{
	fd_close(&g->sock);
}
