/* SPDX-License-Identifier: Apache-2.0 */
/* AppArmor profile and SELinux labels. What can't be had is an error, never left out: a container that believes to be confined must be. */
#include "plan/plan.h"

static bool given(const char *s)
{
	return s && s[0];
}

static int inactive(struct err *e, const char *path, const char *text, const char *lsm)
{
	return err_config(e, path, "\"%s\" — %s is not active on this host", text, lsm);
}

int plan_add_labels(struct plan *p, const struct oci_process *proc, const char *where, struct err *e)
{
	struct blob_finale *f = &p->hdr.fin;

	if (given(proc->apparmor_profile)) {
		const char *path = plan_text(p, "%s.apparmorProfile", where);
		if (!p->facts->apparmor)
			return inactive(e, path, proc->apparmor_profile, "AppArmor");
		if (strpbrk(proc->apparmor_profile, "\n"))
			return err_config(e, path, "must be one line");
		/* "&PROFILE" stacks it on the caller's: the kernel reads it so. */
		f->apparmor = plan_strf(p, "exec %s", proc->apparmor_profile);
	}
	if (given(proc->selinux_label)) {
		if (!p->facts->selinux)
			return inactive(e, plan_text(p, "%s.selinuxLabel", where), proc->selinux_label, "SELinux");
		f->label = plan_str(p, proc->selinux_label);
	}
	return 0;
}

int plan_add_mount_label(struct plan *p, struct err *e)
{
	const char *label = p->cfg->linux_ ? p->cfg->linux_->mount_label : NULL;

	if (!given(label))
		return 0;
	if (!p->facts->selinux)
		return inactive(e, "linux.mountLabel", label, "SELinux");
	p->hdr.fin.mount_label = plan_str(p, label);
	return 0;
}

/* One superblock that all share can't have a label of its own: the kernel has labelled it already ("same superblock, different security settings"). */
enum label_way plan_label_way(const struct plan *p, const char *fstype)
{
	static const char *const shared[] = { "proc", "sysfs", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf", "binfmt_misc" };

	if (!p->hdr.fin.mount_label.off)
		return LABEL_NONE;
	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		if (streq(fstype, shared[i]))
			return LABEL_NONE;
	return streq(fstype, "mqueue") ? LABEL_ROOT : LABEL_CONTEXT;
}
