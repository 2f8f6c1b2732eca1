/* SPDX-License-Identifier: Apache-2.0 */
/* Who may mount a sysfs: what facts_detect_for says is what the kernel says. In user namespaces of our own, which anybody may make where the host lets him. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "plan/plan.h"
#include "sys/ns.h"
#include "unit.h"

static struct oci_mount sysfs = { .destination = "/sys", .type = "sysfs" };

/* What facts say for a container with these namespaces; the kernel is asked what is true. */
static bool refused(struct oci_namespace *ns, size_t n)
{
	struct oci_linux l = { .namespaces = ns, .n_namespaces = n };
	struct oci_config cfg = { .linux_ = &l, .mounts = &sysfs, .n_mounts = 1 };
	struct oci_namespace mnt[2] = { { .type = OCI_NS_MOUNT } };
	struct oci_arena arena = { 0 };
	struct facts f;
	struct err e;

	if (n == 0) {
		l.namespaces = mnt;
		l.n_namespaces = 1;
	}
	ck_assert_int_eq(facts_detect(&f, &e), 0);
	f.euid = 1000; /* what only root is asked about is another matter */
	ck_assert_int_eq(facts_detect_for(&f, &cfg, &arena, &e), 0);
	oci_arena_release(&arena);
	return f.sysfs_refused;
}

static bool kernel_refuses(void)
{
	scoped_fd int fs = fsopen("sysfs", FSOPEN_CLOEXEC);

	return fs < 0 && errno == EPERM;
}

/* In a child: the result is its exit status, 0 good, 77 no such namespaces here, else the number of the line that wasn't so. */
#define WANT(x) do { if (!(x)) _exit((__LINE__ % 70) + 1); } while (0)

static void in_userns(void)
{
	struct oci_namespace new_net = { .type = OCI_NS_NETWORK }, by_path = { .type = OCI_NS_NETWORK, .path = "/proc/self/ns/net" };

	/* fsopen(2) wants the right to mount anything at all first. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(77);
	WANT(kernel_refuses());
	WANT(refused(NULL, 0));
	WANT(refused(&by_path, 1));
	WANT(!refused(&new_net, 1));
	if (unshare(CLONE_NEWNET) < 0)
		_exit(77);
	WANT(!kernel_refuses());
	WANT(!refused(NULL, 0));
	WANT(!refused(&by_path, 1));
	_exit(0);
}

static void below_a_userns(void)
{
	scoped_fd int user = -1, net = -1;

	int uid = (int)geteuid(), gid = (int)getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		_exit(77);
	/* Who isn't mapped can't make another. */
	FILE *map = fopen("/proc/self/uid_map", "we");
	WANT(map && fprintf(map, "0 %d 1\n", uid) > 0 && fclose(map) == 0);
	WANT((map = fopen("/proc/self/setgroups", "we")) && fputs("deny", map) >= 0 && fclose(map) == 0);
	WANT((map = fopen("/proc/self/gid_map", "we")) && fprintf(map, "0 %d 1\n", gid) > 0 && fclose(map) == 0);
	user = ns_open("/proc/self/ns/user");
	net = ns_open("/proc/self/ns/net");
	WANT(user >= 0 && net >= 0);
	WANT(ns_is_below(net, user));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		_exit(77);
	/* From inside, what is above isn't told. */
	WANT(!ns_is_below(net, user));
	scoped_fd int inner_user = ns_open("/proc/self/ns/user"), inner_net = ns_open("/proc/self/ns/net");
	WANT(ns_is_below(inner_net, inner_user));
	WANT(!ns_is_below(inner_net, user));
	_exit(0);
}

static void run_in_child(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		f();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		fprintf(stderr, "skipped: no user namespaces for us here\n");
		return;
	}
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

START_TEST(sysfs_in_a_user_namespace)
{
	run_in_child(in_userns);
}
END_TEST

START_TEST(owner_of_a_namespace)
{
	run_in_child(below_a_userns);
}
END_TEST

START_TEST(no_namespace)
{
	ck_assert_int_eq(ns_open("/dev/null"), -ENOTTY);
	ck_assert_int_eq(ns_open("/"), -ENOTTY);
	ck_assert_int_eq(ns_open("/nowhere"), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("facts");
	TCase *c = tcase_create("namespaces");

	tcase_add_test(c, sysfs_in_a_user_namespace);
	tcase_add_test(c, owner_of_a_namespace);
	tcase_add_test(c, no_namespace);
	suite_add_tcase(s, c);
	return unit_run(s);
}
