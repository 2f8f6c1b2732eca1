/* SPDX-License-Identifier: Apache-2.0 */
/* A profile of the configuration → libseccomp's filter → one BPF program in the arena.
 *
 * libseccomp decides what the program looks like; we decide what it is asked. It is asked what runc and crun ask it, so that a profile
 * means the same under all three: the native architecture always belongs to the filter, an architecture outside it is killed, names
 * that neither libseccomp nor newer.c knows are left out. */
#include "seccomp/internal.h"

#include <ctype.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/seccomp.h>

#include "base/fd.h"
#include "base/log.h"
#include "ocispec/ocispec.h"

/* More rules than this and libseccomp arranges them as a binary tree: three times faster to load and to run with Docker's profile. */
#define TREE_FROM_RULES 32
/* SECCOMP_RET_DATA has 16 bits, but the kernel cuts an errno at MAX_ERRNO: 0x10000 would turn into 0, which is success. */
#define ERRNO_RET_MAX 4095

struct profile {
	const struct oci_seccomp *spec;
	scmp_filter_ctx ctx;
	uint32_t default_action;
	size_t n_rules;
	struct arch_list archs;
	struct newer newer;
	bool notify;
	bool warned; /* something that the user must see each time */
};

static void release_scoped(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* The actions, and how the kernel ranks them when several filters disagree (seccomp(2)): the higher rank is the stricter action. */
static const struct {
	uint32_t scmp;
	uint8_t rank;
	bool takes_errno;
} actions[] = {
	[OCI_ACT_ALLOW] = { SCMP_ACT_ALLOW, 1, false },
	[OCI_ACT_LOG] = { SCMP_ACT_LOG, 2, false },
	[OCI_ACT_TRACE] = { SCMP_ACT_TRACE(0), 3, true },
	[OCI_ACT_NOTIFY] = { SCMP_ACT_NOTIFY, 4, false },
	[OCI_ACT_ERRNO] = { SCMP_ACT_ERRNO(0), 5, true },
	[OCI_ACT_TRAP] = { SCMP_ACT_TRAP, 6, false },
	[OCI_ACT_KILL] = { SCMP_ACT_KILL_THREAD, 7, false },
	[OCI_ACT_KILL_THREAD] = { SCMP_ACT_KILL_THREAD, 7, false },
	[OCI_ACT_KILL_PROCESS] = { SCMP_ACT_KILL_PROCESS, 8, false },
};

static const enum scmp_compare operators[] = {
	[OCI_CMP_NE] = SCMP_CMP_NE, [OCI_CMP_LT] = SCMP_CMP_LT, [OCI_CMP_LE] = SCMP_CMP_LE, [OCI_CMP_EQ] = SCMP_CMP_EQ,
	[OCI_CMP_GE] = SCMP_CMP_GE, [OCI_CMP_GT] = SCMP_CMP_GT, [OCI_CMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static const struct {
	int word;
	uint32_t flag;
	bool listener_only; /* the kernel refuses it without a listener */
} flags[] = {
	{ OCI_SCFLAG_TSYNC, SECCOMP_FILTER_FLAG_TSYNC, false },
	{ OCI_SCFLAG_LOG, SECCOMP_FILTER_FLAG_LOG, false },
	{ OCI_SCFLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW, false },
	{ OCI_SCFLAG_WAIT_KILLABLE_RECV, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, true },
};

/* The action as libseccomp's number. EPERM where the profile gives no errno (config-linux.md, errnoRet). */
static int action_number(enum oci_seccomp_action action, struct opt_u32 errno_ret, const char *path, uint32_t *ret, struct err *e)
{
	uint32_t data = errno_ret.set ? errno_ret.v : EPERM;

	if ((size_t)action >= ARRAY_LEN(actions) || actions[action].rank == 0)
		return err_config(e, path, "no such seccomp action");
	if (errno_ret.set && errno_ret.v > ERRNO_RET_MAX)
		return err_config(e, path, "%u: an errno is at most %d", errno_ret.v, ERRNO_RET_MAX);
	*ret = actions[action].scmp | (actions[action].takes_errno ? data : 0);
	return 0;
}

/* "SCMP_ARCH_X86_64" → "x86_64" → the token: whatever the linked libseccomp knows, newer ones included. */
static uint32_t arch_token(const char *word)
{
	static const char prefix[] = "SCMP_ARCH_";
	char name[32];
	size_t n = 0;

	if (!str_starts(word, prefix))
		return 0;
	for (word += sizeof(prefix) - 1; word[n]; n++) {
		if (n == sizeof(name) - 1)
			return 0;
		name[n] = (char)tolower((unsigned char)word[n]);
	}
	name[n] = '\0';
	return seccomp_arch_resolve_name(name);
}

/* The rules are copied to the architectures that are there when they are added: architectures come first. */
static int add_architectures(struct profile *p, struct err *e)
{
	const struct oci_enumv *archs = &p->spec->architectures;

	p->archs.v[p->archs.n++] = seccomp_arch_native();
	for (size_t i = 0; i < archs->n; i++) {
		const char *word = oci_seccomp_arch_word((enum oci_seccomp_arch)archs->v[i]);
		uint32_t token = word ? arch_token(word) : 0;
		char path[64];

		snprintf(path, sizeof(path), "linux.seccomp.architectures[%zu]", i);
		if (token == 0)
			return err_config(e, path, "\"%s\" — libseccomp %s doesn't know this architecture", word ? word : "?",
					  seccomp_library_version());
		int r = seccomp_arch_add(p->ctx, token);
		if (r == -EDOM)
			return err_config(e, path, "\"%s\" — its byte order is not this machine's", word);
		if (r < 0 && r != -EEXIST)
			return err_config(e, path, "\"%s\" — libseccomp can't add it: %s", word, err_text(-r));
		/* A second time, or the native one. */
		if (r == -EEXIST)
			continue;
		if (p->archs.n == SECCOMP_ARCHS_MAX)
			return err_config(e, path, "more than %d architectures", SECCOMP_ARCHS_MAX);
		p->archs.v[p->archs.n++] = token;
	}
	return 0;
}

/* A name that libseccomp doesn't know can't be filtered. Leaving it out makes a list of allowed calls stricter, which is what engines'
 * long lists rely on; leaving out a prohibition weakens the profile, and that must be seen. */
static void report_unknown(struct profile *p, const struct oci_syscall *s, const char *name, const char *path)
{
	bool stricter = actions[s->action].rank > actions[p->spec->default_action].rank;
	char safe[128];

	p->warned |= stricter;
	log_line(stricter ? LOG_LVL_WARNING : LOG_LVL_DEBUG, "%s: libseccomp %s doesn't know the system call \"%s\": %s is not applied to it",
		 path, seccomp_library_version(), err_escape(name, safe, sizeof(safe)), oci_seccomp_action_word(s->action));
}

/* One name of one entry, on its way into the filter. */
struct rule {
	const char *name;
	int nr;
	uint32_t action;
	const char *path;
};

/* Add one rule. With several conditions all of them must hold. */
static int add_rule(struct profile *p, const struct rule *rule, const struct scmp_arg_cmp *cmp, unsigned n, struct err *e)
{
	char safe[128];

	err_escape(rule->name, safe, sizeof(safe));
	if (++p->n_rules > BPF_MAXINSNS)
		return err_config(e, rule->path, "\"%s\" — more than %d rules don't fit in a program", safe, BPF_MAXINSNS);
	int r = seccomp_rule_add_array(p->ctx, rule->action, rule->nr, n, cmp);
	if (r >= 0)
		return 0;
	if (r == -EEXIST)
		return err_config(e, rule->path, "\"%s\" — another rule has the same conditions and a different action", safe);
	return err_config(e, rule->path, "\"%s\" — libseccomp can't add the rule: %s", safe, err_text(-r));
}

static bool is_below(enum scmp_compare op)
{
	return op == SCMP_CMP_LT || op == SCMP_CMP_LE;
}

/* libseccomp (2.5.4 as tried) makes a wrong program when several rules order the same argument of the same call, one of them with < or <=,
 * by numbers whose upper halves differ: the first rule that doesn't hold skips the others, and the default action is taken. */
static bool is_miscompiled(const struct profile *p, const char *name, const struct scmp_arg_cmp *c)
{
	const struct oci_seccomp *s = p->spec;

	if (!is_below(c->op))
		return false;
	for (size_t i = 0; i < s->n_syscalls; i++) {
		const struct oci_syscall *other = &s->syscalls[i];
		bool named = false, differs = false;

		for (size_t k = 0; k < other->n_args; k++) {
			const struct oci_syscall_arg *a = &other->args[k];
			bool ordered = a->op != OCI_CMP_EQ && a->op != OCI_CMP_NE && a->op != OCI_CMP_MASKED_EQ;

			differs |= ordered && a->index.v == c->arg && a->value.v >> 32 != c->datum_a >> 32;
		}
		for (size_t k = 0; differs && k < other->names.n && !named; k++)
			named = streq(other->names.v[k], name);
		if (named)
			return true;
	}
	return false;
}

/* Add the rule; a condition that libseccomp would get wrong becomes several rules that it gets right. x < v holds exactly when, for one of
 * the bits set in v, x has that bit clear and agrees with v above it: one masked comparison for each. x <= v has x == v beside them. */
static int add_rules(struct profile *p, const struct rule *rule, struct scmp_arg_cmp *cmp, unsigned n, struct err *e)
{
	unsigned k = 0;
	int r = 0;

	while (k < n && !is_miscompiled(p, rule->name, &cmp[k]))
		k++;
	if (k == n)
		return add_rule(p, rule, cmp, n, e);
	struct scmp_arg_cmp c = cmp[k];
	for (unsigned bit = 0; bit < 64 && r >= 0; bit++) {
		uint64_t mask = UINT64_MAX << bit, one = (uint64_t)1 << bit;

		if (!(c.datum_a & one))
			continue;
		cmp[k] = (struct scmp_arg_cmp){ .arg = c.arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = c.datum_a & mask & ~one };
		r = add_rules(p, rule, cmp, n, e);
	}
	if (r >= 0 && c.op == SCMP_CMP_LE) {
		cmp[k] = (struct scmp_arg_cmp){ .arg = c.arg, .op = SCMP_CMP_EQ, .datum_a = c.datum_a };
		r = add_rules(p, rule, cmp, n, e);
	}
	cmp[k] = c;
	return r;
}

/* Translate the conditions of a rule. Returns whether two of them concern the same argument. */
static bool translate_args(const struct oci_syscall *s, struct scmp_arg_cmp *cmp)
{
	unsigned seen = 0;
	bool twice = false;

	for (size_t i = 0; i < s->n_args; i++) {
		const struct oci_syscall_arg *a = &s->args[i];

		/* For MASKED_EQ libseccomp wants the mask first and drops the bits of the value that are outside it; the other
		 * operators ignore the second number. */
		cmp[i] = (struct scmp_arg_cmp){ .arg = a->index.v, .op = operators[a->op], .datum_a = a->value.v,
						.datum_b = a->value_two.v };
		twice |= (seen >> a->index.v & 1) != 0;
		seen |= 1U << a->index.v;
	}
	return twice;
}

/* A call that libseccomp doesn't know. Conditions on its arguments can't be said without libseccomp. */
static int add_unknown(struct profile *p, const struct oci_syscall *s, const struct rule *rule, struct err *e)
{
	int nr = s->n_args ? -1 : newer_number(rule->name);

	if (nr < 0) {
		report_unknown(p, s, rule->name, rule->path);
		return 0;
	}
	if (newer_add(&p->newer, (uint32_t)nr, rule->action) < 0)
		return err_config(e, rule->path, "\"%s\" — another rule has the same conditions and a different action", rule->name);
	return 0;
}

/* More conditions than arguments are possible only with a repeated argument; the bound keeps them on the stack. */
#define ARGS_MAX 64

static int check_args(const struct oci_syscall *s, const char *path, struct err *e)
{
	if (s->n_args > ARGS_MAX)
		return err_config(e, path, "args: %zu conditions; at most %d are supported", s->n_args, ARGS_MAX);
	for (size_t i = 0; i < s->n_args; i++)
		if (s->args[i].index.v > 5 || s->args[i].op == OCI_CMP_NONE || (size_t)s->args[i].op >= ARRAY_LEN(operators))
			return err_config(e, path, "args[%zu]: index is 0 to 5 and op is one of the SCMP_CMP_ words", i);
	return 0;
}

static int add_syscall(struct profile *p, size_t index, struct err *e)
{
	const struct oci_syscall *s = &p->spec->syscalls[index];
	struct scmp_arg_cmp cmp[ARGS_MAX];
	char path[96];
	uint32_t action;

	snprintf(path, sizeof(path), "linux.seccomp.syscalls[%zu]", index);
	int r = action_number(s->action, s->errno_ret, path, &action, e);
	if (r < 0 || (r = check_args(s, path, e)) < 0)
		return r;
	/* libseccomp refuses a rule that says what the default says anyway. */
	if (action == p->default_action)
		return 0;
	/* libseccomp takes one condition per argument and rule. Profiles with two mean "either": runc and crun make one rule of each. */
	bool separate = translate_args(s, cmp);

	for (size_t i = 0; i < s->names.n && r >= 0; i++) {
		struct rule rule = { .name = s->names.v[i], .nr = seccomp_syscall_resolve_name(s->names.v[i]), .action = action, .path = path };

		snprintf(path, sizeof(path), "linux.seccomp.syscalls[%zu].names[%zu]", index, i);
		if (rule.nr == __NR_SCMP_ERROR)
			r = add_unknown(p, s, &rule, e);
		else if (!separate)
			r = add_rules(p, &rule, cmp, (unsigned)s->n_args, e);
		for (size_t k = 0; separate && rule.nr != __NR_SCMP_ERROR && r >= 0 && k < s->n_args; k++)
			r = add_rules(p, &rule, &cmp[k], 1, e);
	}
	return r < 0 ? r : 0;
}

/* libseccomp writes the program to a file descriptor (2.5 has no other way): a memfd, read back into the arena. */
static int export_program(const struct profile *p, struct oci_arena *a, struct seccomp_filter *ret, struct err *e)
{
	scoped_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "seccomp: memfd_create");
	int r = seccomp_export_bpf(p->ctx, fd);
	if (r < 0)
		return err_config(e, "linux.seccomp", "libseccomp can't make a program of the profile: %s", err_text(-r));
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "seccomp: fstat of the program");
	size_t size = (size_t)st.st_size, n = size / sizeof(struct sock_filter);
	if (n == 0 || n > BPF_MAXINSNS)
		return err_config(e, "linux.seccomp", "the profile makes a program of %zu instructions; the kernel takes 1 to %d", n, BPF_MAXINSNS);
	struct sock_filter *insns = oci_arena_alloc(a, size);
	if (!insns)
		return err_set(e, ERR_SYS, ENOMEM, "seccomp: %zu bytes for the program", size);
	ssize_t got = pread(fd, insns, size, 0);
	if (got != st.st_size)
		return err_sys(e, got < 0 ? -errno : -EIO, "seccomp: read the program");
	ret->insns = insns;
	ret->n = n;
	return 0;
}

/* The flags for seccomp(2). None in the document means SPEC_ALLOW, as in runc and crun: without it kernels before 5.16 switch on
 * mitigations that slow the container down. An empty list means none. */
static uint32_t filter_flags(const struct oci_seccomp *s, bool notify)
{
	uint32_t r = s->flags.set ? 0 : (uint32_t)SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	for (size_t i = 0; i < s->flags.n; i++)
		for (size_t k = 0; k < ARRAY_LEN(flags); k++)
			if (flags[k].word == s->flags.v[i] && (notify || !flags[k].listener_only))
				r |= flags[k].flag;
	if (notify)
		r |= (uint32_t)SECCOMP_FILTER_FLAG_NEW_LISTENER;
	/* There is one thread to filter, and the one that hands the listener over must stay outside. */
	if (notify)
		r &= ~(uint32_t)SECCOMP_FILTER_FLAG_TSYNC;
	return r;
}

bool seccomp_notifies(const struct oci_seccomp *s)
{
	for (size_t i = 0; i < s->n_syscalls; i++)
		if (s->syscalls[i].action == OCI_ACT_NOTIFY)
			return true;
	return s->default_action == OCI_ACT_NOTIFY;
}

int seccomp_compile(const struct oci_seccomp *s, struct oci_arena *a, struct seccomp_filter *ret, struct err *e)
{
	struct profile p = { .spec = s, .notify = seccomp_notifies(s) };
	scmp_filter_ctx ctx __attribute__((cleanup(release_scoped))) = NULL;

	int r = action_number(s->default_action, s->default_errno_ret, "linux.seccomp.defaultAction", &p.default_action, e);
	if (r < 0)
		return r;
	p.ctx = ctx = seccomp_init(p.default_action);
	if (!ctx)
		return err_config(e, "linux.seccomp.defaultAction", "libseccomp %s or this kernel can't use %s",
				  seccomp_library_version(), oci_seccomp_action_word(s->default_action));
	if ((r = add_architectures(&p, e)) < 0)
		return r;
	for (size_t i = 0; i < s->n_syscalls; i++)
		if ((r = add_syscall(&p, i, e)) < 0)
			return r;
	if (p.n_rules > TREE_FROM_RULES && (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
		return err_sys(e, r, "seccomp: ask libseccomp for a binary tree");
	*ret = (struct seccomp_filter){ .flags = filter_flags(s, p.notify), .notify = p.notify, .warned = p.warned };
	r = export_program(&p, a, ret, e);
	return r < 0 ? r : newer_prepend(s, &p.archs, &p.newer, a, ret, e);
}

/* seccomp(2) looks at the flags before it reads the program: EFAULT means that they are good, EINVAL that they aren't. */
static bool kernel_takes(uint32_t bits)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, bits, NULL) < 0 && errno == EFAULT;
}

unsigned seccomp_flag_state(enum oci_seccomp_flag flag)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		uint32_t with = flags[i].listener_only ? (uint32_t)SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
		if (flags[i].word != (int)flag)
			continue;
		return SECCOMP_FLAG_KNOWN | (flags[i].listener_only ? SECCOMP_FLAG_OF_LISTENER : 0u) |
		       (kernel_takes(flags[i].flag | with) ? SECCOMP_FLAG_IN_KERNEL : 0u);
	}
	return 0;
}

const char *seccomp_library_version(void)
{
	static char text[32];
	const struct scmp_version *v = seccomp_version();

	if (!text[0] && v)
		snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	return text;
}
