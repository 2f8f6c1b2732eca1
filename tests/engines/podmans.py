# SPDX-License-Identifier: Apache-2.0
"""podman's and buildah's configuration for these tests, and the end of what a test made."""
from pathlib import Path

from harness.fixtures import REPO

PROGRAMS = ("podman", "conmon")
RUNTIME_ROOTS = {"hull": "/run/hull", "runc": "/run/runc", "crun": "/run/crun"}  # where a runtime that root's podman calls keeps its containers
DROP_INS = Path("/etc/containers/containers.conf.d")
HERE = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
"""
# What a peer needs when it is called by a path of its own.
PEER = """[engine.runtimes]
{name} = ["{path}"]
"""


def drop_in(name, program):
    """A file of engines/ as `make install` would write it, for that program."""
    text = (REPO / "engines" / f"{name}.in").read_text()
    return text.replace("@bindir@/hull", str(program))


def configure(program):
    """Into /etc/containers/containers.conf.d, which is private here."""
    (DROP_INS / "00-tests.conf").write_text(HERE)
    ours = drop_in("containers.conf", program) if program.name == "hull" else PEER.format(name=program.name, path=program)
    (DROP_INS / "hull.conf").write_text(ours)


def clean(podman):
    """Containers, pods, volumes and secrets."""
    podman("pod", "rm", "--all", "--force", "--time", "0")
    podman("rm", "--all", "--force", "--time", "0")
    podman("volume", "rm", "--all", "--force")
    for secret in podman("secret", "ls", "-q").split():
        podman("secret", "rm", secret)
