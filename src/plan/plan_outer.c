/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary caller has no right to mount, nor to a namespace. S gets both from a user namespace of the caller's own, in which the container's is made then:
 * what S mounts is locked in the container, as it is for root. Ids have the same numbers in it as outside, so that nothing else of the plan depends on it, and
 * the container sees its mappings as they were asked for. (user_namespaces(7)) */
#include "plan/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"

/* As in plan_idmap.c: one write of less than a page. */
#define MAP_TEXT_MAX 4096

struct range { uint64_t first, size; };

static int compare_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The ids outside of `m`, and `own`, sorted, neighbours as one. */
static size_t outer_ranges(const struct oci_id_mapping *m, size_t n, uint32_t own, struct range *ret)
{
	size_t kept = 0, all = 0;
	bool has_own = false;

	for (size_t i = 0; i < n; i++) {
		ret[all++] = (struct range){ m[i].host_id.v, m[i].size.v };
		has_own |= own >= m[i].host_id.v && own - m[i].host_id.v < m[i].size.v;
	}
	/* Whoever makes a user namespace must exist in the one around it. */
	if (!has_own)
		ret[all++] = (struct range){ own, 1 };
	qsort(ret, all, sizeof(*ret), compare_first);
	for (size_t i = 1; i < all; i++) {
		if (ret[kept].first + ret[kept].size == ret[i].first)
			ret[kept].size += ret[i].size;
		else
			ret[++kept] = ret[i];
	}
	return kept + 1;
}

static int outer_map(struct plan *p, const struct oci_id_mapping *m, size_t n, uint32_t own, const char *where, const char **ret, bool *ret_own, struct err *e)
{
	struct range *ranges = oci_arena_alloc(p->arena, (n + 1) * sizeof(*ranges));
	char text[MAP_TEXT_MAX];
	struct buf b;

	if (!ranges)
		return err_sys(e, -ENOMEM, "%s", where);
	size_t count = outer_ranges(m, n, own, ranges);
	buf_init(&b, text, sizeof(text));
	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%llu %llu %llu\n", (unsigned long long)ranges[i].first, (unsigned long long)ranges[i].first, (unsigned long long)ranges[i].size);
	if (b.overflow)
		return err_config(e, where, "%zu mappings are more text than the kernel takes: at most %d bytes", n, MAP_TEXT_MAX - 1);
	*ret = plan_text(p, "%s", text);
	*ret_own = count == 1 && ranges[0].size == 1;
	return 0;
}

int plan_add_outer(struct plan *p, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	struct plan_outer *o = &p->outer;

	if (!facts_is_ordinary(p->facts) && !p->facts->foreign_mounts)
		return 0;
	plan_step(p, STEP_OUTER, PH_ENTER, WHO_S, facts_is_ordinary(p->facts) ? "linux.uidMappings" : "linux.namespaces")->in = p->slots.outer;
	if (!facts_is_ordinary(p->facts))
		return 0;
	o->on = true;
	int r = outer_map(p, l->uid_mappings, l->n_uid_mappings, p->facts->euid, "linux.uidMappings", &o->uid_map, &o->own_uid, e);
	if (r == 0)
		r = outer_map(p, l->gid_mappings, l->n_gid_mappings, p->facts->egid, "linux.gidMappings", &o->gid_map, &o->own_gid, e);
	return r;
}
