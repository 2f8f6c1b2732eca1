# SPDX-License-Identifier: Apache-2.0
"""Docker with userns-remap: every container is root of a user namespace with the ids of an ordinary user."""
from pathlib import Path

import pytest
from conftest import needs
from dockers import IMAGE, PROGRAMS, Docker, run_options
from harness.needs import needs as machine_needs
from harness.rootless import NAME, SUB, SUB_COUNT
from harness.runtime import wait_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(needs(*PROGRAMS) is not None, reason=str(needs(*PROGRAMS))),
              machine_needs("newuidmap, newgidmap and /etc/subuid")]


@pytest.fixture(scope="module")
def dockerd(work, outside, image, program, parent_cgroup):
    """A daemon of its own: that setting is for all of its containers."""
    daemon = Docker(work / "remap", "/run/dockerremap", program, parent_cgroup, **{"userns-remap": NAME})
    try:
        daemon.start(image)
        daemon.client("run", "--rm", IMAGE, "true")
        daemon.client("run", "--rm", "--network", "host", "--userns", "host", IMAGE, "true")
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def engine(dockerd):
    return dockerd.client


@pytest.fixture
def background(docker):
    def start(*options):
        return docker("run", "-d", "--network", "none", *options, IMAGE, "sleep", "600").strip()
    return start


def test_it_is_root_of_its_own_ids(docker, background):
    cid = background()
    assert docker("exec", cid, "cat", "/proc/self/uid_map").split() == ["0", str(SUB), str(SUB_COUNT)]
    assert docker("exec", cid, "id", "-u") == "0\n"
    pid = docker("inspect", "-f", "{{.State.Pid}}", cid).strip()
    assert Path("/proc", pid).stat().st_uid == SUB
    assert docker("exec", "-u", "user", cid, "id", "-u") == "1000\n"
    assert docker("exec", cid, "stat", "-c", "%u %g", "/etc/passwd") == "0 0\n"


def test_volumes(docker, tmp_path):
    """Docker's own belong to the container's root; what lies on the host stays the host's."""
    docker(*run_options("-v", "v1:/v"), IMAGE, "touch", "/v/made")
    assert Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", "v1").strip(), "made").stat().st_uid == SUB
    (tmp_path / "of-root").write_text("x")
    (tmp_path / "of-root").chmod(0o600)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    assert "ermission denied" in docker(*run_options("-v", f"{tmp_path}:/h"), IMAGE, "cat", "/h/of-root", rc=1)
    assert docker(*run_options("-v", f"{tmp_path}:/h"), IMAGE, "stat", "-c", "%u", "/h/of-root") == "65534\n"


def test_network(docker, background):
    """A network namespace that is the container's: it may change what is in it."""
    assert "lo" in docker("run", "--rm", "--cap-add", "NET_ADMIN", IMAGE, "sh", "-c", "ip link set lo down && ip link")
    assert docker("run", "--rm", IMAGE, "sh", "-c", "ip -4 addr show eth0 | grep -c inet").strip() == "1"


def test_life(docker, background):
    cid = background("--memory", "64m", "--cap-add", "SYS_ADMIN", "--tmpfs", "/t", "--read-only")
    docker("pause", cid)
    docker("unpause", cid)
    docker("update", "--memory", "96m", "--memory-swap", "-1", cid)
    docker("restart", "-t", "0", cid)
    assert docker("exec", cid, "sh", "-c", "mount -t tmpfs tmpfs /t && echo mounted") == "mounted\n"
    docker("kill", cid)
    wait_for(lambda: docker("inspect", "-f", "{{.State.ExitCode}}", cid) == "137\n", 10, "the end")


def test_without_the_user_namespace(docker):
    """A container may be taken out of it."""
    assert docker(*run_options("--userns", "host"), IMAGE, "cat", "/proc/self/uid_map").split() == ["0", "0", "4294967295"]
