/* SPDX-License-Identifier: Apache-2.0 */
/* What both versions of cgroup resources need: the list of writes, the conversions and the rules that no version can
 * bend. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cgroup/internal.h"

/* The kernel's default, where the configuration gives a quota alone. */
#define CPU_PERIOD_DEFAULT 100000u

static struct cg_write *next_write(struct cg_out *o)
{
	struct cg_writes *w = o->w;

	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 16;
		struct cg_write *v = oci_arena_alloc(o->a, cap * sizeof(*v));

		if (!v)
			return NULL;
		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->cap = cap;
	}
	return &w->v[w->n];
}

static void out_of_memory(struct cg_out *o)
{
	if (o->r == 0)
		o->r = err_sys(o->e, -ENOMEM, "plan linux.resources");
}

const char *cg_printf(struct cg_out *o, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	char *s = n >= 0 && (size_t)n < sizeof(buf) ? oci_arena_strndup(o->a, buf, (size_t)n) : NULL;
	if (!s)
		out_of_memory(o);
	return s ? s : "";
}

void cg_add(struct cg_out *o, const char *origin, enum cg_when when, const char *file, const char *value)
{
	struct cg_write *w = o->r == 0 ? next_write(o) : NULL;
	char *copy = w ? oci_arena_strdup(o->a, value) : NULL;

	if (!copy) {
		out_of_memory(o);
		return;
	}
	*w = (struct cg_write){ .hier = o->hier, .file = file, .value = copy, .when = (uint8_t)when, .origin = origin };
	o->w->n++;
}

void cg_add_u64(struct cg_out *o, const char *origin, const char *file, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	cg_add(o, origin, CG_EARLY, file, text);
}

void cg_add_limit(struct cg_out *o, const char *origin, const char *file, int64_t v, const char *unlimited)
{
	size_t n = o->w->n;

	if (v >= 0) {
		cg_add_u64(o, origin, file, (uint64_t)v);
		return;
	}
	cg_add(o, origin, CG_EARLY, file, unlimited);
	if (o->r == 0)
		o->w->v[n].unlimited = true;
}

void cg_add_alt(struct cg_out *o, const char *origin, const char *file, const char *value, const char *alt_file,
		const char *alt_value)
{
	size_t n = o->w->n;

	cg_add(o, origin, CG_EARLY, file, value);
	if (o->r < 0)
		return;
	o->w->v[n].alt_file = alt_file;
	o->w->v[n].alt_value = alt_value;
}

void cg_refuse(struct cg_out *o, const char *origin, const char *fmt, ...)
{
	char why[400];
	va_list ap;

	if (o->r < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	o->r = err_config(o->e, origin, "%s", why);
}

/* log2 of v in units of 2^-40, by squaring: the integer part from the highest bit, then one bit of the fraction per
 * square. */
static int64_t log2_fixed(uint64_t v)
{
	int whole = 63 - __builtin_clzll(v);
	uint64_t x = v << (63 - whole); /* 1.63 fixed point, in [1, 2) */
	int64_t r = (int64_t)whole << 40;

	for (int bit = 39; bit >= 0; bit--) {
		unsigned __int128 square = (unsigned __int128)x * x; /* 2.126 fixed point */

		if (square >> 127) {
			r |= (int64_t)1 << bit;
			x = (uint64_t)(square >> 64);
		} else {
			x = (uint64_t)(square >> 63);
		}
	}
	return r;
}

/* Integers only: libm would be one more library to load at every start. The smallest w with log2(w) >= exponent ·
 * log2(10) is looked for; the tolerance, 2^-34, covers the rounding of both sides; the closest that any share but 1024
 * comes to a whole weight is 2^-31. */
unsigned cg_shares_to_weight(uint64_t shares)
{
	const __int128 one = (__int128)1 << 40;
	unsigned lo = 1, hi = 10000;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	__int128 l = log2_fixed(shares);
	__int128 exponent = (l * l / one + 125 * l) / 612 - 7 * one / 34;
	__int128 want = exponent * log2_fixed(10) / one - 64;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (log2_fixed(mid) >= want)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

enum cg_when cg_quota_when(const struct oci_cpu *c)
{
	uint64_t period = c->period.set && c->period.v ? c->period.v : CPU_PERIOD_DEFAULT;
	bool tight = c->quota.set && c->quota.v > 0 && (uint64_t)c->quota.v < period / 10 + (period % 10 != 0);

	return tight ? CG_LATE : CG_EARLY;
}

void cg_check_swap(struct cg_out *o, const struct oci_memory *m)
{
	static const char origin[] = "linux.resources.memory.swap";

	if (!m->swap.set || m->swap.v < 0)
		return;
	if (!m->limit.set || m->limit.v < 0)
		cg_refuse(o, origin, "%lld — memory and swap together can't be limited without a limit of memory",
			  (long long)m->swap.v);
	else if (m->swap.v < m->limit.v)
		cg_refuse(o, origin, "%lld — memory and swap together can't be less than the limit of memory, %lld",
			  (long long)m->swap.v, (long long)m->limit.v);
}

/* The size becomes part of a file's name. */
static bool check_page_size(struct cg_out *o, const char *size, const char *path)
{
	const char *p = size ? size : "";

	if (*p >= '1' && *p <= '9')
		p += strspn(p, "0123456789");
	else
		p = "";
	bool ok = strlen(p) == 2 && strchr("KMG", p[0]) && p[1] == 'B' && strlen(size) <= 16;
	if (!ok)
		cg_refuse(o, path, "\"%.40s\" — must be a number followed by KB, MB or GB, as in \"2MB\"",
			  size ? size : "");
	return ok;
}

bool cg_check_word(struct cg_out *o, const char *word, size_t max, const char *path)
{
	size_t n = word ? strlen(word) : 0;
	bool bad = n == 0 || n > max;

	for (size_t i = 0; i < n; i++)
		bad |= (unsigned char)word[i] <= 0x20 || word[i] == 0x7f || word[i] == '/';
	if (bad)
		cg_refuse(o, path,
			  "\"%.60s\" — must be a name of 1 to %zu bytes without spaces, slashes and control characters",
			  word ? word : "", max);
	return !bad;
}

void cg_res_pids(struct cg_out *o, const struct oci_resources *r)
{
	static const char origin[] = "linux.resources.pids.limit";
	int64_t limit = r->pids->limit.v;
	/* 0 is a limit like any other: the container's own process is there and nothing joins it. It has to be born
	 * first. */
	bool late = limit >= 0 && (uint64_t)limit < 1 + (uint64_t)o->helpers;

	cg_add(o, origin, late ? CG_LATE : CG_EARLY, "pids.max",
	       limit < 0 ? "max" : cg_printf(o, "%lld", (long long)limit));
}

void cg_res_rdma(struct cg_out *o, const struct oci_resources *r)
{
	for (size_t i = 0; i < r->n_rdma; i++) {
		const struct oci_rdma *d = &r->rdma[i];
		const char *origin = cg_printf(o, "linux.resources.rdma.%.60s", d->device ? d->device : "");
		const char *handles = d->hca_handles.set ? cg_printf(o, " hca_handle=%u", d->hca_handles.v) : "";
		const char *objects = d->hca_objects.set ? cg_printf(o, " hca_object=%u", d->hca_objects.v) : "";

		if (cg_check_word(o, d->device, 63, origin))
			cg_add(o, origin, CG_EARLY, "rdma.max", cg_printf(o, "%s%s%s", d->device, handles, objects));
	}
}

/* Both accountings exist since 5.7: what is reserved and what is used. The reservation is what the specification asks
 * for (a process that exceeds it gets an error instead of SIGBUS); pages used without a reservation are bounded by the
 * other. */
void cg_res_hugetlb(struct cg_out *o, const struct oci_resources *r, const char *suffix)
{
	for (size_t i = 0; i < r->n_hugepage_limits; i++) {
		const struct oci_hugepage_limit *h = &r->hugepage_limits[i];
		const char *origin = cg_printf(o, "linux.resources.hugepageLimits[%zu]", i);

		if (!check_page_size(o, h->page_size, origin))
			return;
		cg_add_u64(o, origin, cg_printf(o, "hugetlb.%s.rsvd.%s", h->page_size, suffix), h->limit.v);
		cg_add_u64(o, origin, cg_printf(o, "hugetlb.%s.%s", h->page_size, suffix), h->limit.v);
	}
}
