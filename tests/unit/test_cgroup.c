/* SPDX-License-Identifier: Apache-2.0 */
/* src/cgroup without a host: paths, layouts, and every property of linux.resources as writes on v1, v2 and hybrid. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "cgroup/internal.h"
#include "ocispec/ocispec.h"
#include "unit.h"

#define ALL_V1 "cpu,cpuacct|cpuset|memory|pids|blkio|devices|freezer|hugetlb|net_cls,net_prio|rdma|name=systemd"

/* "cpu,cpuacct|memory" as v1 hierarchies, `v2` (NULL: none) as controllers of the v2 one. */
static struct cg_layout make_layout(const char *v1, const char *v2)
{
	struct cg_layout l = { .mode = CG_MODE_NONE };

	while (v1 && *v1) {
		struct cg_hier *h = &l.h[l.n++];
		int n = (int)strcspn(v1, "|");

		snprintf(h->dir, sizeof(h->dir), "%.*s", n, v1);
		snprintf(h->controllers, sizeof(h->controllers), " %.*s ", n, v1);
		for (char *p = h->controllers; *p; p++)
			*p = *p == ',' ? ' ' : *p;
		l.mode = CG_MODE_V1;
		v1 += n + (v1[n] != '\0');
	}
	if (v2) {
		struct cg_hier *h = &l.h[l.n++];

		h->v2 = true;
		snprintf(h->dir, sizeof(h->dir), "%s", l.n > 1 ? "unified" : "");
		snprintf(h->controllers, sizeof(h->controllers), " %s ", v2);
		l.mode = l.n > 1 ? CG_MODE_HYBRID : CG_MODE_V2;
	}
	return l;
}

enum which { V1,
	     V2,
	     HYBRID,
	     V1_BARE,
	     V2_BARE,
	     NONE,
	     WHICH_MAX };

static struct cg_layout layout_of(enum which w)
{
	static const struct {
		const char *v1, *v2;
	} layouts[] = {
		[V1] = { ALL_V1, NULL },
		[V2] = { NULL, "cpuset cpu io memory hugetlb pids rdma misc" },
		[HYBRID] = { "cpu|cpuacct|cpuset|memory|devices|freezer|name=systemd", "hugetlb io pids" },
		[V1_BARE] = { "freezer", NULL },
		[V2_BARE] = { NULL, "" },
		[NONE] = { NULL, NULL },
	};

	return make_layout(layouts[w].v1, layouts[w].v2);
}

/* "DIR/FILE=VALUE (or ALT=VALUE) late", one line each. */
static void print_writes(const struct cg_layout *l, const struct cg_writes *w, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < w->n; i++) {
		const struct cg_write *x = &w->v[i];

		ck_assert_int_ge(x->hier, 0);
		ck_assert_int_lt(x->hier, (int)l->n);
		ck_assert_msg(str_starts(x->origin, "linux.resources."), "origin %s", x->origin);
		n += (size_t)snprintf(buf + n, size - n, "%s%s/%s=%s", n ? "\n" : "", l->h[x->hier].dir, x->file,
				      x->value);
		if (x->alt_file)
			n += (size_t)snprintf(buf + n, size - n, " or %s=%s", x->alt_file, x->alt_value);
		n += (size_t)snprintf(buf + n, size - n, "%s", x->when == CG_LATE ? " late" : "");
		ck_assert_uint_lt(n, size);
	}
}

/* `expect` is the list, or "! JSON.PATH: words of the message". */
struct row {
	const char *json;
	enum which layout;
	const char *expect;
	unsigned helpers;
};

static const struct row cpu_rows[] = {
	{ "{\"cpu\":{\"shares\":1024}}", V1, "cpu,cpuacct/cpu.shares=1024", 0 },
	{ "{\"cpu\":{\"shares\":1024}}", V2, "/cpu.weight=100", 0 },
	{ "{\"cpu\":{\"shares\":1024}}", HYBRID, "cpu/cpu.shares=1024", 0 },
	{ "{\"cpu\":{\"shares\":2}}", V2, "/cpu.weight=1", 0 },
	{ "{\"cpu\":{\"shares\":262144}}", V2, "/cpu.weight=10000", 0 },
	{ "{\"cpu\":{\"shares\":512}}", V2, "/cpu.weight=59", 0 },
	{ "{\"cpu\":{\"shares\":0}}", V1, "", 0 },
	{ "{\"cpu\":{\"shares\":0}}", V2_BARE, "", 0 },
	{ "{\"cpu\":{}}", NONE, "", 0 },
	{ "{\"cpu\":{\"quota\":50000,\"period\":100000}}", V1,
	  "cpu,cpuacct/cpu.cfs_period_us=100000\ncpu,cpuacct/cpu.cfs_quota_us=50000", 0 },
	{ "{\"cpu\":{\"quota\":50000,\"period\":100000}}", V2, "/cpu.max=50000 100000", 0 },
	{ "{\"cpu\":{\"quota\":50000}}", V2, "/cpu.max=50000", 0 },
	{ "{\"cpu\":{\"quota\":50000}}", V1, "cpu,cpuacct/cpu.cfs_quota_us=50000", 0 },
	{ "{\"cpu\":{\"period\":50000}}", V2, "/cpu.max=max 50000", 0 },
	{ "{\"cpu\":{\"period\":50000}}", V1, "cpu,cpuacct/cpu.cfs_period_us=50000", 0 },
	{ "{\"cpu\":{\"quota\":-1}}", V1, "cpu,cpuacct/cpu.cfs_quota_us=-1", 0 },
	{ "{\"cpu\":{\"quota\":-1,\"period\":20000}}", V2, "/cpu.max=max 20000", 0 },
	{ "{\"cpu\":{\"quota\":0}}", V2, "/cpu.max=max", 0 },
	{ "{\"cpu\":{\"quota\":0}}", V1, "cpu,cpuacct/cpu.cfs_quota_us=-1", 0 },
	{ "{\"cpu\":{\"quota\":10000}}", V2, "/cpu.max=10000", 0 },
	{ "{\"cpu\":{\"quota\":9999}}", V2, "/cpu.max=9999 late", 0 },
	{ "{\"cpu\":{\"quota\":9999}}", V1, "cpu,cpuacct/cpu.cfs_quota_us=9999 late", 0 },
	{ "{\"cpu\":{\"quota\":1000,\"period\":10001}}", V2, "/cpu.max=1000 10001 late", 0 },
	{ "{\"cpu\":{\"quota\":1000,\"period\":10000}}", V2, "/cpu.max=1000 10000", 0 },
	{ "{\"cpu\":{\"quota\":1000,\"burst\":500}}", V2, "/cpu.max=1000 late\n/cpu.max.burst=500 late", 0 },
	{ "{\"cpu\":{\"quota\":1000,\"burst\":500}}", V1,
	  "cpu,cpuacct/cpu.cfs_quota_us=1000 late\ncpu,cpuacct/cpu.cfs_burst_us=500 late", 0 },
	{ "{\"cpu\":{\"quota\":60000,\"burst\":500}}", V1,
	  "cpu,cpuacct/cpu.cfs_quota_us=60000\ncpu,cpuacct/cpu.cfs_burst_us=500", 0 },
	{ "{\"cpu\":{\"idle\":1,\"shares\":2}}", V2, "/cpu.weight=1\n/cpu.idle=1", 0 },
	{ "{\"cpu\":{\"idle\":0}}", V1, "cpu,cpuacct/cpu.idle=0", 0 },
	{ "{\"cpu\":{\"realtimePeriod\":1000000,\"realtimeRuntime\":5000}}", V1,
	  "cpu,cpuacct/cpu.rt_period_us=1000000\ncpu,cpuacct/cpu.rt_runtime_us=5000", 0 },
	{ "{\"cpu\":{\"realtimeRuntime\":5000}}", V2,
	  "! linux.resources.cpu.realtimeRuntime: cgroup v2 has no realtime", 0 },
	{ "{\"cpu\":{\"realtimePeriod\":5000}}", V2, "! linux.resources.cpu.realtimePeriod: controller cpu", 0 },
	{ "{\"cpu\":{\"cpus\":\"0-3,7\",\"mems\":\"0\"}}", V1, "cpuset/cpuset.cpus=0-3,7\ncpuset/cpuset.mems=0", 0 },
	{ "{\"cpu\":{\"cpus\":\"0-3,7\",\"mems\":\"0\"}}", V2, "/cpuset.cpus=0-3,7\n/cpuset.mems=0", 0 },
	{ "{\"cpu\":{\"cpus\":\"\",\"mems\":\"\"}}", NONE, "", 0 },
	{ "{\"cpu\":{\"shares\":5}}", V1_BARE,
	  "! linux.resources.cpu.shares: needs the controller cpu: no mounted cgroup v1", 0 },
	{ "{\"cpu\":{\"cpus\":\"0\"}}", V2_BARE,
	  "! linux.resources.cpu.cpus: needs the controller cpuset: the cgroup v2 hierarchy", 0 },
	{ "{\"cpu\":{\"quota\":5000}}", NONE,
	  "! linux.resources.cpu.quota: needs the controller cpu: no cgroup hierarchy is mounted", 0 },
};

static const struct row memory_rows[] = {
	{ "{\"memory\":{\"limit\":67108864}}", V1, "memory/memory.limit_in_bytes=67108864", 0 },
	{ "{\"memory\":{\"limit\":67108864}}", V2, "/memory.max=67108864", 0 },
	{ "{\"memory\":{\"limit\":67108864}}", HYBRID, "memory/memory.limit_in_bytes=67108864", 0 },
	{ "{\"memory\":{\"limit\":-1}}", V1, "memory/memory.limit_in_bytes=-1", 0 },
	{ "{\"memory\":{\"limit\":-1}}", V2, "/memory.max=max\n/memory.swap.max=max", 0 },
	{ "{\"memory\":{\"limit\":-1,\"swap\":-1}}", V2, "/memory.max=max\n/memory.swap.max=max", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":300}}", V1,
	  "memory/memory.limit_in_bytes=100\nmemory/memory.memsw.limit_in_bytes=300", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":300}}", V2, "/memory.max=100\n/memory.swap.max=200", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":100}}", V2, "/memory.max=100\n/memory.swap.max=0", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":-1}}", V1,
	  "memory/memory.limit_in_bytes=100\nmemory/memory.memsw.limit_in_bytes=-1", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":-1}}", V2, "/memory.max=100\n/memory.swap.max=max", 0 },
	{ "{\"memory\":{\"swap\":-1}}", V2, "/memory.swap.max=max", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":99}}", V1,
	  "! linux.resources.memory.swap: can't be less than the limit of memory, 100", 0 },
	{ "{\"memory\":{\"limit\":100,\"swap\":99}}", V2,
	  "! linux.resources.memory.swap: can't be less than the limit of memory, 100", 0 },
	{ "{\"memory\":{\"swap\":99}}", V1, "! linux.resources.memory.swap: without a limit of memory", 0 },
	{ "{\"memory\":{\"swap\":99}}", V2, "! linux.resources.memory.swap: without a limit of memory", 0 },
	{ "{\"memory\":{\"limit\":-1,\"swap\":99}}", V2, "! linux.resources.memory.swap: without a limit of memory",
	  0 },
	{ "{\"memory\":{\"reservation\":42}}", V1, "memory/memory.soft_limit_in_bytes=42", 0 },
	{ "{\"memory\":{\"reservation\":42}}", V2, "/memory.low=42", 0 },
	{ "{\"memory\":{\"reservation\":-1}}", V2, "/memory.low=max", 0 },
	{ "{\"memory\":{\"kernel\":42}}", V1, "memory/memory.kmem.limit_in_bytes=42", 0 },
	{ "{\"memory\":{\"kernel\":42}}", V2, "! linux.resources.memory.kernel: controller memory", 0 },
	{ "{\"memory\":{\"kernel\":-1}}", V2, "", 0 },
	{ "{\"memory\":{\"kernelTCP\":42}}", V1, "memory/memory.kmem.tcp.limit_in_bytes=42", 0 },
	{ "{\"memory\":{\"kernelTCP\":42}}", V2, "! linux.resources.memory.kernelTCP: controller memory", 0 },
	{ "{\"memory\":{\"swappiness\":60}}", V1, "memory/memory.swappiness=60", 0 },
	{ "{\"memory\":{\"swappiness\":60}}", V2, "! linux.resources.memory.swappiness: no swappiness", 0 },
	{ "{\"memory\":{\"disableOOMKiller\":true}}", V1, "memory/memory.oom_control=1", 0 },
	{ "{\"memory\":{\"disableOOMKiller\":false}}", V1, "memory/memory.oom_control=0", 0 },
	{ "{\"memory\":{\"disableOOMKiller\":true}}", V2,
	  "! linux.resources.memory.disableOOMKiller: can't switch the OOM killer off", 0 },
	{ "{\"memory\":{\"disableOOMKiller\":false}}", V2, "", 0 },
	{ "{\"memory\":{\"disableOOMKiller\":false}}", NONE, "", 0 },
	{ "{\"memory\":{\"useHierarchy\":true}}", V1, "", 0 },
	{ "{\"memory\":{\"useHierarchy\":true}}", V2, "", 0 },
	{ "{\"memory\":{\"useHierarchy\":false}}", V1, "! linux.resources.memory.useHierarchy: hierarchically", 0 },
	{ "{\"memory\":{\"useHierarchy\":false}}", V2, "! linux.resources.memory.useHierarchy: hierarchically", 0 },
	{ "{\"memory\":{\"reservation\":1}}", V1_BARE,
	  "! linux.resources.memory.reservation: needs the controller memory", 0 },
};

static const struct row pids_rows[] = {
	{ "{\"pids\":{\"limit\":64}}", V1, "pids/pids.max=64", 0 },
	{ "{\"pids\":{\"limit\":64}}", V2, "/pids.max=64", 0 },
	{ "{\"pids\":{\"limit\":64}}", HYBRID, "unified/pids.max=64", 0 },
	{ "{\"pids\":{\"limit\":-1}}", V1, "pids/pids.max=max", 0 },
	{ "{\"pids\":{\"limit\":-5}}", V2, "/pids.max=max", 3 },
	{ "{\"pids\":{\"limit\":0}}", V2, "/pids.max=0 late", 0 },
	{ "{\"pids\":{\"limit\":1}}", V2, "/pids.max=1", 0 },
	{ "{\"pids\":{\"limit\":1}}", V2, "/pids.max=1 late", 1 },
	{ "{\"pids\":{\"limit\":2}}", V2, "/pids.max=2", 1 },
	{ "{\"pids\":{\"limit\":2}}", V1, "pids/pids.max=2 late", 2 },
	{ "{\"pids\":{\"limit\":5}}", V1_BARE, "! linux.resources.pids.limit: needs the controller pids", 0 },
};

static const struct row io_rows[] = {
	{ "{\"blockIO\":{\"weight\":500}}", V1, "blkio/blkio.bfq.weight=500", 0 },
	{ "{\"blockIO\":{\"weight\":500}}", V2, "/io.bfq.weight=500 or io.weight=4950", 0 },
	{ "{\"blockIO\":{\"weight\":10}}", V2, "/io.bfq.weight=10 or io.weight=1", 0 },
	{ "{\"blockIO\":{\"weight\":1000}}", HYBRID, "unified/io.bfq.weight=1000 or io.weight=10000", 0 },
	{ "{\"blockIO\":{\"weight\":0}}", V2, "", 0 },
	{ "{\"blockIO\":{\"leafWeight\":500}}", V1, "! linux.resources.blockIO.leafWeight: no leaf weights since 5.0",
	  0 },
	{ "{\"blockIO\":{\"leafWeight\":500}}", V2, "! linux.resources.blockIO.leafWeight: controller io", 0 },
	{ "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":20}]}}", V1,
	  "blkio/blkio.bfq.weight_device=8:0 20", 0 },
	{ "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":20}]}}", V2,
	  "/io.bfq.weight=8:0 20 or io.weight=8:0 102", 0 },
	{ "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"leafWeight\":20}]}}", V2,
	  "! linux.resources.blockIO.weightDevice[0].leafWeight: no leaf weights", 0 },
	{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":600}]}}", V1,
	  "blkio/blkio.throttle.read_bps_device=8:1 600", 0 },
	{ "{\"blockIO\":{\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":600}]}}", V1,
	  "blkio/blkio.throttle.write_bps_device=8:1 600", 0 },
	{ "{\"blockIO\":{\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":0}]}}", V1,
	  "blkio/blkio.throttle.read_iops_device=8:1 0", 0 },
	{ "{\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":6}]}}", V1,
	  "blkio/blkio.throttle.write_iops_device=8:1 6", 0 },
	{ "{\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":4294967296}]}}", V1,
	  "blkio/blkio.throttle.write_iops_device=8:1 4294967295", 0 },
	{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":4294967296}]}}", V1,
	  "blkio/blkio.throttle.read_bps_device=8:1 4294967296", 0 },
	{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":600}],"
	  "\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":0}],"
	  "\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":7},{\"major\":9,\"minor\":0,\"rate\":18446744073709551615}],"
	  "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":8}]}}",
	  V2,
	  "/io.max=8:1 rbps=600\n/io.max=8:1 wbps=max\n/io.max=8:1 riops=7\n/io.max=9:0 riops=18446744073709551615\n/io.max=8:1 wiops=8",
	  0 },
	{ "{\"blockIO\":{\"weight\":500}}", V2_BARE, "! linux.resources.blockIO.weight: needs the controller io:", 0 },
	{ "{\"blockIO\":{\"weight\":500}}", V1_BARE,
	  "! linux.resources.blockIO.weight: needs the controller blkio:", 0 },
};

static const struct row other_rows[] = {
	{ "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":9}]}", V1,
	  "hugetlb/hugetlb.2MB.rsvd.limit_in_bytes=9\nhugetlb/hugetlb.2MB.limit_in_bytes=9", 0 },
	{ "{\"hugepageLimits\":[{\"pageSize\":\"1GB\",\"limit\":0},{\"pageSize\":\"64KB\",\"limit\":7}]}", V2,
	  "/hugetlb.1GB.rsvd.max=0\n/hugetlb.1GB.max=0\n/hugetlb.64KB.rsvd.max=7\n/hugetlb.64KB.max=7", 0 },
	{ "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":9}]}", HYBRID,
	  "unified/hugetlb.2MB.rsvd.max=9\nunified/hugetlb.2MB.max=9", 0 },
	{ "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":9}]}", V1_BARE,
	  "! linux.resources.hugepageLimits[0]: needs the controller hugetlb", 0 },
	{ "{\"network\":{\"classID\":1048577}}", V1, "net_cls,net_prio/net_cls.classid=1048577", 0 },
	{ "{\"network\":{\"classID\":1048577}}", V2,
	  "! linux.resources.network.classID: controller net_cls, which cgroup v2 doesn't know", 0 },
	{ "{\"network\":{\"classID\":1}}", HYBRID, "! linux.resources.network.classID: needs the controller net_cls",
	  0 },
	{ "{\"network\":{\"priorities\":[{\"name\":\"eth0\",\"priority\":5},{\"name\":\"lo\",\"priority\":0}]}}", V1,
	  "net_cls,net_prio/net_prio.ifpriomap=eth0 5\nnet_cls,net_prio/net_prio.ifpriomap=lo 0", 0 },
	{ "{\"network\":{\"priorities\":[{\"name\":\"eth 0\",\"priority\":5}]}}", V1,
	  "! linux.resources.network.priorities[0]: without spaces", 0 },
	{ "{\"network\":{\"priorities\":[{\"name\":\"a\\nlo\",\"priority\":5}]}}", V1,
	  "! linux.resources.network.priorities[0]: without spaces", 0 },
	{ "{\"network\":{\"priorities\":[{\"name\":\"eth0\",\"priority\":5}]}}", V2,
	  "! linux.resources.network.priorities: controller net_prio", 0 },
	{ "{\"rdma\":{\"mlx4_0\":{\"hcaHandles\":3,\"hcaObjects\":10000}}}", V1,
	  "rdma/rdma.max=mlx4_0 hca_handle=3 hca_object=10000", 0 },
	{ "{\"rdma\":{\"mlx4_0\":{\"hcaObjects\":1}}}", V2, "/rdma.max=mlx4_0 hca_object=1", 0 },
	{ "{\"rdma\":{\"m x\":{\"hcaObjects\":1}}}", V2, "! linux.resources.rdma.m x: without spaces", 0 },
	{ "{\"rdma\":{\"mlx4_0\":{\"hcaHandles\":3}}}", HYBRID,
	  "! linux.resources.rdma: needs the controller rdma: no mounted cgroup hierarchy", 0 },
};

static const struct row unified_rows[] = {
	{ "{\"unified\":{\"memory.high\":\"5000000\",\"pids.max\":\"7\"}}", V2, "/memory.high=5000000\n/pids.max=7",
	  0 },
	{ "{\"memory\":{\"limit\":100},\"unified\":{\"memory.max\":\"200\"}}", V2, "/memory.max=100\n/memory.max=200",
	  0 },
	{ "{\"unified\":{\"misc.max\":\"res 1\",\"cgroup.max.depth\":\"3\"}}", V2,
	  "/misc.max=res 1\n/cgroup.max.depth=3", 0 },
	{ "{\"unified\":{\"io.max\":\"8:0 rbps=1\\n8:16 wbps=2\\n\"}}", V2, "/io.max=8:0 rbps=1\n/io.max=8:16 wbps=2",
	  0 },
	{ "{\"unified\":{\"cpuset.cpus\":\"\"}}", V2, "/cpuset.cpus=\n", 0 },
	{ "{\"unified\":{\"memory.unheard.of\":\"1\"}}", V2, "/memory.unheard.of=1", 0 },
	{ "{\"unified\":{\"hugetlb.2MB.max\":\"0\"}}", HYBRID, "unified/hugetlb.2MB.max=0", 0 },
	{ "{\"unified\":{\"memory.max\":\"1\"}}", HYBRID,
	  "! linux.resources.unified.memory.max: no controller memory: it is on cgroup v1", 0 },
	{ "{\"unified\":{\"memory.max\":\"1\"}}", V1, "! linux.resources.unified.memory.max: no cgroup v2 hierarchy",
	  0 },
	{ "{\"unified\":{\"dmem.max\":\"1\"}}", V2, "! linux.resources.unified.dmem.max: no controller dmem", 0 },
	{ "{\"unified\":{\"memory\":\"1\"}}", V2, "! linux.resources.unified.memory: must be the name of a file", 0 },
	{ "{\"unified\":{\"memory.\":\"1\"}}", V2, "! linux.resources.unified.memory.: must be the name of a file", 0 },
	{ "{\"unified\":{\".max\":\"1\"}}", V2, "! linux.resources.unified..max: must be the name of a file", 0 },
	{ "{\"unified\":{\"cgroup.procs\":\"0\"}}", V2, "! linux.resources.unified.cgroup.procs: acts on processes",
	  0 },
	{ "{\"unified\":{\"cgroup.threads\":\"0\"}}", V2, "! linux.resources.unified.cgroup.threads: acts on processes",
	  0 },
	{ "{\"unified\":{\"cgroup.kill\":\"1\"}}", V2, "! linux.resources.unified.cgroup.kill: acts on processes", 0 },
	{ "{\"unified\":{\"cgroup.freeze\":\"1\"}}", V2, "! linux.resources.unified.cgroup.freeze: acts on processes",
	  0 },
	{ "{\"unified\":{\"cgroup.subtree_control\":\"+pids\"}}", V2,
	  "! linux.resources.unified.cgroup.subtree_control: can't hold the container's processes", 0 },
	{ "{\"unified\":{\"cgroup.type\":\"threaded\"}}", V2,
	  "! linux.resources.unified.cgroup.type: a threaded cgroup can't hold", 0 },
	{ "{}", NONE, "", 0 },
};

static void check_row(const struct row *row)
{
	struct cg_layout l = layout_of(row->layout);
	struct oci_arena a = { 0 };
	struct oci_diag d = { 0 };
	struct cg_writes w;
	struct cg_devices dev;
	struct err e = { 0 };
	char text[4096], *colon;
	struct oci_resources *r = oci_parse(&oci_resources_desc, &a, row->json, strlen(row->json), NULL, &d);

	ck_assert_msg(r != NULL, "%s: %s: %s", row->json, d.path, d.msg);
	/* Where nothing can filter devices, a container that may use all of them is what can be had. */
	static struct oci_device_rule all = { .allow = { true, true } };
	r->devices = &all;
	r->n_devices = 1;
	int err = cg_plan(&l, r, row->helpers, &a, &w, &dev, &e);
	if (row->expect[0] != '!') {
		ck_assert_msg(err == 0, "%s on layout %d: %s: %s", row->json, row->layout, e.path, e.msg);
		print_writes(&l, &w, text, sizeof(text));
		ck_assert_str_eq(text, row->expect);
	} else {
		snprintf(text, sizeof(text), "%s", row->expect + 2);
		colon = strstr(text, ": ");
		ck_assert_ptr_nonnull(colon);
		*colon = '\0';
		ck_assert_msg(err == -EINVAL && e.kind == ERR_CONFIG, "%s on layout %d: accepted", row->json,
			      row->layout);
		ck_assert_str_eq(e.path, text);
		ck_assert_msg(strstr(e.msg, colon + 2) != NULL, "%s: \"%s\" lacks \"%s\"", row->json, e.msg, colon + 2);
	}
	oci_arena_release(&a);
}

#define ROWS_TEST(name)                                      \
	START_TEST(test_##name)                              \
	{                                                    \
		for (size_t i = 0; i < ARRAY_LEN(name); i++) \
			check_row(&name[i]);                 \
	}                                                    \
	END_TEST

ROWS_TEST(cpu_rows)
ROWS_TEST(memory_rows)
ROWS_TEST(pids_rows)
ROWS_TEST(io_rows)
ROWS_TEST(other_rows)
ROWS_TEST(unified_rows)

/* Keys and sizes that the document's own checker wouldn't let through are refused here too: they become names of files. */
START_TEST(test_names_of_files)
{
	static const char *const bad_sizes[] = { "", "2", "MB", "0MB", "02MB", "2 MB", "2mb",
						 "2TB", "2MBx", "../../2MB", "-2MB", "2M", NULL };
	static const char *const bad_keys[] = {
		"", "../memory.max", "memory.max/../x", "/memory.max", "a b.c", "memory.max\n", "."
	};
	struct cg_layout l = layout_of(V2);
	struct oci_arena a = { 0 };
	struct cg_writes w;
	struct cg_devices dev;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad_sizes); i++) {
		struct oci_hugepage_limit h = { .page_size = bad_sizes[i], .limit = { true, 1 } };
		struct oci_resources r = { .hugepage_limits = &h, .n_hugepage_limits = 1 };

		ck_assert_int_eq(cg_plan(&l, &r, 0, &a, &w, &dev, &e), -EINVAL);
		ck_assert_str_eq(e.path, "linux.resources.hugepageLimits[0]");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_keys); i++) {
		struct oci_kv kv = { bad_keys[i], "1" };
		struct oci_resources r = { .unified = { &kv, 1, true } };

		ck_assert_int_eq(cg_plan(&l, &r, 0, &a, &w, &dev, &e), -EINVAL);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		ck_assert(str_starts(e.path, "linux.resources.unified."));
	}
	oci_arena_release(&a);
}
END_TEST

/* Against the formula in floating point, for every value there is. The peers' result is ⌈x⌉; where x is a whole number
 * up to rounding, either neighbour would be a matter of their libm. */
START_TEST(test_shares_to_weight)
{
	ck_assert_uint_eq(cg_shares_to_weight(0), 1);
	ck_assert_uint_eq(cg_shares_to_weight(1024), 100);
	ck_assert_uint_eq(cg_shares_to_weight(UINT64_MAX), 10000);
	for (uint64_t s = 3; s < 262144; s++) {
		double l = log2((double)s);
		double x = pow(10, (l * l + 125 * l) / 612 - 7.0 / 34);

		if (fabs(x - round(x)) > 1e-9)
			ck_assert_msg(cg_shares_to_weight(s) == (unsigned)ceil(x), "shares %llu: %u, not %g",
				      (unsigned long long)s, cg_shares_to_weight(s), ceil(x));
		else
			ck_assert_uint_eq(cg_shares_to_weight(s), (unsigned)round(x));
	}
}
END_TEST

START_TEST(test_no_filter_is_an_error)
{
	static const enum which without[] = { V1_BARE, NONE };
	struct oci_arena a = { 0 };
	struct cg_writes w;
	struct cg_devices dev;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		struct cg_layout l = layout_of(without[i]);

		ck_assert_int_eq(cg_plan(&l, NULL, 0, &a, &w, &dev, &e), -EINVAL);
		ck_assert_str_eq(e.path, "linux.resources.devices");
		ck_assert_ptr_nonnull(strstr(e.msg, "can filter devices"));
	}
	struct cg_layout l = layout_of(V2_BARE);
	ck_assert_int_eq(cg_plan(&l, NULL, 0, &a, &w, &dev, &e), 0);
	ck_assert_uint_eq(w.n, 0);
	ck_assert_uint_gt(dev.n, 0);
	oci_arena_release(&a);
}
END_TEST

/* ---- paths ---- */

START_TEST(test_paths)
{
	static char long_ok[256], long_bad[257], very_long[CG_PATH_MAX + 10];
	static const struct {
		const char *given, *id, *expect;
	} good[] = {
		{ NULL, "c1", "/hull/c1" },
		{ "", "c1", "/hull/c1" },
		{ "/a/b", "c1", "/a/b" },
		{ "a/b", "c1", "/hull/a/b" },
		{ "/machine", "x", "/machine" },
		{ "system.slice:runc:c1", "c1", "/hull/system.slice:runc:c1" },
		{ "/..a/b..", "x", "/..a/b.." },
		{ "/kubepods/besteffort/pod1/ctr", "x", "/kubepods/besteffort/pod1/ctr" },
		{ "/\xc3\xa4", "x", "/\xc3\xa4" },
	};
	static const struct {
		const char *given, *words;
	} bad[] = {
		{ "/", "root cgroup" },
		{ "//", "empty" },
		{ "/a/", "empty" },
		{ "/a//b", "empty" },
		{ "a/", "empty" },
		{ "//a", "empty" },
		{ "/..", "\"..\"" },
		{ "..", "\"..\"" },
		{ "../x", "\"..\"" },
		{ "/a/../b", "\"..\"" },
		{ "a/../../../x", "\"..\"" },
		{ "/a/..", "\"..\"" },
		{ "/.", "\".\"" },
		{ "./a", "\".\"" },
		{ "/a/./b", "\".\"" },
		{ "/a\nb", "control" },
		{ "/a\x7f", "control" },
		{ "\x01", "control" },
		{ "/a\tb", "control" },
		{ long_bad, "255 bytes" },
		{ very_long, "longer than" },
	};
	char buf[CG_PATH_MAX];
	struct err e;

	memset(long_ok, 'x', sizeof(long_ok) - 1);
	memset(long_bad, 'x', sizeof(long_bad) - 1);
	for (size_t i = 0; i < sizeof(very_long) - 1; i++)
		very_long[i] = i % 100 ? 'x' : '/';
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_int_eq(cg_path_resolve(good[i].given, good[i].id, buf, &e), 0);
		ck_assert_str_eq(buf, good[i].expect);
	}
	ck_assert_int_eq(cg_path_resolve(long_ok, "c1", buf, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(cg_path_resolve(bad[i].given, "c1", buf, &e) == -EINVAL, "accepted \"%s\"", bad[i].given);
		ck_assert_str_eq(e.path, "linux.cgroupsPath");
		ck_assert_msg(strstr(e.msg, bad[i].words) != NULL, "\"%s\" lacks \"%s\"", e.msg, bad[i].words);
	}
	ck_assert_int_eq(cg_path_resolve(NULL, "../x", buf, &e), -EINVAL);
}
END_TEST

/* ---- layouts ---- */

START_TEST(test_layout_find)
{
	struct cg_layout l = make_layout("cpu,cpuacct|cpuset|name=systemd", "memory io");

	ck_assert_int_eq(cg_layout_find(&l, "cpu"), 0);
	ck_assert_int_eq(cg_layout_find(&l, "cpuacct"), 0);
	ck_assert_int_eq(cg_layout_find(&l, "cpuset"), 1);
	ck_assert_int_eq(cg_layout_find(&l, "io"), 3);
	ck_assert_int_eq(cg_layout_find(&l, "mem"), -1);
	ck_assert_int_eq(cg_layout_find(&l, "pu"), -1);
	ck_assert_int_eq(cg_layout_v2(&l), 3);
	l = make_layout("cpu", NULL);
	ck_assert_int_eq(cg_layout_v2(&l), -1);
}
END_TEST

START_TEST(test_layout_text)
{
	struct cg_layout l;
	struct err e;
	char nothing_mounted[] = "3:memory:/x\n1:name=systemd:/\n0::/y\n";
	char broken[] = "3:memory:/x\nno colons here\n";

	/* Lines of hierarchies that aren't mounted are no hierarchies. */
	ck_assert_int_eq(cg_layout_parse(&l, "/tmp", nothing_mounted, &e), 0);
	ck_assert_int_eq(l.mode, CG_MODE_NONE);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_int_lt(cg_layout_parse(&l, "/tmp", broken, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "/proc/self/cgroup"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("pure");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_cpu_rows);
	tcase_add_test(t, test_memory_rows);
	tcase_add_test(t, test_pids_rows);
	tcase_add_test(t, test_io_rows);
	tcase_add_test(t, test_other_rows);
	tcase_add_test(t, test_unified_rows);
	tcase_add_test(t, test_names_of_files);
	tcase_add_test(t, test_shares_to_weight);
	tcase_add_test(t, test_no_filter_is_an_error);
	tcase_add_test(t, test_paths);
	tcase_add_test(t, test_layout_find);
	tcase_add_test(t, test_layout_text);
	suite_add_tcase(s, t);
	return unit_run(s);
}
