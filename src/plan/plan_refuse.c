/* SPDX-License-Identifier: Apache-2.0 */
/* Valid configurations that this build can't carry out: refused with their place, before anything exists. Nothing is ever ignored in silence. */
#include "plan/plan.h"

/* What needs rights of the host. */
static int refuse_ordinary(const struct facts *f, const struct oci_config *c, struct err *e)
{
	const struct oci_namespace *user = plan_find_namespace(c, OCI_NS_USER), *mnt = plan_find_namespace(c, OCI_NS_MOUNT);

	if (facts_is_ordinary(f) && !user)
		return err_config(e, "linux.namespaces",
				  "needs {\"type\": \"user\"} for a caller without CAP_SYS_ADMIN, and linux needs \"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}], "
				  "\"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}] (hull spec --rootless writes all three)", f->euid, f->egid);
	if ((facts_is_ordinary(f) || f->foreign_mounts) && (!mnt || mnt->path))
		return err_config(e, "linux.namespaces", "needs a new \"mount\": the caller may not mount in %s", mnt ? mnt->path : "its own mount namespace");
	if ((facts_is_ordinary(f) || f->joins_userns) && c->linux_->n_net_devices)
		return err_config(e, "linux.netDevices", "must not be there: a caller without CAP_NET_ADMIN can't move devices of the host");
	return 0;
}

int plan_refuse(const struct facts *f, const struct oci_config *c, struct err *e)
{
	int r = c->linux_ ? 0 : err_config(e, "linux", "is needed for a container on Linux");

	return r == 0 ? refuse_ordinary(f, c, e) : r;
}
