# SPDX-License-Identifier: Apache-2.0
"""containerd and ctr with the runtime under test."""
from contextlib import contextmanager
from pathlib import Path

from daemons import Daemon
from engine import Engine
from harness.runtime import ids_in
from images import NAME as IMAGE

PROGRAMS = ("containerd", "ctr", "containerd-shim-runc-v2")
CONFIG = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{state}/containerd.sock"
"""


class Containerd:
    """A daemon with directories of its own, and its client. `top` is for what lasts, `state` for sockets and tasks; `env` is added to the daemon's."""

    def __init__(self, top, program, parent_cgroup, state="/run/containerd", root=None, env=None):
        self.program, self.parent_cgroup = program, parent_cgroup
        top.mkdir(parents=True, exist_ok=True)
        (top / "containerd.toml").write_text(CONFIG.format(root=root or top / "root", state=state))
        self.socket = f"{state}/containerd.sock"
        self.client = Engine("ctr", "-a", self.socket)
        self.daemon = Daemon(["containerd", "-c", top / "containerd.toml"], [*self.client.prefix, "version"], top / "containerd.log", env)

    def start(self, image=None):
        self.daemon.start()
        if image is not None:
            self.client("images", "import", image)
        return self.client

    @contextmanager
    def running(self, image):
        """From its start to its stop."""
        self.start(image)
        try:
            yield self
        finally:
            self.daemon.stop()

    @staticmethod
    def runtime_root(namespace="default"):
        """Where the runtime keeps what the containers of a namespace are: the shim's own, wherever the daemon has its directories."""
        return Path("/run/containerd/runc", namespace)

    def arguments(self, name, *options):
        """Of `ctr run` for a container of that name, up to its command."""
        return ["run", "--runtime", "io.containerd.runc.v2", "--runc-binary", self.program, "--cgroup", f"{self.parent_cgroup}/{name}", *options, IMAGE, name]

    def remove_all(self):
        """All that containerd knows."""
        for name in self.client("tasks", "ls", "-q").split():
            self.client("tasks", "delete", "-f", name, rc=None)
        for name in self.client("containers", "ls", "-q").split():
            self.client("containers", "delete", name, rc=None)

    def clean(self):
        """No container of a test stays: not for containerd, not for the runtime."""
        self.remove_all()
        assert ids_in(self.runtime_root()) == [], "left in the runtime's state root"
