/* SPDX-License-Identifier: Apache-2.0 */
/* The scalar and list types of the typed model. A member that was absent (or null) in the document has `set` false,
 * a NULL pointer, or 0 for an enumerated word: "absent" is never confused with a value. */
#ifndef OCISPEC_TYPES_H
#define OCISPEC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct opt_bool { bool set; bool v; };
struct opt_i64 { bool set; int64_t v; };
struct opt_u64 { bool set; uint64_t v; };
struct opt_i32 { bool set; int32_t v; };
struct opt_u32 { bool set; uint32_t v; };

/* An array of strings; `set` tells an empty array from an absent one. */
struct oci_strv {
	const char **v;
	size_t n;
	bool set;
};

/* An array of unsigned 32-bit numbers. */
struct oci_u32v {
	uint32_t *v;
	size_t n;
	bool set;
};

/* An array of enumerated words, as the numbers of their table. */
struct oci_enumv {
	int *v;
	size_t n;
	bool set;
};

struct oci_kv {
	const char *key;
	const char *value;
};

/* A map of strings in the order of the document; keys are unique. */
struct oci_map {
	struct oci_kv *v;
	size_t n;
	bool set;
};

/* The value of `key`, or NULL. */
const char *oci_map_get(const struct oci_map *m, const char *key);

#endif
