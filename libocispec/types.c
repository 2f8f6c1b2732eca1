/* SPDX-License-Identifier: Apache-2.0 */
#include "ocispec/types.h"

#include <string.h>

const char *oci_map_get(const struct oci_map *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].key, key) == 0)
			return m->v[i].value;
	return NULL;
}
