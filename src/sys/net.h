/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices by rtnetlink(7): look at one, move it to another network namespace, its addresses. A socket belongs to the namespace
 * in which it was opened, for ever: whoever holds it can work there without entering, and keeps the namespace alive.
 *
 * The messages are the kernel's own structures and macros (linux/rtnetlink.h). libmnl would save little of it, has no archive for the
 * static program in Debian, and each library that is loaded costs every command. */
#ifndef HULL_SYS_NET_H
#define HULL_SYS_NET_H

#include <net/if.h>
#include <stddef.h>

struct net_link {
	int index;
	unsigned flags; /* IFF_… */
	char name[IFNAMSIZ];
};

/* A NETLINK_ROUTE socket of the caller's network namespace. Returns the fd or -errno. */
int net_open(void);
/* Is `fd` such a socket? 0 or -errno (-ENOTSOCK, -EPROTOTYPE). */
int net_check(int fd);
/* The network namespace of the socket: an nsfs fd (SIOCGSKNS; CAP_NET_ADMIN there) or -errno. */
int net_namespace(int nl);
/* Look a device up by name, or by `index` where `name` is NULL. Returns 0, -ENODEV or another -errno. */
int net_link_get(int nl, const char *name, int index, struct net_link *ret);
/* Move device `index` to the namespace `ns_fd`, where it becomes `new_index` (5.13) and gets the name or template ("eth%d") `name`. The
 * kernel takes its addresses and brings it down. The rename comes after the move: on failure it may have arrived under its old name.
 * Returns 0 or -errno: -EEXIST, a name is taken there; -EBUSY, the index is; -EINVAL, the device can't be moved. */
int net_link_move(int nl, int index, int ns_fd, int new_index, const char *name);
/* Bring it up. Returns 0 or -errno. */
int net_link_up(int nl, int index);
/* The permanent addresses of global scope (IFA_F_PERMANENT, RT_SCOPE_UNIVERSE), of every family, as the kernel's own messages in `buf` (aligned
 * for struct nlmsghdr). Returns the bytes used, -EMSGSIZE where they don't fit, or another -errno. */
int net_addresses(int nl, int index, void *buf, size_t size);
/* Give such addresses to the device `index`; one that it has already is no error. Returns 0 or -errno. */
int net_add_addresses(int nl, int index, const void *buf, size_t len);

#endif
