/* SPDX-License-Identifier: Apache-2.0 */
/* The typed model of runtime-spec 1.3.0 for Linux: one struct per object of the specification, members in its order.
 * Every member has one row in a table (schema_*.c); tests/spec/schema_check.py proves that none is missing.
 * Words with a fixed vocabulary are the enums below; 0 always means "absent". */
#ifndef OCISPEC_RUNTIME_H
#define OCISPEC_RUNTIME_H

#include "ocispec/types.h"

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

/* config-linux.md, Namespaces */
enum oci_namespace_type {
	OCI_NS_NONE, OCI_NS_PID, OCI_NS_NETWORK, OCI_NS_MOUNT, OCI_NS_IPC, OCI_NS_UTS, OCI_NS_USER, OCI_NS_CGROUP, OCI_NS_TIME,
	OCI_NS_MAX
};
/* config-linux.md, Devices */
enum oci_device_type { OCI_DEV_NONE, OCI_DEV_CHAR, OCI_DEV_BLOCK, OCI_DEV_UNBUFFERED, OCI_DEV_FIFO };
/* config-linux.md, Device whitelist: type */
enum oci_device_rule_type { OCI_DEVRULE_NONE, OCI_DEVRULE_ALL, OCI_DEVRULE_CHAR, OCI_DEVRULE_BLOCK };
/* config-linux.md, Rootfs Mount Propagation; the r-forms are what engines send */
enum oci_propagation {
	OCI_PROP_NONE, OCI_PROP_PRIVATE, OCI_PROP_RPRIVATE, OCI_PROP_SHARED, OCI_PROP_RSHARED, OCI_PROP_SLAVE, OCI_PROP_RSLAVE,
	OCI_PROP_UNBINDABLE, OCI_PROP_RUNBINDABLE
};
/* config-linux.md, Seccomp */
enum oci_seccomp_action {
	OCI_ACT_NONE, OCI_ACT_KILL, OCI_ACT_KILL_PROCESS, OCI_ACT_KILL_THREAD, OCI_ACT_TRAP, OCI_ACT_ERRNO, OCI_ACT_TRACE, OCI_ACT_ALLOW,
	OCI_ACT_LOG, OCI_ACT_NOTIFY
};
enum oci_seccomp_op { OCI_CMP_NONE, OCI_CMP_NE, OCI_CMP_LT, OCI_CMP_LE, OCI_CMP_EQ, OCI_CMP_GE, OCI_CMP_GT, OCI_CMP_MASKED_EQ };
enum oci_seccomp_flag { OCI_SCFLAG_NONE, OCI_SCFLAG_TSYNC, OCI_SCFLAG_LOG, OCI_SCFLAG_SPEC_ALLOW, OCI_SCFLAG_WAIT_KILLABLE_RECV };
enum oci_seccomp_arch {
	OCI_ARCH_NONE, OCI_ARCH_X86, OCI_ARCH_X86_64, OCI_ARCH_X32, OCI_ARCH_ARM, OCI_ARCH_AARCH64, OCI_ARCH_LOONGARCH64, OCI_ARCH_M68K,
	OCI_ARCH_MIPS, OCI_ARCH_MIPS64, OCI_ARCH_MIPS64N32, OCI_ARCH_MIPSEL, OCI_ARCH_MIPSEL64, OCI_ARCH_MIPSEL64N32, OCI_ARCH_PPC,
	OCI_ARCH_PPC64, OCI_ARCH_PPC64LE, OCI_ARCH_S390, OCI_ARCH_S390X, OCI_ARCH_SH, OCI_ARCH_SHEB, OCI_ARCH_PARISC, OCI_ARCH_PARISC64,
	OCI_ARCH_RISCV64
};
/* config.md, process.scheduler and process.ioPriority */
enum oci_sched_policy {
	OCI_SCHED_NONE, OCI_SCHED_OTHER, OCI_SCHED_FIFO, OCI_SCHED_RR, OCI_SCHED_BATCH, OCI_SCHED_ISO, OCI_SCHED_IDLE, OCI_SCHED_DEADLINE
};
enum oci_sched_flag {
	OCI_SCHEDFLAG_NONE, OCI_SCHEDFLAG_RESET_ON_FORK, OCI_SCHEDFLAG_RECLAIM, OCI_SCHEDFLAG_DL_OVERRUN, OCI_SCHEDFLAG_KEEP_POLICY,
	OCI_SCHEDFLAG_KEEP_PARAMS, OCI_SCHEDFLAG_UTIL_CLAMP_MIN, OCI_SCHEDFLAG_UTIL_CLAMP_MAX
};
enum oci_ioprio_class { OCI_IOPRIO_NONE, OCI_IOPRIO_RT, OCI_IOPRIO_BE, OCI_IOPRIO_IDLE };
enum oci_personality_domain { OCI_PER_NONE, OCI_PER_LINUX, OCI_PER_LINUX32 };
enum oci_mpol_mode {
	OCI_MPOL_NONE, OCI_MPOL_DEFAULT, OCI_MPOL_BIND, OCI_MPOL_INTERLEAVE, OCI_MPOL_WEIGHTED_INTERLEAVE, OCI_MPOL_PREFERRED,
	OCI_MPOL_PREFERRED_MANY, OCI_MPOL_LOCAL
};
enum oci_mpol_flag { OCI_MPOLFLAG_NONE, OCI_MPOLFLAG_NUMA_BALANCING, OCI_MPOLFLAG_RELATIVE_NODES, OCI_MPOLFLAG_STATIC_NODES };
/* runtime.md, State; `paused` is an addition that the specification allows */
enum oci_status { OCI_STATUS_NONE, OCI_STATUS_CREATING, OCI_STATUS_CREATED, OCI_STATUS_RUNNING, OCI_STATUS_PAUSED, OCI_STATUS_STOPPED };

/* config.md, Root */
struct oci_root {
	const char *path;
	struct opt_bool readonly;
};

struct oci_id_mapping {
	struct opt_u32 container_id;
	struct opt_u32 host_id;
	struct opt_u32 size;
};

/* config.md, Mounts */
struct oci_mount {
	const char *destination;
	const char *source;
	const char *type;
	struct oci_strv options;
	struct oci_id_mapping *uid_mappings; size_t n_uid_mappings;
	struct oci_id_mapping *gid_mappings; size_t n_gid_mappings;
};

/* config.md, Process */
struct oci_console_size {
	struct opt_u64 height;
	struct opt_u64 width;
};

struct oci_user {
	struct opt_u32 uid;
	struct opt_u32 gid;
	struct opt_u32 umask;
	struct oci_u32v additional_gids;
	const char *username; /* Windows: accepted, without effect */
};

struct oci_rlimit {
	const char *type; /* RLIMIT_… */
	struct opt_u64 soft;
	struct opt_u64 hard;
};

struct oci_capabilities {
	struct oci_strv effective;
	struct oci_strv bounding;
	struct oci_strv inheritable;
	struct oci_strv permitted;
	struct oci_strv ambient;
};

struct oci_scheduler {
	enum oci_sched_policy policy;
	struct opt_i32 nice;
	struct opt_i32 priority;
	struct oci_enumv flags; /* enum oci_sched_flag */
	struct opt_u64 runtime;
	struct opt_u64 deadline;
	struct opt_u64 period;
};

struct oci_io_priority {
	enum oci_ioprio_class io_class;
	struct opt_i32 priority;
};

struct oci_exec_cpu_affinity {
	const char *initial;
	const char *final;
};

struct oci_process {
	struct opt_bool terminal;
	struct oci_console_size *console_size;
	const char *cwd;
	struct oci_strv env;
	struct oci_strv args;
	const char *command_line; /* Windows: accepted, without effect */
	struct oci_rlimit *rlimits; size_t n_rlimits;
	const char *apparmor_profile;
	struct oci_capabilities *capabilities;
	struct opt_bool no_new_privileges;
	struct opt_i32 oom_score_adj;
	struct oci_scheduler *scheduler;
	const char *selinux_label;
	struct oci_io_priority *io_priority;
	struct oci_exec_cpu_affinity *exec_cpu_affinity;
	struct oci_user *user;
};

/* config.md, POSIX-platform Hooks */
struct oci_hook {
	const char *path;
	struct oci_strv args;
	struct oci_strv env;
	struct opt_i64 timeout; /* seconds */
};

struct oci_hooks {
	struct oci_hook *prestart; size_t n_prestart;
	struct oci_hook *create_runtime; size_t n_create_runtime;
	struct oci_hook *create_container; size_t n_create_container;
	struct oci_hook *start_container; size_t n_start_container;
	struct oci_hook *poststart; size_t n_poststart;
	struct oci_hook *poststop; size_t n_poststop;
};

/* config-linux.md */
struct oci_namespace {
	enum oci_namespace_type type;
	const char *path;
};

struct oci_time_offset {
	struct opt_i64 secs;
	struct opt_u32 nanosecs;
};

struct oci_time_offsets {
	struct oci_time_offset *monotonic;
	struct oci_time_offset *boottime;
};

struct oci_device {
	enum oci_device_type type;
	const char *path;
	struct opt_i64 major;
	struct opt_i64 minor;
	struct opt_u32 file_mode;
	struct opt_u32 uid;
	struct opt_u32 gid;
};

struct oci_net_device {
	const char *host_name; /* the key in linux.netDevices */
	const char *name;
};

struct oci_device_rule {
	struct opt_bool allow;
	enum oci_device_rule_type type;
	struct opt_i64 major;
	struct opt_i64 minor;
	const char *access;
};

struct oci_memory {
	struct opt_i64 limit;
	struct opt_i64 reservation;
	struct opt_i64 swap;
	struct opt_i64 kernel;
	struct opt_i64 kernel_tcp;
	struct opt_u64 swappiness;
	struct opt_bool disable_oom_killer;
	struct opt_bool use_hierarchy;
	struct opt_bool check_before_update;
};

struct oci_cpu {
	struct opt_u64 shares;
	struct opt_i64 quota;
	struct opt_u64 burst;
	struct opt_u64 period;
	struct opt_i64 realtime_runtime;
	struct opt_u64 realtime_period;
	const char *cpus;
	const char *mems;
	struct opt_i64 idle;
};

struct oci_weight_device {
	struct opt_i64 major;
	struct opt_i64 minor;
	struct opt_u32 weight;
	struct opt_u32 leaf_weight;
};

struct oci_throttle_device {
	struct opt_i64 major;
	struct opt_i64 minor;
	struct opt_u64 rate;
};

struct oci_block_io {
	struct opt_u32 weight;
	struct opt_u32 leaf_weight;
	struct oci_weight_device *weight_device; size_t n_weight_device;
	struct oci_throttle_device *throttle_read_bps; size_t n_throttle_read_bps;
	struct oci_throttle_device *throttle_write_bps; size_t n_throttle_write_bps;
	struct oci_throttle_device *throttle_read_iops; size_t n_throttle_read_iops;
	struct oci_throttle_device *throttle_write_iops; size_t n_throttle_write_iops;
};

struct oci_hugepage_limit {
	const char *page_size;
	struct opt_u64 limit;
};

struct oci_interface_priority {
	const char *name;
	struct opt_u32 priority;
};

struct oci_network_resources {
	struct opt_u32 class_id;
	struct oci_interface_priority *priorities; size_t n_priorities;
};

struct oci_pids {
	struct opt_i64 limit;
};

struct oci_rdma {
	const char *device; /* the key in linux.resources.rdma */
	struct opt_u32 hca_handles;
	struct opt_u32 hca_objects;
};

struct oci_resources {
	struct oci_map unified;
	struct oci_device_rule *devices; size_t n_devices;
	struct oci_pids *pids;
	struct oci_block_io *block_io;
	struct oci_cpu *cpu;
	struct oci_hugepage_limit *hugepage_limits; size_t n_hugepage_limits;
	struct oci_memory *memory;
	struct oci_network_resources *network;
	struct oci_rdma *rdma; size_t n_rdma;
};

struct oci_intel_rdt {
	const char *clos_id;
	struct oci_strv schemata;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	struct opt_bool enable_monitoring;
};

struct oci_memory_policy {
	enum oci_mpol_mode mode;
	const char *nodes;
	struct oci_enumv flags; /* enum oci_mpol_flag */
};

struct oci_personality {
	enum oci_personality_domain domain;
	struct oci_strv flags;
};

struct oci_syscall_arg {
	struct opt_u32 index;
	struct opt_u64 value;
	struct opt_u64 value_two;
	enum oci_seccomp_op op;
};

struct oci_syscall {
	struct oci_strv names;
	enum oci_seccomp_action action;
	struct opt_u32 errno_ret;
	struct oci_syscall_arg *args; size_t n_args;
};

struct oci_seccomp {
	enum oci_seccomp_action default_action;
	struct opt_u32 default_errno_ret;
	struct oci_enumv architectures; /* enum oci_seccomp_arch */
	struct oci_enumv flags;         /* enum oci_seccomp_flag */
	const char *listener_path;
	const char *listener_metadata;
	struct oci_syscall *syscalls; size_t n_syscalls;
};

struct oci_linux {
	struct oci_namespace *namespaces; size_t n_namespaces;
	struct oci_id_mapping *uid_mappings; size_t n_uid_mappings;
	struct oci_id_mapping *gid_mappings; size_t n_gid_mappings;
	struct oci_time_offsets *time_offsets;
	struct oci_device *devices; size_t n_devices;
	struct oci_net_device *net_devices; size_t n_net_devices;
	const char *cgroups_path;
	struct oci_resources *resources;
	struct oci_intel_rdt *intel_rdt;
	struct oci_memory_policy *memory_policy;
	struct oci_map sysctl;
	struct oci_seccomp *seccomp;
	enum oci_propagation rootfs_propagation;
	struct oci_strv masked_paths;
	struct oci_strv readonly_paths;
	const char *mount_label;
	struct oci_personality *personality;
};

/* config.md: the whole document */
struct oci_config {
	const char *oci_version;
	struct oci_root *root;
	struct oci_mount *mounts; size_t n_mounts;
	struct oci_process *process;
	const char *hostname;
	const char *domainname;
	struct oci_hooks *hooks;
	struct oci_map annotations;
	struct oci_linux *linux_; /* `linux` is a macro of GNU C */
};

/* runtime.md, State; the members after annotations are what engines and people read beside it */
/* How a container's process ended, as far as it was seen: an addition of ours. `code` or `signal`, else `unknown` says why neither is there. */
struct oci_state_exit {
	struct opt_i32 code, signal;
	const char *finished; /* RFC 3339 */
	struct opt_u64 oom_kills;
	const char *unknown;
};

struct oci_state {
	const char *oci_version;
	const char *id;
	enum oci_status status;
	struct opt_i64 pid;
	const char *bundle;
	struct oci_map annotations;
	const char *rootfs;
	const char *created; /* RFC 3339 */
	const char *owner;
	struct oci_state_exit *exit; /* of a stopped one */
};

/* config-linux.md, The Container Process State */
struct oci_container_process_state {
	const char *oci_version;
	struct oci_strv fds;
	struct opt_i64 pid;
	const char *metadata;
	struct oci_state *state;
};

/* features.md, features-linux.md */
struct oci_features_cgroup { struct opt_bool v1, v2, systemd, systemd_user, rdma; };
struct oci_features_seccomp {
	struct opt_bool enabled;
	struct oci_strv actions, operators, archs, known_flags, supported_flags;
};
struct oci_features_enabled { struct opt_bool enabled; };
struct oci_features_intel_rdt { struct opt_bool enabled, schemata, monitoring; };
struct oci_features_memory_policy { struct oci_strv modes, flags; };
struct oci_features_mount_extensions { struct oci_features_enabled *idmap; };
struct oci_features_linux {
	struct oci_strv namespaces;
	struct oci_strv capabilities;
	struct oci_features_cgroup *cgroup;
	struct oci_features_seccomp *seccomp;
	struct oci_features_enabled *apparmor;
	struct oci_features_enabled *selinux;
	struct oci_features_intel_rdt *intel_rdt;
	struct oci_features_memory_policy *memory_policy;
	struct oci_features_mount_extensions *mount_extensions;
	struct oci_features_enabled *net_devices;
};
struct oci_features {
	const char *oci_version_min;
	const char *oci_version_max;
	struct oci_strv hooks;
	struct oci_strv mount_options;
	struct oci_map annotations;
	struct oci_strv potentially_unsafe_config_annotations;
	struct oci_features_linux *linux_;
};

#endif
