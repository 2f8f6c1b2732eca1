/* SPDX-License-Identifier: Apache-2.0 */
/* src/state/record.c: what is written comes back, and no damaged byte is ever accepted. */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "state_fixture.h"
#include "unit.h"

#define NONE_PATH "/hull-unit-test/none"

/* The last: what looks like the writer's mark for bytes that aren't UTF-8, but is none. */
static struct oci_kv notes[] = {
	{ "z.last", "1" },
	{ "a \"quoted\"\\key", "line\nbreak\ttab \xe2\x82\xac \x7f" },
	{ "empty", "" },
	{ "\\ufffd", "\xef\xbf\xbd \\\\ufffd" },
};

static struct state_rec full_rec(void)
{
	struct state_rec rec = fixture_rec("c1");

	rec.stage = STAGE_CREATED;
	rec.bundle = "/b u/\"n\\dle \xc3\xa4";
	rec.cgroup_made = 0x80000001U;
	rec.systemd_cgroup = true;
	rec.ns[OCI_NS_PID] = (struct ns_id){ 4, 4026531836U };
	rec.ns[OCI_NS_TIME] = (struct ns_id){ UINT64_MAX, UINT64_MAX };
	rec.init = (struct proc_id){ 0x7fffffff, UINT64_MAX, UINT64_C(1) << 63 };
	rec.annotations = (struct oci_map){ notes, ARRAY_LEN(notes), true };
	return rec;
}

static void check_same(const struct state_rec *a, const struct state_rec *b)
{
	ck_assert(a->version == b->version && a->stage == b->stage && a->cgroup_made == b->cgroup_made);
	ck_assert(a->systemd_cgroup == b->systemd_cgroup && a->n_undo == b->n_undo &&
		  a->annotations.n == b->annotations.n);
	ck_assert_str_eq(a->id, b->id);
	ck_assert_str_eq(a->bundle, b->bundle);
	ck_assert_pstr_eq(a->rootfs, b->rootfs);
	ck_assert_str_eq(a->created, b->created);
	ck_assert_pstr_eq(a->owner, b->owner);
	ck_assert_str_eq(a->boot_id, b->boot_id);
	ck_assert_pstr_eq(a->oci_version, b->oci_version);
	ck_assert_str_eq(a->token, b->token);
	ck_assert_mem_eq(a->ns, b->ns, sizeof(a->ns));
	ck_assert(a->init.pid == b->init.pid && a->init.start_time == b->init.start_time &&
		  a->init.pidfs_ino == b->init.pidfs_ino);
	for (size_t i = 0; i < a->n_undo; i++) {
		ck_assert_int_eq(a->undo[i].kind, b->undo[i].kind);
		ck_assert_pstr_eq(a->undo[i].arg, b->undo[i].arg);
	}
	for (size_t i = 0; i < a->annotations.n; i++) {
		ck_assert_str_eq(a->annotations.v[i].key, b->annotations.v[i].key);
		ck_assert_str_eq(a->annotations.v[i].value, b->annotations.v[i].value);
	}
}

START_TEST(test_round_trip)
{
	struct state_dir d = fixture_claim(fixture_root(), "c1");
	struct state_rec rec = fixture_rec("c1"), back;
	struct oci_arena a = { 0 };
	struct err e;

	ck_assert_msg(state_rec_read(&d, &a, &back, &e) == 0, "%s", e.msg);
	check_same(&rec, &back);
	ck_assert_str_eq(state_rec_cgroup(&back), NONE_PATH);
	rec = full_rec();
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	ck_assert_msg(state_rec_read(&d, &a, &back, &e) == 0, "%s", e.msg);
	check_same(&rec, &back);
	/* The least there can be. */
	rec.rootfs = rec.owner = rec.oci_version = NULL;
	rec.n_undo = 0;
	rec.annotations = (struct oci_map){ 0 };
	rec.init = (struct proc_id){ 0 };
	memset(rec.ns, 0, sizeof(rec.ns));
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	ck_assert_msg(state_rec_read(&d, &a, &back, &e) == 0, "%s", e.msg);
	check_same(&rec, &back);
	ck_assert_ptr_null(state_rec_cgroup(&back));
	oci_arena_release(&a);
}
END_TEST

/* Engines put megabytes into annotations now and then. */
START_TEST(test_big)
{
	struct state_dir d = fixture_claim(fixture_root(), "c1");
	struct state_rec rec = full_rec(), back;
	struct oci_arena a = { 0 };
	size_t n = 900000;
	char *big = oci_arena_alloc(&a, n + 1);
	struct err e;

	memset(big, 'x', n);
	notes[0].value = big;
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	ck_assert_msg(state_rec_read(&d, &a, &back, &e) == 0, "%s", e.msg);
	check_same(&rec, &back);
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_not_utf8)
{
	struct state_dir d = fixture_claim(fixture_root(), "c1");
	struct state_rec rec = full_rec();
	struct err e;

	rec.bundle = "/b\xff";
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), -EINVAL);
	ck_assert(strstr(e.msg, "bundle"));
}
END_TEST

static char text[8192];
static size_t text_len;

static void put(struct state_dir *d, const char *data, size_t len)
{
	int fd = openat(d->dfd, "state.json", O_WRONLY | O_TRUNC | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, data, len), 0);
	close(fd);
}

/* A damaged record: refused, and nothing in it is believed but a token and a cgroup. */
static void must_be_refused(struct state_dir *d, const char *data, size_t len, const char *what, size_t at)
{
	struct oci_arena a = { 0 };
	struct state_rec rec;
	struct err e;

	put(d, data, len);
	int r = state_rec_read(d, &a, &rec, &e);
	ck_assert_msg(r == -EBADMSG, "%s at %zu: %d", what, at, r);
	ck_assert_msg(rec.init.pid == 0 && !rec.boot_id && rec.n_undo <= 1, "%s at %zu", what, at);
	if (rec.n_undo)
		ck_assert_msg(rec.undo[0].kind == UNDO_CGROUP && strlen(rec.token) == 32, "%s at %zu", what, at);
	oci_arena_release(&a);
}

static struct state_dir with_record(void)
{
	struct state_dir d = fixture_claim(fixture_root(), "c1");
	struct state_rec rec = full_rec();
	struct err e;

	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	text_len = (size_t)io_read_at(d.dfd, "state.json", text, sizeof(text));
	ck_assert(text_len > 400 && text_len < sizeof(text));
	return d;
}

START_TEST(test_each_byte)
{
	static const unsigned char flips[] = { 0x01, 0x02, 0x10, 0x20, 0x80, 0xff };
	static const char replaced[] = { '\0', '"', '\\', '0', ' ', '}', '\n' };
	struct state_dir d = with_record();
	char damaged[sizeof(text)];

	for (size_t i = 0; i < text_len; i++) {
		memcpy(damaged, text, text_len);
		for (size_t f = 0; f < ARRAY_LEN(flips); f++) {
			damaged[i] = (char)((unsigned char)text[i] ^ flips[f]);
			must_be_refused(&d, damaged, text_len, "flipped", i);
		}
		for (size_t f = 0; f < ARRAY_LEN(replaced); f++) {
			damaged[i] = replaced[f];
			if (replaced[f] != text[i])
				must_be_refused(&d, damaged, text_len, "replaced", i);
		}
	}
}
END_TEST

START_TEST(test_cut_and_grown)
{
	struct state_dir d = with_record();
	char damaged[sizeof(text) + 2];

	for (size_t i = 0; i < text_len; i++)
		must_be_refused(&d, text, i, "cut", i);
	for (size_t i = 0; i <= text_len; i++) {
		memcpy(damaged, text, i);
		damaged[i] = ' ';
		memcpy(damaged + i + 1, text + i, text_len - i);
		must_be_refused(&d, damaged, text_len + 1, "inserted", i);
	}
	memcpy(damaged, text, text_len);
	memcpy(damaged + text_len, "\0x", 2);
	must_be_refused(&d, damaged, text_len + 2, "NUL after the end", text_len);
	for (size_t i = 0; i < text_len; i++) {
		memcpy(damaged, text, i);
		memcpy(damaged + i, text + i + 1, text_len - i - 1);
		must_be_refused(&d, damaged, text_len - 1, "taken out", i);
	}
}
END_TEST

/* What the token can prove is found wherever the damage is elsewhere. */
START_TEST(test_salvage)
{
	struct state_dir d = with_record();
	struct oci_arena a = { 0 };
	struct state_rec rec;
	struct err e;
	size_t proof = (size_t)(strstr(text, NONE_PATH) - text) + strlen(NONE_PATH) + 1;

	for (size_t len = proof; len < text_len; len++) {
		put(&d, text, len);
		ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
		ck_assert(strstr(e.msg, "container \"c1\" is damaged"));
		ck_assert_str_eq(rec.token, FIXTURE_TOKEN);
		ck_assert_str_eq(state_rec_cgroup(&rec), NONE_PATH);
	}
	put(&d, text, proof - 1);
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
	ck_assert_ptr_null(state_rec_cgroup(&rec));
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_no_regular_file)
{
	struct state_dir d = with_record();
	struct oci_arena a = { 0 };
	struct state_rec rec;
	struct err e;

	ck_assert_int_eq(unlinkat(d.dfd, "state.json", 0), 0);
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
	ck_assert_int_eq(mkfifoat(d.dfd, "state.json", 0600), 0);
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
	ck_assert_int_eq(unlinkat(d.dfd, "state.json", 0), 0);
	ck_assert_int_eq(symlinkat("config.json", d.dfd, "state.json"), 0);
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
	ck_assert_int_eq(unlinkat(d.dfd, "state.json", 0), 0);
	ck_assert_int_eq(mkdirat(d.dfd, "state.json", 0700), 0);
	ck_assert_int_eq(state_rec_read(&d, &a, &rec, &e), -EBADMSG);
}
END_TEST

START_TEST(test_other_version_and_id)
{
	int root = fixture_root();
	struct state_dir d = fixture_claim(root, "c1"), other = fixture_claim(root, "c2");
	struct oci_arena a = { 0 };
	struct state_rec rec = full_rec(), back;
	struct err e;

	rec.version = STATE_VERSION + 1;
	ck_assert_int_eq(state_rec_write(&d, &rec, &e), 0);
	ck_assert_int_eq(state_rec_read(&d, &a, &back, &e), -ENOTSUP);
	ck_assert(strstr(e.msg, "version 2"));
	/* A sound record of another container. */
	rec.version = STATE_VERSION;
	ck_assert_int_eq(state_rec_write(&other, &rec, &e), 0);
	ck_assert_int_eq(state_rec_read(&other, &a, &back, &e), -EBADMSG);
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_config)
{
	static const char json[] = "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"hostname\":\"h\"}";
	int root = fixture_root();
	struct state_rec rec = fixture_rec("c1"), back;
	struct state_dir d, again;
	struct oci_arena a = { 0 };
	struct oci_config *config = NULL;
	struct err e;
	bool stale;

	ck_assert_int_eq(state_claim(root, &rec, json, strlen(json), &d, &stale, &e), 0);
	ck_assert_int_eq(state_config_read(&d, &a, &config, &e), 0);
	ck_assert_str_eq(config->hostname, "h");
	ck_assert_int_eq(state_open(root, "c1", -1, &again, &e), 0);
	/* Before the record is read there is nothing to compare with. */
	ck_assert_int_eq(state_config_read(&again, &a, &config, &e), -EINVAL);
	ck_assert_int_eq(state_rec_read(&again, &a, &back, &e), 0);
	ck_assert_int_eq(state_config_read(&again, &a, &config, &e), 0);
	/* The checksum outlives a rewriting of the record by whoever read it. */
	ck_assert_int_eq(state_rec_write(&again, &back, &e), 0);
	ck_assert_int_eq(state_config_read(&again, &a, &config, &e), 0);
	int fd = openat(d.dfd, "config.json", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "H", 1, (off_t)(strstr(json, "\"h\"") - json + 1)), 1);
	close(fd);
	ck_assert_int_eq(state_config_read(&again, &a, &config, &e), -EBADMSG);
	ck_assert(strstr(e.msg, "damaged"));
	oci_arena_release(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");

	fixture_start();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_big);
	tcase_add_test(t, test_not_utf8);
	tcase_add_test(t, test_each_byte);
	tcase_add_test(t, test_cut_and_grown);
	tcase_add_test(t, test_salvage);
	tcase_add_test(t, test_no_regular_file);
	tcase_add_test(t, test_other_version_and_id);
	tcase_add_test(t, test_config);
	suite_add_tcase(s, t);
	int r = unit_run(s);
	fixture_end();
	return r;
}
