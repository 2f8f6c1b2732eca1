/* SPDX-License-Identifier: Apache-2.0 */
/* linux.netDevices: devices of the caller's network namespace go to the container's, with their addresses. A creation that fails later
 * gives them back; the end of a container doesn't (config-linux.md, Network Devices): what the kernel does with devices of a namespace that ends
 * is its own affair (physical ones return to the initial namespace, virtual ones are destroyed). */
#ifndef HULL_RUN_NETDEV_H
#define HULL_RUN_NETDEV_H

#include "plan/plan.h"

/* A device on its way. */
struct netdev {
	const char *name;         /* as it was called here */
	int index, new_index;     /* here, there */
	bool was_up, moved;
	void *addresses; size_t len;
};

struct netdevs {
	int here, there;          /* netlink sockets of both namespaces; -1. `there` keeps the container's namespace alive */
	struct netdev *v; size_t n;
};

#define NETDEVS_NONE ((struct netdevs){ .here = -1, .there = -1 })

/* Move what the plan's STEP_NETDEV steps name into the namespace of the netlink socket `there` (taken over, also on failure). On failure what has
 * been moved stays noted in *ret: netdev_undo. Memory comes from the plan's arena. */
int netdev_move(const struct plan *p, int there, struct netdevs *ret, struct err *e);
/* Give everything back: name, index, addresses, up. What can't be given back is a warning. Routes through a device don't survive its move. */
void netdev_undo(struct netdevs *d);
/* Close the sockets: from here on the devices belong to the container. */
void netdev_close(struct netdevs *d);

#endif
