/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded string builder on the caller's storage. Overflow is remembered, never written. */
#ifndef HULL_BASE_BUF_H
#define HULL_BASE_BUF_H

#include "base/util.h"

struct buf {
	char *s; /* always NUL-terminated */
	size_t size;
	size_t len;
	bool overflow;
};

/* Start building in the `size` (> 0) bytes at `storage`. */
void buf_init(struct buf *b, char *storage, size_t size);
void buf_add(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Append `s` as a JSON string with its quotes. `s` must be UTF-8 (libocispec lets nothing else in; foreign text goes through err_escape first). */
void buf_add_json(struct buf *b, const char *s);

#endif
