/* SPDX-License-Identifier: Apache-2.0 */
/* Where log lines and the one error of a command go. */
#ifndef HULL_CLI_LOGOUT_H
#define HULL_CLI_LOGOUT_H

#include "base/err.h"
#include "base/log.h"

/* Set the process's sink from --log, --log-format, --log-level (NULL: standard error, text, error). A log file is
 * opened for appending and made
 * when missing, 0644. Returns 0 or -errno; then lines go to standard error. */
int logout_open(const char *dest, const char *format, const char *level, bool debug, struct err *e);
/* Report the error that ends the command: one object or line in the log, one line "hull: …" on standard error; when
 * the log is standard error, once. */
void logout_error(const struct err *e);

#define LOGOUT_LINE_MAX (2 * ERR_RENDER_MAX + 256)

/* Render one line with its newline. `json`: {"level","msg","time"}, else time="…" level=… msg="…". */
const char *logout_render(bool json, enum log_level level, const char *msg, const char *time, char *buf, size_t size);

#endif
