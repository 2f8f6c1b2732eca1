/* SPDX-License-Identifier: Apache-2.0 */
/* features.md and features-linux.md. An absent list and an empty one differ: the first says nothing, the second
 * "none". */
#include "ocispec/schema.h"

static const struct oci_field cgroup_f[] = {
	F_BOOL(oci_features_cgroup, v1, "v1"),
	F_BOOL(oci_features_cgroup, v2, "v2"),
	F_BOOL(oci_features_cgroup, systemd, "systemd"),
	F_BOOL(oci_features_cgroup, systemd_user, "systemdUser"),
	F_BOOL(oci_features_cgroup, rdma, "rdma"),
};
static const struct oci_desc oci_features_cgroup_desc = DESC(oci_features_cgroup, cgroup_f, NULL);

static const struct oci_field seccomp_f[] = {
	F_BOOL(oci_features_seccomp, enabled, "enabled"),
	F_STRV(oci_features_seccomp, actions, "actions", IN(oci_seccomp_action_words)),
	F_STRV(oci_features_seccomp, operators, "operators", IN(oci_seccomp_op_words)),
	F_STRV(oci_features_seccomp, archs, "archs", IN(oci_seccomp_arch_words)),
	F_STRV(oci_features_seccomp, known_flags, "knownFlags", IN(oci_seccomp_flag_words)),
	F_STRV(oci_features_seccomp, supported_flags, "supportedFlags", IN(oci_seccomp_flag_words)),
};
static const struct oci_desc oci_features_seccomp_desc = DESC(oci_features_seccomp, seccomp_f, NULL);

static const struct oci_field enabled_f[] = {
	F_BOOL(oci_features_enabled, enabled, "enabled"),
};
static const struct oci_desc oci_features_enabled_desc = DESC(oci_features_enabled, enabled_f, NULL);

static const struct oci_field intel_rdt_f[] = {
	F_BOOL(oci_features_intel_rdt, enabled, "enabled"),
	F_BOOL(oci_features_intel_rdt, schemata, "schemata"),
	F_BOOL(oci_features_intel_rdt, monitoring, "monitoring"),
};
static const struct oci_desc oci_features_intel_rdt_desc = DESC(oci_features_intel_rdt, intel_rdt_f, NULL);

static const struct oci_field memory_policy_f[] = {
	F_STRV(oci_features_memory_policy, modes, "modes", IN(oci_mpol_mode_words)),
	F_STRV(oci_features_memory_policy, flags, "flags", IN(oci_mpol_flag_words)),
};
static const struct oci_desc oci_features_memory_policy_desc = DESC(oci_features_memory_policy, memory_policy_f, NULL);

static const struct oci_field mount_extensions_f[] = {
	F_OBJ(oci_features_mount_extensions, idmap, "idmap", oci_features_enabled),
};
static const struct oci_desc oci_features_mount_extensions_desc =
	DESC(oci_features_mount_extensions, mount_extensions_f, NULL);

static const struct oci_field linux_f[] = {
	F_STRV(oci_features_linux, namespaces, "namespaces", IN(oci_namespace_type_words)),
	F_STRV(oci_features_linux, capabilities, "capabilities", TEXT(CAP_NAME)),
	F_OBJ(oci_features_linux, cgroup, "cgroup", oci_features_cgroup),
	F_OBJ(oci_features_linux, seccomp, "seccomp", oci_features_seccomp),
	F_OBJ(oci_features_linux, apparmor, "apparmor", oci_features_enabled),
	F_OBJ(oci_features_linux, selinux, "selinux", oci_features_enabled),
	F_OBJ(oci_features_linux, intel_rdt, "intelRdt", oci_features_intel_rdt),
	F_OBJ(oci_features_linux, memory_policy, "memoryPolicy", oci_features_memory_policy),
	F_OBJ(oci_features_linux, mount_extensions, "mountExtensions", oci_features_mount_extensions),
	F_OBJ(oci_features_linux, net_devices, "netDevices", oci_features_enabled),
};
static const struct oci_desc oci_features_linux_desc = DESC(oci_features_linux, linux_f, NULL);

static const struct oci_field features_f[] = {
	F_STR(oci_features, oci_version_min, "ociVersionMin", REQUIRED, TEXT(SEMVER)),
	F_STR(oci_features, oci_version_max, "ociVersionMax", REQUIRED, TEXT(SEMVER)),
	F_STRV(oci_features, hooks, "hooks"),
	F_STRV(oci_features, mount_options, "mountOptions"),
	F_MAP(oci_features, annotations, "annotations"),
	F_STRV(oci_features, potentially_unsafe_config_annotations, "potentiallyUnsafeConfigAnnotations"),
	F_OBJ(oci_features, linux_, "linux", oci_features_linux),
};
const struct oci_desc oci_features_desc = DESC(oci_features, features_f, NULL);
