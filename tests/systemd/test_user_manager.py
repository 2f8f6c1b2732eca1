# SPDX-License-Identifier: Apache-2.0
"""An ordinary user with a manager of its own: scopes of user@1000.service with the systemd driver, and cgroups in what was delegated to it without it."""
import os
import subprocess

import pytest
from conftest import TAG
from harness.clock import scaled
from harness.runtime import wait_for
from managed import CGROUPS, CONTROLLERS, MANAGER, NEEDS, SLEEP, UID, cgroup_of, files, goes, make, make_user, manager, scope

pytestmark = NEEDS
MiB = 1 << 20
LIMITS = {"memory": {"limit": 64 * MiB, "swap": 64 * MiB}, "cpu": {"shares": 512, "quota": 33333, "period": 100000, "cpus": "0"}, "pids": {"limit": 42}}
FILES = {"memory.max": str(64 * MiB), "memory.swap.max": "0", "cpu.weight": "59", "cpu.max": "33333 100000", "cpuset.cpus": "0", "pids.max": "42"}
PROPERTIES = {"MemoryMax": str(64 * MiB), "MemorySwapMax": "0", "CPUWeight": "59", "CPUQuotaPerSecUSec": "340ms", "AllowedCPUs": "0", "TasksMax": "42"}


@pytest.fixture(scope="module")
def delegated():
    with manager(CONTROLLERS):
        yield


@pytest.fixture
def user(delegated, host, program, tmp_path):
    yield from make_user(program, tmp_path)


@pytest.fixture
def outsider(user):
    """The same user in a session that isn't below its manager, as after a log-in by ssh."""
    user.hull.before = []
    return user


def life(user, c):
    """create, start, exec, pause, resume, update, kill, delete."""
    hull = user.hull
    c.create()
    assert cgroup_of(c.pid) == f"/{c.directory.relative_to(CGROUPS)}"
    assert files(c, FILES) == FILES
    c.start()
    seen = hull("exec", c.id, "/bin/cat", "/proc/self/cgroup").out.strip()
    assert seen == "0::/", "exec is in the container's cgroup"
    hull("pause", c.id)
    assert (c.status(), files(c, ["cgroup.freeze"])) == ("paused", {"cgroup.freeze": "1"})
    hull("resume", c.id)
    assert c.status() == "running"
    hull("update", "--memory", str(96 * MiB), "--memory-swap", str(96 * MiB), "--cpu-quota", "44444", "--pids-limit", "50", c.id)
    after = {"memory.max": str(96 * MiB), "cpu.max": "44444 100000", "pids.max": "50"}
    assert files(c, after) == after
    c.kill("KILL")
    wait_for(lambda: c.status() == "stopped", 10, "the end")
    c.delete()


def test_life_of_a_scope(user):
    c = make(user, args=SLEEP, linux={"resources": LIMITS})
    life(user, c)
    goes(user, c)


def test_properties(user):
    c = make(user, args=SLEEP, linux={"resources": LIMITS})
    c.create()
    assert user.hull.show(c.unit, *PROPERTIES) == PROPERTIES
    assert user.hull.show(c.unit, "Slice", "Delegate", "CollectMode", "ActiveState") == {
        "Slice": "user.slice", "Delegate": "yes", "CollectMode": "inactive-or-failed", "ActiveState": "active"}
    user.hull("update", "--memory", str(96 * MiB), "--memory-swap", str(96 * MiB), "--pids-limit", "50", c.id)
    assert user.hull.show(c.unit, "MemoryMax", "TasksMax") == {"MemoryMax": str(96 * MiB), "TasksMax": "50"}
    # what systemd writes anew is what was asked for
    subprocess.run(user.hull.as_user("systemctl", "--user", "daemon-reload"), check=True, timeout=scaled(20))
    assert files(c, ["memory.max", "pids.max"]) == {"memory.max": str(96 * MiB), "pids.max": "50"}
    c.delete("--force")
    goes(user, c)


def test_slice_prefix_name(user):
    c = user.container(args=SLEEP, cgroup=f"hulltest-a-b.slice:hulltest:{TAG}")
    scope(c, "hulltest.slice/hulltest-a.slice/hulltest-a-b.slice", TAG).create()
    assert cgroup_of(c.pid) == f"/{c.directory.relative_to(CGROUPS)}"
    c.delete("--force")
    subprocess.run(user.hull.as_user("systemctl", "--user", "stop", "hulltest.slice"), check=True, timeout=scaled(20))


def test_default_unit(user):
    c = user.container(args=SLEEP)
    c.create()
    unit = f"hull-{c.id}.scope"
    assert user.hull.show(unit, "ActiveState", "Slice") == {"ActiveState": "active", "Slice": "user.slice"}
    assert cgroup_of(c.pid).endswith(f"/{MANAGER}/user.slice/{unit}")


def test_run(user):
    c = make(user, args=["/bin/cat", "/proc/self/cgroup"])
    assert c.run().out == "0::/\n"
    goes(user, c)


def test_from_a_session_outside_of_the_manager(outsider):
    """The user may move no process across the border; the managers do."""
    c = make(outsider, args=SLEEP, linux={"resources": LIMITS})
    c.create()
    assert cgroup_of(c.pid) == f"/{c.directory.relative_to(CGROUPS)}"
    assert files(c, FILES) == FILES
    c.start()
    c.delete("--force")
    goes(outsider, c)


def test_creation_that_fails_leaves_no_unit(user):
    c = make(user, args=["/no/such/program"], linux={"resources": LIMITS})
    c.fails("run", match=r".*/no/such/program.*")
    goes(user, c)


def test_update_that_fails(user):
    """A period above what the kernel takes: systemd and the files have the old values."""
    c = make(user, args=SLEEP, linux={"resources": LIMITS})
    c.create()
    user.hull.fails("update", "--pids-limit", "50", "--cpu-period", "2000000", c.id, match=r"update .*: write cpu.max = .*")
    assert files(c, FILES) == FILES
    assert user.hull.show(c.unit, *PROPERTIES) == PROPERTIES


# --- below an engine that has made a user namespace ---

@pytest.fixture
def engine(user):
    """A process of the user's that is root of a user namespace with a mount namespace, as podman is: commands can be run there."""
    argv = user.hull.as_user("unshare", "--user", "--map-root-user", "--mount", "sleep", "1000")
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(f"/proc/{process.pid}/uid_map") and open(f"/proc/{process.pid}/uid_map").read().split() == ["0", str(UID), "1"], 10,
             "the user namespace")
    user.hull.prefix = ["nsenter", f"--target={process.pid}", "--user", "--mount", "--preserve-credentials"]
    yield user
    user.hull.prefix = []
    process.kill()
    process.wait()


def test_life_below_an_engine(engine):
    """Root there is no root of the system: its units are the user's."""
    c = make(engine, args=SLEEP, linux={"resources": LIMITS})
    c.config["linux"] = {k: v for k, v in c.config["linux"].items() if k not in ("uidMappings", "gidMappings")}
    c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"] if n["type"] != "user"]
    c.bundle.write(c.config)
    life(engine, c)
    goes(engine, c)


# --- without the systemd driver ---

def test_delegated_cgroup_without_the_driver(user):
    """Beside the caller's own cgroup, with everything that is delegated to the terminal's scope."""
    user.hull.driver = []
    own = user.terminal / "own"
    own.mkdir()
    os.chown(own, UID, UID)
    for name in ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
        os.chown(own / name, UID, UID)
    for pid in (user.terminal / "cgroup.procs").read_text().split():
        (own / "cgroup.procs").write_text(pid)
    user.hull.stand_in(own)
    c = user.container(args=SLEEP, linux={"resources": LIMITS})
    c.directory = user.terminal / f"hull-{c.id}"
    life(user, c)
    assert not c.directory.exists()
