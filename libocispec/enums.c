/* SPDX-License-Identifier: Apache-2.0 */
/* Every enumerated word of the specification and its number, one table each. */
#include "ocispec/schema.h"

#define WORDS(table) { .word = (table), .n = sizeof(table) / sizeof((table)[0]) }

static const char *const namespace_type[] = {
	[OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "network", [OCI_NS_MOUNT] = "mount", [OCI_NS_IPC] = "ipc",
	[OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user", [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time",
};
const struct oci_words oci_namespace_type_words = WORDS(namespace_type);

static const char *const device_type[] = {
	[OCI_DEV_CHAR] = "c", [OCI_DEV_BLOCK] = "b", [OCI_DEV_UNBUFFERED] = "u", [OCI_DEV_FIFO] = "p",
};
const struct oci_words oci_device_type_words = WORDS(device_type);

static const char *const device_rule_type[] = {
	[OCI_DEVRULE_ALL] = "a", [OCI_DEVRULE_CHAR] = "c", [OCI_DEVRULE_BLOCK] = "b",
};
const struct oci_words oci_device_rule_type_words = WORDS(device_rule_type);

static const char *const propagation[] = {
	[OCI_PROP_PRIVATE] = "private", [OCI_PROP_RPRIVATE] = "rprivate",
	[OCI_PROP_SHARED] = "shared", [OCI_PROP_RSHARED] = "rshared",
	[OCI_PROP_SLAVE] = "slave", [OCI_PROP_RSLAVE] = "rslave",
	[OCI_PROP_UNBINDABLE] = "unbindable", [OCI_PROP_RUNBINDABLE] = "runbindable",
};
const struct oci_words oci_propagation_words = WORDS(propagation);

static const char *const seccomp_action[] = {
	[OCI_ACT_KILL] = "SCMP_ACT_KILL",
	[OCI_ACT_KILL_PROCESS] = "SCMP_ACT_KILL_PROCESS",
	[OCI_ACT_KILL_THREAD] = "SCMP_ACT_KILL_THREAD",
	[OCI_ACT_TRAP] = "SCMP_ACT_TRAP",
	[OCI_ACT_ERRNO] = "SCMP_ACT_ERRNO",
	[OCI_ACT_TRACE] = "SCMP_ACT_TRACE",
	[OCI_ACT_ALLOW] = "SCMP_ACT_ALLOW",
	[OCI_ACT_LOG] = "SCMP_ACT_LOG",
	[OCI_ACT_NOTIFY] = "SCMP_ACT_NOTIFY",
};
const struct oci_words oci_seccomp_action_words = WORDS(seccomp_action);

static const char *const seccomp_op[] = {
	[OCI_CMP_NE] = "SCMP_CMP_NE",
	[OCI_CMP_LT] = "SCMP_CMP_LT",
	[OCI_CMP_LE] = "SCMP_CMP_LE",
	[OCI_CMP_EQ] = "SCMP_CMP_EQ",
	[OCI_CMP_GE] = "SCMP_CMP_GE",
	[OCI_CMP_GT] = "SCMP_CMP_GT",
	[OCI_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};
const struct oci_words oci_seccomp_op_words = WORDS(seccomp_op);

static const char *const seccomp_flag[] = {
	[OCI_SCFLAG_TSYNC] = "SECCOMP_FILTER_FLAG_TSYNC", [OCI_SCFLAG_LOG] = "SECCOMP_FILTER_FLAG_LOG",
	[OCI_SCFLAG_SPEC_ALLOW] = "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	[OCI_SCFLAG_WAIT_KILLABLE_RECV] = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
};
const struct oci_words oci_seccomp_flag_words = WORDS(seccomp_flag);

static const char *const seccomp_arch[] = {
	[OCI_ARCH_X86] = "SCMP_ARCH_X86",
	[OCI_ARCH_X86_64] = "SCMP_ARCH_X86_64",
	[OCI_ARCH_X32] = "SCMP_ARCH_X32",
	[OCI_ARCH_ARM] = "SCMP_ARCH_ARM",
	[OCI_ARCH_AARCH64] = "SCMP_ARCH_AARCH64",
	[OCI_ARCH_LOONGARCH64] = "SCMP_ARCH_LOONGARCH64",
	[OCI_ARCH_M68K] = "SCMP_ARCH_M68K",
	[OCI_ARCH_MIPS] = "SCMP_ARCH_MIPS",
	[OCI_ARCH_MIPS64] = "SCMP_ARCH_MIPS64",
	[OCI_ARCH_MIPS64N32] = "SCMP_ARCH_MIPS64N32",
	[OCI_ARCH_MIPSEL] = "SCMP_ARCH_MIPSEL",
	[OCI_ARCH_MIPSEL64] = "SCMP_ARCH_MIPSEL64",
	[OCI_ARCH_MIPSEL64N32] = "SCMP_ARCH_MIPSEL64N32",
	[OCI_ARCH_PPC] = "SCMP_ARCH_PPC",
	[OCI_ARCH_PPC64] = "SCMP_ARCH_PPC64",
	[OCI_ARCH_PPC64LE] = "SCMP_ARCH_PPC64LE",
	[OCI_ARCH_S390] = "SCMP_ARCH_S390",
	[OCI_ARCH_S390X] = "SCMP_ARCH_S390X",
	[OCI_ARCH_SH] = "SCMP_ARCH_SH",
	[OCI_ARCH_SHEB] = "SCMP_ARCH_SHEB",
	[OCI_ARCH_PARISC] = "SCMP_ARCH_PARISC",
	[OCI_ARCH_PARISC64] = "SCMP_ARCH_PARISC64",
	[OCI_ARCH_RISCV64] = "SCMP_ARCH_RISCV64",
};
const struct oci_words oci_seccomp_arch_words = WORDS(seccomp_arch);

static const char *const sched_policy[] = {
	[OCI_SCHED_OTHER] = "SCHED_OTHER", [OCI_SCHED_FIFO] = "SCHED_FIFO", [OCI_SCHED_RR] = "SCHED_RR",
	[OCI_SCHED_BATCH] = "SCHED_BATCH", [OCI_SCHED_ISO] = "SCHED_ISO", [OCI_SCHED_IDLE] = "SCHED_IDLE",
	[OCI_SCHED_DEADLINE] = "SCHED_DEADLINE",
};
const struct oci_words oci_sched_policy_words = WORDS(sched_policy);

static const char *const sched_flag[] = {
	[OCI_SCHEDFLAG_RESET_ON_FORK] = "SCHED_FLAG_RESET_ON_FORK",
	[OCI_SCHEDFLAG_RECLAIM] = "SCHED_FLAG_RECLAIM",
	[OCI_SCHEDFLAG_DL_OVERRUN] = "SCHED_FLAG_DL_OVERRUN",
	[OCI_SCHEDFLAG_KEEP_POLICY] = "SCHED_FLAG_KEEP_POLICY",
	[OCI_SCHEDFLAG_KEEP_PARAMS] = "SCHED_FLAG_KEEP_PARAMS",
	[OCI_SCHEDFLAG_UTIL_CLAMP_MIN] = "SCHED_FLAG_UTIL_CLAMP_MIN",
	[OCI_SCHEDFLAG_UTIL_CLAMP_MAX] = "SCHED_FLAG_UTIL_CLAMP_MAX",
};
const struct oci_words oci_sched_flag_words = WORDS(sched_flag);

static const char *const ioprio_class[] = {
	[OCI_IOPRIO_RT] = "IOPRIO_CLASS_RT",
	[OCI_IOPRIO_BE] = "IOPRIO_CLASS_BE",
	[OCI_IOPRIO_IDLE] = "IOPRIO_CLASS_IDLE",
};
const struct oci_words oci_ioprio_class_words = WORDS(ioprio_class);

static const char *const personality_domain[] = { [OCI_PER_LINUX] = "LINUX", [OCI_PER_LINUX32] = "LINUX32" };
const struct oci_words oci_personality_domain_words = WORDS(personality_domain);

static const char *const mpol_mode[] = {
	[OCI_MPOL_DEFAULT] = "MPOL_DEFAULT", [OCI_MPOL_BIND] = "MPOL_BIND", [OCI_MPOL_INTERLEAVE] = "MPOL_INTERLEAVE",
	[OCI_MPOL_WEIGHTED_INTERLEAVE] = "MPOL_WEIGHTED_INTERLEAVE", [OCI_MPOL_PREFERRED] = "MPOL_PREFERRED",
	[OCI_MPOL_PREFERRED_MANY] = "MPOL_PREFERRED_MANY", [OCI_MPOL_LOCAL] = "MPOL_LOCAL",
};
const struct oci_words oci_mpol_mode_words = WORDS(mpol_mode);

static const char *const mpol_flag[] = {
	[OCI_MPOLFLAG_NUMA_BALANCING] = "MPOL_F_NUMA_BALANCING",
	[OCI_MPOLFLAG_RELATIVE_NODES] = "MPOL_F_RELATIVE_NODES",
	[OCI_MPOLFLAG_STATIC_NODES] = "MPOL_F_STATIC_NODES",
};
const struct oci_words oci_mpol_flag_words = WORDS(mpol_flag);

static const char *const status[] = {
	[OCI_STATUS_CREATING] = "creating", [OCI_STATUS_CREATED] = "created", [OCI_STATUS_RUNNING] = "running",
	[OCI_STATUS_PAUSED] = "paused", [OCI_STATUS_STOPPED] = "stopped",
};
const struct oci_words oci_status_words = WORDS(status);

/* The limits of getrlimit(2): config.md wants an error for a name that doesn't map to one. Kept as strings in the
 * model. */
static const char *const rlimit[] = {
	NULL, "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE",
	"RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC",
	"RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
};
const struct oci_words oci_rlimit_words = WORDS(rlimit);

static const char *word_of(const struct oci_words *w, unsigned i)
{
	return i < w->n ? w->word[i] : NULL;
}

const char *oci_namespace_word(enum oci_namespace_type t)
{
	return word_of(&oci_namespace_type_words, t);
}

const char *oci_status_word(enum oci_status s)
{
	return word_of(&oci_status_words, s);
}

const char *oci_propagation_word(enum oci_propagation p)
{
	return word_of(&oci_propagation_words, p);
}

const char *oci_seccomp_action_word(enum oci_seccomp_action x)
{
	return word_of(&oci_seccomp_action_words, x);
}

const char *oci_seccomp_arch_word(enum oci_seccomp_arch x)
{
	return word_of(&oci_seccomp_arch_words, x);
}

const char *oci_seccomp_op_word(enum oci_seccomp_op x)
{
	return word_of(&oci_seccomp_op_words, x);
}

const char *oci_seccomp_flag_word(enum oci_seccomp_flag x)
{
	return word_of(&oci_seccomp_flag_words, x);
}
