/* SPDX-License-Identifier: Apache-2.0 */
/* Signals go through a pidfd that was compared with the record, or to a cgroup that carries the record's
 * token: never to a number. No lock is taken: a container must be killable while its start or exec hangs. */
#include "lib/container.h"

#include <errno.h>
#include <signal.h>

#include "base/fd.h"
#include "base/log.h"

static int not_running(const char *id, struct err *e)
{
	/* Engines look for "container not running" and for "no such process". */
	return err_set(e, ERR_STATE, ESRCH, "cannot signal \"%s\": container not running", id);
}

static int kill_init(const struct container *c, int sig, struct err *e)
{
	scoped_fd int pidfd = proc_id_open(&c->rec.init);
	int r = pidfd < 0 ? pidfd : proc_kill(pidfd, sig);

	if (r == -ESRCH)
		return not_running(c->dir.id, e);
	return r < 0 ? err_sys(e, r, "signal process %d of container \"%s\"", c->rec.init.pid, c->dir.id) : 0;
}

/* Whatever is in its cgroup. Nothing there is success, as it is for runc and crun. */
static int kill_cgroup(const struct container *c, int sig, struct err *e)
{
	struct cg_layout lay;
	struct cgroup cg;

	int r = container_cgroup(c, &lay, &cg, e);
	if (r <= 0)
		return r;
	r = cg_kill(&cg, c->rec.token, sig, e);
	cg_close(&cg);
	return r < 0 ? r : 0;
}

/* Does the signal go to everything in the cgroup? Where init isn't the init of a pid namespace, its death
 * doesn't end the others (runc kills them too). A frozen v1 cgroup dies only when it is thawed, which
 * killing by cgroup does. */
static bool takes_all(const struct container *c, int sig, bool all)
{
	if (all || sig != SIGKILL)
		return all;
	return c->status == OCI_STATUS_PAUSED || !proc_is_ns_init(c->rec.init.pid);
}

static int signal_container(const struct container *c, int sig, bool all, struct err *e)
{
	const char *path = state_rec_cgroup(&c->rec);

	if (c->status == OCI_STATUS_STOPPED && all)
		return kill_cgroup(c, sig, e);
	if (c->status == OCI_STATUS_STOPPED || c->status == OCI_STATUS_CREATING)
		return not_running(c->dir.id, e);
	if (!takes_all(c, sig, all))
		return kill_init(c, sig, e);
	if (!path && all)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has no cgroup: its other processes are not known",
			       c->dir.id);
	int r = path ? kill_cgroup(c, sig, e) : -EPERM;
	if (r != -EPERM || all)
		return r;
	/* Without a cgroup, or in one that was there before the container and so carries no token. */
	log_warn("container %s has no cgroup of its own: only its init is killed", c->dir.id);
	return kill_init(c, sig, e);
}

int hull_kill(const struct hull *h, const char *id, int sig, bool all, struct err *e)
{
	struct oci_arena a = { 0 };
	struct container c;

	if (sig < 0 || sig > SIGRTMAX)
		return err_set(e, ERR_USAGE, 0, "signal %d — only 0 to %d are allowed", sig, SIGRTMAX);
	int r = container_open(h, id, -1, &a, &c, e);
	if (r == 0) {
		r = signal_container(&c, sig, all, e);
		container_close(&c);
	}
	oci_arena_release(&a);
	return r;
}
