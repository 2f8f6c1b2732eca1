/* SPDX-License-Identifier: Apache-2.0 */
/* Documents from outside become the typed model. */
#ifndef HULL_LIB_BUNDLE_H
#define HULL_LIB_BUNDLE_H

#include "base/err.h"
#include "ocispec/ocispec.h"

/* Read the file at `path` (a regular file of at most OCI_DOC_MAX bytes; a FIFO, device or directory is refused without being waited for) as the document `desc`.
 * `name` stands in front of errors. Returns the object in `a`, or NULL. */
void *document_read(const struct oci_desc *desc, const char *path, const char *name, struct oci_arena *a, struct err *e);
/* The same of all that comes from `fd` until its end. */
void *document_read_fd(const struct oci_desc *desc, int fd, const char *name, struct oci_arena *a, struct err *e);
/* The same file's bytes, *ret_len of them, not looked at. */
char *document_text(const char *path, struct oci_arena *a, size_t *ret_len, struct err *e);
/* The resolved path of the bundle, and the path of its configuration; both as for bundle_load. */
int bundle_find(const char *bundle, const char *config, struct oci_arena *a, const char **ret_bundle, const char **ret_config, struct err *e);
/* The absolute, resolved path of the bundle (NULL: current directory), and its configuration file `config` (NULL: config.json). (bundle.md) */
int bundle_load(const char *bundle, const char *config, struct oci_arena *a, const char **ret_path, struct oci_config **ret, struct err *e);
/* libocispec's notes go to the log. */
struct oci_notes document_notes(void);
/* A diag of libocispec as an error of the configuration. */
int document_error(const struct oci_diag *d, const char *name, struct err *e);

#endif
