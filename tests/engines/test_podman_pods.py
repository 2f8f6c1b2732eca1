# SPDX-License-Identifier: Apache-2.0
"""podman: networks, ports, pods, kube play."""
import podmans
import pytest
from conftest import IMAGE, needs
from daemons import HOST_ADDRESS, fetch
from harness import snapshot
from harness.runtime import wait_for
from images import PAGE

NEEDED = (*podmans.PROGRAMS, "iptables")
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(needs(*NEEDED) is not None, reason=str(needs(*NEEDED)))]
KUBE = """apiVersion: v1
kind: Pod
metadata: {{name: kp}}
spec:
  containers:
  - {{name: web, image: {image}, command: [httpd, "-f", "-h", "/www"], ports: [{{containerPort: 80, hostPort: 8083}}], resources: {{limits: {{memory: 64Mi}}}}}}
  - {{name: side, image: {image}, command: [sleep, "600"], env: [{{name: ROLE, value: side}}]}}
"""
SERVE = ("httpd", "-f", "-h", "/www")


@pytest.fixture(scope="module")
def engine(podman_engine):
    return podman_engine


def test_ports_are_answered(podman, parent_cgroup):
    podman("run", "-d", "--name", "web", "--cgroup-parent", parent_cgroup, "-p", "8081:80", IMAGE, *SERVE)
    wait_for(lambda: fetch("http://127.0.0.1:8081/") == PAGE, 10, "the port on loopback")
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8081/", outside=True) == PAGE, 10, "the port from outside")
    address = podman("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web").strip()
    assert PAGE in podman("run", "--rm", "--cgroup-parent", parent_cgroup, IMAGE, "wget", "-q", "-O", "-", f"http://{address}/")


def test_pod(podman, parent_cgroup):
    """Its containers share the network; pause, stop, start act on all."""
    podman("pod", "create", "--cgroup-parent", parent_cgroup, "--name", "p1", "-p", "8082:80")
    podman("run", "-d", "--pod", "p1", "--name", "web", IMAGE, *SERVE)
    podman("run", "-d", "--pod", "p1", "--name", "side", IMAGE, "sleep", "600")
    assert podman("exec", "side", "wget", "-q", "-O", "-", "http://127.0.0.1/") == PAGE
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8082/", outside=True) == PAGE, 10, "the pod's port")
    podman("pod", "pause", "p1")
    assert podman("inspect", "-f", "{{.State.Status}}", "web", "side").split() == ["paused"] * 2
    podman("pod", "unpause", "p1")
    podman("pod", "stop", "-t", "0", "p1")
    podman("pod", "start", "p1")
    assert "Running" in podman("pod", "ps")
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8082/", outside=True) == PAGE, 10, "the pod's port again")
    podman("pod", "rm", "-f", "-t", "0", "p1")


def test_kube_play(podman, tmp_path):
    (tmp_path / "pod.yaml").write_text(KUBE.format(image=IMAGE))
    podman("play", "kube", tmp_path / "pod.yaml")
    assert podman("exec", "kp-web", "hostname").strip() == "kp"
    assert podman("exec", "kp-side", "sh", "-c", "echo $ROLE").strip() == "side"
    wait_for(lambda: fetch("http://127.0.0.1:8083/") == PAGE, 10, "the pod's port")
    podman("play", "kube", "--down", tmp_path / "pod.yaml")
    assert podman("ps", "-aq").strip() == ""
    podman("network", "rm", "-f", "podman-default-kube-network")
    # podman's parent of pods has no option here. It goes with the container for which it was made, unless that is removed before the others.
    for place in (h / "libpod_parent" for h in snapshot.hierarchies()):
        if place.exists():
            place.rmdir()
