# SPDX-License-Identifier: Apache-2.0
"""Docker as a service, with hull as its default runtime and systemd as its cgroup driver."""
import json
from pathlib import Path

import podmans
import pytest
from conftest import cgroup_of, files, run, show
from engine import Engine
from harness.clock import scaled
from harness.runtime import wait_for
from images import NAME as IMAGE

pytestmark = pytest.mark.timeout(120)
MiB = 1 << 20
SETTINGS = Path("/etc/docker/daemon.json")


@pytest.fixture(scope="module")
def engine(program, image):
    """Docker's settings are hull's fragment, and hull by default."""
    SETTINGS.parent.mkdir(exist_ok=True)
    SETTINGS.write_text(json.dumps({**json.loads(podmans.drop_in("docker-daemon.json", program)), "default-runtime": "hull"}))
    run("systemctl", "start", "docker.service", seconds=120)
    docker = Engine("docker")
    docker("load", "-q", "-i", image)
    docker("run", "--rm", IMAGE, "true")
    docker("run", "--rm", "--network", "host", IMAGE, "true")
    yield docker
    run("systemctl", "stop", "docker.service", "docker.socket", "containerd.service", seconds=120)


@pytest.fixture
def docker(engine):
    yield engine
    names = engine("ps", "-aq").split()
    if names:
        engine("rm", "-f", "-v", *names)


@pytest.fixture
def started(docker):
    """started(options…) → id, pid and cgroup of one that sleeps."""
    def start(*options, command=("sleep", "6000")):
        cid = docker("run", "-d", "--network", "none", *options, IMAGE, *command).strip()
        pid = int(docker("inspect", "-f", "{{.State.Pid}}", cid))
        return cid, pid, cgroup_of(pid)
    return start


def test_it_is_our_runtime_and_systemd_is_the_driver(docker):
    assert docker("info", "-f", "{{.DefaultRuntime}} {{.CgroupDriver}} {{.CgroupVersion}}") == "hull systemd 2\n"


def test_limits_of_a_scope(docker, started):
    """The files and the unit say the same, also after an update and when systemd writes them anew."""
    cid, _, cgroup = started("--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "512", "--cpuset-cpus", "0")
    unit = f"docker-{cid}.scope"
    assert cgroup == f"/system.slice/{unit}"
    names = ["memory.max", "memory.swap.max", "cpu.max", "pids.max", "cpu.weight", "cpuset.cpus"]
    properties = ["MemoryMax", "CPUQuotaPerSecUSec", "TasksMax", "CPUWeight", "AllowedCPUs"]
    assert files(cgroup, *names) == [str(64 * MiB), "0", "50000 100000", "50", "59", "0"]
    assert show(unit, *properties) == dict(zip(properties, [str(64 * MiB), "500ms", "50", "59", "0"]))
    docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.7", "--pids-limit", "60", cid)
    run("systemctl", "daemon-reload")
    assert files(cgroup, "memory.max", "cpu.max", "pids.max") == [str(96 * MiB), "70000 100000", "60"]
    assert show(unit, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax") == {"MemoryMax": str(96 * MiB), "CPUQuotaPerSecUSec": "700ms", "TasksMax": "60"}


def test_devices_after_systemd_has_read_its_units_again(docker, started):
    """systemd sets its own device program then: it allows what the container's does, and forbids the rest."""
    cid, _, _ = started("--device", "/dev/fuse", "--cap-add", "MKNOD")
    for _ in range(2):
        assert docker("exec", cid, "sh", "-c", "echo x >/dev/null && head -c 1 /dev/zero | wc -c && : <>/dev/fuse && echo fuse") == "1\nfuse\n"
        rc, said = docker.call("exec", cid, "sh", "-c", "rm -f /d && mknod /d b 7 0 && echo made && : </d")
        assert rc != 0 and "made" in said and "not permitted" in said, said
        run("systemctl", "daemon-reload")


def test_exec_is_in_the_scope(docker, started):
    cid, _, cgroup = started()
    docker("exec", "-d", cid, "sleep", "613")
    pids = {int(p) for p in files(cgroup, "cgroup.procs")[0].split()}
    assert len(pids) == 2 and {cgroup_of(p) for p in pids} == {cgroup}


def test_stats_and_pause(docker, started):
    cid, _, cgroup = started("--memory", "64m")
    used, _, limit, pids = docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", cid).split()
    assert used[0] != "0" and (limit, pids) == ("64MiB", "1")
    docker("pause", cid)
    assert files(cgroup, "cgroup.freeze") == ["1"]
    docker("unpause", cid)
    assert files(cgroup, "cgroup.freeze") == ["0"]


def test_out_of_memory(docker):
    """Docker is told of it. (Of what takes its container with it containerd may see nothing: systemd has removed the cgroup by then.)"""
    script = f"sleep {scaled(0.5)}; tail -c 100m /dev/zero; sleep {scaled(0.5)}; exit 5"
    docker("run", "--name", "o1", "--network", "none", "--memory", "16m", "--memory-swap", "16m", IMAGE, "sh", "-c", script, rc=5)
    wait_for(lambda: docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "o1") == "true 5\n", 10, "OOMKilled",
             lambda: docker("inspect", "-f", "{{json .State}}", "o1"))


def test_a_slice_of_the_administrators(docker, started):
    cid, _, cgroup = started("--cgroup-parent", "hulltest-docker.slice")
    assert cgroup == f"/hulltest.slice/hulltest-docker.slice/docker-{cid}.scope"
    docker("rm", "-f", cid)
    run("systemctl", "stop", "hulltest.slice")


def test_privileged(docker):
    """Every capability (that this Docker knows), every device."""
    said = docker("run", "--rm", "--network", "none", "--privileged", IMAGE, "sh", "-c", "grep CapEff /proc/self/status; mknod /d c 10 200 && : </dev/fuse && echo opened")
    _, effective, opened = said.split()
    every = f"{(1 << int(Path('/proc/sys/kernel/cap_last_cap').read_text()) + 1) - 1:016x}"
    assert effective in (every, f"{(1 << 38) - 1:016x}") and opened == "opened"  # Docker 20 knows 38


def test_stopped_by_systemd(docker, started):
    """Whoever stops the unit ends the container, and Docker sees it."""
    cid, _, _ = started(command=["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.2; done"])
    run("systemctl", "stop", f"docker-{cid}.scope")
    wait_for(lambda: docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", cid) == "exited 3\n", 20, "Docker to see the end")
    docker("start", cid)
    assert docker("exec", cid, "echo", "again") == "again\n"


def test_the_service_restarts(docker, started):
    """It ends its containers and starts again those that it should."""
    stays, _, _ = started("--restart", "always")
    goes, _, _ = started()
    run("systemctl", "restart", "docker.service", seconds=120)
    docker.until("running", "inspect", "-f", "{{.State.Status}}", stays)
    assert docker("inspect", "-f", "{{.State.Status}}", goes) == "exited\n"
