/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules as properties of the unit, where the controller devices is on cgroup v1. There systemd writes the list of a scope anew when it reloads, and one
 * that it knows nothing of allows everything then. On v2 it has a BPF program of its own only where it was given rules, and every program has to agree: ours is
 * enough. (systemd.resource-control(5), DevicePolicy, DeviceAllow) */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup/internal.h"
#include "cgroup/systemd.h"

#define ORIGIN "linux.resources.devices"

static int add(struct cg_props *props, const char *name, const char *type, const char *value, struct oci_arena *a)
{
	const struct cg_prop p = { .name = name, .type = type, .value = value, .origin = ORIGIN };

	return value ? cg_props_add(props, &p, a) : -ENOMEM;
}

/* "c 1:3 rwm" → "/dev/char/1:3 rwm", "c 136:* rwm" → "char-136 rwm". NULL with -EOPNOTSUPP for "c *:3", which systemd has no word for. */
static int entry_text(const char *entry, struct oci_arena *a, const char **ret)
{
	char type, major[16], minor[16], access[4];

	if (sscanf(entry, "%c %15[0-9*]:%15[0-9*] %3[rwm]", &type, major, minor, access) != 4)
		return -EINVAL;
	const char *kind = type == 'c' ? "char" : "block";
	if (streq(minor, "*"))
		*ret = oci_arena_printf(a, "%s-%s %s", kind, major, access);
	else if (!streq(major, "*"))
		*ret = oci_arena_printf(a, "/dev/%s/%s:%s %s", kind, major, minor, access);
	else
		return -EOPNOTSUPP;
	return *ret ? 0 : -ENOMEM;
}

/* `list` is what stands in the cgroup: "a", denied or allowed, and its exceptions. */
static int add_list(const struct cg_devices_v1 *list, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	bool strict = list->deny[0];
	int r = add(ret, "DevicePolicy", "s", strict ? "strict" : "auto", a);

	/* Lists of a unit grow; the empty one begins anew. */
	if (r == 0)
		r = add(ret, "DeviceAllow", "a(ss)", "", a);
	if (r == 0 && !strict && list->n > 1)
		return err_config(e, ORIGIN, "deny \"%s\" of an allowed \"a\" would be gone when systemd reloads: on cgroup v1 it keeps lists of what is allowed only", list->value[1]);
	for (size_t i = 1; i < list->n && r == 0; i++) {
		const char *text = NULL;

		r = entry_text(list->value[i], a, &text);
		if (r == -EOPNOTSUPP)
			return err_config(e, ORIGIN, "allow \"%s\" would be gone when systemd reloads: it knows no minor number of all devices", list->value[i]);
		if (r == 0)
			r = add(ret, "DeviceAllow", "a(ss)", text, a);
	}
	return r < 0 ? err_sys(e, r, "tell systemd " ORIGIN) : 0;
}

static bool are_on_v1(const struct cg_layout *l, int *ret_hier)
{
	*ret_hier = cg_layout_find(l, "devices");
	return *ret_hier >= 0 && !l->h[*ret_hier].v2;
}

int cg_props_from_devices(const struct cg_layout *l, const struct cg_devices *d, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	struct cg_devices_v1 list;
	int hier;

	if (!are_on_v1(l, &hier))
		return 0;
	int r = cg_devices_to_v1(d, a, &list, e);
	return r < 0 ? r : add_list(&list, a, ret, e);
}

int cg_props_of_devices(const struct cgroup *cg, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	struct cg_devices_v1 list;
	int hier;

	if (!are_on_v1(cg->lay, &hier) || cg->dfd[hier] < 0)
		return 0;
	int r = cg_devices_read_v1(cg->dfd[hier], a, &list, e);
	return r < 0 ? r : add_list(&list, a, ret, e);
}
