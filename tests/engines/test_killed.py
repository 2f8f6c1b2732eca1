# SPDX-License-Identifier: Apache-2.0
"""Engines and their helpers ended by SIGKILL in the middle, and started again: containers that ran go on (or end, where the engine says so), everything can
be removed, and nothing is left behind.

The daemons belong to the test, so that the comparison before and after holds everything that they made: see conftest.py."""
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import IMAGE, needs
from containerds import PROGRAMS as CONTAINERD_PROGRAMS
from containerds import Containerd
from daemons import kill_and_wait, processes_with
from dockers import PROGRAMS as DOCKER_PROGRAMS
from dockers import Docker, clean
from engine import Engine
from harness import snapshot, world
from harness.clock import scaled
from harness.runtime import alive, ids_in, wait_for
from podmans import PROGRAMS as PODMAN_PROGRAMS
from podmans import RUNTIME_ROOTS
from podmans import clean as clean_podman

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]
with_docker = pytest.mark.skipif(needs(*DOCKER_PROGRAMS) is not None, reason=str(needs(*DOCKER_PROGRAMS)))
with_podman = pytest.mark.skipif(needs(*PODMAN_PROGRAMS) is not None, reason=str(needs(*PODMAN_PROGRAMS)))
with_containerd = pytest.mark.skipif(needs(*CONTAINERD_PROGRAMS) is not None, reason=str(needs(*CONTAINERD_PROGRAMS)))
COUNT = "i=0; while [ $i -lt 600 ]; do echo tick $i; i=$((i+1)); sleep 1; done"


@pytest.fixture(scope="module")
def engine():
    """Each test starts its own."""


def delete_forgotten(program, root, *status):
    """What the engine was killed too early to know of can be removed by the runtime's own commands; before, its status is one of `status`."""
    runtime = Engine(program, "--root", root)
    for cid in ids_in(root):
        assert not status or json.loads(runtime("state", cid))["status"] in status
        runtime("delete", "--force", cid)


def unmount_below(top):
    """What an engine that was killed had mounted for itself there."""
    for mounted in sorted((line.split()[4] for line in snapshot.mounts() if f" {top}/" in line), reverse=True):
        subprocess.run(["umount", mounted], check=True, timeout=scaled(10))


# ---------------------------------------------------------------- containerd

@pytest.fixture
def containerd(tmp_path, image, program, parent_cgroup):
    with Containerd(tmp_path / "containerd", program, parent_cgroup, state="/run/killed").running(image) as daemon:
        yield daemon
        daemon.clean()


def tasks(ctr):
    """name → (pid, status)"""
    return {name: (int(pid), status) for name, pid, status in re.findall(r"^(\w+)\s+(\d+)\s+([A-Z]+)$", ctr("tasks", "ls"), re.M)}


@with_containerd
def test_containerd(containerd):
    """The tasks have shims: they go on, and the new daemon finds them, the one that ended meanwhile, too."""
    ctr = containerd.client
    for name in ("a", "b", "c"):
        ctr(*containerd.arguments(name, "-d"), "sleep", "600")
    before = tasks(ctr)
    containerd.daemon.kill()
    assert all(alive(pid) for pid, _ in before.values())
    kill_and_wait(before["c"][0])
    containerd.start()
    wait_for(lambda: tasks(ctr)["c"][1] == "STOPPED", 10, "the one that ended to be seen")
    assert {name: tasks(ctr)[name] for name in ("a", "b")} == {name: before[name] for name in ("a", "b")}
    assert ctr("tasks", "exec", "--exec-id", "e1", "a", "echo", "here") == "here\n"
    ctr("tasks", "pause", "b")
    ctr("tasks", "resume", "b")
    assert "137" in ctr("tasks", "delete", "c")
    ctr(*containerd.arguments("d", "--rm"), "true")


@with_containerd
def test_containerd_while_it_starts_tasks(containerd):
    """Clients in every stage of `ctr run`. What became of each may differ; none may stay."""
    ctr, names = containerd.client, [f"s{i}" for i in range(12)]
    with ThreadPoolExecutor(len(names)) as pool:
        clients = [pool.submit(ctr.call, *containerd.arguments(name, "-d"), "sleep", "600", timeout=100) for name in names]
        wait_for(lambda: len(ids_in(containerd.runtime_root())) >= 3, 30, "the first containers")
        containerd.daemon.kill()
        answers = [client.result() for client in clients]
    assert any(code != 0 for code, _ in answers), "all were done before"
    containerd.start()
    running = {name: pid for name, (pid, status) in tasks(ctr).items() if status == "RUNNING"}
    assert all(map(alive, running.values()))
    containerd.remove_all()
    # With every runtime containerd forgets shims that were just being asked for a container. Then the runtime's own command is what helps.
    for shim in processes_with("containerd-shim-runc-v2"):
        kill_and_wait(shim)
    delete_forgotten(containerd.program, containerd.runtime_root())
    ctr(*containerd.arguments("after", "--rm"), "true")
    unmount_below("/run/killed")


@with_containerd
def test_shim(containerd):
    """Its container ends with it: containerd has the runtime delete it by force."""
    ctr = containerd.client
    for name in ("a", "b"):
        ctr(*containerd.arguments(name, "-d"), "sleep", "600")
    pid = tasks(ctr)["a"][0]
    [shim] = [p for p in processes_with("containerd-shim-runc-v2", "a")]
    kill_and_wait(shim)
    wait_for(lambda: "a" not in tasks(ctr), 20, "containerd to clean up")
    wait_for(lambda: not alive(pid) and ids_in(containerd.runtime_root()) == ["b"], 20, "the container to be gone")
    assert ctr("tasks", "exec", "--exec-id", "e1", "b", "echo", "here") == "here\n"


@with_containerd
def test_containerd_and_shim(containerd):
    """Both at once: the new daemon finds a task without a shim."""
    ctr = containerd.client
    ctr(*containerd.arguments("a", "-d"), "sleep", "600")
    pid, shims = tasks(ctr)["a"][0], processes_with("containerd-shim-runc-v2", "a")
    containerd.daemon.kill()
    for shim in shims:
        kill_and_wait(shim)
    containerd.start()
    wait_for(lambda: not alive(pid) and ids_in(containerd.runtime_root()) == [], 20, "containerd to clean up")
    ctr("containers", "delete", "a")
    ctr(*containerd.arguments("a", "--rm"), "true")


# ---------------------------------------------------------------- Docker

@pytest.fixture
def new_docker(tmp_path, work, outside, image, program, parent_cgroup):
    """new_docker(settings…) → a Docker Engine of the test's own, ended with it."""
    made = []

    def make(**settings):
        (tmp_path / "data").mkdir()
        docker = Docker(tmp_path / "docker", f"/run/{tmp_path.name}", program, parent_cgroup, data=tmp_path / "data", bridge="none", iptables=False, **settings)
        made.append(docker)
        docker.start(image)
        return docker
    yield make
    for docker in made:
        clean(docker.client)
        for root in docker.state_roots():
            wait_for(lambda r=root: ids_in(r) == [], 10, f"{root} to be empty", lambda r=root: ids_in(r))
        docker.stop()
        unmount_below(tmp_path)
        unmount_below(f"/run/{tmp_path.name}")


def state(docker, name):
    return docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", name).split()


@with_docker
def test_dockerd_with_live_restore(new_docker):
    """Containers go on without their daemon; the one that ended meanwhile is known as ended. The log has no hole."""
    engine = new_docker(**{"live-restore": True})
    docker = engine.client
    docker("run", "-d", "--name", "one", "--network", "none", IMAGE, "sh", "-c", COUNT)
    docker("run", "-d", "--name", "two", "--network", "none", IMAGE, "sleep", "600")
    docker.until("tick 1", "logs", "one")
    pids = {name: state(docker, name)[2] for name in ("one", "two")}
    engine.dockerd.kill()
    kill_and_wait(int(pids["two"]))
    engine.dockerd.start()
    assert state(docker, "one") == ["running", "0", pids["one"]]
    wait_for(lambda: state(docker, "two")[0] == "exited", 20, "the end of the other to be seen")
    assert docker("exec", "one", "echo", "here") == "here\n"
    ticks = re.findall(r"tick (\d+)", docker("logs", "one"))
    docker.until(f"tick {int(ticks[-1]) + 2}", "logs", "one")
    ticks = list(map(int, re.findall(r"tick (\d+)", docker("logs", "one"))))
    assert ticks == list(range(len(ticks)))
    docker("pause", "one")
    docker("unpause", "one")
    docker("stop", "-t", "0", "one")
    docker("start", "two")


@with_docker
def test_dockerd(new_docker):
    """Without live-restore a new daemon ends what still runs, and starts again what its policy says."""
    engine = new_docker()
    docker = engine.client
    docker("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "600")
    docker("run", "-d", "--name", "always", "--restart", "always", "--network", "none", IMAGE, "sleep", "600")
    pids = {name: int(state(docker, name)[2]) for name in ("one", "always")}
    engine.dockerd.kill()
    engine.dockerd.start()
    wait_for(lambda: state(docker, "one")[0] == "exited", 30, "the first to be ended", lambda: state(docker, "one"))
    wait_for(lambda: state(docker, "always")[0] == "running" and int(state(docker, "always")[2]) not in (0, pids["always"]), 30, "the other to run again",
             lambda: state(docker, "always"))
    assert not any(map(alive, pids.values()))
    assert docker("exec", "always", "echo", "here") == "here\n"


@with_docker
def test_dockerd_while_it_starts_containers(new_docker):
    engine = new_docker()
    docker, names = engine.client, [f"s{i}" for i in range(10)]
    with ThreadPoolExecutor(len(names)) as pool:
        clients = [pool.submit(docker.call, "run", "-d", "--name", name, "--network", "none", IMAGE, "sleep", "600", timeout=100) for name in names]
        wait_for(lambda: any(len(ids_in(root)) >= 3 for root in engine.state_roots()), 60, "the first containers")
        engine.dockerd.kill()
        answers = [client.result() for client in clients]
    assert any(code != 0 for code, _ in answers), "all were done before"
    engine.dockerd.start()
    for name in docker("ps", "-a", "--format", "{{.Names}}").split():
        docker("start", name)
        assert docker("exec", name, "echo", "here") == "here\n"


@with_docker
def test_containerd_below_docker(new_docker):
    """dockerd notices that its containerd is gone, and that it is back: the containers were there all the time."""
    engine = new_docker()
    docker = engine.client
    docker("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "600")
    before = state(docker, "one")
    engine.containerd.kill()
    assert alive(int(before[2]))
    engine.containerd.start()
    wait_for(lambda: docker.call("exec", "one", "echo", "here") == (0, "here\n"), 60, "dockerd to be connected again", lambda: docker.call("exec", "one", "true"))
    assert state(docker, "one") == before
    docker("run", "--rm", "--network", "none", IMAGE, "true")
    docker("stop", "-t", "0", "one")


@with_docker
def test_shim_below_docker(new_docker):
    """The container has ended for Docker, and in truth."""
    engine = new_docker()
    docker = engine.client
    docker("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "600")
    cid, pid = docker("inspect", "-f", "{{.Id}}", "one").strip(), int(state(docker, "one")[2])
    [shim] = processes_with("containerd-shim-runc-v2", cid)
    kill_and_wait(shim)
    wait_for(lambda: state(docker, "one")[:2] == ["exited", "137"], 30, "Docker to see the end", lambda: state(docker, "one"))
    assert not alive(pid)
    docker("start", "one")
    assert docker("exec", "one", "echo", "here") == "here\n"


# ---------------------------------------------------------------- podman

@pytest.fixture
def podman(podman_engine, flavor):
    yield podman_engine
    clean_podman(podman_engine)
    assert ids_in(Path(RUNTIME_ROOTS[flavor])) == [], "left in the runtime's state root"


@pytest.fixture
def options(parent_cgroup):
    return ["--network", "none", "--cgroup-parent", parent_cgroup, IMAGE]


@with_podman
def test_conmon(podman, options, program, flavor):
    """The container goes on without conmon: the runtime knows it, enters it, ends it. conmon is who would have podman call `delete` (with every runtime)."""
    podman("run", "-d", "--name", "a", *options, "sleep", "600")
    pid, conmon = (int(podman("inspect", "-f", f"{{{{.State.{what}}}}}", "a")) for what in ("Pid", "ConmonPid"))
    kill_and_wait(conmon)
    assert alive(pid)
    assert podman("exec", "a", "echo", "here") == "here\n"
    podman("kill", "a", rc=None)
    wait_for(lambda: not alive(pid), 10, "the container to end")
    podman("rm", "-f", "-t", "0", "a", rc=None)
    assert podman("ps", "-aq") == ""
    delete_forgotten(program, Path(RUNTIME_ROOTS[flavor]), "stopped")


def remove_half_made(podman, name):
    """podman forgets the mount of a container's /dev/shm when it is killed before it has noted it, and stumbles over it (with every runtime)."""
    argv = ["rm", "-f", "-t", "0", "--ignore", name]
    rc, said = podman.call(*argv, timeout=60)
    forgotten = re.search(r"unlinkat (\S+/userdata/shm): device or resource busy", said)
    if rc != 0 and forgotten:
        if os.path.ismount(forgotten[1]):
            world.umount(forgotten[1])
        rc, said = podman.call(*argv, timeout=60)
    assert rc == 0, said


@with_podman
@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3, 0.6])
def test_podman_while_it_starts_a_container(podman, options, program, flavor, seconds):
    """Four clients at once, killed after that time; whatever each of them had made can be removed: by podman, and where it hadn't yet noted that it made a
    container (with every runtime), by the runtime."""
    clients = [subprocess.Popen([*podman.prefix, "run", "--name", f"s{i}", *map(str, options), "sleep", "600"], env=podman.env, cwd=podman.cwd,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(4)]
    time.sleep(scaled(seconds))
    for client in clients:
        client.kill()
        client.wait(scaled(10))
    for i in range(4):
        remove_half_made(podman, f"s{i}")
    assert podman("ps", "-aq", "--external") == ""
    delete_forgotten(program, Path(RUNTIME_ROOTS[flavor]))
    assert podman("run", "--rm", *options, "echo", "after") == "after\n"
