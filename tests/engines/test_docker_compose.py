# SPDX-License-Identifier: Apache-2.0
"""Docker Compose: two services, a network with their names, a volume."""
import re

import pytest
from conftest import needs
from daemons import HOST_ADDRESS, fetch
from dockers import IMAGE, PROGRAMS
from engine import Engine
from harness.runtime import wait_for
from images import PAGE

NEEDED = (*PROGRAMS, "docker-compose")
pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(needs(*NEEDED) is not None, reason=str(needs(*NEEDED)))]
COMPOSE = """version: "3.7"
services:
  web:
    image: {image}
    command: httpd -f -h /www
    ports: ["{host}:8085:80"]
    environment: {{ROLE: web}}
  client:
    build: ./client
    command: sh -c 'until wget -q -O /data/page http://web/; do sleep 1; done; echo client-done; exec sleep 600'
    depends_on: [web]
    volumes: ["data:/data"]
volumes: {{data: {{}}}}
"""


@pytest.fixture(scope="module")
def engine(dockerd):
    return dockerd.client


@pytest.fixture
def compose(docker, tmp_path):
    (tmp_path / "client").mkdir()
    (tmp_path / "client/Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo composed >/c\n")
    (tmp_path / "docker-compose.yml").write_text(COMPOSE.format(image=IMAGE, host=HOST_ADDRESS))
    old = {"DOCKER_HOST": docker.env["DOCKER_HOST"], "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
    command = Engine("docker-compose", "-p", "app", "-f", tmp_path / "docker-compose.yml", env=old)
    yield command
    command("down", "-t", "0", "-v", "--rmi", "local", rc=None, timeout=60)


def test_compose(compose):
    """Two services find each other by name; one is built, one is asked from outside; a volume outlives a restart."""
    compose("up", "-d", "--build", timeout=120)
    compose.until("client-done", "logs", "client", seconds=40)
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8085/", outside=True) == PAGE, 20, "the port from outside")
    assert "composed" in compose("exec", "-T", "client", "cat", "/c", "/data/page")
    compose("restart", "-t", "0", "client", timeout=60)
    assert PAGE.strip() in compose("exec", "-T", "client", "cat", "/data/page")
    compose("up", "-d", "--no-recreate", "--scale", "client=2", timeout=60)
    assert len(re.findall("^[0-9a-f]{64}$", compose("ps", "-q", "client"), re.M)) == 2
    compose("down", "-t", "0", "-v", timeout=60)
    assert not re.search("^[0-9a-f]{64}$", compose("ps", "-q"), re.M)
