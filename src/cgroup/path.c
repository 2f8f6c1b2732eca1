/* SPDX-License-Identifier: Apache-2.0 */
/* linux.cgroupsPath → a path that is absolute within each hierarchy. */
#include <stdio.h>

#include "cgroup/internal.h"

#define PATH_KEY "linux.cgroupsPath"

/* One component, `n` bytes at `s`. NULL when it is fine, else the rule that it breaks. */
static const char *component_fault(const char *s, size_t n)
{
	if (n == 0)
		return "empty components (\"//\" or a slash at the end) are not allowed";
	if (n == 1 && s[0] == '.')
		return "\".\" is not allowed as a component";
	if (n == 2 && s[0] == '.' && s[1] == '.')
		return "\"..\" is not allowed as a component";
	if (n > CG_NAME_MAX)
		return "a component has more than 255 bytes";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return "control characters are not allowed";
	return NULL;
}

/* `p` begins behind the leading slash. */
static const char *path_fault(const char *p)
{
	for (;;) {
		size_t n = strcspn(p, "/");
		const char *fault = component_fault(p, n);

		if (fault)
			return fault;
		if (!p[n])
			return NULL;
		p += n + 1;
	}
}

int cg_path_beside(const struct cg_layout *l, const char *id, char *buf, struct err *e)
{
	int v2 = cg_layout_v2(l);
	const char *own = l->n == 0 ? "/" : l->h[v2 < 0 ? 0 : v2].own, *slash = strrchr(own, '/');
	char path[CG_PATH_MAX];

	/* "/" is the root of our cgroup namespace, "/../x" lies outside of it. */
	if (!slash || !own[1] || strstr(own, "/.."))
		return cg_path_resolve(NULL, id, buf, e);
	snprintf(path, sizeof(path), "%.*s/hull-%s", (int)(slash - own), own, id);
	return cg_path_resolve(path, id, buf, e);
}

int cg_path_resolve(const char *cgroups_path, const char *id, char *buf, struct err *e)
{
	/* Engines written in Go leave an empty string where they mean "absent". */
	bool given = cgroups_path && cgroups_path[0];
	const char *value = given ? cgroups_path : id;
	const char *fault;
	int n;

	if (given && streq(cgroups_path, "/"))
		return err_config(e, PATH_KEY, "\"/\" is the root cgroup; a container needs one of its own");
	if (given && cgroups_path[0] == '/')
		n = snprintf(buf, CG_PATH_MAX, "%s", cgroups_path);
	else
		n = snprintf(buf, CG_PATH_MAX, "/hull/%s", value);
	if (n < 0 || n >= CG_PATH_MAX)
		return err_config(e, PATH_KEY, "\"%.60s…\" — longer than %d bytes", value, CG_PATH_MAX - 1);
	fault = path_fault(buf + 1);
	return fault ? err_config(e, PATH_KEY, "\"%.200s\" — %s", value, fault) : 0;
}
