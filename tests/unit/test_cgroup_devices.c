/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules: what is dropped, what v1 gets, and the program for v2, run by a small machine and compared with the
 * rules themselves. */
#include <errno.h>
#include <stdio.h>

#include "cgroup/internal.h"
#include "ocispec/ocispec.h"
#include "unit.h"

static void print_rules(const struct cg_devices *d, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < d->n; i++) {
		const struct cg_device_rule *r = &d->v[i];

		n += (size_t)snprintf(buf + n, size - n, "%s%c%c %lld:%lld %u", n ? ", " : "", r->allow ? '+' : '-',
				      r->type, (long long)r->major, (long long)r->minor, r->access);
		ck_assert_uint_lt(n, size);
	}
}

static struct oci_resources *parse(struct oci_arena *a, const char *rules)
{
	char json[2048];
	struct oci_diag d = { 0 };

	snprintf(json, sizeof(json), "{\"devices\":[%s]}", rules);
	struct oci_resources *r = oci_parse(&oci_resources_desc, a, json, strlen(json), NULL, &d);
	ck_assert_msg(r != NULL, "%s: %s %s", json, d.path, d.msg);
	return r;
}

#define DENY_ALL "{\"allow\":false,\"access\":\"rwm\"}"
#define ALLOW_ALL "{\"allow\":true,\"type\":\"a\",\"access\":\"rwm\"}"
/* Access: 1 r, 2 w, 4 m. */
#define DEFAULTS \
	"+c -1:-1 4, +b -1:-1 4, +c 1:3 7, +c 1:5 7, +c 1:7 7, +c 1:8 7, +c 1:9 7, +c 5:0 7, +c 5:2 7, +c 136:-1 7, +c 10:200 7"

START_TEST(test_normalised)
{
	static const struct {
		const char *rules, *expect;
	} rows[] = {
		{ "", DEFAULTS },
		{ DENY_ALL, DEFAULTS },
		{ DENY_ALL "," DENY_ALL, DEFAULTS },
		{ ALLOW_ALL, "+a -1:-1 7" },
		{ DENY_ALL "," ALLOW_ALL, "+a -1:-1 7" },
		{ "{\"allow\":true}", "+a -1:-1 7" },
		{ ALLOW_ALL "," DENY_ALL, DEFAULTS },
		{ DENY_ALL ",{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}", DEFAULTS },
		{ "{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":0,\"access\":\"r\"}", "+b 8:0 1, " DEFAULTS },
		{ "{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":-1}", "+b 8:-1 7, " DEFAULTS },
		{ ALLOW_ALL ",{\"allow\":false,\"type\":\"b\",\"major\":8,\"access\":\"rw\"}",
		  "+a -1:-1 7, -b 8:-1 3" },
		/* The defaults win over what is denied before them, as with the peers. */
		{ ALLOW_ALL ",{\"allow\":false,\"type\":\"c\",\"major\":1,\"minor\":3}", "+a -1:-1 7" },
		{ ALLOW_ALL ",{\"allow\":false,\"type\":\"c\",\"major\":1,\"access\":\"wr\"}",
		  "+a -1:-1 7, -c 1:-1 3, +c 1:3 7, +c 1:5 7, +c 1:7 7, +c 1:8 7, +c 1:9 7" },
	};
	char text[1024];
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct oci_arena a = { 0 };
		struct cg_devices d;

		ck_assert_int_eq(cg_devices_plan(parse(&a, rows[i].rules), &a, &d, &e), 0);
		print_rules(&d, text, sizeof(text));
		ck_assert_str_eq(text, rows[i].expect);
		ck_assert_str_eq(d.origin, "linux.resources.devices");
		oci_arena_release(&a);
	}
	struct oci_arena a = { 0 };
	struct cg_devices d;
	ck_assert_int_eq(cg_devices_plan(NULL, &a, &d, &e), 0);
	print_rules(&d, text, sizeof(text));
	ck_assert_str_eq(text, DEFAULTS);
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_bad_rules)
{
	static const struct {
		struct oci_device_rule rule;
		const char *path, *words;
	} rows[] = {
		{ { .access = "rwx" }, "linux.resources.devices[1].access", "only the letters" },
		{ { .access = "" }, "linux.resources.devices[1].access", "must have one" },
		{ { .major = { true, 4096 } }, "linux.resources.devices[1].major", "4096 — must be -1 (all) to 4095" },
		{ { .major = { true, -2 } }, "linux.resources.devices[1].major", "-2" },
		{ { .minor = { true, 1048576 } }, "linux.resources.devices[1].minor", "1048575" },
	};
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct oci_device_rule rules[] = { { .allow = { true, false } }, rows[i].rule };
		struct oci_resources r = { .devices = rules, .n_devices = 2 };

		ck_assert_int_eq(cg_devices_plan(&r, &a, &d, &e), -EINVAL);
		ck_assert_str_eq(e.path, rows[i].path);
		ck_assert_ptr_nonnull(strstr(e.msg, rows[i].words));
	}
	oci_arena_release(&a);
}
END_TEST

/* ---- the program ---- */

/* Each ck_assert is a message to the parent process: where there are millions, only failures are. */
#define MUST(x)                                 \
	do {                                    \
		if (!(x))                       \
			ck_abort_msg("%s", #x); \
	} while (0)

/* Just what the generator may use: loads from the context, some arithmetic, forward jumps, exit. Anything else fails
 * the test. */
static uint64_t run(const struct bpf_insn *p, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = { 0 };

	for (size_t pc = 0;; pc++) {
		MUST(pc < n);
		const struct bpf_insn *i = &p[pc];
		uint64_t *dst = &r[i->dst_reg], src = r[i->src_reg], imm = (uint64_t)(int64_t)i->imm;
		size_t jump = (size_t)i->off;

		MUST(i->off >= 0);
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			MUST(i->src_reg == BPF_REG_1 && i->off <= 8);
			*dst = 0;
			memcpy(dst, (const char *)ctx + i->off, 4); /* little endian, as the hosts of this test */
			break;
		case BPF_LD | BPF_DW | BPF_IMM:
			MUST(pc + 1 < n && p[pc + 1].code == 0);
			*dst = (uint32_t)i->imm | (uint64_t)(uint32_t)p[++pc].imm << 32;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*dst = src;
			break;
		case BPF_ALU64 | BPF_OR | BPF_X:
			*dst |= src;
			break;
		case BPF_ALU64 | BPF_LSH | BPF_K:
			*dst <<= imm;
			break;
		case BPF_ALU | BPF_MOV | BPF_K:
			*dst = (uint32_t)imm;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*dst = (uint32_t)(*dst & imm);
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*dst = (uint32_t)*dst >> imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += *dst != imm ? jump : 0;
			break;
		case BPF_JMP | BPF_JNE | BPF_X:
			pc += *dst != src ? jump : 0;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += *dst & imm ? jump : 0;
			break;
		case BPF_JMP | BPF_JA:
			pc += jump;
			break;
		case BPF_JMP | BPF_EXIT:
			return r[0];
		default:
			ck_abort_msg("instruction %zu: code 0x%x", pc, i->code);
		}
	}
}

static bool program_says(const struct bpf_insn *p, size_t n, char type, uint32_t major, uint32_t minor, unsigned access)
{
	uint32_t letters = (access & 1 ? BPF_DEVCG_ACC_READ : 0u) | (access & 2 ? BPF_DEVCG_ACC_WRITE : 0u) |
			   (access & 4 ? BPF_DEVCG_ACC_MKNOD : 0u);
	struct bpf_cgroup_dev_ctx ctx = { letters << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
					  major, minor };
	uint64_t verdict = run(p, n, &ctx);

	MUST(verdict <= 1);
	return verdict;
}

/* Written apart from src/: for each letter, the last rule that fits. */
static bool rules_say(const struct oci_device_rule *v, size_t n, char type, uint32_t major, uint32_t minor,
		      unsigned access)
{
	static const struct {
		char type;
		int major, minor;
		const char *access;
	} added[] = {
		{ 'c', -1, -1, "m" },
		{ 'b', -1, -1, "m" },
		{ 'c', 1, 3, "rwm" },
		{ 'c', 1, 5, "rwm" },
		{ 'c', 1, 7, "rwm" },
		{ 'c', 1, 8, "rwm" },
		{ 'c', 1, 9, "rwm" },
		{ 'c', 5, 0, "rwm" },
		{ 'c', 5, 2, "rwm" },
		{ 'c', 136, -1, "rwm" },
		{ 'c', 10, 200, "rwm" },
	};

	for (unsigned bit = 0; bit < 3; bit++) {
		bool allowed = false;

		if (!(access & (1u << bit)))
			continue;
		for (size_t i = 0; i < n; i++) {
			bool fits = v[i].type == OCI_DEVRULE_NONE || v[i].type == OCI_DEVRULE_ALL ||
				    (v[i].type == OCI_DEVRULE_CHAR) == (type == 'c');
			fits &= !v[i].major.set || v[i].major.v == -1 || v[i].major.v == major;
			fits &= !v[i].minor.set || v[i].minor.v == -1 || v[i].minor.v == minor;
			if (fits && (!v[i].access || strchr(v[i].access, "rwm"[bit])))
				allowed = v[i].allow.v;
		}
		for (size_t i = 0; i < ARRAY_LEN(added); i++)
			allowed |= added[i].type == type &&
				   (added[i].major == -1 || (uint32_t)added[i].major == major) &&
				   (added[i].minor == -1 || (uint32_t)added[i].minor == minor) &&
				   strchr(added[i].access, "rwm"[bit]);
		if (!allowed)
			return false;
	}
	return true;
}

/* Few numbers, so that rules and devices meet; the largest too, where a careless shift would wrap. */
static const int64_t majors[] = { -1, 0, 1, 5, 8, 136, 4095 }, minors[] = { -1, 0, 1, 3, 200, 1048575 };

static struct oci_device_rule random_rule(uint64_t *rnd)
{
	static const char *const accesses[] = { NULL, "rwm", "rwm", "r", "w", "m", "rw", "mr", "wm" };
	struct oci_device_rule r = { .allow = { true, unit_below(rnd, 2) } };

	r.type = (enum oci_device_rule_type)unit_below(rnd, 4);
	r.major.set = unit_below(rnd, 4) != 0;
	r.major.v = majors[unit_below(rnd, ARRAY_LEN(majors))];
	r.minor.set = unit_below(rnd, 4) != 0;
	r.minor.v = minors[unit_below(rnd, ARRAY_LEN(minors))];
	r.access = accesses[unit_below(rnd, ARRAY_LEN(accesses))];
	return r;
}

struct query {
	char type;
	uint32_t major, minor;
	unsigned access;
};

static struct query random_query(uint64_t *rnd)
{
	struct query q = {
		.type = unit_below(rnd, 2) ? 'c' : 'b',
		.major = (uint32_t)majors[1 + unit_below(rnd, ARRAY_LEN(majors) - 1)],
		.minor = (uint32_t)minors[1 + unit_below(rnd, ARRAY_LEN(minors) - 1)],
		.access = 1 + (unsigned)unit_below(rnd, 7),
	};

	if (unit_below(rnd, 8) == 0)
		q.minor = (uint32_t)unit_below(rnd, 1 << 20);
	return q;
}

/* The kernel's own rule for v1: one exception decides alone, all letters of the request for allow lists, one for deny
 * lists. */
static bool v1_says(const struct cg_devices_v1 *l, const struct query *q)
{
	bool default_allow = !l->deny[0];
	char want = q->type;

	MUST(streq(l->value[0], "a"));
	for (size_t i = 1; i < l->n; i++) {
		char type, major[16], minor[16], letters[4];
		unsigned access = 0;

		MUST(sscanf(l->value[i], "%c %15[0-9*]:%15[0-9*] %3[rwm]", &type, major, minor, letters) == 4);
		MUST(l->deny[i] == default_allow);
		for (const char *p = letters; *p; p++)
			access |= 1u << (strchr("rwm", *p) - "rwm");
		if (type != want || (major[0] != '*' && strtoul(major, NULL, 10) != q->major) ||
		    (minor[0] != '*' && strtoul(minor, NULL, 10) != q->minor))
			continue;
		if (default_allow ? (access & q->access) != 0 : (q->access & ~access) == 0)
			return !default_allow;
	}
	return default_allow;
}

START_TEST(test_differential)
{
	uint64_t rnd = UINT64_C(0x9e3779b97f4a7c15) + (unsigned)_i;
	struct oci_device_rule rules[12];
	size_t allowed = 0, queries = 0, v1_lists = 0, v1_stricter = 0;

	for (unsigned list = 0; list < 1000; list++) {
		struct oci_arena a = { 0 };
		struct oci_resources r = { .devices = rules, .n_devices = unit_below(&rnd, ARRAY_LEN(rules) + 1) };
		struct cg_devices plain, planned;
		struct cg_devices_v1 v1;
		struct bpf_insn *p[2];
		size_t n[2];
		struct err e;

		for (size_t i = 0; i < r.n_devices; i++)
			rules[i] = random_rule(&rnd);
		MUST(cg_devices_expand(&r, &a, &plain, &e) == 0);
		MUST(cg_devices_plan(&r, &a, &planned, &e) == 0);
		MUST(cg_devices_program(&plain, &a, &p[0], &n[0], &e) == 0);
		MUST(cg_devices_program(&planned, &a, &p[1], &n[1], &e) == 0);
		bool has_v1 = cg_devices_to_v1(&planned, &a, &v1, &e) == 0;
		v1_lists += has_v1;
		for (unsigned k = 0; k < 25; k++) {
			struct query q = random_query(&rnd);
			bool want = rules_say(rules, r.n_devices, q.type, q.major, q.minor, q.access);

			MUST(program_says(p[0], n[0], q.type, q.major, q.minor, q.access) == want);
			MUST(program_says(p[1], n[1], q.type, q.major, q.minor, q.access) == want);
			MUST(cg_devices_eval(&plain, q.type, q.major, q.minor, q.access) == want);
			MUST(cg_devices_eval(&planned, q.type, q.major, q.minor, q.access) == want);
			MUST(want || !cg_devices_allow_all(&planned));
			/* v1 asks for one exception with all letters: letters from two that only overlap aren't added
			 * up. Never more. */
			if (has_v1 && v1_says(&v1, &q) != want) {
				MUST(want && (q.access & (q.access - 1)));
				v1_stricter++;
			}
			allowed += want;
			queries++;
		}
		oci_arena_release(&a);
	}
	/* Neither answer is rare, or the comparison would say nothing; v1 differs hardly ever. */
	ck_assert_uint_gt(allowed, queries / 10);
	ck_assert_uint_lt(allowed, queries * 9 / 10);
	ck_assert_uint_gt(v1_lists, 100);
	ck_assert_uint_lt(v1_stricter, queries / 100);
}
END_TEST

START_TEST(test_program_size)
{
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct bpf_insn *p;
	size_t n;
	struct err e;

	ck_assert_int_eq(cg_devices_plan(NULL, &a, &d, &e), 0);
	ck_assert_int_eq(cg_devices_program(&d, &a, &p, &n, &e), 0);
	/* Default rules: one comparison for each of the eight whole numbers. */
	size_t compares = 0;
	for (size_t i = 0; i < n; i++)
		compares += p[i].code == (BPF_JMP | BPF_JNE | BPF_X);
	ck_assert_uint_eq(compares, 8);
	ck_assert_uint_le(n, 100);
	ck_assert_int_eq(cg_devices_program(&(struct cg_devices){ 0 }, &a, &p, &n, &e), 0);
	ck_assert(!program_says(p, n, 'c', 1, 3, 1));
	oci_arena_release(&a);
}
END_TEST

/* ---- cgroup v1 ---- */

static void check_v1(const char *rules, const char *expect)
{
	struct oci_arena a = { 0 };
	struct cg_devices d;
	struct cg_devices_v1 v1;
	char text[1024] = "";
	size_t n = 0;
	struct err e = { 0 };

	ck_assert_int_eq(cg_devices_plan(parse(&a, rules), &a, &d, &e), 0);
	int r = cg_devices_to_v1(&d, &a, &v1, &e);
	if (expect[0] == '!') {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_str_eq(e.path, "linux.resources.devices");
		ck_assert_msg(strstr(e.msg, expect + 2) != NULL, "%s", e.msg);
	} else {
		ck_assert_msg(r == 0, "%s: %s", rules, e.msg);
		for (size_t i = 0; i < v1.n; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%c%s", n ? ", " : "",
					      v1.deny[i] ? '-' : '+', v1.value[i]);
		ck_assert_str_eq(text, expect);
	}
	oci_arena_release(&a);
}

START_TEST(test_v1)
{
#define V1_DEFAULTS                                                                                                              \
	"+c *:* m, +b *:* m, +c 1:3 rwm, +c 1:5 rwm, +c 1:7 rwm, +c 1:8 rwm, +c 1:9 rwm, +c 5:0 rwm, +c 5:2 rwm, +c 136:* rwm, " \
	"+c 10:200 rwm"
	check_v1(DENY_ALL, "-a, " V1_DEFAULTS);
	check_v1("", "-a, " V1_DEFAULTS);
	check_v1(ALLOW_ALL, "+a");
	/* Making nodes is among the defaults. */
	check_v1(ALLOW_ALL ",{\"allow\":false,\"type\":\"b\",\"major\":8}", "+a, -b 8:* rw");
	check_v1("{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":0,\"access\":\"r\"}",
		 "-a, +b 8:0 r, " V1_DEFAULTS);
	check_v1("{\"allow\":true,\"type\":\"a\",\"major\":9}", "-a, +c 9:* rwm, +b 9:* rwm, " V1_DEFAULTS);
	/* Allowed, taken back with all that covers it: nothing is left of it. */
	check_v1(
		"{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":0},{\"allow\":false,\"type\":\"b\",\"major\":8,\"access\":\"rw\"}",
		"-a, +b 8:0 m, " V1_DEFAULTS);
	/* A hole in a range: the kernel would take the write and do nothing. */
	check_v1("{\"allow\":true,\"type\":\"b\",\"major\":8},{\"allow\":false,\"type\":\"b\",\"major\":8,\"minor\":0}",
		 "! deny \"b 8:0 rwm\" can't be expressed");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup devices");
	TCase *t = tcase_create("pure");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_normalised);
	tcase_add_test(t, test_bad_rules);
	tcase_add_loop_test(t, test_differential, 0, 4);
	tcase_add_test(t, test_program_size);
	tcase_add_test(t, test_v1);
	suite_add_tcase(s, t);
	return unit_run(s);
}
