/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of src/seccomp share: a BPF machine, and the kernel's number for an action of the profile. */
#ifndef HULL_TESTS_SECCOMP_MACHINE_H
#define HULL_TESTS_SECCOMP_MACHINE_H

#include "seccomp/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include "unit.h"

static uint32_t alu(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_ADD:
		return a + b;
	case BPF_RSH:
		return a >> b;
	default:
		ck_abort_msg("no such operation: %#x", op);
	}
}

static bool compare(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JSET:
		return a & b;
	default:
		ck_abort_msg("no such comparison: %#x", op);
	}
}

static uint32_t bpf_run(const struct seccomp_filter *f, const struct seccomp_data *data)
{
	uint32_t a = 0, mem[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->insns[pc];

		if (i->code == (BPF_RET | BPF_K))
			return i->k;
		if (i->code == (BPF_LD | BPF_W | BPF_ABS)) {
			ck_assert_uint_le(i->k, sizeof(*data) - 4);
			memcpy(&a, (const char *)data + i->k, 4);
		} else if (i->code == BPF_ST) {
			mem[i->k] = a;
		} else if (i->code == (BPF_LD | BPF_MEM)) {
			a = mem[i->k];
		} else if (i->code == (BPF_JMP | BPF_JA)) {
			pc += i->k;
		} else if (BPF_CLASS(i->code) == BPF_JMP) {
			ck_assert_int_eq(BPF_SRC(i->code), BPF_K);
			pc += compare(BPF_OP(i->code), a, i->k) ? i->jt : i->jf;
		} else {
			ck_assert_int_eq(BPF_CLASS(i->code), BPF_ALU);
			a = alu(BPF_OP(i->code), a, i->k);
		}
	}
	ck_abort_msg("the program runs off its end");
}

static uint32_t action_value(enum oci_seccomp_action action, struct opt_u32 errno_ret)
{
	uint32_t data = errno_ret.set ? errno_ret.v : EPERM;

	switch (action) {
	case OCI_ACT_KILL_PROCESS:
		return SECCOMP_RET_KILL_PROCESS;
	case OCI_ACT_TRAP:
		return SECCOMP_RET_TRAP;
	case OCI_ACT_ERRNO:
		return SECCOMP_RET_ERRNO | data;
	case OCI_ACT_TRACE:
		return SECCOMP_RET_TRACE | data;
	case OCI_ACT_ALLOW:
		return SECCOMP_RET_ALLOW;
	case OCI_ACT_LOG:
		return SECCOMP_RET_LOG;
	case OCI_ACT_NOTIFY:
		return SECCOMP_RET_USER_NOTIF;
	default:
		return SECCOMP_RET_KILL_THREAD;
	}
}

static struct oci_arena arena;

static void compile_ok(const struct oci_seccomp *s, struct seccomp_filter *f)
{
	struct err e = { 0 };
	char text[ERR_RENDER_MAX];

	if (seccomp_compile(s, &arena, f, &e) < 0)
		ck_abort_msg("%s", err_render(&e, text, sizeof(text)));
}

#endif
