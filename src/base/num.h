/* SPDX-License-Identifier: Apache-2.0 */
/* Strict decimal numbers: the whole string, no sign for unsigned, no spaces, no wrap. Async-signal-safe. */
#ifndef HULL_BASE_NUM_H
#define HULL_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

/* Parse all of `s` as a decimal number not above `max`. Returns 0, -EINVAL (not a number) or -ERANGE. *ret is untouched on failure. */
int num_parse_u64(const char *s, uint64_t max, uint64_t *ret);
int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret);
/* Parse an octal number (umask, file modes on the command line). */
int num_parse_octal(const char *s, uint32_t max, uint32_t *ret);

/* Take "N" or "N-M" off the front of *s: a piece of a list of CPUs or memory nodes. Numbers too large are UINT64_MAX. Returns 0 with *s behind
 * it, or -EINVAL with *s where it was. */
int num_take_range(const char **s, uint64_t *ret_first, uint64_t *ret_last);

/* FNV-1a, to notice damage and to find files: no protection from whoever wants a collision. Begin with NUM_SUM64_START; sums can be continued. */
#define NUM_SUM64_START UINT64_C(0xcbf29ce484222325)
uint64_t num_sum64(uint64_t sum, const void *data, size_t len);
/* A size in bytes with an optional suffix k, m, g, t, p for powers of 1024, which may be followed by "b" or "ib", in any
 * case, and with decimals: "200m", "1.5GiB". At most INT64_MAX. */
int num_parse_size(const char *s, uint64_t *ret);

#define NUM_U64_MAX_CHARS 21 /* with the final NUL */
/* Print `v` in decimal at buf (NUM_U64_MAX_CHARS bytes); returns the length. */
unsigned num_print_u64(char *buf, uint64_t v);

#endif
