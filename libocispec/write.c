/* SPDX-License-Identifier: Apache-2.0 */
/* Model → JSON by the tables that the parser reads. yajl's generator would print an empty list on three lines and
 * refuse a path that isn't UTF-8; a state document must be writable whatever bytes a path has. */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct out {
	struct oci_arena *arena;
	char *s;
	size_t n, cap;
	unsigned indent, level;
	bool first;  /* nothing stands behind the last bracket yet */
	bool failed; /* memory ran out */
};

static void put(struct out *o, const char *s, size_t len)
{
	if (o->failed)
		return;
	if (len >= o->cap - o->n) {
		size_t cap = o->cap * 2 > o->n + len + 1 ? o->cap * 2 : o->n + len + 1;
		char *grown = oci_arena_alloc(o->arena, cap);

		o->failed = !grown;
		if (!grown)
			return;
		memcpy(grown, o->s, o->n);
		o->s = grown;
		o->cap = cap;
	}
	memcpy(o->s + o->n, s, len);
	o->n += len;
}

static void put_str(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void new_line(struct out *o)
{
	static const char spaces[] = "                ";

	if (!o->indent)
		return;
	put(o, "\n", 1);
	for (size_t n = (size_t)o->indent * o->level; n;) {
		size_t part = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;

		put(o, spaces, part);
		n -= part;
	}
}

/* Before a member or an element. */
static void next(struct out *o)
{
	if (!o->first)
		put(o, ",", 1);
	o->first = false;
	new_line(o);
}

static void open_bracket(struct out *o, const char *bracket)
{
	put(o, bracket, 1);
	o->level++;
	o->first = true;
}

static void close_bracket(struct out *o, const char *bracket)
{
	o->level--;
	if (!o->first)
		new_line(o);
	o->first = false;
	put(o, bracket, 1);
}

/* The escape of a byte that can't stand in a string as it is, or NULL. */
static const char *escape_of(unsigned char c, char buf[8])
{
	static const char letters[32] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

	if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
		return NULL;
	if (c == '"' || c == '\\')
		snprintf(buf, 8, "\\%c", c);
	else if (c < 0x20 && letters[c])
		snprintf(buf, 8, "\\%c", letters[c]);
	else
		snprintf(buf, 8, "\\u%04x", c);
	return buf;
}

static void put_string(struct out *o, const char *s)
{
	size_t len = strlen(s), from = 0;

	put(o, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t n = oci_utf8_sequence(s + i, len - i);
		char buf[8];
		const char *escape = n ? escape_of((unsigned char)s[i], buf) : "\\ufffd";

		if (!n)
			n = 1;
		if (escape) {
			put(o, s + from, i - from);
			put_str(o, escape);
			from = i + n;
		}
		i += n;
	}
	put(o, s + from, len - from);
	put(o, "\"", 1);
}

static void put_key(struct out *o, const char *key)
{
	next(o);
	put_string(o, key);
	put(o, ": ", o->indent ? 2 : 1);
}

static void put_object(struct out *o, const struct oci_desc *desc, const char *obj);

/* A scalar: its text in `buf` or a constant; NULL when absent. */
static const char *number_text(const struct oci_field *f, const char *member, char buf[32])
{
	union {
		struct opt_bool b;
		struct opt_i64 i64;
		struct opt_u64 u64;
		struct opt_i32 i32;
		struct opt_u32 u32;
	} v;

	memset(&v, 0, sizeof(v));
	switch (f->kind) {
	case OCI_K_BOOL:
		memcpy(&v.b, member, sizeof(v.b));
		return !v.b.set ? NULL : v.b.v ? "true" : "false";
	case OCI_K_I64:
		memcpy(&v.i64, member, sizeof(v.i64));
		snprintf(buf, 32, "%" PRId64, v.i64.v);
		return v.i64.set ? buf : NULL;
	case OCI_K_U64:
		memcpy(&v.u64, member, sizeof(v.u64));
		snprintf(buf, 32, "%" PRIu64, v.u64.v);
		return v.u64.set ? buf : NULL;
	case OCI_K_I32:
		memcpy(&v.i32, member, sizeof(v.i32));
		snprintf(buf, 32, "%" PRId32, v.i32.v);
		return v.i32.set ? buf : NULL;
	default:
		memcpy(&v.u32, member, sizeof(v.u32));
		snprintf(buf, 32, "%" PRIu32, v.u32.v);
		return v.u32.set ? buf : NULL;
	}
}

static const char *string_of(const struct oci_field *f, const char *member)
{
	const char *s;
	unsigned word;

	if (f->kind == OCI_K_STR) {
		memcpy(&s, member, sizeof(s));
		return s;
	}
	memcpy(&word, member, sizeof(word));
	return word < f->words->n ? f->words->word[word] : NULL;
}

static void write_strv(struct out *o, const struct oci_field *f, const char *member)
{
	struct oci_strv v;

	memcpy(&v, member, sizeof(v));
	if (!v.set)
		return;
	put_key(o, f->name);
	open_bracket(o, "[");
	for (size_t i = 0; i < v.n; i++) {
		next(o);
		put_string(o, v.v[i]);
	}
	close_bracket(o, "]");
}

static void write_u32v(struct out *o, const struct oci_field *f, const char *member)
{
	struct oci_u32v v;
	char buf[16];

	memcpy(&v, member, sizeof(v));
	if (!v.set)
		return;
	put_key(o, f->name);
	open_bracket(o, "[");
	for (size_t i = 0; i < v.n; i++) {
		next(o);
		snprintf(buf, sizeof(buf), "%" PRIu32, v.v[i]);
		put_str(o, buf);
	}
	close_bracket(o, "]");
}

static void write_wordv(struct out *o, const struct oci_field *f, const char *member)
{
	struct oci_enumv v;

	memcpy(&v, member, sizeof(v));
	if (!v.set)
		return;
	put_key(o, f->name);
	open_bracket(o, "[");
	for (size_t i = 0; i < v.n; i++) {
		next(o);
		put_string(o, f->words->word[v.v[i]]);
	}
	close_bracket(o, "]");
}

static void write_map(struct out *o, const struct oci_field *f, const char *member)
{
	struct oci_map m;

	memcpy(&m, member, sizeof(m));
	if (!m.set)
		return;
	put_key(o, f->name);
	open_bracket(o, "{");
	for (size_t i = 0; i < m.n; i++) {
		put_key(o, m.v[i].key);
		put_string(o, m.v[i].value);
	}
	close_bracket(o, "}");
}

/* An array of objects, or a map of objects whose keys are a member of each. */
static void write_objects(struct out *o, const struct oci_field *f, const char *obj)
{
	bool map = f->kind == OCI_K_OBJMAP;
	const char *list, *key;
	size_t n;

	memcpy(&list, obj + f->off, sizeof(list));
	memcpy(&n, obj + f->off_n, sizeof(n));
	if (!list)
		return;
	put_key(o, f->name);
	open_bracket(o, map ? "{" : "[");
	for (size_t i = 0; i < n; i++) {
		const char *element = list + i * f->desc->size;

		if (map) {
			memcpy(&key, element + f->off_key, sizeof(key));
			put_key(o, key);
		} else {
			next(o);
		}
		put_object(o, f->desc, element);
	}
	close_bracket(o, map ? "}" : "]");
}

static void write_scalar(struct out *o, const struct oci_field *f, const char *member)
{
	bool string = f->kind == OCI_K_STR || f->kind == OCI_K_WORD;
	char buf[32];
	const char *s = string ? string_of(f, member) : number_text(f, member, buf);

	if (!s)
		return;
	put_key(o, f->name);
	if (string)
		put_string(o, s);
	else
		put_str(o, s);
}

static void write_child(struct out *o, const struct oci_field *f, const char *member)
{
	const char *child;

	memcpy(&child, member, sizeof(child));
	if (!child)
		return;
	put_key(o, f->name);
	put_object(o, f->desc, child);
}

static void write_member(struct out *o, const struct oci_field *f, const char *obj)
{
	const char *member = obj + f->off;

	switch (f->kind) {
	case OCI_K_SKIP:
		break;
	case OCI_K_STRV:
		write_strv(o, f, member);
		break;
	case OCI_K_U32V:
		write_u32v(o, f, member);
		break;
	case OCI_K_WORDV:
		write_wordv(o, f, member);
		break;
	case OCI_K_MAP:
		write_map(o, f, member);
		break;
	case OCI_K_OBJ:
		write_child(o, f, member);
		break;
	case OCI_K_OBJV:
	case OCI_K_OBJMAP:
		write_objects(o, f, obj);
		break;
	default:
		write_scalar(o, f, member);
		break;
	}
}

/* The depth of this recursion is that of the tables, not of any input. */
static void put_object(struct out *o, const struct oci_desc *desc, const char *obj)
{
	open_bracket(o, "{");
	for (unsigned i = 0; i < desc->n; i++)
		write_member(o, &desc->fields[i], obj);
	close_bracket(o, "}");
}

const char *oci_write(const struct oci_desc *desc, const void *obj, unsigned indent, struct oci_arena *a,
		      size_t *ret_len)
{
	struct out o = { .arena = a, .indent = indent, .cap = 4096 };

	o.s = oci_arena_alloc(a, o.cap);
	if (!o.s)
		return NULL;
	put_object(&o, desc, obj);
	put(&o, "", 1);
	if (o.failed)
		return NULL;
	if (ret_len)
		*ret_len = o.n - 1;
	return o.s;
}
