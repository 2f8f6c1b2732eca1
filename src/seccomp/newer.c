/* SPDX-License-Identifier: Apache-2.0 */
/* What libseccomp can't say: calls that it doesn't know, and calls that nobody knew when the profile was written. */
#include "seccomp/internal.h"

#include <errno.h>
#include <seccomp.h>
#include <linux/seccomp.h>

#include "base/util.h"

/* From 424 on a call has one number for all architectures (arch/…/syscall.tbl); libseccomp 2.5.4 knows them up to 450 (Linux 5.17). */
static const struct { const char *name; uint16_t nr; } calls[] = {
	{ "cachestat", 451 },	      { "fchmodat2", 452 },	    { "map_shadow_stack", 453 }, { "futex_wake", 454 },	  { "futex_wait", 455 },
	{ "futex_requeue", 456 },     { "statmount", 457 },	    { "listmount", 458 },	 { "lsm_get_self_attr", 459 }, { "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },  { "mseal", 462 },		    { "setxattrat", 463 },	 { "getxattrat", 464 },	  { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },    { "file_getattr", 468 },	 { "file_setattr", 469 },
};

/* A call of x32 comes with the architecture of x86_64 and this bit. */
#define X32_BIT 0x40000000U

static const struct { uint32_t token, offset; } offsets[] = {
	{ SCMP_ARCH_MIPS, 4000 },   { SCMP_ARCH_MIPSEL, 4000 },	   { SCMP_ARCH_MIPS64, 5000 }, { SCMP_ARCH_MIPSEL64, 5000 },
	{ SCMP_ARCH_MIPS64N32, 6000 }, { SCMP_ARCH_MIPSEL64N32, 6000 }, { SCMP_ARCH_X32, X32_BIT },
};

int newer_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (streq(calls[i].name, name))
			return calls[i].nr;
	return -1;
}

int newer_add(struct newer *w, uint32_t nr, uint32_t action)
{
	_Static_assert(ARRAY_LEN(calls) <= NEWER_MAX, "each call is noted once");
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].nr == nr)
			return w->v[i].action == action ? 0 : -EEXIST;
	w->v[w->n].nr = nr;
	w->v[w->n++].action = action;
	return 0;
}

static uint32_t offset_of(uint32_t token)
{
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++)
		if (offsets[i].token == token)
			return offsets[i].offset;
	return 0;
}

/* The highest number among the calls that the profile names, whatever it says about them; 0: none. */
static uint32_t highest_named(const struct oci_seccomp *s, uint32_t token)
{
	uint32_t max = 0;

	for (size_t i = 0; i < s->n_syscalls; i++) {
		for (size_t k = 0; k < s->syscalls[i].names.n; k++) {
			const char *name = s->syscalls[i].names.v[k];
			int nr = seccomp_syscall_resolve_name_arch(token, name);

			if (nr == __NR_SCMP_ERROR && (nr = newer_number(name)) >= 0)
				nr += (int)offset_of(token);
			/* Other negative numbers: the architecture lacks the call. */
			if (nr > 0 && (uint32_t)nr > max)
				max = (uint32_t)nr;
		}
	}
	return max;
}

/* Where everything passes or is traced nobody waits for ENOSYS, and an agent answers as it likes. */
static bool refuses(const struct oci_seccomp *s)
{
	return s->default_action == OCI_ACT_ERRNO || s->default_action == OCI_ACT_TRAP || s->default_action == OCI_ACT_KILL ||
	       s->default_action == OCI_ACT_KILL_THREAD || s->default_action == OCI_ACT_KILL_PROCESS;
}

#define BLOCK_MAX (2 * NEWER_MAX + 6)

/* The part of one architecture, `v` has BLOCK_MAX places. Returns its length, 0 where there is nothing to say. */
static size_t make_block(const struct oci_seccomp *s, uint32_t token, const struct newer *w, struct sock_filter *v)
{
	bool x32 = token == SCMP_ARCH_X32;
	/* Of x32 the youngest calls have not the highest numbers. */
	uint32_t max = refuses(s) && !x32 ? highest_named(s, token) : 0, offset = offset_of(token);
	size_t n = 0;

	if (!max && !w->n)
		return 0;
	v[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	size_t arch = n++; /* its jump is known at the end */
	v[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < w->n; i++) {
		v[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, w->v[i].nr + offset, 0, 1);
		v[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, w->v[i].action);
	}
	if (max) {
		/* x32 and -1, which a tracer writes to skip a call, are libseccomp's affair. */
		v[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0);
		v[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, max, 0, 1);
		v[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	v[arch] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, x32 ? (uint32_t)SCMP_ARCH_X86_64 : token, 0, (uint8_t)(n - arch - 1));
	return n;
}

int newer_prepend(const struct oci_seccomp *s, const struct arch_list *archs, const struct newer *w, struct oci_arena *a, struct seccomp_filter *f, struct err *e)
{
	_Static_assert(BLOCK_MAX <= UINT8_MAX, "a jump over a block has eight bits");
	struct sock_filter *v = oci_arena_alloc(a, (archs->n * BLOCK_MAX + f->n) * sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_set(e, ERR_SYS, ENOMEM, "seccomp: memory for the program");
	for (size_t i = 0; i < archs->n; i++)
		n += make_block(s, archs->v[i], w, v + n);
	if (n + f->n > BPF_MAXINSNS)
		return err_config(e, "linux.seccomp", "the profile makes a program of %zu instructions; the kernel takes at most %d", n + f->n, BPF_MAXINSNS);
	memcpy(v + n, f->insns, f->n * sizeof(*v));
	f->insns = v;
	f->n += n;
	return 0;
}
