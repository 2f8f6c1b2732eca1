/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary caller's container in a user namespace that exists. Whoever made it, from the user namespace around it, has all capabilities in it and none outside: so hull-init is
 * born in there, and the plan is one for its root. What it maps and forbids only a member sees: a child that joins looks. (user_namespaces(7), Capabilities) */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/io.h"
#include "plan/plan.h"
#include "sys/ns.h"
#include "sys/sys.h"

/* Lines of at most 33 characters, 340 of them (map_write() in kernel/user_namespace.c). */
#define MAP_MAX 12288
/* Others in there may stop whoever joins them. */
#define LOOK_MS 10000

struct look {
	int32_t r;
	bool no_setgroups, procfs_pidns;
};

/* In there. We stay until we are killed, or the other end is closed. */
static NORETURN void look_around(int userns, int sock)
{
	struct look found = { .r = sys_setns(userns, CLONE_NEWUSER) };
	char c;

	/* No file system can be asked about where the caller's mounts are. */
	if (found.r == 0)
		found.r = sys_unshare(CLONE_NEWNS);
	if (found.r == 0)
		facts_detect_inside(&found.no_setgroups, &found.procfs_pidns);
	fd_send(sock, &found, sizeof(found), -1);
	while (read(sock, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* From outside, where the numbers are the caller's. */
static int read_map(pid_t pid, const char *name, char text[MAP_MAX])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	ssize_t n = io_read_at(AT_FDCWD, path, text, MAP_MAX);
	return n < 0 ? (int)n : 0;
}

static int look_inside(int userns, struct look *ret, char uid_map[MAP_MAX], char gid_map[MAP_MAX])
{
	int pair[2], none;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	scoped_fd int ours = pair[0], theirs = pair[1];
	pid_t pid = sys_fork(SIGCHLD, NULL);
	if (pid == 0) {
		close(ours);
		look_around(userns, theirs);
	}
	if (pid < 0)
		return pid;
	fd_close(&theirs);
	int r = fd_set_patience(ours, LOOK_MS);
	if (r == 0) {
		ssize_t n = fd_recv(ours, ret, sizeof(*ret), &none, 0);
		r = n == (ssize_t)sizeof(*ret) ? ret->r : n == -EAGAIN ? -ETIMEDOUT : -ECHILD;
	}
	if (r == 0)
		r = read_map(pid, "uid_map", uid_map);
	if (r == 0)
		r = read_map(pid, "gid_map", gid_map);
	sys_put_down(pid);
	return r;
}

/* ---- a namespace that the caller has no right to ---- */

static const char *word_of(int kind)
{
	for (int t = OCI_NS_NONE + 1; t < OCI_NS_MAX; t++)
		if (plan_clone_flag((enum oci_namespace_type)t) == (uint32_t)kind)
			return oci_namespace_word((enum oci_namespace_type)t);
	return "unknown";
}

static int refuse(const struct facts *f, int fd, const char *path, const char *where, struct err *e)
{
	uid_t owner;

	if (ioctl(fd, NS_GET_OWNER_UID, &owner) < 0)
		return err_config(e, where, "\"%s\" — the caller, uid %u, has no right to it", path, f->euid);
	if (owner != f->euid)
		return err_config(e, where, "\"%s\" — belongs to uid %u: the caller, uid %u without CAP_SYS_ADMIN, has no right to it", path, owner, f->euid);
	return err_config(e, where, "\"%s\" — was not made from the caller's own user namespace: it has no right to it", path);
}

static int open_userns(const char *path, const char *where, struct err *e)
{
	scoped_fd int fd = ns_open(path);
	scoped_fd int own = ns_open("/proc/self/ns/user");

	if (fd < 0)
		return err_config(e, where, "\"%s\" — %s", path, fd == -ENOTTY ? "is not a namespace" : err_text(-fd));
	int kind = ioctl(fd, NS_GET_NSTYPE);
	if (kind != (int)CLONE_NEWUSER)
		return err_config(e, where, "\"%s\" — is a namespace of type \"%s\", not \"user\"", path, word_of(kind));
	if (own >= 0 && ns_is_same(fd, own))
		return err_config(e, where, "\"%s\" — is the caller's own user namespace, in which it has no rights", path);
	return take_fd(&fd);
}

/* ---- what the plan is told ---- */

/* Lines "INSIDE OUTSIDE COUNT", the caller's numbers outside. */
static int read_mappings(char *text, struct oci_arena *a, struct oci_id_mapping **ret, size_t *ret_n)
{
	struct oci_id_mapping *m;
	size_t n = 0;
	char *save = NULL;

	for (const char *s = text; *s; s++)
		n += *s == '\n';
	*ret = m = oci_arena_alloc(a, (n + 1) * sizeof(*m));
	if (!m)
		return -ENOMEM;
	*ret_n = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned in, out, size;
		if (sscanf(line, "%u %u %u", &in, &out, &size) != 3)
			return -EPROTO;
		m[(*ret_n)++] = (struct oci_id_mapping){ { true, in }, { true, out }, { true, size } };
	}
	return 0;
}

struct id_list { const char *where; char *text; struct oci_id_mapping **m; size_t *n; uint32_t own; };

/* The namespace's own mappings take the place of the configuration's, which may be there to say who its root is. */
static int take_mappings(struct facts *f, const struct id_list *l, struct oci_arena *a, struct err *e)
{
	struct oci_id_mapping *m;
	uint32_t root, said, inside = 0;
	size_t n;
	int r = read_mappings(l->text, a, &m, &n);

	if (r < 0)
		return err_sys(e, r, "read the mappings of the user namespace");
	if (!plan_map_id(m, n, 0, &root))
		return err_config(e, l->where, "the user namespace maps no id 0, as which the container is set up");
	if (*l->n && (!plan_map_id(*l->m, *l->n, 0, &said) || said != root))
		return err_config(e, l->where, "the user namespace maps 0 to %u, which is not what is said here", root);
	for (size_t i = 0; i < n; i++)
		inside += l->own >= m[i].host_id.v && l->own - m[i].host_id.v < m[i].size.v;
	f->shown_inside &= inside > 0;
	*l->m = m;
	*l->n = n;
	return 0;
}

int facts_join_userns(struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e)
{
	struct oci_linux *l = cfg->linux_;
	const struct oci_namespace *user = plan_find_namespace(cfg, OCI_NS_USER);
	struct look look = { 0 };
	const char *where;
	int r = 0;

	if (!facts_is_ordinary(f) || !user || !user->path)
		return 0;
	where = oci_arena_printf(a, "linux.namespaces[%zu].path", (size_t)(user - l->namespaces));
	char *uid_map = oci_arena_alloc(a, MAP_MAX), *gid_map = oci_arena_alloc(a, MAP_MAX);
	if (!uid_map || !gid_map || !where)
		return err_sys(e, -ENOMEM, "look at the user namespace");
	scoped_fd int fd = f->foreign ? -EBADF : open_userns(user->path, where, e);
	if (fd < 0 && !f->foreign)
		return fd;
	const struct id_list lists[] = { { "linux.uidMappings", uid_map, &l->uid_mappings, &l->n_uid_mappings, f->euid },
					 { "linux.gidMappings", gid_map, &l->gid_mappings, &l->n_gid_mappings, f->egid } };
	if (fd >= 0)
		r = look_inside(fd, &look, uid_map, gid_map);
	if (r == -EPERM)
		return refuse(f, fd, user->path, where, e);
	if (r < 0)
		return err_at(e, err_sys(e, r, "join the user namespace %s", user->path), where);
	f->shown_inside = true;
	for (size_t i = 0; i < ARRAY_LEN(lists) && r == 0 && fd >= 0; i++)
		r = take_mappings(f, &lists[i], a, e);
	f->joins_userns = f->in_userns = f->foreign_mounts = true;
	f->caps = ~0ull >> (63 - f->last_cap);
	f->no_setgroups = look.no_setgroups;
	f->procfs_pidns = look.procfs_pidns;
	return r;
}
