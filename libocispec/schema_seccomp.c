/* SPDX-License-Identifier: Apache-2.0 */
/* config-linux.md, Seccomp. */
#include "ocispec/schema.h"

/* A system call has six arguments. */
static const struct oci_field syscall_arg_f[] = {
	F_U32(oci_syscall_arg, index, "index", REQUIRED, MAX(5)),
	F_U64(oci_syscall_arg, value, "value", REQUIRED),
	F_U64(oci_syscall_arg, value_two, "valueTwo"),
	F_WORD(oci_syscall_arg, op, "op", oci_seccomp_op, REQUIRED),
};
static const struct oci_desc oci_syscall_arg_desc = DESC(oci_syscall_arg, syscall_arg_f, NULL);

/* The kernel's MAX_ERRNO is 4095; a larger number would be cut to it, or read as a valid result by libc. */
static const struct oci_field syscall_f[] = {
	F_STRV(oci_syscall, names, "names", REQUIRED, MIN_ITEMS(1), TEXT(NONEMPTY)),
	F_WORD(oci_syscall, action, "action", oci_seccomp_action, REQUIRED),
	F_U32(oci_syscall, errno_ret, "errnoRet", MAX(4095)),
	F_OBJV(oci_syscall, args, "args", oci_syscall_arg),
};
static const struct oci_desc oci_syscall_desc = DESC(oci_syscall, syscall_f, oci_rule_syscall);

static const struct oci_field seccomp_f[] = {
	F_WORD(oci_seccomp, default_action, "defaultAction", oci_seccomp_action, REQUIRED),
	F_U32(oci_seccomp, default_errno_ret, "defaultErrnoRet", MAX(4095)),
	F_WORDV(oci_seccomp, architectures, "architectures", oci_seccomp_arch),
	F_WORDV(oci_seccomp, flags, "flags", oci_seccomp_flag),
	F_STR(oci_seccomp, listener_path, "listenerPath"),
	F_STR(oci_seccomp, listener_metadata, "listenerMetadata"),
	F_OBJV(oci_seccomp, syscalls, "syscalls", oci_syscall),
};
const struct oci_desc oci_seccomp_desc = DESC(oci_seccomp, seccomp_f, oci_rule_seccomp);
