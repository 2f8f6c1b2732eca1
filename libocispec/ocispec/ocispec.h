/* SPDX-License-Identifier: Apache-2.0 */
/* Read, check and write the documents of the OCI runtime specification by descriptor tables.
 *
 * One streaming parser (yajl callbacks), one checker, one writer, one arena. Stands alone: depends on yajl only. */
#ifndef OCISPEC_OCISPEC_H
#define OCISPEC_OCISPEC_H

#include "ocispec/arena.h"
#include "ocispec/runtime.h"

/* What is wrong with a document. Plain data. */
struct oci_diag {
	char path[160]; /* JSON path: "linux.resources.devices[3].access", or "" */
	uint32_t line;  /* of the offending value, from 1; 0 = no position */
	uint32_t column;
	char msg[760];  /* value and rule: "\"rwx\" — only the letters r, w and m are allowed" */
};

/* What the caller wants to hear about beside errors. `say` may be NULL. */
enum oci_note { OCI_NOTE_DEBUG, OCI_NOTE_WARNING };
struct oci_notes {
	void (*say)(void *arg, enum oci_note level, const char *path, const char *msg);
	/* Wants every error, not only the first one; NULL: the first one ends the parsing. */
	void (*fail)(void *arg, const struct oci_diag *d);
	void *arg;
};

struct oci_desc; /* the table of one object */
extern const struct oci_desc oci_config_desc, oci_process_desc, oci_resources_desc, oci_state_desc, oci_features_desc,
	oci_container_process_state_desc;

/* Documents longer than this, deeper than this, or with longer strings are errors. */
#define OCI_DOC_MAX ((size_t)64 << 20)
#define OCI_DEPTH_MAX 64
#define OCI_STRING_MAX ((size_t)1 << 20)
/* So many errors of one document are told. */
#define OCI_DIAGS_MAX 100

/* Parse the document `text` of `len` bytes (need not be NUL-terminated) as the object that `desc` describes, check every row's
 * constraint and the cross-field rules. The object and all it points to live in `a`.
 * Returns the object, or NULL with `d` filled. Unknown keys are a debug note, never an error; a key that differs from a known one
 * only by case, a duplicate key, a wrong type, trailing data and excessive nesting are errors. null means absent.
 * With notes->fail every error is told there, about OCI_DIAGS_MAX of them, as far as the text is JSON and memory suffices; the result is NULL then,
 * too, and `d` the first one. */
void *oci_parse(const struct oci_desc *desc, struct oci_arena *a, const char *text, size_t len, const struct oci_notes *notes,
		struct oci_diag *d);

/* Write `obj` as JSON into the arena; absent members are left out. `indent` 0 gives one line, else pretty-printed with that many spaces.
 * Returns the NUL-terminated text (its length in *ret_len when not NULL), or NULL when memory ran out. */
const char *oci_write(const struct oci_desc *desc, const void *obj, unsigned indent, struct oci_arena *a, size_t *ret_len);

/* What has been taken out of lists, so that indices still mean the document's. Begin with zeroes. */
#define OCI_PRUNED_MAX 64
struct oci_pruned_element { const void *list; size_t index; };
struct oci_pruned { struct oci_pruned_element v[OCI_PRUNED_MAX]; size_t n; };
/* Take out of `obj` the deepest part along `path` that a valid document may lack: an optional member, an element. With `up` above 0 the part so many levels
 * above. The path counts in indices of `obj` as it is. False when nothing along it may be absent. */
bool oci_prune(const struct oci_desc *desc, void *obj, const char *path, unsigned up, struct oci_pruned *p);
/* The same path in the indices that the document had before anything was taken out, into `buf`. */
void oci_prune_path(const struct oci_desc *desc, void *obj, const char *path, const struct oci_pruned *p, char *buf, size_t size);

/* The word of an enumerated value ("network"), or NULL. One function per enum, by the same table that the parser reads. */
const char *oci_namespace_word(enum oci_namespace_type t);
const char *oci_status_word(enum oci_status s);
const char *oci_propagation_word(enum oci_propagation p);
const char *oci_seccomp_action_word(enum oci_seccomp_action x);
const char *oci_seccomp_arch_word(enum oci_seccomp_arch x);
const char *oci_seccomp_op_word(enum oci_seccomp_op x);
const char *oci_seccomp_flag_word(enum oci_seccomp_flag x);

#endif
