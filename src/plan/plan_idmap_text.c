/* SPDX-License-Identifier: Apache-2.0 */
/* crun's way to write the mappings of a mount into its options: idmap=uids=0-1-10#10-11-10;gids=@0-0-10. (crun(1), "idmap mount options") */
#include <errno.h>

#include "base/num.h"
#include "plan/plan.h"

#define RULE "must be uids=FROM-TO-LENGTH[#...];gids=FROM-TO-LENGTH[#...], with @ before FROM where TO is an id of the container"

struct text { struct plan *p; const char *word, *at; bool gid; };

static int refuse(const struct text *t, const char *rule, struct err *e)
{
	return err_config(e, t->at, "\"%s\" — %s", t->word, rule);
}

static int number(const char *s, size_t n, uint32_t *ret)
{
	char digits[NUM_U64_MAX_CHARS];
	uint64_t v;

	if (n == 0 || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	int r = num_parse_u64(digits, UINT32_MAX, &v);
	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

/* "FROM-TO-LENGTH" of `n` bytes. */
static int parse_triplet(const char *s, size_t n, uint32_t ret[3])
{
	for (unsigned i = 0; i < 3; i++) {
		const char *dash = i < 2 ? memchr(s, '-', n) : NULL;
		size_t len = dash ? (size_t)(dash - s) : n;
		if ((i < 2 && !dash) || number(s, len, &ret[i]) < 0)
			return -EINVAL;
		s += i < 2 ? len + 1 : len;
		n -= i < 2 ? len + 1 : len;
	}
	/* UINT32_MAX is no id. */
	return ret[2] == 0 || (uint64_t)ret[0] + ret[2] > UINT32_MAX || (uint64_t)ret[1] + ret[2] > UINT32_MAX ? -EINVAL : 0;
}

/* Who the container's ids `id` … are outside: all of them by one line, or the mapping would tear. */
static int to_host(const struct text *t, uint32_t n, uint32_t *id, struct err *e)
{
	const struct oci_linux *l = t->p->cfg->linux_;
	const struct oci_id_mapping *m = t->gid ? l->gid_mappings : l->uid_mappings;
	size_t lines = t->gid ? l->n_gid_mappings : l->n_uid_mappings;

	for (size_t i = 0; i < lines; i++) {
		if (*id < m[i].container_id.v || (uint64_t)*id + n > (uint64_t)m[i].container_id.v + m[i].size.v)
			continue;
		*id = m[i].host_id.v + (*id - m[i].container_id.v);
		return 0;
	}
	return refuse(t, t->gid ? "no line of linux.gidMappings maps all ids of a range with @" : "no line of linux.uidMappings maps all ids of a range with @", e);
}

static int add_range(const struct text *t, const char *s, size_t n, struct oci_id_mapping *ret, struct err *e)
{
	bool relative = n && *s == '@';
	uint32_t v[3];

	if (parse_triplet(s + relative, n - relative, v) < 0)
		return refuse(t, RULE, e);
	int r = relative ? to_host(t, v[2], &v[1], e) : 0;
	*ret = (struct oci_id_mapping){ { true, v[0] }, { true, v[1] }, { true, v[2] } };
	return r;
}

/* The ranges of `n` bytes at `s`. */
static int add_ranges(const struct text *t, const char *s, size_t n, struct oci_id_mapping **ret, size_t *ret_n, struct err *e)
{
	size_t count = 1;

	for (size_t i = 0; i < n; i++)
		count += s[i] == '#';
	*ret = oci_arena_alloc(t->p->arena, count * sizeof(**ret));
	if (!*ret)
		return err_sys(e, -ENOMEM, "read %s", t->at);
	for (*ret_n = 0; *ret_n < count; (*ret_n)++) {
		const char *end = memchr(s, '#', n);
		size_t len = end ? (size_t)(end - s) : n;
		int r = add_range(t, s, len, &(*ret)[*ret_n], e);
		if (r < 0)
			return r;
		s += end ? len + 1 : len;
		n -= end ? len + 1 : len;
	}
	return 0;
}

int plan_idmap_text(struct plan *p, const char *word, const char *at, struct oci_mount *ret, struct err *e)
{
	struct text t = { .p = p, .word = word, .at = at };
	int r = 0;

	*ret = (struct oci_mount){ 0 };
	for (const char *s = strchr(word, '=') + 1; *s && r == 0; s += strspn(s, ";")) {
		size_t n = strcspn(s, ";");
		t.gid = str_starts(s, "gids=");
		if ((!t.gid && !str_starts(s, "uids=")) || (t.gid ? ret->n_gid_mappings : ret->n_uid_mappings))
			return refuse(&t, RULE, e);
		size_t key = strlen("uids=");
		r = add_ranges(&t, s + key, n - key, t.gid ? &ret->gid_mappings : &ret->uid_mappings, t.gid ? &ret->n_gid_mappings : &ret->n_uid_mappings, e);
		s += n;
	}
	if (r == 0 && (!ret->n_uid_mappings || !ret->n_gid_mappings))
		return refuse(&t, RULE, e);
	return r;
}
