# SPDX-License-Identifier: Apache-2.0
"""The images of these tests, made without any engine."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

from pathlib import Path

from harness import programs

NAME = "localhost/box:latest"
PAUSE = "localhost/pause:1"  # of a pod's sandbox
PAGE = "hello from the box\n"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_rootfs(top):
    """Busybox under all its names, users root and user, a page in /www."""
    for d in ("bin", "dev", "etc", "proc", "sys", "tmp", "run", "root", "home/user", "var/log", "www", "usr/sbin"):
        (top / d).mkdir(parents=True)
    shutil.copy(programs.BUSYBOX, top / "bin/busybox")
    for applet in subprocess.run([programs.BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            os.link(top / "bin/busybox", top / "bin" / applet)
    (top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    (top / "etc/group").write_text("root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")
    (top / "www/index.html").write_text(PAGE)
    (top / "tmp").chmod(0o1777)


def _add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def pack(out, rootfs, name, command):
    """Write a tar file with an image of one layer in it, as `docker save` does; its path."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as t:
        t.add(rootfs, ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z", "config": {"Env": [PATH], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}, "history": [{"created": "2023-11-14T22:13:20Z"}]}).encode()
    file = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(out, "w") as t:
        _add(t, "manifest.json", json.dumps([{"Config": file, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode())
        _add(t, file, config)
        _add(t, f"{digest}/layer.tar", layer.getvalue())
    return out


def make(top):
    """Path of a tar file with NAME in it."""
    make_rootfs(top / "rootfs")
    return pack(top / "image.tar", top / "rootfs", NAME, ["sh"])


def make_pause(top):
    """The same with PAUSE: one program and nothing else, not even the directories that a runtime mounts on."""
    (top / "pause").mkdir()
    shutil.copy(programs.build("pause", Path(__file__).resolve().parent), top / "pause/pause")
    return pack(top / "pause.tar", top / "pause", PAUSE, ["/pause"])
