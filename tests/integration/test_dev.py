# SPDX-License-Identifier: Apache-2.0
"""/dev: default devices, links, linux.devices, a /dev that isn't ours."""
import os
import stat

import pytest
from harness.config import DEV, MOUNTS, PROC, PTS, bind

DEFAULT = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def device(path, kind="c", major=1, minor=3, **more):
    entry = {"path": path, "type": kind, "major": major, "minor": minor, **more}
    if kind == "p":
        del entry["major"], entry["minor"]
    return entry


ALL = {"resources": {"devices": [{"allow": True, "access": "rwm"}]}}


def test_default_devices(container):
    dev = container().probe()["dev"]
    for name, rdev in DEFAULT.items():
        node = dev[name]
        assert (node["type"], node["rdev"], node["mode"], node["uid"], node["gid"]) == ("char", rdev, 0o666, 0, 0), name


def test_default_links(container):
    dev = container().probe()["dev"]
    for name, target in LINKS.items():
        assert dev[name].get("link") == target
    assert dev["ptmx"].get("link") == "pts/ptmx"


def test_nothing_else_in_dev(container):
    names = set(container().probe()["dev"])
    assert names - {"core"} == set(DEFAULT) | set(LINKS) | {"ptmx", "pts", "shm", "mqueue"}


def test_modes_do_not_depend_on_the_umask(container):
    dev = container(linux={"devices": [device("/dev/mine", fileMode=0o622)], **ALL}).probe(umask=0o077)["dev"]
    assert dev["null"]["mode"] == 0o666
    assert dev["mine"]["mode"] == 0o622


@pytest.mark.parametrize("kind,rdev", [("c", "1:3"), ("u", "1:3"), ("b", "7:0"), ("p", "0:0")])
def test_device_types(container, kind, rdev):
    major, minor = map(int, rdev.split(":"))
    seen = container(linux={"devices": [device("/dev/x", kind, major, minor, fileMode=0o640, uid=1, gid=2)], **ALL}).probe()
    node = seen["dev"]["x"]
    assert node["type"] == {"c": "char", "u": "char", "b": "block", "p": "fifo"}[kind]
    assert (node["mode"], node["uid"], node["gid"]) == (0o640, 1, 2)
    if kind != "p":
        assert node["rdev"] == rdev


def test_mode_with_the_type_in_it(container):
    """podman passes on st_mode as it found it on the host."""
    node = container(linux={"devices": [device("/dev/mine", fileMode=stat.S_IFCHR | 0o622)], **ALL}).probe()["dev"]["mine"]
    assert (node["type"], node["mode"]) == ("char", 0o622)


def test_device_outside_dev_and_nested(container):
    c = container(linux={"devices": [device("/other/place/null"), device("/dev/net/tun", "c", 10, 200),
                                     device("/dev/a/b/c")], **ALL},
                  args=["/bin/probe", "--stat", "/other/place/null", "--stat", "/dev/net/tun", "--stat", "/dev/a/b/c"])
    seen = c.probe()
    assert seen["stat /other/place/null"]["rdev"] == seen["stat /dev/a/b/c"]["rdev"] == "1:3"
    assert seen["stat /dev/net/tun"]["rdev"] == "10:200"


@pytest.mark.hull_only(reason="peers keep the other file")
@pytest.mark.parametrize("what", ["file", "directory", "other device", "link"])
def test_device_where_something_else_is(container, what):
    """config-linux.md: if a different file exists at the path, the runtime MUST generate an error."""
    c = container(linux={"devices": [device("/data/node")], **ALL})
    data = c.bundle.rootfs / "data"
    data.mkdir()
    node = data / "node"
    if what == "file":
        node.write_text("x")
    elif what == "directory":
        node.mkdir()
    elif what == "other device":
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    else:
        node.symlink_to("/dev/null")
    before = node.lstat()
    c.fails("create", match=r".*/data/node.*linux\.devices\[0\].*|.*linux\.devices\[0\].*/data/node.*")
    assert (node.lstat().st_mode, node.lstat().st_rdev) == (before.st_mode, before.st_rdev)


def test_device_that_is_there_already(container):
    c = container(linux={"devices": [device("/data/node")], **ALL}, args=["/bin/probe", "--stat", "/data/node"])
    (c.bundle.rootfs / "data").mkdir()
    os.mknod(c.bundle.rootfs / "data/node", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert c.probe()["stat /data/node"]["rdev"] == "1:3"


def test_default_device_listed_explicitly(container):
    """Engines list /dev/null themselves, with another mode."""
    dev = container(linux={"devices": [device("/dev/null", fileMode=0o600)], **ALL}).probe()["dev"]
    assert dev["null"]["rdev"] == "1:3"


def test_dev_of_the_host_is_left_alone(container, tmp_path):
    """A privileged container gets the host's /dev as a bind: nothing in it may be made, replaced or changed."""
    fake = tmp_path / "fake-dev"
    fake.mkdir()
    for name, (major, minor) in (("null", (1, 3)), ("ptmx", (5, 2)), ("mem", (1, 1))):
        os.mknod(fake / name, stat.S_IFCHR | 0o600, os.makedev(major, minor))
    (fake / "stdin").write_text("not a link")
    for name in ("pts", "shm"):
        (fake / name).mkdir()
    before = {p.name: (p.lstat().st_mode, p.lstat().st_rdev, p.lstat().st_ino) for p in fake.iterdir()}
    c = container(mounts=[PROC, bind(fake, "/dev", "rbind"), PTS])
    c.run()
    assert {p.name: (p.lstat().st_mode, p.lstat().st_rdev, p.lstat().st_ino) for p in fake.iterdir()} == before


def test_no_mount_on_dev(container):
    """The nodes go to the image's own directory then."""
    c = container(mounts=[PROC])
    dev = c.probe()["dev"]
    assert {n: d["rdev"] for n, d in dev.items() if n in DEFAULT} == DEFAULT


def test_devices_work(container):
    c = container(args=["/bin/sh", "-c", "echo x >/dev/null && head -c 3 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c; "
                                         "echo x >/dev/full || echo full; ls -d /dev/fd/0 /dev/stdin"])
    assert [line.strip() for line in c.run().out.splitlines()][:3] == ["3", "3", "full"]


def test_read_only_dev(container):
    """`ro` on /dev comes into force after the nodes are made."""
    mounts = [PROC, {**DEV, "options": ["nosuid", "ro", "mode=755"]}, *MOUNTS[2:4]]
    c = container(mounts=mounts, args=["/bin/probe", "--mkdir", "/dev/x"])
    seen = c.probe()
    assert seen["mkdir /dev/x"]["errno"] == "EROFS"
    assert seen["dev"]["null"]["rdev"] == "1:3"
