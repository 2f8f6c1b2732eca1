/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration that `hull spec` writes: a shell with few rights, ready to be edited. It is built as the typed
 * model and written by the same
 * tables that read it, so that it can't drift from what hull understands. */
#include "lib/hull.h"

#include <errno.h>
#include <glob.h>
#include <unistd.h>

#include "ocispec/ocispec.h"

#define LIST(...)                                                                                                    \
	{                                                                                                            \
		.v = (const char *[]){ __VA_ARGS__ }, .n = ARRAY_LEN(((const char *[]){ __VA_ARGS__ })), .set = true \
	}
#define YES                            \
	{                              \
		.set = true, .v = true \
	}
#define NO                              \
	{                               \
		.set = true, .v = false \
	}
#define NUMBER(x)                   \
	{                           \
		.set = true, .v = x \
	}

#define SPEC_INDENT 4

/* Temperatures of each processor tell a neighbour what the machine is doing; how many there are, only this machine
 * knows. */
#define THERMAL_GLOB "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"

#define DEFAULT_CAPS LIST("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")

static struct oci_user root_user = { .uid = NUMBER(0), .gid = NUMBER(0) };

/* Neither inheritable nor ambient: a program gets them by being root, not by being run. */
static struct oci_capabilities capabilities = { .bounding = DEFAULT_CAPS, .effective = DEFAULT_CAPS, .permitted = DEFAULT_CAPS };

static struct oci_rlimit rlimits[] = { { .type = "RLIMIT_NOFILE", .soft = NUMBER(1024), .hard = NUMBER(1024) } };

static struct oci_process process = {
	.terminal = YES,
	.user = &root_user,
	.args = LIST("sh"),
	.env = LIST("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"),
	.cwd = "/",
	.capabilities = &capabilities,
	.rlimits = rlimits,
	.n_rlimits = ARRAY_LEN(rlimits),
	.no_new_privileges = YES,
};

static struct oci_root root = { .path = "rootfs", .readonly = YES };

static struct oci_mount mounts[] = {
	{ .destination = "/proc", .type = "proc", .source = "proc", .options = LIST("nosuid", "noexec", "nodev") },
	{ .destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = LIST("nosuid", "strictatime", "mode=755", "size=65536k") },
	{ .destination = "/dev/pts", .type = "devpts", .source = "devpts", .options = LIST("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5") },
	{ .destination = "/dev/shm", .type = "tmpfs", .source = "shm", .options = LIST("nosuid", "noexec", "nodev", "mode=1777", "size=65536k") },
	{ .destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = LIST("nosuid", "noexec", "nodev") },
	{ .destination = "/sys", .type = "sysfs", .source = "sysfs", .options = LIST("nosuid", "noexec", "nodev", "ro") },
	{ .destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup", .options = LIST("nosuid", "noexec", "nodev", "relatime", "ro") },
};

/* Instead of those with the same destination. */
static struct oci_mount rootless_mounts[] = {
	{ .destination = "/dev/pts", .type = "devpts", .source = "devpts", .options = LIST("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620") },
	{ .destination = "/sys", .type = "bind", .source = "/sys", .options = LIST("rbind", "nosuid", "noexec", "nodev", "ro") },
};

static struct oci_device_rule no_devices[] = { { .allow = NO, .access = "rwm" } };
static struct oci_resources resources = { .devices = no_devices, .n_devices = ARRAY_LEN(no_devices) };

static struct oci_namespace namespaces[] = {
	{ .type = OCI_NS_PID },
	{ .type = OCI_NS_NETWORK },
	{ .type = OCI_NS_IPC },
	{ .type = OCI_NS_UTS },
	{ .type = OCI_NS_MOUNT },
	{ .type = OCI_NS_CGROUP },
};

static struct oci_namespace rootless_namespaces[] = {
	{ .type = OCI_NS_PID }, { .type = OCI_NS_IPC }, { .type = OCI_NS_UTS }, { .type = OCI_NS_MOUNT }, { .type = OCI_NS_CGROUP }, { .type = OCI_NS_USER },
};

/* What tells of the host, or changes it, although it is seen from a namespace. */
static const char *const masked[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
};

static const struct oci_linux linux_part = {
	.resources = &resources,
	.namespaces = namespaces,
	.n_namespaces = ARRAY_LEN(namespaces),
	.readonly_paths = LIST("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
};

static int add_masked(struct oci_strv *l, struct oci_arena *a)
{
	glob_t thermal = { 0 };
	int r = glob(THERMAL_GLOB, 0, NULL, &thermal);

	if (r == GLOB_NOSPACE)
		return -ENOMEM;
	size_t n = r == 0 ? thermal.gl_pathc : 0;
	l->v = oci_arena_alloc(a, (ARRAY_LEN(masked) + n) * sizeof(*l->v));
	for (size_t i = 0; l->v && i < ARRAY_LEN(masked); i++)
		l->v[l->n++] = masked[i];
	for (size_t i = 0; l->v && i < n; i++) {
		const char *path = oci_arena_strdup(a, thermal.gl_pathv[i]);
		l->v[l->n++] = path;
		if (!path)
			l->v = NULL;
	}
	globfree(&thermal);
	l->set = true;
	return l->v ? 0 : -ENOMEM;
}

/* What an ordinary user can have, as the peers write it: a user namespace that maps the user's own id to root, the host's network and its /sys, no group that
 * isn't mapped, and nothing that needs a cgroup of its own. */
static int make_rootless(struct oci_config *c, struct oci_linux *l, struct oci_arena *a)
{
	struct oci_id_mapping *ids = oci_arena_alloc(a, 2 * sizeof(*ids));
	struct oci_mount *all = oci_arena_alloc(a, sizeof(mounts));

	if (!ids || !all)
		return -ENOMEM;
	ids[0] = (struct oci_id_mapping){ NUMBER(0), NUMBER((uint32_t)geteuid()), NUMBER(1) };
	ids[1] = (struct oci_id_mapping){ NUMBER(0), NUMBER((uint32_t)getegid()), NUMBER(1) };
	memcpy(all, mounts, sizeof(mounts));
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
		for (size_t k = 0; k < ARRAY_LEN(rootless_mounts); k++)
			if (streq(all[i].destination, rootless_mounts[k].destination))
				all[i] = rootless_mounts[k];
	c->mounts = all;
	l->uid_mappings = &ids[0];
	l->gid_mappings = &ids[1];
	l->n_uid_mappings = l->n_gid_mappings = 1;
	l->namespaces = rootless_namespaces;
	l->n_namespaces = ARRAY_LEN(rootless_namespaces);
	l->resources = NULL;
	return 0;
}

const char *hull_spec(bool rootless, struct oci_arena *a, struct err *e)
{
	struct oci_linux with_masks = linux_part;
	struct oci_config config = {
		.oci_version = OCI_VERSION_MAX,
		.process = &process,
		.root = &root,
		.hostname = "hull",
		.mounts = mounts,
		.n_mounts = ARRAY_LEN(mounts),
		.linux_ = &with_masks,
	};
	int r = add_masked(&with_masks.masked_paths, a);
	if (r == 0 && rootless)
		r = make_rootless(&config, &with_masks, a);
	const char *text = r < 0 ? NULL : oci_write(&oci_config_desc, &config, SPEC_INDENT, a, NULL);

	if (!text)
		err_sys(e, -ENOMEM, "write the configuration");
	return text;
}
