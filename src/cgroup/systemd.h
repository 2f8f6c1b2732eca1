/* SPDX-License-Identifier: Apache-2.0 */
/* The systemd driver: the container's cgroup is that of a transient scope, which systemd makes around the set-up process and removes when nothing is left in it.
 *
 * Values are written into the cgroup's files as without systemd, and read back; systemd gets the same ones as properties of the unit, so that it doesn't put its
 * own there when it reloads. (systemd.scope(5), systemd.resource-control(5), org.freedesktop.systemd1(5), docs "The New Control Group Interfaces") */
#ifndef HULL_CGROUP_SYSTEMD_H
#define HULL_CGROUP_SYSTEMD_H

#include "cgroup/cgroup.h"

#define CG_UNIT_MAX 256

/* Which manager, and where its units are in the hierarchies. A fact about the host. */
struct cg_manager {
	bool used; /* the systemd driver was asked for */
	bool user; /* the caller's own manager, not the system's */
	char root[1024]; /* absolute: "/" for the system's */
};

/* A transient unit. */
struct cg_unit {
	char name[CG_UNIT_MAX]; /* "hull-c1.scope" */
	char slice[CG_UNIT_MAX]; /* "system.slice" */
};

/* One property of the unit as text: `type` is its D-Bus signature ("t", "s", "b", "i", "u", "as", "ay" for lists of CPUs or nodes, "a(st)" with
 * "PATH NUMBER", "a(ss)" with "DEVICE LETTERS", "" for an empty list). "infinity" is the number that systemd takes for no limit. */
struct cg_prop {
	const char *name, *type, *value;
	const char *origin; /* JSON path */
};

struct cg_props {
	struct cg_prop *v;
	size_t n, cap;
};

/* ---- pure ---- */

/* linux.cgroupsPath "SLICE:PREFIX:NAME" → the unit PREFIX-NAME.scope in SLICE, and the absolute path of its cgroup (CG_PATH_MAX bytes at `path`), as runc and crun
 * understand it: without SLICE the manager's default one, without PREFIX only NAME, absent: ":hull:<id>". Names that systemd wouldn't take are errors that
 * name linux.cgroupsPath. */
int cg_unit_resolve(const char *cgroups_path, const char *id, const struct cg_manager *m, struct cg_unit *ret, char *path, struct err *e);
/* Append; -ENOMEM. */
int cg_props_add(struct cg_props *p, const struct cg_prop *prop, struct oci_arena *a);
/* The planned writes of `when` that systemd has properties for, as those properties. */
int cg_props_from_writes(const struct cg_writes *w, enum cg_when when, struct oci_arena *a, struct cg_props *ret, struct err *e);
/* The device rules `d` as properties: nothing where systemd leaves them alone (cgroup v2). Rules that it would lose when it reloads are an error that names
 * linux.resources.devices. */
int cg_props_from_devices(const struct cg_layout *l, const struct cg_devices *d, struct oci_arena *a, struct cg_props *ret, struct err *e);
/* The same for what the cgroup has now. */
int cg_props_of_devices(const struct cgroup *cg, struct oci_arena *a, struct cg_props *ret, struct err *e);
#define CG_PROPERTY_PREFIX "org.systemd.property."
/* Annotations org.systemd.property.NAME: the value is GVariant text (true, uint64 5, 'text', ['a', 'b']); NAME ending in Sec is seconds and becomes USec. Only
 * names that can't run, stop or redirect anything are taken (security.md SEC-26); `allowed` lists further annotations (NULL-terminated, or NULL; str_matches). Refused ones are a
 * warning. */
int cg_props_from_annotations(const struct oci_map *annotations, const char *const *allowed, struct oci_arena *a, struct cg_props *ret, struct err *e);

/* ---- with systemd; each call ends within `timeout_ms` ---- */

/* Does this build have the driver? 0 or -ENOSYS. */
int cg_systemd_supported(struct err *e);
/* Ask the manager where its units are. -ENOSYS: no libsystemd, or this build has no systemd driver. */
int cg_manager_detect(bool user, int timeout_ms, struct cg_manager *ret, struct err *e);
/* Start the scope around `pid` and wait until systemd has moved it there. A failed unit of the same name is reset and replaced; any other is an error. */
int cg_scope_start(const struct cg_manager *m, const struct cg_unit *u, const struct cg_props *props, const char *description, pid_t pid, int timeout_ms,
		   struct err *e);
/* Give the unit new values for properties, for as long as it lives. systemd has written them to the cgroup's files then. */
int cg_scope_set(const struct cg_manager *m, const char *unit, const struct cg_props *props, int timeout_ms, struct err *e);
/* Stop the unit and forget that it failed. "Not loaded" is success. -ETIMEDOUT: systemd doesn't answer; what is left then goes when it does. */
int cg_scope_stop(const struct cg_manager *m, const char *unit, int timeout_ms, struct err *e);
/* The cgroup of a scope that was just started around `pid`, in every hierarchy, as cg_create: where systemd has made the directory it must hold nothing but
 * `pid`; elsewhere `pid` is moved there. */
int cg_create_in_scope(const struct cg_layout *l, const char *path, const char *token, pid_t pid, struct cgroup *ret, struct err *e);

#endif
