/* SPDX-License-Identifier: Apache-2.0 */
/* check: everything that can be said of a configuration before a container is made from it. The document is read with all its errors, the plan is asked
 * again and again, each time without what it has refused, and then the host is looked at. */
#include "lib/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "lib/bundle.h"
#include "ocispec/schema.h"

static const char *const level_words[] = { [HULL_ERROR] = "error", [HULL_WARNING] = "warning", [HULL_NOTE] = "note" };

const char *check_text(struct check *c, const char *fmt, ...)
{
	char buf[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	const char *s = oci_arena_strdup(c->arena, buf);
	c->no_memory |= !s;
	return s ? s : "";
}

static struct hull_finding *add(struct check *c, enum hull_level level, const char *path, const char *msg)
{
	struct hull_findings *f = c->found;

	for (size_t i = 0; i < f->n; i++)
		if (streq(f->v[i].path, path) && streq(f->v[i].msg, msg))
			return &f->v[i];
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 32;
		struct hull_finding *v = oci_arena_alloc(c->arena, cap * sizeof(*v));
		c->no_memory |= !v;
		if (!v)
			return NULL;
		if (f->n)
			memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
		f->cap = cap;
	}
	f->n_errors += level == HULL_ERROR;
	f->v[f->n] = (struct hull_finding){ .level = level_words[level], .path = check_text(c, "%s", path), .msg = check_text(c, "%s", msg) };
	return &f->v[f->n++];
}

void check_add(struct check *c, enum hull_level level, const char *path, const char *fmt, ...)
{
	char buf[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	add(c, level, path, buf);
}

/* ---- the document ---- */

static void on_diag(void *arg, const struct oci_diag *d)
{
	struct hull_finding *f = add(arg, HULL_ERROR, d->path, d->msg);

	if (f) {
		f->line = d->line;
		f->column = d->column;
	}
}

/* A property that the specification doesn't know has no effect: rarely what was meant. */
static void on_note(void *arg, enum oci_note level UNUSED, const char *path, const char *msg)
{
	add(arg, HULL_WARNING, path, msg);
}

/* ---- the plan ---- */

/* A plan that is asked for again, with less in it each time. */
struct less {
	struct check *c;
	struct oci_config *cfg;
	struct oci_pruned pruned;
};

static const char *original_path(struct less *l, const char *path)
{
	char buf[512];

	oci_prune_path(&oci_config_desc, l->cfg, path, &l->pruned, buf, sizeof(buf));
	return check_text(l->c, "%s", buf);
}

/* Warnings of the plan are "PATH: TEXT". */
static void on_log(void *arg, enum log_level level, const char *line)
{
	struct less *l = arg;
	const char *colon = strstr(line, ": ");

	if (level > LOG_LVL_WARNING)
		return;
	if (colon && strcspn(line, " ") > (size_t)(colon - line))
		add(l->c, HULL_WARNING, original_path(l, check_text(l->c, "%.*s", (int)(colon - line), line)), colon + 2);
	else
		add(l->c, HULL_WARNING, "", line);
}

static int plan_once(struct less *l, struct err *e)
{
	static const uint8_t token[16];
	const struct plan_opts o = { .id = "check", .bundle = l->c->bundle, .gate = true, .new_keyring = true, .token = token,
				     .log_level = LOG_LVL_WARNING, .annotations = l->c->allow_annotations };
	const struct log_sink before = log_get_sink();
	struct plan plan;

	log_set_sink((struct log_sink){ .write = on_log, .arg = l, .level = LOG_LVL_WARNING });
	int r = plan_create(&l->c->facts, l->cfg, &o, l->c->arena, &plan, e);
	log_set_sink(before);
	return r;
}

/* All that the plan refuses. What is refused is taken out and the rest is planned; where the same place is refused again, what holds it is taken out. Without a
 * namespace the plan would complain of things that are in order: that ends it. */
static void check_plan(struct check *c, struct oci_config *scratch)
{
	struct less l = { .c = c, .cfg = scratch };
	const char *last = "";
	unsigned up = 0;
	struct err e = { 0 };

	for (unsigned i = 0; i < OCI_PRUNED_MAX && plan_once(&l, &e) < 0; i++) {
		const char *path = original_path(&l, e.path);
		char text[ERR_RENDER_MAX];
		struct err plain = e;

		up = streq(path, last) ? up + 1 : 0;
		last = path;
		plain.path[0] = '\0';
		plain.kind = ERR_SYS;
		if (up == 0)
			add(c, HULL_ERROR, path, err_render(&plain, text, sizeof(text)));
		if (e.kind != ERR_CONFIG || str_starts(path, "linux.namespaces") || !oci_prune(&oci_config_desc, scratch, e.path, up, &l.pruned))
			return;
	}
}

int hull_check(const struct hull *h, const char *bundle, const char *config, struct oci_arena *a, struct hull_findings *ret, struct err *e)
{
	struct check c = { .arena = a, .found = ret, .allow_annotations = h->allow_annotations };
	const struct oci_notes listener = { .say = on_note, .fail = on_diag, .arg = &c };
	struct oci_diag d;
	const char *path;
	size_t len;

	*ret = (struct hull_findings){ 0 };
	int r = bundle_find(bundle, config, a, &c.bundle, &path, e);
	if (r < 0)
		return r;
	const char *text = document_text(path, a, &len, e);
	if (!text)
		return -EINVAL;
	r = facts_detect(&c.facts, e);
	if (r < 0)
		return r;
	c.cfg = oci_parse(&oci_config_desc, a, text, len, &listener, &d);
	/* The plan changes its copy. Neither it nor the host is asked about a document that isn't one. */
	struct oci_config *scratch = c.cfg ? oci_parse(&oci_config_desc, a, text, len, NULL, &d) : NULL;
	if (scratch) {
		r = facts_detect_for(&c.facts, scratch, a, e);
		if (r < 0 && e->kind != ERR_CONFIG)
			return r;
		if (r < 0)
			check_add(&c, HULL_ERROR, e->path, "%s", e->msg);
		else
			check_plan(&c, scratch);
		check_host(&c);
		check_limits(&c);
	} else {
		add(&c, HULL_NOTE, "", "the host is looked at when the document has no errors");
	}
	return c.no_memory ? err_sys(e, -ENOMEM, "check %s", path) : 0;
}

/* ---- as JSON ---- */

struct finding_doc {
	const char *level, *path, *message;
	struct opt_u32 line, column;
};

struct findings_doc {
	struct finding_doc *findings; size_t n_findings;
	struct opt_u64 errors;
};

static const struct oci_field finding_f[] = {
	F_STR(finding_doc, level, "level"),
	F_STR(finding_doc, path, "path"),
	F_STR(finding_doc, message, "message"),
	F_U32(finding_doc, line, "line"),
	F_U32(finding_doc, column, "column"),
};
static const struct oci_desc finding_doc_desc = DESC(finding_doc, finding_f, NULL);

static const struct oci_field findings_f[] = {
	F_OBJV(findings_doc, findings, "findings", finding_doc),
	F_U64(findings_doc, errors, "errors"),
};
static const struct oci_desc findings_doc_desc = DESC(findings_doc, findings_f, NULL);

const char *hull_findings_json(const struct hull_findings *f, struct oci_arena *a)
{
	struct findings_doc doc = { .findings = oci_arena_alloc(a, (f->n + 1) * sizeof(*doc.findings)), .n_findings = f->n, .errors = { true, f->n_errors } };

	for (size_t i = 0; doc.findings && i < f->n; i++) {
		const struct hull_finding *x = &f->v[i];
		doc.findings[i] = (struct finding_doc){ x->level, x->path, x->msg, { x->line != 0, x->line }, { x->line != 0, x->column } };
	}
	const char *text = doc.findings ? oci_write(&findings_doc_desc, &doc, 2, a, NULL) : NULL;
	return text ? oci_arena_printf(a, "%s\n", text) : NULL;
}
