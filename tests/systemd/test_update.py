# SPDX-License-Identifier: Apache-2.0
"""update with the systemd driver that fails half-way: every file, and every property as systemd tells it, is as before. On cgroup v1 and v2."""
import json
import re

import pytest
from conftest import systemctl
from harness import snapshot
from harness.limits import changed, limits
from harness.needs import has, needs
from harness.strace import strace

pytestmark = [needs("systemd"), needs("strace"), pytest.mark.timeout(180)]
MiB = 1 << 20
SLEEP = ["/bin/sleep", "1000"]
MEMORY = has("the controller memory")
CPUSET = {"cpus": "0", "mems": "0"} if has("the controller cpuset") else {}  # on v2 it can't be made to say nothing again
WITHOUT = {"cpu": CPUSET}
WITH = {**({"memory": {"limit": 64 * MiB, "swap": 64 * MiB, "reservation": 16 * MiB}} if MEMORY else {}), "pids": {"limit": 42},
        "cpu": {"shares": 512, "quota": 33333, "period": 100000, "burst": 0, **CPUSET}}
WANTED = {**({"memory": {"limit": 96 * MiB, "swap": 128 * MiB, "reservation": 32 * MiB}} if MEMORY else {}), "pids": {"limit": 33},
          "cpu": {"shares": 256, "quota": 30000, "period": 60000, "burst": 10000, **CPUSET}}
# What changes by itself: counters, times, and files of systemd's own.
VOLATILE = re.compile(r".*(Current|Peak|Available|NSec|Bytes|Operations|Timestamp|TimestampMonotonic)|DropInPaths|NeedDaemonReload|EffectiveCPUs|EffectiveMemoryNodes")


def scope(c):
    """Where the cgroup is in every hierarchy."""
    return f"/system.slice/{c.unit}"


def properties(c):
    lines = (line.split("=", 1) for line in systemctl("show", c.unit).splitlines())
    found = {name: value for name, value in lines if not VOLATILE.fullmatch(name)}
    assert {"TasksMax", "CPUQuotaPerSecUSec", "Slice"} <= set(found)
    return found


def different(before, after):
    return {name: (before.get(name), after.get(name)) for name in {*before, *after} if before.get(name) != after.get(name)}


def touched(c):
    """The files that the update changes: hierarchy's directory and name."""
    before = limits(scope(c))
    c.runtime("update", "-r", "-", c.id, text=json.dumps(WANTED))
    after = limits(scope(c))
    return [key for key in before if before[key] != after[key]]


def path_of(c, hierarchy, name):
    return next(h for h in snapshot.hierarchies() if h.name == hierarchy) / scope(c).lstrip("/") / name


# Each file is written before systemd is told, and once more after it, since systemd rounds.
@pytest.mark.parametrize("made_with,when", [(WITHOUT, 1), (WITH, 1), (WITH, 2)], ids=["no limits before", "limits before", "once systemd has been told"])
def test_each_write_failing_in_turn(container, hull, made_with, when):
    c = container(args=SLEEP, linux={"resources": made_with})
    c.detach()
    files = touched(c)
    assert len(files) >= 5
    c.delete("--force")
    c.detach()
    before, told = limits(scope(c)), properties(c)
    for hierarchy, name in files:
        inject = strace("-o", "/dev/null", "-P", path_of(c, hierarchy, name), "-e", "trace=write", "-e", f"inject=write:error=EIO:when={when}")
        r = hull.call("update", "-r", "-", c.id, text=json.dumps(WANTED), wrap=inject)
        assert r.rc == 1 and f"write {name} = " in r.err and "input/output error" in r.err and "nothing is changed" in r.err, (name, r)
        assert "could not be put back" not in r.err, (name, r)
        assert changed(before, limits(scope(c))) == {}, name
        assert different(told, properties(c)) == {}, name
    hull("update", "-r", "-", c.id, text=json.dumps(WANTED))
    assert path_of(c, *next(f for f in files if f[1] == "pids.max")).read_text() == "33\n"
    assert different(told, properties(c))["TasksMax"][1] == "33"
