# SPDX-License-Identifier: Apache-2.0
"""docs/engines.md: its commands, and the files that it is about."""
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from conftest import needs
from harness.clock import scaled
from harness.fixtures import REPO
from podmans import drop_in

NEEDED = ("docker", "dockerd", "podman", "buildah", "containerd", "jq", "iptables")


@pytest.fixture(scope="module")
def engine():
    """The document starts its own."""


@pytest.mark.hull_only(reason="it is about hull")
@pytest.mark.skipif(needs(*NEEDED) is not None, reason=str(needs(*NEEDED)))
@pytest.mark.timeout(300)
@pytest.mark.long
def test_every_command(parent_cgroup):
    """All but the installation of packages, with what `make install` puts into /usr/local."""
    env = {**os.environ, "ENGINES_DOC_CGROUP": f"{parent_cgroup}/doc"}
    done = subprocess.run([sys.executable, "-B", REPO / "tools/engines-doc"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=scaled(290), env=env, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "containerd runs hull" in done.stdout


def test_drop_ins(program):
    """They are what they say they are, and name the program."""
    podman = tomllib.loads(drop_in("containers.conf", program))["engine"]
    assert podman["runtimes"] == {"hull": [str(program)]}
    assert all("hull" in podman[f"runtime_supports_{what}"] for what in ("json", "nocgroups", "nocgroup"))
    assert json.loads(drop_in("docker-daemon.json", program)) == {"runtimes": {"hull": {"path": str(program)}}}
    containerd = tomllib.loads(drop_in("containerd.toml", program))
    hull = containerd["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["hull"]
    assert (containerd["version"], hull["runtime_type"], hull["options"]) == (2, "io.containerd.runc.v2", {"BinaryName": str(program)})
    crio = tomllib.loads(drop_in("crio.conf", program))["crio"]["runtime"]["runtimes"]["hull"]
    assert crio == {"runtime_path": str(program), "runtime_type": "oci", "runtime_root": "/run/hull"}


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="not Debian")
def test_packages():
    """What the document installs is what ./dev installs for these tests."""
    dev = (REPO / "dev").read_text()
    known = set(" ".join(re.findall(r"_packages=['\"]([^'\"]*)['\"]", dev)).split())
    named = re.search(r"^```sh install\napt-get install -y --no-install-recommends (.*)$", (REPO / "docs/engines.md").read_text(), re.M)[1].split()
    assert set(named) <= known
