# SPDX-License-Identifier: Apache-2.0
"""Load: a hundred containers at once, a thousand one after another. No error, and nothing is left behind: beside what conftest.py compares (mounts, cgroups,
processes with zombies, namespaces) BPF programs, kernel keys, the engines' open files.

Each has a quick variant of a tenth or less that runs always."""
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import IMAGE, needs
from containerds import PROGRAMS as CONTAINERD_PROGRAMS
from containerds import Containerd
from dockers import PROGRAMS as DOCKER_PROGRAMS
from harness import bpf, snapshot
from harness.clock import scaled
from harness.runtime import alive, cgroup_dir, ids_in, wait_for
from podmans import PROGRAMS as PODMAN_PROGRAMS
from podmans import RUNTIME_ROOTS, clean

AT_ONCE = [pytest.param(10, id="10"), pytest.param(100, id="100", marks=pytest.mark.long)]
CLIENTS = 100  # as many as containers: all are started before the first has answered
SLACK = 12  # open files that a daemon may have more than before: those of its last clients
KEYS_SLACK = 30  # keyrings of others on the machine, and of containers that have just ended (collected a little later)


@pytest.fixture(scope="module")
def engine():
    """Each test names its own."""


@pytest.fixture(scope="module")
def containerd(work, image, program, parent_cgroup):
    with Containerd(work / "load", program, parent_cgroup, state="/run/load").running(image) as daemon:
        yield daemon


def keys():
    """How many keys root has: every container's session keyring is one."""
    return int(re.search(r"^ *0: *\d+ +(\d+)/", Path("/proc/key-users").read_text(), re.M)[1])


def programs():
    """Ours in the kernel, but on a machine where others run the same program."""
    return [] if snapshot.SHARED_HOST else sorted(bpf.programs())


@pytest.fixture(autouse=True)
def kernel(host):
    """BPF programs and keys before and after."""
    before = programs(), keys()
    yield
    wait_for(lambda: programs() == before[0], 10, "the BPF programs to go")
    wait_for(lambda: keys() <= before[1] + KEYS_SLACK, 20, f"the kernel's keys to be as few as before ({before[1]})", keys)


def held(*pids):
    """Open files of these processes. (Threads a program in Go keeps: it has as many as it ever needed at once.)"""
    return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in pids}


def not_grown(before, pids):
    def grown():
        now = held(*pids)
        return {k: (v, now[k]) for k, v in before.items() if now[k] > v + SLACK}
    wait_for(lambda: not grown(), 20, "the daemons to hold no more than before", grown)


def all_at_once(names, call):
    """call(name) for each, by a client each: name → what it returned."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return dict(zip(names, pool.map(call, names)))


def cgroups_of(pids):
    """The memory cgroup (else the v2 one) of each process."""
    found = []
    for pid in pids:
        line = next(x for x in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if ":memory:" in x or x.startswith("0::"))
        found.append(line.split(":", 2)[2])
    return found


def are_apart(pids, parent_cgroup):
    """Every process lives, in a cgroup and namespaces of its own."""
    assert all(map(alive, pids))
    where = cgroups_of(pids)
    assert len(set(where)) == len(pids) and all(w.startswith(parent_cgroup) for w in where), where
    for ns in ("pid", "mnt", "ipc", "uts"):
        assert len({os.readlink(f"/proc/{pid}/ns/{ns}") for pid in pids}) == len(pids), ns


@pytest.mark.timeout(600)
@pytest.mark.skipif(needs(*PODMAN_PROGRAMS) is not None, reason=str(needs(*PODMAN_PROGRAMS)))
@pytest.mark.parametrize("n", AT_ONCE)
def test_podman_at_once(podman_engine, parent_cgroup, flavor, n):
    """Started at once, all run at once, each can be entered, all are removed at once."""
    names = [f"l{i}" for i in range(n)]
    try:
        said = all_at_once(names, lambda name: podman_engine.call("run", "-d", "--name", name, "--network", "none", "--cgroup-parent", parent_cgroup, IMAGE,
                                                                  "sh", "-c", f"echo {name} >/own; exec sleep 3600", timeout=500))
        assert {k: v for k, v in said.items() if v[0] != 0} == {}
        assert sorted(podman_engine("ps", "--filter", "status=running", "--format", "{{.Names}}").split()) == sorted(names)
        are_apart([int(p) for p in podman_engine("inspect", "-f", "{{.State.Pid}}", *names).split()], parent_cgroup)
        assert len(ids_in(Path(RUNTIME_ROOTS[flavor]))) == n
        entered = all_at_once(names[:20], lambda name: podman_engine.call("exec", name, "cat", "/own", timeout=200))
        assert entered == {name: (0, f"{name}\n") for name in names[:20]}
    finally:
        podman_engine("rm", "--all", "--force", "--time", "0", timeout=400)
        clean(podman_engine)
    assert ids_in(Path(RUNTIME_ROOTS[flavor])) == []


@pytest.mark.timeout(600)
@pytest.mark.skipif(needs(*CONTAINERD_PROGRAMS) is not None, reason=str(needs(*CONTAINERD_PROGRAMS)))
@pytest.mark.parametrize("n", AT_ONCE)
def test_containerd_at_once(containerd, parent_cgroup, n):
    """The same with ctr: a shim each."""
    ctr, pid = containerd.client, containerd.daemon.process.pid
    names, before = [f"l{i}" for i in range(n)], held(pid)
    try:
        said = all_at_once(names, lambda name: ctr.call(*containerd.arguments(name, "-d"), "sh", "-c", f"echo {name} >/own; exec sleep 3600", timeout=300))
        assert {k: v for k, v in said.items() if v[0] != 0} == {}
        tasks = dict(re.findall(r"^(\w+)\s+(\d+)\s+RUNNING$", ctr("tasks", "ls"), re.M))
        assert sorted(tasks) == sorted(names)
        are_apart([int(p) for p in tasks.values()], parent_cgroup)
        assert ids_in(containerd.runtime_root()) == sorted(names)
        entered = all_at_once(names, lambda name: ctr.call("tasks", "exec", "--exec-id", "e1", name, "cat", "/own", timeout=200))
        assert entered == {name: (0, f"{name}\n") for name in names}
        killed = all_at_once(names, lambda name: ctr.call("tasks", "kill", "-s", "SIGKILL", name, timeout=200))
        assert {k: v for k, v in killed.items() if v[0] != 0} == {}
        wait_for(lambda: "RUNNING" not in ctr("tasks", "ls"), 60, "every task to stop")
        ended = all_at_once(names, lambda name: ctr.call("tasks", "delete", name, timeout=200))
        assert {k: v for k, v in ended.items() if "137" not in v[1]} == {}
    finally:
        containerd.clean()
    not_grown(before, [pid])


@pytest.mark.timeout(3000)
@pytest.mark.skipif(needs(*DOCKER_PROGRAMS) is not None, reason=str(needs(*DOCKER_PROGRAMS)))
@pytest.mark.parametrize("n", [pytest.param(20, id="20"), pytest.param(1000, id="1000", marks=pytest.mark.long)])
def test_docker_one_after_another(dockerd, parent_cgroup, n):
    """docker run --rm: each answers, none is slower for those before it, the daemons hold no more than before."""
    docker, pids = dockerd.client, [dockerd.dockerd.process.pid, dockerd.containerd.process.pid]
    docker("run", "--rm", "--network", "none", IMAGE, "true")
    before, took = held(*pids), []
    for i in range(n):
        begun = time.monotonic()
        assert docker("run", "--rm", "--network", "none", IMAGE, "echo", f"number {i}") == f"number {i}\n"
        took.append(time.monotonic() - begun)
    fifth = n // 5
    assert min(took[-fifth:]) < 2 * min(took[:fifth]) + scaled(0.2), "the last take longer than the first"
    assert docker("ps", "-aq") == ""
    assert all(ids_in(root) == [] for root in dockerd.state_roots())
    left = [c for controller in ("memory", "pids") for c in (cgroup_dir(controller) / parent_cgroup.lstrip("/")).iterdir() if c.is_dir()]
    assert not [c for c in left if re.fullmatch("[0-9a-f]{64}", c.name)]
    not_grown(before, pids)
