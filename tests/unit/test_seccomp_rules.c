/* SPDX-License-Identifier: Apache-2.0 */
/* Single cases of seccomp_compile and seccomp_allows: what is refused, what is reported, flags, shapes. */
#include "seccomp_machine.h"

#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* A profile of one or two rules, each with one name and up to two conditions. */
static struct oci_seccomp profile_of(enum oci_seccomp_action by_default, struct oci_syscall *rules, size_t n)
{
	return (struct oci_seccomp){ .default_action = by_default, .syscalls = rules, .n_syscalls = n };
}

#define NAMES(...) { .v = (const char *[]){ __VA_ARGS__ }, .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), .set = true }
#define ARG(i, o, x) { .index = { true, (i) }, .op = (o), .value = { true, (x) } }

static uint32_t call(const struct seccomp_filter *f, uint32_t arch, int nr, uint64_t arg0)
{
	struct seccomp_data d = { .arch = arch, .nr = nr, .args = { arg0 } };

	return bpf_run(f, &d);
}

START_TEST(test_two_conditions_on_one_argument)
{
	struct oci_syscall r[] = { { .names = NAMES("personality"), .action = OCI_ACT_ALLOW,
				     .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_EQ, 0), ARG(0, OCI_CMP_EQ, 8) }, .n_args = 2 } };
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, r, 1);
	struct seccomp_filter f;

	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_personality, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_personality, 8), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_personality, 4), SECCOMP_RET_ERRNO | EPERM);
}
END_TEST

/* Two actions for one call, told apart by conditions: how engines answer socket(AF_VSOCK) and clone(NEWUSER). */
START_TEST(test_two_actions_for_one_call)
{
	struct oci_syscall r[] = {
		{ .names = NAMES("personality"), .action = OCI_ACT_ERRNO, .errno_ret = { true, 22 },
		  .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_EQ, 40) }, .n_args = 1 },
		{ .names = NAMES("personality"), .action = OCI_ACT_ALLOW, .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_NE, 40) }, .n_args = 1 },
	};
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, r, 2);
	struct seccomp_filter f;

	s.default_errno_ret = (struct opt_u32){ true, ENOSYS };
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_personality, 40), SECCOMP_RET_ERRNO | 22);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_personality, 41), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_getpid, 0), SECCOMP_RET_ERRNO | ENOSYS);
}
END_TEST

/* On x86 the socket calls go through socketcall(2) as well: a rule must reach both doors. */
START_TEST(test_socketcall)
{
	struct oci_syscall r[] = { { .names = NAMES("socket"), .action = OCI_ACT_ERRNO, .errno_ret = { true, 97 } } };
	struct oci_seccomp s = profile_of(OCI_ACT_ALLOW, r, 1);
	struct seccomp_filter f;
	int archs[] = { OCI_ARCH_X86_64, OCI_ARCH_X86 };

	s.architectures = (struct oci_enumv){ .v = archs, .n = 2, .set = true };
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_socket, 2), SECCOMP_RET_ERRNO | 97);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 359, 2), SECCOMP_RET_ERRNO | 97);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 102, 1), SECCOMP_RET_ERRNO | 97);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 102, 2), SECCOMP_RET_ALLOW);
}
END_TEST

static char warned[LOG_LINE_MAX];
static int warn_level;

static void remember(void *arg UNUSED, enum log_level level, const char *line)
{
	warn_level = (int)level;
	snprintf(warned, sizeof(warned), "%s", line);
}

static void unknown_name(enum oci_seccomp_action by_default, enum oci_seccomp_action action)
{
	struct oci_syscall r[] = { { .names = NAMES("getpid", "no\x1bsuch"), .action = action } };
	struct oci_seccomp s = profile_of(by_default, r, 1);
	struct seccomp_filter f;

	warned[0] = '\0';
	log_set_sink((struct log_sink){ .write = remember, .level = LOG_LVL_DEBUG });
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_getpid, 0), action_value(action, (struct opt_u32){ 0 }));
}

START_TEST(test_unknown_name)
{
	unknown_name(OCI_ACT_ERRNO, OCI_ACT_ALLOW);
	ck_assert_int_eq(warn_level, LOG_LVL_DEBUG);
	unknown_name(OCI_ACT_ALLOW, OCI_ACT_ERRNO);
	ck_assert_int_eq(warn_level, LOG_LVL_WARNING);
	ck_assert_ptr_nonnull(strstr(warned, "linux.seccomp.syscalls[0].names[1]"));
	ck_assert_ptr_nonnull(strstr(warned, "\"no\\x1bsuch\""));
	ck_assert_ptr_nonnull(strstr(warned, "SCMP_ACT_ERRNO"));
	unknown_name(OCI_ACT_ERRNO, OCI_ACT_KILL);
	ck_assert_int_eq(warn_level, LOG_LVL_WARNING);
	unknown_name(OCI_ACT_LOG, OCI_ACT_ALLOW);
	ck_assert_int_eq(warn_level, LOG_LVL_DEBUG);
}
END_TEST

static void refused(const struct oci_seccomp *s, const char *path, const char *part)
{
	struct seccomp_filter f;
	struct err e = { 0 };

	ck_assert_int_lt(seccomp_compile(s, &arena, &f, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_str_eq(e.path, path);
	ck_assert_msg(strstr(e.msg, part) != NULL, "%s", e.msg);
}

START_TEST(test_refused)
{
	struct oci_syscall twice[] = { { .names = NAMES("read"), .action = OCI_ACT_ALLOW,
					 .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_EQ, 5) }, .n_args = 1 },
				       { .names = NAMES("write", "read"), .action = OCI_ACT_LOG,
					 .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_EQ, 5) }, .n_args = 1 } };
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, twice, 2);

	refused(&s, "linux.seccomp.syscalls[1].names[1]", "\"read\" — another rule has the same conditions and a different action");
	twice[0].errno_ret = (struct opt_u32){ true, 0x10000 };
	refused(&s, "linux.seccomp.syscalls[0]", "65536");
	s.default_errno_ret = (struct opt_u32){ true, 4096 };
	refused(&s, "linux.seccomp.defaultAction", "4096");
	int foreign[] = { OCI_ARCH_X86_64, OCI_ARCH_S390X };
	struct oci_seccomp big = { .default_action = OCI_ACT_ALLOW, .architectures = { .v = foreign, .n = 2, .set = true } };
	refused(&big, "linux.seccomp.architectures[1]", "byte order");
}
END_TEST

/* libseccomp 2.5 knows neither of these; a later one knows both. What it says of itself decides. */
START_TEST(test_architecture_unknown_to_the_library)
{
	int archs[] = { OCI_ARCH_LOONGARCH64 };
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW, .architectures = { .v = archs, .n = 1, .set = true } };
	struct seccomp_filter f;

	if (seccomp_arch_resolve_name("loongarch64") == 0)
		refused(&s, "linux.seccomp.architectures[0]", "\"SCMP_ARCH_LOONGARCH64\" — libseccomp ");
	else
		compile_ok(&s, &f);
}
END_TEST

static uint32_t flags_of(int *words, size_t n, bool set, enum oci_seccomp_action action)
{
	struct oci_syscall r[] = { { .names = NAMES("getpid"), .action = action } };
	struct oci_seccomp s = profile_of(OCI_ACT_ALLOW, r, 1);
	struct seccomp_filter f;

	s.flags = (struct oci_enumv){ .v = words, .n = n, .set = set };
	compile_ok(&s, &f);
	ck_assert_int_eq(f.notify, action == OCI_ACT_NOTIFY);
	return f.flags;
}

START_TEST(test_flags)
{
	int all[] = { OCI_SCFLAG_TSYNC, OCI_SCFLAG_LOG, OCI_SCFLAG_SPEC_ALLOW, OCI_SCFLAG_WAIT_KILLABLE_RECV };

	ck_assert_uint_eq(flags_of(NULL, 0, false, OCI_ACT_LOG), SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	ck_assert_uint_eq(flags_of(NULL, 0, true, OCI_ACT_LOG), 0);
	ck_assert_uint_eq(flags_of(all, 2, true, OCI_ACT_LOG), SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG);
	ck_assert_uint_eq(flags_of(all, 4, true, OCI_ACT_LOG), 7);
	ck_assert_uint_eq(flags_of(all, 4, true, OCI_ACT_NOTIFY), 0x2e); /* no TSYNC: see filter_flags */
}
END_TEST

START_TEST(test_allows)
{
	struct oci_syscall r[] = {
		{ .names = NAMES("read"), .action = OCI_ACT_ALLOW },
		{ .names = NAMES("write"), .action = OCI_ACT_LOG },
		{ .names = NAMES("close"), .action = OCI_ACT_ALLOW, .args = (struct oci_syscall_arg[]){ ARG(0, OCI_CMP_LT, 9) }, .n_args = 1 },
		{ .names = NAMES("capset"), .action = OCI_ACT_ERRNO, .errno_ret = { true, 0 } },
		{ .names = NAMES("prctl"), .action = OCI_ACT_TRACE },
	};
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, r, 5);
	struct seccomp_filter f, cut;

	compile_ok(&s, &f);
	ck_assert(seccomp_allows(&f, SYS_read));
	ck_assert(seccomp_allows(&f, SYS_write));
	ck_assert(!seccomp_allows(&f, SYS_close));
	ck_assert(!seccomp_allows(&f, SYS_capset));
	ck_assert(!seccomp_allows(&f, SYS_prctl));
	ck_assert(!seccomp_allows(&f, SYS_execve));
	s.default_action = OCI_ACT_ALLOW;
	compile_ok(&s, &f);
	ck_assert(seccomp_allows(&f, SYS_execve));
	ck_assert(seccomp_allows(&f, SYS_close)); /* the rule says what the default says */
	/* A program that is cut off must not be followed out of the array. */
	for (size_t n = 0; n < f.n; n++) {
		cut = (struct seccomp_filter){ .insns = f.insns, .n = n };
		ck_assert(n > 0 || !seccomp_allows(&cut, SYS_execve));
		seccomp_allows(&cut, SYS_read);
	}
}
END_TEST

/* More than 32 rules make a binary tree; the empty profile has only its default. */
START_TEST(test_shapes)
{
	struct oci_syscall r[] = { { .action = OCI_ACT_ALLOW,
				     .names = NAMES("read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect",
						    "munmap", "brk", "ioctl", "pread64", "readv", "writev", "access", "pipe", "select", "mremap",
						    "msync", "madvise", "dup", "pause", "alarm", "getpid", "clone", "fork", "vfork", "execve", "exit",
						    "kill", "uname", "fcntl", "flock", "fsync", "getcwd", "chdir", "rename", "mkdir", "unlink") } };
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, r, 1), empty = profile_of(OCI_ACT_ALLOW, NULL, 0);
	struct seccomp_filter f;

	compile_ok(&s, &f);
	size_t longest_list_jump = 0;
	for (size_t i = 0; i < f.n; i++)
		if (BPF_CLASS(f.insns[i].code) == BPF_JMP && BPF_OP(f.insns[i].code) == BPF_JGT)
			longest_list_jump++;
	ck_assert_uint_gt(longest_list_jump, 4); /* the inner nodes of the tree */
	compile_ok(&empty, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_execve, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_AARCH64, SYS_execve, 0), SECCOMP_RET_KILL_THREAD);
}
END_TEST

/* The kernel takes the program and the flags, and does what they say. */
START_TEST(test_loads)
{
	struct oci_syscall r[] = { { .names = NAMES("getpid"), .action = OCI_ACT_ERRNO, .errno_ret = { true, EXDEV } } };
	struct oci_seccomp s = profile_of(OCI_ACT_ALLOW, r, 1);
	struct seccomp_filter f;
	int status;

	compile_ok(&s, &f);
	pid_t pid = fork();
	if (pid == 0) {
		struct sock_fprog prog = { .len = (unsigned short)f.n, .filter = f.insns };

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f.flags, &prog) < 0)
			_exit(2);
		_exit(syscall(SYS_getpid) == -1 && errno == EXDEV ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* What the profile's author couldn't know is ENOSYS; what he could is what he says. */
START_TEST(test_newer_than_the_profile)
{
	struct oci_syscall r[] = { { .names = NAMES("read", "clone3", "close_range"), .action = OCI_ACT_ALLOW } };
	struct oci_seccomp s = profile_of(OCI_ACT_ERRNO, r, 1);
	int archs[] = { OCI_ARCH_X86_64, OCI_ARCH_X86 };
	struct seccomp_filter f;

	s.architectures = (struct oci_enumv){ .v = archs, .n = 2, .set = true };
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_close_range, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_pidfd_open, 0), SECCOMP_RET_ERRNO | EPERM);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, SYS_close_range + 1, 0), SECCOMP_RET_ERRNO | ENOSYS);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 437, 0), SECCOMP_RET_ERRNO | ENOSYS);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 434, 0), SECCOMP_RET_ERRNO | EPERM);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 0x40000000 | 999, 0), SECCOMP_RET_KILL_THREAD);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, -1, 0), SECCOMP_RET_ERRNO | EPERM);
	s.default_action = OCI_ACT_KILL;
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 999, 0), SECCOMP_RET_ERRNO | ENOSYS);
	s.default_action = OCI_ACT_LOG;
	compile_ok(&s, &f);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 999, 0), SECCOMP_RET_LOG);
}
END_TEST

/* Calls that libseccomp 2.5.4 doesn't know; a later one knows them and makes the same of them. */
START_TEST(test_newer_than_the_library)
{
	struct oci_syscall r[] = { { .names = NAMES("mseal", "fchmodat2"), .action = OCI_ACT_ERRNO, .errno_ret = { true, 77 } },
				   { .names = NAMES("statmount"), .action = OCI_ACT_KILL_PROCESS }, { .names = NAMES("mseal"), .action = OCI_ACT_LOG } };
	struct oci_seccomp s = profile_of(OCI_ACT_ALLOW, r, 2);
	int archs[] = { OCI_ARCH_X86_64, OCI_ARCH_X86, OCI_ARCH_X32 };
	struct seccomp_filter f;
	struct err e;

	s.architectures = (struct oci_enumv){ .v = archs, .n = 3, .set = true };
	compile_ok(&s, &f);
	ck_assert(!f.warned);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 462, 0), SECCOMP_RET_ERRNO | 77);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_I386, 452, 0), SECCOMP_RET_ERRNO | 77);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 0x40000000 | 457, 0), SECCOMP_RET_KILL_PROCESS);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 458, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(call(&f, AUDIT_ARCH_X86_64, 999, 0), SECCOMP_RET_ALLOW);
	s.n_syscalls = 3;
	ck_assert_int_eq(seccomp_compile(&s, &(struct oci_arena){ 0 }, &f, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.msg, "mseal"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seccomp rules");
	TCase *t = tcase_create("seccomp");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_two_conditions_on_one_argument);
	tcase_add_test(t, test_two_actions_for_one_call);
	tcase_add_test(t, test_socketcall);
	tcase_add_test(t, test_unknown_name);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_architecture_unknown_to_the_library);
	tcase_add_test(t, test_flags);
	tcase_add_test(t, test_allows);
	tcase_add_test(t, test_shapes);
	tcase_add_test(t, test_loads);
	tcase_add_test(t, test_newer_than_the_profile);
	tcase_add_test(t, test_newer_than_the_library);
	suite_add_tcase(s, t);
	return unit_run(s);
}
