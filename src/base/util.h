/* SPDX-License-Identifier: Apache-2.0 */
/* The handful of macros that every file may use. */
#ifndef HULL_BASE_UTIL_H
#define HULL_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define MUST_CHECK __attribute__((warn_unused_result))

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Is `s` the name `pattern`, or, where that ends in '*', does it begin like it? */
static inline bool str_matches(const char *pattern, const char *s)
{
	size_t n = strlen(pattern);

	return n && pattern[n - 1] == '*' ? strncmp(pattern, s, n - 1) == 0 : streq(pattern, s);
}

#endif
