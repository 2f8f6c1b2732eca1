/* SPDX-License-Identifier: Apache-2.0 */
/* A build without the systemd driver: it says so when it is asked for. */
#include <errno.h>

#include "cgroup/systemd.h"

int cg_systemd_supported(struct err *e)
{
	err_set(e, ERR_UNSUPPORTED, 0, "this build of hull has no systemd cgroup driver (configure --enable-systemd, not as a static program)");
	return -ENOSYS;
}

int cg_manager_detect(bool user UNUSED, int timeout_ms UNUSED, struct cg_manager *ret UNUSED, struct err *e)
{
	return cg_systemd_supported(e);
}

int cg_scope_start(const struct cg_manager *m UNUSED, const struct cg_unit *u UNUSED, const struct cg_props *props UNUSED, const char *description UNUSED,
		   pid_t pid UNUSED, int timeout_ms UNUSED, struct err *e)
{
	return cg_systemd_supported(e);
}

int cg_scope_set(const struct cg_manager *m UNUSED, const char *unit UNUSED, const struct cg_props *props, int timeout_ms UNUSED, struct err *e)
{
	return props->n ? cg_systemd_supported(e) : 0;
}

int cg_scope_stop(const struct cg_manager *m UNUSED, const char *unit UNUSED, int timeout_ms UNUSED, struct err *e)
{
	return cg_systemd_supported(e);
}
