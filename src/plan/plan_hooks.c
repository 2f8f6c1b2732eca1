/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks that hull-init runs (createContainer, startContainer), with the state document that they read on stdin. The host's hooks are run from the
 * configuration itself (run/hooks.c). (config.md, POSIX-platform Hooks) */
#include <errno.h>

#include "plan/plan.h"

static struct blist add_list(struct plan *p, const struct oci_hook *hooks, size_t n, const char *name)
{
	struct blob_hook *v = oci_arena_alloc(p->arena, (n + 1) * sizeof(*v));

	if (!v)
		return (struct blist){ 0, 0 };
	for (size_t i = 0; i < n; i++) {
		const struct oci_hook *h = &hooks[i];
		v[i].path = plan_str(p, h->path);
		v[i].args = h->args.n ? plan_strv(p, h->args.v, h->args.n) : plan_strv(p, &h->path, 1);
		v[i].env = plan_strv(p, h->env.v, h->env.n);
		v[i].timeout = h->timeout.set ? (uint32_t)(h->timeout.v > UINT32_MAX ? UINT32_MAX : h->timeout.v) : 0;
		v[i].origin = plan_strf(p, "hooks.%s[%zu]", name, i);
	}
	return plan_list(p, v, n, sizeof(*v));
}

/* The pid is known only inside: the document is cut where it goes. */
static int add_document(struct plan *p, const struct plan_opts *o, struct bstr *head, struct bstr *tail, struct err *e)
{
	static const char mark[] = "987654321098765";
	struct oci_state s = { .oci_version = OCI_VERSION_MAX, .id = o->id, .status = OCI_STATUS_CREATED, .pid = { true, 987654321098765 }, .bundle = p->bundle,
			       .annotations = p->cfg->annotations, .rootfs = p->rootfs };
	const char *text = oci_write(&oci_state_desc, &s, 0, p->arena, NULL), *cut;

	/* The first hit is the number: it comes before annotations, and neither id nor version may contain it as a whole member. */
	cut = text ? strstr(text, plan_text(p, "\"pid\":%s", mark)) : NULL;
	if (!cut)
		return err_set(e, ERR_BUG, 0, "the state document for hooks has no pid");
	cut += strlen("\"pid\":");
	*head = plan_strf(p, "%.*s", (int)(cut - text), text);
	*tail = plan_str(p, cut + strlen(mark));
	return 0;
}

int plan_add_hooks(struct plan *p, const struct plan_opts *o, struct err *e)
{
	const struct oci_hooks *h = p->cfg->hooks;
	struct blob_finale *f = &p->hdr.fin;
	int r = 0;

	if (!h)
		return 0;
	if (h->n_prestart || h->n_create_runtime) {
		f->flags |= FIN_HOST_HOOKS;
		p->host_hooks = true;
	}
	f->create_container = add_list(p, h->create_container, h->n_create_container, "createContainer");
	f->start_container = add_list(p, h->start_container, h->n_start_container, "startContainer");
	if (f->create_container.n || f->start_container.n)
		r = add_document(p, o, &f->state_head, &f->state_tail, e);
	return r;
}
