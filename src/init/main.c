/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way from exec to execve, one line a phase. */
#include "init/init.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/num.h"

#define KEEP_MAX (2 * BLOB_SLOTS_MAX)

static struct init self = {
	.ctl = { .fd = -1, .side = CTL_INIT, .last = CTL_NONE },
	.root_fd = -1,
	.rootfs_fd = -1,
	.root_source_fd = -1,
	.dev_fd = -1,
	.pts_fd = -1,
	.mask_dir_fd = -1,
	.mask_file_fd = -1,
	.hook_out_fd = -1,
	.hook_err_fd = -1,
	.mntns_fd = -1, .host_proc_fd = -1, .node_fd = -1,
	.role = WHO_S,
	.apart = { .pidfd = -1, .sync_fd = -1, .serve_fd = -1, .pidns_fd = -1 },
	.proc = { -1, -1 },
	.sysctl = { -1, -1 },
};

void init_phase(const char *name)
{
	char comm[16];

	snprintf(comm, sizeof(comm), "hull:%s", name);
	sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t)comm, 0, 0, 0);
}

void init_gone(int status)
{
	/* While a process exits, its fds can be taken although it is non-dumpable (CVE-2026-46333): nothing is
	 * open then. */
	sys_close_range(0, ~0u, 0);
	_exit(status);
}

void init_fail(struct init *in, int status)
{
	char unread[16];

	/* A call that is missing or blocked is refused by its name. */
	if (in->err.code == ENOSYS && !in->err.kernel[0] && sys_failed_call[0])
		snprintf(in->err.kernel, sizeof(in->err.kernel), "no %s", sys_failed_call);
	if (in->ctl.fd >= 0) {
		ctl_send_error(&in->ctl, &in->err);
		/* A socket that is closed with something unread in it (RELEASE may have crossed our message)
		 * resets the connection, and the host would read that before our last word. */
		shutdown(in->ctl.fd, SHUT_RD);
		while (recv(in->ctl.fd, unread, sizeof(unread), MSG_DONTWAIT) > 0)
			;
	}
	init_gone(status);
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

int init_close_but(struct init *in, const int *keep, size_t n)
{
	static int all[KEEP_MAX + 1];
	const int32_t *preserved = blob_list(in->b, in->b->preserved);
	size_t count = 0;
	unsigned next = 3;
	int r;

	if (n + in->b->preserved.n + 2 > KEEP_MAX)
		return -EMFILE;
	for (size_t i = 0; i < n; i++)
		if (keep[i] > 2)
			all[count++] = keep[i];
	for (uint32_t i = 0; i < in->b->preserved.n; i++)
		if (preserved[i] > 2)
			all[count++] = preserved[i];
	if (in->hook_out_fd > 2)
		all[count++] = in->hook_out_fd;
	if (in->hook_err_fd > 2)
		all[count++] = in->hook_err_fd;
	qsort(all, count, sizeof(all[0]), compare_int);
	for (size_t i = 0; i < count; i++) {
		unsigned fd = (unsigned)all[i];
		r = fd > next ? sys_close_range(next, fd - 1, 0) : 0;
		if (r < 0)
			return r;
		if (fd >= next)
			next = fd + 1;
	}
	return sys_close_range(next, ~0u, 0);
}

static void *pages(size_t size, int kind)
{
	void *p = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *init_pages(size_t size)
{
	return pages(size, MAP_PRIVATE);
}

void *init_shared_pages(size_t size)
{
	return pages(size, MAP_SHARED);
}

char **init_vector(struct init *in, struct blist l, const char *extra)
{
	char **v = init_pages(((size_t)l.n + 2) * sizeof(*v));

	for (uint32_t i = 0; v && i < l.n; i++)
		v[i] = (char *)(uintptr_t)init_list_str(in, l, i);
	if (v)
		v[l.n] = (char *)(uintptr_t)extra;
	return v;
}

static void send_log(void *arg, enum log_level level, const char *line)
{
	struct init *in = arg;

	if (in->ctl.fd >= 0)
		ctl_send(&in->ctl, CTL_LOG, level, line, strlen(line), -1);
}

static void check(struct init *in, int r)
{
	if (r >= 0)
		return;
	if (in->err.kind == ERR_NONE)
		err_sys(&in->err, r, "set up the container");
	init_fail(in, 1);
}

static void set_up(struct init *in, int plan_fd)
{
	init_phase("setup");
	check(in, setup_map(in, plan_fd));
	check(in, setup_fds(in));
	log_set_sink((struct log_sink){ send_log, in, (enum log_level)in->b->log_level });
	check(in, setup_self(in));
}

static void run_steps(struct init *in, enum phase phase, const char *name)
{
	init_phase(name);
	check(in, steps_run(in, phase));
}

static void make_tree(struct init *in)
{
	init_phase("tree");
	check(in, setup_tree(in));
}

static void birth_apart(struct init *in)
{
	init_phase("userns");
	check(in, userns_birth(in));
}

/* S makes the whole tree with the caller's rights, in a mount namespace of the caller's user namespace. What I gets is a copy of it, in which nothing can be
 * taken off or opened up again. I takes over with userns_enter; the process in which that returns is I. */
static void assemble_apart(struct init *in)
{
	/* Without a mount namespace of its own I is born where it will be. */
	bool leaves = in->fin->flags & FIN_CHROOT;

	if (!leaves)
		make_tree(in);
	birth_apart(in);
	if (in->role == WHO_S) {
		if (leaves)
			make_tree(in);
		run_steps(in, PH_IDENT, "ident");
		run_steps(in, PH_MOUNT, "mount");
		run_steps(in, PH_LOCK, "lock");
		check(in, verify_mounts(in));
	}
	init_phase("copy");
	check(in, userns_enter(in));
}

/* The namespaces, the tree and what is set in them. Nothing of it happens at exec but the first line. */
static void assemble(struct init *in)
{
	run_steps(in, PH_ENTER, "enter");
	check(in, sched_cpus(in));
	check(in, finale_oom(in));
	check(in, setup_open_root(in));
	run_steps(in, PH_SOURCE, "source");
	if (in->b->userns) {
		assemble_apart(in);
	} else {
		run_steps(in, PH_IDENT, "ident");
		make_tree(in);
		run_steps(in, PH_MOUNT, "mount");
	}
	run_steps(in, PH_HOOKS, "hooks");
	check(in, hook_create_container(in));
	init_phase("pivot");
	check(in, setup_pivot(in));
	run_steps(in, PH_MASK, "mask");
	check(in, in->b->userns ? verify_copies(in) : verify_mounts(in));
}

int main(int argc, char **argv)
{
	struct init *in = &self;
	uint64_t plan_fd;

	/* Without a plan there is nobody to tell. */
	if (argc != 2 || num_parse_u64(argv[1], INT32_MAX, &plan_fd) < 0)
		return 2;
	set_up(in, (int)plan_fd);
	assemble(in);
	init_phase("tty");
	check(in, tty_make(in));
	check(in, tty_stdio(in));
	check(in, setup_leave(in));
	init_phase("drop");
	check(in, finale_drop(in));
	if (!(in->fin->flags & FIN_NO_PROGRAM))
		check(in, finale_find_program(in));
	if (in->fin->flags & FIN_JOIN_PID) {
		init_phase("birth");
		check(in, exec_birth(in));
	}
	check(in, tty_take(in));
	init_phase("gate");
	check(in, gate_wait(in));
	init_phase("exec");
	exec_program(in);
}
