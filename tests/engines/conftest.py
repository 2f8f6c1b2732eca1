# SPDX-License-Identifier: Apache-2.0
"""tests/engines: Docker, podman, buildah, containerd and its CRI on the runtime, in the world of tests/integration: its network has the loopback, and a
veth to a namespace that plays another machine.

The engines' directories are private here; what they keep for themselves there isn't compared, all else is. Marker `long`: not in `./dev test`."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]

import cri  # noqa: E402
import daemons  # noqa: E402
import images  # noqa: E402
import podmans  # noqa: E402
from engine import Engine  # noqa: E402
from harness import fixtures, snapshot, world  # noqa: E402
from harness.clock import scaled  # noqa: E402
from harness.fixtures import *  # noqa: E402,F401,F403
from harness.fixtures import parent_cgroup  # noqa: E402,F401
from harness.runtime import Runtime, ids_in, wait_for  # noqa: E402
from kubepods import Pod  # noqa: E402

PRIVATE = ("/var/lib/containers", "/var/lib/containerd", "/var/lib/docker", "/var/lib/cni", "/etc/cni/net.d", "/etc/containerd", "/etc/docker",
           "/etc/containers/networks", "/etc/containers/containers.conf.d", "/root", "/dev/shm")
IMAGE = images.NAME
PODMAN_OWN = "/storage/overlay"  # it binds that on itself and takes the bind away as it likes
DOCKERS_BRIDGE = "links: gone: docker0"  # of a daemon before; the next one may make it anew
COMPARED = ("mounts", "cgroups", "processes", "namespaces", "links", "/dev", "settings")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes a minute or more; not in ./dev test (check-engines --quick)")
    fixtures.pytest_configure(config)


@pytest.fixture(scope="session")
def flavor(program):
    """hull, runc or crun."""
    return Runtime(program, "/").flavor


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Private directories for the engines (they see the rest of the host as it is)."""
    top = tmp_path_factory.mktemp("engines")
    made = []
    for n, path in enumerate(PRIVATE):
        missing = [p for p in (Path(path), *Path(path).parents) if not p.exists()]
        made += missing
        Path(path).mkdir(parents=True, exist_ok=True)
        if path.startswith("/var/lib"):
            (top / f"private{n}").mkdir()
            world.mount(str(top / f"private{n}"), path, None, world.MS_BIND)
        else:
            world.mount("tmpfs", path, "tmpfs", 0, "mode=1777" if path == "/dev/shm" else "mode=700")
    os.environ["HOME"] = "/root"
    yield top
    for path in reversed(PRIVATE):
        world.umount(path)
    # (Where others run these tests at the same time theirs may be mounted on it, which rmdir takes away since Linux 3.18.)
    for path in sorted([] if snapshot.SHARED_HOST else made, key=lambda p: len(p.parts), reverse=True):
        path.rmdir()


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """An image of one layer made from busybox-static, as `docker save` writes it."""
    return images.make(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def outside(work):
    """A network namespace to ask from, see daemons.fetch()."""
    daemons.make_outside()
    yield daemons.OUTSIDE
    subprocess.run(["ip", "link", "del", "eth0"], check=True, timeout=scaled(20))
    subprocess.run(["ip", "netns", "del", daemons.OUTSIDE], check=True, timeout=scaled(20))


@pytest.fixture(scope="session")
def registry(work):
    """A registry on loopback; its address."""
    top = work / "registry"
    top.mkdir()
    daemon = daemons.registry(top).start()
    yield daemons.REGISTRY
    daemon.stop()


@pytest.fixture(scope="session")
def podman_engine(work, image, program, parent_cgroup, outside):
    """podman as root with the drop-in file that hull installs, and what a machine without systemd needs."""
    podmans.configure(program)
    podman = Engine("podman", "--runtime", program.name, env={"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"})
    podman("load", "-q", "-i", image)
    # podman makes a cgroup for conmon, a mount for its storage and a lock file for its network with the first containers, and keeps them
    podman("run", "--rm", "--cgroup-parent", parent_cgroup, "--network", "none", IMAGE, "true")
    podman("run", "--rm", "--cgroup-parent", parent_cgroup, IMAGE, "true")
    wait_for(lambda: "conmon" not in {p[2] for p in snapshot.processes()}, 10, "conmon to end")
    return podman


@pytest.fixture
def podman(engine, program):
    """And nothing of a container is left: not for podman, not for the runtime."""
    yield engine
    podmans.clean(engine)
    root = Path("/run") / ("hull" if "hull" in program.name else program.name)
    assert ids_in(root) == [], "left in the runtime's state root"


@pytest.fixture
def common(parent_cgroup):
    """For a container without a network of its own."""
    return ["--cgroup-parent", parent_cgroup, "--network", "none"]


@pytest.fixture(scope="module")
def containerd(work, image, program, parent_cgroup):
    """One by itself, for ctr."""
    from containerds import Containerd
    with Containerd(work / "ctr", program, parent_cgroup, root="/var/lib/containerd").running(image) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def dockerd(work, outside, image, program, parent_cgroup):
    """One Docker Engine for all files that use it; its network is Docker's usual bridge."""
    from dockers import Docker
    daemon = Docker(work / "docker", "/run/dockertest", program, parent_cgroup)
    try:
        daemon.start(image)
        # docker0 gets its MAC address, and the daemon what it keeps (the host's network namespace as a mount, too), with the first containers
        daemon.client("run", "--rm", IMAGE, "true")
        daemon.client("run", "--rm", "--network", "host", IMAGE, "true")
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def docker(engine, dockerd):
    """The client. Afterwards no container is left: not for Docker, not for the runtime."""
    from dockers import clean
    yield engine
    clean(engine)
    for root in dockerd.state_roots():
        wait_for(lambda: ids_in(root) == [], 5, f"{root} to be empty", lambda: ids_in(root))


@pytest.fixture(scope="module", params=[
    pytest.param("", id="containerd"),
    pytest.param("newer", id="containerd-2", marks=[
        pytest.mark.long, pytest.mark.skipif(not cri.NEWER.exists(), reason="no containerd 2: ./dev containerd-2")])])
def node(request, work, image, program, parent_cgroup, tmp_path_factory):
    """A client of containerd's CRI. Bridge and directories that containerd keeps come with the first pod."""
    top = tmp_path_factory.mktemp("node")
    groups = [f"{parent_cgroup}/kubepods{qos}" for qos in ("/burstable", "/besteffort", "")]
    for group in groups:
        cri.make_cgroup(group)
    with cri.containerd(top / "etc", program, [image, images.make_pause(top)], newer=bool(request.param)) as client:
        Pod(client, parent_cgroup, top).run().remove()
        yield client
    for group in groups:
        cri.remove_cgroup(group)


@pytest.fixture
def pod(engine, parent_cgroup, tmp_path):
    """pod(…) → kubepods.Pod, not yet run; for an engine that is a client of CRI. Afterwards no pod is left: not for containerd, not for the runtime."""
    made, root = [], Path("/run/containerd/runc/k8s.io")

    def known():
        return {*(c.id for c in (*engine("ListPodSandbox").items, *engine("ListContainers").containers)), *ids_in(root)}
    before = known()

    def make(**how):
        made.append(Pod(engine, parent_cgroup, tmp_path, **how))
        return made[-1]
    yield make
    problems = []
    for each in made:
        try:
            each.remove()
        except (AssertionError, cri.Refused) as e:  # the others have to go, too
            problems.append(f"{each.name}: {e}")
    assert not problems, "\n".join(problems)
    assert known() == before


@pytest.fixture(autouse=True)
def host(engine):
    """As in tests/integration, but for the files that an engine keeps in /run for itself."""
    before = {k: v for k, v in snapshot.take().items() if k in COMPARED}
    yield before
    found = [line for line in snapshot.differences_when_settled(before)[0] if f"{PODMAN_OWN} " not in line and line != DOCKERS_BRIDGE]
    assert not found, "left behind:\n  " + "\n  ".join(found)


def needs(*names):
    """The reason to skip when one of these programs isn't installed, else None."""
    missing = [n for n in names if shutil.which(n) is None]
    return f"not installed: {', '.join(missing)}" if missing else None
