/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of the systemd driver: names of units, properties from writes and from annotations. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "cgroup/systemd.h"
#include "unit.h"

static const struct cg_manager system_manager = { .used = true, .root = "" };
static const struct cg_manager user_manager = { .used = true, .user = true, .root = "/user.slice/user-1000.slice/user@1000.service" };

static void check_unit(const struct cg_manager *m, const char *value, const char *id, const char *unit, const char *path)
{
	char got[CG_PATH_MAX];
	struct cg_unit u;
	struct err e = { 0 };

	ck_assert_msg(cg_unit_resolve(value, id, m, &u, got, &e) == 0, "%s: %s", value, e.msg);
	ck_assert_str_eq(u.name, unit);
	ck_assert_str_eq(got, path);
}

START_TEST(test_units)
{
	check_unit(&system_manager, "machine.slice:libpod:c1", "x", "libpod-c1.scope", "/machine.slice/libpod-c1.scope");
	check_unit(&system_manager, ":docker:c1", "x", "docker-c1.scope", "/system.slice/docker-c1.scope");
	check_unit(&system_manager, "a-b-c.slice:p:n", "x", "p-n.scope", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope");
	check_unit(&system_manager, "-.slice:p:n", "x", "p-n.scope", "/p-n.scope");
	check_unit(&system_manager, "system.slice::n", "x", "n.scope", "/system.slice/n.scope");
	check_unit(&system_manager, NULL, "c1", "hull-c1.scope", "/system.slice/hull-c1.scope");
	check_unit(&system_manager, "", "a+b", "hull-a\\x2bb.scope", "/system.slice/hull-a\\x2bb.scope");
	check_unit(&user_manager, ":p:n", "x", "p-n.scope", "/user.slice/user-1000.slice/user@1000.service/user.slice/p-n.scope");
}
END_TEST

static const struct {
	const char *value, *message;
} bad_units[] = {
	{ "/pods/a", "\"/pods/a\" — with the systemd cgroup driver it must be SLICE:PREFIX:NAME" },
	{ "a.slice:b", "\"a.slice:b\" — with the systemd cgroup driver it must be SLICE:PREFIX:NAME" },
	{ "a.slice:b:c:d", "\"a.slice:b:c:d\" — with the systemd cgroup driver it must be SLICE:PREFIX:NAME" },
	{ "a.slice:b:", "\"a.slice:b:\" — the name behind the second colon is empty" },
	{ "a:b:c", "\"a:b:c\" — must end in \".slice\"" },
	{ "-a.slice:b:c", "\"-a.slice:b:c\" — the parts between dashes must not be empty" },
	{ "a-.slice:b:c", "\"a-.slice:b:c\" — the parts between dashes must not be empty" },
	{ "a--b.slice:b:c", "\"a--b.slice:b:c\" — the parts between dashes must not be empty" },
	{ "a/../b.slice:b:c", "\"a/../b.slice:b:c\" — the name of a systemd unit has only letters, digits and : - _ . \\" },
	{ "a.slice:b:../c", "\"a.slice:b:../c\" — the name of a systemd unit has only letters, digits and : - _ . \\" },
	{ "a.slice:b:x.slice", "\"a.slice:b:x.slice\" — a container gets a scope: systemd moves no process into a slice" },
};

START_TEST(test_bad_units)
{
	char path[CG_PATH_MAX];
	struct cg_unit u;
	struct err e = { 0 };

	ck_assert_int_eq(cg_unit_resolve(bad_units[_i].value, "x", &system_manager, &u, path, &e), -EINVAL);
	ck_assert_str_eq(e.msg, bad_units[_i].message);
	ck_assert_str_eq(e.path, "linux.cgroupsPath");
}
END_TEST

START_TEST(test_long_unit)
{
	char value[400] = "a.slice:b:", path[CG_PATH_MAX];
	struct cg_unit u;
	struct err e = { 0 };

	memset(value + strlen(value), 'x', 300);
	ck_assert_int_eq(cg_unit_resolve(value, "x", &system_manager, &u, path, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.msg, "at most 255 bytes"));
}
END_TEST

static const struct {
	const char *file, *value, *alt_value;
	const char *props; /* "NAME TYPE VALUE; …" */
} conversions[] = {
	{ "cpu.weight", "59", NULL, "CPUWeight t 59; " },
	{ "cpu.max", "50000 100000", NULL, "CPUQuotaPerSecUSec t 500000; CPUQuotaPeriodUSec t 100000; " },
	{ "cpu.max", "33333 100000", NULL, "CPUQuotaPerSecUSec t 340000; CPUQuotaPeriodUSec t 100000; " }, /* whole percents, rounded up */
	{ "cpu.max", "50000", NULL, "CPUQuotaPerSecUSec t 500000; CPUQuotaPeriodUSec t 100000; " },
	{ "cpu.max", "max 50000", NULL, "CPUQuotaPerSecUSec t infinity; CPUQuotaPeriodUSec t 50000; " },
	{ "cpuset.cpus", "0-2,7", NULL, "AllowedCPUs ay 0-2,7; " },
	{ "cpuset.mems", "0", NULL, "AllowedMemoryNodes ay 0; " },
	{ "memory.max", "max", NULL, "MemoryMax t infinity; " },
	{ "memory.high", "4096", NULL, "MemoryHigh t 4096; " },
	{ "memory.low", "4096", NULL, "MemoryLow t 4096; " },
	{ "memory.min", "4096", NULL, "MemoryMin t 4096; " },
	{ "memory.swap.max", "0", NULL, "MemorySwapMax t 0; " },
	{ "memory.zswap.max", "0", NULL, "MemoryZSwapMax t 0; " },
	{ "memory.oom.group", "1", NULL, "" },
	{ "pids.max", "64", NULL, "TasksMax t 64; " },
	{ "pids.max", "0", NULL, "TasksMax t 1; " },
	{ "pids.max", "max", NULL, "TasksMax t infinity; " },
	{ "io.bfq.weight", "500", "default 4950", "IOWeight t 4950; " },
	{ "io.weight", "default 200", NULL, "IOWeight t 200; " },
	{ "io.bfq.weight", "8:0 500", "8:0 4950", "IODeviceWeight a(st) /dev/block/8:0 4950; " },
	{ "io.max", "8:0 rbps=1048576", NULL, "IOReadBandwidthMax a(st) /dev/block/8:0 1048576; " },
	{ "io.max", "8:0 wiops=max rbps=1", NULL, "IOWriteIOPSMax a(st) /dev/block/8:0 infinity; IOReadBandwidthMax a(st) /dev/block/8:0 1; " },
	{ "io.max", "8:0 wbps=7", NULL, "IOWriteBandwidthMax a(st) /dev/block/8:0 7; " },
	{ "io.max", "8:0 riops=7", NULL, "IOReadIOPSMax a(st) /dev/block/8:0 7; " },
	{ "cpu.shares", "512", NULL, "CPUShares t 512; " },
	{ "memory.limit_in_bytes", "-1", NULL, "MemoryLimit t infinity; " },
	{ "blkio.bfq.weight", "500", NULL, "BlockIOWeight t 500; " },
	{ "blkio.weight", "500", NULL, "BlockIOWeight t 500; " },
	{ "blkio.bfq.weight_device", "8:0 500", NULL, "" },
	{ "blkio.throttle.read_bps_device", "8:0 99", NULL, "BlockIOReadBandwidth a(st) /dev/block/8:0 99; " },
	{ "blkio.throttle.write_bps_device", "8:0 99", NULL, "BlockIOWriteBandwidth a(st) /dev/block/8:0 99; " },
	{ "cpu.cfs_quota_us", "50000", NULL, "CPUQuotaPerSecUSec t 500000; " },
	{ "cpu.cfs_quota_us", "-1", NULL, "CPUQuotaPerSecUSec t infinity; " },
	{ "hugetlb.2MB.max", "1", NULL, "" },
};

static const char *print_props(const struct cg_props *p, struct oci_arena *a)
{
	const char *text = "";

	for (size_t i = 0; i < p->n; i++)
		text = oci_arena_printf(a, "%s%s %s %s; ", text, p->v[i].name, p->v[i].type, p->v[i].value);
	return text;
}

START_TEST(test_conversions)
{
	struct cg_write w = { .file = conversions[_i].file, .value = conversions[_i].value, .alt_value = conversions[_i].alt_value, .origin = "x" };
	struct cg_writes list = { &w, 1, 1 };
	struct cg_props props = { 0 };
	struct oci_arena a = { 0 };
	struct err e = { 0 };

	ck_assert_int_eq(cg_props_from_writes(&list, CG_LATE, &a, &props, &e), 0);
	ck_assert_uint_eq(props.n, 0);
	ck_assert_int_eq(cg_props_from_writes(&list, CG_EARLY, &a, &props, &e), 0);
	ck_assert_str_eq(print_props(&props, &a), conversions[_i].props);
	for (size_t i = 0; i < props.n; i++)
		ck_assert_str_eq(props.v[i].origin, "x");
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_v1_quota_with_period)
{
	struct cg_write w[] = { { .file = "cpu.cfs_period_us", .value = "50000" }, { .file = "cpu.cfs_quota_us", .value = "100000" } };
	struct cg_writes list = { w, 2, 2 };
	struct cg_props props = { 0 };
	struct oci_arena a = { 0 };
	struct err e = { 0 };

	ck_assert_int_eq(cg_props_from_writes(&list, CG_EARLY, &a, &props, &e), 0);
	ck_assert_str_eq(print_props(&props, &a), "CPUQuotaPerSecUSec t 2000000; ");
	oci_arena_release(&a);
}
END_TEST

/* Each list after "deny a"; the layout has the controller on v1. `props` without what all begin with; an error where it is NULL. */
static const struct { struct cg_device_rule v[3]; size_t n; const char *props, *message; } device_lists[] = {
	{ { { false, 'a', -1, -1, 7 }, { true, 'c', 1, 3, 7 } }, 2, "DevicePolicy s strict; DeviceAllow a(ss) ; DeviceAllow a(ss) /dev/char/1:3 rwm; ", NULL },
	{ { { false, 'a', -1, -1, 7 }, { true, 'b', 8, 1, 1 } }, 2, "DevicePolicy s strict; DeviceAllow a(ss) ; DeviceAllow a(ss) /dev/block/8:1 r; ", NULL },
	{ { { true, 'c', 136, -1, 7 } }, 1, "DevicePolicy s strict; DeviceAllow a(ss) ; DeviceAllow a(ss) char-136 rwm; ", NULL },
	{ { { true, 'b', -1, -1, 4 } }, 1, "DevicePolicy s strict; DeviceAllow a(ss) ; DeviceAllow a(ss) block-* m; ", NULL },
	{ { { true, 'a', -1, -1, 7 } }, 1, "DevicePolicy s auto; DeviceAllow a(ss) ; ", NULL },
	{ { { true, 'a', -1, -1, 7 }, { false, 'c', 1, 11, 7 } }, 2, NULL,
	  "deny \"c 1:11 rwm\" of an allowed \"a\" would be gone when systemd reloads: on cgroup v1 it keeps lists of what is allowed only" },
	{ { { true, 'c', -1, 3, 2 } }, 1, NULL, "allow \"c *:3 w\" would be gone when systemd reloads: it knows no minor number of all devices" },
};

static void make_layout(struct cg_layout *l, bool v2)
{
	*l = (struct cg_layout){ .mode = v2 ? CG_MODE_V2 : CG_MODE_V1, .n = 1 };
	l->h[0].v2 = v2;
	strcpy(l->h[0].dir, v2 ? "" : "devices");
	strcpy(l->h[0].controllers, v2 ? " cpu memory pids " : " devices ");
}

START_TEST(test_device_lists)
{
	struct cg_devices d = { .v = (struct cg_device_rule *)(uintptr_t)device_lists[_i].v, .n = device_lists[_i].n, .origin = "x" };
	struct cg_props props = { 0 };
	struct oci_arena a = { 0 };
	struct cg_layout l;
	struct err e = { 0 };

	make_layout(&l, true);
	ck_assert_int_eq(cg_props_from_devices(&l, &d, &a, &props, &e), 0);
	ck_assert_uint_eq(props.n, 0); /* v2: our program is enough */
	make_layout(&l, false);
	int r = cg_props_from_devices(&l, &d, &a, &props, &e);
	if (device_lists[_i].props) {
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(print_props(&props, &a), device_lists[_i].props);
		ck_assert_str_eq(props.v[0].origin, "linux.resources.devices");
	} else {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_str_eq(e.msg, device_lists[_i].message);
		ck_assert_str_eq(e.path, "linux.resources.devices");
	}
	oci_arena_release(&a);
}
END_TEST

static const struct {
	const char *name, *value, *props; /* NULL: an error */
} annotations[] = {
	{ "KillSignal", "15", "KillSignal i 15; " },
	{ "TimeoutStopUSec", "uint64 90000000", "TimeoutStopUSec t 90000000; " },
	{ "TimeoutStopSec", "1.5", "TimeoutStopUSec t 1500000; " },
	{ "TimeoutStopSec", "uint64 90", "TimeoutStopUSec t 90000000; " },
	{ "CollectMode", "'inactive'", "CollectMode s inactive; " },
	{ "SendSIGHUP", "true", "SendSIGHUP b true; " },
	{ "After", "['a.service', \"b.service\"]", "After as a.service b.service; " },
	{ "After", "[]", "After as ; " },
	{ "MemoryHigh", "uint64 4096", "MemoryHigh t 4096; " },
	/* would reach further than the container */
	{ "SuccessAction", "'poweroff-force'", "" },
	{ "FailureAction", "'reboot'", "" },
	{ "OnFailure", "['evil.service']", "" },
	{ "Wants", "['evil.service']", "" },
	{ "ExecStopPost", "'x'", "" },
	{ "Slice", "'system.slice'", "" },
	{ "Delegate", "false", "" },
	{ "PIDs", "['1']", "" },
	/* not understood */
	{ "KillSignal", "fifteen", NULL },
	{ "KillSignal", "", NULL },
	{ "CollectMode", "'inactive", NULL },
	{ "CollectMode", "'a' 'b'", NULL },
	{ "After", "['a' 'b']", NULL },
	{ "After", "['a', 'b'", NULL },
	{ "After", "['a b']", NULL },
	{ "After", "['a'] x", NULL },
	{ "TimeoutStopSec", "-1", NULL },
	{ "TimeoutStopSec", "nan", NULL },
	{ "Bad-Name", "1", NULL },
	{ "lower", "1", NULL },
	{ "", "1", NULL },
};

static int read_annotation(const char *name, const char *value, const char *const *allowed, struct oci_arena *a, struct cg_props *ret, struct err *e)
{
	struct oci_kv entry = { .key = oci_arena_printf(a, "org.systemd.property.%s", name), .value = value };
	struct oci_map map = { .v = &entry, .n = 1 };

	return cg_props_from_annotations(&map, allowed, a, ret, e);
}

START_TEST(test_annotations)
{
	struct cg_props props = { 0 };
	struct oci_arena a = { 0 };
	struct err e = { 0 };
	int r = read_annotation(annotations[_i].name, annotations[_i].value, NULL, &a, &props, &e);

	if (annotations[_i].props) {
		ck_assert_msg(r == 0, "%s", e.msg);
		ck_assert_str_eq(print_props(&props, &a), annotations[_i].props);
	} else {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_ptr_nonnull(strstr(e.path, "annotations[\"org.systemd.property."));
	}
	oci_arena_release(&a);
}
END_TEST

START_TEST(test_allowed_annotation)
{
	static const char *const allowed[] = { "org.systemd.property.Wants", NULL }, *const all[] = { "org.systemd.*", NULL };
	struct cg_props props = { 0 };
	struct oci_arena a = { 0 };
	struct err e = { 0 };

	ck_assert_int_eq(read_annotation("Wants", "['a.service']", allowed, &a, &props, &e), 0);
	ck_assert_str_eq(print_props(&props, &a), "Wants as a.service; ");
	ck_assert_int_eq(read_annotation("Requires", "['b.service']", allowed, &a, &props, &e), 0);
	ck_assert_int_eq(read_annotation("Conflicts", "['c.service']", all, &a, &props, &e), 0);
	ck_assert_str_eq(print_props(&props, &a), "Wants as a.service; Conflicts as c.service; ");
	oci_arena_release(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("systemd");
	TCase *t = tcase_create("pure");

	tcase_add_test(t, test_units);
	tcase_add_loop_test(t, test_bad_units, 0, ARRAY_LEN(bad_units));
	tcase_add_test(t, test_long_unit);
	tcase_add_loop_test(t, test_conversions, 0, ARRAY_LEN(conversions));
	tcase_add_test(t, test_v1_quota_with_period);
	tcase_add_loop_test(t, test_device_lists, 0, ARRAY_LEN(device_lists));
	tcase_add_loop_test(t, test_annotations, 0, ARRAY_LEN(annotations));
	tcase_add_test(t, test_allowed_annotation);
	suite_add_tcase(s, t);
	return unit_run(s);
}
