# SPDX-License-Identifier: Apache-2.0
"""docs/engines.md: its commands, and the files that it is about."""
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import cri
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


OF_A_NODE = """version = 2
{imports}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/own-pause:1"
"""


@pytest.mark.skipif(needs("containerd") is not None, reason=str(needs("containerd")))
@pytest.mark.parametrize("newer", [False, pytest.param(True, marks=pytest.mark.skipif(not cri.NEWER.exists(), reason="no containerd 2: ./dev containerd-2"))])
def test_containerd_keeps_its_other_settings(program, tmp_path, newer):
    """Appended for containerd 1, imported by containerd 2: the node's own settings and its other runtime are there as before."""
    containerd, config, ours = cri.NEWER / "containerd" if newer else "containerd", tmp_path / "config.toml", tmp_path / "hull.toml"
    ours.write_text(drop_in("containerd.toml", program))

    def dump():
        return subprocess.run([containerd, "-c", config, "config", "dump"], capture_output=True, text=True, timeout=scaled(20), check=True).stdout
    config.write_text(OF_A_NODE.format(imports=f'imports = ["{ours}"]' if newer else ""))
    if not newer:
        config.write_text(re.sub("^imports.*", "", dump(), flags=re.M) + ours.read_text().replace("version = 2\n", ""))
    plugins = tomllib.loads(dump())["plugins"]
    of_cri = plugins["io.containerd.cri.v1.runtime" if newer else "io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
    assert of_cri["hull"]["options"]["BinaryName"] == str(program) and of_cri["runc"]["options"]["BinaryName"] == ""
    assert "localhost/own-pause:1" in dump()


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="not Debian")
def test_packages():
    """What the document installs is what ./dev installs for these tests."""
    dev = (REPO / "dev").read_text()
    known = set(" ".join(re.findall(r"_packages=['\"]([^'\"]*)['\"]", dev)).split())
    named = re.search(r"^```sh install\napt-get install -y --no-install-recommends (.*)$", (REPO / "docs/engines.md").read_text(), re.M)[1].split()
    assert set(named) <= known
