/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules: the configuration's, then those that every peer adds, without the ones that can't matter; and their
 * form for cgroup v1.
 *
 * A list is read in order; for each of the letters r, w, m the last rule that fits the device and has the letter
 * decides. What no rule speaks of is denied. (config-linux.md, Allowed Device list) */
#include <errno.h>
#include <stdio.h>

#include "cgroup/internal.h"

#define ORIGIN "linux.resources.devices"
#define ACC_R 1u
#define ACC_W 2u
#define ACC_M 4u
#define ACC_ALL 7u
#define MAJOR_MAX 4095 /* 12 and 20 bits in the kernel's dev_t: larger numbers would alias others */
#define MINOR_MAX 1048575
/* Dropping is quadratic. Longer lists stay as they are, which means the same. */
#define DROP_MAX 2048

/* What runc, crun and youki add to every list (since their list is what images were made for, it is an interface):
 * nodes may be made, the default devices, the console and the pty slaves used, tun too. */
static const struct cg_device_rule default_rules[] = {
	{ true, 'c', -1, -1, ACC_M }, { true, 'b', -1, -1, ACC_M }, { true, 'c', 1, 3, ACC_ALL }, /* null */
	{ true, 'c', 1, 5, ACC_ALL }, /* zero */
	{ true, 'c', 1, 7, ACC_ALL }, /* full */
	{ true, 'c', 1, 8, ACC_ALL }, /* random */
	{ true, 'c', 1, 9, ACC_ALL }, /* urandom */
	{ true, 'c', 5, 0, ACC_ALL }, /* tty */
	{ true, 'c', 5, 2, ACC_ALL }, /* ptmx */
	{ true, 'c', 136, -1, ACC_ALL }, /* pts/N */
	{ true, 'c', 10, 200, ACC_ALL }, /* net/tun */
};

static bool covers_number(int64_t outer, int64_t inner)
{
	return outer < 0 || outer == inner;
}

static bool same_kind(const struct cg_device_rule *x, const struct cg_device_rule *y)
{
	return covers_number(x->major, y->major) && covers_number(x->minor, y->minor) &&
	       (x->type == 'a' || x->type == y->type);
}

/* Does x speak of every device and letter that y speaks of? */
static bool covers(const struct cg_device_rule *x, const struct cg_device_rule *y)
{
	return same_kind(x, y) && (y->access & ~x->access) == 0;
}

static bool numbers_meet(int64_t x, int64_t y)
{
	return x < 0 || y < 0 || x == y;
}

/* Is there a device that both speak of? */
static bool devices_meet(const struct cg_device_rule *x, const struct cg_device_rule *y)
{
	return (x->type == 'a' || y->type == 'a' || x->type == y->type) && numbers_meet(x->major, y->major) &&
	       numbers_meet(x->minor, y->minor);
}

static int parse_access(const char *text, const char *path, uint8_t *ret, struct err *e)
{
	static const char letters[] = "rwm";
	uint8_t access = 0;

	/* Absent means all, as for the type and the numbers. */
	if (!text) {
		*ret = ACC_ALL;
		return 0;
	}
	for (const char *p = text; *p; p++) {
		const char *at = strchr(letters, *p);
		if (!at)
			return err_config(e, path, "\"%.20s\" — only the letters r, w and m are allowed", text);
		access |= (uint8_t)(1u << (at - letters));
	}
	if (!access)
		return err_config(e, path, "\"\" — must have one of the letters r, w and m");
	*ret = access;
	return 0;
}

static int parse_number(const struct opt_i64 *n, int64_t max, const char *path, int64_t *ret, struct err *e)
{
	*ret = n->set ? n->v : -1;
	if (*ret < -1 || *ret > max)
		return err_config(e, path, "%lld — must be -1 (all) to %lld", (long long)n->v, (long long)max);
	return 0;
}

static int parse_rule(const struct oci_device_rule *in, size_t i, struct cg_device_rule *ret, struct err *e)
{
	static const char types[] = {
		[OCI_DEVRULE_NONE] = 'a', [OCI_DEVRULE_ALL] = 'a', [OCI_DEVRULE_CHAR] = 'c', [OCI_DEVRULE_BLOCK] = 'b'
	};
	char path[80];
	int r;

	ret->allow = in->allow.set && in->allow.v;
	ret->type = types[in->type];
	snprintf(path, sizeof(path), ORIGIN "[%zu].major", i);
	r = parse_number(&in->major, MAJOR_MAX, path, &ret->major, e);
	snprintf(path, sizeof(path), ORIGIN "[%zu].minor", i);
	if (r == 0)
		r = parse_number(&in->minor, MINOR_MAX, path, &ret->minor, e);
	snprintf(path, sizeof(path), ORIGIN "[%zu].access", i);
	return r == 0 ? parse_access(in->access, path, &ret->access, e) : r;
}

int cg_devices_expand(const struct oci_resources *r, struct oci_arena *a, struct cg_devices *ret, struct err *e)
{
	size_t n = r ? r->n_devices : 0;
	struct cg_device_rule *v = oci_arena_alloc(a, (n + ARRAY_LEN(default_rules)) * sizeof(*v));

	if (!v)
		return err_sys(e, -ENOMEM, "plan " ORIGIN);
	for (size_t i = 0; i < n; i++) {
		int err = parse_rule(&r->devices[i], i, &v[i], e);
		if (err < 0)
			return err;
	}
	memcpy(v + n, default_rules, sizeof(default_rules));
	*ret = (struct cg_devices){ .v = v, .n = n + ARRAY_LEN(default_rules), .origin = ORIGIN };
	return 0;
}

/* Will a later rule say something about everything that rule i speaks of? */
static bool overruled(const struct cg_devices *d, size_t i)
{
	for (size_t j = i + 1; j < d->n; j++)
		if (covers(&d->v[j], &d->v[i]))
			return true;
	return false;
}

/* Is rule i what holds without it? The nearest earlier rule that covers it decides, unless one between says the
 * opposite of a part. */
static bool redundant(const struct cg_devices *d, size_t i)
{
	const struct cg_device_rule *rule = &d->v[i];

	for (size_t j = i; j-- > 0;) {
		const struct cg_device_rule *earlier = &d->v[j];

		if (earlier->allow == rule->allow) {
			if (covers(earlier, rule))
				return true;
		} else if (devices_meet(earlier, rule) && (earlier->access & rule->access)) {
			return false;
		}
	}
	return !rule->allow;
}

static void drop(struct cg_devices *d, bool (*useless)(const struct cg_devices *d, size_t i))
{
	for (size_t i = d->n; i-- > 0;) {
		if (!useless(d, i))
			continue;
		memmove(&d->v[i], &d->v[i + 1], (d->n - i - 1) * sizeof(*d->v));
		d->n--;
	}
}

int cg_devices_plan(const struct oci_resources *r, struct oci_arena *a, struct cg_devices *ret, struct err *e)
{
	int err = cg_devices_expand(r, a, ret, e);

	if (err < 0 || ret->n > DROP_MAX)
		return err;
	drop(ret, overruled);
	drop(ret, redundant);
	return 0;
}

bool cg_devices_allow_all(const struct cg_devices *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->v[i].allow)
			return false;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].type == 'a' && d->v[i].major < 0 && d->v[i].minor < 0 && d->v[i].access == ACC_ALL)
			return true;
	return false;
}

bool cg_devices_eval(const struct cg_devices *d, char type, uint32_t major, uint32_t minor, unsigned access)
{
	const struct cg_device_rule wanted = { .type = type, .major = major, .minor = minor };
	unsigned left = access;

	for (size_t i = d->n; i-- > 0 && left;) {
		if (!same_kind(&d->v[i], &wanted))
			continue;
		if (!d->v[i].allow && (left & d->v[i].access))
			return false;
		left &= ~(unsigned)d->v[i].access;
	}
	return left == 0;
}

/* ---- cgroup v1 ---- */

/* What the v1 controller keeps: one default, and a list of exceptions from it. A write to devices.deny of a part of an
 * allowed range is accepted by the kernel and does nothing: so the list is worked out here, and what can't be said in
 * it is an error. */
struct v1_list {
	struct cg_device_rule *v; /* exceptions; `allow` is not used */
	size_t n;
	bool default_allow;
};

static int add_exception(struct v1_list *l, const struct cg_device_rule *rule)
{
	for (size_t i = 0; i < l->n; i++) {
		struct cg_device_rule *x = &l->v[i];
		if (x->type == rule->type && x->major == rule->major && x->minor == rule->minor) {
			x->access |= rule->access;
			return 0;
		}
	}
	l->v[l->n++] = *rule;
	return 0;
}

/* Take the rule's letters out of all exceptions. -EOPNOTSUPP when that would leave a hole in a range. */
static int cut_exceptions(struct v1_list *l, const struct cg_device_rule *rule)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct cg_device_rule x = l->v[i];

		if (devices_meet(&x, rule) && (x.access & rule->access)) {
			if (!same_kind(rule, &x))
				return -EOPNOTSUPP;
			x.access &= (uint8_t)~rule->access;
		}
		if (x.access)
			l->v[kept++] = x;
	}
	l->n = kept;
	return 0;
}

/* One rule, never of type a with anything else than all devices and letters. */
static int apply_rule(struct v1_list *l, const struct cg_device_rule *rule)
{
	return rule->allow == l->default_allow ? cut_exceptions(l, rule) : add_exception(l, rule);
}

static int apply_any(struct v1_list *l, const struct cg_device_rule *rule)
{
	struct cg_device_rule one = *rule;
	int r;

	if (rule->type != 'a')
		return apply_rule(l, rule);
	if (rule->major < 0 && rule->minor < 0 && rule->access == ACC_ALL) {
		l->default_allow = rule->allow;
		l->n = 0;
		return 0;
	}
	one.type = 'c';
	r = apply_rule(l, &one);
	one.type = 'b';
	return r < 0 ? r : apply_rule(l, &one);
}

/* The kernel wants one exception that has all letters of a request: what a wider one has is added to the narrower. Only opening asks for two letters at once
 * (devcgroup_check_permission: mknod asks for m alone), so m is left where it is and devices.list shows what the configuration says. */
static void widen_exceptions(struct v1_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t j = 0; j < l->n; j++)
			if (same_kind(&l->v[j], &l->v[i]))
				l->v[i].access |= l->v[j].access & (ACC_R | ACC_W);
}

static const char *number_text(int64_t n, char *buf, size_t size)
{
	if (n < 0)
		return "*";
	snprintf(buf, size, "%lld", (long long)n);
	return buf;
}

static const char *exception_text(const struct cg_device_rule *x, struct oci_arena *a)
{
	char major[24], minor[24];

	return oci_arena_printf(a, "%c %s:%s %s%s%s", x->type, number_text(x->major, major, sizeof(major)),
				number_text(x->minor, minor, sizeof(minor)), x->access & ACC_R ? "r" : "",
				x->access & ACC_W ? "w" : "", x->access & ACC_M ? "m" : "");
}

static int print_list(const struct v1_list *l, struct oci_arena *a, struct cg_devices_v1 *ret, struct err *e)
{
	ret->value = oci_arena_alloc(a, (l->n + 1) * sizeof(*ret->value));
	ret->deny = oci_arena_alloc(a, (l->n + 1) * sizeof(*ret->deny));
	ret->n = 0;
	if (!ret->value || !ret->deny)
		return err_sys(e, -ENOMEM, "plan " ORIGIN);
	ret->value[ret->n] = "a";
	ret->deny[ret->n++] = !l->default_allow;
	for (size_t i = 0; i < l->n; i++) {
		ret->value[ret->n] = exception_text(&l->v[i], a);
		if (!ret->value[ret->n])
			return err_sys(e, -ENOMEM, "plan " ORIGIN);
		ret->deny[ret->n++] = l->default_allow;
	}
	return 0;
}

int cg_devices_to_v1(const struct cg_devices *d, struct oci_arena *a, struct cg_devices_v1 *ret, struct err *e)
{
	struct v1_list l = { .v = oci_arena_alloc(a, (2 * d->n + 1) * sizeof(*l.v)) };

	if (!l.v)
		return err_sys(e, -ENOMEM, "plan " ORIGIN);
	for (size_t i = 0; i < d->n; i++) {
		if (apply_any(&l, &d->v[i]) == 0)
			continue;
		return err_config(
			e, ORIGIN,
			"%s \"%s\" can't be expressed in the controller devices of cgroup v1: it takes a part out of "
			"a wider rule before it",
			d->v[i].allow ? "allow" : "deny", exception_text(&d->v[i], a));
	}
	if (l.n <= DROP_MAX)
		widen_exceptions(&l);
	return print_list(&l, a, ret, e);
}
