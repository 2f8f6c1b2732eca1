/* SPDX-License-Identifier: Apache-2.0 */
/* src/cgroup/stats*.c and src/lib/stats*.c with files of our own making: formats, sizes, what is damaged, what is missing, and the JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "cgroup/stats_internal.h"
#include "lib/stats.h"
#include "unit.h"

static char top[] = "/tmp/hull-stats-XXXXXX";
static int dfd = -1;
static struct oci_arena arena;
static struct cg_stats stats;
static struct cg_reader rd;
static struct err e;
static const char *made[64];
static size_t n_made;

static void setup(void)
{
	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	dfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dfd, 0);
	stats = (struct cg_stats){ 0 };
	e = (struct err){ 0 };
	rd = (struct cg_reader){ .dfd = dfd, .a = &arena, .s = &stats, .e = &e };
	n_made = 0;
}

static void teardown(void)
{
	for (size_t i = 0; i < n_made; i++)
		unlinkat(dfd, made[i], 0);
	fd_close(&dfd);
	ck_assert_int_eq(rmdir(top), 0);
	oci_arena_release(&arena);
}

/* `name` is a constant. */
static void file(const char *name, const char *text)
{
	scoped_fd int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, text, strlen(text)), 0);
	made[n_made++] = name;
}

START_TEST(test_v2_memory)
{
	file("memory.current", "4096\n");
	file("memory.max", "1048576\n");
	file("memory.peak", "8192\n");
	file("memory.swap.current", "100\n");
	file("memory.swap.max", "max\n");
	file("memory.stat", "anon 1\nfile 2048\n");
	file("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
	cg_stats_v2_memory(&rd);
	ck_assert_int_eq(rd.r, 0);
	ck_assert(stats.memory.has && stats.memory.swap.has && stats.memory.swap_only.has);
	ck_assert_uint_eq(stats.memory.usage.usage, 4096);
	ck_assert_uint_eq(stats.memory.usage.max, 8192);
	ck_assert_uint_eq(stats.memory.usage.failcnt, 7);
	ck_assert_uint_eq(stats.memory.swap.usage, 4196);
	ck_assert_uint_eq(stats.memory.swap.limit, CG_UNLIMITED);
	ck_assert_uint_eq(stats.memory.cache, 2048);
	ck_assert(!stats.memory.events_local.has && !stats.memory.kernel.has);
}
END_TEST

START_TEST(test_nothing_there)
{
	cg_stats_v1_cpu(&rd);
	cg_stats_v1_cpuacct(&rd);
	cg_stats_v1_cpuset(&rd);
	cg_stats_v1_memory(&rd);
	cg_stats_v1_blkio(&rd);
	cg_stats_v1_hugetlb(&rd);
	cg_stats_v2_cpu(&rd);
	cg_stats_v2_cpuset(&rd);
	cg_stats_v2_memory(&rd);
	cg_stats_v2_io(&rd);
	cg_stats_v2_hugetlb(&rd);
	cg_stats_pids(&rd);
	cg_stats_rdma(&rd);
	cg_stats_misc(&rd);
	cg_read_psi(&rd, "cpu.pressure", &stats.cpu.psi);
	ck_assert_int_eq(rd.r, 0);
	struct hull_stats s = { .id = "c1", .cg = stats };
	ck_assert_str_eq(hull_event_json("stats", "c1", &s, &arena),
			 "{\"type\":\"stats\",\"id\":\"c1\",\"data\":{\"intel_rdt\":{},\"network_interfaces\":null}}");
	ck_assert_str_eq(hull_event_json("oom", "c1", NULL, &arena), "{\"type\":\"oom\",\"id\":\"c1\"}");
}
END_TEST

/* No buffer is too small for a host with many devices. */
START_TEST(test_many_devices)
{
	enum { N = 3000 };
	char *text = malloc(N * 100), *p = text;

	for (int i = 0; i < N; i++)
		p += sprintf(p, "%d:%d rbytes=%d wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n", i / 256 + 8, i % 256, i);
	file("io.stat", text);
	free(text);
	cg_stats_v2_io(&rd);
	ck_assert_int_eq(rd.r, 0);
	ck_assert_uint_eq(stats.io.raw.n, N);
	ck_assert_uint_eq(stats.io.list[CG_IO_SERVICE_BYTES].n, 3 * N);
	ck_assert_uint_eq(stats.io.list[CG_IO_SERVICED].n, 3 * N);
	const struct cg_io_entry *last = &stats.io.list[CG_IO_SERVICE_BYTES].v[3 * N - 3];
	ck_assert_uint_eq(last->major, (N - 1) / 256 + 8);
	ck_assert_uint_eq(last->minor, (N - 1) % 256);
	ck_assert_str_eq(last->op, "Read");
	ck_assert_uint_eq(last->v, N - 1);
}
END_TEST

/* Lines that real kernels write: a device alone, words and fractions of io.cost and io.latency. */
START_TEST(test_odd_io_lines)
{
	file("io.stat", "7:0 \n8:0 rbytes=1 cost.vrate=100.00 depth=max use_delay=0 wbytes=2\n");
	cg_stats_v2_io(&rd);
	ck_assert_int_eq(rd.r, 0);
	ck_assert_uint_eq(stats.io.raw.n, 2);
	ck_assert_uint_eq(stats.io.raw.v[0].counts.n, 0);
	ck_assert_uint_eq(stats.io.raw.v[1].counts.n, 4);
	ck_assert_uint_eq(stats.io.list[CG_IO_SERVICE_BYTES].n, 2);
}
END_TEST

START_TEST(test_v1_blkio)
{
	file("blkio.bfq.io_service_bytes_recursive", "");
	file("blkio.throttle.io_service_bytes_recursive", "8:0 Read 10\n8:0 Total 10\nTotal 10\n");
	file("blkio.sectors_recursive", "8:0 20\n");
	cg_stats_v1_blkio(&rd);
	ck_assert_int_eq(rd.r, 0);
	ck_assert_uint_eq(stats.io.list[CG_IO_SERVICE_BYTES].n, 2);
	ck_assert_uint_eq(stats.io.list[CG_IO_SECTORS].n, 1);
	ck_assert_str_eq(stats.io.list[CG_IO_SECTORS].v[0].op, "");
	struct hull_stats s = { .id = "c1", .cg = stats };
	ck_assert_ptr_nonnull(strstr(hull_event_json("stats", "c1", &s, &arena),
				     "\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"op\":\"Read\",\"value\":10},"
				     "{\"major\":8,\"op\":\"Total\",\"value\":10}],\"sectorsRecursive\":[{\"major\":8,\"value\":20}]}"));
}
END_TEST

START_TEST(test_v1_hugetlb_and_v2)
{
	file("hugetlb.2MB.usage_in_bytes", "2097152\n");
	file("hugetlb.2MB.limit_in_bytes", "4194304\n");
	file("hugetlb.2MB.max_usage_in_bytes", "2097152\n");
	file("hugetlb.2MB.failcnt", "3\n");
	file("hugetlb.2MB.rsvd.usage_in_bytes", "0\n");
	cg_stats_v1_hugetlb(&rd);
	ck_assert_int_eq(rd.r, 0);
	ck_assert_uint_eq(stats.n_hugetlb, 1);
	ck_assert_str_eq(stats.hugetlb[0].size, "2MB");
	ck_assert_uint_eq(stats.hugetlb[0].usage.failcnt, 3);
	ck_assert(stats.hugetlb[0].rsvd.has);
	file("hugetlb.1GB.current", "0\n");
	file("hugetlb.1GB.max", "max\n");
	file("hugetlb.1GB.events", "max 9\n");
	cg_stats_v2_hugetlb(&rd);
	ck_assert_uint_eq(stats.n_hugetlb, 1);
	ck_assert_str_eq(stats.hugetlb[0].size, "1GB");
	ck_assert_uint_eq(stats.hugetlb[0].usage.failcnt, 9);
	ck_assert_uint_eq(stats.hugetlb[0].usage.limit, CG_UNLIMITED);
	ck_assert(!stats.hugetlb[0].rsvd.has);
}
END_TEST

static const struct {
	const char *file, *text, *error;
	void (*read)(struct cg_reader *rd);
} damaged[] = {
	{ "memory.current", "many\n", "memory.current", cg_stats_v2_memory },
	{ "cpu.stat", "usage_usec\n", "cpu.stat", cg_stats_v2_cpu },
	{ "cpu.stat", "usage_usec -1\n", "cpu.stat", cg_stats_v2_cpu },
	{ "io.stat", "sda rbytes=1\n", "io.stat", cg_stats_v2_io },
	{ "cpuset.cpus", "7-3\n", "cpuset.cpus", cg_stats_v1_cpuset },
	{ "cpuset.cpus", "0-65536\n", "cpuset.cpus", cg_stats_v1_cpuset },
	{ "blkio.throttle.io_serviced_recursive", "8 Read 1\n", "blkio.throttle", cg_stats_v1_blkio },
	{ "cpuacct.usage_all", "cpu x\n", "cpuacct.usage_all", cg_stats_v1_cpuacct },
};

/* The text is what the error shows. */
START_TEST(test_damaged)
{
	file(damaged[_i].file, damaged[_i].text);
	damaged[_i].read(&rd);
	ck_assert_int_lt(rd.r, 0);
	ck_assert_msg(strstr(e.msg, damaged[_i].error) != NULL, "%s", e.msg);
}
END_TEST

static const struct {
	const char *text;
	bool good;
} pressures[] = {
	{ "some avg10=0.12 avg60=100.00 avg300=0.00 total=18446744073709551615\n", true },
	{ "some avg10=0.12 avg60=1.00 avg300=0.00\n", false },
	{ "some avg10=1e5 avg60=1.00 avg300=0.00 total=1\n", false },
	{ "some avg10=01.00 avg60=1.00 avg300=0.00 total=1\n", false },
	{ "some avg10=1. avg60=1.00 avg300=0.00 total=1\n", false },
	{ "some avg60=1.00 avg10=1.00 avg300=0.00 total=1\n", false },
};

START_TEST(test_pressure)
{
	file("cpu.pressure", pressures[_i].text);
	cg_read_psi(&rd, "cpu.pressure", &stats.cpu.psi);
	ck_assert_int_eq(rd.r == 0, pressures[_i].good);
	ck_assert_int_eq(stats.cpu.psi.some.has, pressures[_i].good);
	ck_assert(!stats.cpu.psi.full.has);
	struct hull_stats s = { .id = "c1", .cg = stats };
	if (pressures[_i].good)
		ck_assert_ptr_nonnull(strstr(hull_event_json("stats", "c1", &s, &arena),
					     "\"cpu\":{\"psi\":{\"some\":{\"avg10\":0.12,\"avg60\":100.00,\"avg300\":0.00,"
					     "\"total\":18446744073709551615}}}"));
}
END_TEST

START_TEST(test_network)
{
	char good[] = "Inter-|   Receive          |  Transmit\n face |bytes packets|bytes\n"
		      "    lo:       1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\nveth:0: 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
	char few[] = "    lo: 1 2 3\n", words[] = " lo: a 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n";
	struct hull_stats s = { 0 };

	ck_assert_int_eq(stats_parse_net(good, &arena, &s), 0);
	ck_assert_uint_eq(s.n_net, 2);
	ck_assert_str_eq(s.net[0].name, "lo");
	ck_assert_uint_eq(s.net[0].rx_dropped, 4);
	ck_assert_uint_eq(s.net[0].tx_bytes, 5);
	ck_assert_uint_eq(s.net[0].tx_dropped, 8);
	ck_assert_str_eq(s.net[1].name, "veth:0");
	s = (struct hull_stats){ 0 };
	ck_assert_int_eq(stats_parse_net(few, &arena, &s), -EBADMSG);
	ck_assert_int_eq(stats_parse_net(words, &arena, &s), -EBADMSG);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_v2_memory);
	tcase_add_test(t, test_nothing_there);
	tcase_add_test(t, test_many_devices);
	tcase_add_test(t, test_odd_io_lines);
	tcase_add_test(t, test_v1_blkio);
	tcase_add_test(t, test_v1_hugetlb_and_v2);
	tcase_add_loop_test(t, test_damaged, 0, ARRAY_LEN(damaged));
	tcase_add_loop_test(t, test_pressure, 0, ARRAY_LEN(pressures));
	tcase_add_test(t, test_network);
}

int main(void)
{
	Suite *s = suite_create("stats");
	TCase *t = tcase_create("stats");

	add_tests(t);
	suite_add_tcase(s, t);
	return unit_run(s);
}
