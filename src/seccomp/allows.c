/* SPDX-License-Identifier: Apache-2.0 */
/* Does a BPF program let a system call pass whatever its arguments? The program is run with what is known (number, architecture) and
 * without what isn't (arguments, instruction pointer): a branch on the unknown is followed both ways. */
#include "seccomp/seccomp.h"

#include <seccomp.h>
#include <linux/seccomp.h>

#include "base/util.h"

/* What is known before an instruction runs. */
struct point {
	bool reached, known; /* `known`: the accumulator is `a` in every way that leads here */
	uint32_t a;
};

/* Jumps go forward only, so everything that leads to an instruction has been seen before it: one pass is enough. */
static void flow_to(struct point *at, struct point from)
{
	if (!at->reached)
		*at = from;
	else if (!from.known || !at->known || at->a != from.a)
		at->known = false;
}

static struct point after_load(struct point p, const struct sock_filter *i, uint32_t nr, uint32_t arch)
{
	p.known = true;
	if (i->code == (BPF_LD | BPF_IMM))
		p.a = i->k;
	else if (i->code == (BPF_LD | BPF_W | BPF_ABS) && i->k == offsetof(struct seccomp_data, nr))
		p.a = nr;
	else if (i->code == (BPF_LD | BPF_W | BPF_ABS) && i->k == offsetof(struct seccomp_data, arch))
		p.a = arch;
	else
		p.known = false;
	return p;
}

static bool jump_taken(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	default:
		return a & i->k; /* BPF_JSET */
	}
}

static void follow_jump(struct point *points, size_t pc, const struct sock_filter *i)
{
	struct point p = points[pc];
	/* A comparison with X: X is not followed. */
	bool unknown = !p.known || BPF_SRC(i->code) == BPF_X;

	if (BPF_OP(i->code) == BPF_JA) {
		flow_to(&points[pc + 1 + i->k], p);
		return;
	}
	if (unknown || jump_taken(i, p.a))
		flow_to(&points[pc + 1 + i->jt], p);
	if (unknown || !jump_taken(i, p.a))
		flow_to(&points[pc + 1 + i->jf], p);
}

static bool passes(const struct sock_filter *i)
{
	uint32_t action = i->k & SECCOMP_RET_ACTION_FULL;

	return BPF_RVAL(i->code) == BPF_K && (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG);
}

/* The targets of instruction `pc` lie inside the program. The kernel would refuse any other program, but it hasn't seen it yet. */
static bool targets_inside(const struct seccomp_filter *f, size_t pc)
{
	const struct sock_filter *i = &f->insns[pc];
	size_t left = f->n - pc - 1; /* instructions behind this one */

	if (BPF_CLASS(i->code) == BPF_RET)
		return true;
	if (BPF_CLASS(i->code) != BPF_JMP)
		return left > 0;
	return BPF_OP(i->code) == BPF_JA ? i->k < left : i->jt < left && i->jf < left;
}

bool seccomp_allows(const struct seccomp_filter *f, int nr)
{
	struct point points[BPF_MAXINSNS] = { [0] = { .reached = true } };
	uint32_t arch = seccomp_arch_native();

	if (f->n == 0 || f->n > BPF_MAXINSNS)
		return false;
	for (size_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->insns[pc];
		struct point p = points[pc];

		if (!p.reached)
			continue;
		if (!targets_inside(f, pc))
			return false;
		switch (BPF_CLASS(i->code)) {
		case BPF_RET:
			if (!passes(i))
				return false;
			break;
		case BPF_JMP:
			follow_jump(points, pc, i);
			break;
		case BPF_LD:
			flow_to(&points[pc + 1], after_load(p, i, (uint32_t)nr, arch));
			break;
		case BPF_ALU:
		case BPF_MISC:
			/* Arithmetic, or A := X. (X := A is in this class too; forgetting A costs nothing there.) */
			p.known = false;
			flow_to(&points[pc + 1], p);
			break;
		default: /* BPF_ST, BPF_STX, BPF_LDX: the accumulator stays */
			flow_to(&points[pc + 1], p);
		}
	}
	return true;
}
