/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(struct buf *b, char *storage, size_t size)
{
	*b = (struct buf){ .s = storage, .size = size };
	storage[0] = '\0';
}

void buf_add(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	if (b->overflow || n >= b->size - b->len) {
		b->overflow = true;
		return;
	}
	memcpy(b->s + b->len, s, n + 1);
	b->len += n;
}

void buf_add_char(struct buf *b, char c)
{
	char s[2] = { c, '\0' };

	buf_add(b, s);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	if (b->overflow)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(b->s + b->len, b->size - b->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= b->size - b->len) {
		b->s[b->len] = '\0';
		b->overflow = true;
		return;
	}
	b->len += (size_t)n;
}

void buf_add_json(struct buf *b, const char *s)
{
	buf_add_char(b, '"');
	for (const unsigned char *u = (const unsigned char *)s; *u; u++) {
		if (*u == '"' || *u == '\\')
			buf_printf(b, "\\%c", *u);
		else if (*u < 0x20 || *u == 0x7f)
			buf_printf(b, "\\u%04x", *u);
		else
			buf_add_char(b, (char)*u);
	}
	buf_add_char(b, '"');
}
