/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules as a program for cgroup v2 (BPF_PROG_TYPE_CGROUP_DEVICE): generated here, loaded and attached to the
 * container's directory.
 *
 * The kernel calls it with { access << 16 | type, major, minor } and lets the access through for 1. Rules are tried
 * from the last to the first; LEFT holds the letters that no rule has decided yet. Each rule is one comparison: of
 * type, major and minor in one word. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cgroup/internal.h"

#define ORIGIN "linux.resources.devices"
#define PROG_NAME "hull_devices"
#define MAX_ATTACHED 64 /* the kernel's own limit per directory */
#define ACC_ALL 7
/* Per rule at most: comparison 3, verdict 4, the device once more. */
#define INSNS_LOAD 13
#define INSNS_PER_RULE (7 + INSNS_LOAD)
#define INSNS_FIXED (4 + INSNS_LOAD)

/* The type stands above the major, that above the minor (12 and 20 bits). */
enum {
	R_RESULT = BPF_REG_0, /* also the constant of a comparison */
	R_CTX = BPF_REG_1,
	R_TYPE = BPF_REG_2,
	R_LEFT = BPF_REG_3,
	R_MAJOR = BPF_REG_4,
	R_MINOR = BPF_REG_5,
	R_DEVICE = BPF_REG_7, /* type, major, minor */
	R_TYPE_MAJOR = BPF_REG_8, /* type, major */
	R_TYPE_MINOR = BPF_REG_9, /* type, minor */
};

struct prog {
	struct bpf_insn *v;
	size_t n;
};

static void emit(struct prog *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	p->v[p->n++] =
		(struct bpf_insn){ .code = code, .dst_reg = dst & 0xfu, .src_reg = src & 0xfu, .off = off, .imm = imm };
}

static void emit_return(struct prog *p, int32_t verdict)
{
	emit(p, BPF_ALU | BPF_MOV | BPF_K, R_RESULT, 0, 0, verdict);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_load_device(struct prog *p)
{
	const uint8_t load = BPF_LDX | BPF_MEM | BPF_W;

	emit(p, load, R_TYPE, R_CTX, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	emit(p, load, R_MAJOR, R_CTX, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, load, R_MINOR, R_CTX, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, R_DEVICE, R_TYPE, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, R_DEVICE, 0, 0, 12);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, R_DEVICE, R_MAJOR, 0, 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, R_TYPE_MAJOR, R_DEVICE, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, R_DEVICE, 0, 0, 20);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, R_DEVICE, R_MINOR, 0, 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, R_TYPE_MINOR, R_TYPE, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, R_TYPE_MINOR, 0, 0, 20);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, R_TYPE_MINOR, R_MINOR, 0, 0);
}

/* Jump over the rule, whose length isn't known yet, when the device isn't the rule's. Returns the place of the jump, or
 * 0 for none. */
static size_t emit_compare(struct prog *p, const struct cg_device_rule *rule)
{
	int64_t type = rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	const uint8_t unequal = BPF_JMP | BPF_JNE | BPF_K;

	if (rule->type == 'a')
		return 0;
	if (rule->major >= 0 && rule->minor >= 0) {
		/* Two slots for one 64-bit constant. */
		emit(p, BPF_LD | BPF_DW | BPF_IMM, R_RESULT, 0, 0,
		     (int32_t)(uint32_t)(rule->major << 20 | rule->minor));
		emit(p, 0, 0, 0, 0, (int32_t)type);
		emit(p, BPF_JMP | BPF_JNE | BPF_X, R_DEVICE, R_RESULT, 0, 0);
	} else if (rule->major >= 0) {
		emit(p, unequal, R_TYPE_MAJOR, 0, 0, (int32_t)(type << 12 | rule->major));
	} else if (rule->minor >= 0) {
		emit(p, unequal, R_TYPE_MINOR, 0, 0, (int32_t)(type << 20 | rule->minor));
	} else {
		emit(p, unequal, R_TYPE, 0, 0, (int32_t)type);
	}
	return p->n - 1;
}

/* What a rule for some of the letters does when it fits. It may leave others open: then the device is loaded again,
 * though it is the same. The verifier would otherwise know the number from here on and walk all later rules once for
 * each rule that fits (tried: a million instructions, its limit, for 2,000 rules). */
static void emit_some_letters(struct prog *p, const struct cg_device_rule *rule)
{
	if (rule->allow) {
		emit(p, BPF_ALU | BPF_AND | BPF_K, R_LEFT, 0, 0, ~(int32_t)rule->access);
		emit(p, BPF_JMP | BPF_JNE | BPF_K, R_LEFT, 0, 2, 0);
	} else {
		emit(p, BPF_JMP | BPF_JSET | BPF_K, R_LEFT, 0, 1, rule->access);
		emit(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
	}
	emit_return(p, rule->allow);
	emit_load_device(p);
}

/* Of type a only for all devices. */
static void emit_rule(struct prog *p, const struct cg_device_rule *rule)
{
	size_t jump = emit_compare(p, rule);

	if (rule->access == ACC_ALL)
		emit_return(p, rule->allow);
	else
		emit_some_letters(p, rule);
	if (jump)
		p->v[jump].off = (int16_t)(p->n - jump - 1);
}

/* The letters of the configuration are 1 r, 2 w, 4 m; the kernel's are 1 m, 2 r, 4 w. */
static uint8_t kernel_access(uint8_t access)
{
	return (uint8_t)((access & 1 ? BPF_DEVCG_ACC_READ : 0) | (access & 2 ? BPF_DEVCG_ACC_WRITE : 0) |
			 (access & 4 ? BPF_DEVCG_ACC_MKNOD : 0));
}

int cg_devices_program(const struct cg_devices *d, struct oci_arena *a, struct bpf_insn **ret, size_t *ret_n,
		       struct err *e)
{
	struct prog p = { .v = oci_arena_alloc(a,
					       (INSNS_FIXED + 2 * INSNS_PER_RULE * d->n) * sizeof(struct bpf_insn)) };
	bool open_end = true;

	if (!p.v)
		return err_sys(e, -ENOMEM, "plan " ORIGIN);
	emit(&p, BPF_LDX | BPF_MEM | BPF_W, R_LEFT, R_CTX, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(&p, BPF_ALU | BPF_RSH | BPF_K, R_LEFT, 0, 0, 16);
	emit_load_device(&p);
	for (size_t i = d->n; i-- > 0 && open_end;) {
		struct cg_device_rule rule = d->v[i];
		bool numbers = rule.major >= 0 || rule.minor >= 0;

		rule.access = kernel_access(rule.access);
		if (rule.type == 'a' && numbers) {
			rule.type = 'b';
			emit_rule(&p, &rule);
			rule.type = 'c';
		}
		emit_rule(&p, &rule);
		/* Nothing gets past a rule for all devices and letters; the verifier refuses what can't be reached. */
		open_end = rule.type != 'a' || rule.access != ACC_ALL;
	}
	if (open_end)
		emit_return(&p, 0);
	*ret = p.v;
	*ret_n = p.n;
	return 0;
}

/* Larger than any kernel's union bpf_attr and zeroed: some kernels write behind a shorter one (BPF_PROG_QUERY, 6.17
 * to 7.1). */
union attr {
	union bpf_attr a;
	char room[512];
};

static int sys_bpf(int cmd, union attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static uint64_t ptr_to_u64(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* The last words of the verifier: it says why in the line before its statistics. */
static void keep_verifier_log(struct err *e, char *log)
{
	char *stats = strstr(log, "\nprocessed ");

	if (stats)
		*stats = '\0';
	size_t n = strlen(log);
	while (n && log[n - 1] == '\n')
		log[--n] = '\0';
	const char *last = strrchr(log, '\n');
	snprintf(e->kernel, sizeof(e->kernel), "%.*s", (int)sizeof(e->kernel) - 1, last ? last + 1 : log);
}

static int load(const struct bpf_insn *insns, size_t n, struct err *e)
{
	char log[4096] = "";
	union attr attr;
	int fd, r;

	memset(&attr, 0, sizeof(attr));
	attr.a.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.a.insns = ptr_to_u64(insns);
	attr.a.insn_cnt = (uint32_t)n;
	attr.a.license = ptr_to_u64("Apache-2.0");
	memcpy(attr.a.prog_name, PROG_NAME, sizeof(PROG_NAME));
	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		return fd;
	r = fd;
	/* Once more for the reason. The log may be longer than the buffer (ENOSPC): its beginning is then what there
	 * is. */
	attr.a.log_level = 1;
	attr.a.log_buf = ptr_to_u64(log);
	attr.a.log_size = sizeof(log);
	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		return fd;
	log[sizeof(log) - 1] = '\0';
	err_sys(e, r, "load the device filter (%zu instructions)%s", n,
		r == -E2BIG ? ": more rules than the kernel takes" : "");
	keep_verifier_log(e, log);
	return err_at(e, r, ORIGIN);
}

/* Ids of the programs that are attached directly to the directory. Returns how many, or -errno. */
static int query(int dfd, uint32_t ids[MAX_ATTACHED])
{
	union attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.a.query.target_fd = (uint32_t)dfd;
	attr.a.query.attach_type = BPF_CGROUP_DEVICE;
	attr.a.query.prog_ids = ptr_to_u64(ids);
	attr.a.query.prog_cnt = MAX_ATTACHED;
	r = sys_bpf(BPF_PROG_QUERY, &attr);
	return r < 0 ? r : (int)attr.a.query.prog_cnt;
}

int cg_devices_attached(int dfd)
{
	uint32_t ids[MAX_ATTACHED];

	return query(dfd, ids);
}

/* fd of program `id` when it is one that this file loaded; -ENOENT when it is another's. */
static int open_ours(uint32_t id)
{
	struct bpf_prog_info info;
	union attr attr;
	int fd, r;

	memset(&attr, 0, sizeof(attr));
	attr.a.prog_id = id;
	fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return fd;
	memset(&attr, 0, sizeof(attr));
	memset(&info, 0, sizeof(info));
	attr.a.info.bpf_fd = (uint32_t)fd;
	attr.a.info.info = ptr_to_u64(&info);
	attr.a.info.info_len = sizeof(info);
	r = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (r == 0 && strncmp(info.name, PROG_NAME, sizeof(info.name)) == 0)
		return fd;
	close(fd);
	return r < 0 ? r : -ENOENT;
}

static int attach(int dfd, int prog_fd, int replace_fd)
{
	union attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.a.target_fd = (uint32_t)dfd;
	attr.a.attach_bpf_fd = (uint32_t)prog_fd;
	attr.a.attach_type = BPF_CGROUP_DEVICE;
	attr.a.attach_flags = BPF_F_ALLOW_MULTI;
	if (replace_fd >= 0) {
		attr.a.attach_flags |= BPF_F_REPLACE;
		attr.a.replace_bpf_fd = (uint32_t)replace_fd;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static int detach(int dfd, int prog_fd)
{
	union attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.a.target_fd = (uint32_t)dfd;
	attr.a.attach_bpf_fd = (uint32_t)prog_fd;
	attr.a.attach_type = BPF_CGROUP_DEVICE;
	return sys_bpf(BPF_PROG_DETACH, &attr);
}

/* The new program in the place of the first of ours, further ones of ours away: at no time is there none. `prog_fd` -1:
 * only take away. */
static int replace(int dfd, int prog_fd, struct err *e)
{
	uint32_t ids[MAX_ATTACHED];
	int n = query(dfd, ids);
	bool attached = prog_fd < 0;

	if (n < 0)
		return err_at(e, err_sys(e, n, "ask for the device filters of the cgroup"), ORIGIN);
	for (int i = 0; i < n; i++) {
		scoped_fd int old_fd = open_ours(ids[i]);
		int r;

		if (old_fd == -ENOENT)
			continue;
		r = old_fd < 0 ? old_fd : attached ? detach(dfd, old_fd)
						   : attach(dfd, prog_fd, old_fd);
		if (r < 0)
			return err_at(e, err_sys(e, r, "replace the device filter of the cgroup"), ORIGIN);
		attached = true;
	}
	int r = attached ? 0 : attach(dfd, prog_fd, -1);
	return r < 0 ? err_at(e, err_sys(e, r, "attach the device filter to the cgroup"), ORIGIN) : 0;
}

int cg_devices_attach(int dfd, const struct cg_devices *d, bool fresh, struct err *e)
{
	struct oci_arena arena = { 0 };
	struct bpf_insn *insns = NULL;
	size_t n = 0;
	int r = 0;

	if (cg_devices_allow_all(d))
		return fresh ? 0 : replace(dfd, -1, e);
	r = cg_devices_program(d, &arena, &insns, &n, e);
	scoped_fd int fd = r < 0 ? r : load(insns, n, e);
	oci_arena_release(&arena);
	if (fd < 0)
		return fd;
	if (!fresh)
		return replace(dfd, fd, e);
	r = attach(dfd, fd, -1);
	return r < 0 ? err_at(e, err_sys(e, r, "attach the device filter to the cgroup"), ORIGIN) : 0;
}
