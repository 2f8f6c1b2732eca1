/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations that change what hull does. Whoever wrote the configuration may be less trusted than hull's caller (an image's labels become annotations in some
 * engines), so what reaches files, sockets or groups of the host is honoured only when the caller has named it by --allow-annotation. */
#include <errno.h>
#include <stdio.h>

#include "plan/plan.h"

#define OUT(m) offsetof(struct plan_annotations, m)

enum value { VALUE_YES, VALUE_CONTEXT, VALUE_PATH };

static const struct row {
	const char *name;
	uint8_t value; /* enum value */
	bool must_be_allowed;
	size_t out;
	const char *why; /* it must be allowed */
} rows[] = {
	{ "run.oci.hooks.stderr", VALUE_PATH, true, OUT(hooks_stderr), "it names a file of the host" },
	{ "run.oci.hooks.stdout", VALUE_PATH, true, OUT(hooks_stdout), "it names a file of the host" },
	{ "run.oci.keep_original_groups", VALUE_YES, true, OUT(keep_groups), "it gives the container the caller's groups" },
	{ "run.oci.mount_context_type", VALUE_CONTEXT, false, OUT(mount_context), NULL },
	{ "run.oci.pidfd_receiver", VALUE_PATH, true, OUT(pidfd_receiver), "it names a socket of the host" },
	{ "run.oci.seccomp.receiver", VALUE_PATH, true, OUT(seccomp_receiver), "it names a socket of the host" },
};

/* mount(8), "context" and the others: what SELinux knows. */
static const char *const contexts[] = { "context", "fscontext", "defcontext", "rootcontext" };

const char *const *plan_annotations_known(size_t *ret_n)
{
	static const char *names[ARRAY_LEN(rows) + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		names[i] = rows[i].name;
	names[ARRAY_LEN(rows)] = CG_PROPERTY_PREFIX;
	*ret_n = ARRAY_LEN(names);
	return names;
}

static bool is_allowed(const struct row *row, const char *const *allowed)
{
	bool yes = !row->must_be_allowed;

	for (size_t i = 0; !yes && allowed && allowed[i]; i++)
		yes = str_matches(allowed[i], row->name);
	return yes;
}

static int take_yes(const char *where, const char *value, bool *ret, struct err *e)
{
	*ret = streq(value, "1") || streq(value, "true");
	if (*ret || streq(value, "0") || streq(value, "false"))
		return 0;
	return err_config(e, where, "\"%.100s\" — must be 1 or 0", value);
}

static int take_context(const char *where, const char *value, const char **ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
		if (!streq(value, contexts[i]))
			continue;
		*ret = contexts[i];
		return 0;
	}
	return err_config(e, where, "\"%.100s\" — must be context, fscontext, defcontext or rootcontext", value);
}

static int take(const struct row *row, const char *where, const char *value, struct plan_annotations *ret, struct err *e)
{
	char *at = (char *)ret + row->out;

	if (row->value == VALUE_YES)
		return take_yes(where, value, (bool *)at, e);
	if (row->value == VALUE_CONTEXT)
		return take_context(where, value, (const char **)(void *)at, e);
	if (value[0] != '/')
		return err_config(e, where, "\"%.200s\" — must be an absolute path", value);
	*(const char **)(void *)at = value;
	return 0;
}

static const char *find(const struct oci_map *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (streq(m->v[i].key, name))
			return m->v[i].value;
	return NULL;
}

int plan_read_annotations(const struct oci_map *m, const char *const *allowed, bool warn, struct plan_annotations *ret, struct err *e)
{
	*ret = (struct plan_annotations){ .mount_context = contexts[0] };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *value = find(m, rows[i].name);
		char where[80];
		if (!value)
			continue;
		snprintf(where, sizeof(where), "annotations[\"%s\"]", rows[i].name);
		if (!is_allowed(&rows[i], allowed)) {
			if (warn)
				log_warn("%s: not honoured: %s (--allow-annotation %s allows it)", where, rows[i].why, rows[i].name);
			continue;
		}
		int r = take(&rows[i], where, value, ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}

const char *plan_seccomp_receiver(const struct oci_config *cfg, const struct plan_annotations *honoured)
{
	const struct oci_seccomp *s = cfg->linux_ ? cfg->linux_->seccomp : NULL;

	return s && s->listener_path && s->listener_path[0] ? s->listener_path : honoured->seccomp_receiver;
}
