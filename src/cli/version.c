/* SPDX-License-Identifier: Apache-2.0 */
/* hull --version. Engines read the word behind "version" and the line that begins with "commit:". */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "cli/cli.h"
#include "cli/out.h"
#include "seccomp/seccomp.h"

#ifndef PACKAGE_VERSION
#error "PACKAGE_VERSION is not defined: build with config.h"
#endif
#ifndef HULL_COMMIT
#define HULL_COMMIT "unknown"
#endif

static const char *const features[] = { "CAP", "SECCOMP", "YAJL" };

struct oci_map version_annotations(struct oci_arena *a)
{
	const struct oci_kv about[] = {
		{ "io.github.seccomp.libseccomp.version", seccomp_library_version() },
		{ "run.oci.hull.commit", HULL_COMMIT },
		{ "run.oci.hull.version", PACKAGE_VERSION },
	};
	struct oci_map map = { .v = oci_arena_alloc(a, sizeof(about)), .set = true };

	if (map.v) {
		memcpy(map.v, about, sizeof(about));
		map.n = ARRAY_LEN(about);
	}
	return map;
}

int version_print(struct cli *c, struct err *e)
{
	const char *words = "";

	for (size_t i = 0; i < ARRAY_LEN(features) && words; i++)
		words = oci_arena_printf(&c->arena, "%s%s+%s", words, i ? " " : "", features[i]);
	if (!words)
		return out_text(NULL, e);
	return out_text(oci_arena_printf(&c->arena, "hull version %s\ncommit: %s\nspec: %s\nlibseccomp: %s\n%s\n",
					 PACKAGE_VERSION,
					 HULL_COMMIT, OCI_VERSION_MAX, seccomp_library_version(), words),
			e);
}
