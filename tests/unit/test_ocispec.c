/* SPDX-License-Identifier: Apache-2.0 */
/* libocispec from inside: arena, numbers, UTF-8, text rules, typed members, the writer. Documents are tests/spec's. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static struct oci_arena arena;
static struct oci_diag diag;

static void set_up(void)
{
	memset(&arena, 0, sizeof(arena));
	memset(&diag, 0xff, sizeof(diag));
}

static void tear_down(void)
{
	oci_arena_release(&arena);
	ck_assert_ptr_null(arena.chunks);
	ck_assert_uint_eq(arena.total, 0);
}

static void *parse(const struct oci_desc *desc, const char *text)
{
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1); /* not terminated: a byte read behind it is an error for the sanitizer */
	void *obj;

	memcpy(exact, text, len);
	obj = oci_parse(desc, &arena, exact, len, NULL, &diag);
	free(exact);
	return obj;
}

/* libcheck's assertions are slow; a byte loop has one at its end. */
static size_t count_other(const unsigned char *p, size_t n, int byte)
{
	size_t other = 0;

	for (size_t i = 0; i < n; i++)
		other += p[i] != byte;
	return other;
}

START_TEST(arena_gives_zeroed_aligned_memory)
{
	size_t sizes[] = { 0, 1, 15, 16, 17, 1000, 8191, 8192, 8193, 40000, 2000000, 3 };

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			unsigned char *p = oci_arena_alloc(&arena, sizes[i]);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
			ck_assert_uint_eq(count_other(p, sizes[i], 0), 0);
			memset(p, 0xaa, sizes[i]);
		}
		if (round == 1)
			oci_arena_release(&arena);
	}
}
END_TEST

START_TEST(arena_blocks_do_not_overlap)
{
	unsigned char *blocks[500];

	for (size_t i = 0; i < 500; i++) {
		blocks[i] = oci_arena_alloc(&arena, 37 + i * 50);
		memset(blocks[i], (int)(i % 251), 37 + i * 50);
	}
	for (size_t i = 0; i < 500; i++)
		ck_assert_uint_eq(count_other(blocks[i], 37 + i * 50, (int)(i % 251)), 0);
}
END_TEST

START_TEST(arena_stops_at_its_limit)
{
	arena.limit = 100000;
	ck_assert_ptr_nonnull(oci_arena_alloc(&arena, 1000));
	ck_assert_ptr_null(oci_arena_alloc(&arena, 200000));
	ck_assert_ptr_null(oci_arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(oci_arena_alloc(&arena, SIZE_MAX - 40));
	ck_assert_ptr_null(oci_arena_strndup(&arena, "", SIZE_MAX));
	while (oci_arena_alloc(&arena, 5000))
		ck_assert_uint_le(arena.total, 100000);
	ck_assert_uint_le(arena.total, 100000);
}
END_TEST

START_TEST(arena_strings)
{
	ck_assert_str_eq(oci_arena_strdup(&arena, "abc"), "abc");
	ck_assert_str_eq(oci_arena_strndup(&arena, "abcdef", 3), "abc");
	ck_assert_str_eq(oci_arena_printf(&arena, "%s-%d", "x", 42), "x-42");
	ck_assert_uint_eq(strlen(oci_arena_printf(&arena, "%050000d", 1)), 50000);
}
END_TEST

START_TEST(numbers_are_exact)
{
	static const struct { const char *text; bool whole, neg, huge; uint64_t mag; } t[] = {
		{ "0", true, false, false, 0 },
		{ "-0", true, false, false, 0 },
		{ "7", true, false, false, 7 },
		{ "-1", true, true, false, 1 },
		{ "9007199254740993", true, false, false, UINT64_C(9007199254740993) },
		{ "18446744073709551615", true, false, false, UINT64_MAX },
		{ "18446744073709551616", true, false, true, 0 },
		{ "18446744073709551620", true, false, true, 0 },
		{ "99999999999999999999999999", true, false, true, 0 },
		{ "1.0", false, false, false, 0 },
		{ "1e3", false, false, false, 0 },
		{ "1E3", false, false, false, 0 },
		{ "-1.5", false, false, false, 0 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct oci_number n;

		ck_assert_msg(oci_number_read(t[i].text, strlen(t[i].text), &n) == t[i].whole, "%s", t[i].text);
		if (!t[i].whole)
			continue;
		ck_assert_msg(n.huge == t[i].huge, "%s", t[i].text);
		if (!n.huge)
			ck_assert_msg(n.neg == t[i].neg && n.mag == t[i].mag, "%s", t[i].text);
	}
}
END_TEST

START_TEST(numbers_within_a_range)
{
	static const struct { bool neg; uint64_t mag; int64_t lo; uint64_t hi; bool within; } t[] = {
		{ false, 5, 5, 5, true },
		{ false, 4, 5, 9, false },
		{ false, 10, 5, 9, false },
		{ true, 1, 0, 9, false },
		{ true, 1, -1, 9, true },
		{ true, 2, -1, 9, false },
		{ true, (uint64_t)1 << 63, INT64_MIN, 0, true },
		{ true, ((uint64_t)1 << 63) + 1, INT64_MIN, INT64_MAX, false },
		{ false, (uint64_t)1 << 63, INT64_MIN, INT64_MAX, false },
		{ false, INT64_MAX, INT64_MIN, INT64_MAX, true },
		{ false, UINT64_MAX, 0, UINT64_MAX, true },
		{ false, 3, -5, 9, true },
		{ true, 3, 2, 9, false },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct oci_number n = { .neg = t[i].neg, .mag = t[i].mag };

		ck_assert_msg(oci_number_within(&n, t[i].lo, t[i].hi) == t[i].within, "case %zu", i);
	}
	ck_assert(!oci_number_within(&(struct oci_number){ .huge = true }, INT64_MIN, UINT64_MAX));
}
END_TEST

START_TEST(utf8_is_strict)
{
	static const struct { const char *s; bool valid; } t[] = {
		{ "", true },
		{ "plain ascii of more than eight bytes", true },
		{ "\xc2\x80", true },
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false },
		{ "\xc0\x80", false },
		{ "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "\xe2\x82", false },
		{ "12345678\xc3", false },
		{ "1234567\xc3\xa9", true },
		{ "\xe2\x28\xa1", false },
		{ "\xf0\x9f\x98", false },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_msg(oci_utf8_valid(t[i].s, strlen(t[i].s)) == t[i].valid, "case %zu", i);
}
END_TEST

START_TEST(escapes_are_found)
{
	static const struct { const char *s; size_t at; } t[] = {
		/* at 99: none */
		{ "", 99 },
		{ "abc", 99 },
		{ "\\n\\\\u0000", 99 },
		{ "\\\\\\u0000", 2 },
		{ "\\u0000", 0 },
		{ "\\u0001", 99 },
		{ "\\ud83d\\ude00", 99 },
		{ "x\\ud83d", 1 },
		{ "\\ud83d\\u0041", 0 },
		{ "\\ud83d\\n", 0 },
		{ "\\ude00", 0 },
		{ "\\ud83d\\ude00\\ude00", 12 },
		{ "\\uD83D\\uDE00", 99 },
		{ "\\u00", 99 },
		{ "\\", 99 },
		{ "\\u", 99 },
		{ "\\ud83d\\u", 0 },
		{ "\\uzzzz\\u0000", 6 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t len = strlen(t[i].s);
		const char *why = NULL;
		size_t at = oci_escape_scan(t[i].s, len, &why);

		ck_assert_msg(at == (t[i].at == 99 ? len : t[i].at), "case %zu: %zu", i, at);
		ck_assert_msg((why != NULL) == (t[i].at != 99), "case %zu", i);
	}
}
END_TEST

static const struct { enum oci_text t; const char *s; bool ok; } text_cases[] = {
	{ OCI_TEXT_ANY, "", true },
	{ OCI_TEXT_NONEMPTY, "", false },
	{ OCI_TEXT_NONEMPTY, " ", true },
	{ OCI_TEXT_ABSOLUTE, "/", true },
	{ OCI_TEXT_ABSOLUTE, "", false },
	{ OCI_TEXT_ABSOLUTE, "./a", false },
	{ OCI_TEXT_ACCESS, "", true },
	{ OCI_TEXT_ACCESS, "mwr", true },
	{ OCI_TEXT_ACCESS, "rwx", false },
	{ OCI_TEXT_CPU_LIST, "0-3, 7", true },
	{ OCI_TEXT_CPU_LIST, "0-3:1", false },
	{ OCI_TEXT_ENV, "A=", true },
	{ OCI_TEXT_ENV, "A=B=C", true },
	{ OCI_TEXT_ENV, "A", false },
	{ OCI_TEXT_ENV, "=A", false },
	{ OCI_TEXT_ENV, "", false },
	{ OCI_TEXT_SEMVER, "1.3.0", true },
	{ OCI_TEXT_SEMVER, "1.0.0-rc5", true },
	{ OCI_TEXT_SEMVER, "1.0.2-dev", true },
	{ OCI_TEXT_SEMVER, "1.1.0+dev", true },
	{ OCI_TEXT_SEMVER, "1.10.20-a.1.b-c+0.01", true },
	{ OCI_TEXT_SEMVER, "1.0.0--", true },
	{ OCI_TEXT_SEMVER, "1.3", false },
	{ OCI_TEXT_SEMVER, "1.3.", false },
	{ OCI_TEXT_SEMVER, "1.3.0.0", false },
	{ OCI_TEXT_SEMVER, "1..0", false },
	{ OCI_TEXT_SEMVER, "1.01.0", false },
	{ OCI_TEXT_SEMVER, "1.0.0-01", false },
	{ OCI_TEXT_SEMVER, "1.0.0-a..b", false },
	{ OCI_TEXT_SEMVER, "1.0.0+", false },
	{ OCI_TEXT_SEMVER, "1.0.0+a+b", false },
	{ OCI_TEXT_SEMVER, "1.0+x.0", false },
	{ OCI_TEXT_SEMVER, "1.0.0-a_b", false },
	{ OCI_TEXT_SEMVER, "2.0.0", false },
	{ OCI_TEXT_SEMVER, "10.0.0", false },
	{ OCI_TEXT_SEMVER, "0.9.0", false },
	{ OCI_TEXT_SEMVER, "", false },
	{ OCI_TEXT_SEMVER, "1.0.0 ", false },
	{ OCI_TEXT_PAGE_SIZE, "2MB", true },
	{ OCI_TEXT_PAGE_SIZE, "1024KB", true },
	{ OCI_TEXT_PAGE_SIZE, "MB", false },
	{ OCI_TEXT_PAGE_SIZE, "0MB", false },
	{ OCI_TEXT_PAGE_SIZE, "2TB", false },
	{ OCI_TEXT_PAGE_SIZE, "2mB", false },
	{ OCI_TEXT_PAGE_SIZE, "2", false },
	{ OCI_TEXT_PAGE_SIZE, "-2MB", false },
	{ OCI_TEXT_MEM_BW, "MB:", true },
	{ OCI_TEXT_MEM_BW, "MB:0=1\n", false },
	{ OCI_TEXT_MEM_BW, "mb:0=1", false },
	{ OCI_TEXT_ONE_LINE, "a b", true },
	{ OCI_TEXT_ONE_LINE, "a\n", false },
	{ OCI_TEXT_CLOS_ID, "/", true },
	{ OCI_TEXT_CLOS_ID, "a", true },
	{ OCI_TEXT_CLOS_ID, "/a", false },
	{ OCI_TEXT_CLOS_ID, ".", false },
	{ OCI_TEXT_CLOS_ID, "", false },
	{ OCI_TEXT_CLOS_ID, "a\nb", false },
	{ OCI_TEXT_FILE_NAME, "cpu.max", true },
	{ OCI_TEXT_FILE_NAME, "...", true },
	{ OCI_TEXT_FILE_NAME, "..", false },
	{ OCI_TEXT_FILE_NAME, "a/b", false },
	{ OCI_TEXT_FILE_NAME, "", false },
	{ OCI_TEXT_CAP_NAME, "CAP_SYS_ADMIN", true },
	{ OCI_TEXT_CAP_NAME, "CAP_", false },
	{ OCI_TEXT_CAP_NAME, "CAP_x", false },
	{ OCI_TEXT_CAP_NAME, "SYS_ADMIN", false },
};

START_TEST(text_rules)
{
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		enum oci_text t = text_cases[i].t;
		const char *text = text_cases[i].s, *rule = oci_text_check(t, text, strlen(text));

		ck_assert_msg(!rule == text_cases[i].ok, "%s \"%s\"", oci_text_name(t), text);
	}
}
END_TEST

START_TEST(words_round_trip)
{
	for (int t = 1; t < OCI_NS_MAX; t++) {
		const char *w = oci_namespace_word((enum oci_namespace_type)t);

		ck_assert_ptr_nonnull(w);
		ck_assert_int_eq((int)oci_words_find(&oci_namespace_type_words, w, strlen(w)), t);
	}
	ck_assert_ptr_null(oci_namespace_word(OCI_NS_NONE));
	ck_assert_ptr_null(oci_namespace_word(OCI_NS_MAX));
	ck_assert_str_eq(oci_status_word(OCI_STATUS_PAUSED), "paused");
	ck_assert_str_eq(oci_propagation_word(OCI_PROP_RUNBINDABLE), "runbindable");
	ck_assert_str_eq(oci_seccomp_action_word(OCI_ACT_NOTIFY), "SCMP_ACT_NOTIFY");
	ck_assert_str_eq(oci_seccomp_arch_word(OCI_ARCH_RISCV64), "SCMP_ARCH_RISCV64");
	ck_assert_str_eq(oci_seccomp_op_word(OCI_CMP_MASKED_EQ), "SCMP_CMP_MASKED_EQ");
	ck_assert_str_eq(oci_seccomp_flag_word(OCI_SCFLAG_WAIT_KILLABLE_RECV),
			 "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	ck_assert_uint_eq(oci_words_find(&oci_namespace_type_words, "pidx", 3), OCI_NS_PID);
	ck_assert_uint_eq(oci_words_find(&oci_namespace_type_words, "pi", 2), 0);
}
END_TEST

START_TEST(nearest_words)
{
	static const struct { const char *s, *near; } t[] = {
		{ "netwrok", "network" }, { "PID", "pid" }, { "mnt", NULL }, { "x", NULL }, { "completely-else", NULL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *near = oci_nearest_word(&oci_namespace_type_words, t[i].s, strlen(t[i].s));

		ck_assert_msg(near == t[i].near || (near && t[i].near && !strcmp(near, t[i].near)), "%s", t[i].s);
	}
	ck_assert_str_eq(oci_nearest_word(&oci_seccomp_action_words, "errno", 5), "SCMP_ACT_ERRNO");
	ck_assert_str_eq(oci_nearest_row(&oci_linux_desc, "rootPropagation", 15), "rootfsPropagation");
}
END_TEST

START_TEST(members_have_their_values)
{
	const struct oci_config *c = parse(
		&oci_config_desc,
		"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\",\"readonly\":false},"
		"\"annotations\":{\"a\":\"1\",\"b\":\"\"},"
		"\"process\":{\"cwd\":\"/\",\"oomScoreAdj\":-7,\"user\":{\"uid\":4294967295,\"additionalGids\":[3,4]},"
		"\"scheduler\":{\"policy\":\"SCHED_RR\",\"priority\":9,\"flags\":[\"SCHED_FLAG_RECLAIM\"]}},"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\",\"path\":\"/m\"}],"
		"\"netDevices\":{\"eth0\":{\"name\":\"x\"},\"eth1\":{}},\"rootfsPropagation\":\"rslave\","
		"\"resources\":{\"pids\":{\"limit\":-9223372036854775808},\"cpu\":{\"shares\":18446744073709551615},"
		"\"rdma\":{\"mlx\":{\"hcaHandles\":2}}}}}");

	ck_assert_msg(c != NULL, "%s: %s", diag.path, diag.msg);
	ck_assert(c->root->readonly.set && !c->root->readonly.v);
	ck_assert_str_eq(oci_map_get(&c->annotations, "a"), "1");
	ck_assert_str_eq(oci_map_get(&c->annotations, "b"), "");
	ck_assert_ptr_null(oci_map_get(&c->annotations, "c"));
	ck_assert_int_eq(c->process->oom_score_adj.v, -7);
	ck_assert(c->process->user->uid.set && c->process->user->uid.v == UINT32_MAX && !c->process->user->gid.set);
	ck_assert(c->process->user->additional_gids.n == 2 && c->process->user->additional_gids.v[1] == 4);
	ck_assert(c->process->scheduler->policy == OCI_SCHED_RR &&
		  c->process->scheduler->flags.v[0] == OCI_SCHEDFLAG_RECLAIM);
	ck_assert(!c->process->args.set && !c->process->env.set && !c->process->terminal.set && !c->process->rlimits);
	ck_assert(c->linux_->n_namespaces == 2 && c->linux_->namespaces[1].type == OCI_NS_MOUNT);
	ck_assert(!c->linux_->namespaces[0].path && !strcmp(c->linux_->namespaces[1].path, "/m"));
	ck_assert(c->linux_->n_net_devices == 2 && !strcmp(c->linux_->net_devices[0].host_name, "eth0"));
	ck_assert(!strcmp(c->linux_->net_devices[0].name, "x") && !c->linux_->net_devices[1].name);
	ck_assert_int_eq(c->linux_->rootfs_propagation, OCI_PROP_RSLAVE);
	ck_assert(c->linux_->resources->pids->limit.v == INT64_MIN &&
		  c->linux_->resources->cpu->shares.v == UINT64_MAX);
	ck_assert(!strcmp(c->linux_->resources->rdma[0].device, "mlx") &&
		  c->linux_->resources->rdma[0].hca_handles.v == 2);
	ck_assert(!c->linux_->resources->memory && !c->hooks && !c->mounts && !c->hostname);
}
END_TEST

START_TEST(errors_have_path_and_place)
{
	ck_assert_ptr_null(parse(&oci_process_desc, "{\n \"cwd\": \"/\",\n  \"é\": 1, \"terminal\": 5\n}"));
	ck_assert_str_eq(diag.path, "terminal");
	ck_assert_str_eq(diag.msg, "5 — expected true or false");
	ck_assert_uint_eq(diag.line, 3);
	ck_assert_uint_eq(diag.column, 23);
}
END_TEST

struct heard {
	int n;
	enum oci_note level;
	char path[200], msg[800];
};

static void hear(void *arg, enum oci_note level, const char *path, const char *msg)
{
	struct heard *h = arg;

	h->n++;
	h->level = level;
	snprintf(h->path, sizeof(h->path), "%s", path);
	snprintf(h->msg, sizeof(h->msg), "%s", msg);
}

START_TEST(notes_are_said_once)
{
	struct heard h = { 0 };
	struct oci_notes notes = { .say = hear, .arg = &h };
	const char *text =
		"{\"cwd\":\"/\",\"trminal\":true,\"rlimits\":[{\"type\":\"RLIMIT_AS\",\"soft\":1,\"hard\":1},"
		"{\"type\":\"RLIMIT_AS\",\"soft\":1,\"hard\":1}]}";

	/* The rule that fails makes the parser read the document twice. */
	ck_assert_ptr_null(oci_parse(&oci_process_desc, &arena, text, strlen(text), &notes, &diag));
	ck_assert_str_eq(diag.path, "rlimits[1].type");
	ck_assert_int_eq(h.n, 1);
	ck_assert_int_eq(h.level, OCI_NOTE_DEBUG);
	ck_assert_str_eq(h.path, "trminal");
	ck_assert_str_eq(h.msg, "unknown property, ignored; did you mean \"terminal\"?");
}
END_TEST

START_TEST(notes_of_unknown_properties_are_bounded)
{
	struct heard h = { 0 };
	struct oci_notes notes = { .say = hear, .arg = &h };
	struct oci_text_buf b = { .s = oci_arena_alloc(&arena, 20000), .size = 20000 };

	oci_buf_printf(&b, "{\"cwd\":\"/\"");
	for (int i = 0; i < 1000; i++)
		oci_buf_printf(&b, ",\"k%d\":1", i);
	oci_buf_printf(&b, "}");
	ck_assert_ptr_nonnull(oci_parse(&oci_process_desc, &arena, b.s, b.n, &notes, &diag));
	ck_assert_int_eq(h.n, 64);
}
END_TEST

START_TEST(writer_leaves_out_what_is_absent)
{
	struct oci_kv kv[] = { { "k", "v\n\"\\\x7f\x01é" } };
	struct oci_state s = { .oci_version = "1.3.0", .id = "c1", .status = OCI_STATUS_CREATED, .bundle = "/b\xff",
			       .annotations = { .v = kv, .n = 1, .set = true } };
	size_t len = 0;
	const char *text = oci_write(&oci_state_desc, &s, 0, &arena, &len);

	ck_assert_str_eq(text,
			 "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"created\",\"bundle\":\"/b\\ufffd\","
			 "\"annotations\":{\"k\":\"v\\n\\\"\\\\\\u007f\\u0001é\"}}");
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_ptr_nonnull(parse(&oci_state_desc, text));
}
END_TEST

START_TEST(writer_indents)
{
	const char *gids = "{\"cwd\":\"/\",\"env\":[],\"user\":{\"additionalGids\":[1,2]}}";
	void *p = parse(&oci_process_desc, gids);

	ck_assert_str_eq(oci_write(&oci_process_desc, p, 0, &arena, NULL), gids);
	ck_assert_str_eq(
		oci_write(&oci_process_desc, p, 4, &arena, NULL),
		"{\n    \"cwd\": \"/\",\n    \"env\": [],\n    \"user\": {\n        \"additionalGids\": [\n"
		"            1,\n"
		"            2\n        ]\n    }\n}");
}
END_TEST

START_TEST(writer_fails_without_memory)
{
	struct oci_state s = { .oci_version = "1.3.0", .id = "c1" };
	char *long_id = malloc(200001);

	memset(long_id, 'x', 200000);
	long_id[200000] = '\0';
	s.id = long_id;
	arena.limit = 100000;
	ck_assert_ptr_null(oci_write(&oci_state_desc, &s, 0, &arena, NULL));
	free(long_id);
}
END_TEST

/* A small limit at every step of the way: an error each time, never a crash. */
START_TEST(parser_survives_without_memory)
{
	const char *text =
		"{\"cwd\":\"/\",\"env\":[\"A=1\",\"B=2\",\"C=3\",\"D=4\",\"E=5\"],\"rlimits\":[{\"type\":\"RLIMIT_AS\","
		"\"soft\":1,\"hard\":1}],\"x\":{\"y\":[1,2]},\"user\":{\"additionalGids\":[1]}}";
	bool refused = false, accepted = false;

	for (size_t limit = 1; limit < 70000; limit += 997) {
		struct oci_arena small = { .limit = limit };

		if (oci_parse(&oci_process_desc, &small, text, strlen(text), NULL, &diag)) {
			accepted = true;
		} else {
			refused = true;
			ck_assert_ptr_nonnull(strstr(diag.msg, "memory"));
		}
		oci_arena_release(&small);
	}
	ck_assert(refused && accepted);
}
END_TEST

START_TEST(buffer_cuts_at_a_character)
{
	char s[8] = "";
	struct oci_text_buf b = { .s = s, .size = sizeof(s) };

	oci_buf_add(&b, "ab", 2);
	oci_buf_add(&b, "éé€", 7);
	ck_assert_str_eq(s, "abéé");
	oci_buf_add(&b, "xyz", 3);
	ck_assert_str_eq(s, "abééx");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ocispec");
	TCase *t = tcase_create("ocispec");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 10);
	tcase_add_test(t, arena_gives_zeroed_aligned_memory);
	tcase_add_test(t, arena_blocks_do_not_overlap);
	tcase_add_test(t, arena_stops_at_its_limit);
	tcase_add_test(t, arena_strings);
	tcase_add_test(t, numbers_are_exact);
	tcase_add_test(t, numbers_within_a_range);
	tcase_add_test(t, utf8_is_strict);
	tcase_add_test(t, escapes_are_found);
	tcase_add_test(t, text_rules);
	tcase_add_test(t, words_round_trip);
	tcase_add_test(t, nearest_words);
	tcase_add_test(t, members_have_their_values);
	tcase_add_test(t, errors_have_path_and_place);
	tcase_add_test(t, notes_are_said_once);
	tcase_add_test(t, notes_of_unknown_properties_are_bounded);
	tcase_add_test(t, writer_leaves_out_what_is_absent);
	tcase_add_test(t, writer_indents);
	tcase_add_test(t, writer_fails_without_memory);
	tcase_add_test(t, parser_survives_without_memory);
	tcase_add_test(t, buffer_cuts_at_a_character);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
