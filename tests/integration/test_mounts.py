# SPDX-License-Identifier: Apache-2.0
"""The tree that the container sees: config.md's mounts, options and order, masks, read-only paths, propagation."""
import os
import subprocess
import time
from pathlib import Path

import pytest
from harness import mountinfo, programs, snapshot, world
from harness.clock import scaled
from harness.config import CGROUP, DEV, MOUNTS, PROC, SYS, bind, namespaces, tmpfs, userns
from harness.fixtures import BY_ROOT_AND_USER
from harness.needs import has, needs
from harness.runtime import wait_for


@pytest.fixture
def tree(container):
    """tree(mount, …, args=…): a container with the usual mounts and these after them."""
    def make(*mounts, **changes):
        return container(mounts=[*MOUNTS, *mounts], **changes)
    return make


@pytest.fixture
def volume(tmp_path):
    """A host directory with a file, a tool and a sub-directory."""
    top = tmp_path / "volume"
    (top / "sub").mkdir(parents=True)
    (top / "file").write_text("from the host\n")
    (top / "sub/inner").write_text("inner\n")
    return top


def test_usual_mounts(container):
    seen = container().probe()
    expected = [("/proc", "proc", {"nosuid", "noexec", "nodev", "rw"}), ("/dev", "tmpfs", {"nosuid", "rw"}),
                ("/dev/pts", "devpts", {"nosuid", "noexec", "rw"}), ("/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "rw"}),
                ("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev", "rw"}),
                ("/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"})]
    for at, fstype, options in expected:
        m = mountinfo.at(seen, at)
        assert (m.at, m.fstype) == (at, fstype)
        assert options <= m.options, m
    assert "size=65536k" in mountinfo.at(seen, "/dev").super
    assert {"gid=5", "mode=620", "ptmxmode=666"} <= mountinfo.at(seen, "/dev/pts").super
    assert seen["pid"] == 1, "this proc is the container's own"


def test_nothing_of_the_host_is_left(container):
    """After pivot_root the old tree is gone: everything hangs below the container's root."""
    seen = container().probe()
    root = mountinfo.at(seen, "/")
    ids = {m.id for m in mountinfo.of(seen)}
    assert all(m.parent in ids or m.id == root.id for m in mountinfo.of(seen))
    assert seen["root"]["mnt_id"] == root.id
    assert root.root.endswith("/rootfs")


@pytest.mark.parametrize("in_userns", [False, True], ids=["plain", "userns"])
def test_table_is_in_the_configuration_s_order(container, volume, in_userns):
    """Who reads mountinfo takes a later line for what was mounted later. Newer kernels (6.8) sort it by the age of the mounts, older ones by when they were attached."""
    mounts = [PROC, tmpfs("/t1"), bind(volume, "/b1"), DEV, bind(volume / "file", "/dev/file"), tmpfs("/t2"), bind(volume, "/t2/b2"), SYS, bind(volume, "/b3", "rbind")]
    more = {"linux": userns()} if in_userns else {}
    asked = ["/", *(m["destination"] for m in mounts)]
    seen = container(mounts=mounts, **more).probe()
    assert [m.at for m in mountinfo.of(seen) if m.at in asked] == asked


# --- options, one by one, on a tmpfs ---

PER_MOUNT = {
    "ro": {"ro"}, "nosuid": {"rw", "nosuid"}, "nodev": {"nodev"}, "noexec": {"noexec"}, "noatime": {"noatime"},
    "nodiratime": {"nodiratime"}, "relatime": {"relatime"}, "nosymfollow": {"nosymfollow"},
}


@pytest.mark.parametrize("option", PER_MOUNT)
def test_mount_option(tree, option):
    assert PER_MOUNT[option] <= mountinfo.at(tree(tmpfs("/mnt", option)).probe(), "/mnt").options


STRICT = pytest.param("noatime", "strictatime", "noatime", marks=pytest.mark.hull_only(reason="runc ors the two"))
CLEARS = [("ro", "rw", "ro"), ("nosuid", "suid", "nosuid"), ("nodev", "dev", "nodev"), ("noexec", "exec", "noexec"),
          ("noatime", "atime", "noatime"), ("nodiratime", "diratime", "nodiratime"), STRICT,
          ("nosymfollow", "symfollow", "nosymfollow")]


@pytest.mark.parametrize("first,second,word", CLEARS)
def test_the_last_of_two_opposites_wins(tree, first, second, word):
    assert word not in mountinfo.at(tree(tmpfs("/mnt", first, second)).probe(), "/mnt").options
    assert word in mountinfo.at(tree(tmpfs("/mnt", second, first)).probe(), "/mnt").options


@pytest.mark.hull_only(reason="runc 1.1 hands it to the file system")
def test_defaults_stand_for_rw_suid_dev_exec(tree):
    options = mountinfo.at(tree(tmpfs("/mnt", "defaults")).probe(), "/mnt").options
    assert not options & {"ro", "nosuid", "nodev", "noexec", "nosymfollow"}


@pytest.mark.parametrize("word", ["sync", "dirsync"])
def test_superblock_option(tree, word):
    assert word in mountinfo.at(tree(tmpfs("/mnt", word)).probe(), "/mnt").super


@pytest.mark.parametrize("word", ["lazytime"])
@pytest.mark.hull_only(reason="Debian's peers hand it to the file system as data")
def test_lazytime(tree, word):
    assert word in mountinfo.at(tree(tmpfs("/mnt", word)).probe(), "/mnt").super


@pytest.mark.hull_only(reason="Debian's peers hand some of them to the file system as data")
@pytest.mark.parametrize("word", ["async", "nolazytime", "iversion", "noiversion", "silent", "loud", "mand", "nomand",
                                  "norelatime", "nostrictatime", "suid", "dev", "exec", "symfollow"])
def test_option_word_is_accepted(tree, word):
    """Words without a visible effect on a tmpfs: never data that the file system would refuse."""
    mountinfo.at(tree(tmpfs("/mnt", word)).probe(), "/mnt")


def test_file_system_data(tree):
    m = mountinfo.at(tree(tmpfs("/mnt", "size=1024k", "nr_inodes=10", "mode=711")).probe(), "/mnt")
    assert {"size=1024k", "nr_inodes=10", "mode=711"} <= m.super


def test_an_option_without_a_word(tree):
    """podman 5 writes one where a label would be (--systemd=always): it says nothing."""
    m = mountinfo.at(tree(tmpfs("/mnt", "", "noexec", "", "size=64k")).probe(), "/mnt")
    assert "noexec" in m.options and "size=64k" in m.super


@pytest.mark.hull_only(reason="our words")
def test_a_value_without_a_name(tree):
    tree(tmpfs("/mnt", "=64k")).fails("create", match=r'config\.json: mounts\[7\]\.options\[0\]: "=64k" — not a mount option')


def test_data_that_the_file_system_refuses(tree):
    c = tree(tmpfs("/mnt", "nonsense=1"))
    c.fails("create", match=r".*mount tmpfs on /mnt.*\(mounts\[7\]\).*invalid argument.*")


def test_unknown_file_system(tree):
    c = tree({"destination": "/mnt", "type": "nosuchfs", "source": "none"})
    c.fails("create", match=r".*nosuchfs.*/mnt.*\(mounts\[7\]\).*no such device.*")


def test_options_absent(tree):
    assert mountinfo.at(tree({"destination": "/mnt", "type": "tmpfs", "source": "x"}).probe(), "/mnt").fstype == "tmpfs"


# --- binds ---

def test_bind_directory(tree, volume):
    c = tree(bind(volume, "/vol"), args=["/bin/sh", "-c", "cat /vol/file && echo new >/vol/new"])
    assert c.run().out == "from the host\n"
    assert (volume / "new").read_text() == "new\n"
    assert (c.bundle.rootfs / "vol").is_dir()


def test_bind_file(tree, volume):
    c = tree(bind(volume / "file", "/deep/er/file", "ro"), args=["/bin/cat", "/deep/er/file"])
    assert c.run().out == "from the host\n"
    assert (c.bundle.rootfs / "deep/er/file").read_bytes() == b"", "the mountpoint is an empty file"


def test_bind_over_an_existing_file_and_directory(tree, volume):
    c = tree(bind(volume / "file", "/etc/passwd"), bind(volume, "/var/log"),
             args=["/bin/cat", "/etc/passwd", "/var/log/file"])
    passwd = (c.bundle.rootfs / "etc/passwd").read_text()
    assert c.run().out == "from the host\n" * 2
    assert (c.bundle.rootfs / "etc/passwd").read_text() == passwd


def test_bind_read_only(tree, volume):
    c = tree(bind(volume, "/vol", "ro"), args=["/bin/probe", "--write", "/vol/file", "--mkdir", "/vol/new"])
    seen = c.probe()
    assert seen["write /vol/file"]["errno"] == seen["mkdir /vol/new"]["errno"] == "EROFS"


@pytest.mark.parametrize("option", ["nosuid", "nodev", "noexec", "noatime", "nodiratime"])
def test_bind_with_option(tree, volume, option):
    seen = tree(bind(volume, "/vol", option)).probe()
    assert option in mountinfo.at(seen, "/vol").options


def test_bind_source_relative_to_the_bundle(tree):
    c = tree(bind("data", "/vol"), args=["/bin/cat", "/vol/f"])
    (c.bundle.path / "data").mkdir()
    (c.bundle.path / "data/f").write_text("relative\n")
    assert c.run(cwd="/").out == "relative\n"


def test_bind_source_through_a_symbolic_link(tree, volume, tmp_path):
    """Sources belong to the host: links in them are followed there."""
    (tmp_path / "alias").symlink_to(volume)
    assert tree(bind(tmp_path / "alias", "/vol"), args=["/bin/cat", "/vol/file"]).run().out == "from the host\n"


def test_bind_source_missing(tree):
    tree(bind("/no/such/source", "/vol")).fails(
        "create", match=r".*/no/such/source.*\(mounts\[7\]\.source\): no such file or directory|"
                        r".*/no/such/source.*\(mounts\[7\]\): no such file or directory|"
                        r".*/no/such/source.*: no such file or directory \(mounts\[7\].*\)")


def test_bind_directory_on_a_file(tree, volume):
    """dockerd turns this text into its hint about directories and files."""
    c = tree(bind(volume, "/etc/passwd"))
    c.fails("create", match=r".*/etc/passwd.*mounts\[7\].*not a directory.*")


def test_bind_file_on_a_directory(tree, volume):
    tree(bind(volume / "file", "/etc")).fails("create", match=r".*/etc.*mounts\[7\].*(not a directory|is a directory).*")


@pytest.mark.hull_only(reason="runc refuses; runtime-tools and crun's users need it")
def test_bind_ignores_file_system_data(tree, volume):
    tree(bind(volume, "/vol", "mode=755", "size=1k"), args=["/bin/cat", "/vol/file"]).run()


@pytest.fixture
def nested(volume):
    """The volume with a tmpfs mounted on its sub-directory, in the world of the tests."""
    world.mount("tmpfs", str(volume / "sub"), "tmpfs", 0, "size=64k")
    (volume / "sub/on-tmpfs").write_text("x")
    yield volume
    world.umount(str(volume / "sub"))


def test_rbind_takes_submounts_and_bind_does_not(tree, nested):
    c = tree(bind(nested, "/r", "rbind"), bind(nested, "/b", "bind"))
    points = [m.at for m in mountinfo.of(c.probe())]
    assert "/r/sub" in points and "/b/sub" not in points


RECURSIVE = ["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnodiratime", "rrelatime", "rnosymfollow"]


@pytest.mark.parametrize("word", RECURSIVE)
def test_recursive_option(tree, nested, word):
    seen = tree(bind(nested, "/r", "rbind", word)).probe() if word != "rnosymfollow" else \
        tree(bind(nested, "/r", "rbind", word)).probe()
    plain = word[1:]
    assert plain in mountinfo.at(seen, "/r").options
    assert plain in mountinfo.at(seen, "/r/sub").options


@pytest.mark.parametrize("word", ["ro", "nosuid"])
def test_plain_option_on_rbind_changes_the_top_only(tree, nested, word):
    seen = tree(bind(nested, "/r", "rbind", word)).probe()
    assert word in mountinfo.at(seen, "/r").options
    assert word not in mountinfo.at(seen, "/r/sub").options


CLEARING = ["rrw", "rsuid", "rdev", "rexec", "ratime", "rdiratime", "rnorelatime", "rstrictatime", "rnostrictatime",
            "rsymfollow"]


@pytest.mark.hull_only(reason="runc 1.1 gets EINVAL for some")
@pytest.mark.parametrize("word", CLEARING)
def test_recursive_clearing_option(tree, nested, word):
    seen = tree(bind(nested, "/r", "rbind", "nosuid", "noexec", word)).probe()
    off = {"rrw": "ro", "rsuid": "nosuid", "rdev": "nodev", "rexec": "noexec", "ratime": "noatime", "rsymfollow": "nosymfollow"}
    for at in ("/r", "/r/sub"):
        assert off.get(word, "-") not in mountinfo.at(seen, at).options


def test_source_flags_survive_a_bind(tree, volume):
    """A bind of a nosuid,nodev mount without those words keeps them where the kernel locks them, else the words decide."""
    world.mount("tmpfs", str(volume), "tmpfs", 2 | 4, "size=64k")
    try:
        options = mountinfo.at(tree(bind(volume, "/vol", "ro")).probe(), "/vol").options
        assert "ro" in options
    finally:
        world.umount(str(volume))


# --- order, destinations ---

def test_order_is_the_configurations(tree, volume):
    c = tree(tmpfs("/a"), bind(volume, "/a/b"), tmpfs("/a/b/sub"), bind(volume / "file", "/a/b/sub/f"))
    seen = c.probe()
    chain = [mountinfo.at(seen, at) for at in ("/a", "/a/b", "/a/b/sub", "/a/b/sub/f")]
    assert all(lower.id == upper.parent for lower, upper in zip(chain, chain[1:])), chain


def test_a_later_mount_covers_an_earlier_one(tree, volume):
    c = tree(bind(volume, "/a"), tmpfs("/a"), args=["/bin/ls", "/a"])
    assert c.run().out == ""


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_proc_and_sys_stay_where_the_list_has_them(container, volume, order):
    """SEC-57: a tmpfs over part of /sys or /proc comes after them, whoever mounts what."""
    three = [tmpfs("/sys/firmware"), bind(volume / "file", "/proc/uptime"), tmpfs("/sys/fs/cgroup")]
    mounts = [SYS, PROC, DEV, *(three[i] for i in order)]
    c = container(mounts=mounts, linux={"maskedPaths": [], "readonlyPaths": []})
    seen = c.run().json()
    for m in three:
        top = mountinfo.at(seen, m["destination"])
        assert top.fstype == ("tmpfs" if m["type"] == "tmpfs" else mountinfo.at(seen, "/").fstype)


@pytest.mark.hull_only(reason="peers warn in other words or not at all")
def test_relative_destination_counts_from_the_root(container, hull):
    c = container(mounts=[*MOUNTS, tmpfs("relative/dir")])
    log = hull.tmp / "log"
    r = hull("--log", log, "--log-level", "warn", "run", "--bundle", c.bundle.path, c.id)
    assert mountinfo.at(r.json(), "/relative/dir").fstype == "tmpfs"
    assert "mounts[7].destination" in log.read_text()


@pytest.mark.parametrize("destination,seen_at", [("/a/../b", "/b"), ("//x///y/", "/x/y"), ("/./z/.", "/z")])
def test_destination_is_cleaned(tree, destination, seen_at):
    assert mountinfo.at(tree(tmpfs(destination)).probe(), seen_at).fstype == "tmpfs"


def test_destination_through_a_link_inside_the_root(tree):
    c = tree(tmpfs("/link/x"))
    (c.bundle.rootfs / "real").mkdir()
    (c.bundle.rootfs / "link").symlink_to("/real")
    assert mountinfo.at(c.probe(), "/real/x").fstype == "tmpfs"
    assert (c.bundle.rootfs / "real/x").is_dir()


@pytest.mark.hull_only(reason="peers leave the caller's umask in force")
def test_made_mountpoints_are_0755(tree):
    c = tree(tmpfs("/made/here"))
    old = os.umask(0o077)
    try:
        c.run()
    finally:
        os.umask(old)
    assert (c.bundle.rootfs / "made").stat().st_mode & 0o7777 == 0o755
    assert (c.bundle.rootfs / "made/here").stat().st_mode & 0o7777 == 0o755


def test_paths_with_odd_characters(tree, tmp_path):
    odd = tmp_path / "a b,c:d\\e=f"
    odd.mkdir()
    (odd / "f").write_text("odd\n")
    c = tree(bind(odd, "/v,o:l \\x"), args=["/bin/cat", "/v,o:l \\x/f"])
    assert c.run().out == "odd\n"


# --- the root ---

def test_root_is_writable_unless_told(container):
    c = container(args=["/bin/touch", "/made"])
    c.run()
    assert (c.bundle.rootfs / "made").exists()


def test_read_only_root(tree):
    c = tree(tmpfs("/scratch"), root={"readonly": True},
             args=["/bin/probe", "--mkdir", "/x", "--mkdir", "/scratch/x", "--mkdir", "/dev/x"])
    seen = c.probe()
    assert "ro" in mountinfo.at(seen, "/").options
    assert seen["mkdir /x"]["errno"] == "EROFS"
    assert seen["mkdir /scratch/x"]["errno"] == "0", "mounts keep their own mode"
    assert seen["mkdir /dev/x"]["errno"] == "0"
    assert not (c.bundle.rootfs / "x").exists()


def test_absolute_root_path(container, tmp_path):
    c = container()
    c.rewrite(root={"path": str(c.bundle.rootfs)})
    c.run()


@pytest.mark.kernel
@pytest.mark.parametrize("path,errno", [("missing", "no such file or directory"), ("config.json", "not a directory")])
def test_bad_root_path(container, path, errno):
    container(root={"path": path}).fails("create", match=f".*{path}.*root\\.path.*{errno}.*|.*root\\.path.*{path}.*{errno}.*")


@pytest.mark.hull_only(reason="runc 1.1 can do half of them")
@pytest.mark.kernel
@pytest.mark.parametrize("asked,expected,below", [
    ("private", set(), set()), ("rprivate", set(), set()), ("slave", {"master"}, set()), ("rslave", {"master"}, set()),
    ("shared", {"shared", "master"}, set()), ("rshared", {"shared", "master"}, {"shared"}),
    ("unbindable", {"unbindable"}, set()), ("runbindable", {"unbindable"}, {"unbindable"})])
@BY_ROOT_AND_USER
def test_rootfs_propagation(container, asked, expected, below):
    """The root is a slave of the tests' own, which is shared, unless something else is asked for; what hull mounts below is private."""
    seen = container(linux={"rootfsPropagation": asked}).probe()
    assert set(mountinfo.at(seen, "/").propagation) == expected
    assert {frozenset(mountinfo.at(seen, at).propagation) for at in ("/proc", "/dev", "/dev/pts")} == {frozenset(below)}


# --- propagation of mounts ---

@pytest.mark.kernel
@pytest.mark.parametrize("word,expected", [("private", set()), ("rprivate", set()), ("shared", {"shared"}),
                                           ("rshared", {"shared"}), ("unbindable", {"unbindable"}),
                                           ("runbindable", {"unbindable"}), ("slave", {"master"}), ("rslave", {"master"})])
def test_propagation_of_a_bind(tree, volume, word, expected):
    world.mount(str(volume), str(volume), None, world.MS_BIND)
    world.mount(None, str(volume), None, world.MS_SHARED)
    try:
        got = set(mountinfo.at(tree(bind(volume, "/vol", "rbind", word)).probe(), "/vol").propagation)
        assert (got & {"shared", "unbindable"}) | (got & expected) == expected
    finally:
        world.umount(str(volume))


def test_mounts_of_the_host_arrive_in_a_slave(tree, volume, hull):
    """USB disks: what the host mounts later below an rslave volume appears inside."""
    world.mount(str(volume), str(volume), None, world.MS_BIND)
    world.mount(None, str(volume), None, world.MS_SHARED)
    c = tree(bind(volume, "/vol", "rbind", "rslave"), args=["/bin/sleep", "100"])
    try:
        c.detach()
        world.mount("tmpfs", str(volume / "sub"), "tmpfs", 0)
        try:
            (volume / "sub/late").write_text("")
            assert "late\n" in hull("exec", c.id, "/bin/ls", "/vol/sub").out
        finally:
            world.umount(str(volume / "sub"))
    finally:
        c.delete("--force")
        world.umount(str(volume))


def test_mounts_inside_do_not_reach_the_host(tree, volume):
    """SEC-52881's relative H9: a clone of a shared mount is a peer until it is made private or slave."""
    world.mount(str(volume), str(volume), None, world.MS_BIND)
    world.mount(None, str(volume), None, world.MS_SHARED)
    before = snapshot.mounts()
    try:
        c = tree(bind(volume, "/vol", "rbind"), tmpfs("/vol/sub"), args=["/bin/sleep", "100"])
        c.detach()
        assert snapshot.mounts() == before
        c.delete("--force")
    finally:
        world.umount(str(volume))


def test_shared_volume_sends_mounts_to_the_host(tree, volume, hull):
    world.mount(str(volume), str(volume), None, world.MS_BIND)
    world.mount(None, str(volume), None, world.MS_SHARED)
    caps = ["CAP_SYS_ADMIN"]
    c = tree(bind(volume, "/vol", "rbind", "rshared"), args=["/bin/sh", "-c", "mount -t tmpfs x /vol/sub && sleep 100"],
             linux={"rootfsPropagation": "shared"},
             process={"capabilities": {s: caps for s in ("bounding", "permitted", "effective")}})
    try:
        c.detach()
        wait_for(lambda: any(str(volume / "sub") in line for line in snapshot.mounts()), 5, "the mount on the host")
        world.umount(str(volume / "sub"))
        c.delete("--force")
    finally:
        world.umount(str(volume))


# --- tmpfs ---

def test_tmpfs_takes_the_mode_of_what_it_covers(tree):
    c = tree(tmpfs("/tmp"), tmpfs("/fresh"), args=["/bin/probe", "--stat", "/tmp", "--stat", "/fresh"])
    seen = c.probe()
    assert seen["stat /tmp"]["mode"] == 0o1777


@pytest.mark.hull_only(reason="runc 1.1 sets the covered directory's mode")
def test_tmpfs_mode_wins(tree):
    c = tree(tmpfs("/tmp", "mode=700"), args=["/bin/probe", "--stat", "/tmp"])
    assert c.probe()["stat /tmp"]["mode"] == 0o700


# --- tmpfs with tmpcopyup ---

XATTR_USER_ON_TMPFS = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 6)


def describe(top):
    """What a copy must have in common with its original: relative name → type, mode, owner, time, content."""
    found = {}
    for path in sorted(top.rglob("*")):
        st = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(top))] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, content)
    return found


@pytest.fixture
def covered(tree, hull):
    """covered(option, …): a container whose /data is a tmpfs with tmpcopyup over the image's data directory."""
    def make(*options, before=(), **changes):
        c = tree(*before, tmpfs("/data", *options, "tmpcopyup"), **{"args": ["/bin/sleep", "100"], **changes})
        c.data = c.bundle.rootfs / "data"
        c.data.mkdir()
        return c
    return make


@pytest.fixture
def copied(hull):
    """copied(container) → (its /data as seen from here, the warnings)."""
    def start(c):
        log = hull.tmp / f"{c.id}.log"
        if hull.is_hull:
            hull("--log", log, "--log-level", "warn", "run", "--detach", "--bundle", c.bundle.path, c.id)
        else:
            c.detach()
        return Path(f"/proc/{c.pid}/root/data"), log.read_text().splitlines() if log.exists() else []
    return start


def fill(top):
    """Every mode, owner, time and kind of link that a copy has to keep."""
    (top / "empty").mkdir()
    (top / "a/b/c").mkdir(parents=True)
    (top / "a/file").write_text("text\n")
    (top / "a/b/c/large").write_bytes(os.urandom(3 << 20))
    (top / "nothing").write_bytes(b"")
    (top / "odd \n\\ name").write_text("odd")
    (top / "setuid").write_text("#!/bin/sh\n")
    for name, target in (("relative", "a/file"), ("absolute", "/etc/passwd"), ("dangling", "no/where"), ("up", "../../.."),
                         ("directory", "a")):
        (top / name).symlink_to(target)
    for n, path in enumerate(sorted(top.rglob("*"))):
        os.chown(path, 1000 + n, 2000 + n, follow_symlinks=False)
    (top / "setuid").chmod(0o6755)
    (top / "a/file").chmod(0o640)
    (top / "a/b").chmod(0o3750)
    (top / "empty").chmod(0)
    for n, path in enumerate(sorted(top.rglob("*"))):
        os.utime(path, ns=(10**18 + n, 10**18 + 7 * n), follow_symlinks=False)


@pytest.mark.hull_only(reason="the peers miss times or links")
def test_tmpcopyup(covered, copied):
    c = covered()
    fill(c.data)
    c.data.chmod(0o1770)
    before = snapshot.tree(c.data)
    seen, warnings = copied(c)
    assert describe(seen) == describe(c.data)
    assert len(describe(seen)) == 14 and seen.lstat().st_dev != c.data.lstat().st_dev
    assert seen.stat().st_mode & 0o7777 == 0o1770
    assert warnings == []
    (seen / "a/file").write_text("changed")
    (seen / "new").write_text("new")
    assert snapshot.tree(c.data) == before, "the image is as it was"


def test_tmpcopyup_inside(covered):
    """Any runtime: what the container itself sees."""
    c = covered(args=["/bin/sh", "-c", "cat /data/sub/f /data/link; echo more >/data/sub/f; cat /data/sub/f"])
    (c.data / "sub").mkdir()
    (c.data / "sub/f").write_text("image\n")
    (c.data / "link").symlink_to("sub/f")
    assert c.run().out == "image\nimage\nmore\n"
    assert (c.data / "sub/f").read_text() == "image\n"


@pytest.mark.hull_only(reason="runc 1.1 sets the covered directory's mode")
def test_tmpcopyup_with_a_mode_of_its_own_and_read_only(covered, copied):
    c = covered("ro", "mode=701", "size=1m")
    (c.data / "f").write_text("f")
    seen, _ = copied(c)
    assert (seen / "f").read_text() == "f" and seen.stat().st_mode & 0o7777 == 0o701
    with pytest.raises(OSError, match="Read-only"):
        (seen / "g").write_text("g")


@pytest.mark.hull_only(reason="the peers copy zeros")
def test_tmpcopyup_keeps_holes(covered, copied):
    c = covered("size=1m")
    with open(c.data / "sparse", "wb") as f:
        f.write(b"begin")
        f.seek(1 << 30)
        f.write(b"middle")
        f.truncate(50 << 30)
    seen, _ = copied(c)
    st = (seen / "sparse").stat()
    assert st.st_size == 50 << 30 and st.st_blocks * 512 < 1 << 20
    with open(seen / "sparse", "rb") as f:
        assert f.read(8) == b"begin\0\0\0"
        f.seek(1 << 30)
        assert f.read(8) == b"middle\0\0"


@pytest.mark.hull_only(reason="the peers' rules differ")
def test_tmpcopyup_attributes(covered, copied):
    """File capabilities give rights and trusted.* belongs to a file system: left out, and said so once."""
    c = covered()
    (c.data / "sub").mkdir()
    (c.data / "sub/f").write_text("f")
    acl = bytes.fromhex("02000000" "01000600ffffffff" "02000700d0070000" "04000000ffffffff" "10000700ffffffff" "20000000ffffffff")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    for path in (c.data / "sub/f", c.data / "sub"):
        for name, value in (("user.a", b"1"), ("security.hull", b"2"), ("trusted.a", b"3"), ("system.posix_acl_access", acl)):
            os.setxattr(path, name, value)
    os.setxattr(c.data / "sub", "system.posix_acl_default", acl)
    os.setxattr(c.data / "sub/f", "security.capability", capability)
    seen, warnings = copied(c)
    kept = {"security.hull", "system.posix_acl_access"} | ({"user.a"} if XATTR_USER_ON_TMPFS else set())
    kept |= {"security.selinux"} if has("SELinux") else set()  # every file has one there
    assert set(os.listxattr(seen / "sub/f")) == kept
    assert set(os.listxattr(seen / "sub")) == kept | {"system.posix_acl_default"}
    for path in ("sub", "sub/f"):
        assert os.getxattr(seen / path, "system.posix_acl_access") == acl
        assert os.getxattr(seen / path, "security.hull") == b"2"
        assert (seen / path).stat().st_mode == (c.data / path).stat().st_mode
    assert len(warnings) == 1, warnings
    assert "mounts[7]: tmpcopyup leaves out the attribute " in warnings[0] and "/data/sub" in warnings[0]
    assert f", and {2 if XATTR_USER_ON_TMPFS else 4} more" in warnings[0]


@pytest.mark.hull_only(reason="the peers fail or make devices")
def test_tmpcopyup_leaves_special_files_out(covered, copied):
    c = covered()
    (c.data / "f").write_text("f")
    for n in range(20):
        os.mkfifo(c.data / f"fifo{n}")
    os.mknod(c.data / "null", 0o20666, os.makedev(1, 3))
    os.mknod(c.data / "disk", 0o60600, os.makedev(7, 200))
    os.mknod(c.data / "socket", 0o140600)
    seen, warnings = copied(c)
    assert os.listdir(seen) == ["f"]
    assert len(warnings) == 1 and "mounts[7]: tmpcopyup leaves out the " in warnings[0] and ", and 22 more" in warnings[0]


@pytest.mark.hull_only(reason="the peers say nothing")
def test_tmpcopyup_names_what_it_leaves_out(covered, copied):
    c = covered()
    (c.data / "sub").mkdir()
    os.mkfifo(c.data / "sub/fifo")
    assert "tmpcopyup leaves out the FIFO /data/sub/fifo" in copied(c)[1][0]


@pytest.mark.hull_only(reason="the peers recurse")
def test_tmpcopyup_stops_at_64_levels(covered, copied):
    c = covered()
    top, made = c.data, 0
    for made in range(1, 81):
        top /= "d"
        top.mkdir()
        (top / "f").write_text(str(made))
    seen, warnings = copied(c)
    assert len(list(seen.rglob("f"))) == 63 and len(list(seen.rglob("d"))) == 63 < made
    assert len(warnings) == 1 and "the directory below 64 others /data/d/d" in warnings[0]


@pytest.mark.hull_only(reason="the peers copy them")
def test_tmpcopyup_does_not_enter_other_mounts(covered, copied, volume):
    c = covered(before=[bind(volume, "/data/vol"), bind(volume / "file", "/data/sub/file")])
    (c.data / "f").write_text("f")
    seen, warnings = copied(c)
    assert sorted(os.listdir(seen)) == ["f", "sub"] and os.listdir(seen / "sub") == []
    assert len(warnings) == 1 and "leaves out the mount on /data/" in warnings[0] and "and 1 more" in warnings[0]


def test_tmpcopyup_on_a_destination_that_is_made(covered, copied):
    c = covered()
    c.data.rmdir()
    seen, warnings = copied(c)
    assert os.listdir(seen) == [] and warnings == []


def test_tmpcopyup_does_not_follow_links(covered, copied, canary):
    """Neither the destination nor an entry leads out of the root."""
    c = covered()
    c.data.rmdir()
    c.data.symlink_to("../" * 20 + "real")
    (c.bundle.rootfs / "real").mkdir()
    (c.bundle.rootfs / "real/dir").symlink_to(canary / "dir")
    (c.bundle.rootfs / "real/file").symlink_to(canary / "dir/file")
    seen = Path(f"{copied(c)[0].parent}/real")
    assert sorted(os.listdir(seen)) == ["dir", "file"]
    assert [os.readlink(seen / name) for name in ("dir", "file")] == [str(canary / "dir"), str(canary / "dir/file")]


@pytest.mark.parametrize("options", [["size=64k"], ["nr_inodes=5"]])
def test_tmpcopyup_into_a_tmpfs_that_is_too_small(covered, options):
    c = covered(*options)
    for n in range(10):
        (c.data / f"f{n}").write_bytes(b"x" * 10000)
    before = snapshot.tree(c.bundle.rootfs)
    c.fails("create", match=r".*mount tmpfs on /data: copy /data/f\d into it \(mounts\[7\]\): no space left on device")
    assert snapshot.tree(c.bundle.rootfs) == before


def test_tmpcopyup_of_many_entries(covered, copied):
    c = covered()
    for n in range(10000):
        (c.data / f"{n:0100}").write_text(str(n))
    seen, warnings = copied(c)
    names = os.listdir(seen)
    assert len(names) == 10000 and all((seen / name).read_text() == str(int(name)) for name in names)
    assert warnings == []


@needs("the controller memory")
def test_tmpcopyup_counts_for_the_container(covered, copied):
    c = covered()
    (c.data / "f").write_bytes(b"x" * (16 << 20))
    copied(c)
    usage = [c.cgroup_file("memory", name) for name in ("memory.usage_in_bytes", "memory.current")]
    assert int(next(f for f in usage if f.exists()).read_text()) >= 16 << 20


@pytest.mark.hull_only(reason="the peers' copies fail or follow")
@pytest.mark.parametrize("what", ["directory and link", "file and link", "file and fifo", "file and directory"])
def test_tmpcopyup_while_a_neighbour_changes_the_directory(covered, canary, tmp_path, what):
    """Never blocked, never out of the root, whatever an entry turns into between the look and the copy."""
    shared = tmp_path / "shared"
    (shared / "sub").mkdir(parents=True)
    for name, kind in zip("ab", what.split(" and ")):
        path = shared / "sub" / name
        if kind == "directory":
            path.mkdir()
            (path / "file").write_text("mine")
        elif kind == "file":
            path.write_text("mine")
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(canary / ("dir" if what.startswith("directory") else "dir/file"))
    c = covered(before=[bind(shared, "/data")], args=["/bin/find", "/data", "-type", "f", "-exec", "cat", "{}", "+"])
    racer = subprocess.Popen([programs.build("attack"), "exchange", str(scaled(60)), shared / "sub/a", shared / "sub/b"])
    try:
        begun, rounds = time.monotonic(), 0
        while time.monotonic() < begun + (2 if rounds > 2 else scaled(2)):
            assert set(c.run().out.replace("mine", "m")) <= {"m"}
            rounds += 1
    finally:
        racer.terminate()
        racer.wait(10)
    assert rounds > 2


@pytest.mark.hull_only(reason="the peers ignore it there")
def test_tmpcopyup_needs_a_tmpfs(tree, volume):
    tree(bind(volume, "/data", "tmpcopyup")).fails(
        "create", match=r'config\.json: mounts\[7\]\.options\[1\]: "tmpcopyup" — needs a new mount of type "tmpfs"')


# --- links as source and destination: crun's words ---

@pytest.fixture
def linked(volume):
    """A link to a file, one to a directory, one to nothing."""
    (volume / "to-file").symlink_to("file")
    (volume / "to-dir").symlink_to("/no/dir")
    return volume


@pytest.mark.hull_only(reason="a word of newer crun")
@pytest.mark.parametrize("there", ["nothing", "the same link"])
def test_copy_symlink_makes_the_link(tree, linked, there):
    c = tree(bind(linked / "to-dir", "/made/link", "copy-symlink"), args=["/bin/probe", "--stat", "/made/link"])
    if there != "nothing":
        (c.bundle.rootfs / "made").mkdir()
        (c.bundle.rootfs / "made/link").symlink_to("/no/dir")
    seen = c.probe()
    assert (seen["stat /made/link"]["type"], seen["stat /made/link"]["link"]) == ("link", "/no/dir")
    assert not [m for m in seen["mountinfo"] if " /made/" in m]


@pytest.mark.hull_only(reason="a word of newer crun")
def test_copy_symlink_binds_what_is_no_link(tree, linked):
    assert tree(bind(linked / "file", "/data", "copy-symlink"), args=["/bin/cat", "/data"]).run().out == "from the host\n"


@pytest.mark.hull_only(reason="a word of newer crun")
def test_copy_symlink_where_something_else_is(tree, linked):
    c = tree(bind(linked / "to-file", "/taken", "copy-symlink"))
    (c.bundle.rootfs / "taken").write_text("x")
    c.fails("create", match=r"create \S+: bind /taken: something else is there \(mounts\[7\]\): file exists")


@pytest.mark.hull_only(reason="a word of newer crun")
def test_src_nofollow_binds_the_link_itself(tree, linked):
    seen = tree(bind(linked / "to-dir", "/here", "src-nofollow", "ro"), args=["/bin/probe", "--stat", "/here"]).probe()
    assert (seen["stat /here"]["type"], seen["stat /here"]["link"]) == ("link", "/no/dir")
    assert seen["stat /here"]["ino"] == (linked / "to-dir").lstat().st_ino


@pytest.mark.hull_only(reason="a word of newer crun")
def test_dest_nofollow_covers_the_link_itself(tree, linked):
    c = tree(bind(linked / "file", "/link", "dest-nofollow"), args=["/bin/probe", "--read", "/link", "--read", "/etc/passwd", "--stat", "/link"])
    (c.bundle.rootfs / "link").symlink_to("/etc/passwd")
    seen = c.probe()
    assert seen["read /link"]["text"] == "from the host\n"
    assert "root" in seen["read /etc/passwd"]["text"]
    assert seen["stat /link"]["type"] == "file"
    assert os.readlink(c.bundle.rootfs / "link") == "/etc/passwd"


@pytest.mark.hull_only(reason="a word of newer crun")
def test_both_ends_are_links(tree, linked):
    c = tree(bind(linked / "to-dir", "/link", "src-nofollow", "dest-nofollow"), args=["/bin/probe", "--stat", "/link"])
    (c.bundle.rootfs / "link").symlink_to("/etc/passwd")
    assert c.probe()["stat /link"]["link"] == "/no/dir"


@pytest.mark.parametrize("word", ["copy-symlink", "src-nofollow", "dest-nofollow"])
@pytest.mark.hull_only(reason="the peers ignore it there")
def test_words_for_links_need_a_bind(tree, word):
    tree(tmpfs("/data", word)).fails("create", match=rf'config\.json: mounts\[7\]\.options\[0\]: "{word}" — needs a bind mount')


# --- many ---

def test_a_thousand_mounts(tree, volume):
    many = [bind(volume, f"/v/{n}", "ro") for n in range(500)] + [tmpfs(f"/t/{n}", "size=4k") for n in range(500)]
    c = tree(*many, args=["/bin/sh", "-c", "cat /proc/self/mountinfo | wc -l; cat /v/499/file; : >/t/499/x && echo writable"])
    began = time.monotonic()
    count, *rest = c.run(timeout=120).out.splitlines()
    assert int(count) >= 1000
    assert rest == ["from the host", "writable"]
    assert time.monotonic() - began < scaled(30)


# --- masks and read-only paths ---

MASKS = {"args": ["/bin/probe", "--read", "/proc/kcore", "--write", "/proc/kcore", "--list", "/secret-dir", "--read",
                  "/secret", "--mkdir", "/secret-dir/x", "--read", "/proc/keys"]}


@pytest.fixture
def masked(container):
    def make(*paths, **changes):
        c = container(**MASKS, linux={"maskedPaths": list(paths)}, **changes)
        (c.bundle.rootfs / "secret").write_text("secret")
        (c.bundle.rootfs / "secret-dir/sub").mkdir(parents=True)
        return c
    return make


def test_masked_paths(masked):
    seen = masked("/proc/kcore", "/secret", "/secret-dir", "/proc/keys", "/no/such/path").probe()
    for path in filter(lambda p: p == "/secret" or os.path.exists(p), ("/proc/kcore", "/secret", "/proc/keys")):
        assert seen[f"read {path}"] == {"errno": "0", "text": ""}
    assert seen["list /secret-dir"] == {}
    assert seen["mkdir /secret-dir/x"]["errno"] == "EROFS"


def test_masked_paths_twice_nested_and_through_links(masked):
    c = masked("/secret-dir", "/secret-dir/sub", "/alias", "/secret")
    (c.bundle.rootfs / "alias").symlink_to("secret")
    seen = c.probe()
    assert seen["read /secret"]["text"] == ""
    assert seen["list /secret-dir"] == {}


def test_masks_cannot_be_taken_away_without_rights(container):
    c = container(args=["/bin/sh", "-c", "umount /proc/kcore; umount -l /proc/keys; cat /proc/keys | wc -c"])
    assert c.run().out.strip() == "0"


def test_masked_files_are_not_the_hosts_null(masked):
    """A mask that binds the host's /dev/null lets container root change the host's inode."""
    c = masked("/secret")
    c.rewrite(process={"args": ["/bin/probe", "--stat", "/secret"]})
    seen = c.probe()["stat /secret"]
    host = os.stat("/dev/null")
    assert (seen["dev"], seen["ino"]) != (host.st_dev, host.st_ino)


def test_many_masks(container):
    c = container()
    many = c.bundle.rootfs / "many"
    many.mkdir()
    for n in range(500):
        (many / str(n)).write_text("x")
    c.rewrite(linux={"maskedPaths": [f"/many/{n}" for n in range(500)]}, process={"args": ["/bin/sh", "-c", "cat /many/*"]})
    assert c.run().out == ""


def test_read_only_paths(container):
    c = container(linux={"readonlyPaths": ["/proc/sys", "/data", "/data-file", "/no/such"]},
                  args=["/bin/probe", "--write", "/proc/sys/kernel/hostname", "--mkdir", "/data/x", "--write", "/data-file",
                        "--mkdir", "/other"])
    (c.bundle.rootfs / "data").mkdir()
    (c.bundle.rootfs / "data-file").write_text("")
    seen = c.probe()
    for what in ("write /proc/sys/kernel/hostname", "mkdir /data/x", "write /data-file"):
        assert seen[what]["errno"] == "EROFS"
    assert seen["mkdir /other"]["errno"] == "0"
    options = mountinfo.at(seen, "/proc/sys").options
    assert {"ro", "nosuid", "nodev", "noexec"} <= options, "flags of the mount below are kept"


def test_read_only_path_takes_its_submounts(tree, nested):
    c = tree(bind(nested, "/vol", "rbind"), linux={"readonlyPaths": ["/vol"]},
             args=["/bin/probe", "--mkdir", "/vol/x", "--mkdir", "/vol/sub/x"])
    seen = c.probe()
    assert seen["mkdir /vol/x"]["errno"] == seen["mkdir /vol/sub/x"]["errno"] == "EROFS"


# --- remount, cgroup, overlay and others ---

@pytest.mark.hull_only(reason="runc 1.1 wants a source")
def test_remount(tree, volume):
    c = tree(bind(volume, "/vol"), {"destination": "/vol", "type": "none", "source": "none",
                                    "options": ["remount", "bind", "ro", "nosuid"]})
    assert {"ro", "nosuid"} <= mountinfo.at(c.probe(), "/vol").options


def test_overlay(tree, tmp_path):
    for d in ("low", "up", "work"):
        (tmp_path / d).mkdir()
    (tmp_path / "low/f").write_text("low\n")
    c = tree({"destination": "/o", "type": "overlay", "source": "overlay",
              "options": [f"lowerdir={tmp_path}/low", f"upperdir={tmp_path}/up", f"workdir={tmp_path}/work"]},
             args=["/bin/sh", "-c", "cat /o/f; echo x >/o/new"])
    assert c.run().out == "low\n"
    assert (tmp_path / "up/new").read_text() == "x\n"


def test_second_proc_and_sysfs(tree):
    c = tree({"destination": "/p2", "type": "proc", "source": "proc"}, {"destination": "/s2", "type": "sysfs", "source": "x"},
             args=["/bin/sh", "-c", "head -n 1 /p2/1/status; ls /s2/class/net"])
    assert c.run().out == "Name:\tsh\nlo\n"


@pytest.mark.kernel
@pytest.mark.parametrize("cgroupns", [True, False])
def test_cgroup_mount(container, cgroupns):
    c = container(linux={"namespaces": namespaces(*([] if cgroupns else ["cgroup"]))},
                  args=["/bin/probe", "--list", "/sys/fs/cgroup", "--mkdir", "/sys/fs/cgroup/pids/x",
                        "--mkdir", "/sys/fs/cgroup/x", "--read", "/sys/fs/cgroup/pids/cgroup.procs"])
    seen = c.probe()
    mounts = [m for m in mountinfo.of(seen) if m.at.startswith("/sys/fs/cgroup")]
    assert mounts and all("ro" in m.options for m in mounts if m.fstype != "tmpfs"), mounts
    if len(snapshot.hierarchies()) > 1:
        assert {h.name for h in snapshot.hierarchies() if (h / "tasks").exists()} <= set(seen["list /sys/fs/cgroup"])
        assert seen["mkdir /sys/fs/cgroup/pids/x"]["errno"] == "EROFS"
        assert seen["read /sys/fs/cgroup/pids/cgroup.procs"]["text"] == "1\n", "only the container's own cgroup is to be seen"
    if c.runtime.is_hull:  # Debian's runc leaves the tmpfs writable
        assert seen["mkdir /sys/fs/cgroup/x"]["errno"] == "EROFS"
    if cgroupns:
        assert all(line.endswith(":/") for line in seen["cgroup"]), seen["cgroup"]
    else:
        assert any(line.endswith(c.cgroup) for line in seen["cgroup"])


def test_host_cgroup2_options_are_unchanged(container):
    """fsopen("cgroup2") in the initial cgroup namespace switches the host's nsdelegate off."""
    def options():
        return {line.split(" - ")[1] for line in snapshot.mounts() if " - cgroup2 " in line}
    before = options()
    for ns in (namespaces(), namespaces("cgroup")):
        container(linux={"namespaces": ns}).run()
        container(linux={"namespaces": ns}, mounts=[PROC, DEV, SYS, {**CGROUP, "type": "cgroup2"}]).runtime
    assert options() == before


@pytest.mark.hull_only(reason="lists differ")
def test_bind_over_files_of_proc(container, volume):
    """lxcfs covers a handful of files; everything else below /proc is refused (CVE-2019-16884's class)."""
    usual = {"linux": {"maskedPaths": [], "readonlyPaths": []}, "args": ["/bin/cat", "/proc/uptime"]}
    assert container(mounts=[*MOUNTS, bind(volume / "file", "/proc/uptime")], **usual).run().out == "from the host\n"
    for target in ("/proc/self/attr", "/proc/sys/kernel/core_pattern", "/proc/1", "/proc/../proc/self/status"):
        c = container(mounts=[*MOUNTS, bind(volume / "file", target)], **usual)
        c.fails("create", match=r".*mounts\[7\].*/proc.*|.*/proc.*mounts\[7\].*")


def test_host_sees_no_mount_while_it_runs(container):
    before = snapshot.mounts()
    c = container(args=["/bin/sleep", "100"])
    c.detach()
    assert snapshot.mounts() == before
