/* SPDX-License-Identifier: Apache-2.0 */
/* Differential test of seccomp_compile: random profiles, and random calls answered twice, by the compiled program in a small BPF machine
 * and by reading the profile. */
#include "seccomp_machine.h"

#include <seccomp.h>
#include <stdio.h>

#define X32_BIT 0x40000000U
#define N_PROFILES 60
#define N_CALLS 2500 /* per profile */

/* ---- the profile, read literally ---- */

/* Architectures of 32 bits have arguments of 32 bits. */
static bool holds(const struct oci_syscall_arg *c, const uint64_t *args, bool narrow)
{
	uint64_t cut = narrow ? UINT32_MAX : UINT64_MAX;
	uint64_t a = args[c->index.v] & cut, v = c->value.v & cut, two = c->value_two.v & cut;

	switch (c->op) {
	case OCI_CMP_NE:
		return a != v;
	case OCI_CMP_LT:
		return a < v;
	case OCI_CMP_LE:
		return a <= v;
	case OCI_CMP_EQ:
		return a == v;
	case OCI_CMP_GE:
		return a >= v;
	case OCI_CMP_GT:
		return a > v;
	default:
		return (a & v) == two;
	}
}

static bool two_on_one_argument(const struct oci_syscall *s)
{
	for (size_t i = 0; i < s->n_args; i++)
		for (size_t k = 0; k < i; k++)
			if (s->args[i].index.v == s->args[k].index.v)
				return true;
	return false;
}

static bool rule_matches(const struct oci_syscall *s, const uint64_t *args, bool narrow)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_args; i++)
		n += holds(&s->args[i], args, narrow);
	return two_on_one_argument(s) ? n > 0 : n == s->n_args;
}

static bool lists(const struct oci_seccomp *s, enum oci_seccomp_arch arch)
{
	for (size_t i = 0; i < s->architectures.n; i++)
		if (s->architectures.v[i] == (int)arch)
			return true;
	return false;
}

/* The token whose names apply to the call, or 0 when its architecture is outside the filter. */
static uint32_t call_arch(const struct oci_seccomp *s, const struct seccomp_data *d)
{
	if (d->arch == AUDIT_ARCH_I386)
		return lists(s, OCI_ARCH_X86) ? SCMP_ARCH_X86 : 0;
	if (d->arch != AUDIT_ARCH_X86_64)
		return 0;
	/* -1 is what a tracer writes to skip a call; it belongs to no table. */
	if (((uint32_t)d->nr & X32_BIT) && d->nr != -1)
		return lists(s, OCI_ARCH_X32) ? SCMP_ARCH_X32 : 0;
	return SCMP_ARCH_X86_64;
}

/* libseccomp's number, or the kernel's for two calls that 2.5.4 doesn't know. */
static int number_of(uint32_t token, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(token, name);
	int young = streq(name, "mseal") ? 462 : streq(name, "fchmodat2") ? 452 : 0;

	return nr == __NR_SCMP_ERROR && young ? young + (token == SCMP_ARCH_X32 ? (int)X32_BIT : 0) : nr;
}

static bool is_young(uint32_t token, const char *name)
{
	return seccomp_syscall_resolve_name_arch(token, name) == __NR_SCMP_ERROR;
}

/* Newer than everything that the profile names, where the default action refuses. */
static bool is_newer(const struct oci_seccomp *s, uint32_t token, const struct seccomp_data *d)
{
	int max = 0;

	if (token == SCMP_ARCH_X32 || (uint32_t)d->nr >= X32_BIT || s->default_action == OCI_ACT_ALLOW || s->default_action == OCI_ACT_LOG ||
	    s->default_action == OCI_ACT_TRACE || s->default_action == OCI_ACT_NOTIFY)
		return false;
	for (size_t i = 0; i < s->n_syscalls; i++)
		for (size_t k = 0; k < s->syscalls[i].names.n; k++) {
			int nr = number_of(token, s->syscalls[i].names.v[k]);
			max = nr > max ? nr : max;
		}
	return max > 0 && d->nr > max;
}

static uint32_t profile_answer(const struct oci_seccomp *s, const struct seccomp_data *d)
{
	uint32_t token = call_arch(s, d), conditional = action_value(s->default_action, s->default_errno_ret);
	bool narrow = token != SCMP_ARCH_X86_64;
	uint64_t args[6];

	if (token == 0)
		return SECCOMP_RET_KILL_THREAD;
	if (is_newer(s, token, d))
		return SECCOMP_RET_ERRNO | ENOSYS;
	memcpy(args, d->args, sizeof(args));
	for (size_t i = 0; i < s->n_syscalls; i++) {
		const struct oci_syscall *sc = &s->syscalls[i];
		uint32_t action = action_value(sc->action, sc->errno_ret);

		if (action == action_value(s->default_action, s->default_errno_ret))
			continue;
		for (size_t k = 0; k < sc->names.n; k++) {
			int nr = number_of(token, sc->names.v[k]);

			if (nr == __NR_SCMP_ERROR || nr != d->nr || (sc->n_args && is_young(token, sc->names.v[k])))
				continue;
			if (sc->n_args == 0)
				return action; /* a rule without conditions wins over those with some */
			if (rule_matches(sc, args, narrow))
				conditional = action;
		}
	}
	return conditional;
}

/* ---- random profiles ---- */

/* Present everywhere, on one architecture only, with different numbers, unknown; no socket and ipc calls (see test_socketcall). */
static const char *const names[] = {
	"read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect", "munmap", "brk", "ioctl", "pread64",
	"readv", "writev", "access", "pipe", "select", "mremap", "msync", "madvise", "dup", "pause", "nanosleep", "alarm", "getpid", "clone",
	"fork", "vfork", "execve", "exit", "kill", "uname", "fcntl", "flock", "fsync", "truncate", "getcwd", "chdir", "rename", "mkdir",
	"unlink", "symlink", "chmod", "chown", "umask", "gettimeofday", "ptrace", "getuid", "syslog", "setuid", "capset", "personality",
	"prctl", "mount", "umount2", "reboot", "keyctl", "unshare", "setns", "openat2", "clone3", "waitpid", "_llseek", "ugetrlimit",
	"arch_prctl", "modify_ldt", "breakpoint", "no_such_call", "statx", "rt_sigreturn", "process_vm_readv", "bpf", "seccomp",
	"mseal", "fchmodat2",
};
#define N_NAMES ARRAY_LEN(names)
#define N_RULES 40

static const enum oci_seccomp_action all_actions[] = { OCI_ACT_KILL, OCI_ACT_KILL_PROCESS, OCI_ACT_KILL_THREAD, OCI_ACT_TRAP,
	OCI_ACT_ERRNO, OCI_ACT_TRACE, OCI_ACT_ALLOW, OCI_ACT_LOG, OCI_ACT_NOTIFY };

struct random_profile {
	struct oci_seccomp s;
	struct oci_syscall rules[N_RULES];
	struct oci_syscall_arg args[N_RULES][4];
	const char *rule_names[N_RULES][4];
	int archs[2];
	uint64_t seed, value_mask;
};

static void random_action(uint64_t *seed, enum oci_seccomp_action *action, struct opt_u32 *errno_ret)
{
	*action = all_actions[unit_below(seed, ARRAY_LEN(all_actions))];
	*errno_ret = (struct opt_u32){ 0 };
	if ((*action == OCI_ACT_ERRNO || *action == OCI_ACT_TRACE) && unit_below(seed, 2))
		*errno_ret = (struct opt_u32){ .set = true, .v = (uint32_t)unit_below(seed, 4096) };
}

static uint64_t random_value(uint64_t *seed)
{
	static const uint64_t special[] = { 0, 1, 2, 5, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001, INT64_MAX,
		(uint64_t)INT64_MAX + 1, UINT64_MAX };

	return unit_below(seed, 3) ? special[unit_below(seed, ARRAY_LEN(special))] : unit_random(seed);
}

static void random_condition(uint64_t *seed, uint64_t mask, struct oci_syscall_arg *c)
{
	*c = (struct oci_syscall_arg){ .index = { true, (uint32_t)unit_below(seed, 6) }, .value = { true, random_value(seed) & mask },
		.op = (enum oci_seccomp_op)(OCI_CMP_NE + unit_below(seed, 7)) };
	if (c->op == OCI_CMP_MASKED_EQ)
		c->value_two = (struct opt_u64){ true, random_value(seed) & c->value.v };
}

/* A rule gets names that no other rule with another action has, so that the profile has one meaning. */
static void random_rule(struct random_profile *p, size_t i, const char *const *shuffled, size_t *used)
{
	struct oci_syscall *r = &p->rules[i];

	r->names = (struct oci_strv){ .v = p->rule_names[i], .n = 1 + unit_below(&p->seed, 3), .set = true };
	for (size_t k = 0; k < r->names.n; k++)
		r->names.v[k] = shuffled[(*used)++ % N_NAMES];
	random_action(&p->seed, &r->action, &r->errno_ret);
	r->args = p->args[i];
	r->n_args = unit_below(&p->seed, 2) ? unit_below(&p->seed, 4) : 0;
	for (size_t k = 0; k < r->n_args; k++)
		random_condition(&p->seed, p->value_mask, &r->args[k]);
}

/* Another rule for the names of rule `of`: either of the two may match. One condition: libseccomp 2.5.4 mixes up alternatives that have
 * several conditions on arguments that they share. */
static void random_second_rule(struct random_profile *p, size_t i, size_t of)
{
	struct oci_syscall *r = &p->rules[i];

	*r = p->rules[of];
	r->args = p->args[i];
	r->n_args = 1;
	random_condition(&p->seed, p->value_mask, &r->args[0]);
	if (p->rules[of].n_args && unit_below(&p->seed, 2))
		r->args[0].index = p->rules[of].args[0].index;
}

static void random_profile(struct random_profile *p, uint64_t seed)
{
	const char *shuffled[N_NAMES];
	size_t used = 0;

	*p = (struct random_profile){ .seed = seed };
	memcpy(shuffled, names, sizeof(names));
	for (size_t i = N_NAMES - 1; i > 0; i--) {
		size_t k = unit_below(&p->seed, i + 1);
		const char *t = shuffled[i];

		shuffled[i] = shuffled[k];
		shuffled[k] = t;
	}
	p->s.syscalls = p->rules;
	do
		random_action(&p->seed, &p->s.default_action, &p->s.default_errno_ret);
	while (p->s.default_action == OCI_ACT_NOTIFY);
	p->s.architectures = (struct oci_enumv){ .v = p->archs, .n = unit_below(&p->seed, 3), .set = true };
	p->archs[0] = unit_below(&p->seed, 2) ? OCI_ARCH_X86 : OCI_ARCH_X32;
	p->archs[1] = p->archs[0] == OCI_ARCH_X86 ? OCI_ARCH_X32 : OCI_ARCH_X86;
	size_t n = 1 + unit_below(&p->seed, N_RULES);
	/* libseccomp compares 32 bits on an architecture of 32 bits: larger numbers have no defined meaning there. */
	p->value_mask = p->s.architectures.n ? UINT32_MAX : UINT64_MAX;
	for (size_t i = 0; i < n && used + 3 < N_NAMES; i = p->s.n_syscalls) {
		random_rule(p, p->s.n_syscalls++, shuffled, &used);
		while (p->s.n_syscalls < n && p->rules[i].n_args <= 1 && unit_below(&p->seed, 2))
			random_second_rule(p, p->s.n_syscalls++, i);
	}
}

/* A call near what the rules speak of: one of their names or any number, arguments at and around their values. */
static void random_call(struct random_profile *p, struct seccomp_data *d)
{
	static const uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
	const struct oci_syscall *r = &p->rules[unit_below(&p->seed, p->s.n_syscalls)];
	uint32_t token = tokens[unit_below(&p->seed, 3)];

	d->nr = seccomp_syscall_resolve_name_arch(token, r->names.v[unit_below(&p->seed, r->names.n)]);
	if (d->nr < 0 || !unit_below(&p->seed, 8))
		d->nr = (int)unit_below(&p->seed, 460) | (token == SCMP_ARCH_X32 ? (int)X32_BIT : 0);
	if (!unit_below(&p->seed, 50))
		d->nr = -1;
	d->arch = token == SCMP_ARCH_X86 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
	if (!unit_below(&p->seed, 50))
		d->arch = AUDIT_ARCH_AARCH64;
	for (size_t i = 0; i < 6; i++)
		d->args[i] = random_value(&p->seed);
	for (size_t k = 0; k < r->n_args; k++) {
		const struct oci_syscall_arg *c = &r->args[k];
		uint64_t v = c->op == OCI_CMP_MASKED_EQ ? c->value_two.v | (unit_random(&p->seed) & ~c->value.v) : c->value.v;

		if (unit_below(&p->seed, 4))
			d->args[c->index.v] = v + unit_below(&p->seed, 3) - 1;
	}
	if (token == SCMP_ARCH_X86) /* the kernel hands over 32 bits */
		for (size_t i = 0; i < 6; i++)
			d->args[i] &= UINT32_MAX;
}

static bool is_pass(uint32_t answer)
{
	return (answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW || answer == SECCOMP_RET_LOG;
}

START_TEST(test_differential)
{
	static struct random_profile p;
	size_t n_calls = 0, n_not_default = 0;
	unsigned ops_seen = 0, actions_seen = 0;

	for (uint64_t n = 1; n <= N_PROFILES; n++) {
		struct seccomp_filter f;

		random_profile(&p, n * 0x9e3779b97f4a7c15ULL);
		compile_ok(&p.s, &f);
		for (size_t i = 0; i < p.s.n_syscalls; i++) {
			actions_seen |= 1U << p.rules[i].action;
			for (size_t k = 0; k < p.rules[i].n_args; k++)
				ops_seen |= 1U << p.rules[i].args[k].op;
		}
		for (size_t i = 0; i < N_CALLS; i++, n_calls++) {
			struct seccomp_data d = { 0 };

			random_call(&p, &d);
			uint32_t want = profile_answer(&p.s, &d), got = bpf_run(&f, &d);
			n_not_default += want != action_value(p.s.default_action, p.s.default_errno_ret);
			if (got != want)
				ck_abort_msg("profile %u call %zu: nr %d arch %x args %llx %llx %llx: program %x, profile %x", (unsigned)n, i, d.nr,
					     d.arch, d.args[0], d.args[1], d.args[2], got, want);
			if (d.arch == AUDIT_ARCH_X86_64 && !is_pass(want))
				ck_assert_msg(!seccomp_allows(&f, d.nr), "profile %u: seccomp_allows(%d)", (unsigned)n, d.nr);
		}
		oci_arena_release(&arena);
	}
	ck_assert_uint_ge(n_calls, 100000);
	ck_assert_uint_ge(n_not_default, n_calls / 4);
	ck_assert_uint_eq(ops_seen, 0xfe);
	ck_assert_uint_eq(actions_seen, 0x3fe);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seccomp");
	TCase *t = tcase_create("differential");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_differential);
	suite_add_tcase(s, t);
	return unit_run(s);
}
