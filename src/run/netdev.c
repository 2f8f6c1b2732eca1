/* SPDX-License-Identifier: Apache-2.0 */
#include "run/netdev.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "sys/net.h"

#define ADDRESSES_MAX 65536

/* The sockets of both sides; the container's namespace must not be ours, or the devices would only be renamed. */
static int open_sides(struct netdevs *d, int *ret_there_ns, struct err *e)
{
	struct stat a, b;
	int r = net_check(d->there);

	if (r < 0)
		return err_sys(e, r, "look at the netlink socket from init");
	d->here = net_open();
	if (d->here < 0)
		return err_sys(e, d->here, "open a netlink socket");
	scoped_fd int here_ns = net_namespace(d->here), there_ns = net_namespace(d->there);
	if (here_ns < 0 || there_ns < 0)
		return err_sys(e, here_ns < 0 ? here_ns : there_ns, "look at a network namespace");
	if (fstat(here_ns, &a) < 0 || fstat(there_ns, &b) < 0)
		return err_sys(e, -errno, "compare the network namespaces");
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return err_config(e, "linux.netDevices", "the container's network namespace is the runtime's own");
	*ret_there_ns = take_fd(&there_ns);
	return 0;
}

/* Its own index where that is free there, else the next free one. Known beforehand, it is the device's identity after the move, whatever
 * the kernel names it. */
static int choose_index(int there, int index)
{
	struct net_link l;

	for (int i = index; i < INT32_MAX && i - index < 65536; i++) {
		int r = net_link_get(there, NULL, i, &l);
		if (r == -ENODEV)
			return i;
		if (r < 0)
			return r;
	}
	return -EBUSY;
}

/* The name must be free in the container, or the device would arrive there and keep its old one. */
static int check_name(int there, const char *name)
{
	struct net_link l;
	int r;

	if (strchr(name, '%'))
		return 0;
	r = net_link_get(there, name, 0, &l);
	return r == 0 ? -EEXIST : r == -ENODEV ? 0 : r;
}

static int look_at(const struct plan *p, const struct netdevs *d, struct netdev *v, const char *name)
{
	struct net_link l;
	int r = net_link_get(d->here, v->name, 0, &l);

	if (r == 0)
		r = check_name(d->there, name);
	if (r == 0)
		r = v->new_index = choose_index(d->there, l.index);
	if (r < 0)
		return r;
	v->index = l.index;
	v->was_up = l.flags & IFF_UP;
	v->addresses = oci_arena_alloc(p->arena, ADDRESSES_MAX);
	if (!v->addresses)
		return -ENOMEM;
	r = net_addresses(d->here, v->index, v->addresses, ADDRESSES_MAX);
	v->len = r < 0 ? 0 : (size_t)r;
	return r < 0 ? r : 0;
}

static int move_one(const struct netdevs *d, struct netdev *v, int there_ns, const char *name)
{
	struct net_link l;
	int r = net_link_move(d->here, v->index, there_ns, v->new_index, name);

	/* It may have arrived although the call failed. */
	v->moved = r == 0 || net_link_get(d->there, NULL, v->new_index, &l) == 0;
	if (r == 0)
		r = net_add_addresses(d->there, v->new_index, v->addresses, v->len);
	return r == 0 ? net_link_up(d->there, v->new_index) : r;
}

static int explain(const struct plan *p, const struct step *s, const char *from, const char *to, int r, struct err *e)
{
	if (r == -EEXIST)
		err_set(e, ERR_SYS, EEXIST, "move network device %s: a device called %s is in the container's network namespace", from, to);
	else if (r == -EINVAL || r == -EOPNOTSUPP)
		err_sys(e, r, "move network device %s to the container as %s (is it bound to its network namespace?)", from, to);
	else
		err_sys(e, r, "move network device %s to the container as %s", from, to);
	return err_at(e, r, p->mem + s->origin.off);
}

int netdev_move(const struct plan *p, int there, struct netdevs *ret, struct err *e)
{
	scoped_fd int there_ns = -EBADF;

	*ret = (struct netdevs){ .here = -1, .there = there };
	int r = open_sides(ret, &there_ns, e);
	if (r == 0 && !(ret->v = oci_arena_alloc(p->arena, p->n_steps * sizeof(*ret->v) + 1)))
		r = err_sys(e, -ENOMEM, "move network devices");
	for (size_t i = p->hdr.first[PH_IDENT]; i < p->hdr.first[PH_IDENT + 1] && r == 0; i++) {
		const struct step *s = &p->steps[i];
		if (s->op != STEP_NETDEV)
			continue;
		const char *name = p->mem + s->u.write.value.off;
		struct netdev *v = &ret->v[ret->n++];
		*v = (struct netdev){ .name = p->mem + s->u.write.name.off };
		r = look_at(p, ret, v, name);
		if (r == 0)
			r = move_one(ret, v, there_ns, name);
		if (r < 0)
			r = explain(p, s, v->name, name, r, e);
	}
	return r;
}

static int give_back(const struct netdevs *d, const struct netdev *v, int here_ns)
{
	int r = net_link_move(d->there, v->new_index, here_ns, v->index, v->name);

	if (r == 0)
		r = net_add_addresses(d->here, v->index, v->addresses, v->len);
	return r == 0 && v->was_up ? net_link_up(d->here, v->index) : r;
}

void netdev_undo(struct netdevs *d)
{
	scoped_fd int here_ns = d->n ? net_namespace(d->here) : -EBADF;

	while (d->n > 0) {
		const struct netdev *v = &d->v[--d->n];
		int r = v->moved ? here_ns : 0;
		if (r >= 0 && v->moved)
			r = give_back(d, v, here_ns);
		if (r < 0)
			log_warn("network device %s could not be given back: %s", v->name, err_text(-r));
	}
	netdev_close(d);
}

void netdev_close(struct netdevs *d)
{
	fd_close(&d->here);
	fd_close(&d->there);
	d->n = 0;
}
