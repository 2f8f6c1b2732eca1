/* SPDX-License-Identifier: Apache-2.0 */
/* config-linux.md without resources and seccomp. */
#include "ocispec/schema.h"

/* A device number is 12 bits major and 20 bits minor (the kernel's MKDEV); what lies beyond would name another
 * device. */
#define MAJOR_MAX 4095
#define MINOR_MAX 1048575

/* config-linux.md, Namespaces */
static const struct oci_field namespace_f[] = {
	F_WORD(oci_namespace, type, "type", oci_namespace_type, REQUIRED),
	F_STR(oci_namespace, path, "path", TEXT(ABSOLUTE)),
};
static const struct oci_desc oci_namespace_desc = DESC(oci_namespace, namespace_f, NULL);

/* config-linux.md, Offset for Time Namespace; time_namespaces(7) wants less than a second of nanoseconds. */
static const struct oci_field time_offset_f[] = {
	F_I64(oci_time_offset, secs, "secs"),
	F_U32(oci_time_offset, nanosecs, "nanosecs", MAX(999999999)),
};
static const struct oci_desc oci_time_offset_desc = DESC(oci_time_offset, time_offset_f, NULL);

static const struct oci_field time_offsets_f[] = {
	F_OBJ(oci_time_offsets, monotonic, "monotonic", oci_time_offset),
	F_OBJ(oci_time_offsets, boottime, "boottime", oci_time_offset),
};
static const struct oci_desc oci_time_offsets_desc = DESC(oci_time_offsets, time_offsets_f, NULL);

/* config-linux.md, Devices. Engines pass on the whole st_mode of the host's node: set-id and sticky bits, and podman the
 * type, too (oci_rule_device). */
static const struct oci_field device_f[] = {
	F_WORD(oci_device, type, "type", oci_device_type, REQUIRED),
	F_STR(oci_device, path, "path", REQUIRED, TEXT(ABSOLUTE)),
	F_I64(oci_device, major, "major", MIN(0), MAX(MAJOR_MAX)),
	F_I64(oci_device, minor, "minor", MIN(0), MAX(MINOR_MAX)),
	F_U32(oci_device, file_mode, "fileMode", MAX(0177777)),
	F_U32(oci_device, uid, "uid"),
	F_U32(oci_device, gid, "gid"),
};
static const struct oci_desc oci_device_desc = DESC(oci_device, device_f, oci_rule_device);

/* config-linux.md, Network Devices */
static const struct oci_field net_device_f[] = {
	F_STR(oci_net_device, name, "name"),
};
static const struct oci_desc oci_net_device_desc = DESC(oci_net_device, net_device_f, NULL);

/* config-linux.md, IntelRdt: a schema is one line, or it could smuggle in another. */
static const struct oci_field intel_rdt_f[] = {
	F_STR(oci_intel_rdt, clos_id, "closID", TEXT(CLOS_ID)),
	F_STRV(oci_intel_rdt, schemata, "schemata", TEXT(ONE_LINE)),
	F_STR(oci_intel_rdt, l3_cache_schema, "l3CacheSchema", TEXT(ONE_LINE)),
	F_STR(oci_intel_rdt, mem_bw_schema, "memBwSchema", TEXT(MEM_BW)),
	F_BOOL(oci_intel_rdt, enable_monitoring, "enableMonitoring"),
};
static const struct oci_desc oci_intel_rdt_desc = DESC(oci_intel_rdt, intel_rdt_f, NULL);

/* config-linux.md, Memory policy */
static const struct oci_field memory_policy_f[] = {
	F_WORD(oci_memory_policy, mode, "mode", oci_mpol_mode, REQUIRED),
	F_STR(oci_memory_policy, nodes, "nodes"),
	F_WORDV(oci_memory_policy, flags, "flags", oci_mpol_flag),
};
static const struct oci_desc oci_memory_policy_desc = DESC(oci_memory_policy, memory_policy_f, NULL);

/* config-linux.md, Personality */
static const struct oci_field personality_f[] = {
	F_WORD(oci_personality, domain, "domain", oci_personality_domain, REQUIRED),
	F_STRV(oci_personality, flags, "flags"),
};
static const struct oci_desc oci_personality_desc = DESC(oci_personality, personality_f, NULL);

static const struct oci_field linux_f[] = {
	F_OBJV(oci_linux, namespaces, "namespaces", oci_namespace),
	F_OBJV(oci_linux, uid_mappings, "uidMappings", oci_id_mapping),
	F_OBJV(oci_linux, gid_mappings, "gidMappings", oci_id_mapping),
	F_OBJ(oci_linux, time_offsets, "timeOffsets", oci_time_offsets),
	F_OBJV(oci_linux, devices, "devices", oci_device),
	F_OBJMAP(oci_linux, net_devices, "netDevices", oci_net_device, host_name),
	F_STR(oci_linux, cgroups_path, "cgroupsPath"),
	F_OBJ(oci_linux, resources, "resources", oci_resources),
	F_OBJ(oci_linux, intel_rdt, "intelRdt", oci_intel_rdt),
	F_OBJ(oci_linux, memory_policy, "memoryPolicy", oci_memory_policy),
	F_MAP(oci_linux, sysctl, "sysctl"),
	F_OBJ(oci_linux, seccomp, "seccomp", oci_seccomp),
	F_WORD(oci_linux, rootfs_propagation, "rootfsPropagation", oci_propagation),
	F_STRV(oci_linux, masked_paths, "maskedPaths", TEXT(ABSOLUTE)),
	F_STRV(oci_linux, readonly_paths, "readonlyPaths", TEXT(ABSOLUTE)),
	F_STR(oci_linux, mount_label, "mountLabel"),
	F_OBJ(oci_linux, personality, "personality", oci_personality),
};
const struct oci_desc oci_linux_desc = DESC(oci_linux, linux_f, oci_rule_linux);
