# SPDX-License-Identifier: Apache-2.0
"""Docker Swarm on one node: services, scale, rolling update, rollback, drain; ports of the host (without IP_VS there is no ingress)."""
import time

import pytest
from conftest import needs
from daemons import HOST_ADDRESS, fetch
from dockers import IMAGE, PROGRAMS
from harness import snapshot
from harness.clock import scaled
from harness.runtime import wait_for
from images import PAGE

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(needs(*PROGRAMS) is not None, reason=str(needs(*PROGRAMS)))]
STACK = """version: "3.7"
services:
  a: {{image: "{image}", command: sleep 600, deploy: {{replicas: 2, endpoint_mode: dnsrr}}}}
"""


def settled():
    """Nothing new for two seconds."""
    before = snapshot.mounts(), snapshot.processes()
    time.sleep(scaled(2))
    return before == (snapshot.mounts(), snapshot.processes())


@pytest.fixture(scope="module")
def engine(dockerd):
    """A swarm of one node, manager and worker. Its networks stay as long as it does, so it is made before anything is compared."""
    client = dockerd.client
    client("swarm", "init", "--advertise-addr", HOST_ADDRESS, "--listen-addr", f"{HOST_ADDRESS}:2377")
    client("service", "create", "-d", "--name", "first", IMAGE, "true")  # what the swarm makes with its first service
    client.until("Complete", "service", "ps", "first", seconds=60)
    client("service", "rm", "first")
    wait_for(lambda: client("ps", "-aq") == "", 60, "the first service to be gone")
    wait_for(settled, 60, "the swarm's own networks")
    yield client
    client("swarm", "leave", "--force")


class Service:
    """A service, and how many of its tasks run."""

    def __init__(self, docker, name):
        self.docker, self.name = docker, name

    def create(self, *options, args=("sleep", "600")):
        self.docker("service", "create", "-d", "--name", self.name, "--stop-grace-period", "1s", *options, IMAGE, *args)
        return self

    def running(self):
        return self.docker("service", "ls", "-f", f"name={self.name}", "--format", "{{.Replicas}}").split(" ")[0].strip()

    def runs(self, replicas, seconds=60):
        wait_for(lambda: self.running() == replicas, seconds, f"{self.name} to run {replicas}", lambda: self.docker("service", "ps", self.name))

    def update_is(self, state, seconds=90):
        wait_for(lambda: self.docker("service", "inspect", "-f", "{{.UpdateStatus.State}}", self.name).strip() == state, seconds,
                 f"{self.name} to be {state}", lambda: self.docker("service", "ps", self.name))

    def containers(self):
        return self.docker("ps", "-q", "-f", f"label=com.docker.swarm.service.name={self.name}").split()

    def versions(self):
        """What the tasks that run find in VERSION. One may end while we ask."""
        said = {self.docker.call("exec", c, "sh", "-c", "echo $VERSION") for c in self.containers()}
        return {out.strip() for code, out in said if code == 0}

    def remove(self):
        self.docker("service", "rm", self.name, rc=None)  # a test may have removed it
        wait_for(lambda: self.containers() == [], 60, f"the tasks of {self.name} to end")


@pytest.fixture
def service(docker):
    """A service; nothing of it stays."""
    made = []

    def make(name):
        made.append(Service(docker, name))
        return made[-1]
    yield make
    for s in made:
        s.remove()


def test_service(service, docker):
    """Three replicas, scale, rolling update, rollback; one that is killed is replaced."""
    s = service("s").create("--replicas", "3", "--update-delay", "1s", "--update-parallelism", "1", "--env", "VERSION=1", "--limit-memory", "64m")
    s.runs("3/3")
    assert docker("inspect", "-f", "{{.HostConfig.Runtime}}", *s.containers()).split() == ["tested"] * 3
    docker("service", "scale", "-d", "s=4")
    s.runs("4/4")
    assert s.versions() == {"1"}
    docker("service", "update", "-d", "--env-rm", "VERSION", "--env-add", "VERSION=2", "s")
    s.update_is("completed")
    s.runs("4/4")
    assert s.versions() == {"2"}
    docker("service", "rollback", "-d", "s")
    s.update_is("rollback_completed")
    s.runs("4/4")
    assert s.versions() == {"1"}
    killed = s.containers()[0]
    docker("kill", killed)
    wait_for(lambda: killed[:12] not in s.containers() and s.running() == "4/4", 60, "the killed task to be replaced")


@pytest.mark.long
def test_update_that_fails_is_rolled_back(service, docker):
    s = service("f").create("--replicas", "2", "--env", "VERSION=1", "--update-failure-action", "rollback", "--update-monitor", "5s",
                            "--update-max-failure-ratio", "0", "--restart-condition", "none")
    s.runs("2/2")
    docker("service", "update", "-d", "--args", "/nope", "--env-rm", "VERSION", "--env-add", "VERSION=2", "f")
    s.update_is("rollback_completed")
    s.runs("2/2")
    assert s.versions() == {"1"}


def test_port_of_the_host(service):
    """Ports in host mode: they are asked from outside."""
    service("p").create("--publish", "mode=host,published=8087,target=80", args=("httpd", "-f", "-h", "/www")).runs("1/1")
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8087/", outside=True) == PAGE, 20, "the port from outside")


@pytest.mark.long
def test_secret_and_config(service, docker):
    docker("secret", "create", "word", "-", text="s3cret")
    try:
        s = service("w").create("--secret", "word")
        s.runs("1/1")
        assert docker("exec", s.containers()[0], "cat", "/run/secrets/word") == "s3cret"
        s.remove()
    finally:
        docker("service", "rm", "w", rc=None)
        docker("secret", "rm", "word")


def test_drain(service, docker):
    """A node that is drained gives all its tasks up, and gets them back when it is active again."""
    node = docker("node", "ls", "-q").strip()
    s = service("d").create("--replicas", "2")
    s.runs("2/2")
    docker("node", "update", "--availability", "drain", node)
    try:
        wait_for(lambda: s.containers() == [], 60, "the node to be empty")
        s.runs("0/2")
    finally:
        docker("node", "update", "--availability", "active", node)
    s.runs("2/2")


@pytest.mark.long
def test_stack(docker, tmp_path):
    (tmp_path / "stack.yml").write_text(STACK.format(image=IMAGE))
    docker("stack", "deploy", "--resolve-image", "never", "-c", tmp_path / "stack.yml", "st")
    s = Service(docker, "st_a")
    s.runs("2/2")
    docker("stack", "rm", "st")
    wait_for(lambda: s.containers() == [], 60, "the stack to be gone")
    wait_for(lambda: "st_" not in docker("network", "ls"), 30, "the stack's network to be gone")
