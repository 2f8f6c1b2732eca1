# SPDX-License-Identifier: Apache-2.0
"""Transient scopes: what systemd and the kernel say of them, and that nothing stays."""
import json
import subprocess
import time

import pytest
from conftest import CGROUPS, TAG, is_loaded, show, systemctl
from harness.config import DELETE
from harness.needs import has, needs
from harness.runtime import wait_for

pytestmark = needs("systemd")
SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
v2_only = needs("a pure cgroup v2 layout")

LIMITS = {"memory": {"limit": 64 * MiB, "reservation": 32 * MiB, "swap": 64 * MiB},
          "cpu": {"shares": 512, "quota": 33333, "period": 100000, "cpus": "0", "mems": "0"},
          "pids": {"limit": 42}}
FILES = {"memory.max": str(64 * MiB), "memory.low": str(32 * MiB), "memory.swap.max": "0", "cpu.weight": "59", "cpuset.cpus": "0",
         "cpuset.mems": "0", "pids.max": "42"}
PROPERTIES = {"MemoryMax": str(64 * MiB), "MemoryLow": str(32 * MiB), "MemorySwapMax": "0", "CPUWeight": "59", "AllowedCPUs": "0",
              "AllowedMemoryNodes": "0", "TasksMax": "42", "CPUQuotaPerSecUSec": "340ms"}


def files(c, names):
    return {name: (c.directory / name).read_text().strip() for name in names}


def procs(directory):
    return (directory / "cgroup.procs").read_text().split()


@v2_only
def test_limits_are_files_and_properties(container):
    c = container(args=SLEEP, linux={"resources": LIMITS})
    c.create()
    assert procs(c.directory) == [str(c.pid)]
    assert files(c, FILES) == FILES
    assert files(c, ["cpu.max"]) == {"cpu.max": "33333 100000"}
    assert show(c.unit, *PROPERTIES) == PROPERTIES
    # systemd's own view is written anew by a reload: it is the same, but for whole percents
    systemctl("daemon-reload")
    assert files(c, FILES) == FILES
    assert files(c, ["cpu.max"]) == {"cpu.max": "34000 100000"}
    c.start()
    c.delete("--force")
    assert not c.directory.exists()
    wait_for(lambda: not is_loaded(c.unit), 10, "the unit to go")


@needs("cgroup v1")
def test_limits_on_v1(container):
    limits = {"cpu": {"shares": 512, "quota": 50000, "period": 100000}, "pids": {"limit": 42}}
    c = container(args=SLEEP, linux={"resources": limits})
    c.create()
    for line in open(f"/proc/{c.pid}/cgroup").read().split():
        number, controllers, path = line.split(":", 2)
        assert path == f"/system.slice/{c.unit}", line
    at = CGROUPS / "cpu,cpuacct/system.slice" / c.unit
    assert (at / "cpu.shares").read_text() == "512\n"
    assert (at / "cpu.cfs_quota_us").read_text() == "50000\n"
    assert (CGROUPS / "pids/system.slice" / c.unit / "pids.max").read_text() == "42\n"
    assert show(c.unit, "CPUShares", "TasksMax") == {"CPUShares": "512", "TasksMax": "42"}


def test_unit(container, hull):
    c = container(args=SLEEP)
    c.create()
    assert show(c.unit, "Slice", "Delegate", "CollectMode", "ActiveState", "Description") == {
        "Slice": "system.slice", "Delegate": "yes", "CollectMode": "inactive-or-failed", "ActiveState": "active",
        "Description": f"hull container {c.id}"}
    assert systemctl("show", c.unit, "--property=ControlGroup") == f"ControlGroup=/system.slice/{c.unit}"
    c.start()
    assert hull("exec", c.id, "/bin/true").out == ""
    c.kill("KILL")
    wait_for(lambda: c.state()["status"] == "stopped", 10, "the end")
    c.delete()
    wait_for(lambda: not is_loaded(c.unit), 10, "the unit to go")


def test_default_unit(container):
    c = container(args=SLEEP, linux={"cgroupsPath": DELETE})
    c.create()
    assert show(f"hull-{c.id}.scope", "ActiveState", "Slice") == {"ActiveState": "active", "Slice": "system.slice"}


def test_nested_slice(container):
    c = container(args=SLEEP, linux={"cgroupsPath": f"hulltest-a-b.slice:hulltest:{TAG}"})
    c.create()
    with open(f"/proc/{c.pid}/cgroup") as f:
        assert f"/hulltest.slice/hulltest-a.slice/hulltest-a-b.slice/hulltest-{TAG}.scope" in f.read()
    c.delete("--force")
    systemctl("stop", "hulltest.slice")


def test_cgroup_namespace(container):
    c = container(args=["/bin/cat", "/proc/self/cgroup"])
    paths = {line.split(":", 2)[2] for line in c.run().out.split()}
    assert paths == {"/"}


def test_again_and_again(container):
    """The unit of a container that has just gone is still being forgotten."""
    c = container(args=["/bin/true"])
    for _ in range(5):
        c.run()


def test_unit_of_somebody_else(container):
    c = container(args=SLEEP)
    other = subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={c.unit}", "sleep", "1000"], stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_loaded(c.unit), 10, "the other unit")
        c.fails("create", match=rf"create .*: the systemd unit {c.unit} exists and is active \(linux.cgroupsPath\): file exists")
        assert procs(c.directory if c.directory.exists() else CGROUPS / "systemd/system.slice" / c.unit) == [str(other.pid)]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@v2_only
def test_memory_runs_out(container):
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"],
                  linux={"resources": {"memory": {"limit": 8 * MiB, "swap": 8 * MiB}}})
    assert c.run(rc=137).err == ""
    c.run(rc=137)


@v2_only
def test_devices(container):
    c = container(args=["/bin/sh", "-c", "while ! [ -e /go ]; do sleep 0.1; done; (mknod /k c 1 11 && cat /k) 2>&1"],
                  linux={"resources": {"devices": [{"allow": False, "access": "rwm"}]}}, root={"readonly": False})
    c.create()
    c.start()
    systemctl("daemon-reload")
    (c.bundle.rootfs / "go").touch()
    wait_for(lambda: c.state()["status"] == "stopped", 10, "the end")
    assert c.output() == "cat: can't open '/k': Operation not permitted\n"


def devices_list(c):
    return sorted((CGROUPS / "devices/system.slice" / c.unit / "devices.list").read_text().splitlines())


@pytest.mark.skipif(has("a pure cgroup v2 layout"), reason="this machine lacks cgroup v1")
def test_devices_on_v1(container, hull):
    """systemd knows the rules: without them a reload would allow every device."""
    c = container(args=SLEEP, linux={"resources": {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]}})
    c.create()
    listed = devices_list(c)
    assert {"c 1:3 rwm", "c 10:229 rw", "c 136:* rwm", "c *:* m", "b *:* m"} <= set(listed) and "a *:* rwm" not in listed
    assert show(c.unit, "DevicePolicy") == {"DevicePolicy": "strict"}
    systemctl("daemon-reload")
    assert devices_list(c) == listed
    other = {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 57, "access": "r"}]}
    hull("update", "--resources", "-", c.id, text=json.dumps(other))
    listed = devices_list(c)
    assert "c 10:57 r" in listed and "c 10:229 rw" not in listed
    systemctl("daemon-reload")
    assert devices_list(c) == listed


@v2_only
def test_late_quota(container):
    c = container(args=SLEEP, linux={"resources": {"cpu": {"quota": 1000, "period": 100000}}})
    c.create()
    assert files(c, ["cpu.max"]) == {"cpu.max": "1000 100000"}
    assert show(c.unit, "CPUQuotaPerSecUSec") == {"CPUQuotaPerSecUSec": "10ms"}


@v2_only
def test_update(container, hull):
    c = container(args=SLEEP, linux={"resources": LIMITS})
    c.create()
    hull("update", "--memory", str(96 * MiB), "--memory-swap", str(96 * MiB), "--cpu-quota", "44444", "--pids-limit", "50", c.id)
    assert files(c, ["memory.max", "cpu.max", "pids.max"]) == {"memory.max": str(96 * MiB), "cpu.max": "44444 100000", "pids.max": "50"}
    assert show(c.unit, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax") == {
        "MemoryMax": str(96 * MiB), "CPUQuotaPerSecUSec": "450ms", "TasksMax": "50"}
    systemctl("daemon-reload")
    assert files(c, ["memory.max", "pids.max"]) == {"memory.max": str(96 * MiB), "pids.max": "50"}


@v2_only
def test_update_that_fails(container, hull):
    """A quota above what the kernel takes: systemd and the files have the old values."""
    c = container(args=SLEEP, linux={"resources": LIMITS})
    c.create()
    before = files(c, [*FILES, "cpu.max"])
    hull.fails("update", "--pids-limit", "50", "--cpu-period", "2000000", c.id, match=r"update .*: write cpu.max = .*")
    assert files(c, [*FILES, "cpu.max"]) == before
    assert show(c.unit, *PROPERTIES) == PROPERTIES


def test_annotations(container):
    c = container(args=SLEEP, annotations={"org.systemd.property.TimeoutStopUSec": "uint64 7000000", "org.systemd.property.KillSignal": "37",
                                           "org.systemd.property.SuccessAction": "'poweroff-force'"})
    r = c.create()
    assert show(c.unit, "TimeoutStopUSec", "KillSignal", "SuccessAction") in (
        {"TimeoutStopUSec": "7s", "KillSignal": "37"}, {"TimeoutStopUSec": "7s", "KillSignal": "37", "SuccessAction": "none"})
    assert r.err == "" or "SuccessAction" in r.err


def test_bad_path(container):
    c = container(args=SLEEP, linux={"cgroupsPath": "/plain/path"})
    c.fails("create", match=r'config.json: linux.cgroupsPath: "/plain/path" — with the systemd cgroup driver it must be SLICE:PREFIX:NAME')


@v2_only
def test_killed_creation(container, hull):
    """SIGKILL at any time leaves a record whose undo takes unit and cgroup away, or nothing."""
    c = container(args=SLEEP)
    for delay in (0.05, 0.2, 0.5, 1, 2):
        p = hull.popen("create", "--bundle", c.bundle.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        p.kill()
        p.wait()
        hull("delete", "--force", c.id)
        wait_for(lambda: not is_loaded(c.unit), 10, "the unit to go", lambda: f"after {delay} s {systemctl('status', c.unit)}")
        assert hull.ids() == []
