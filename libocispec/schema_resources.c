/* SPDX-License-Identifier: Apache-2.0 */
/* config-linux.md, Control groups: linux.resources and the document of `update --resources`. */
#include "ocispec/schema.h"

/* The kernel's limits of a device number; in a rule -1 stands for "all", as the kernel's own `*` does. */
#define MAJOR_MAX 4095
#define MINOR_MAX 1048575

/* config-linux.md, Allowed Device list */
static const struct oci_field device_rule_f[] = {
	F_BOOL(oci_device_rule, allow, "allow", REQUIRED),
	F_WORD(oci_device_rule, type, "type", oci_device_rule_type),
	F_I64(oci_device_rule, major, "major", MIN(-1), MAX(MAJOR_MAX)),
	F_I64(oci_device_rule, minor, "minor", MIN(-1), MAX(MINOR_MAX)),
	F_STR(oci_device_rule, access, "access", TEXT(ACCESS)),
};
static const struct oci_desc oci_device_rule_desc = DESC(oci_device_rule, device_rule_f, NULL);

/* config-linux.md, Memory. Engines written in Go pass "not set" on as swappiness -1 in 64 bits without a sign. */
static const struct oci_field memory_f[] = {
	F_I64(oci_memory, limit, "limit", MIN(-1)),
	F_I64(oci_memory, reservation, "reservation", MIN(-1)),
	F_I64(oci_memory, swap, "swap", MIN(-1)),
	F_I64(oci_memory, kernel, "kernel", MIN(-1)),
	F_I64(oci_memory, kernel_tcp, "kernelTCP", MIN(-1)),
	F_U64(oci_memory, swappiness, "swappiness", MAX(100), UNSET(UINT64_MAX)),
	F_BOOL(oci_memory, disable_oom_killer, "disableOOMKiller"),
	F_BOOL(oci_memory, use_hierarchy, "useHierarchy"),
	F_BOOL(oci_memory, check_before_update, "checkBeforeUpdate"),
};
static const struct oci_desc oci_memory_desc = DESC(oci_memory, memory_f, NULL);

/* config-linux.md, CPU; times in microseconds */
static const struct oci_field cpu_f[] = {
	F_U64(oci_cpu, shares, "shares"),
	F_I64(oci_cpu, quota, "quota"),
	F_U64(oci_cpu, burst, "burst"),
	F_U64(oci_cpu, period, "period"),
	F_I64(oci_cpu, realtime_runtime, "realtimeRuntime"),
	F_U64(oci_cpu, realtime_period, "realtimePeriod"),
	F_STR(oci_cpu, cpus, "cpus"),
	F_STR(oci_cpu, mems, "mems"),
	F_I64(oci_cpu, idle, "idle", MIN(0), MAX(1)),
};
static const struct oci_desc oci_cpu_desc = DESC(oci_cpu, cpu_f, oci_rule_cpu);

/* config-linux.md, Block IO. docker always sends a weight, 0 when none was asked for. */
static const struct oci_field weight_device_f[] = {
	F_I64(oci_weight_device, major, "major", REQUIRED, MIN(0), MAX(MAJOR_MAX)),
	F_I64(oci_weight_device, minor, "minor", REQUIRED, MIN(0), MAX(MINOR_MAX)),
	F_U32(oci_weight_device, weight, "weight", MIN(10), MAX(1000)),
	F_U32(oci_weight_device, leaf_weight, "leafWeight", MIN(10), MAX(1000)),
};
static const struct oci_desc oci_weight_device_desc = DESC(oci_weight_device, weight_device_f, oci_rule_weight_device);

static const struct oci_field throttle_device_f[] = {
	F_I64(oci_throttle_device, major, "major", REQUIRED, MIN(0), MAX(MAJOR_MAX)),
	F_I64(oci_throttle_device, minor, "minor", REQUIRED, MIN(0), MAX(MINOR_MAX)),
	F_U64(oci_throttle_device, rate, "rate", REQUIRED),
};
static const struct oci_desc oci_throttle_device_desc = DESC(oci_throttle_device, throttle_device_f, NULL);

static const struct oci_field block_io_f[] = {
	F_U32(oci_block_io, weight, "weight", MIN(10), MAX(1000), UNSET(0)),
	F_U32(oci_block_io, leaf_weight, "leafWeight", MIN(10), MAX(1000), UNSET(0)),
	F_OBJV(oci_block_io, weight_device, "weightDevice", oci_weight_device),
	F_OBJV(oci_block_io, throttle_read_bps, "throttleReadBpsDevice", oci_throttle_device),
	F_OBJV(oci_block_io, throttle_write_bps, "throttleWriteBpsDevice", oci_throttle_device),
	F_OBJV(oci_block_io, throttle_read_iops, "throttleReadIOPSDevice", oci_throttle_device),
	F_OBJV(oci_block_io, throttle_write_iops, "throttleWriteIOPSDevice", oci_throttle_device),
};
static const struct oci_desc oci_block_io_desc = DESC(oci_block_io, block_io_f, NULL);

/* config-linux.md, Huge page limits */
static const struct oci_field hugepage_limit_f[] = {
	F_STR(oci_hugepage_limit, page_size, "pageSize", REQUIRED, TEXT(PAGE_SIZE)),
	F_U64(oci_hugepage_limit, limit, "limit", REQUIRED),
};
static const struct oci_desc oci_hugepage_limit_desc = DESC(oci_hugepage_limit, hugepage_limit_f, NULL);

/* config-linux.md, Network */
static const struct oci_field interface_priority_f[] = {
	F_STR(oci_interface_priority, name, "name", REQUIRED, TEXT(NONEMPTY)),
	F_U32(oci_interface_priority, priority, "priority", REQUIRED),
};
static const struct oci_desc oci_interface_priority_desc = DESC(oci_interface_priority, interface_priority_f, NULL);

static const struct oci_field network_resources_f[] = {
	F_U32(oci_network_resources, class_id, "classID"),
	F_OBJV(oci_network_resources, priorities, "priorities", oci_interface_priority),
};
static const struct oci_desc oci_network_resources_desc = DESC(oci_network_resources, network_resources_f, NULL);

/* config-linux.md, PIDs */
static const struct oci_field pids_f[] = {
	F_I64(oci_pids, limit, "limit", REQUIRED),
};
static const struct oci_desc oci_pids_desc = DESC(oci_pids, pids_f, NULL);

/* config-linux.md, RDMA */
static const struct oci_field rdma_f[] = {
	F_U32(oci_rdma, hca_handles, "hcaHandles"),
	F_U32(oci_rdma, hca_objects, "hcaObjects"),
};
static const struct oci_desc oci_rdma_desc = DESC(oci_rdma, rdma_f, oci_rule_rdma);

static const struct oci_field resources_f[] = {
	F_MAP(oci_resources, unified, "unified", KEYS(FILE_NAME)),
	F_OBJV(oci_resources, devices, "devices", oci_device_rule),
	F_OBJ(oci_resources, pids, "pids", oci_pids),
	F_OBJ(oci_resources, block_io, "blockIO", oci_block_io),
	F_OBJ(oci_resources, cpu, "cpu", oci_cpu),
	F_OBJV(oci_resources, hugepage_limits, "hugepageLimits", oci_hugepage_limit),
	F_OBJ(oci_resources, memory, "memory", oci_memory),
	F_OBJ(oci_resources, network, "network", oci_network_resources),
	F_OBJMAP(oci_resources, rdma, "rdma", oci_rdma, device),
};
const struct oci_desc oci_resources_desc = DESC(oci_resources, resources_f, NULL);
