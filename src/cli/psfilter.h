/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HULL_CLI_PSFILTER_H
#define HULL_CLI_PSFILTER_H

#include <sys/types.h>

#include "base/err.h"
#include "ocispec/arena.h"

/* Run the host's ps(1) with `options` (NULL-terminated) and keep its heading and the lines of `pids` (sorted). */
int ps_run(const char *const *options, const pid_t *pids, size_t n, struct oci_arena *a, const char **ret_text,
	   struct err *e);

/* The same for what ps printed: `text` is taken apart at its newlines. The column called PID names the process.
 * Foreign bytes escaped. */
int ps_filter(char *text, const pid_t *pids, size_t n, struct oci_arena *a, const char **ret_text, struct err *e);

#endif
