/* SPDX-License-Identifier: Apache-2.0 */
/* The user namespace that an ordinary caller makes around the container's (plan_outer.c). A process is there only to be looked at until its maps are written: our
 * child, not reaped before, so that its number can't become another's. The rights to write maps of more than the caller's own id are newuidmap's and
 * newgidmap's, which are looked for where only the administrator can put them: PATH may come from anybody. (newuidmap(1), user_namespaces(7)) */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "sys/sys.h"

/* Where distributions have set-user-ID programs; the last two are NixOS's and Guix's. */
static const char *const helper_dirs[] = { "/usr/bin", "/usr/local/bin", "/bin", "/run/wrappers/bin", "/run/privileged/bin" };

struct holder {
	pid_t pid;
	int sock;
};

/* Memory is a copy of ours, which other processes of the caller may look at: they could look at us as well, were it not that our maps
 * belong to the administrator while we are non-dumpable. */
static NORETURN void hold(int sock)
{
	char c = 0;

	if (dup2(sock, 0) != 0 || syscall(SYS_close_range, 1U, ~0U, 0U) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		_exit(1);
	if (write(0, &c, 1) != 1)
		_exit(1);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static const struct { int code; const char *why; } refusals[] = {
	{ EPERM, " (sysctl kernel.unprivileged_userns_clone, a seccomp filter or a chroot may forbid it)" },
	{ ENOSPC, " (the limit is sysctl user.max_user_namespaces)" },
	{ EUSERS, " (the limit is sysctl user.max_user_namespaces)" },
};

static int refused(int r, struct err *e)
{
	const char *why = "";

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (r == -refusals[i].code)
			why = refusals[i].why;
	return err_sys(e, r, "make a user namespace as an ordinary user%s", why);
}

static int holder_start(struct holder *ret, struct err *e)
{
	int pair[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	scoped_fd int ours = pair[0], theirs = pair[1];
	pid_t pid = sys_fork(CLONE_NEWUSER | SIGCHLD, NULL);
	if (pid == 0)
		hold(theirs);
	if (pid < 0)
		return refused(pid, e);
	*ret = (struct holder){ .pid = pid, .sock = take_fd(&ours) };
	close(take_fd(&theirs));
	if (read(ret->sock, &c, 1) == 1)
		return 0;
	return err_set(e, ERR_PEER, 0, "the process that holds a user namespace died");
}

static void holder_end(struct holder *h)
{
	fd_close(&h->sock);
	if (h->pid <= 0)
		return;
	sys_put_down(h->pid);
}

static int write_file(pid_t pid, const char *name, const char *text, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
	return r < 0 ? err_sys(e, r, "write %s of the user namespace", name) : 0;
}

/* Nobody but the administrator may have put it there. */
static bool is_trusted(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 022) && (st.st_uid == 0 || st.st_uid != geteuid());
}

static int find_helper(const char *name, char path[64], struct err *e)
{
	char text[128];
	struct buf dirs;

	for (size_t i = 0; i < ARRAY_LEN(helper_dirs); i++) {
		snprintf(path, 64, "%s/%s", helper_dirs[i], name);
		if (access(path, X_OK) == 0 && is_trusted(path))
			return 0;
	}
	buf_init(&dirs, text, sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(helper_dirs); i++)
		buf_printf(&dirs, "%s%s", i == 0 ? "" : i + 1 < ARRAY_LEN(helper_dirs) ? ", " : " or ", helper_dirs[i]);
	return err_set(e, ERR_UNSUPPORTED, ENOENT, "%s is not in %s (Debian: package uidmap): without it an ordinary user can map its own id only", name, dirs.s);
}

/* NAME PID INSIDE OUTSIDE COUNT … */
static int run_helper(const char *name, pid_t pid, const char *map, int timeout_ms, struct oci_arena *a, struct err *e)
{
	char path[64], number[NUM_U64_MAX_CHARS], *save = NULL;
	size_t n = 0;
	int r = find_helper(name, path, e);

	if (r < 0)
		return r;
	char *text = oci_arena_strdup(a, map);
	const char **args = oci_arena_alloc(a, (strlen(map) / 2 + 4) * sizeof(*args));
	if (!text || !args)
		return err_sys(e, -ENOMEM, "run %s", name);
	num_print_u64(number, (uint64_t)pid);
	args[n++] = name;
	args[n++] = number;
	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		args[n++] = w;
	args[n] = NULL;
	return hooks_run_helper(path, args, timeout_ms, e);
}

static int write_maps(const struct plan *p, pid_t pid, int timeout_ms, struct err *e)
{
	const struct plan_outer *o = &p->outer;
	int r = o->own_uid ? write_file(pid, "uid_map", o->uid_map, e) : run_helper("newuidmap", pid, o->uid_map, timeout_ms, p->arena, e);

	if (r < 0)
		return err_at(e, r, "linux.uidMappings");
	/* The kernel lets a group be mapped by who has no right to it only where nobody can drop one. */
	r = o->own_gid ? write_file(pid, "setgroups", "deny", e) : 0;
	if (r == 0)
		r = o->own_gid ? write_file(pid, "gid_map", o->gid_map, e) : run_helper("newgidmap", pid, o->gid_map, timeout_ms, p->arena, e);
	return r < 0 ? err_at(e, r, "linux.gidMappings") : 0;
}

int outer_userns(const struct plan *p, int timeout_ms, struct err *e)
{
	struct holder h = { .sock = -1 };
	char path[64];
	int r = holder_start(&h, e);

	if (r == 0)
		r = write_maps(p, h.pid, timeout_ms, e);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)h.pid);
	scoped_fd int fd = r < 0 ? -EBADF : open(path, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = err_sys(e, -errno, "open the user namespace");
	holder_end(&h);
	return r < 0 ? r : take_fd(&fd);
}
