/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about figures share: readers of whole files at any size, and the parsers of their formats. */
#ifndef HULL_CGROUP_STATS_INTERNAL_H
#define HULL_CGROUP_STATS_INTERNAL_H

#include "cgroup/stats.h"

/* The directory at work. The first failure stays in `r`; later reads do nothing then. */
struct cg_reader {
	int dfd;
	struct oci_arena *a;
	struct cg_stats *s;
	int r;
	struct err *e;
};

/* ---- stats_read.c: one file; true when it is there and could be understood ---- */

/* All of it, however long, terminated. False too when the cgroup has gone or the kernel doesn't offer it (ENOENT, ENODEV, EOPNOTSUPP). */
bool cg_read_text(struct cg_reader *rd, const char *file, char **ret);
/* One number; "max" is CG_UNLIMITED. */
bool cg_read_u64(struct cg_reader *rd, const char *file, uint64_t *ret);
bool cg_read_i64(struct cg_reader *rd, const char *file, int64_t *ret);
/* "KEY VALUE" lines. */
bool cg_read_counts(struct cg_reader *rd, const char *file, struct cg_counts *ret);
/* "NAME KEY=VALUE …" lines. Values that are no numbers are left out ("max" is one). */
bool cg_read_named(struct cg_reader *rd, const char *file, struct cg_named_list *ret);
/* Numbers with spaces and newlines between them; cg_parse_numbers: those in `text`, which is cut up. */
bool cg_parse_numbers(struct cg_reader *rd, const char *file, char *text, struct cg_u64s *ret);
bool cg_read_numbers(struct cg_reader *rd, const char *file, struct cg_u64s *ret);
/* "0-3,7" as 0, 1, 2, 3, 7. */
bool cg_read_list(struct cg_reader *rd, const char *file, struct cg_u64s *ret);
/* "MAJOR:MINOR OP VALUE" or "MAJOR:MINOR VALUE" lines of the v1 block controller; the sum at the end is left out. */
bool cg_read_blkio(struct cg_reader *rd, const char *file, struct cg_io_list *ret);
void cg_read_psi(struct cg_reader *rd, const char *file, struct cg_psi *ret);
/* The value of `key`, or false. */
bool cg_counts_get(const struct cg_counts *c, const char *key, uint64_t *ret);
/* Note that `file` says something that nobody expects. Returns false. */
bool cg_bad_file(struct cg_reader *rd, const char *file, const char *text);
/* Print into the arena; NULL, noted in `rd`, without memory. */
const char *cg_reader_printf(struct cg_reader *rd, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The sizes of huge pages that the directory has files for ("2MB"), sorted: those with hugetlb.SIZE<suffix>. */
bool cg_read_hugetlb_sizes(struct cg_reader *rd, const char *suffix, struct cg_hugetlb_stats **ret, size_t *ret_n);

/* ---- stats_v1.c, stats_v2.c: one controller each ---- */
void cg_stats_v1_cpu(struct cg_reader *rd);
void cg_stats_v1_cpuacct(struct cg_reader *rd);
void cg_stats_v1_cpuset(struct cg_reader *rd);
void cg_stats_v1_memory(struct cg_reader *rd);
void cg_stats_v1_blkio(struct cg_reader *rd);
void cg_stats_v1_hugetlb(struct cg_reader *rd);
void cg_stats_v2_cpu(struct cg_reader *rd);
void cg_stats_v2_cpuset(struct cg_reader *rd);
void cg_stats_v2_memory(struct cg_reader *rd);
void cg_stats_v2_io(struct cg_reader *rd);
void cg_stats_v2_hugetlb(struct cg_reader *rd);
void cg_stats_pids(struct cg_reader *rd);
void cg_stats_rdma(struct cg_reader *rd);
void cg_stats_misc(struct cg_reader *rd);

#endif
