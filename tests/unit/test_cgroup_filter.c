/* SPDX-License-Identifier: Apache-2.0 */
/* Random lists of device rules in the kernel against the interpreter of the rules: on v1, and as a program on v2, where one list replaces the other. */
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "cgroup_fixture.h"

/* Majors 60 and 61 are for local use and have no driver: an open that the filter lets through ends with ENXIO. */
#define MAJOR 60
#define MINOR 7
#define NODES 12 /* c and b, two majors, three minors */
#define TRIES 3 /* r, w, m */
#define LISTS 150
#define RULES_MAX 9

static char dir[64];
static struct seen {
	int open_error[NODES][2], make_error[NODES];
} *seen; /* shared with the process in the cgroup */

static mode_t node_type(unsigned i)
{
	return i < NODES / 2 ? S_IFCHR : S_IFBLK;
}

static unsigned node_major(unsigned i)
{
	return MAJOR + i / 3 % 2;
}

static unsigned node_minor(unsigned i)
{
	return MINOR + i % 3;
}

static const char *node_name(unsigned i, const char *suffix)
{
	static char name[96];

	snprintf(name, sizeof(name), "%s/%u%s", dir, i, suffix);
	return name;
}

static void make_nodes(void)
{
	strcpy(dir, "/tmp/hulltest.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (unsigned i = 0; i < NODES; i++)
		ck_assert_int_eq(mknod(node_name(i, ""), node_type(i) | 0600, makedev(node_major(i), node_minor(i))), 0);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(seen, MAP_FAILED);
}

static void remove_nodes(void)
{
	for (unsigned i = 0; i < NODES; i++)
		unlink(node_name(i, ""));
	rmdir(dir);
}

static int look(void *arg UNUSED)
{
	static const int flags[] = { O_RDONLY, O_WRONLY };

	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned k = 0; k < ARRAY_LEN(flags); k++)
			seen->open_error[i][k] = open(node_name(i, ""), flags[k] | O_NONBLOCK | O_CLOEXEC) < 0 ? errno : 0;
		bool made = mknod(node_name(i, "m"), node_type(i) | 0600, makedev(node_major(i), node_minor(i))) == 0;
		seen->make_error[i] = made ? 0 : errno;
		if (made)
			unlink(node_name(i, "m"));
	}
	return 0;
}

static size_t random_rules(uint64_t *rnd, struct oci_device_rule *rules)
{
	static const char *const accesses[] = { "r", "w", "m", "rw", "rm", "wm", "rwm", NULL };
	size_t n = 1 + unit_below(rnd, RULES_MAX);

	for (size_t i = 0; i < n; i++)
		rules[i] = (struct oci_device_rule){ .allow = { true, unit_below(rnd, 2) },
						     .type = (enum oci_device_rule_type)(1 + unit_below(rnd, 3)),
						     .major = { unit_below(rnd, 3) != 0, MAJOR + (int64_t)unit_below(rnd, 2) },
						     .minor = { unit_below(rnd, 3) != 0, MINOR + (int64_t)unit_below(rnd, 3) },
						     .access = accesses[unit_below(rnd, ARRAY_LEN(accesses))] };
	return n;
}

/* Returns how many of the tries were let through. */
static unsigned compare(const struct cg_devices *by_letter, unsigned list)
{
	unsigned allowed = 0;

	for (unsigned i = 0; i < NODES; i++)
		for (unsigned k = 0; k < TRIES; k++) {
			int got = k < 2 ? seen->open_error[i][k] : seen->make_error[i];
			bool expect = cg_devices_eval(by_letter, node_type(i) == S_IFCHR ? 'c' : 'b', node_major(i), node_minor(i), 1u << k);

			ck_assert_msg((got != EPERM) == expect, "list %u: %c of %s %u:%u: error %d, the rules say %s", list, "rwm"[k],
				      node_type(i) == S_IFCHR ? "c" : "b", node_major(i), node_minor(i), got, expect ? "allow" : "deny");
			allowed += expect;
		}
	return allowed;
}

/* `bpf`: exactly one program at any time. */
static void run_lists(bool bpf)
{
	struct oci_device_rule rules[RULES_MAX];
	uint64_t rnd = 20261124;
	unsigned lists = 0, allowed = 0;
	struct cgroup cg, later;

	make_nodes();
	create(&cg);
	ok(cg_open(&lay, path, &later, &e));
	for (unsigned i = 0; i < LISTS; i++) {
		struct oci_resources r = { .devices = rules, .n_devices = random_rules(&rnd, rules) };
		struct oci_arena a = { 0 };
		struct cg_devices d, by_letter;

		ok(cg_devices_plan(&r, &a, &d, &e));
		ok(cg_devices_expand(&r, &a, &by_letter, &e));
		int applied = cg_devices_apply(&later, &d, &e);
		if (applied == 0) {
			lists++;
			ck_assert_int_eq(WEXITSTATUS(wait_for(spawn(&cg, look, NULL))), 0);
			allowed += compare(&by_letter, i);
		} else {
			/* v1 can't express every list. */
			ck_assert_msg(!bpf && e.kind == ERR_CONFIG, "%s", e.msg);
		}
		if (bpf)
			ck_assert_int_eq(cg_devices_attached(cg.dfd[0]), !cg_devices_allow_all(&d));
		oci_arena_release(&a);
	}
	ck_assert_uint_gt(lists, LISTS / 4);
	ck_assert_uint_gt(allowed, lists * NODES * TRIES / 10);
	ck_assert_uint_lt(allowed, lists * NODES * TRIES * 9 / 10);
	cg_close(&later);
	cg_close(&cg);
	remove_ours();
	remove_nodes();
}

START_TEST(test_v1_against_the_interpreter)
{
	int i = cg_layout_find(&lay, "devices");

	if (i >= 0 && !lay.h[i].v2)
		run_lists(false);
}
END_TEST

START_TEST(test_v2_against_the_interpreter)
{
	if (only_v2() && cg_layout_find(&lay, "devices") < 0)
		run_lists(true);
}
END_TEST

int main(void)
{
	if (!fixture_begin())
		return SKIPPED;
	Suite *s = suite_create("cgroup device filter");
	TCase *t = fixture_tcase(s);

	tcase_add_test(t, test_v1_against_the_interpreter);
	tcase_add_test(t, test_v2_against_the_interpreter);
	return fixture_run(s);
}
