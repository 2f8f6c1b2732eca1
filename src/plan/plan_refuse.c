/* SPDX-License-Identifier: Apache-2.0 */
/* Valid configurations that this build can't carry out: refused with their place, before anything exists. Nothing is ever ignored in silence. */
#include "plan/plan.h"

int plan_refuse(const struct facts *f, const struct oci_config *c, struct err *e)
{
	if (f->euid != 0 || f->in_userns)
		return err_set(e, ERR_UNSUPPORTED, 0, "running as uid %u%s is not supported by this build: it needs root in the initial user namespace", f->euid,
			       f->in_userns ? " in a user namespace" : "");
	return c->linux_ ? 0 : err_config(e, "linux", "is needed for a container on Linux");
}
