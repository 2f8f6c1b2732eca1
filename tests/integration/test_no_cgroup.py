# SPDX-License-Identifier: Apache-2.0
"""--cgroup-manager disabled: no cgroup is made or touched, and no command needs one."""
import os
import re
from pathlib import Path

import pytest
from harness import snapshot
from harness.config import CGROUP, namespaces
from harness.runtime import alive, wait_for

pytestmark = pytest.mark.skipif("runc" in os.environ.get("HULL", ""), reason="runc has no such option")
DISABLED = "--cgroup-manager=disabled"
SLEEP = ["/bin/sleep", "1000"]


def cgroups_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text()


def directories():
    return {d for h in snapshot.hierarchies() for d in snapshot.below(h, directories_only=True) if snapshot.TAG in d}


@pytest.fixture
def free(hull, container):
    """free(…) → Container whose commands get the option."""
    def make(**changes):
        changes.setdefault("args", SLEEP)
        return container(**changes)
    return make


def test_life_without_a_cgroup(free, hull):
    before = directories()
    c = free()
    hull(DISABLED, "create", "--bundle", c.bundle.path, c.id)
    assert c.status() == "created"
    assert directories() == before
    hull("start", c.id)
    assert c.status() == "running"
    assert cgroups_of(c.pid) == cgroups_of("self")
    assert hull("exec", c.id, "/bin/echo", "there").out == "there\n"
    assert hull("ps", "--format", "json", c.id).json() == [c.pid]
    c.kill("KILL")
    c.wait("stopped")
    c.delete()
    assert directories() == before


def test_exec_stays_in_the_callers_cgroups(free, hull):
    c = free(linux={"namespaces": namespaces("cgroup")})
    hull(DISABLED, "run", "--detach", "--bundle", c.bundle.path, c.id)
    assert hull("exec", c.id, "/bin/cat", "/proc/self/cgroup").out == cgroups_of("self")


def test_run_in_the_foreground(free, hull):
    c = free(args=["/bin/echo", "hello"])
    assert hull(DISABLED, "run", "--bundle", c.bundle.path, c.id).out == "hello\n"


def test_device_rules_of_every_configuration_are_no_obstacle(free, hull):
    c = free(args=["/bin/true"], linux={"resources": {"devices": [{"allow": False, "access": "rwm"}]}})
    hull(DISABLED, "run", "--bundle", c.bundle.path, c.id)


LIMITS = [({"memory": {"limit": 1 << 26}}, "memory.limit"), ({"pids": {"limit": 5}}, "pids.limit"), ({"cpu": {"quota": 5000}}, "cpu.quota"),
          ({"unified": {"memory.high": "5"}}, "unified")]


@pytest.mark.hull_only(reason="crun drops limits in silence")
@pytest.mark.parametrize("resources,name", LIMITS, ids=[n for _, n in LIMITS])
def test_a_limit_is_refused(free, hull, resources, name):
    c = free(linux={"resources": resources})
    hull.fails(DISABLED, "create", "--bundle", c.bundle.path, c.id,
               match=rf"config.json: linux.resources.{name}: needs a cgroup: there is none with --cgroup-manager disabled")
    assert c.id not in hull.ids()


@pytest.mark.hull_only(reason="crun mounts the caller's cgroups writable")
def test_a_writable_cgroup_mount_would_be_the_callers(free, hull):
    """It is read-only, every mount of it, and that is said."""
    c = free(args=["/bin/sh", "-c", "grep ' /sys/fs/cgroup' /proc/mounts; for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do mkdir $d/made; done"])
    at = next(i for i, m in enumerate(c.config["mounts"]) if m["type"] == "cgroup")
    c.config["mounts"][at] = {**CGROUP, "options": [o for o in CGROUP["options"] if o != "ro"]}
    c.bundle.write(c.config)
    before = directories()
    r = hull(DISABLED, "--log-level", "warning", "run", "--bundle", c.bundle.path, c.id, rc=1)
    assert re.search(rf"^hull: warning: mounts\[{at}\]: read-only: without a cgroup of its own .*the caller's$", r.err, re.M), r.err
    mounts = [line.split() for line in r.out.splitlines()]
    assert mounts and all("ro" in m[3].split(",") for m in mounts), r.out
    assert "Read-only file system" in r.err
    assert directories() == before


@pytest.mark.hull_only(reason="our texts")
def test_what_needs_a_cgroup_says_so(free, hull):
    c = free()
    hull(DISABLED, "run", "--detach", "--bundle", c.bundle.path, c.id)
    none = f'container "{c.id}" has no cgroup'
    hull.fails("pause", c.id, match=f"{none}, and so no freezer")
    hull.fails("update", "--pids-limit", "5", c.id, match=f"{none}: it has no limits")
    hull.fails("kill", "--all", c.id, "KILL", match=f"{none}: its other processes are not known")
    hull.fails("exec", "--cgroup", "/x", c.id, "/bin/true", rc=255, match=f"--cgroup /x: {none}")
    assert c.status() == "running"


def test_delete_by_force(free, hull):
    c = free()
    hull(DISABLED, "run", "--detach", "--bundle", c.bundle.path, c.id)
    pid = c.pid
    c.delete("--force")
    wait_for(lambda: not alive(pid), 5, "its init to end")


@pytest.mark.hull_only(reason="our plan")
def test_explain_shows_none(free, hull):
    c = free()
    out = hull(DISABLED, "explain", "--bundle", c.bundle.path, c.id).out
    assert f"make cgroup {c.cgroup}" not in out and "into cgroup" not in out and "device rules" not in out
    assert f"make cgroup {c.cgroup}" in hull("explain", "--bundle", c.bundle.path, c.id).out
