/* SPDX-License-Identifier: Apache-2.0 */
/* Take apart what a JSON path names: for programs that want to know what else is wrong with a document. Indices are those of the document as it was read,
 * whatever has been taken out of a list since. */
#include "ocispec/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 24

/* A member or an element along the path, the deepest last. */
struct node {
	const struct oci_field *field;
	char *obj;      /* that has the member */
	bool element;
	size_t index;
};

struct walk {
	struct node v[NODES_MAX];
	size_t n;
	const struct oci_pruned *pruned;
	char *original; /* the path in the document's own indices */
	size_t size, len;
};

static const size_t member_size[OCI_K_N] = {
	[OCI_K_BOOL] = sizeof(struct opt_bool), [OCI_K_I64] = sizeof(struct opt_i64), [OCI_K_U64] = sizeof(struct opt_u64),
	[OCI_K_I32] = sizeof(struct opt_i32), [OCI_K_U32] = sizeof(struct opt_u32), [OCI_K_STR] = sizeof(char *), [OCI_K_WORD] = sizeof(int),
	[OCI_K_STRV] = sizeof(struct oci_strv), [OCI_K_U32V] = sizeof(struct oci_u32v), [OCI_K_WORDV] = sizeof(struct oci_enumv),
	[OCI_K_MAP] = sizeof(struct oci_map), [OCI_K_OBJ] = sizeof(void *), [OCI_K_OBJV] = sizeof(void *), [OCI_K_OBJMAP] = sizeof(void *),
};

/* Bytes of an element of a list; 0 where there are none. */
static size_t element_size(const struct oci_field *f)
{
	static const size_t sizes[OCI_K_N] = { [OCI_K_STRV] = sizeof(char *), [OCI_K_U32V] = sizeof(uint32_t), [OCI_K_WORDV] = sizeof(int),
					       [OCI_K_MAP] = sizeof(struct oci_kv) };

	return f->kind == OCI_K_OBJV || f->kind == OCI_K_OBJMAP ? f->desc->size : sizes[f->kind];
}

/* The list of a row: its first element, and where its length is kept. All lists of scalars begin alike. */
static char *list_of(const struct node *n, size_t **ret_n)
{
	char *member = n->obj + n->field->off, *list;
	bool objects = n->field->kind == OCI_K_OBJV || n->field->kind == OCI_K_OBJMAP;

	_Static_assert(offsetof(struct oci_strv, n) == offsetof(struct oci_map, n) && offsetof(struct oci_u32v, n) == offsetof(struct oci_enumv, n) &&
			       offsetof(struct oci_strv, n) == offsetof(struct oci_u32v, n),
		       "lists have one shape");
	memcpy(&list, member, sizeof(list));
	*ret_n = (size_t *)(void *)(objects ? n->obj + n->field->off_n : member + offsetof(struct oci_strv, n));
	return list;
}

static void write_path(struct walk *w, const char *s, size_t len)
{
	if (len > w->size - 1 - w->len)
		len = w->size - 1 - w->len;
	memcpy(w->original + w->len, s, len);
	w->len += len;
	w->original[w->len] = '\0';
}

static size_t original_index(const struct oci_pruned *p, const void *list, size_t index)
{
	size_t at = 0; /* counts the document's elements; `index` those that are left */

	for (;; at++) {
		bool gone = false;

		for (size_t i = 0; i < p->n && !gone; i++)
			gone = p->v[i].list == list && p->v[i].index == at;
		if (!gone && !index--)
			return at;
	}
}

static bool push(struct walk *w, struct node n)
{
	if (w->n == NODES_MAX)
		return false;
	w->v[w->n++] = n;
	return true;
}

static size_t find_key(const char *list, const struct oci_field *f, size_t n, const char *key, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		const char *k;

		memcpy(&k, list + i * element_size(f) + (f->kind == OCI_K_OBJMAP ? f->off_key : offsetof(struct oci_kv, key)), sizeof(k));
		if (strlen(k) == len && memcmp(k, key, len) == 0)
			return i;
	}
	return n;
}

/* "[3]", "[\"key\"]" or ".key" behind a list's name. Returns what follows, NULL when it leads nowhere. */
static const char *step_into_list(struct walk *w, const char *s)
{
	struct node list = w->v[w->n - 1];
	bool map = list.field->kind == OCI_K_MAP || list.field->kind == OCI_K_OBJMAP;
	size_t *n, len;
	char *v = list_of(&list, &n), number[32];
	const char *end;

	if (map) {
		bool quoted = s[0] == '[' && s[1] == '"';
		const char *key = s + (quoted ? 2 : 1);

		end = quoted ? strstr(key, "\"]") : key + strcspn(key, ".[");
		len = end ? (size_t)(end - key) : 0;
		list.index = find_key(v, list.field, *n, key, len);
		end = end && quoted ? end + 2 : end;
		write_path(w, s, end ? (size_t)(end - s) : strlen(s));
	} else {
		char *after;

		list.index = strtoul(s + 1, &after, 10);
		end = *after == ']' ? after + 1 : NULL;
		write_path(w, number, (size_t)snprintf(number, sizeof(number), "[%zu]", original_index(w->pruned, v, list.index)));
	}
	list.element = true;
	return end && list.index < *n && push(w, list) ? end : NULL;
}

/* Follow the path as far as it leads. */
static void follow(struct walk *w, const struct oci_desc *desc, char *obj, const char *s)
{
	while (desc && obj && s && *s) {
		const char *name = *s == '.' ? s + 1 : s;
		size_t len = strcspn(name, ".["), *n;
		const struct oci_field *f = NULL;

		for (unsigned i = 0; i < desc->n && !f; i++)
			if (desc->fields[i].name_len == len && memcmp(desc->fields[i].name, name, len) == 0)
				f = &desc->fields[i];
		if (!f || !push(w, (struct node){ .field = f, .obj = obj }))
			break;
		write_path(w, s, (size_t)(name - s) + len);
		s = name + len;
		desc = f->desc;
		if (f->kind == OCI_K_OBJ)
			memcpy(&obj, obj + f->off, sizeof(obj));
		else if (element_size(f) && *s) {
			char *list = list_of(&w->v[w->n - 1], &n);

			s = step_into_list(w, s);
			obj = s ? list + w->v[w->n - 1].index * element_size(f) : NULL;
			if (!s)
				return;
		} else
			break;
	}
	if (s)
		write_path(w, s, strlen(s));
}

static bool is_absent(const char *member, size_t size)
{
	while (size && !member[size - 1])
		size--;
	return !size;
}

static bool remove_element(const struct node *n, struct oci_pruned *p)
{
	size_t *count, size = element_size(n->field);
	char *list = list_of(n, &count);

	if (p->n == OCI_PRUNED_MAX)
		return false;
	p->v[p->n++] = (struct oci_pruned_element){ .list = list, .index = original_index(p, list, n->index) };
	memmove(list + n->index * size, list + (n->index + 1) * size, (*count - n->index - 1) * size);
	(*count)--;
	return true;
}

static bool remove_member(const struct node *n)
{
	const struct oci_field *f = n->field;
	size_t *count;

	if (f->required || is_absent(n->obj + f->off, member_size[f->kind]))
		return false;
	if (f->kind == OCI_K_OBJV || f->kind == OCI_K_OBJMAP) {
		list_of(n, &count);
		*count = 0;
	}
	memset(n->obj + f->off, 0, member_size[f->kind]);
	return true;
}

bool oci_prune(const struct oci_desc *desc, void *obj, const char *path, unsigned up, struct oci_pruned *p)
{
	char ignored[1];
	struct walk w = { .pruned = p, .original = ignored, .size = sizeof(ignored) };

	ignored[0] = '\0';
	follow(&w, desc, obj, path);
	while (w.n) {
		const struct node *n = &w.v[--w.n];

		if (up)
			up--;
		else if (n->element ? remove_element(n, p) : remove_member(n))
			return true;
	}
	return false;
}

void oci_prune_path(const struct oci_desc *desc, void *obj, const char *path, const struct oci_pruned *p, char *buf, size_t size)
{
	struct walk w = { .pruned = p, .original = buf, .size = size };

	buf[0] = '\0';
	follow(&w, desc, obj, path);
}
