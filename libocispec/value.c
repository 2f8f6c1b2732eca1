/* SPDX-License-Identifier: Apache-2.0 */
/* One value of the document → one member or one element, checked by its row. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define UNIQUE_BY_PAIRS 8 /* so few keys are compared pair by pair, more are sorted */

/* The enums of the model are stored through an int. */
_Static_assert(sizeof(enum oci_propagation) == sizeof(int), "an enum is as wide as an int");

/* yajl tells only where a token ends. Inside a string each quote follows an odd number of backslashes, so the first one
 * backwards that doesn't opens it. */
static size_t string_start(const char *text, size_t end)
{
	size_t i = end - 1; /* the closing quote */

	while (i > 0) {
		size_t slashes = 0;

		i--;
		if (text[i] != '"')
			continue;
		while (slashes < i && text[i - 1 - slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			return i;
	}
	return 0;
}

size_t oci_value_at(const struct oci_parser *p, const struct oci_value *v)
{
	switch (v->type) {
	case OCI_J_STRING:
		return string_start(p->text, v->end);
	case OCI_J_NUMBER:
		return v->end - v->len;
	case OCI_J_NULL:
		return v->end - 4;
	case OCI_J_BOOL:
		return v->end - (v->b ? 4 : 5);
	default:
		return v->end - 1;
	}
}

/* How a value looks in a message. */
static void write_value(struct oci_text_buf *b, const struct oci_value *v)
{
	static const char *const fixed[] = { [OCI_J_NULL] = "null", [OCI_J_OBJECT] = "{…}", [OCI_J_ARRAY] = "[…]" };

	if (v->type == OCI_J_STRING)
		oci_buf_add_quoted(b, v->s, v->len);
	else if (v->type == OCI_J_NUMBER)
		oci_buf_add_foreign(b, v->s, v->len, 80);
	else if (v->type == OCI_J_BOOL)
		oci_buf_printf(b, "%s", v->b ? "true" : "false");
	else
		oci_buf_printf(b, "%s", fixed[v->type]);
}

/* "VALUE — rule" at the value's place. */
static bool fail_value(struct oci_parser *p, const struct oci_value *v, const char *rule)
{
	char shown[400];
	struct oci_text_buf b = { .s = shown, .size = sizeof(shown) };

	shown[0] = '\0';
	write_value(&b, v);
	return oci_fail(p, oci_value_at(p, v), "%s — %s", shown, rule);
}

static bool fail_range(struct oci_parser *p, const struct oci_field *f, const struct oci_value *v)
{
	char rule[128];
	struct oci_text_buf b = { .s = rule, .size = sizeof(rule) };
	int64_t lo;
	uint64_t hi;

	oci_field_range(f, &lo, &hi);
	rule[0] = '\0';
	if (f->has_min && !f->has_max)
		oci_buf_printf(&b, "expected a whole number, %lld or more", (long long)lo);
	else
		oci_buf_printf(&b, "expected a whole number from %lld to %llu", (long long)lo, (unsigned long long)hi);
	return fail_value(p, v, rule);
}

bool oci_wrong_type(struct oci_parser *p, const struct oci_field *f, bool element, const struct oci_value *v)
{
	static const char *const whole[OCI_K_N] = {
		[OCI_K_BOOL] = "expected true or false",
		[OCI_K_STR] = "expected a string",
		[OCI_K_WORD] = "expected a string",
		[OCI_K_STRV] = "expected an array of strings",
		[OCI_K_U32V] = "expected an array of whole numbers",
		[OCI_K_WORDV] = "expected an array of strings",
		[OCI_K_MAP] = "expected an object of strings",
		[OCI_K_OBJ] = "expected an object",
		[OCI_K_OBJV] = "expected an array of objects",
		[OCI_K_OBJMAP] = "expected an object of objects",
	};
	static const char *const part[OCI_K_N] = {
		[OCI_K_STRV] = "expected a string", [OCI_K_WORDV] = "expected a string",
		[OCI_K_MAP] = "expected a string", [OCI_K_OBJV] = "expected an object",
		[OCI_K_OBJMAP] = "expected an object",
	};
	const char *rule = element ? part[f->kind] : whole[f->kind];

	return rule ? fail_value(p, v, rule) : fail_range(p, f, v);
}

bool oci_out_of_memory(struct oci_parser *p)
{
	p->fatal = true;
	return oci_fail(p, p->last_end, "the document needs more memory than is allowed or there");
}

void *oci_alloc(struct oci_parser *p, size_t size)
{
	void *mem = oci_arena_alloc(p->arena, size);

	if (!mem)
		oci_out_of_memory(p);
	return mem;
}

void *oci_vec_push(struct oci_parser *p, struct oci_vec *vec, size_t size)
{
	if (vec->n == vec->cap) {
		size_t cap = vec->cap ? vec->cap * 2 : 4;
		char *v = oci_alloc(p, cap * size);

		if (!v)
			return NULL;
		if (vec->n)
			memcpy(v, vec->v, vec->n * size);
		vec->v = v;
		vec->cap = cap;
	}
	return vec->v + size * vec->n++;
}

static bool read_number(struct oci_parser *p, const struct oci_field *f, const struct oci_value *v,
			struct oci_number *ret)
{
	int64_t lo;
	uint64_t hi;

	if (!oci_number_read(v->s, v->len, ret))
		return fail_value(p, v, "expected a whole number, written without a fraction or an exponent");
	if (f->has_unset && !ret->huge && !ret->neg && ret->mag == f->unset)
		return true;
	oci_field_range(f, &lo, &hi);
	return oci_number_within(ret, lo, hi) || fail_range(p, f, v);
}

static bool fail_word(struct oci_parser *p, const struct oci_words *w, const struct oci_value *v)
{
	char rule[640];
	struct oci_text_buf b = { .s = rule, .size = sizeof(rule) };
	const char *near = oci_nearest_word(w, v->s, v->len);

	rule[0] = '\0';
	if (near)
		oci_buf_printf(&b, "did you mean \"%s\"? ", near);
	oci_buf_printf(&b, "expected one of ");
	for (unsigned i = 1; i < w->n; i++)
		oci_buf_printf(&b, "%s%s", i > 1 ? ", " : "", w->word[i]);
	return fail_value(p, v, rule);
}

static bool read_word(struct oci_parser *p, const struct oci_field *f, const struct oci_value *v, int *ret)
{
	*ret = (int)oci_words_find(f->words, v->s, v->len);
	return *ret || fail_word(p, f->words, v);
}

static bool read_string(struct oci_parser *p, const struct oci_field *f, const struct oci_value *v, const char **ret)
{
	const char *rule = oci_text_check(f->text, v->s, v->len);

	if (rule)
		return fail_value(p, v, rule);
	if (f->words) {
		unsigned i = oci_words_find(f->words, v->s, v->len);

		*ret = i ? f->words->word[i] : NULL;
		return i || fail_word(p, f->words, v);
	}
	*ret = oci_arena_strndup(p->arena, v->s, v->len);
	return *ret || oci_out_of_memory(p);
}

/* The sign is applied without leaving 64 bits: -2^63 has no positive counterpart. */
static int64_t signed_value(const struct oci_number *n)
{
	return n->neg ? -(int64_t)(n->mag - 1) - 1 : (int64_t)n->mag;
}

static void put_number(const struct oci_field *f, char *member, const struct oci_number *n)
{
	struct opt_i64 i64 = { true, 0 };
	struct opt_u64 u64 = { true, n->mag };
	struct opt_i32 i32 = { true, 0 };
	struct opt_u32 u32 = { true, (uint32_t)n->mag };

	switch (f->kind) {
	case OCI_K_I64:
		i64.v = signed_value(n);
		memcpy(member, &i64, sizeof(i64));
		break;
	case OCI_K_I32:
		i32.v = (int32_t)signed_value(n);
		memcpy(member, &i32, sizeof(i32));
		break;
	case OCI_K_U64:
		memcpy(member, &u64, sizeof(u64));
		break;
	default:
		memcpy(member, &u32, sizeof(u32));
		break;
	}
}

static bool store_number(struct oci_parser *p, const struct oci_field *f, char *member, const struct oci_value *v)
{
	struct oci_number n;

	if (!read_number(p, f, v, &n))
		return false;
	if (!f->has_unset || n.neg || n.mag != f->unset)
		put_number(f, member, &n);
	return true;
}

static bool store_string(struct oci_parser *p, const struct oci_field *f, char *member, const struct oci_value *v)
{
	const char *s;

	if (!read_string(p, f, v, &s))
		return false;
	memcpy(member, &s, sizeof(s));
	return true;
}

static bool store_word(struct oci_parser *p, const struct oci_field *f, char *member, const struct oci_value *v)
{
	int word;

	if (!read_word(p, f, v, &word))
		return false;
	memcpy(member, &word, sizeof(word));
	return true;
}

bool oci_store(struct oci_parser *p, const struct oci_field *f, char *obj, const struct oci_value *v)
{
	struct opt_bool yes_no = { true, v->b };
	char *member = obj + f->off;

	switch (f->kind) {
	case OCI_K_BOOL:
		if (v->type != OCI_J_BOOL)
			break;
		memcpy(member, &yes_no, sizeof(yes_no));
		return true;
	case OCI_K_I64:
	case OCI_K_U64:
	case OCI_K_I32:
	case OCI_K_U32:
		return v->type == OCI_J_NUMBER ? store_number(p, f, member, v) : oci_wrong_type(p, f, false, v);
	case OCI_K_STR:
		return v->type == OCI_J_STRING ? store_string(p, f, member, v) : oci_wrong_type(p, f, false, v);
	case OCI_K_WORD:
		return v->type == OCI_J_STRING ? store_word(p, f, member, v) : oci_wrong_type(p, f, false, v);
	default:
		break;
	}
	return oci_wrong_type(p, f, false, v);
}

static bool append_number(struct oci_parser *p, struct oci_frame *array, const struct oci_value *v)
{
	struct oci_number n;
	uint32_t *slot;

	if (!read_number(p, array->field, v, &n))
		return false;
	slot = oci_vec_push(p, &array->items, sizeof(*slot));
	if (slot)
		*slot = (uint32_t)n.mag;
	return slot;
}

static bool append_string(struct oci_parser *p, struct oci_frame *array, const struct oci_value *v)
{
	const char *s, **slot;

	if (!read_string(p, array->field, v, &s))
		return false;
	slot = oci_vec_push(p, &array->items, sizeof(*slot));
	if (slot)
		*slot = s;
	return slot;
}

static bool append_word(struct oci_parser *p, struct oci_frame *array, const struct oci_value *v)
{
	int word, *slot;

	if (!read_word(p, array->field, v, &word))
		return false;
	slot = oci_vec_push(p, &array->items, sizeof(*slot));
	if (slot)
		*slot = word;
	return slot;
}

bool oci_append(struct oci_parser *p, struct oci_frame *array, const struct oci_value *v)
{
	uint8_t kind = array->field->kind;

	if (kind == OCI_K_U32V && v->type == OCI_J_NUMBER)
		return append_number(p, array, v);
	if (kind == OCI_K_STRV && v->type == OCI_J_STRING)
		return append_string(p, array, v);
	if (kind == OCI_K_WORDV && v->type == OCI_J_STRING)
		return append_word(p, array, v);
	return oci_wrong_type(p, array->field, true, v);
}

bool oci_map_add(struct oci_parser *p, struct oci_frame *map, const struct oci_value *v)
{
	struct oci_kv *kv;
	const char *s;

	if (v->type != OCI_J_STRING)
		return oci_wrong_type(p, map->field, true, v);
	if (!read_string(p, map->field, v, &s))
		return false;
	kv = oci_vec_push(p, &map->items, sizeof(*kv));
	if (kv)
		*kv = (struct oci_kv){ .key = map->key, .value = s };
	return kv;
}

static void store_list(const struct oci_frame *f, void *list)
{
	const struct oci_field *row = f->field;
	struct oci_strv strv = { .v = list, .n = f->items.n, .set = true };
	struct oci_u32v u32v = { .v = list, .n = f->items.n, .set = true };
	struct oci_enumv wordv = { .v = list, .n = f->items.n, .set = true };
	struct oci_map map = { .v = list, .n = f->items.n, .set = true };
	char *member = f->obj + row->off;

	switch (row->kind) {
	case OCI_K_STRV:
		memcpy(member, &strv, sizeof(strv));
		break;
	case OCI_K_U32V:
		memcpy(member, &u32v, sizeof(u32v));
		break;
	case OCI_K_WORDV:
		memcpy(member, &wordv, sizeof(wordv));
		break;
	case OCI_K_MAP:
		memcpy(member, &map, sizeof(map));
		break;
	default: /* objects: an empty list is a pointer to nothing, an absent one is NULL */
		memcpy(member, &list, sizeof(list));
		memcpy(f->obj + row->off_n, &f->items.n, sizeof(f->items.n));
		break;
	}
}

bool oci_store_items(struct oci_parser *p, const struct oci_frame *f)
{
	void *list = f->items.v;

	if (f->items.n < f->field->min_items)
		return oci_fail(p, f->at, "[] — expected at least %u entry", f->field->min_items);
	if (!list)
		list = oci_alloc(p, f->field->desc ? f->field->desc->size : 1);
	if (list)
		store_list(f, list);
	return list;
}

static int compare_keys(const void *a, const void *b)
{
	const struct oci_key *x = a, *y = b;
	int r = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);

	if (r == 0)
		r = (x->len > y->len) - (x->len < y->len);
	return r ? r : (x->at > y->at) - (x->at < y->at);
}

static bool same_key(const struct oci_key *x, const struct oci_key *y)
{
	return x->len == y->len && memcmp(x->s, y->s, x->len) == 0;
}

static bool fail_duplicate(struct oci_parser *p, struct oci_frame *f, const struct oci_key *k)
{
	f->key = k->s;
	f->key_len = k->len;
	return oci_fail(p, k->at, "duplicate key");
}

/* Sorted, not hashed: a document made to collide would take hours otherwise. */
bool oci_keys_unique(struct oci_parser *p, struct oci_frame *f)
{
	struct oci_key *keys = (void *)f->keys.v;
	size_t n = f->keys.n;

	if (n > UNIQUE_BY_PAIRS) {
		qsort(keys, n, sizeof(*keys), compare_keys);
		for (size_t i = 1; i < n; i++)
			if (same_key(&keys[i - 1], &keys[i]))
				return fail_duplicate(p, f, &keys[i]);
		return true;
	}
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (same_key(&keys[i], &keys[j]))
				return fail_duplicate(p, f, &keys[i]);
	return true;
}
