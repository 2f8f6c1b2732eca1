/* SPDX-License-Identifier: Apache-2.0 */
/* Facts for people who look inside: one sink for the process, set by whoever owns the outside (the command line, or init's control socket).
 * Errors are not logged but returned (base/err.h). */
#ifndef HULL_BASE_LOG_H
#define HULL_BASE_LOG_H

#include "base/util.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARNING, LOG_LVL_INFO, LOG_LVL_DEBUG };

#define LOG_LINE_MAX 1024

struct log_sink {
	/* `line` has no newline and is already escaped. */
	void (*write)(void *arg, enum log_level level, const char *line);
	void *arg;
	enum log_level level; /* lines above it are not even formatted */
};

/* The sink as it is: for who listens for a while and puts it back. */
struct log_sink log_get_sink(void);
/* Replace the sink; a NULL `write` drops everything. */
void log_set_sink(struct log_sink sink);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_warn(...) log_line(LOG_LVL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LVL_DEBUG, __VA_ARGS__)

#endif
