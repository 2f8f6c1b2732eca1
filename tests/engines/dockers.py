# SPDX-License-Identifier: Apache-2.0
"""Docker Engine with the runtime under test: its containerd, its daemon, a client."""
import json
import os
from pathlib import Path

from containerds import Containerd
from daemons import Daemon, program_of
from engine import Engine
from harness.runtime import wait_for
from images import NAME as IMAGE

PROGRAMS = ("dockerd", "docker", "containerd", "containerd-shim-runc-v2", "docker-registry", "iptables")


class Docker:
    """`top` is for what lasts, `run` for sockets and pids. `settings` go into daemon.json."""

    def __init__(self, top, run, program, parent_cgroup, data="/var/lib/docker", **settings):
        self.top, self.run = Path(top), Path(run)
        for directory in (self.top / "bin", self.run):
            directory.mkdir(parents=True)
        (self.top / "bin/runc").symlink_to(program)  # BuildKit in the daemon looks for this name
        path = {"PATH": f"{self.top}/bin:{os.environ['PATH']}"}
        containerd = Containerd(self.top / "containerd", program, parent_cgroup, state=self.run / "containerd", env=path)
        (self.top / "daemon.json").write_text(json.dumps({
            "data-root": str(data), "exec-root": f"{run}/exec", "pidfile": f"{run}/docker.pid", "hosts": [f"unix://{run}/docker.sock"],
            "containerd": containerd.socket, "storage-driver": "overlay2", "cgroup-parent": parent_cgroup,
            "exec-opts": ["native.cgroupdriver=cgroupfs"], "runtimes": {"tested": {"path": str(program)}}, "default-runtime": "tested",
            "experimental": True, **settings}))
        socket = {"DOCKER_HOST": f"unix://{run}/docker.sock", "DOCKER_CLI_HINTS": "false"}
        self.containerd = containerd.daemon
        self.dockerd = Daemon(["dockerd", "--config-file", self.top / "daemon.json"], [program_of("docker"), "info"],
                              self.top / "dockerd.log", {**path, **socket})
        self.client = Engine(program_of("docker"), env=socket)

    def start(self, image):
        self.containerd.start()
        self.dockerd.start()
        self.client("load", "-q", "-i", image)
        return self.client

    def stop(self):
        self.dockerd.stop()
        self.containerd.stop()

    def state_roots(self):
        """Where the runtime keeps what this daemon's containers are."""
        return list((self.run / "exec").glob("runtime-*/moby"))


def clean(docker):
    """Nothing of a test stays in the engine. Swarm removes its tasks itself, and whoever comes second is told so: what counts is that nothing is left."""
    names = docker("ps", "-aq").split()
    if names:
        docker("rm", "-f", "-v", *names, rc=None)
        wait_for(lambda: docker("ps", "-aq") == "", 30, "every container to be gone", lambda: docker("ps", "-a"))
    volumes = docker("volume", "ls", "-q").split()
    if volumes:
        docker("volume", "rm", *volumes)


def run_options(*options):
    """A container without a network: quicker, and most of what is asked has nothing to do with it."""
    return ["run", "--rm", "--network", "none", *options]


__all__ = ["Docker", "IMAGE", "PROGRAMS", "clean", "run_options"]
