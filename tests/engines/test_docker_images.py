# SPDX-License-Identifier: Apache-2.0
"""Docker's images: pull and push through a registry on loopback, build from a Dockerfile with both builders, versions and rollback by tag."""
import pytest
from conftest import needs
from dockers import IMAGE, PROGRAMS, run_options

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(needs(*PROGRAMS) is not None, reason=str(needs(*PROGRAMS)))]
SCRIPT = """#!/bin/sh
# what the script of a package does: files, a user, a directory of that user
set -e
mkdir -p /opt/greet /var/lib/greet
echo 'exec echo "$GREETING $(cat /opt/greet/word), from $(id -un)"' >/opt/greet/run
echo 'greet:x:777:777:greet:/var/lib/greet:/bin/sh' >>/etc/passwd
chown 777:777 /var/lib/greet
"""
DOCKERFILE = """FROM {base}
ENV GREETING=hi
COPY install.sh /tmp/install.sh
COPY word /opt/greet/word
RUN sh /tmp/install.sh && rm /tmp/install.sh
WORKDIR /opt/greet
USER greet
EXPOSE 80
VOLUME /var/lib/greet
CMD ["sh", "/opt/greet/run"]
"""


@pytest.fixture(scope="module")
def engine(dockerd, registry):
    return dockerd.client


@pytest.fixture
def context(tmp_path):
    """A directory with a Dockerfile; call it with the word that the image is to say."""
    def write(word, base=IMAGE):
        (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(base=base))
        (tmp_path / "install.sh").write_text(SCRIPT)
        (tmp_path / "word").write_text(f"{word}\n")
        return tmp_path
    return write


@pytest.mark.parametrize("buildkit", [0, 1])
def test_build(docker, context, buildkit):
    """RUN goes through the runtime in both builders: the daemon's own, and BuildKit in it."""
    docker("build", "--network", "none", "-t", "greet:1", context("one"), env={"DOCKER_BUILDKIT": str(buildkit)}, timeout=120)
    assert docker(*run_options(), "greet:1") == "hi one, from greet\n"
    assert docker(*run_options("-e", "GREETING=ho"), "greet:1") == "ho one, from greet\n"
    assert docker("image", "inspect", "-f", "{{.Config.User}} {{.Config.WorkingDir}}", "greet:1").strip() == "greet /opt/greet"
    docker("rmi", "greet:1")


def test_build_that_fails(docker, tmp_path):
    """The exit code of RUN is the builder's message, and no container stays."""
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 7\n")
    assert "returned a non-zero code: 7" in docker("build", "--network", "none", tmp_path, env={"DOCKER_BUILDKIT": "0"}, rc=None)


def test_pull_and_push(docker, registry):
    ref = f"{registry}/box:1"
    docker("tag", IMAGE, ref)
    docker("push", "-q", ref)
    docker("rmi", ref)
    assert ref.rpartition(":")[0] not in docker("images")
    docker("pull", "-q", ref)
    assert docker("images", "--format", "{{.Repository}}:{{.Tag}}", ref).split() == [ref]
    assert docker(*run_options(), ref, "echo", "pulled") == "pulled\n"
    docker("rmi", ref)


def test_versions_and_rollback(docker, context, registry):
    """A tag moves to a new version and back; a container that runs keeps what it was started from."""
    release, seen = f"{registry}/greet:release", {}
    for word in ("one", "two"):
        docker("build", "--network", "none", "-t", f"{registry}/greet:{word}", context(word), env={"DOCKER_BUILDKIT": "0"}, timeout=120)
        docker("push", "-q", f"{registry}/greet:{word}")
    for word in ("one", "two", "one"):
        docker("tag", f"{registry}/greet:{word}", release)
        docker("push", "-q", release)
        docker("rmi", release)
        docker("pull", "-q", release)
        seen.setdefault(word, docker("image", "inspect", "-f", "{{.Id}}", release))
        assert docker("image", "inspect", "-f", "{{.Id}}", release) == seen[word]
        assert docker(*run_options(), release) == f"hi {word}, from greet\n"
        if word == "two":
            docker("run", "-d", "--name", "stays", "--network", "none", release, "sleep", "600")
    assert seen["one"] != seen["two"]
    assert docker("exec", "stays", "cat", "/opt/greet/word") == "two\n"
    docker("rm", "-f", "stays")
    docker("rmi", *(f"{registry}/greet:{tag}" for tag in ("one", "two", "release")))


def test_commit_and_load(docker, tmp_path):
    docker("run", "--name", "c1", "--network", "none", IMAGE, "sh", "-c", "echo kept >/kept")
    docker("commit", "c1", "committed:1")
    docker("save", "-o", tmp_path / "saved.tar", "committed:1")
    docker("rm", "c1")
    docker("rmi", "committed:1")
    docker("load", "-q", "-i", tmp_path / "saved.tar")
    assert docker(*run_options(), "committed:1", "cat", "/kept") == "kept\n"
    docker("rmi", "committed:1")
