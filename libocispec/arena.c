/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator. Nothing is freed one by one: an object that grows leaves its old copy behind. */
#include "ocispec/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN _Alignof(max_align_t)
#define CHUNK_MIN ((size_t)32 << 10)
#define CHUNK_MAX ((size_t)1 << 20)

struct oci_arena_chunk {
	struct oci_arena_chunk *next; /* older */
	size_t size;                  /* of `data` */
	_Alignas(max_align_t) char data[];
};

static struct oci_arena_chunk *chunk_new(struct oci_arena *a, size_t size)
{
	size_t limit = a->limit ? a->limit : OCI_ARENA_LIMIT;
	size_t need = sizeof(struct oci_arena_chunk) + size;
	struct oci_arena_chunk *c;

	if (need < size || a->total > limit || need > limit - a->total)
		return NULL;
	c = malloc(need);
	if (!c)
		return NULL;
	c->size = size;
	a->total += need;
	return c;
}

/* A block too large for a chunk gets one of its own behind the newest, which goes on serving small blocks. */
static void *alloc_large(struct oci_arena *a, size_t size)
{
	struct oci_arena_chunk *c = chunk_new(a, size);

	if (!c)
		return NULL;
	if (a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = NULL;
		a->chunks = c;
		a->used = size;
	}
	return memset(c->data, 0, size);
}

static size_t next_chunk_size(const struct oci_arena *a)
{
	size_t size = a->total < CHUNK_MIN ? CHUNK_MIN : a->total;

	return size > CHUNK_MAX ? CHUNK_MAX : size;
}

void *oci_arena_alloc(struct oci_arena *a, size_t size)
{
	struct oci_arena_chunk *c = a->chunks;
	size_t need = (size + ALIGN - 1) & ~(ALIGN - 1);
	void *p;

	if (need < size)
		return NULL;
	if (!need)
		need = ALIGN;
	if (!c || need > c->size - a->used) {
		if (need > CHUNK_MIN / 4)
			return alloc_large(a, need);
		c = chunk_new(a, next_chunk_size(a));
		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->used = 0;
	}
	p = c->data + a->used;
	a->used += need;
	return memset(p, 0, need);
}

char *oci_arena_strndup(struct oci_arena *a, const char *s, size_t len)
{
	char *copy = len < SIZE_MAX ? oci_arena_alloc(a, len + 1) : NULL;

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *oci_arena_strdup(struct oci_arena *a, const char *s)
{
	return oci_arena_strndup(a, s, strlen(s));
}

char *oci_arena_printf(struct oci_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	s = oci_arena_alloc(a, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void oci_arena_release(struct oci_arena *a)
{
	struct oci_arena_chunk *c = a->chunks;

	while (c) {
		struct oci_arena_chunk *older = c->next;

		free(c);
		c = older;
	}
	a->chunks = NULL;
	a->used = 0;
	a->total = 0;
}
