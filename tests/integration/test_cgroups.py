# SPDX-License-Identifier: Apache-2.0
"""Control groups: limits as the files show them, device rules as the container feels them, complete removal."""
import os
import re
from pathlib import Path

import pytest
from harness import snapshot
from harness.fixtures import BY_ROOT_AND_DELEGATED_USER
from harness.runtime import cgroup_dir, is_v1, wait_for
from harness.config import DELETE, namespaces
from harness.needs import needs, skip_without_file

pytestmark = pytest.mark.kernel
SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
MEMORY = "the controller memory"

DISK = next((dev.read_text().strip() for dev in sorted(Path("/sys/block").glob("*/dev"))), None)


def throttle(key, v1_name, v2_key, rate=MiB):
    """A row of LIMITS."""
    major, minor = map(int, DISK.split(":"))
    v2 = " ".join(f"{k}={rate if k == v2_key else 'max'}" for k in ("rbps", "wbps", "riops", "wiops"))
    return ({"blockIO": {key: [{"major": major, "minor": minor, "rate": rate}]}}, ("blkio", f"blkio.throttle.{v1_name}_device", f"{DISK} {rate}"),
            ("io", "io.max", f"{DISK} {v2}"))


# resource → value, v1 (controller, file, text), v2 (controller, file, text); None: that version has no such property
LIMITS = [
    ({"memory": {"limit": 64 * MiB}}, ("memory", "memory.limit_in_bytes", str(64 * MiB)), ("memory", "memory.max", str(64 * MiB))),
    ({"memory": {"limit": -1}}, ("memory", "memory.limit_in_bytes", None), ("memory", "memory.max", "max")),
    ({"memory": {"limit": 64 * MiB, "reservation": 32 * MiB}}, ("memory", "memory.soft_limit_in_bytes", str(32 * MiB)),
     ("memory", "memory.low", str(32 * MiB))),
    ({"memory": {"limit": 64 * MiB, "swap": 96 * MiB}}, ("memory", "memory.memsw.limit_in_bytes", str(96 * MiB)),
     ("memory", "memory.swap.max", str(32 * MiB))),
    ({"memory": {"swappiness": 42}}, ("memory", "memory.swappiness", "42"), None),
    ({"memory": {"disableOOMKiller": True, "limit": 64 * MiB}}, ("memory", "memory.oom_control", re.compile("oom_kill_disable 1")), None),
    ({"cpu": {"shares": 512}}, ("cpu", "cpu.shares", "512"), ("cpu", "cpu.weight", "59")),
    ({"cpu": {"quota": 50000, "period": 100000}}, ("cpu", "cpu.cfs_quota_us", "50000"), ("cpu", "cpu.max", "50000 100000")),
    ({"cpu": {"quota": 50000, "period": 200000}}, ("cpu", "cpu.cfs_period_us", "200000"), ("cpu", "cpu.max", "50000 200000")),
    ({"cpu": {"quota": 50000, "period": 100000, "burst": 20000}}, ("cpu", "cpu.cfs_burst_us", "20000"),
     ("cpu", "cpu.max.burst", "20000")),
    ({"cpu": {"quota": -1}}, ("cpu", "cpu.cfs_quota_us", "-1"), ("cpu", "cpu.max", "max 100000")),
    ({"cpu": {"idle": 1}}, ("cpu", "cpu.idle", "1"), ("cpu", "cpu.idle", "1")),
    ({"cpu": {"cpus": "0", "mems": "0"}}, ("cpuset", "cpuset.cpus", "0"), ("cpuset", "cpuset.cpus", "0")),
    ({"pids": {"limit": 42}}, ("pids", "pids.max", "42"), ("pids", "pids.max", "42")),
    ({"pids": {"limit": -1}}, ("pids", "pids.max", "max"), ("pids", "pids.max", "max")),
    ({"pids": {"limit": 0}}, ("pids", "pids.max", "0"), ("pids", "pids.max", "0")),
    *([throttle("throttleReadBpsDevice", "read_bps", "rbps"), throttle("throttleWriteBpsDevice", "write_bps", "wbps"),
       throttle("throttleReadIOPSDevice", "read_iops", "riops"), throttle("throttleWriteIOPSDevice", "write_iops", "wiops")] if DISK else []),
    ({"blockIO": {"weight": 500}}, ("blkio", "blkio.bfq.weight", "500"),
     ("io", "io.bfq.weight", "default 500") if list(snapshot.CGROUP_ROOT.glob("*/io.bfq.weight")) else ("io", "io.weight", "default 4950")),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MiB}]}, ("hugetlb", "hugetlb.2MB.limit_in_bytes", str(4 * MiB)), ("hugetlb", "hugetlb.2MB.max", str(4 * MiB))),
    ({"network": {"classID": 0x100001}}, ("net_cls", "net_cls.classid", str(0x100001)), None),
    ({"network": {"priorities": [{"name": "lo", "priority": 7}]}}, ("net_prio", "net_prio.ifpriomap", re.compile("^lo 7$", re.M)), None),
    ({"unified": {"hugetlb.2MB.max": str(4 * MiB)}}, None, ("hugetlb", "hugetlb.2MB.max", str(4 * MiB))),
    ({"unified": {"memory.high": str(64 * MiB)}}, None, ("memory", "memory.high", str(64 * MiB))),
]
NEWER = ("burst", "idle", "'pids': {'limit': 0}")  # what Debian's peers don't know


@BY_ROOT_AND_DELEGATED_USER
@pytest.mark.parametrize("resources,v1,v2", LIMITS, ids=[str(entry[0]) for entry in LIMITS])
def test_limit(container, resources, v1, v2):
    c = container(args=SLEEP, linux={"resources": resources})
    if not c.runtime.is_hull and any(word in str(resources) for word in NEWER):
        pytest.skip(f"Debian's {c.runtime.flavor} is older than this property")
    controller, name, text = v1 if v1 and (is_v1(v1[0]) or not v2) else v2
    skip_without_file(c.cgroup_file(controller, name).parent.parent / name)
    c.create()
    got = c.cgroup_file(controller, name).read_text().strip()
    if isinstance(text, re.Pattern):
        assert text.search(got), got
    elif text is not None:
        assert got == text
    else:
        assert int(got) > 1 << 60, "no limit"


def test_every_hierarchy_holds_the_container(container):
    c = container(args=SLEEP)
    c.create()
    with open(f"/proc/{c.pid}/cgroup") as f:
        lines = f.read().split()
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if controllers.startswith("name=") and not os.path.isdir(f"/sys/fs/cgroup/{controllers[5:]}"):
            continue
        if number != "0" and controllers not in ("hugetlb",):
            assert path == c.cgroup, line


@needs("a hybrid layout of cgroups")
@pytest.mark.hull_only(reason="peers leave the v2 half of a hybrid alone")
def test_the_v2_half_of_a_hybrid_is_used(container):
    c = container(args=SLEEP)
    c.create()
    with open(f"/proc/{c.pid}/cgroup") as f:
        assert f"0::{c.cgroup}" in f.read().split()


def test_pids_limit_bites(container):
    c = container(linux={"resources": {"pids": {"limit": 5}}},
                  args=["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo not reached"])
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    assert r.rc != 0 and "not reached" not in r.out
    assert "fork" in r.err


@pytest.mark.hull_only(reason="runc and youki write 1, crun nothing")
def test_pids_limit_of_zero_is_a_limit(container):
    """The program itself is there already; it can't start another."""
    c = container(linux={"resources": {"pids": {"limit": 0}}}, args=["/bin/sh", "-c", "/bin/true; echo started"])
    r = c.run(rc=2)
    assert "started" not in r.out and "fork" in r.err


@needs(MEMORY)
def test_memory_limit_kills(container):
    c = container(linux={"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}},
                  args=["/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; echo rc=$?"])
    assert "rc=137" in c.run().out


@needs(MEMORY)
def test_small_memory_limit_starts(container):
    """Limits are in force before the process exists; a start needs little."""
    container(linux={"resources": {"memory": {"limit": 4 * MiB}}}, args=["/bin/true"]).run()


def test_unlimited_cpuset_inherits(container):
    c = container(args=SLEEP)
    c.create()
    if is_v1("cpuset"):
        assert c.cgroup_file("cpuset", "cpuset.cpus").read_text().strip() != ""


# --- devices ---

DENY_ALL = {"allow": False, "access": "rwm"}
FUSE = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}


def devices(*rules):
    return {"resources": {"devices": list(rules)}}


@pytest.mark.parametrize("rules", [(), (DENY_ALL,)], ids=["absent", "deny all"])
def test_default_device_rules(container, rules):
    """mknod is allowed (the filter is at open), the usual devices are, nothing else is."""
    c = container(linux=devices(*rules) if rules else {},
                  args=["/bin/probe", "--mknod", "/kmsg", "c", "1", "11", "--mknod", "/disk", "b", "8", "0", "--open", "/kmsg",
                        "--open", "/disk", "--open", "/dev/null", "--open", "/dev/zero", "--open", "/dev/full",
                        "--open", "/dev/random", "--open", "/dev/urandom", "--write", "/dev/null"])
    seen = c.probe()
    if not rules and not c.runtime.is_hull:
        pytest.skip("peers leave everything allowed when the list is absent")
    for name in ("null", "zero", "full", "random", "urandom"):
        assert seen[f"open /dev/{name}"]["errno"] == "0", name
    assert seen["mknod /kmsg"]["errno"] == "0"
    assert seen["open /kmsg"]["errno"] == "EPERM"
    assert seen["open /disk"]["errno"] == "EPERM"


def test_allowed_device(container):
    c = container(linux=devices(DENY_ALL, FUSE), args=["/bin/probe", "--mknod", "/fuse", "c", "10", "229", "--open", "/fuse",
                                                       "--mknod", "/mem", "c", "1", "1", "--open", "/mem"])
    seen = c.probe()
    assert seen["open /fuse"]["errno"] == "0"
    assert seen["open /mem"]["errno"] == "EPERM"


@pytest.mark.parametrize("access,read,write", [("r", "0", "EPERM"), ("w", "EPERM", "0"), ("rw", "0", "0"), ("m", "EPERM", "EPERM")])
def test_access_is_exact(container, access, read, write):
    c = container(linux=devices(DENY_ALL, {**FUSE, "access": access}),
                  args=["/bin/probe", "--mknod", "/fuse", "c", "10", "229", "--open", "/fuse", "--write", "/fuse"])
    seen = c.probe()
    assert (seen["open /fuse"]["errno"], seen["write /fuse"]["errno"]) == (read, write)


@pytest.mark.parametrize("last_allows", [False, True])
def test_rules_count_in_order(container, last_allows):
    rules = [{"allow": True, "access": "rwm"}, {**FUSE, "allow": False, "access": "rwm"}]
    c = container(linux=devices(*(reversed(rules) if last_allows else rules)), args=["/bin/probe", "--open", "/fuse"])
    os.mknod(c.bundle.rootfs / "fuse", 0o20666, os.makedev(FUSE["major"], FUSE["minor"]))
    assert c.probe()["open /fuse"]["errno"] == ("0" if last_allows else "EPERM")


def test_a_device_node_of_the_image_is_filtered(container):
    c = container(args=["/bin/probe", "--open", "/disk", "--open", "/kmsg"], linux=devices(DENY_ALL))
    os.mknod(c.bundle.rootfs / "disk", 0o60666, os.makedev(254, 0))
    os.mknod(c.bundle.rootfs / "kmsg", 0o20666, os.makedev(1, 11))
    seen = c.probe()
    assert seen["open /disk"]["errno"] == seen["open /kmsg"]["errno"] == "EPERM"


# --- paths, removal ---

def test_path_absent(container):
    c = container(args=SLEEP, linux={"cgroupsPath": DELETE})
    c.create()
    with open(f"/proc/{c.pid}/cgroup") as f:
        path = next(line.strip().split(":", 2)[2] for line in f if ":pids:" in line or line.startswith("0::"))
    assert c.id in path
    c.delete("--force")
    assert not (cgroup_dir("pids") / path.lstrip("/")).exists()


@pytest.mark.hull_only(reason="peers differ from each other")
def test_relative_path_means_the_same_place_each_time(container):
    places = []
    for _ in range(2):
        c = container(args=SLEEP, linux={"cgroupsPath": f"{snapshot.TAG}-relative"})
        c.create()
        with open(f"/proc/{c.pid}/cgroup") as f:
            places.append(next(line.split(":", 2)[2] for line in f if ":pids:" in line or line.startswith("0::")))
        c.delete("--force")
    assert places[0] == places[1]


@pytest.mark.hull_only(reason="runc cleans such paths, crun takes them")
@pytest.mark.parametrize("path", ["/../x", "/a/../../x", "/a/./b", "/", "/" + "x" * 5000, "/a\nb", "/" + "a/" * 3000],
                         ids=["dotdot", "climbs out", "dot", "root", "long name", "newline", "long"])
def test_bad_paths(container, path):
    container(linux={"cgroupsPath": path}).fails("create", match=r'(?s:config\.json: linux\.cgroupsPath: .*)')


def test_removal_takes_sub_cgroups(container):
    c = container(args=SLEEP)
    c.detach()
    top = [h / c.cgroup.lstrip("/") for h in snapshot.hierarchies() if (h / c.cgroup.lstrip("/")).is_dir()]
    assert top
    for d in top:
        (d / "sub/deeper").mkdir(parents=True)
    c.kill("KILL")
    c.wait("stopped")
    c.delete()
    assert [d for d in top if d.exists()] == []


def test_force_kills_what_hides_in_a_sub_cgroup(container):
    c = container(args=["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], linux={"namespaces": namespaces("pid")})
    c.detach()
    c.wait_output("\n")
    child = int(c.output())
    sub = c.cgroup_file("pids", "sub")
    sub.mkdir()
    (sub / "cgroup.procs").write_text(str(child))
    c.delete("--force")
    wait_for(lambda: snapshot.process(child) is None, 3, "the process in the sub-cgroup to end")


def test_parents_that_were_there_stay(container, parent_cgroup):
    container(args=["/bin/true"]).run()
    assert (cgroup_dir("pids") / parent_cgroup.lstrip("/")).is_dir()


def test_intermediate_directories(container, parent_cgroup):
    """What create made, delete removes (it may keep what it shares)."""
    c = container(args=["/bin/true"], linux={"cgroupsPath": f"{parent_cgroup}/middle-{os.getpid()}/leaf"})
    c.run()
    for h in snapshot.hierarchies():
        middle = h / parent_cgroup.lstrip("/") / f"middle-{os.getpid()}"
        assert not (middle / "leaf").exists()
        if middle.exists():
            middle.rmdir()


@pytest.mark.hull_only(reason="properties that have no file are an error; peers differ")
@pytest.mark.parametrize("resources,path", [
    ({"memory": {"kernel": 1 << 30}}, "linux.resources.memory.kernel"),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "linux.resources.rdma"),
    pytest.param({"network": {"classID": 1048577}}, "linux.resources.network.classID", marks=needs("no net_cls hierarchy")),
    pytest.param({"unified": {"memory.high": "1000000"}}, "linux.resources.unified", marks=needs("no memory controller on cgroup v2")),
    ({"hugepageLimits": [{"pageSize": "../../../x", "limit": 1}]}, "linux.resources.hugepageLimits[0].pageSize"),
    pytest.param({"memory": {"limit": 64 * MiB, "swap": 32 * MiB}}, "linux.resources.memory.swap", marks=needs(MEMORY)),
    ({"cpu": {"cpus": "999"}}, "linux.resources.cpu.cpus"),
    ({"cpu": {"cpus": "0-x"}}, "linux.resources.cpu.cpus"),
    ({"cpu": {"quota": 100000, "period": 1}}, "linux.resources.cpu.period"),
    ({"cpu": {"quota": 999, "period": 100000}}, "linux.resources.cpu.quota"),
    ({"cpu": {"quota": 50000, "burst": 60000}}, "linux.resources.cpu.burst"),
])
def test_resources_that_cannot_be_had(container, resources, path):
    """Never in silence: the error names the property; nothing is left (the host snapshot sees to that)."""
    c = container(linux={"resources": resources})
    r = c.runtime.call("create", "--bundle", c.bundle.path, c.id)
    assert r.rc == 1, "accepted"
    assert re.fullmatch(rf"hull: .*{re.escape(path)}.*\n", r.err), r.err
    assert c.id not in c.runtime.ids()


def test_a_cgroup_of_somebody_else_is_not_taken(container, parent_cgroup):
    """SEC-59 (1): a path that holds processes of others is refused; they live on."""
    first = container(args=SLEEP)
    first.detach()
    c = container(args=["/bin/true"], linux={"cgroupsPath": first.cgroup})
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    assert first.status() == "running"
    if c.runtime.is_hull:
        assert r.rc == 1
        assert re.fullmatch(r"hull: .*linux\.cgroupsPath.*\n", r.err), r.err
