/* SPDX-License-Identifier: Apache-2.0 */
/* config.md, Process: also the document of `exec --process`. */
#include "ocispec/schema.h"

/* config.md, Process: height and width are in characters. */
static const struct oci_field console_size_f[] = {
	F_U64(oci_console_size, height, "height", REQUIRED),
	F_U64(oci_console_size, width, "width", REQUIRED),
};
static const struct oci_desc oci_console_size_desc = DESC(oci_console_size, console_size_f, NULL);

/* config.md, POSIX-platform User. umask(2) keeps the nine permission bits and drops the rest in silence; here they
 * are an error. */
static const struct oci_field user_f[] = {
	F_U32(oci_user, uid, "uid"),
	F_U32(oci_user, gid, "gid"),
	F_U32(oci_user, umask, "umask", MAX(0777)),
	F_U32V(oci_user, additional_gids, "additionalGids"),
	F_STR(oci_user, username, "username"),
};
static const struct oci_desc oci_user_desc = DESC(oci_user, user_f, NULL);

/* config.md, POSIX process: a type without a kernel limit is an error. */
static const struct oci_field rlimit_f[] = {
	F_STR(oci_rlimit, type, "type", REQUIRED, IN(oci_rlimit_words)),
	F_U64(oci_rlimit, soft, "soft", REQUIRED),
	F_U64(oci_rlimit, hard, "hard", REQUIRED),
};
static const struct oci_desc oci_rlimit_desc = DESC(oci_rlimit, rlimit_f, NULL);

/* config.md, Linux Process: names that the kernel doesn't know are warnings, given by those who know the kernel. */
static const struct oci_field capabilities_f[] = {
	F_STRV(oci_capabilities, effective, "effective"),
	F_STRV(oci_capabilities, bounding, "bounding"),
	F_STRV(oci_capabilities, inheritable, "inheritable"),
	F_STRV(oci_capabilities, permitted, "permitted"),
	F_STRV(oci_capabilities, ambient, "ambient"),
};
static const struct oci_desc oci_capabilities_desc = DESC(oci_capabilities, capabilities_f, NULL);

/* config.md, scheduler; the ranges are sched(7)'s. */
static const struct oci_field scheduler_f[] = {
	F_WORD(oci_scheduler, policy, "policy", oci_sched_policy, REQUIRED),
	F_I32(oci_scheduler, nice, "nice", MIN(-20), MAX(19)),
	F_I32(oci_scheduler, priority, "priority", MIN(0), MAX(99)),
	F_WORDV(oci_scheduler, flags, "flags", oci_sched_flag),
	F_U64(oci_scheduler, runtime, "runtime"),
	F_U64(oci_scheduler, deadline, "deadline"),
	F_U64(oci_scheduler, period, "period"),
};
static const struct oci_desc oci_scheduler_desc = DESC(oci_scheduler, scheduler_f, oci_rule_scheduler);

/* config.md, ioPriority: both are required by the text, 0 is the highest of eight. */
static const struct oci_field io_priority_f[] = {
	F_WORD(oci_io_priority, io_class, "class", oci_ioprio_class, REQUIRED),
	F_I32(oci_io_priority, priority, "priority", REQUIRED, MIN(0), MAX(7)),
};
static const struct oci_desc oci_io_priority_desc = DESC(oci_io_priority, io_priority_f, NULL);

/* config.md, execCPUAffinity: lists such as "0-3,7". */
static const struct oci_field exec_cpu_affinity_f[] = {
	F_STR(oci_exec_cpu_affinity, initial, "initial", TEXT(CPU_LIST)),
	F_STR(oci_exec_cpu_affinity, final, "final", TEXT(CPU_LIST)),
};
static const struct oci_desc oci_exec_cpu_affinity_desc = DESC(oci_exec_cpu_affinity, exec_cpu_affinity_f, NULL);

/* oom_score_adj's range is proc(5)'s. */
static const struct oci_field process_f[] = {
	F_BOOL(oci_process, terminal, "terminal"),
	F_OBJ(oci_process, console_size, "consoleSize", oci_console_size),
	F_STR(oci_process, cwd, "cwd", REQUIRED, TEXT(ABSOLUTE)),
	F_STRV(oci_process, env, "env", TEXT(ENV)),
	F_STRV(oci_process, args, "args", MIN_ITEMS(1)),
	F_STR(oci_process, command_line, "commandLine"),
	F_OBJV(oci_process, rlimits, "rlimits", oci_rlimit),
	F_STR(oci_process, apparmor_profile, "apparmorProfile"),
	F_OBJ(oci_process, capabilities, "capabilities", oci_capabilities),
	F_BOOL(oci_process, no_new_privileges, "noNewPrivileges"),
	F_I32(oci_process, oom_score_adj, "oomScoreAdj", MIN(-1000), MAX(1000)),
	F_OBJ(oci_process, scheduler, "scheduler", oci_scheduler),
	F_STR(oci_process, selinux_label, "selinuxLabel"),
	F_OBJ(oci_process, io_priority, "ioPriority", oci_io_priority),
	F_OBJ(oci_process, exec_cpu_affinity, "execCPUAffinity", oci_exec_cpu_affinity),
	F_OBJ(oci_process, user, "user", oci_user),
};
const struct oci_desc oci_process_desc = DESC(oci_process, process_f, oci_rule_process);
