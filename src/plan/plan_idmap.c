/* SPDX-License-Identifier: Apache-2.0 */
/* Id mappings: the lines that the kernel takes, and who is who outside. (user_namespaces(7); config-linux.md, User namespace mappings) */
#include "plan/plan.h"

#include <errno.h>

#include "base/buf.h"

/* The kernel takes a map in one write of less than a page (map_write() in kernel/user_namespace.c). */
#define MAP_TEXT_MAX 4096

/* Does `b` go on where `a` ends, inside and outside? Then one line says both. */
static bool continues(const struct oci_id_mapping *a, const struct oci_id_mapping *b)
{
	return a->container_id.v + a->size.v == b->container_id.v && a->host_id.v + a->size.v == b->host_id.v;
}

int plan_map_text(struct plan *p, const struct oci_id_mapping *m, size_t n, const char *where, struct bstr *ret, struct err *e)
{
	char text[MAP_TEXT_MAX];
	struct buf b;

	buf_init(&b, text, sizeof(text));
	for (size_t i = 0, next; i < n; i = next) {
		uint64_t size = m[i].size.v;
		for (next = i + 1; next < n && continues(&m[next - 1], &m[next]); next++)
			size += m[next].size.v;
		buf_printf(&b, "%u %u %llu\n", m[i].container_id.v, m[i].host_id.v, (unsigned long long)size);
	}
	if (b.overflow)
		return err_config(e, where, "%zu mappings are more text than the kernel takes: at most %d bytes", n, MAP_TEXT_MAX - 1);
	*ret = plan_str(p, text);
	return 0;
}

bool plan_map_id(const struct oci_id_mapping *m, size_t n, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (id < m[i].container_id.v || id - m[i].container_id.v >= m[i].size.v)
			continue;
		*ret = m[i].host_id.v + (id - m[i].container_id.v);
		return true;
	}
	return false;
}

bool plan_has_userns(const struct plan *p)
{
	return !p->facts->joins_userns && plan_find_namespace(p->cfg, OCI_NS_USER);
}

int plan_owner(struct plan *p, bool gid, uint32_t id, const char *where, uint32_t *ret, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;
	const char *list = gid ? "linux.gidMappings" : "linux.uidMappings";
	size_t n = gid ? l->n_gid_mappings : l->n_uid_mappings;

	*ret = id;
	if (!plan_has_userns(p))
		return 0;
	/* Whoever S is told to be there for the container. */
	if (id == 0) {
		*ret = ID_ROOT;
		return 0;
	}
	if (n == 0)
		return err_config(e, where, "%u — who this is outside of the joined user namespace must be said by %s", id, list);
	if (!plan_map_id(gid ? l->gid_mappings : l->uid_mappings, n, id, ret))
		return err_config(e, where, "%u — %s maps no such id", id, list);
	return 0;
}

static bool same_mappings(const struct oci_id_mapping *a, size_t n_a, const struct oci_id_mapping *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && n_a == n_b; i++)
		if (a[i].container_id.v != b[i].container_id.v || a[i].host_id.v != b[i].host_id.v || a[i].size.v != b[i].size.v)
			return false;
	return n_a == n_b;
}

/* `uids_at`, `gids_at`: JSON paths of the lists. */
static int add_mappings(struct plan *p, const struct oci_mount *m, const char *uids_at, const char *gids_at, int16_t *ret, struct err *e)
{
	struct bstr uids, gids;
	int r = plan_map_text(p, m->uid_mappings, m->n_uid_mappings, uids_at, &uids, e);

	if (r == 0)
		r = plan_map_text(p, m->gid_mappings, m->n_gid_mappings, gids_at, &gids, e);
	if (r < 0)
		return r;
	if (!p->idmap_of || !same_mappings(m->uid_mappings, m->n_uid_mappings, p->idmap_of->uid_mappings, p->idmap_of->n_uid_mappings) ||
	    !same_mappings(m->gid_mappings, m->n_gid_mappings, p->idmap_of->gid_mappings, p->idmap_of->n_gid_mappings)) {
		struct step *s = plan_step(p, STEP_IDMAP, PH_SOURCE, WHO_S, uids_at);
		s->out = p->idmap_of_slot = plan_slot(p);
		s->u.idmap.uid_map = uids;
		s->u.idmap.gid_map = gids;
		p->idmap_of = m;
	}
	*ret = p->idmap_of_slot;
	return 0;
}

static int add_own_mappings(struct plan *p, const struct oci_mount *m, const char *where, int16_t *ret, struct err *e)
{
	return add_mappings(p, m, plan_text(p, "%s.uidMappings", where), plan_text(p, "%s.gidMappings", where), ret, e);
}

static int add_text_mappings(struct plan *p, const struct mount_words *w, int16_t *ret, struct err *e)
{
	struct oci_mount *m = oci_arena_alloc(p->arena, sizeof(*m));
	int r = m ? plan_idmap_text(p, w->idmap_text, w->idmap_at, m, e) : err_sys(e, -ENOMEM, "read %s", w->idmap_at);

	return r < 0 ? r : add_mappings(p, m, w->idmap_at, w->idmap_at, ret, e);
}

int plan_add_idmap(struct plan *p, const struct oci_mount *m, const struct mount_words *w, const char *where, int16_t *ret, struct err *e)
{
	bool own = m->n_uid_mappings || m->n_gid_mappings;

	*ret = 0;
	if (!own && w->idmap == MOUNT_IDMAP_NONE)
		return 0;
	if (!w->bind || w->remount)
		return err_config(e, plan_text(p, "%s.%s", where, own ? "uidMappings" : "options"), "ids can be mapped on a bind mount only");
	if (own && w->idmap_text)
		return err_config(e, w->idmap_at, "\"%s\" — and uidMappings, gidMappings: a mount has one mapping", w->idmap_text);
	if (w->idmap_text)
		return add_text_mappings(p, w, ret, e);
	if (own)
		return add_own_mappings(p, m, where, ret, e);
	/* config.md: without mappings of its own the container's may be used; with neither it is an error. */
	if (!p->hdr.userns)
		return err_config(e, plan_text(p, "%s.options", where), "\"%s\" — needs uidMappings and gidMappings, or a user namespace whose mappings it can take",
				  w->idmap == MOUNT_IDMAP_REC ? "ridmap" : "idmap");
	if (p->hdr.idmap_slot < 0)
		p->hdr.idmap_slot = plan_slot(p);
	*ret = p->hdr.idmap_slot;
	return 0;
}
