/* SPDX-License-Identifier: Apache-2.0 */
/* What the controllers count for one cgroup. A part whose controller isn't there, or whose file this kernel doesn't have,
 * is absent (`has` false, an empty list): never zero. Units are those of runc's JSON: bytes, nanoseconds, counts.
 * (Kernel: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1, accounting/psi.rst) */
#ifndef HULL_CGROUP_STATS_H
#define HULL_CGROUP_STATS_H

#include "cgroup/cgroup.h"

/* "max": no limit. */
#define CG_UNLIMITED UINT64_MAX

struct cg_u64s {
	uint64_t *v;
	size_t n;
};

/* A flat keyed file: the kernel's own words. */
struct cg_count {
	const char *key;
	uint64_t v;
};
struct cg_counts {
	bool has;
	struct cg_count *v;
	size_t n;
};

/* A nested keyed file: "8:0 rbytes=1 wbytes=2". */
struct cg_named_counts {
	const char *name;
	struct cg_counts counts;
};
struct cg_named_list {
	bool has;
	struct cg_named_counts *v;
	size_t n;
};

/* One line of a pressure file. The averages are the kernel's digits ("0.00", per cent), total is microseconds. */
struct cg_psi_line {
	bool has;
	const char *avg10, *avg60, *avg300;
	uint64_t total;
};
struct cg_psi {
	struct cg_psi_line some, full;
};

struct cg_cpu_stats {
	bool has_usage, has_percpu, has_throttling, has_burst;
	uint64_t total, kernel, user;
	struct cg_u64s percpu, percpu_kernel, percpu_user; /* v1 only */
	uint64_t periods, throttled_periods, throttled_time;
	uint64_t bursts, burst_time;
	struct cg_psi psi;
};

/* On v2 only the two lists, of what is in force. */
struct cg_cpuset_stats {
	bool has, has_flags;
	struct cg_u64s cpus, mems;
	uint64_t cpu_exclusive, mem_hardwall, mem_exclusive, memory_migrate, memory_spread_page, memory_spread_slab, memory_pressure,
		sched_load_balance;
	int64_t sched_relax_domain_level;
};

struct cg_amount {
	bool has;
	uint64_t limit, usage, max, failcnt;
};

struct cg_memory_stats {
	bool has;
	bool has_cache;
	uint64_t cache;
	struct cg_amount usage;
	struct cg_amount swap;      /* memory and swap together, as v1 counts */
	struct cg_amount swap_only; /* v2 */
	struct cg_amount kernel, kernel_tcp; /* v1 */
	struct cg_counts raw, events, events_local;
	struct cg_psi psi;
};

struct cg_pids_stats {
	bool has, has_peak;
	uint64_t current, limit, peak;
	struct cg_counts events;
};

struct cg_io_entry {
	uint64_t major, minor;
	const char *op; /* "Read"; "" where the file has none */
	uint64_t v;
};
enum cg_io_kind {
	CG_IO_SERVICE_BYTES,
	CG_IO_SERVICED,
	CG_IO_QUEUED,
	CG_IO_SERVICE_TIME,
	CG_IO_WAIT_TIME,
	CG_IO_MERGED,
	CG_IO_TIME,
	CG_IO_SECTORS,
	CG_IO_KINDS
};
struct cg_io_list {
	struct cg_io_entry *v;
	size_t n;
};
struct cg_io_stats {
	bool has;
	struct cg_io_list list[CG_IO_KINDS];
	struct cg_named_list raw; /* v2's io.stat: all that it says of each device */
	struct cg_psi psi;
};

struct cg_hugetlb_stats {
	const char *size; /* "2MB" */
	struct cg_amount usage, rsvd;
};

struct cg_stats {
	struct cg_cpu_stats cpu;
	struct cg_cpuset_stats cpuset;
	struct cg_memory_stats memory;
	struct cg_pids_stats pids;
	struct cg_io_stats io;
	bool has_hugetlb;
	struct cg_hugetlb_stats *hugetlb;
	size_t n_hugetlb;
	struct cg_named_list rdma_current, rdma_max; /* by device */
	struct cg_counts misc_current, misc_max, misc_events;
};

/* Read everything, on any layout. Strings and lists live in `a`. A cgroup that vanishes meanwhile has absent parts; a file that says what no
 * kernel document describes is an error that names it. */
int cg_stats_read(const struct cgroup *cg, struct oci_arena *a, struct cg_stats *ret, struct err *e);

#endif
