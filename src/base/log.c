/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

static struct log_sink current;

struct log_sink log_get_sink(void)
{
	return current;
}

void log_set_sink(struct log_sink sink)
{
	current = sink;
}

bool log_enabled(enum log_level level)
{
	return current.write && level <= current.level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	current.write(current.arg, level, err_escape(raw, line, sizeof(line)));
}
