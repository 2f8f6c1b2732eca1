# SPDX-License-Identifier: Apache-2.0
"""containerd by ctr: io.containerd.runc.v2 with --runc-binary."""
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import IMAGE, needs
from containerds import PROGRAMS
from engine import Engine
from harness.runtime import cgroup_dir, ids_in, is_v1, wait_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(needs(*PROGRAMS) is not None, reason=str(needs(*PROGRAMS)))]


@pytest.fixture(scope="module")
def engine(containerd):
    return containerd.client


@pytest.fixture
def ctr(engine, containerd):
    yield engine
    containerd.clean()


@pytest.fixture
def run(ctr, containerd):
    """ctr run with the runtime under test."""
    def call(name, *args, options=(), **how):
        return ctr(*containerd.arguments(name, *options), *args, **how)
    return call


def test_run(run):
    assert run("r1", "echo", "hello", options=["--rm"]).strip() == "hello"


@pytest.mark.parametrize("code", [0, 7, 42])
def test_exit_code(run, code):
    run("r2", "sh", "-c", f"exit {code}", options=["--rm"], rc=code)


def test_no_such_program(run, ctr):
    """The text reaches the user through the JSON log."""
    out = run("r3", "/nope", options=["--rm"], rc=1)
    assert "no such file or directory" in out.lower()
    assert "r3" not in ctr("tasks", "ls", "-q")


def test_env_and_cwd(run):
    assert run("r4", "sh", "-c", "echo $(pwd) $A", options=["--rm", "--env", "A=Z", "--cwd", "/var/log"]).strip() == "/var/log Z"


def test_mount(run, tmp_path):
    (tmp_path / "f").write_text("data\n")
    out = run("r5", "cat", "/v/f", options=["--rm", "--mount", f"type=bind,src={tmp_path},dst=/v,options=rbind:ro"])
    assert out.strip() == "data"


def test_limit(run, parent_cgroup):
    run("r6", "sleep", "600", options=["-d", "--memory-limit", str(32 << 20)])
    name = "memory.limit_in_bytes" if is_v1("memory") else "memory.max"
    assert (cgroup_dir("memory") / parent_cgroup.lstrip("/") / "r6" / name).read_text().strip() == str(32 << 20)


def test_read_only_and_seccomp(run):
    assert "Read-only" in run("r7", "touch", "/x", options=["--rm", "--read-only"], rc=1)
    assert re.search(r"Seccomp:\s2", run("r8", "grep", "Seccomp:", "/proc/self/status", options=["--rm", "--seccomp"]))


def test_host_network(run):
    assert "lo" in run("r9", "ip", "addr", options=["--rm", "--net-host"])


def test_stdin(run):
    assert run("ra", "head", "-n", "1", options=["--rm"], text="typed\n").strip() == "typed"


def test_life(run, ctr):
    """In the background: list, exec with exit codes, kill, delete."""
    run("d1", "sleep", "600", options=["-d"])
    assert re.search(r"^d1\s+\d+\s+RUNNING", ctr("tasks", "ls"), re.M)
    assert ctr("tasks", "exec", "--exec-id", "e1", "d1", "echo", "in exec").strip() == "in exec"
    ctr("tasks", "exec", "--exec-id", "e2", "d1", "sh", "-c", "exit 7", rc=7)
    out = ctr("tasks", "exec", "--exec-id", "e3", "d1", "nope", rc=1)
    assert "not found in $PATH" in out
    assert ctr("tasks", "exec", "--exec-id", "e4", "--user", "1000", "--cwd", "/tmp", "d1", "sh", "-c", "echo $(id -u) $(pwd)").strip() == "1000 /tmp"
    ctr("tasks", "exec", "-d", "--exec-id", "e5", "d1", "sleep", "300")
    assert len(re.findall(r"^\d+", ctr("tasks", "ps", "d1"), re.M)) == 2
    ctr("tasks", "kill", "-s", "SIGKILL", "d1")
    wait_for(lambda: "STOPPED" in ctr("tasks", "ls"), 10, "the task to stop")
    assert "137" in ctr("tasks", "delete", "d1")
    ctr("containers", "delete", "d1")


def test_delete_by_force(run, ctr):
    run("d2", "sleep", "600", options=["-d"])
    ctr("tasks", "delete", "-f", "d2", rc=None)
    assert "d2" not in ctr("tasks", "ls", "-q")


def test_kill_all(run, ctr):
    run("k1", "sh", "-c", "sleep 500 & sleep 500", options=["-d"])
    ctr("tasks", "kill", "-a", "-s", "SIGKILL", "k1")
    wait_for(lambda: "STOPPED" in ctr("tasks", "ls"), 10, "the task to stop")


def test_shim_that_dies(run, ctr):
    """containerd cleans up by `delete --force` of the runtime."""
    run("s1", "sleep", "600", options=["-d"])
    shim = [p for p in os.listdir("/proc") if p.isdigit() and b"containerd-shim-runc-v2" in Path(f"/proc/{p}/cmdline").read_bytes()
            and b"s1" in Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")]
    assert len(shim) == 1
    os.kill(int(shim[0]), signal.SIGKILL)
    wait_for(lambda: "s1" not in ctr("tasks", "ls", "-q"), 20, "containerd to clean up")


def test_pause(run, ctr):
    run("p1", "sh", "-c", "while :; do sleep 1; done", options=["-d"])
    ctr("tasks", "pause", "p1")
    assert re.search(r"^p1\s+\d+\s+PAUSED", ctr("tasks", "ls"), re.M)
    ctr("tasks", "resume", "p1")
    assert re.search(r"^p1\s+\d+\s+RUNNING", ctr("tasks", "ls"), re.M)


def test_metrics(run, ctr):
    """The shim reads the cgroup that the runtime made."""
    run("m1", "sleep", "600", options=["-d", "--memory-limit", str(32 << 20)])
    out = ctr("tasks", "metrics", "m1")
    assert "33554432" in out, out


def test_namespaces_of_containerd(run, ctr, containerd):
    """The same name twice, in two of containerd's namespaces: two state roots, one of which ends."""
    run("same", "sleep", "600", options=["-d"])
    other = Engine(*ctr.prefix, "-n", "other")
    image = Path("/run/engines-image.tar")
    ctr("images", "export", image, IMAGE)
    other("images", "import", image)
    image.unlink()
    elsewhere = [a.replace(f"{containerd.parent_cgroup}/", f"{containerd.parent_cgroup}/other-") if isinstance(a, str) else a for a in containerd.arguments("same", "-d")]
    other(*elsewhere, "sleep", "600")
    assert other("tasks", "ls", "-q").split() == ctr("tasks", "ls", "-q").split() == ["same"]
    assert ids_in(containerd.runtime_root("other")) == ["same"]
    other("tasks", "delete", "-f", "same", rc=None)
    other("containers", "delete", "same")
    assert "RUNNING" in ctr("tasks", "ls")
    assert ctr("tasks", "exec", "--exec-id", "e1", "same", "echo", "here").strip() == "here"
    other("images", "rm", "--sync", IMAGE)
    wait_for(lambda: ctr.call("namespaces", "rm", "other")[0] == 0, 20, "the namespace to be empty", lambda: ctr.call("namespaces", "rm", "other")[1])


def test_terminal(run, ctr):
    run("t1", "sleep", "600", options=["-d"])
    with ctr.terminal("tasks", "exec", "-t", "--exec-id", "e1", "t1", "sh") as t:
        t.expect("#").type("tty; echo x$((40+2))x; exit 6\r").expect("x42x")
        assert t.end() == 6
        assert b"/dev/pts/" in t.seen


def test_out_of_memory(run, ctr):
    run("o1", "tail", "-c", "100m", "/dev/zero", options=["-d", "--memory-limit", str(16 << 20)])
    wait_for(lambda: "STOPPED" in ctr("tasks", "ls"), 20, "the task to be killed")
    assert "137" in ctr("tasks", "delete", "o1")


def test_many_at_once(ctr, containerd):
    """Fifty tasks started by fifty clients: each answers, each is gone afterwards."""
    names = [f"n{i}" for i in range(50)]

    def start(name):
        return ctr.call(*containerd.arguments(name, "--rm"), "echo", name, timeout=100)
    with ThreadPoolExecutor(len(names)) as pool:
        answers = dict(zip(names, pool.map(start, names)))
    assert {n: a for n, a in answers.items() if a != (0, f"{n}\n")} == {}
    assert ctr("tasks", "ls", "-q") == ""
