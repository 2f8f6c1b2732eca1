/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/labels.h"

#include <dlfcn.h>
#include <errno.h>
#include <selinux/selinux.h>
#include <stdio.h>

#include "base/err.h"

/* What hull needs of libselinux. It is loaded when a configuration has a label and not before: its constructors, and those of the libraries that it needs, cost
 * every other command a tenth of a millisecond. */
struct selinux_calls {
	int (*trans_to_raw)(const char *label, char **ret);
	int (*check_raw)(const char *label);
	void (*free_label)(char *label);
};

#ifdef HULL_STATIC
static int load_selinux(struct selinux_calls *ret, struct err *e)
{
	(void)e;
	*ret = (struct selinux_calls){ selinux_trans_to_raw_context, security_check_context_raw, freecon };
	return 0;
}
#else
static int load_selinux(struct selinux_calls *ret, struct err *e)
{
	static const char library[] = "libselinux.so.1";
	void *h = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!h)
		return err_set(e, ERR_UNSUPPORTED, 0, "SELinux is active, but %s can't be loaded: %s", library, dlerror());
	/* POSIX: the object pointer that dlsym returns holds a function's address. */
	*(void **)&ret->trans_to_raw = dlsym(h, "selinux_trans_to_raw_context");
	*(void **)&ret->check_raw = dlsym(h, "security_check_context_raw");
	*(void **)&ret->free_label = dlsym(h, "freecon");
	if (!ret->trans_to_raw || !ret->check_raw || !ret->free_label)
		return err_set(e, ERR_UNSUPPORTED, 0, "SELinux is active, but %s lacks a function: %s", library, dlerror());
	return 0;
}
#endif

static int resolve(const char **label, const char *path, struct oci_arena *a, struct err *e)
{
	struct selinux_calls calls = { 0 };
	char *raw = NULL;
	int r = load_selinux(&calls, e);

	if (r < 0)
		return err_at(e, r, path);
	if (calls.trans_to_raw(*label, &raw) < 0)
		return err_at(e, err_sys(e, -errno, "SELinux: translate the label \"%s\"", *label), path);
	if (calls.check_raw(raw) < 0)
		r = errno == EINVAL ? err_config(e, path, "\"%s\" — the SELinux policy of this host has no such context", *label)
				    : err_at(e, err_sys(e, -errno, "SELinux: check the label \"%s\"", *label), path);
	if (r == 0)
		*label = oci_arena_strdup(a, raw);
	calls.free_label(raw);
	return r < 0 || *label ? r : err_sys(e, -ENOMEM, "SELinux label");
}

int labels_of_process(const struct facts *f, struct oci_process *proc, const char *where, struct oci_arena *a, struct err *e)
{
	char path[160];

	if (!f->selinux || f->foreign || !proc->selinux_label || !proc->selinux_label[0])
		return 0;
	snprintf(path, sizeof(path), "%s.selinuxLabel", where);
	return resolve(&proc->selinux_label, path, a, e);
}

int labels_of_config(const struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e)
{
	int r = cfg->process ? labels_of_process(f, cfg->process, "process", a, e) : 0;

	if (r < 0 || !f->selinux || f->foreign || !cfg->linux_ || !cfg->linux_->mount_label || !cfg->linux_->mount_label[0])
		return r;
	return resolve(&cfg->linux_->mount_label, "linux.mountLabel", a, e);
}
