/* SPDX-License-Identifier: Apache-2.0 */
/* NOTIFY_SOCKET for the program: a directory of the container's own state, bound read-only, in which `start` and `run` bind the socket (run/notify.h). */
#include <sys/mount.h>

#include "plan/plan.h"

#define WHERE "(NOTIFY_SOCKET)"
#define NOTIFY_DIR "/run/notify"

/* A mount of the configuration there, or below, would cover the socket. */
static int check_free(struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->cfg->n_mounts; i++) {
		const char *at = plan_clean_path(p, p->cfg->mounts[i].destination);
		if (str_starts(at, NOTIFY_DIR) && (at[strlen(NOTIFY_DIR)] == '/' || !at[strlen(NOTIFY_DIR)]))
			return err_config(e, plan_text(p, "mounts[%zu].destination", i), "\"%s\" — is where the socket for NOTIFY_SOCKET is", at);
	}
	return plan_check_shared(p, NOTIFY_DIR, WHERE, e);
}

int plan_add_notify(struct plan *p, const char *id, struct err *e)
{
	if (p->slots.notify < 0)
		return 0;
	int r = check_free(p, e);
	if (r < 0)
		return r;
	struct bpath at = plan_path(p, NOTIFY_DIR);
	int16_t slot = plan_add_source(p, p->slots.notify, plan_text(p, "%s/notify", id), 0, WHERE);
	struct step *s = plan_step(p, STEP_BIND, PH_MOUNT, WHO_S, WHERE);
	s->in = slot;
	s->u.bind.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	s->u.bind.at = at;
	return 0;
}
