/* SPDX-License-Identifier: Apache-2.0 */
/* What the Linux security modules are to do at the next execve, and with a new keyring: files of our own process in a procfs that is really one (rule R6,
 * CVE-2019-16884, CVE-2025-52881). Each LSM checks what it is given; that a label or profile exists at all the host has asked before where it can.
 * (Documentation/admin-guide/LSM/apparmor.rst, proc(5) /proc/PID/attr) */
#include <string.h>

#include "base/fd.h"
#include "init/init.h"

/* One write: each is a command of its own. */
static int write_attr(struct init *in, const char *name, const char *text, size_t len)
{
	int r = init_procfs(in);

	if (r < 0)
		return r;
	scoped_fd int fd = procfs_self(&in->proc, name, O_WRONLY);
	if (fd < 0)
		return fd;
	ssize_t n = write(fd, text, len);
	return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

/* An answer of success to the write proves nothing: something must be there now. AppArmor answers EINVAL when nothing is. */
static int has_attr(struct init *in, const char *name)
{
	char text[16];
	scoped_fd int fd = procfs_self(&in->proc, name, O_RDONLY);

	if (fd < 0)
		return fd;
	ssize_t n = read(fd, text, sizeof(text));
	return n < 0 ? -errno : n > 0 ? 0 : -EIO;
}

static int set_attr(struct init *in, const char *name, const char *text, size_t len)
{
	int r = write_attr(in, name, text, len);

	return r == 0 ? has_attr(in, name) : r;
}

static int set_profile(struct init *in)
{
	const char *text = init_str(in, in->fin->apparmor);
	int r;

	if (!text)
		return 0;
	/* Before 5.8 it has no directory of its own. */
	r = set_attr(in, "attr/apparmor/exec", text, strlen(text));
	if (r == -ENOENT)
		r = set_attr(in, "attr/exec", text, strlen(text));
	if (r == 0)
		return 0;
	if (r == -ENOENT)
		err_set(&in->err, ERR_UNSUPPORTED, ENOENT, "AppArmor has no profile \"%s\"", text + strlen("exec "));
	else
		err_sys(&in->err, r, "AppArmor refuses the profile \"%s\"", text + strlen("exec "));
	return err_at(&in->err, r, "process.apparmorProfile");
}

static int set_label(struct init *in)
{
	const char *label = init_str(in, in->fin->label);
	int r;

	if (!label)
		return 0;
	/* With its NUL, as libselinux does. */
	r = set_attr(in, "attr/exec", label, strlen(label) + 1);
	if (r < 0)
		err_sys(&in->err, r, "SELinux refuses the label \"%s\"", label);
	return r < 0 ? err_at(&in->err, r, "process.selinuxLabel") : 0;
}

int lsm_prepare_exec(struct init *in)
{
	int r = set_profile(in);

	return r == 0 ? set_label(in) : r;
}

int lsm_label_keys(struct init *in, bool on)
{
	const char *label = init_str(in, in->fin->label);

	if (!label)
		return 0;
	return write_attr(in, "attr/keycreate", label, on ? strlen(label) + 1 : 0);
}

int lsm_label_mount(struct init *in, int mnt_fd)
{
	static const char name[] = "security.selinux";
	const char *label = init_str(in, in->fin->mount_label);
	int r = init_procfs(in);

	if (r < 0)
		return r;
	scoped_fd int fd = procfs_reopen(&in->proc, mnt_fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	return (int)sys_result("fsetxattr", syscall(SYS_fsetxattr, fd, name, label, strlen(label) + 1, 0));
}
