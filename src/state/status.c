/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is doing, asked from the kernel each time: nothing that can change by itself is ever stored. */
#include "state/state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "state/layout.h"

/* Does init listen at start.sock? It is the only one who can, and it closes the socket before it becomes the
 * user's program. */
static bool waits_for_start(const struct state_dir *d)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (fd < 0)
		return false;
	/* By descriptor: the state root's own path may be longer than sun_path, and may be moved. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" STATE_START_SOCKET, d->dfd);
	/* EAGAIN: it listens, but the queue is full. */
	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN;
}

static bool is_frozen(const struct state_rec *rec)
{
	const char *path = state_rec_cgroup(rec);

	return path && cg_path_frozen(path) == 1;
}

static bool is_this_boot(const struct state_rec *rec)
{
	char boot[64];

	return rec->boot_id && state_boot_id(boot, sizeof(boot)) == 0 && streq(boot, rec->boot_id);
}

static enum oci_status created_status(const struct state_dir *d, const struct state_rec *rec)
{
	scoped_fd int pidfd = proc_id_open(&rec->init);

	if (pidfd < 0 || proc_exited(pidfd, 0) != 0)
		return OCI_STATUS_STOPPED;
	/* First: a frozen init still seems to listen. */
	if (is_frozen(rec))
		return OCI_STATUS_PAUSED;
	return waits_for_start(d) ? OCI_STATUS_CREATED : OCI_STATUS_RUNNING;
}

/* Nobody holds the lock: the creator has finished since the record was read, or it is dead. */
static enum oci_status after_creation(const struct state_dir *d)
{
	struct state_dir same = *d;
	struct oci_arena a = { 0 };
	struct state_rec now;
	struct err ignored;
	enum oci_status s = OCI_STATUS_STOPPED;

	if (state_rec_read(&same, &a, &now, &ignored) == 0 && now.stage == STAGE_CREATED)
		s = created_status(d, &now);
	else
		log_debug("container %s: its creator is dead: the record says creating, nobody holds the lock",
			  d->id);
	oci_arena_release(&a);
	return s;
}

enum oci_status state_status(const struct state_dir *d, const struct state_rec *rec)
{
	if (!is_this_boot(rec))
		return OCI_STATUS_STOPPED;
	if (rec->stage == STAGE_CREATED)
		return created_status(d, rec);
	/* Whoever asks with the lock in hand took it from a creator that is gone. */
	if (d->lock_fd < 0 && state_lock_held(d) != 0)
		return OCI_STATUS_CREATING;
	return after_creation(d);
}
