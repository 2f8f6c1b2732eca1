/* SPDX-License-Identifier: Apache-2.0 */
/* Valid configurations that this build can't carry out: refused with their place, before anything exists. Nothing is ever ignored in silence. */
#include <errno.h>
#include <stdio.h>

#include "plan/plan.h"

static int refuse(struct err *e, const char *path, const char *what)
{
	err_config(e, path, "%s not supported by this build", what);
	e->kind = ERR_CONFIG;
	return -EINVAL;
}

static bool given(const char *s)
{
	return s && s[0];
}

int plan_refuse_process(const struct facts *f, const struct oci_process *proc, const char *where, struct err *e)
{
	char path[160];
	const struct { bool set; const char *member, *what; } rows[] = {
		{ given(proc->apparmor_profile), "apparmorProfile", f->apparmor ? "an AppArmor profile is" : "AppArmor is not active on this host, and profiles are" },
		{ given(proc->selinux_label), "selinuxLabel", f->selinux ? "an SELinux label is" : "SELinux is not active on this host, and labels are" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].set)
			continue;
		snprintf(path, sizeof(path), "%s.%s", where, rows[i].member);
		return refuse(e, path, rows[i].what);
	}
	return 0;
}

int plan_refuse(const struct facts *f, const struct oci_config *c, struct err *e)
{
	static const struct oci_linux no_linux;
	const struct oci_linux *l = c->linux_ ? c->linux_ : &no_linux;
	const struct { bool set; const char *path, *what; } rows[] = {
		{ given(l->mount_label), "linux.mountLabel", f->selinux ? "a mount label is" : "SELinux is not active on this host, and labels are" },
	};

	if (f->euid != 0 || f->in_userns)
		return err_set(e, ERR_UNSUPPORTED, 0, "running as uid %u%s is not supported by this build: it needs root in the initial user namespace", f->euid,
			       f->in_userns ? " in a user namespace" : "");
	if (!c->linux_)
		return err_config(e, "linux", "is needed for a container on Linux");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].set)
			return refuse(e, rows[i].path, rows[i].what);
	return c->process ? plan_refuse_process(f, c->process, "process", e) : 0;
}
