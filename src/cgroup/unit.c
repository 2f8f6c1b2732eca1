/* SPDX-License-Identifier: Apache-2.0 */
/* linux.cgroupsPath with the systemd driver: "slice:prefix:name". */
#include <ctype.h>
#include <stdio.h>

#include "cgroup/internal.h"
#include "cgroup/systemd.h"

#define PATH_KEY "linux.cgroupsPath"
#define SLICE ".slice"
#define SCOPE ".scope"

/* What systemd takes in the name of a unit (systemd.unit(5)); '@' makes a template of it. */
static bool is_unit_char(char c)
{
	return isalnum((unsigned char)c) || strchr(":-_.\\", c);
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n > k && streq(s + n - k, suffix);
}

static const char *name_fault(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!s[i] || !is_unit_char(s[i]))
			return "the name of a systemd unit has only letters, digits and : - _ . \\";
	return n >= CG_UNIT_MAX ? "the name of a systemd unit has at most 255 bytes" : NULL;
}

/* "a-b.slice" is in "a.slice": no dash at the ends, no two in a row (systemd.slice(5)). "-.slice" is the root. */
static const char *slice_fault(const char *slice)
{
	size_t n = strlen(slice);

	if (!has_suffix(slice, SLICE))
		return "must end in \".slice\"";
	if (streq(slice, "-" SLICE))
		return NULL;
	if (slice[0] == '-' || slice[n - strlen(SLICE) - 1] == '-' || strstr(slice, "--"))
		return "the parts between dashes must not be empty";
	return name_fault(slice, n);
}

/* Letters that a unit's name can't have, as systemd escapes them: an id may have a '+'. */
static int add_escaped(char *buf, size_t size, const char *s)
{
	size_t n = strlen(buf);

	for (; *s; s++) {
		int k = snprintf(buf + n, size - n, is_unit_char(*s) ? "%c" : "\\x%02x", (unsigned char)*s);
		if (k < 0 || (size_t)k >= size - n)
			return -1;
		n += (size_t)k;
	}
	return 0;
}

/* Append "/a.slice/a-b.slice" for "a-b.slice". */
static int add_slice_path(char *path, const char *slice)
{
	size_t stem = strlen(slice) - strlen(SLICE), n = strlen(path);

	if (streq(slice, "-" SLICE))
		return 0;
	for (size_t i = 1; i <= stem; i++) {
		if (slice[i] != '-' && i != stem)
			continue;
		int k = snprintf(path + n, CG_PATH_MAX - n, "/%.*s" SLICE, (int)i, slice);
		if (k < 0 || (size_t)k >= CG_PATH_MAX - n)
			return -1;
		n += (size_t)k;
	}
	return 0;
}

static int make_path(const struct cg_manager *m, const struct cg_unit *u, char *path)
{
	bool is_root = streq(m->root, "/") || !m->root[0];
	int n = snprintf(path, CG_PATH_MAX, "%s", is_root ? "" : m->root);

	if (n < 0 || n >= CG_PATH_MAX || add_slice_path(path, u->slice) < 0)
		return -1;
	size_t have = strlen(path);
	n = snprintf(path + have, CG_PATH_MAX - have, "/%s", u->name);
	return n < 0 || (size_t)n >= CG_PATH_MAX - have ? -1 : 0;
}

/* The three parts. `buf` is a copy of the value that is cut in place. */
static int split(char *buf, const char *value, const char *part[3], struct err *e)
{
	char *colon = strchr(buf, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;

	if (!second || strchr(second + 1, ':'))
		return err_config(e, PATH_KEY, "\"%.200s\" — with the systemd cgroup driver it must be SLICE:PREFIX:NAME", value);
	*colon = *second = '\0';
	part[0] = buf;
	part[1] = colon + 1;
	part[2] = second + 1;
	return part[2][0] ? 0 : err_config(e, PATH_KEY, "\"%.200s\" — the name behind the second colon is empty", value);
}

static int name_unit(const char *const part[3], const char *value, struct cg_unit *ret, struct err *e)
{
	const char *fault;
	int n;

	if (has_suffix(part[2], SLICE))
		return err_config(e, PATH_KEY, "\"%.200s\" — a container gets a scope: systemd moves no process into a slice", value);
	n = snprintf(ret->name, sizeof(ret->name), "%s%s%s" SCOPE, part[1], part[1][0] ? "-" : "", part[2]);
	fault = n < 0 || (size_t)n >= sizeof(ret->name) ? "the name of a systemd unit has at most 255 bytes" : name_fault(ret->name, (size_t)n);
	if (!fault && part[0][0])
		fault = slice_fault(part[0]);
	return fault ? err_config(e, PATH_KEY, "\"%.200s\" — %s", value, fault) : 0;
}

int cg_unit_resolve(const char *cgroups_path, const char *id, const struct cg_manager *m, struct cg_unit *ret, char *path, struct err *e)
{
	const char *part[3] = { "", "", "" };
	char buf[3 * CG_UNIT_MAX];
	int r = 0;

	*ret = (struct cg_unit){ 0 };
	snprintf(ret->slice, sizeof(ret->slice), "%s", m->user ? "user" SLICE : "system" SLICE);
	if (cgroups_path && cgroups_path[0]) {
		if (strlen(cgroups_path) >= sizeof(buf))
			return err_config(e, PATH_KEY, "\"%.60s…\" — longer than %zu bytes", cgroups_path, sizeof(buf) - 1);
		memcpy(buf, cgroups_path, strlen(cgroups_path) + 1);
		r = split(buf, cgroups_path, part, e);
		if (r == 0)
			r = name_unit(part, cgroups_path, ret, e);
		if (r == 0 && part[0][0])
			snprintf(ret->slice, sizeof(ret->slice), "%s", part[0]);
	} else {
		snprintf(ret->name, sizeof(ret->name), "hull-");
		if (add_escaped(ret->name, sizeof(ret->name) - strlen(SCOPE), id) < 0)
			return err_config(e, PATH_KEY, "is needed: the id makes a longer unit name than the 255 bytes that systemd takes");
		memcpy(ret->name + strlen(ret->name), SCOPE, sizeof(SCOPE));
	}
	if (r == 0 && make_path(m, ret, path) < 0)
		return err_config(e, PATH_KEY, "\"%.60s…\" — the path of the cgroup is longer than %d bytes", cgroups_path, CG_PATH_MAX - 1);
	return r;
}
