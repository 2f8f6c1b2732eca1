/* SPDX-License-Identifier: Apache-2.0 */
/* `start`: the other end of the gate. init listens on start.sock in the 0700 state directory; we prove ourselves by the record's token, because SO_PEERCRED is
 * blind in a user namespace. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "run/host.h"

static int connect_gate(const struct state_dir *d, const char *id, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, -errno, "socket");
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/start.sock", d->dfd);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, -errno, "connect to the gate of container \"%s\"", id);
	return take_fd(&fd);
}

static int decode_token(const char *hex, uint8_t *ret)
{
	for (size_t i = 0; i < CTL_TOKEN_LEN; i++) {
		unsigned v;
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return -EINVAL;
		ret[i] = (uint8_t)v;
	}
	return 0;
}

int gate_start(const struct state_dir *d, const struct state_rec *rec, const struct cgroup *cg, int timeout_ms, struct agent *agent, struct err *e)
{
	struct child c = { .pidfd = -1, .setup_pidfd = -1, .listener = -1, .ctl = { .fd = -1, .side = CTL_HOST } };
	uint8_t token[CTL_TOKEN_LEN];
	int r;

	if (decode_token(rec->token, token) < 0)
		return err_set(e, ERR_STATE, EBADMSG, "the record of container \"%s\" has no token", rec->id);
	c.ctl.fd = connect_gate(d, rec->id, e);
	if (c.ctl.fd < 0)
		return c.ctl.fd;
	c.pid = rec->init.pid;
	c.pidfd = proc_id_open(&rec->init);
	cg_hits_read(cg, &c.before);
	r = ctl_send(&c.ctl, CTL_START, 0, token, sizeof(token), -1);
	if (r < 0)
		r = err_sys(e, r, "send START to container \"%s\"", rec->id);
	else
		r = spawn_wait_exec(&c, timeout_ms, cg, agent, e);
	spawn_end(&c, false);
	return r;
}
