/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: strings, lists and steps go into one block that is the plan in its final form. */
#include "plan/plan.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <stdio.h>

/* Room for `len` more bytes at an offset that is a multiple of `align`. Returns the offset, 0 when there is no memory (noted in plan.mem). */
static uint32_t grow(struct plan *p, size_t len, size_t align)
{
	size_t at = (p->len + align - 1) / align * align, need = at + len;

	if (!p->mem && p->cap)
		return 0;
	if (need > p->cap) {
		size_t cap = p->cap ? p->cap : 16384;
		while (cap < need)
			cap *= 2;
		char *mem = cap <= BLOB_MAX ? oci_arena_alloc(p->arena, cap) : NULL;
		if (mem && p->mem)
			memcpy(mem, p->mem, p->len);
		p->mem = mem;
		p->cap = cap;
		if (!mem)
			return 0;
		if (p->len == 0) {
			p->len = sizeof(struct blob);
			at = (p->len + align - 1) / align * align;
			need = at + len;
		}
	}
	p->len = need;
	return (uint32_t)at;
}

struct bstr plan_str(struct plan *p, const char *s)
{
	if (!s)
		return (struct bstr){ 0 };
	size_t n = strlen(s) + 1;
	uint32_t off = grow(p, n, 1);

	if (off)
		memcpy(p->mem + off, s, n);
	return (struct bstr){ off };
}

const char *plan_text(struct plan *p, const char *fmt, ...)
{
	char buf[8192];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf))
		buf[sizeof(buf) - 1] = '\0';
	const char *s = oci_arena_strdup(p->arena, buf);
	return s ? s : "";
}

struct bstr plan_strf(struct plan *p, const char *fmt, ...)
{
	char buf[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return plan_str(p, buf);
}

struct bpath plan_path(struct plan *p, const char *s)
{
	return (struct bpath){ plan_str(p, s).off };
}

struct blist plan_list(struct plan *p, const void *v, size_t n, size_t size)
{
	if (n == 0)
		return (struct blist){ 0, 0 };
	uint32_t off = grow(p, n * size, 8);

	if (off)
		memcpy(p->mem + off, v, n * size);
	return (struct blist){ off, (uint32_t)n };
}

struct blist plan_strv(struct plan *p, const char *const *v, size_t n)
{
	struct bstr *strs = oci_arena_alloc(p->arena, (n + 1) * sizeof(*strs));

	if (!strs) {
		p->mem = NULL;
		return (struct blist){ 0, 0 };
	}
	for (size_t i = 0; i < n; i++)
		strs[i] = plan_str(p, v[i]);
	return plan_list(p, strs, n, sizeof(*strs));
}

struct step *plan_step(struct plan *p, enum step_op op, enum phase phase, enum step_who who, const char *origin)
{
	static struct step lost; /* written to when memory is short; the plan is refused when sealed */

	if (p->n_steps == p->cap_steps) {
		size_t cap = p->cap_steps ? 2 * p->cap_steps : 64;
		struct step *steps = oci_arena_alloc(p->arena, cap * sizeof(*steps));
		if (!steps) {
			p->mem = NULL;
			return &lost;
		}
		if (p->n_steps)
			memcpy(steps, p->steps, p->n_steps * sizeof(*steps));
		p->steps = steps;
		p->cap_steps = cap;
	}
	struct bstr where = plan_str(p, origin);
	struct step *s = &p->steps[p->n_steps++];
	*s = (struct step){ .op = (uint8_t)op, .phase = (uint8_t)phase, .who = (uint8_t)who, .in = -1, .out = -1, .origin = where };
	return s;
}

int16_t plan_slot(struct plan *p)
{
	return (int16_t)p->hdr.n_slots++;
}

/* What S covers and makes read-only is done before I has its copy of the mounts. */
static void move_to_lock(struct plan *p)
{
	for (size_t i = 0; i < p->n_steps && p->hdr.userns; i++)
		if (p->steps[i].phase == PH_MASK && p->steps[i].who == WHO_S)
			p->steps[i].phase = PH_LOCK;
}

/* Phases are slices of the list: a stable sort keeps the configuration's order inside each. */
static struct step *sort_steps(struct plan *p)
{
	struct step *sorted = oci_arena_alloc(p->arena, (p->n_steps + 1) * sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return NULL;
	for (unsigned phase = 0; phase < PH_MAX; phase++) {
		p->hdr.first[phase] = (uint16_t)n;
		for (size_t i = 0; i < p->n_steps; i++)
			if (p->steps[i].phase == phase)
				sorted[n++] = p->steps[i];
	}
	p->hdr.first[PH_MAX] = (uint16_t)n;
	return sorted;
}

const struct blob *plan_seal(struct plan *p, size_t *ret_size, struct err *e)
{
	if (!p->sealed) {
		if (p->n_steps >= UINT16_MAX || p->hdr.n_slots > BLOB_SLOTS_MAX) {
			err_set(e, ERR_CONFIG, 0, "the configuration needs %zu steps and %u open mounts — at most %u and %u are possible", p->n_steps,
				p->hdr.n_slots, UINT16_MAX - 1, BLOB_SLOTS_MAX);
			return NULL;
		}
		move_to_lock(p);
		struct step *sorted = sort_steps(p);
		if (sorted)
			p->hdr.steps = plan_list(p, sorted, p->n_steps, sizeof(*sorted));
		p->steps = sorted;
		p->sealed = true;
	}
	if (!p->mem || !p->steps) {
		err_set(e, ERR_SYS, ENOMEM, "build the plan");
		return NULL;
	}
	p->hdr.magic = BLOB_MAGIC;
	p->hdr.version = BLOB_VERSION;
	p->hdr.size = (uint32_t)p->len;
	memcpy(p->mem, &p->hdr, sizeof(p->hdr));
	*ret_size = p->len;
	return (const struct blob *)(void *)p->mem;
}

void plan_set_fd(struct plan *p, int16_t slot, int fd)
{
	int32_t n = fd;

	if (slot >= 0 && p->mem && (uint32_t)slot < p->hdr.fds.n)
		memcpy(p->mem + p->hdr.fds.off + (size_t)slot * sizeof(n), &n, sizeof(n));
}

const char *plan_clean_path(struct plan *p, const char *s)
{
	size_t n = strlen(s), o = 0;
	char *out = oci_arena_alloc(p->arena, n + 2);

	if (!out)
		return "/";
	while (*s) {
		while (*s == '/')
			s++;
		size_t len = strcspn(s, "/");
		if (len == 0)
			break;
		if (!(len == 1 && s[0] == '.')) {
			out[o++] = '/';
			memcpy(out + o, s, len);
			o += len;
		}
		s += len;
	}
	if (o == 0)
		out[o++] = '/';
	out[o] = '\0';
	return out;
}

static const struct {
	enum oci_namespace_type type;
	uint32_t flag;
} clone_flags[] = {
	{ OCI_NS_PID, CLONE_NEWPID }, { OCI_NS_NETWORK, CLONE_NEWNET }, { OCI_NS_MOUNT, CLONE_NEWNS }, { OCI_NS_IPC, CLONE_NEWIPC },
	{ OCI_NS_UTS, CLONE_NEWUTS }, { OCI_NS_CGROUP, CLONE_NEWCGROUP }, { OCI_NS_USER, CLONE_NEWUSER }, { OCI_NS_TIME, CLONE_NEWTIME },
};

uint32_t plan_clone_flag(enum oci_namespace_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(clone_flags); i++)
		if (clone_flags[i].type == type)
			return clone_flags[i].flag;
	return 0;
}

const struct oci_namespace *plan_find_namespace(const struct oci_config *cfg, enum oci_namespace_type type)
{
	const struct oci_linux *l = cfg->linux_;

	for (size_t i = 0; l && i < l->n_namespaces; i++)
		if (l->namespaces[i].type == type)
			return &l->namespaces[i];
	return NULL;
}
