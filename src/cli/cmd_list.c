/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/out.h"
#include "ocispec/ocispec.h"

struct list_args {
	const char *format;
	bool quiet;
};

static const struct opt list_opts[] = {
	O_STR(struct list_args, format, "format", 'f', "FORMAT", "table or json (default table)"),
	O_FLAG(struct list_args, quiet, "quiet", 'q', "print only the ids"),
};

enum { COL_ID,
       COL_PID,
       COL_STATUS,
       COL_BUNDLE,
       COL_CREATED,
       COL_OWNER,
       N_COLS };

static const char *const headings[N_COLS] = { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" };

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static int fill_row(const struct oci_state *s, const char **row, struct oci_arena *a)
{
	const char *status = oci_status_word(s->status);

	row[COL_ID] = or_empty(s->id);
	row[COL_PID] = oci_arena_printf(a, "%lld", s->pid.set ? (long long)s->pid.v : 0);
	row[COL_STATUS] = or_empty(status);
	row[COL_BUNDLE] = or_empty(s->bundle);
	row[COL_CREATED] = or_empty(s->created);
	row[COL_OWNER] = or_empty(s->owner);
	return row[COL_PID] ? 0 : -1;
}

static const char *list_table(const struct hull_list *l, struct oci_arena *a)
{
	const char **cells = oci_arena_alloc(a, (l->n + 1) * N_COLS * sizeof(*cells));

	if (!cells)
		return NULL;
	memcpy(cells, headings, sizeof(headings));
	for (size_t i = 0; i < l->n; i++) {
		if (fill_row(l->v[i], cells + (i + 1) * N_COLS, a) < 0)
			return NULL;
	}
	return out_table(cells, l->n + 1, N_COLS, a);
}

/* Join the texts, each behind `sep` but the first. */
static const char *join(const char *open, const char **texts, size_t n, const char *sep, const char *close,
			struct oci_arena *a)
{
	size_t size = strlen(open) + strlen(close) + 1;

	for (size_t i = 0; i < n; i++)
		size += strlen(texts[i]) + strlen(sep);
	char *text = oci_arena_alloc(a, size), *p = text;
	if (!text)
		return NULL;
	p = stpcpy(p, open);
	for (size_t i = 0; i < n; i++) {
		p = stpcpy(p, i ? sep : "");
		p = stpcpy(p, texts[i]);
	}
	stpcpy(p, close);
	return text;
}

static const char *list_json(const struct hull_list *l, struct oci_arena *a)
{
	const char **texts = oci_arena_alloc(a, (l->n + 1) * sizeof(*texts));

	for (size_t i = 0; texts && i < l->n; i++) {
		texts[i] = oci_write(&oci_state_desc, l->v[i], 0, a, NULL);
		if (!texts[i])
			return NULL;
	}
	return texts ? join("[", texts, l->n, ",", "]\n", a) : NULL;
}

static const char *list_quiet(const struct hull_list *l, struct oci_arena *a)
{
	const char **ids = oci_arena_alloc(a, (l->n + 1) * sizeof(*ids));

	for (size_t i = 0; ids && i < l->n; i++)
		ids[i] = l->v[i]->id;
	return ids ? join("", ids, l->n, "\n", l->n ? "\n" : "", a) : NULL;
}

static int run_list(struct cli *c, struct err *e)
{
	const struct list_args *a = c->opts;
	struct hull_list list = { 0 };
	bool json;

	int r = out_format(a->format, &json, e);
	if (r < 0)
		return r;
	r = hull_list(&c->hull, &c->arena, &list, e);
	if (r < 0)
		return r;
	if (a->quiet)
		return out_text(list_quiet(&list, &c->arena), e);
	return out_text(json ? list_json(&list, &c->arena) : list_table(&list, &c->arena), e);
}

const struct cmd cmd_list = {
	.name = "list",
	.synopsis = "[OPTION]...",
	.help = "print all containers of the state directory",
	.opts = list_opts,
	.n_opts = ARRAY_LEN(list_opts),
	.opts_size = sizeof(struct list_args),
	.max_args = 0,
	.missing = "nothing",
	.error_status = 1,
	.run = run_list,
};
