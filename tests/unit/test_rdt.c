/* SPDX-License-Identifier: Apache-2.0 */
/* resctrl, on a directory that looks like one: there is no hardware for it here. What the kernel makes with a group is made by hand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "run/rdt.h"
#include "unit.h"

#define TOKEN "00112233445566778899aabbccddeeff"

static char top[] = "/tmp/hull-rdt-XXXXXX";
static int root_dfd;

static void put(const char *path, const char *text)
{
	int fd = openat(root_dfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static const char *get(const char *path)
{
	static char text[256];

	return io_read_at(root_dfd, path, text, sizeof(text)) < 0 ? "(none)" : text;
}

static void begin(void)
{
	strcpy(top + sizeof("/tmp/hull-rdt-") - 1, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	chmod(top, 0755);
	root_dfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put("schemata", "L3:0=fff;1=fff\n");
	put("tasks", "");
	mkdirat(root_dfd, "mon_groups", 0755);
	mkdirat(root_dfd, "gold", 0755);
	put("gold/schemata", "    L3:0=00f0;1=0f\n    MB:0= 20;1= 70\n");
	put("gold/tasks", "");
}

static void end(void)
{
	char cmd[64];

	close(root_dfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	ck_assert_int_eq(system(cmd), 0); /* lint: a test's own directory */
}

START_TEST(test_schemata)
{
	const char *has = "    L3:0=00f0;1=0f\n    MB:0= 20;1= 70\n";

	ck_assert(rdt_schemata_hold("L3:0=f0;1=f\n", has));
	ck_assert(rdt_schemata_hold("L3:1=F", has));
	ck_assert(rdt_schemata_hold("L3:0=f0\nMB:1=70;0=20\n", has));
	ck_assert(rdt_schemata_hold("", has));
	ck_assert(!rdt_schemata_hold("L3:0=f1", has));
	ck_assert(!rdt_schemata_hold("L3:2=f", has));
	ck_assert(!rdt_schemata_hold("L3:0=f0;1=e", has));
	ck_assert(!rdt_schemata_hold("L2:0=f0", has));
	ck_assert(!rdt_schemata_hold("L3:0=f0\nMB:0=30", has));
	ck_assert(!rdt_schemata_hold("L:0=f0", has));
	ck_assert(!rdt_schemata_hold("L3:0", has));
	ck_assert(!rdt_schemata_hold("L3:0=f0", ""));
}
END_TEST

START_TEST(test_existing_group)
{
	struct plan_rdt r = { .on = true, .group = "gold", .schemata = "L3:0=f0\n", .named = true };
	struct err e;
	bool made;

	ck_assert_int_eq(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	ck_assert(!made);
	ck_assert_int_eq(rdt_join(root_dfd, &r, 4711, &e), 0);
	ck_assert_str_eq(get("gold/tasks"), "4711");
	r.schemata = "L3:0=f1\n";
	ck_assert_int_lt(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	ck_assert_str_eq(e.path, "linux.intelRdt.closID");
	/* Not ours: it stays. */
	ck_assert_int_eq(rdt_remove(root_dfd, "gold", TOKEN, &e), -EPERM);
	ck_assert_int_eq(faccessat(root_dfd, "gold", F_OK, 0), 0);
	r = (struct plan_rdt){ .on = true, .group = "gold", .schemata = "" };
	ck_assert_int_lt(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	r = (struct plan_rdt){ .on = true, .group = "none", .schemata = "", .named = true, .must_exist = true };
	ck_assert_int_eq(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), -ENOENT);
	ck_assert_int_lt(faccessat(root_dfd, "none", F_OK, 0), 0);
}
END_TEST

START_TEST(test_default_group_with_monitoring)
{
	struct plan_rdt r = { .on = true, .group = "", .schemata = "", .named = true, .mon_group = "mon_groups/c1" };
	struct err e;
	bool made;

	ck_assert_int_eq(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	put("mon_groups/c1/tasks", "");
	ck_assert_int_eq(rdt_join(root_dfd, &r, 12, &e), 0);
	ck_assert_str_eq(get("tasks"), "12");
	ck_assert_str_eq(get("mon_groups/c1/tasks"), "12");
	/* Somebody else's name. */
	ck_assert_int_lt(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	unlinkat(root_dfd, "mon_groups/c1/tasks", 0);
	ck_assert_int_eq(rdt_remove(root_dfd, "mon_groups/c1", "ffffffffffffffffffffffffffffffff", &e), -EPERM);
	ck_assert_int_eq(rdt_remove(root_dfd, "mon_groups/c1", TOKEN, &e), 0);
	ck_assert_int_eq(rdt_remove(root_dfd, "mon_groups/c1", TOKEN, &e), 0);
	ck_assert_int_lt(faccessat(root_dfd, "mon_groups/c1", F_OK, 0), 0);
}
END_TEST

START_TEST(test_own_group)
{
	struct plan_rdt r = { .on = true, .group = "c1", .schemata = "" };
	struct err e;
	bool made;

	ck_assert_int_eq(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	ck_assert(made);
	ck_assert_int_eq(rdt_remove(root_dfd, "c1", TOKEN, &e), 0);
	/* Where the schemata can't be written (here the file is missing) nothing stays. */
	r.schemata = "L3:0=1\n";
	ck_assert_int_lt(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	ck_assert_int_lt(faccessat(root_dfd, "c1", F_OK, 0), 0);
}
END_TEST

/* resctrl is root's, and everybody may look at it: whatever is asked for, what comes back names the group and what can't be done with it. */
START_TEST(test_an_ordinary_user)
{
	static const struct { struct plan_rdt r; const char *path, *msg; } asked[] = {
		{ { .group = "c1", .schemata = "" }, "linux.intelRdt.closID", "make the directory of resctrl group \"c1\"" },
		{ { .group = "new", .schemata = "L3:0=1\n", .named = true }, "linux.intelRdt.closID", "make the directory of resctrl group \"new\"" },
		{ { .group = "gold", .schemata = "", .named = true, .must_exist = true }, "linux.intelRdt",
		  "write the process into the tasks of resctrl group \"gold\"" },
		{ { .group = "", .schemata = "", .named = true }, "linux.intelRdt", "write the process into the tasks of resctrl group \"/\"" },
		{ { .group = "", .schemata = "", .named = true, .mon_group = "mon_groups/c1" }, "linux.intelRdt.enableMonitoring",
		  "make the monitoring group of resctrl group \"mon_groups/c1\"" },
	};

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct err e;
		bool made;

		ck_assert_int_eq(seteuid(4711), 0);
		int r = rdt_prepare(root_dfd, &asked[i].r, TOKEN, &made, &e);
		r = r == 0 ? rdt_join(root_dfd, &asked[i].r, 12, &e) : r;
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(r, -EACCES);
		ck_assert_str_eq(e.path, asked[i].path);
		ck_assert_str_eq(e.msg, asked[i].msg);
	}
	ck_assert_str_eq(get("gold/tasks"), "");
	ck_assert_str_eq(get("tasks"), "");
}
END_TEST

START_TEST(test_update)
{
	struct plan_rdt r = { .on = true, .group = "gold", .named = true };
	static char before[RDT_SCHEMATA_MAX];
	struct err e;
	bool made;

	ck_assert_int_eq(rdt_update(root_dfd, &r, TOKEN, "L3:0=3;1=f\nMB:0=30\n", before, &e), 0);
	ck_assert_str_eq(before, "    L3:0=00f0;1=0f\n    MB:0= 20;1= 70\n");
	ck_assert(strncmp(get("gold/schemata"), "L3:0=3;1=f\nMB:0=30\n", 19) == 0);
	ck_assert_int_eq(rdt_put_back(root_dfd, &r, before, &e), 0);
	ck_assert_str_eq(get("gold/schemata"), before);
	/* What reads back otherwise is put back. */
	ck_assert_int_eq(rdt_update(root_dfd, &r, TOKEN, "L3:0=1\nL3:0=2\n", before, &e), -EIO);
	ck_assert_str_eq(e.path, "linux.intelRdt");
	ck_assert_str_eq(get("gold/schemata"), before);
	/* The machine's own, and one that has gone. */
	r.group = "";
	ck_assert_int_lt(rdt_update(root_dfd, &r, TOKEN, "L3:0=1\n", before, &e), 0);
	ck_assert_str_eq(get("schemata"), "L3:0=fff;1=fff\n");
	r.group = "none";
	ck_assert_int_eq(rdt_update(root_dfd, &r, TOKEN, "L3:0=1\n", before, &e), -ENOENT);
	/* One with the container's name that isn't the container's. */
	r = (struct plan_rdt){ .on = true, .group = "gold" };
	ck_assert_int_eq(rdt_update(root_dfd, &r, TOKEN, "L3:0=1\n", before, &e), -EPERM);
	r = (struct plan_rdt){ .on = true, .group = "c1", .schemata = "" };
	ck_assert_int_eq(rdt_prepare(root_dfd, &r, TOKEN, &made, &e), 0);
	put("c1/schemata", "L3:0=f\n");
	ck_assert_int_eq(rdt_update(root_dfd, &r, TOKEN, "L3:0=1\n", before, &e), 0);
	ck_assert_str_eq(get("c1/schemata"), "L3:0=1\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rdt");
	TCase *t = tcase_create("rdt");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, test_schemata);
	if (geteuid() == 0) { /* the token is a trusted attribute, and one can become somebody else */
		tcase_add_test(t, test_existing_group);
		tcase_add_test(t, test_default_group_with_monitoring);
		tcase_add_test(t, test_own_group);
		tcase_add_test(t, test_an_ordinary_user);
		tcase_add_test(t, test_update);
	}
	suite_add_tcase(s, t);
	return unit_run(s);
}
