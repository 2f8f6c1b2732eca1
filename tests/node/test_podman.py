# SPDX-License-Identifier: Apache-2.0
"""podman with hull and systemd's cgroups: root's, and an ordinary user's below the user's own manager."""
import shutil
from pathlib import Path

import podmans
import pytest
from conftest import CGROUPS, OURS, cgroup_of, files, run, show
from engine import Engine
from harness.runtime import wait_for
from images import NAME as IMAGE
from managed import CONTROLLERS, UID, manager

pytestmark = pytest.mark.timeout(240)
MiB = 1 << 20
HOME = Path("/home/hull-user")
SUB_IDS = "hull-user:100000:65536\n"
STORAGE = '[storage]\ndriver = "overlay"\n'


class Root:
    """Who calls podman, and the manager that has the units."""
    slice, as_user, systemctl, systemd_run, home = "/machine.slice", [], ["systemctl"], ["systemd-run"], "/root"

    def __init__(self, program, image):
        podmans.DROP_INS.mkdir(parents=True, exist_ok=True)
        (podmans.DROP_INS / "hull.conf").write_text(podmans.drop_in("containers.conf", program))
        self.podman = Engine(*self.as_user, "podman", "--runtime", "hull", cwd=self.home)
        self.podman("load", "-q", "-i", image, timeout=120)
        self.podman("run", "--rm", "--network", "none", IMAGE, "true", timeout=120)
        self.podman("pod", "create", "--name", "warm", "--network", "none", timeout=120)  # builds the image of a pod's own container
        self.podman("run", "--rm", "--pod", "warm", IMAGE, "true", timeout=120)
        self.podman("pod", "rm", "-f", "warm", timeout=120)

    def show(self, unit, *names):
        return show(unit, *names, systemctl=self.systemctl)


class User(Root):
    """uid 1000 in a session that isn't below its manager, as after a log-in."""
    slice = f"/user.slice/user-{UID}.slice/user@{UID}.service/user.slice"
    home = HOME

    def __init__(self, program, image):
        environment = {"HOME": HOME, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": f"/run/user/{UID}",
                       "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{UID}/bus"}
        self.as_user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "env", "-i",
                        *(f"{k}={v}" for k, v in environment.items())]
        self.systemctl, self.systemd_run = ([*self.as_user, program_, "--user"] for program_ in ("systemctl", "systemd-run"))
        settings = HOME / ".config/containers"
        settings.mkdir(parents=True)
        (settings / "storage.conf").write_text(STORAGE)
        shutil.copy(image, HOME / "image.tar")
        run("chown", "-R", f"{UID}:{UID}", HOME)
        for name in ("subuid", "subgid"):
            Path("/etc", name).write_text(SUB_IDS)
        super().__init__(program, HOME / "image.tar")


@pytest.fixture(scope="module")
def users_manager():
    with manager(CONTROLLERS):
        yield


@pytest.fixture(scope="module", params=["root", "user"])
def engine(request, program, image):
    if request.param == "root":
        yield Root(program, image)
        return
    request.getfixturevalue("users_manager")
    user = User(program, image)
    yield user
    user.podman("system", "migrate")


@pytest.fixture
def who(engine):
    yield engine
    podmans.clean(engine.podman)


@pytest.fixture
def podman(who):
    return who.podman


def start(who, name, *options, command=("sleep", "6000")):
    """Id, pid and cgroup of one that runs."""
    cid = who.podman("run", "-d", "--name", name, "--network", "none", *options, IMAGE, *command).strip()
    pid = int(who.podman("inspect", "-f", "{{.State.Pid}}", name))
    return cid, pid, cgroup_of(pid)


def test_it_is_our_runtime_and_systemd_is_the_manager(podman, program):
    said = podman("info", "--format", "{{.Host.CgroupManager}} {{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Path}}")
    assert said == f"systemd v2 {program}\n"


def test_limits_of_a_scope(who, podman):
    cid, _, cgroup = start(who, "l1", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "50")
    unit = f"libpod-{cid}.scope"
    assert cgroup.startswith(f"{who.slice}/{unit}"), cgroup
    scope = f"{who.slice}/{unit}"
    assert files(scope, "memory.max", "memory.swap.max", "cpu.max", "pids.max") == [str(64 * MiB), "0", "50000 100000", "50"]
    assert who.show(unit, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax") == {
        "MemoryMax": str(64 * MiB), "CPUQuotaPerSecUSec": "500ms", "TasksMax": "50"}
    podman("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.7", "l1")
    run(*who.systemctl, "daemon-reload")
    assert files(scope, "memory.max", "cpu.max") == [str(96 * MiB), "70000 100000"]
    assert who.show(unit, "MemoryMax", "CPUQuotaPerSecUSec") == {"MemoryMax": str(96 * MiB), "CPUQuotaPerSecUSec": "700ms"}


def test_life(who, podman):
    cid, _, cgroup = start(who, "g1")
    podman("exec", "-d", "g1", "sleep", "613")
    wait_for(lambda: len(files(cgroup, "cgroup.procs")[0].split()) == 2, 10, "the second process")
    assert {cgroup_of(p) for p in files(cgroup, "cgroup.procs")[0].split()} == {cgroup}
    podman("pause", "g1")
    assert "1" in (files(cgroup, "cgroup.freeze") + files(f"{who.slice}/libpod-{cid}.scope", "cgroup.freeze"))
    podman("unpause", "g1")
    used, _, _, pids = podman("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDS}}", "g1").split()
    assert used[0] != "0" and pids == "2"
    assert podman("exec", "g1", "cat", "/proc/self/cgroup") == "0::/\n"
    podman("restart", "-t", "0", "g1")
    assert podman("exec", "g1", "echo", "again") == "again\n"
    podman("stop", "-t", "0", "g1")
    assert podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "g1") == "exited 137\n"


def test_out_of_memory(podman):
    podman("run", "--name", "o1", "--network", "none", "--memory", "16m", "--memory-swap", "16m", IMAGE, "tail", "-c", "100m", "/dev/zero", rc=137)
    assert podman("inspect", "-f", "{{.State.ExitCode}}", "o1") == "137\n"  # (podman 4.3 doesn't say OOMKilled there, with crun neither)


INITTAB = """::sysinit:/bin/sh -c 'mkdir /sys/fs/cgroup/unit && echo $$ >/sys/fs/cgroup/unit/cgroup.procs && cat /proc/self/cgroup >/own'
::respawn:/bin/sleep 600
"""


def test_a_container_that_runs_systemd(who, podman):
    """Its init makes cgroups below its own."""
    Path("/home/inittab").write_text(INITTAB)
    start(who, "i1", "--systemd=always", "-v", "/home/inittab:/etc/inittab:ro", command=("init",))
    podman.until("0::/unit", "exec", "i1", "cat", "/own")


def test_pod(who, podman):
    """A slice with limits of its own, its containers' scopes in it."""
    podman("pod", "create", "--name", "p1", "--network", "none", "--cpus", "0.5")
    cid = podman("run", "-d", "--pod", "p1", "--name", "m1", IMAGE, "sleep", "6000").strip()
    cgroup = cgroup_of(podman("inspect", "-f", "{{.State.Pid}}", "m1").strip())
    pod = cgroup.split(f"/libpod-{cid}.scope")[0]
    assert pod.startswith(who.slice) and OURS.search(pod), cgroup
    assert files(pod, "cpu.max") == ["50000 100000"]
    assert podman("exec", "m1", "cat", "/proc/self/cgroup") == "0::/\n"


def test_service(who, podman):
    """As quadlet and `podman generate systemd` write it: the unit is the container, and is up when podman says so."""
    unit = "hulltest-box.service"
    run(*who.systemd_run, "--quiet", f"--unit={unit}", "-p", "Type=notify", "-p", "NotifyAccess=all", "-p", "Delegate=yes", "-p", "KillMode=mixed",
        "podman", "--runtime", "hull", "run", "--rm", "-d", "--name", "q1", "--replace", "--cgroups=split", "--sdnotify=conmon", "--network", "none",
        "--memory", "64m", IMAGE, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.2; done")
    state = who.show(unit, "ActiveState", "MainPID", "ControlGroup")
    assert state["ActiveState"] == "active"
    assert state["MainPID"] == podman("inspect", "-f", "{{.State.ConmonPid}}", "q1").strip()
    cgroup = cgroup_of(podman("inspect", "-f", "{{.State.Pid}}", "q1").strip())
    assert cgroup.startswith(f"{state['ControlGroup']}/libpod-payload-"), cgroup
    assert files(cgroup, "memory.max") == [str(64 * MiB)]
    run(*who.systemctl, "stop", unit)
    wait_for(lambda: not (CGROUPS / cgroup.lstrip("/")).exists(), 10, "the cgroup to go")
    run(*who.systemctl, "reset-failed", unit, rc=None)
