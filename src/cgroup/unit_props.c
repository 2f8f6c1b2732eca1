/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations that become properties of the container's scope. Whoever writes the configuration may be less trusted than the caller of hull, and some properties
 * make systemd start programs or switch the machine off (CVE-2024-3154): only a list of harmless ones is taken. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/num.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

#define PREFIX CG_PROPERTY_PREFIX

/* What concerns the scope and its processes alone. A name that ends in '*' stands for all that begin so. */
static const char *const harmless[] = {
	"After", "Before", "CPU*", "CollectMode", "Description", "Documentation", "FinalKillSignal", "IO*", "KillSignal", "ManagedOOM*", "Memory*", "OOMPolicy",
	"RestartKillSignal", "RuntimeMaxUSec", "SendSIGHUP", "SendSIGKILL", "StartupCPU*", "StartupIO*", "TasksMax", "TimeoutStopUSec",
};

static bool is_allowed(const char *name, const char *const *allowed)
{
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (str_matches(harmless[i], name))
			return true;
	char full[256];
	snprintf(full, sizeof(full), PREFIX "%s", name);
	for (size_t i = 0; allowed && allowed[i]; i++)
		if (str_matches(allowed[i], full))
			return true;
	return false;
}

static bool is_property_name(const char *name)
{
	if (!isupper((unsigned char)name[0]))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name))
			return false;
	return true;
}

/* The text between quotes at *s, which is moved behind it. NULL: none. GVariant's escapes are refused: no property of the list needs one. */
static const char *take_quoted(const char **s, struct oci_arena *a)
{
	char quote = **s;
	const char *begin = *s + 1, *end = quote == '\'' || quote == '"' ? strchr(begin, quote) : NULL;

	if (!end || memchr(begin, '\\', (size_t)(end - begin)))
		return NULL;
	*s = end + 1;
	return oci_arena_printf(a, "%.*s", (int)(end - begin), begin);
}

/* ['a', 'b'] → "a b" */
static const char *take_list(const char *s, struct oci_arena *a)
{
	const char *list = "";

	for (s++; list;) {
		s += strspn(s, " ");
		if (*s == ']')
			return s[1] ? NULL : list;
		const char *word = take_quoted(&s, a);
		if (!word || strchr(word, ' '))
			return NULL;
		list = oci_arena_printf(a, "%s%s%s", list, list[0] ? " " : "", word);
		s += strspn(s, " ");
		if (*s == ',')
			s++;
		else if (*s != ']')
			return NULL;
	}
	return NULL;
}

static const struct { const char *word, *type; } number_types[] = {
	{ "byte ", "y" }, { "int16 ", "n" }, { "uint16 ", "q" }, { "int32 ", "i" }, { "uint32 ", "u" }, { "int64 ", "x" }, { "uint64 ", "t" },
};

static int parse_number(const char *s, struct cg_prop *p)
{
	uint64_t v;

	p->type = "i";
	for (size_t i = 0; i < ARRAY_LEN(number_types); i++)
		if (str_starts(s, number_types[i].word)) {
			p->type = number_types[i].type;
			s += strlen(number_types[i].word);
			break;
		}
	p->value = s;
	return num_parse_u64(s[0] == '-' ? s + 1 : s, UINT64_MAX, &v);
}

/* GVariant text format, the part of it that properties of scopes need. */
static int parse_value(const char *s, struct oci_arena *a, struct cg_prop *p)
{
	if (streq(s, "true") || streq(s, "false")) {
		p->type = "b";
		p->value = s;
		return 0;
	}
	if (s[0] == '\'' || s[0] == '"') {
		p->type = "s";
		p->value = take_quoted(&s, a);
		return p->value && !s[0] ? 0 : -EINVAL;
	}
	if (s[0] == '[') {
		p->type = "as";
		p->value = take_list(s, a);
		return p->value ? 0 : -EINVAL;
	}
	return parse_number(s, p);
}

/* TimeoutStopSec = 1.5 → TimeoutStopUSec = uint64 1500000 */
static int convert_seconds(struct cg_prop *p, const char *name, struct oci_arena *a)
{
	char *end;
	double seconds = strtod(p->value, &end);

	if (*end || !(seconds >= 0) || seconds > 1e12)
		return -EINVAL;
	p->name = oci_arena_printf(a, "%.*sUSec", (int)(strlen(name) - strlen("Sec")), name);
	p->type = "t";
	p->value = oci_arena_printf(a, "%.0f", seconds * 1e6);
	return p->name && p->value ? 0 : -ENOMEM;
}

static bool ends_in_sec(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && streq(name + n - 3, "Sec") && name[n - 4] != 'U';
}

static int add_annotation(const char *name, const char *value, const char *const *allowed, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	struct cg_prop p = { .name = name, .origin = oci_arena_printf(a, "annotations[\"" PREFIX "%s\"]", name) };
	int r;

	if (!is_property_name(name))
		return err_config(e, p.origin, "\"%.100s\" is no name of a systemd property", name);
	if (ends_in_sec(name)) {
		const char *plain = value;
		for (size_t i = 0; i < ARRAY_LEN(number_types); i++)
			if (str_starts(value, number_types[i].word))
				plain = value + strlen(number_types[i].word);
		p.value = plain;
		r = convert_seconds(&p, name, a);
	} else {
		r = parse_value(value, a, &p);
	}
	if (r < 0)
		return err_config(e, p.origin, "\"%.200s\" — must be true, false, a number, a text in quotes or a list of such texts", value);
	if (!is_allowed(p.name, allowed)) {
		log_warn("%s: not honoured: it could affect more than this container (--allow-annotation " PREFIX "%s allows it)", p.origin, p.name);
		return 0;
	}
	return cg_props_add(ret, &p, a) < 0 ? err_sys(e, -ENOMEM, "read the annotations") : 0;
}

int cg_props_from_annotations(const struct oci_map *annotations, const char *const *allowed, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	for (size_t i = 0; i < annotations->n; i++) {
		const char *key = annotations->v[i].key;
		int r = str_starts(key, PREFIX) ? add_annotation(key + strlen(PREFIX), annotations->v[i].value, allowed, a, ret, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
