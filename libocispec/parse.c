/* SPDX-License-Identifier: Apache-2.0 */
/* yajl's callbacks → a stack of frames → members. The stack is the JSON path; nothing here recurses. */
#include "engine.h"

#include <string.h>
#include <strings.h>
#include <yajl/yajl_parse.h>

#define UNKNOWN_MAX 64 /* so many unknown properties get a "did you mean" and a note of their own */

static struct oci_frame *top(struct oci_parser *p)
{
	return &p->frames[p->depth - 1];
}

/* When it finishes, yajl counts in a piece of white space of its own. */
static size_t token_end(const struct oci_parser *p)
{
	return p->finishing ? p->len : yajl_get_bytes_consumed(p->yajl);
}

static void token_done(struct oci_parser *p, enum oci_last last)
{
	p->last = last;
	p->last_end = token_end(p);
}

/* In the second pass: is this the value that the rule complained about? Then stop. */
static bool keep_looking(struct oci_parser *p, const struct oci_value *v)
{
	char path[sizeof(p->d->path)];

	oci_path_write(p, path, sizeof(path));
	if (strcmp(path, p->d->path) != 0)
		return true;
	p->fail_at = oci_value_at(p, v);
	return false;
}

static void value_done(struct oci_parser *p)
{
	struct oci_frame *f;

	token_done(p, OCI_LAST_VALUE);
	if (!p->depth)
		return;
	f = top(p);
	f->key = NULL;
	f->index++;
}

/* The bit of the frame's current row in its masks. */
static uint64_t row_bit(const struct oci_frame *f)
{
	return UINT64_C(1) << (f->field - f->desc->fields);
}

static bool scalar_in_object(struct oci_parser *p, struct oci_frame *f, const struct oci_value *v)
{
	if (!f->field || f->field->kind == OCI_K_SKIP || v->type == OCI_J_NULL)
		return true;
	f->set |= row_bit(f);
	return oci_store(p, f->field, f->obj, v);
}

static bool scalar_in_frame(struct oci_parser *p, const struct oci_value *v)
{
	struct oci_frame *f = top(p);

	switch (f->kind) {
	case OCI_FR_OBJECT:
		return scalar_in_object(p, f, v);
	case OCI_FR_ARRAY:
		return oci_append(p, f, v);
	case OCI_FR_MAP:
		return v->type == OCI_J_NULL || oci_map_add(p, f, v);
	case OCI_FR_OBJMAP:
		return v->type == OCI_J_NULL || oci_wrong_type(p, f->field, true, v);
	default:
		return true;
	}
}

static size_t string_at(const struct oci_parser *p)
{
	return oci_value_at(p, &(struct oci_value){ .type = OCI_J_STRING, .end = token_end(p) });
}

static bool bad_string(struct oci_parser *p, const char *s, size_t len)
{
	char shown[400] = "";
	struct oci_text_buf b = { .s = shown, .size = sizeof(shown) };

	if (len > OCI_STRING_MAX)
		return oci_fail(p, string_at(p), "a string of %zu bytes — no more than %zu are allowed", len,
				OCI_STRING_MAX);
	oci_buf_add_quoted(&b, s, len);
	return oci_fail(p, string_at(p), "%s — not valid UTF-8", shown);
}

/* A string or key that ends at the current token. */
static bool string_ok(struct oci_parser *p, const char *s, size_t len)
{
	if (len <= OCI_STRING_MAX && oci_utf8_valid(s, len))
		return true;
	return bad_string(p, s, len);
}

static const struct oci_field document = { .kind = OCI_K_OBJ };

static bool take_scalar(struct oci_parser *p, const struct oci_value *v)
{
	if (v->type == OCI_J_STRING && !string_ok(p, v->s, v->len))
		return false;
	return p->depth ? scalar_in_frame(p, v) : oci_wrong_type(p, &document, false, v);
}

static int on_scalar(struct oci_parser *p, struct oci_value *v)
{
	v->end = token_end(p);
	if (p->locating && !keep_looking(p, v))
		return 0;
	if (!take_scalar(p, v) && !oci_recover(p))
		return 0;
	value_done(p);
	return 1;
}

static int on_null(void *p)
{
	return on_scalar(p, &(struct oci_value){ .type = OCI_J_NULL });
}

static int on_boolean(void *p, int b)
{
	return on_scalar(p, &(struct oci_value){ .type = OCI_J_BOOL, .b = b });
}

static int on_number(void *p, const char *s, size_t len)
{
	return on_scalar(p, &(struct oci_value){ .type = OCI_J_NUMBER, .s = s, .len = len });
}

static int on_string(void *p, const unsigned char *s, size_t len)
{
	return on_scalar(p, &(struct oci_value){ .type = OCI_J_STRING, .s = (const char *)s, .len = len });
}

static const struct oci_field *find_row(const struct oci_desc *desc, const char *s, size_t len)
{
	for (unsigned i = 0; i < desc->n; i++) {
		const struct oci_field *f = &desc->fields[i];

		if (f->name[0] == s[0] && f->name_len == len && memcmp(f->name, s, len) == 0)
			return f;
	}
	return NULL;
}

static const struct oci_field *find_row_any_case(const struct oci_desc *desc, const char *s, size_t len)
{
	for (unsigned i = 0; i < desc->n; i++)
		if (desc->fields[i].name_len == len && strncasecmp(desc->fields[i].name, s, len) == 0)
			return &desc->fields[i];
	return NULL;
}

/* Keep a key that no row stands for, in the frame and in the list that finds it again. */
static bool remember_key(struct oci_parser *p, struct oci_frame *f, const char *s, size_t len)
{
	char *copy = oci_arena_strndup(p->arena, s, len);
	struct oci_key *k;

	if (!copy)
		return oci_out_of_memory(p);
	f->key = copy;
	f->key_len = len;
	k = oci_vec_push(p, &f->keys, sizeof(*k));
	if (k)
		*k = (struct oci_key){ .s = copy, .len = len, .at = string_at(p) };
	return k;
}

/* config.md, Extensibility: unknown properties must not be an error. One that differs only in case would be taken by
 * readers written in Go and dropped by all others, so that two programs would see two configurations. */
static bool unknown_key(struct oci_parser *p, struct oci_frame *f, const char *s, size_t len)
{
	const struct oci_field *twin = find_row_any_case(f->desc, s, len);
	const char *near;

	if (!remember_key(p, f, s, len))
		return false;
	if (twin)
		return oci_fail(p, string_at(p), "\"%.*s\" — differs only in case from \"%s\"", (int)len, s,
				twin->name);
	if (p->n_unknown++ >= UNKNOWN_MAX)
		return true;
	near = oci_nearest_row(f->desc, s, len);
	if (near)
		oci_note(p, OCI_NOTE_DEBUG, "unknown property, ignored; did you mean \"%s\"?", near);
	else
		oci_note(p, OCI_NOTE_DEBUG, "unknown property, ignored");
	return true;
}

static bool key_in_object(struct oci_parser *p, struct oci_frame *f, const char *s, size_t len)
{
	f->field = len ? find_row(f->desc, s, len) : NULL;
	if (!f->field)
		return unknown_key(p, f, s, len);
	f->key = f->field->name;
	f->key_len = len;
	if (f->seen & row_bit(f))
		return oci_fail(p, string_at(p), "duplicate key");
	f->seen |= row_bit(f);
	return true;
}

static bool key_in_map(struct oci_parser *p, struct oci_frame *f, const char *s, size_t len)
{
	const char *rule = oci_text_check(len ? f->field->key_text : OCI_TEXT_NONEMPTY, s, len);

	if (!remember_key(p, f, s, len))
		return false;
	return !rule || oci_fail(p, string_at(p), "this key — %s", rule);
}

static bool take_key(struct oci_parser *p, struct oci_frame *f, const char *s, size_t len)
{
	if (f->kind == OCI_FR_OBJECT)
		return key_in_object(p, f, s, len);
	if (f->kind == OCI_FR_SKIP)
		return remember_key(p, f, s, len);
	return key_in_map(p, f, s, len);
}

static int on_key(void *arg, const unsigned char *key, size_t len)
{
	struct oci_parser *p = arg;
	struct oci_frame *f = top(p);
	const char *s = (const char *)key;

	if (string_ok(p, s, len)) {
		token_done(p, OCI_LAST_KEY);
		if (take_key(p, f, s, len))
			return 1;
	}
	/* What stands under a wrong key is read and dropped. */
	if (!oci_recover(p))
		return 0;
	token_done(p, OCI_LAST_KEY);
	f->field = f->kind == OCI_FR_OBJECT ? NULL : f->field;
	f->key_len = f->key ? f->key_len : 1;
	f->key = f->key ? f->key : "?";
	return 1;
}

static void push(struct oci_parser *p, struct oci_frame f)
{
	p->frames[p->depth++] = f;
}

static bool push_object(struct oci_parser *p, const struct oci_desc *desc, char *obj, size_t at)
{
	push(p, (struct oci_frame){ .kind = OCI_FR_OBJECT, .desc = desc, .obj = obj, .at = at });
	return true;
}

static bool open_document(struct oci_parser *p, const struct oci_value *v)
{
	if (v->type != OCI_J_OBJECT)
		return oci_wrong_type(p, &document, false, v);
	p->root = oci_alloc(p, p->desc->size);
	return p->root && push_object(p, p->desc, p->root, v->end - 1);
}

/* A bracket as the value of row f->field. */
static bool open_member(struct oci_parser *p, struct oci_frame *f, const struct oci_value *v)
{
	static const struct {
		bool ok;
		enum oci_json bracket;
		enum oci_frame_kind frame;
	} opens[OCI_K_N] = {
		[OCI_K_STRV] = { true, OCI_J_ARRAY, OCI_FR_ARRAY },
		[OCI_K_U32V] = { true, OCI_J_ARRAY, OCI_FR_ARRAY },
		[OCI_K_WORDV] = { true, OCI_J_ARRAY, OCI_FR_ARRAY },
		[OCI_K_OBJV] = { true, OCI_J_ARRAY, OCI_FR_ARRAY },
		[OCI_K_MAP] = { true, OCI_J_OBJECT, OCI_FR_MAP },
		[OCI_K_OBJMAP] = { true, OCI_J_OBJECT, OCI_FR_OBJMAP },
		[OCI_K_OBJ] = { true, OCI_J_OBJECT, OCI_FR_OBJECT },
	};
	const struct oci_field *row = f->field;
	void *child;

	f->set |= row_bit(f);
	if (!opens[row->kind].ok || opens[row->kind].bracket != v->type)
		return oci_wrong_type(p, row, false, v);
	if (row->kind != OCI_K_OBJ) {
		push(p, (struct oci_frame){ .kind = opens[row->kind].frame,
					    .is_array = v->type == OCI_J_ARRAY,
					    .field = row,
					    .obj = f->obj,
					    .at = v->end - 1 });
		return true;
	}
	child = oci_alloc(p, row->desc->size);
	if (!child)
		return false;
	memcpy(f->obj + row->off, &child, sizeof(child));
	return push_object(p, row->desc, child, v->end - 1);
}

/* A bracket as an element of an array or map. */
static bool open_element(struct oci_parser *p, struct oci_frame *f, const struct oci_value *v)
{
	const struct oci_field *row = f->field;
	char *element;

	if ((row->kind != OCI_K_OBJV && row->kind != OCI_K_OBJMAP) || v->type != OCI_J_OBJECT)
		return oci_wrong_type(p, row, true, v);
	element = oci_vec_push(p, &f->items, row->desc->size);
	if (!element)
		return false;
	if (row->kind == OCI_K_OBJMAP)
		memcpy(element + row->off_key, &f->key, sizeof(f->key));
	return push_object(p, row->desc, element, v->end - 1);
}

/* The bracket belongs to something unknown. */
static bool is_skipped(const struct oci_parser *p)
{
	const struct oci_frame *f = &p->frames[p->depth ? p->depth - 1 : 0];

	return p->depth && (f->kind == OCI_FR_SKIP || (f->kind == OCI_FR_OBJECT && (!f->field || f->field->kind == OCI_K_SKIP)));
}

static bool take_bracket(struct oci_parser *p, const struct oci_value *v)
{
	if (!p->depth)
		return open_document(p, v);
	return top(p)->kind == OCI_FR_OBJECT ? open_member(p, top(p), v) : open_element(p, top(p), v);
}

static int on_open(struct oci_parser *p, enum oci_json type)
{
	struct oci_value v = { .type = type, .end = token_end(p) };

	token_done(p, OCI_LAST_OPEN);
	if (p->locating && !keep_looking(p, &v))
		return 0;
	if (p->depth == OCI_DEPTH_MAX) {
		p->fatal = true;
		return oci_fail(p, v.end - 1, "nested deeper than %d levels", OCI_DEPTH_MAX);
	}
	if (!is_skipped(p)) {
		if (take_bracket(p, &v))
			return 1;
		if (!oci_recover(p))
			return 0;
	}
	push(p, (struct oci_frame){ .kind = OCI_FR_SKIP, .is_array = type == OCI_J_ARRAY, .at = v.end - 1 });
	return 1;
}

static int on_open_map(void *p)
{
	return on_open(p, OCI_J_OBJECT);
}

static int on_open_array(void *p)
{
	return on_open(p, OCI_J_ARRAY);
}

static bool check_required(struct oci_parser *p, const struct oci_frame *f)
{
	bool ok = true;

	for (unsigned i = 0; i < f->desc->n && ok; i++)
		if (f->desc->fields[i].required && !(f->set & UINT64_C(1) << i))
			ok = oci_rule_fail(p, f->desc->fields[i].name, "required, but absent") || oci_recover(p);
	return ok;
}

/* A rule is for objects that are whole. */
static bool close_object(struct oci_parser *p, struct oci_frame *f)
{
	if (p->locating)
		return true;
	if (!oci_keys_unique(p, f) || !check_required(p, f))
		return false;
	return !f->desc->rule || f->partial || f->desc->rule(p, f->obj);
}

/* The list is given to its member when the frame is gone, so that an error names the property and not an element. */
static bool close_list(struct oci_parser *p, struct oci_frame *f)
{
	bool ok = f->kind == OCI_FR_ARRAY || oci_keys_unique(p, f) || oci_recover(p);
	struct oci_frame closed = *f;

	p->depth--;
	return ok && oci_store_items(p, &closed);
}

static int on_close(void *arg)
{
	struct oci_parser *p = arg;
	struct oci_frame *f = top(p);
	bool ok;

	f->key = NULL;
	if (f->kind == OCI_FR_OBJECT || f->kind == OCI_FR_SKIP) {
		ok = f->kind == OCI_FR_OBJECT ? close_object(p, f) : oci_keys_unique(p, f);
		ok = ok || oci_recover(p);
		p->depth--;
	} else {
		ok = close_list(p, f) || oci_recover(p);
	}
	if (ok)
		value_done(p);
	return ok;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_open_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_close,
	.yajl_start_array = on_open_array,
	.yajl_end_array = on_close,
};

/* What yajl says → what is wrong, where its words are not plain enough. */
static const char *syntax_words(const char *yajl_text)
{
	static const struct { const char *part, *words; } table[] = {
		{ "premature EOF", "the document ends too early" },
		{ "trailing garbage", "something follows the end of the document" },
		{ "invalid char in json text", "not the beginning of a JSON value" },
		{ "invalid string in json text", "expected a value such as true, false or null" },
		{ "unallowed token", "not allowed at this place" },
		{ "invalid object key", "a key must be a string in quotes" },
		{ "must be separated by a colon", "expected a colon after the key" },
		{ "inside map, I expect", "expected a comma or } after the value" },
		{ "after array element", "expected a comma or ] after the value" },
		{ "invalid character inside string", "a control character must be written as \\u00XX" },
		{ "occurs before a character which it may not", "no such escape in a string" },
		{ "invalid (non-hex)", "\\u must be followed by four hexadecimal digits" },
		{ "after the exponent", "a number's exponent needs a digit" },
		{ "after the decimal point", "a number's decimal point must be followed by a digit" },
		{ "after the minus sign", "a minus sign must be followed by a digit" },
		{ "probable comment", "JSON has no comments" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strstr(yajl_text, table[i].part))
			return table[i].words;
	return yajl_text;
}

/* Where the next token begins: behind the last good one, white space and the one separator that may follow it. */
static size_t next_token(const struct oci_parser *p)
{
	static const char separators[] = { [OCI_LAST_KEY] = ':', [OCI_LAST_VALUE] = ',' };
	size_t at = p->last_end;
	bool separated = false;

	for (; at < p->len; at++) {
		char c = p->text[at];

		if (!separated && c && c == separators[p->last] && p->depth)
			separated = true;
		else if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			break;
	}
	return at;
}

/* yajl's own offset is right inside strings only: there it has just read the byte that it doesn't like. */
static size_t error_offset(const struct oci_parser *p, const char *yajl_text)
{
	size_t at = next_token(p), consumed = token_end(p);

	if (at >= p->len || p->text[at] != '"' || !strstr(yajl_text, "inside") || !strstr(yajl_text, "string"))
		return at;
	if (strstr(yajl_text, "occurs before"))
		consumed--;
	return consumed > at && consumed < p->len ? consumed : at;
}

static void fail_syntax(struct oci_parser *p)
{
	unsigned char *allocated = yajl_get_error(p->yajl, 0, NULL, 0);
	const char *text = allocated ? (const char *)allocated : "out of memory";
	size_t at = strstr(text, "premature EOF") ? p->len : error_offset(p, text);
	const char *nl = memchr(p->text + at, '\n', p->len - at);
	size_t n = nl && nl > p->text + at ? (size_t)(nl - p->text) - at : p->len - at;
	const char *words = syntax_words(text);
	int words_len = (int)strcspn(words, "\n");
	char shown[128] = "";
	struct oci_text_buf b = { .s = shown, .size = sizeof(shown) };

	oci_buf_add_foreign(&b, p->text + at, n, 24);
	p->fatal = true;
	if (n)
		oci_fail(p, at, "not valid JSON at `%s`: %.*s", shown, words_len, words);
	else
		oci_fail(p, at, "not valid JSON: %.*s", words_len, words);
	if (allocated)
		yajl_free_error(p->yajl, allocated);
}

static void fail_escape(struct oci_parser *p, size_t at, const char *why)
{
	p->fatal = true;
	oci_fail(p, at, "`%.*s` — %s", (int)(p->len - at < 6 ? p->len - at : 6), p->text + at, why);
}

/* One pass over the text. The part behind a forbidden escape is not shown to yajl, whose decoder would go wrong
 * there. */
static void run(struct oci_parser *p)
{
	const char *why = "";
	size_t good = oci_escape_scan(p->text, p->len, &why);
	yajl_status st;

	p->yajl = yajl_alloc(&callbacks, NULL, p);
	if (!p->yajl) {
		oci_fail(p, 0, "out of memory");
		return;
	}
	yajl_config(p->yajl, yajl_dont_validate_strings, 1);
	st = yajl_parse(p->yajl, (const unsigned char *)p->text, good);
	if (st == yajl_status_ok && good < p->len)
		fail_escape(p, good, why);
	if (st == yajl_status_ok && good == p->len) {
		p->finishing = true;
		st = yajl_complete_parse(p->yajl);
	}
	if (st == yajl_status_error)
		fail_syntax(p);
	yajl_free(p->yajl);
}

/* A rule knows the path of what it complains about; its place in the text is found by reading once more. */
static void locate(struct oci_parser *p)
{
	struct oci_arena scratch = { 0 };
	struct oci_parser again = { .desc = p->desc, .arena = &scratch, .text = p->text, .len = p->len, .d = p->d,
				    .failed = true, .locating = true, .fail_at = p->fail_at };

	run(&again);
	oci_arena_release(&scratch);
	oci_diag_position(p->d, p->text, p->len, again.fail_at);
}

void oci_tell(struct oci_parser *p)
{
	if (p->by_rule)
		locate(p);
	p->notes->fail(p->notes->arg, p->d);
	if (!p->n_told++)
		p->first = *p->d;
}

void *oci_parse(const struct oci_desc *desc, struct oci_arena *a, const char *text, size_t len,
		const struct oci_notes *notes, struct oci_diag *d)
{
	struct oci_parser p;

	/* The frames are large; each is initialised when it is pushed. */
	memset(&p, 0, offsetof(struct oci_parser, frames));
	p.desc = desc;
	p.arena = a;
	p.text = text;
	p.len = len;
	p.notes = notes;
	p.d = d;
	memset(d, 0, sizeof(*d));
	if (len > OCI_DOC_MAX)
		oci_fail(&p, 0, "a document of %zu bytes — no more than %zu are allowed", len, OCI_DOC_MAX);
	else if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		oci_fail(&p, 0, "not valid JSON: it begins with a byte order mark");
	else
		run(&p);
	if (p.failed && notes && notes->fail)
		oci_tell(&p);
	else if (p.failed && p.by_rule)
		locate(&p);
	if (p.n_told)
		*d = p.first;
	return p.failed || p.n_told ? NULL : p.root;
}
