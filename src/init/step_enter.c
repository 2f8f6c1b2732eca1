/* SPDX-License-Identifier: Apache-2.0 */
/* cgroups and namespaces: what S enters before anything is mounted. */
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/io.h"
#include "init/init.h"
#include "sys/idmap.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

static const struct {
	uint32_t flag;
	const char *file, *word; /* below /proc/self/ns; in config.json */
} namespaces[] = {
	{ CLONE_NEWNET, "net", "network" },	 { CLONE_NEWIPC, "ipc", "ipc" },    { CLONE_NEWUTS, "uts", "uts" },
	{ CLONE_NEWNS, "mnt", "mount" },	 { CLONE_NEWPID, "pid", "pid" },    { CLONE_NEWUSER, "user", "user" },
	{ CLONE_NEWCGROUP, "cgroup", "cgroup" }, { CLONE_NEWTIME, "time", "time" },
};

static const char *word_of(uint32_t flag)
{
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		if (namespaces[i].flag == flag)
			return namespaces[i].word;
	return "unknown";
}

static const char *file_of(uint32_t flag)
{
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		if (namespaces[i].flag == flag)
			return namespaces[i].file;
	return "";
}

/* The host opened the file: its rights count, not ours. A thread that moves itself waits for nobody (0 instead of
 * a pid; speed.md). */
int step_tasks(struct init *in, const struct step *s)
{
	ssize_t n = write(init_slot(in, s->in), "0", 1);

	return n < 0 ? -errno : 0;
}

/* O_PATH first: a path of the configuration may lead to a FIFO, a device or a file system that doesn't answer. */
static int open_namespace(struct init *in, const char *path)
{
	scoped_fd int probe = open(path, O_PATH | O_CLOEXEC);
	struct statfs fs;

	if (probe < 0)
		return -errno;
	if (fstatfs(probe, &fs) < 0)
		return -errno;
	if (fs.f_type != NSFS_MAGIC)
		return err_set(&in->err, ERR_CONFIG, 0, "\"%s\" is not a namespace", path);
	int r = init_procfs(in);
	return r < 0 ? r : procfs_reopen(&in->proc, probe, O_RDONLY);
}

static int check_kind(struct init *in, int fd, const struct step *s)
{
	int kind = ioctl(fd, NS_GET_NSTYPE);

	if (kind < 0)
		return -errno;
	if ((uint32_t)kind != s->u.join.ns)
		return err_set(&in->err, ERR_CONFIG, 0, "\"%s\" is a namespace of type \"%s\", not \"%s\"",
			       init_str(in, s->u.join.path), word_of((uint32_t)kind), word_of(s->u.join.ns));
	return 0;
}

/* "Joined" may mean the host's own namespace (CVE-2022-0532): what is set in it would be set on the host. */
static int check_differs(struct init *in, int fd, const struct step *s)
{
	scoped_fd int own = procfs_ns(&in->proc, file_of(s->u.join.ns));
	struct stat a, b;

	if (own < 0)
		return own;
	if (fstat(fd, &a) < 0 || fstat(own, &b) < 0)
		return -errno;
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return err_set(
			&in->err, ERR_CONFIG, 0,
			"\"%s\" is the host's own %s namespace: what the configuration sets there would change the host",
			init_str(in, s->u.join.path), word_of(s->u.join.ns));
	return 0;
}

int step_join(struct init *in, const struct step *s)
{
	scoped_fd int fd = open_namespace(in, init_str(in, s->u.join.path));
	int r = fd;

	if (r >= 0)
		r = check_kind(in, fd, s);
	if (r >= 0 && (s->u.join.flags & JOIN_MUST_DIFFER))
		r = check_differs(in, fd, s);
	if (r < 0)
		return r;
	/* A pid namespace is joined by S's last act only (attacks-tried C1): until then its fd waits in a slot. */
	if (s->out >= 0) {
		in->slots[s->out] = take_fd(&fd);
		return 0;
	}
	return sys_setns(fd, (int)s->u.join.ns);
}

/* The root of the container's init by its /proc/PID/root. The pidfd tells afterwards that the number was still that process's. */
static int open_init_root(struct init *in, const struct step *s)
{
	scoped_fd int fd = open(init_str(in, s->u.join.path), O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = sys_pidfd_send_signal(init_slot(in, s->in), 0);
	if (r < 0)
		return r;
	in->slots[s->out] = take_fd(&fd);
	return 0;
}

int step_join_init(struct init *in, const struct step *s)
{
	int r = s->out >= 0 ? open_init_root(in, s) : 0;

	if (r < 0)
		return r;
	/* In the container's user namespace the host's rights are gone: what needs them comes first. */
	if (s->u.join.ns & CLONE_NEWUSER) {
		r = finale_oom(in);
		if (r == 0)
			r = finale_raise_limits(in);
		if (r == 0)
			r = init_procfs(in);
		/* The container's root has all rights over who enters, but none over who isn't dumpable (SEC-51). */
		creds_show(false);
		if (r == 0)
			r = creds_guard();
	}
	if (r == 0 && s->u.join.ns)
		r = sys_setns(init_slot(in, s->in), (int)s->u.join.ns);
	in->pid_joined = s->u.join.ns & CLONE_NEWPID;
	return r == 0 && (s->u.join.ns & CLONE_NEWUSER) ? userns_joined(in) : r;
}

/* Who makes a time namespace is not in it but its children are; setns takes us in, too. Then the offsets are frozen (time_namespaces(7)). */
int step_time(struct init *in, const struct step *s)
{
	const char *lines = init_str(in, s->u.write.value);
	int r = init_procfs(in);

	if (r == 0)
		r = sys_unshare(CLONE_NEWTIME);
	if (r == -EINVAL)
		return err_set(&in->err, ERR_UNSUPPORTED, EINVAL, "this kernel has no time namespaces (CONFIG_TIME_NS)");
	if (r == 0 && lines) {
		scoped_fd int fd = procfs_self(&in->proc, "timens_offsets", O_WRONLY);
		r = fd < 0 ? fd : io_write_all(fd, lines, strlen(lines));
		if (r == -ERANGE)
			return err_set(&in->err, ERR_CONFIG, ERANGE, "the offsets lead out of the range of the clocks");
		if (r < 0)
			return err_sys(&in->err, r, "write the offsets");
	}
	scoped_fd int ns = r < 0 ? r : procfs_ns(&in->proc, "time_for_children");
	return ns < 0 ? ns : sys_setns(ns, CLONE_NEWTIME);
}

int step_idmap(struct init *in, const struct step *s)
{
	int r = init_procfs(in);

	if (r == 0)
		r = idmap_userns(&in->proc, init_str(in, s->u.idmap.uid_map), init_str(in, s->u.idmap.gid_map));
	if (r < 0)
		return r;
	in->slots[s->out] = r;
	return 0;
}

/* Ubuntu lets everybody make a user namespace, but gives no right in it (apparmor_restrict_unprivileged_userns, 23.10). */
static const char *confinement(void)
{
	char text[4] = "";
	scoped_fd int fd = open("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, text, 1) == 1 && text[0] == '1' ? " (AppArmor: sysctl kernel.apparmor_restrict_unprivileged_userns)" : "";
}

/* S as an ordinary user: with all rights in a user namespace around that of the container, and a mount namespace that belongs to it. */
int step_outer(struct init *in, const struct step *s)
{
	int fd = init_slot(in, s->in);
	int r = fd < 0 ? 0 : sys_setns(fd, CLONE_NEWUSER);

	if (r == 0)
		r = creds_guard();
	if (r < 0)
		return err_sys(&in->err, r, "enter the caller's user namespace");
	r = sys_unshare(CLONE_NEWNS);
	if (r < 0)
		return err_sys(&in->err, r, "copy the caller's mount namespace%s", confinement());
	r = sys_mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL);
	return r < 0 ? err_sys(&in->err, r, "detach the copy of the caller's mounts") : 0;
}

int step_unshare(struct init *in, const struct step *s)
{
	(void)in;
	return sys_unshare((int)s->u.unshare.ns);
}
