/* SPDX-License-Identifier: Apache-2.0 */
/* check: what the configuration names on this host. Only looked at; nothing below the rootfs (that is hull-init's, in the container's own world). */
#include "lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "sys/ns.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Everything relative counts from the bundle. */
static const char *host_path(struct check *c, const char *path)
{
	return path[0] == '/' ? path : check_text(c, "%s/%s", c->bundle, path);
}

static bool missing(struct check *c, const char *where, const char *written, const char *path, struct stat *st)
{
	if (stat(path, st) == 0)
		return false;
	check_add(c, HULL_ERROR, where, "\"%s\" — %s", written, err_text(errno));
	return true;
}

static void check_rootfs(struct check *c)
{
	const char *written = c->cfg->root->path, *path = host_path(c, written);
	struct stat st;

	if (!missing(c, "root.path", written, path, &st) && !S_ISDIR(st.st_mode))
		check_add(c, HULL_ERROR, "root.path", "\"%s\" — %s", written, err_text(ENOTDIR));
}

static bool is_bind(const struct oci_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (streq(m->options.v[i], "bind") || streq(m->options.v[i], "rbind"))
			return true;
	return m->type && streq(m->type, "bind");
}

static bool is_remount(const struct oci_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (streq(m->options.v[i], "remount"))
			return true;
	return false;
}

/* Lines of /proc/filesystems: "nodev\ttmpfs\n" or "\text4\n". */
static bool kernel_has_filesystem(const char *known, const char *type)
{
	size_t n = strlen(type);

	for (const char *s = strstr(known, type); s; s = strstr(s + 1, type))
		if (s > known && s[-1] == '\t' && s[n] == '\n')
			return true;
	return false;
}

static void check_mounts(struct check *c)
{
	char known[8192];
	ssize_t n = io_read_at(AT_FDCWD, "/proc/filesystems", known, sizeof(known));
	struct stat st;

	for (size_t i = 0; i < c->cfg->n_mounts; i++) {
		const struct oci_mount *m = &c->cfg->mounts[i];
		const char *where = check_text(c, "mounts[%zu]", i);
		if (is_remount(m))
			continue;
		if (is_bind(m) && m->source && m->source[0])
			missing(c, check_text(c, "%s.source", where), m->source, host_path(c, m->source), &st);
		if (is_bind(m) || n < 0 || !m->type || streq(m->type, "cgroup") || kernel_has_filesystem(known, m->type))
			continue;
		check_add(c, HULL_WARNING, check_text(c, "%s.type", where), "\"%s\" — this kernel doesn't have it at the moment; a module may add it", m->type);
	}
}

static void check_hook(struct check *c, const char *where, const struct oci_hook *h)
{
	struct stat st;

	if (missing(c, where, h->path, h->path, &st))
		return;
	if (!S_ISREG(st.st_mode))
		check_add(c, HULL_ERROR, where, "\"%s\" — is not a regular file", h->path);
	else if (faccessat(AT_FDCWD, h->path, X_OK, AT_EACCESS) < 0)
		check_add(c, HULL_ERROR, where, "\"%s\" — can't be executed: %s", h->path, err_text(errno));
}

static void check_hooks(struct check *c)
{
	static const struct oci_hooks none;
	const struct oci_hooks *h = c->cfg->hooks ? c->cfg->hooks : &none;
	const struct { const char *kind; const struct oci_hook *v; size_t n; } lists[] = {
		{ "prestart", h->prestart, h->n_prestart }, { "createRuntime", h->create_runtime, h->n_create_runtime },
		{ "createContainer", h->create_container, h->n_create_container }, { "poststart", h->poststart, h->n_poststart },
		{ "poststop", h->poststop, h->n_poststop },
	};

	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		for (size_t i = 0; i < lists[k].n; i++)
			check_hook(c, check_text(c, "hooks.%s[%zu].path", lists[k].kind, i), &lists[k].v[i]);
	for (size_t i = 0; i < h->n_start_container; i++)
		check_add(c, HULL_NOTE, check_text(c, "hooks.startContainer[%zu].path", i), "\"%s\" — is looked up in the container", h->start_container[i].path);
}

static void check_namespace(struct check *c, const char *where, const struct oci_namespace *ns)
{
	scoped_fd int fd = ns_open(ns->path);

	if (fd < 0) {
		check_add(c, HULL_ERROR, where, "\"%s\" — %s", ns->path, fd == -ENOTTY ? "is not a namespace" : err_text(-fd));
		return;
	}
	int kind = ioctl(fd, NS_GET_NSTYPE);
	if (kind < 0)
		check_add(c, HULL_ERROR, where, "\"%s\" — %s", ns->path, err_text(errno));
	else if (plan_clone_flag(ns->type) && (uint32_t)kind != plan_clone_flag(ns->type))
		check_add(c, HULL_ERROR, where, "\"%s\" — is a namespace of another type than \"%s\"", ns->path, oci_namespace_word(ns->type));
}

/* A namespace that the kernel was built without has no file here. */
static void check_namespaces(struct check *c)
{
	static const char *const files[OCI_NS_MAX] = { [OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "net", [OCI_NS_MOUNT] = "mnt", [OCI_NS_IPC] = "ipc",
						       [OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user", [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time" };
	const struct oci_linux *l = c->cfg->linux_;

	for (size_t i = 0; i < l->n_namespaces; i++) {
		const struct oci_namespace *ns = &l->namespaces[i];
		const char *where = check_text(c, "linux.namespaces[%zu]", i);
		if (access(check_text(c, "/proc/self/ns/%s", files[ns->type]), F_OK) < 0)
			check_add(c, HULL_ERROR, check_text(c, "%s.type", where), "\"%s\" — this kernel has no such namespaces", oci_namespace_word(ns->type));
		if (ns->path)
			check_namespace(c, check_text(c, "%s.path", where), ns);
	}
}

/* Where the first directory would be made: the deepest one on the way to `path` that is there. */
static void check_cgroup_directory(struct check *c, const struct cg_hier *h, const char *path)
{
	char dir[PATH_MAX], procs[PATH_MAX + 16], text[64];
	int n = snprintf(dir, sizeof(dir), CGROUP_ROOT "%s%s%s", h->dir[0] ? "/" : "", h->dir, path);
	struct stat st;

	if (n < 0 || (size_t)n >= sizeof(dir))
		return;
	if (stat(dir, &st) == 0) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
		if (io_read_at(AT_FDCWD, procs, text, sizeof(text)) != 0)
			check_add(c, HULL_ERROR, "linux.cgroupsPath", "\"%s\" — %s holds processes already", path, dir);
	}
	while (stat(dir, &st) < 0 && strlen(dir) > strlen(CGROUP_ROOT))
		*strrchr(dir, '/') = '\0';
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
		check_add(c, HULL_ERROR, "linux.cgroupsPath", "\"%s\" — no cgroup can be made in %s: %s", path, dir, err_text(errno));
}

static void check_cgroup(struct check *c)
{
	const char *written = c->cfg->linux_->cgroups_path;
	char path[CG_PATH_MAX];
	struct err e;

	if (cg_path_resolve(written && written[0] ? written : NULL, "check", path, &e) < 0)
		return; /* the plan has said so */
	for (unsigned i = 0; i < c->facts.cg.n; i++)
		check_cgroup_directory(c, &c->facts.cg.h[i], path);
}

static void check_net_devices(struct check *c)
{
	const struct oci_linux *l = c->cfg->linux_;

	for (size_t i = 0; i < l->n_net_devices; i++)
		if (!if_nametoindex(l->net_devices[i].host_name))
			check_add(c, HULL_ERROR, check_text(c, "linux.netDevices.%s", l->net_devices[i].host_name), "there is no such network device in this namespace");
}

void check_host(struct check *c)
{
	check_rootfs(c);
	check_mounts(c);
	check_hooks(c);
	if (c->cfg->linux_) {
		check_namespaces(c);
		check_cgroup(c);
		check_net_devices(c);
	}
	if (c->cfg->process && c->cfg->process->args.n)
		check_add(c, HULL_NOTE, "process.args[0]", "\"%s\" — is looked up in the container", c->cfg->process->args.v[0]);
}
