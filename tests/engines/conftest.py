# SPDX-License-Identifier: Apache-2.0
"""tests/engines: podman and containerd on the runtime, without a network, in the world of tests/integration.

The engines' directories are private here; what they keep for themselves there isn't compared, all else is."""
import io
import json
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]

from harness import programs, snapshot, world  # noqa: E402
from harness.fixtures import *  # noqa: E402,F401,F403
from harness.fixtures import parent_cgroup  # noqa: E402,F401

PRIVATE = ("/var/lib/containers", "/var/lib/containerd", "/var/lib/cni", "/etc/cni/net.d", "/etc/containerd", "/etc/containers/networks",
           "/root", "/dev/shm")
IMAGE = "localhost/box:latest"
PODMAN_OWN = "/var/lib/containers/storage/overlay"  # it binds that on itself and takes the bind away as it likes
COMPARED = ("mounts", "cgroups", "processes", "namespaces", "links", "/dev", "settings")


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Private directories for the engines (they see the rest of the host as it is)."""
    top = tmp_path_factory.mktemp("engines")
    made = []
    for n, path in enumerate(PRIVATE):
        missing = [p for p in (Path(path), *Path(path).parents) if not p.exists()]
        made += missing
        Path(path).mkdir(parents=True, exist_ok=True)
        if path.startswith("/var/lib"):
            (top / f"private{n}").mkdir()
            world.mount(str(top / f"private{n}"), path, None, world.MS_BIND)
        else:
            world.mount("tmpfs", path, "tmpfs", 0, "mode=1777" if path == "/dev/shm" else "mode=700")
    os.environ["HOME"] = "/root"
    yield top
    for path in reversed(PRIVATE):
        world.umount(path)
    for path in sorted(made, key=lambda p: len(p.parts), reverse=True):
        path.rmdir()


def _rootfs(top):
    for d in ("bin", "dev", "etc", "proc", "sys", "tmp", "run", "root", "var/log"):
        (top / d).mkdir(parents=True)
    shutil.copy(programs.BUSYBOX, top / "bin/busybox")
    for applet in programs.APPLETS:
        os.link(top / "bin/busybox", top / "bin" / applet)
    (top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n")
    (top / "etc/group").write_text("root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")
    (top / "tmp").chmod(0o1777)


def _add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """An image of one layer made from busybox-static, as `docker save` writes it."""
    top = tmp_path_factory.mktemp("image")
    _rootfs(top / "rootfs")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as t:
        t.add(top / "rootfs", ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}, "history": [{"created": "2023-11-14T22:13:20Z"}]}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(top / "image.tar", "w") as t:
        _add(t, "manifest.json", json.dumps([{"Config": name, "RepoTags": [IMAGE], "Layers": [f"{digest}/layer.tar"]}]).encode())
        _add(t, name, config)
        _add(t, f"{digest}/layer.tar", layer.getvalue())
    return top / "image.tar"


@pytest.fixture(autouse=True)
def host(engine):
    """As in tests/integration, but for the files that an engine keeps in /run for itself."""
    before = {k: v for k, v in snapshot.take().items() if k in COMPARED}
    yield before
    found = [line for line in snapshot.differences_when_settled(before) if f" {PODMAN_OWN} " not in line]
    assert not found, "left behind:\n  " + "\n  ".join(found)


class Engine:
    """Commands of an engine with a deadline; output of both streams together."""

    def __init__(self, *prefix, env=None):
        self.prefix, self.env = prefix, {**os.environ, **(env or {})}

    def __call__(self, *args, rc=0, text=None, timeout=40):
        done = subprocess.run([*self.prefix, *map(str, args)], input=text, stdin=None if text is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, env=self.env, check=False)
        out = done.stdout + done.stderr
        assert rc is None or done.returncode == rc, f"{args}: exit code {done.returncode}, expected {rc}\n{out}"
        return out


def needs(*names):
    """The reason to skip when one of these programs isn't installed, else None."""
    missing = [n for n in names if shutil.which(n) is None]
    return f"not installed: {', '.join(missing)}" if missing else None
