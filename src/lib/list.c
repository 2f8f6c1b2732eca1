/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"

struct list_ctx {
	int root_dfd;
	struct oci_arena *a;
	struct hull_list *list;
	size_t cap;
};

static int append(struct list_ctx *l, struct oci_state *s)
{
	struct hull_list *list = l->list;

	if (!s)
		return -ENOMEM;
	if (list->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct oci_state **v = oci_arena_alloc(l->a, cap * sizeof(struct oci_state *));
		if (!v)
			return -ENOMEM;
		if (list->n)
			memcpy(v, list->v, list->n * sizeof(struct oci_state *));
		list->v = v;
		l->cap = cap;
	}
	list->v[list->n++] = s;
	return 0;
}

/* One container. A broken one is a warning: it must not hide the others. */
static int add(void *arg, const char *id)
{
	struct list_ctx *l = arg;
	char text[ERR_RENDER_MAX];
	struct container c;
	struct err e;

	int r = container_open_at(l->root_dfd, id, -1, l->a, &c, &e);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_warn("%s", err_render(&e, text, sizeof(text)));
		return 0;
	}
	r = append(l, container_state(&c, l->a));
	container_close(&c);
	return r;
}

int hull_list(const struct hull *h, struct oci_arena *a, struct hull_list *ret, struct err *e)
{
	struct list_ctx l = { .a = a, .list = ret };

	*ret = (struct hull_list){ 0 };
	scoped_fd int root_dfd = state_root_open(h->root, false, e);
	/* The default root appears with the first container; one that was named should be there. */
	if (root_dfd == -ENOENT && !h->root)
		return 0;
	if (root_dfd < 0)
		return root_dfd;
	l.root_dfd = root_dfd;
	e->kind = ERR_NONE;
	int r = state_each(root_dfd, add, &l, e);
	if (r < 0 && e->kind == ERR_NONE)
		err_sys(e, r, "list containers");
	return r < 0 ? r : 0;
}
