# SPDX-License-Identifier: Apache-2.0
"""podman with conmon, as root: run, exec, list, stop, remove; the exit codes that it reads out of our messages."""
import re
import time
from pathlib import Path

import pytest
from conftest import IMAGE, Engine, needs
from harness.runtime import ids_in

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(needs("podman", "conmon") is not None, reason=str(needs("podman", "conmon")))]
CONFIG = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{name}"
runtime_supports_json = ["{name}"]
runtime_supports_nocgroups = []
[engine.runtimes]
{name} = ["{path}"]
[containers]
log_driver = "k8s-file"
"""
COUNT = 'i=0; while [ $i -lt 600 ]; do echo tick $i; i=$((i+1)); sleep 1; done'


@pytest.fixture(scope="module")
def engine(work, image, program, parent_cgroup):
    conf = work / "containers.conf"
    conf.write_text(CONFIG.format(name=program.name, path=program))
    podman = Engine("podman", "--runtime", str(program), env={"CONTAINERS_CONF": str(conf), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"})
    podman("load", "-q", "-i", image)
    # podman makes a cgroup for conmon and a mount for its storage with the first container, and keeps them
    podman("run", "--rm", "--cgroup-parent", parent_cgroup, "--network", "none", IMAGE, "true", rc=None)
    yield podman


@pytest.fixture
def podman(engine, program):
    """And nothing of a container is left: not for podman, not for the runtime."""
    yield engine
    engine("rm", "--all", "--force", "--time", "0")
    root = Path("/run") / ("hull" if "hull" in program.name else program.name)
    assert ids_in(root) == [], "left in the runtime's state root"


@pytest.fixture
def common(parent_cgroup):
    return ["--cgroup-parent", parent_cgroup, "--network", "none"]


def test_it_is_our_runtime(podman, program):
    assert f"path: {program}" in podman("info")


def test_run(podman, common):
    assert podman("run", "--rm", *common, IMAGE, "echo", "hello").strip() == "hello"


@pytest.mark.parametrize("code", [0, 7, 42, 255])
def test_exit_code(podman, common, code):
    podman("run", "--rm", *common, IMAGE, "sh", "-c", f"exit {code}", rc=code)


@pytest.mark.parametrize("program_,code", [("/nope", 127), ("nope", 127), ("/etc/passwd", 126), ("/etc", 126)])
def test_program_that_cannot_be_run(podman, common, program_, code):
    podman("run", "--rm", *common, IMAGE, program_, rc=code)


def test_killed_by_a_signal(podman, common):
    podman("run", "--rm", *common, "--pid", "host", IMAGE, "sh", "-c", "kill -9 $$", rc=137)


def test_stdin(podman, common):
    assert podman("run", "-i", "--rm", *common, IMAGE, "cat", text="typed\n").strip() == "typed"


def test_what_is_asked_for(podman, common):
    out = podman("run", "--rm", *common, "-e", "V=w x", "--hostname", "hh", "-w", "/var/log", "-u", "7:8", "--group-add", "9", IMAGE,
                 "sh", "-c", "echo $V; hostname; pwd; id")
    assert out.splitlines()[:3] == ["w x", "hh", "/var/log"]
    assert re.search(r"uid=7(\(7\))? gid=8(\(8\))? groups=(8,|8\(8\),)?9", out)


def test_volume_tmpfs_and_read_only(podman, common, tmp_path):
    (tmp_path / "f").write_text("data\n")
    out = podman("run", "--rm", *common, "--read-only", "-v", f"{tmp_path}:/v:ro", "--tmpfs", "/scratch", IMAGE, "sh", "-c",
                 "cat /v/f; touch /v/x /x 2>&1; echo ok >/scratch/f && cat /scratch/f")
    assert "data" in out and "ok" in out and out.count("Read-only file system") == 2


def test_limits(podman, common):
    out = podman("run", "--rm", *common, "--memory", "32m", "--pids-limit", "77", IMAGE, "sh", "-c",
                 "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null || "
                 "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max")
    assert out.split() == [str(32 << 20), "77"]


def test_usual_protection(podman, common):
    out = podman("run", "--rm", *common, IMAGE, "sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status; head -c 1 /proc/kcore | wc -c; "
                                                            "mount -t tmpfs x /tmp 2>&1; true")
    assert re.search(r"Seccomp:\s2", out)
    assert not re.search(r"CapEff:\s0*1?f*$", out, re.M)
    assert re.search(r"^0$", out, re.M), "kcore is masked"
    assert "denied" in out or "not permitted" in out


def test_life(podman, common):
    """Run in the background, list, exec, logs, stop, remove."""
    podman("run", "-d", "--name", "d1", *common, IMAGE, "sh", "-c", COUNT)
    assert "d1" in podman("ps", "--format", "{{.Names}}").split()
    assert podman("exec", "d1", "echo", "in exec").strip() == "in exec"
    podman("exec", "d1", "sh", "-c", "exit 9", rc=9)
    podman("exec", "d1", "nope", rc=127)
    podman("exec", "d1", "/etc/passwd", rc=126)
    out = podman("exec", "-u", "user", "-w", "/tmp", "-e", "Z=Z", "d1", "sh", "-c", "echo $(id -u) $(pwd) $Z")
    assert out.strip() == "1000 /tmp Z"
    podman("exec", "-d", "d1", "sleep", "300")
    assert podman("exec", "-i", "d1", "cat", text="through\n").strip() == "through"
    end = time.monotonic() + 10
    while "tick 1" not in podman("logs", "d1"):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert "sleep" in podman("top", "d1")
    podman("stop", "-t", "1", "d1")
    assert podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "d1").strip() in ("exited 137", "exited 143")
    podman("start", "d1")
    podman("kill", "d1")
    podman("wait", "d1")
    podman("rm", "d1")
    assert podman("ps", "-aq").strip() == ""


def test_create_then_start(podman, common):
    podman("create", "--name", "c1", *common, IMAGE, "echo", "later")
    assert "later" in podman("start", "-a", "c1")
    podman("rm", "c1")


def test_remove_by_force(podman, common):
    podman("run", "-d", "--name", "d2", *common, IMAGE, "sleep", "600")
    podman("rm", "-f", "-t", "0", "d2")


def test_terminal(podman, common):
    """conmon's console socket."""
    podman("run", "-d", "-t", "--name", "t1", *common, IMAGE, "sh", "-c", "tty; stty size; sleep 600")
    end = time.monotonic() + 10
    while "/dev/pts/0" not in podman("logs", "t1"):
        assert time.monotonic() < end, podman("logs", "t1")
        time.sleep(0.2)
    podman("rm", "-f", "-t", "0", "t1")


def test_pod_shares_namespaces(podman, common):
    podman("run", "-d", "--name", "p1", *common, IMAGE, "sleep", "600")
    out = podman("run", "--rm", "--cgroup-parent", common[1], "--network", "container:p1", "--ipc", "container:p1", "--pid", "container:p1",
                 IMAGE, "sh", "-c", "ps; readlink /proc/self/ns/net; readlink /proc/1/ns/net")
    nets = re.findall(r"net:\[\d+\]", out)
    assert "sleep 600" in out and len(nets) == 2 and nets[0] == nets[1]
    podman("rm", "-f", "-t", "0", "p1")


def test_checkpoint_is_refused(podman, common):
    """podman asks `checkpoint --help`: it must not believe that it works."""
    podman("run", "-d", "--name", "k1", *common, IMAGE, "sleep", "600")
    out = podman("container", "checkpoint", "k1", rc=None)
    assert "checkpoint" in out.lower()
    podman("rm", "-f", "-t", "0", "k1")
