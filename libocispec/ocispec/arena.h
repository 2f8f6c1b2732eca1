/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator: everything of one command lives in one arena and is released together. */
#ifndef OCISPEC_ARENA_H
#define OCISPEC_ARENA_H

#include <stddef.h>

struct oci_arena_chunk;

struct oci_arena {
	struct oci_arena_chunk *chunks; /* newest first */
	size_t used;                    /* bytes used in the newest chunk */
	size_t total;                   /* bytes taken from the system */
	size_t limit;                   /* no more than this many bytes; 0 = OCI_ARENA_LIMIT */
};

#define OCI_ARENA_LIMIT ((size_t)256 << 20)

/* Zeroed memory of `size` bytes, aligned for any type; NULL when the limit is reached or the system has none. */
void *oci_arena_alloc(struct oci_arena *a, size_t size);
/* A NUL-terminated copy of the `len` bytes at `s`; NULL as above. */
char *oci_arena_strndup(struct oci_arena *a, const char *s, size_t len);
char *oci_arena_strdup(struct oci_arena *a, const char *s);
/* Printed like printf(3) into the arena. */
char *oci_arena_printf(struct oci_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Gives everything back. The arena may be used again. */
void oci_arena_release(struct oci_arena *a);

#endif
