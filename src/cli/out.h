/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves the program on standard output. */
#ifndef HULL_CLI_OUT_H
#define HULL_CLI_OUT_H

#include "base/err.h"
#include "ocispec/arena.h"

/* Write `text` to standard output; a full disk or a closed pipe is an error. NULL text is out of memory. */
int out_text(const char *text, struct err *e);

/* A table with its heading as first row: columns as wide as their longest cell and three spaces, at least 12;
 * foreign bytes escaped.
 * `cells` has n_rows * n_cols texts. In the arena, NULL when memory ran out. */
const char *out_table(const char *const *cells, size_t n_rows, size_t n_cols, struct oci_arena *a);

/* "table" or "json" (NULL: table) → *ret_json; anything else is a usage error. */
int out_format(const char *word, bool *ret_json, struct err *e);

#endif
