/* SPDX-License-Identifier: Apache-2.0 */
/* A filter with SCMP_ACT_NOTIFY has a listener, and somebody must have it before a call is asked about: the host, who gives it to the agent. After
 * the load no call of ours is safe: sendmsg itself may be one that waits for the agent's answer. So a thread is made before, which shares
 * the fds and has no filter; it hands the listener over and ends. We wait for it in memory, not in the kernel.
 *
 * It is a thread and no process: no child stays for the program, and no other process sees it. It holds nothing that we don't hold. */
#include <linux/seccomp.h>
#include <sched.h>
#include <time.h>

#include "base/fd.h"
#include "init/init.h"

#define NOT_YET INT32_MAX
#define STACK_SIZE 32768
#define PAUSE_NS 20000

struct courier {
	struct init *in;
	int fd;     /* what seccomp(2) gave: the listener or -errno */
	int result; /* of handing it over */
};

static int carry(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct courier *c = arg;
	int fd, r = 0;

	while ((fd = __atomic_load_n(&c->fd, __ATOMIC_ACQUIRE)) == NOT_YET)
		nanosleep(&pause, NULL);
	if (fd >= 0) {
		r = ctl_send(&c->in->ctl, CTL_LISTENER, 0, NULL, 0, fd);
		/* The fds are shared: the program doesn't get it. */
		close(fd);
	}
	__atomic_store_n(&c->result, r, __ATOMIC_RELEASE);
	return 0;
}

uint32_t listener_follows(const struct init *in)
{
	return (in->fin->flags & FIN_LISTENER) && !(in->fin->flags & FIN_FILTER_IN_S);
}

/* Returns the listener's fd, or -errno; *ret is what became of handing it over. */
static int load_beside_courier(struct init *in, const struct sock_fprog *prog, int *ret)
{
	static struct courier c = { .fd = NOT_YET, .result = NOT_YET };
	char *stack = init_pages(STACK_SIZE);

	c.in = in;
	if (!stack)
		return -ENOMEM;
	if (clone(carry, stack + STACK_SIZE, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, &c) < 0)
		return -errno;
	int fd = sys_seccomp(SECCOMP_SET_MODE_FILTER, in->fin->filter_flags, prog);
	__atomic_store_n(&c.fd, fd, __ATOMIC_RELEASE);
	while ((*ret = __atomic_load_n(&c.result, __ATOMIC_ACQUIRE)) == NOT_YET)
		;
	return fd;
}

/* S is going to make its child in another pid namespace, and such a process has no threads (clone(2), EINVAL). The plan has seen to it that what S does
 * now isn't asked about. */
static int load_in_s(struct init *in, const struct sock_fprog *prog, int *ret)
{
	int fd = sys_seccomp(SECCOMP_SET_MODE_FILTER, in->fin->filter_flags, prog);

	if (fd >= 0) {
		*ret = ctl_send(&in->ctl, CTL_LISTENER, 0, NULL, 0, fd);
		close(fd);
	}
	return fd;
}

int listener_load(struct init *in, const struct sock_fprog *prog)
{
	int sent = 0, r = listener_follows(in) ? load_beside_courier(in, prog, &sent) : load_in_s(in, prog, &sent);

	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "load the seccomp filter"), "linux.seccomp");
	return sent < 0 ? err_at(&in->err, err_sys(&in->err, sent, "hand over the seccomp listener"), "linux.seccomp") : 0;
}
