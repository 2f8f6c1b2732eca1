# SPDX-License-Identifier: Apache-2.0
"""tests/node: a node as people have it. Debian's Docker, containerd and podman are services of systemd, with the systemd driver that is their default there,
and hull is their runtime by the files that it installs.

    ./dev check-vm engines-6.1 engines-7"""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "systemd")]
sys.path.append(str(TESTS / "engines"))

import images  # noqa: E402
from harness.clock import scaled  # noqa: E402
from harness.fixtures import program_path, pytest_collection_modifyitems  # noqa: E402,F401
from harness.runtime import ids_in, wait_for  # noqa: E402

TAG = f"hulltest{os.getpid()}"
CGROUPS = Path("/sys/fs/cgroup")
STATE_ROOTS = ("/run/hull", "/run/containerd/runc/k8s.io", "/run/docker/runtime-runc/moby", "/run/user/1000/hull")
# What belongs to a container or a pod, in the names that the engines give.
OURS = re.compile(r"(docker|libpod|cri-containerd|machine-libpod|kubepods|hulltest|user-libpod)[^/]*\.(scope|slice|service)$")


def pytest_configure(config):
    config.addinivalue_line("markers", "hull_only(reason): what peers don't do")
    if os.geteuid() != 0 or not Path("/run/systemd/system").is_dir():
        pytest.exit("these tests want root and systemd, in a machine of their own: ./dev check-vm engines-6.1", 4)


def run(*argv, rc=0, seconds=60):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=scaled(seconds), check=False)
    assert rc is None or done.returncode == rc, f"{argv}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def show(unit, *names, systemctl=("systemctl",)):
    """Properties of a unit as a dictionary of texts."""
    return dict(line.split("=", 1) for line in run(*systemctl, "show", unit, *(f"--property={n}" for n in names)).splitlines())


def cgroup_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")


def files(cgroup, *names):
    """What these files of a cgroup hold."""
    return [(CGROUPS / cgroup.lstrip("/") / name).read_text().strip() for name in names]


def left():
    """What engines and runtime have made and not yet removed."""
    units = [line.split()[0] for line in run("systemctl", "list-units", "--all", "--plain", "--no-legend").splitlines()]
    cgroups = [path for path, _, _ in os.walk(CGROUPS) if OURS.search(path)]
    containers = [f"{root}/{cid}" for root in STATE_ROOTS for cid in ids_in(Path(root))]
    return sorted([u for u in units if OURS.match(u)] + cgroups + containers)


def mounts():
    return sorted(" ".join(line.split()[4:]) for line in Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.fixture(scope="session")
def program():
    return program_path()


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """An image of one layer made from busybox-static, as `docker save` writes it."""
    return images.make(tmp_path_factory.mktemp("image"))


@pytest.fixture(autouse=True)
def node(request):
    """Units, cgroups, mounts and what the runtime knows are the same before and after each test. (The engine is there before the test.)"""
    if "engine" in request.fixturenames:
        request.getfixturevalue("engine")
    before = left(), mounts()
    yield
    wait_for(lambda: (left(), mounts()) == before, 20, "the node to be as before", lambda: (set(left()) ^ set(before[0]), set(mounts()) ^ set(before[1])))
