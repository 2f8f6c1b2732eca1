# SPDX-License-Identifier: Apache-2.0
"""What container root with every capability of its user namespace can't undo: flags of mounts, masks, what lies over something (SEC-56)."""
import pytest
from harness import world
from harness.config import MASKED, MOUNTS, READONLY, bind, tmpfs, userns
from harness.mountinfo import of

pytestmark = pytest.mark.hull_only(reason="peers' masks can be taken off by the root of a user namespace")

RO_NOSUID_NODEV = 1 | 2 | 4
EVERY = [f"CAP_{c}" for c in "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_ADMIN NET_RAW SYS_CHROOT "
         "SYS_PTRACE SYS_ADMIN SYS_RESOURCE MKNOD SETFCAP".split()]
CAPS = {"capabilities": {k: EVERY for k in ("bounding", "effective", "permitted")}, "noNewPrivileges": False}


def unlock(*paths):
    return ["/bin/probe", *[a for p in paths for a in ("--unlock", p)]]


def assert_shut(seen, path, *flags):
    tried = seen[f"unlock {path}"]
    for flag in flags:
        assert tried[flag] == "EPERM", f"{path}: {flag}: {tried}"
    if flags:
        assert tried["remount"] == "EPERM", f"{path}: {tried}"
    assert tried["umount"] == "EINVAL" and tried["move"] == "EINVAL", f"{path}: {tried}"


@pytest.fixture
def volume(tmp_path):
    """A host tree with a mount below it that hides a secret."""
    top = tmp_path / "volume"
    (top / "hidden").mkdir(parents=True)
    (top / "hidden/secret").write_text("secret")
    (top / "file").write_text("file")
    (top / "file").chmod(0o666)
    world.mount("cover", str(top / "hidden"), "tmpfs", 0)
    yield top
    world.umount(str(top / "hidden"))


def test_bind_flags_and_submounts(container, volume):
    c = container(mounts=[*MOUNTS, bind(volume, "/v", "rbind", "rro", "rnosuid", "rnodev"), tmpfs("/t"), bind(volume / "file", "/t/f", "ro", "nosuid", "nodev")],
                  process=CAPS, linux=userns(), args=[*unlock("/v/hidden", "/v", "/t/f"), "--read", "/v/hidden/secret", "--write", "/v/file"])
    seen = c.probe()
    for path in ("/v", "/v/hidden", "/t/f"):
        assert_shut(seen, path, "rw", "suid", "dev")
    assert seen["read /v/hidden/secret"]["errno"] == "ENOENT" and seen["write /v/file"]["errno"] == "EROFS"


def test_flags_of_the_hosts_own_mount(container, volume):
    """What the host's mount has is locked, whether the configuration says so or not."""
    world.mount("flags", str(volume / "hidden"), "tmpfs", RO_NOSUID_NODEV)
    try:
        seen = container(mounts=[*MOUNTS, bind(volume, "/v", "rbind")], process=CAPS, linux=userns(), args=unlock("/v/hidden")).probe()
    finally:
        world.umount(str(volume / "hidden"))
    assert_shut(seen, "/v/hidden", "rw", "suid", "dev")


def test_masks_and_read_only_paths(container):
    c = container(process=CAPS, linux=userns() | {"maskedPaths": [*MASKED, "/etc/group", "/var"], "readonlyPaths": [*READONLY, "/etc"]}, args=["/bin/probe"])
    places = sorted(m.at for m in of(c.probe()) if m.at in {*MASKED, *READONLY, "/etc/group", "/var", "/etc"})
    assert {"/etc/group", "/var", "/etc", "/proc/sys", "/proc/keys"} <= set(places)
    c.rewrite(process={"args": [*unlock(*places), "--write", "/proc/sys/net/ipv4/ip_forward", "--read", "/etc/group"]})
    seen = c.probe()
    for path in places:
        assert_shut(seen, path, "rw")
    assert seen["write /proc/sys/net/ipv4/ip_forward"]["errno"] == "EROFS" and seen["read /etc/group"]["text"] == ""


def test_read_only_root(container):
    seen = container(root={"path": "rootfs", "readonly": True}, process=CAPS, linux=userns(), args=[*unlock("/"), "--mkdir", "/x"]).probe()
    assert seen["unlock /"]["rw"] == "EPERM" and seen["mkdir /x"]["errno"] == "EROFS"


def test_every_mount(container):
    c = container(process=CAPS, linux=userns())
    places = sorted({m.at for m in of(c.probe())} - {"/"}, key=len, reverse=True)
    c.rewrite(process={"args": unlock(*places)})
    seen = c.probe()
    for path in places:
        assert_shut(seen, path)


def test_what_the_container_mounts_is_its_own(container):
    """The locks are on what was there, not on what it adds."""
    script = "mkdir -p /tmp/a && mount -t tmpfs mine /tmp/a && mount -o remount,bind,ro /tmp/a && mount -o remount,bind,rw /tmp/a && touch /tmp/a/x && umount /tmp/a && echo fine"
    assert container(process=CAPS, linux=userns(), args=["/bin/sh", "-c", script]).run().out == "fine\n"
