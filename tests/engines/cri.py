# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface, and containerd with it. Messages are made from cri.proto by protoc when they are first needed."""
import contextlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import images
from daemons import Daemon
from harness import snapshot, world
from harness.clock import scaled
from harness.runtime import wait_for

HERE = Path(__file__).resolve().parent
SOCKET = "/run/containerd/containerd.sock"
HANDLER = "tested"
# A directory with a newer containerd than the machine's: ./dev containerd-2 makes it.
NEWER = Path(os.environ.get("HULL_CONTAINERD_2") or HERE.parents[1] / "build/containerd-2/usr/bin")
CONFIG = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.internal.v1.opt"]
  path = "{top}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true # the tests have no CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{top}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "{handler}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}.options]
        BinaryName = "{program}"
"""
BRIDGE = "cri0"
NETWORK = """{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "%s", "isGateway": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.98.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
""" % BRIDGE


def missing():
    """What the client needs and isn't here, else None."""
    if shutil.which("protoc") is None:
        return "not installed: protobuf-compiler"
    for module, package in (("grpc", "python3-grpcio"), ("google.protobuf", "python3-protobuf")):
        try:
            importlib.import_module(module)
        except ImportError:
            return f"not installed: {package}"
    return None


def messages(top):
    """The module of cri.proto's messages, written into the directory `top`."""
    subprocess.run(["protoc", f"--proto_path={HERE}", f"--python_out={top}", HERE / "cri.proto"], check=True, timeout=scaled(60))
    sys.path.insert(0, str(top))
    try:
        return importlib.import_module("cri_pb2")
    finally:
        sys.path.remove(str(top))


class Refused(Exception):
    """A call that failed: .code is a name such as NOT_FOUND."""

    def __init__(self, method, code, text):
        super().__init__(f"{method}: {code}: {text}")
        self.code, self.text = code, text


class Client:
    """client("RunPodSandbox", config={…}) → the response. Fields are given as a dictionary would be in JSON."""

    def __init__(self, socket=SOCKET):
        import grpc
        from google.protobuf import json_format
        self._grpc, self._parse = grpc, json_format.ParseDict
        with tempfile.TemporaryDirectory() as top:
            self.messages = messages(top)
        self.channel = grpc.insecure_channel(f"unix://{socket}", options=[("grpc.enable_http_proxy", 0)])

    def __call__(self, method, seconds=40, **fields):
        request, response = (getattr(self.messages, method + what) for what in ("Request", "Response"))
        service = "ImageService" if "Image" in method else "RuntimeService"
        call = self.channel.unary_unary(f"/runtime.v1.{service}/{method}", request_serializer=request.SerializeToString,
                                        response_deserializer=response.FromString)
        try:
            return call(self._parse(fields, request()), timeout=scaled(seconds))
        except self._grpc.RpcError as e:
            raise Refused(method, e.code().name, e.details()) from None

    def refused(self, method, **fields):
        """It must fail; the text."""
        try:
            said = self(method, **fields)
        except Refused as e:
            return e.text
        raise AssertionError(f"{method} didn't fail: {said}")

    def answers(self):
        """Is the CRI there?"""
        try:
            self("Status")
        except Refused:
            return False
        return True

    @property
    def version(self):
        """containerd's: (1, 6)"""
        return tuple(map(int, re.match(r"v?(\d+)\.(\d+)", self("Version").runtime_version).groups()))

    def close(self):
        self.channel.close()


def write_config(top, program):
    """containerd's configuration for the runtime under test, with a bridge as the pods' network; its path."""
    (top / "net.d").mkdir(parents=True)
    (top / "net.d/10-pods.conflist").write_text(NETWORK)
    (top / "containerd.toml").write_text(CONFIG.format(top=top, pause=images.PAUSE, handler=HANDLER, program=program))
    return top / "containerd.toml"


def make_cgroup(path):
    """A cgroup of that name in every hierarchy, as a kubelet makes one for a pod; those above it, too."""
    for hierarchy in snapshot.hierarchies():
        at = hierarchy
        for name in path.strip("/").split("/"):
            above, at = at, at / name
            at.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):  # v1: empty in a new cgroup, and nothing can run in it
                if (at / "tasks").exists() and (at / setting).exists() and not (at / setting).read_text().strip():
                    (at / setting).write_text((above / setting).read_text())


def remove_cgroup(path):
    """And removes it again: OSError when something is left in it."""
    for hierarchy in snapshot.hierarchies():
        if (hierarchy / path.strip("/")).is_dir():
            (hierarchy / path.strip("/")).rmdir()


@contextlib.contextmanager
def containerd(top, program, archives, newer=False):
    """containerd with the CRI (`newer`: that of NEWER) and these images; the client, whose .daemon can be started again."""
    env = {**os.environ, "PATH": f"{NEWER}:{os.environ['PATH']}" if newer else os.environ["PATH"]}
    top.mkdir()
    daemon = Daemon([shutil.which("containerd", path=env["PATH"]), "-c", write_config(top, program)], ["ctr", "version"], top / "containerd.log", env)
    daemon.start()
    client = Client()
    client.daemon = daemon
    try:
        for archive in archives:
            subprocess.run(["ctr", "-n", "k8s.io", "images", "import", archive], check=True, timeout=scaled(40), capture_output=True, env=env)
        for name in (images.NAME, images.PAUSE):
            wait_for(lambda: client("ImageStatus", image={"image": name}).image.id, 10, f"{name} to be known to the CRI")
        wait_for(lambda: all(c.status for c in client("Status").status.conditions), 10, "the network to be ready", lambda: client("Status").status)
        yield client
    finally:
        client.close()
        daemon.stop()
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, timeout=scaled(20), capture_output=True)
        if os.path.ismount("/run/netns"):
            world.umount("/run/netns")
