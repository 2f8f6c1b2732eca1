# SPDX-License-Identifier: Apache-2.0
"""buildah with --isolation oci: each RUN is a container of the runtime; and podman build, which is buildah inside."""
import pytest
from conftest import IMAGE, needs
from engine import Engine

NEEDED = ("buildah", "podman")
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(needs(*NEEDED) is not None, reason=str(needs(*NEEDED)))]
DOCKERFILE = f"""FROM {IMAGE}
ENV WORD=built
COPY file /opt/file
WORKDIR /w
RUN ["mkdir", "/x"]
RUN echo "$WORD $(cat /opt/file) $(id -u)" >/x/f
USER user
RUN id -u >/tmp/who
CMD ["cat", "/x/f", "/tmp/who"]
"""


@pytest.fixture(scope="module")
def engine(podman_engine):
    return podman_engine


@pytest.fixture
def buildah(podman, program):
    command = Engine("buildah", env=podman.env)
    yield command
    command("rm", "--all")


@pytest.fixture
def context(tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "file").write_text("payload\n")
    return tmp_path


def test_bud(buildah, podman, common, program, context):
    buildah("bud", "--isolation", "oci", "--runtime", program, "--network", "host", "-t", "localhost/bud:1", context, timeout=120)
    assert podman("run", "--rm", *common, "localhost/bud:1") == "built payload 0\n1000\n"
    podman("rmi", "localhost/bud:1")


def test_bud_that_fails(buildah, program, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 7\n")
    assert "exit status 7" in buildah("bud", "--isolation", "oci", "--runtime", program, "--network", "host", tmp_path, rc=7, timeout=120)


def test_run_and_commit(buildah, podman, common, program):
    buildah("from", "--name", "w1", IMAGE)
    run = ["run", "--isolation", "oci", "--runtime", program, "--network", "host", "w1", "--"]
    buildah(*run, "sh", "-c", "echo made >/made")
    buildah(*run, "sh", "-c", "exit 9", rc=9)
    buildah("commit", "-q", "w1", "localhost/made:1")
    assert podman("run", "--rm", *common, "localhost/made:1", "cat", "/made") == "made\n"
    podman("rmi", "localhost/made:1")


def test_podman_build(podman, common, context):
    podman("build", "--network", "host", "-q", "-t", "localhost/pb:1", context, timeout=120)
    assert podman("run", "--rm", *common, "localhost/pb:1") == "built payload 0\n1000\n"
    podman("rmi", "localhost/pb:1")
