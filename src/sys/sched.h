/* SPDX-License-Identifier: Apache-2.0 */
/* How a process is scheduled and where its memory lies. None of these calls has a wrapper in the C libraries of our age. Each returns its result or -errno. */
#ifndef HULL_SYS_SCHED_H
#define HULL_SYS_SCHED_H

#include <sys/types.h>

#include "sys/sys.h"

/* struct sched_attr of the kernel (sched_setattr(2)); the C libraries will have one of that name. */
struct sys_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* nanoseconds */
	uint32_t util_min, util_max;        /* 5.3 */
};

#define SYS_IOPRIO_WHO_PROCESS 1
/* A kernel has at most this many CPUs and nodes (NR_CPUS, MAX_NUMNODES of every architecture). */
#define SYS_CPUS_MAX 8192u
#define SYS_NODES_MAX 1024u

static inline int sys_sched_setattr(pid_t pid, const struct sys_sched_attr *attr)
{
	return (int)sys_result("sched_setattr", syscall(SYS_sched_setattr, pid, attr, 0));
}

/* `mask` has a bit a CPU in words of 64 bits, `n` words. (little-endian or 64-bit machines: the kernel's own form) */
static inline int sys_sched_setaffinity(pid_t pid, const uint64_t *mask, size_t n)
{
	return (int)sys_result("sched_setaffinity", syscall(SYS_sched_setaffinity, pid, n * sizeof(*mask), mask));
}

/* Returns how many bytes of the mask were written. */
static inline int sys_sched_getaffinity(pid_t pid, uint64_t *mask, size_t n)
{
	return (int)sys_result("sched_getaffinity", syscall(SYS_sched_getaffinity, pid, n * sizeof(*mask), mask));
}

static inline int sys_ioprio_set(pid_t pid, int value)
{
	return (int)sys_result("ioprio_set", syscall(SYS_ioprio_set, SYS_IOPRIO_WHO_PROCESS, pid, value));
}

/* `n` words of node bits. The kernel takes one bit less than it is told (get_nodes() in mm/mempolicy.c). */
static inline int sys_set_mempolicy(uint32_t mode, const uint64_t *nodes, size_t n)
{
	return (int)sys_result("set_mempolicy", syscall(SYS_set_mempolicy, mode, n ? nodes : NULL, n ? n * 64 + 1 : 0));
}

static inline int sys_personality(unsigned long persona)
{
	return (int)sys_result("personality", syscall(SYS_personality, persona));
}

#endif
