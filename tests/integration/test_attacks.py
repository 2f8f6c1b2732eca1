# SPDX-License-Identifier: Apache-2.0
"""Attacks from the image, from a neighbour and from inside. The numbers are those of docs/threat-model.md.

The verdict is the same everywhere: either the runtime refuses, or its effect stays inside; never does anything outside of the
root file system change (the canary and the host snapshot see to that), nothing hangs, nothing dies of a signal."""
import json
import os
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from harness import mountinfo, programs, snapshot
from harness.clock import scaled
from harness.config import DEV, MOUNTS, PROC, PTS, SYS, bind, namespaces, tmpfs
from harness.needs import needs
from harness.runtime import wait_for

PIDNS = "proc of a joined pid namespace (Linux 6.17)"
RACE_SECONDS = float(os.environ.get("HULL_RACE_SECONDS", "4"))
ALL_DEVICES = {"devices": [{"allow": True, "access": "rwm"}]}


def plant(path, kind, canary):
    """Put something hostile at a path of the image."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    up = "../" * 30 + str(canary / "dir").lstrip("/")
    links = {"link absolute": canary / "dir", "link to file": canary / "dir/file", "link relative": up, "link magic": "/proc/self/fd/3",
             "link to root": "/", "link dangling": canary / "dir/not-there", "link loop": path.name}
    if kind in links:
        path.symlink_to(links[kind])
    elif kind == "file":
        path.write_text("")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            fd = os.open(path.parent, os.O_PATH)
            s.bind(f"/proc/self/fd/{fd}/{path.name}")
            os.close(fd)
    elif kind in ("char 1:3", "char 1:1"):
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, int(kind[-1])))
    elif kind == "setgid directory":
        path.mkdir()
        path.chmod(0o2777)
    else:
        raise ValueError(kind)


KINDS = ("link absolute", "link to file", "link relative", "link magic", "link to root", "link dangling", "link loop", "file", "fifo",
         "socket", "char 1:3", "char 1:1", "setgid directory")


def verdict(c, *options, verb="run"):
    """Run it; refuses in one line or succeeds. Returns the result."""
    r = c.runtime.call(verb, "--bundle", c.bundle.path, *options, c.id, timeout=20)
    assert r.rc in (0, 1), f"exit code {r.rc}: {r.err}"
    if r.rc == 1 and c.runtime.is_hull:
        assert r.err.startswith("hull: ") and r.err.count("\n") == 1, r.err
    return r


# --- SEC-05: the /dev family ---

DEV_NAMES = ("", "/pts", "/shm", "/mqueue", "/console", "/ptmx", "/null", "/fd", "/stdin", "/core", "/net", "/net/tun", "/a/b/c")
DEV_MOUNTS = {
    "tmpfs on /dev": MOUNTS,
    "no mount on /dev": [PROC, SYS],
    "pts without /dev": [PROC, PTS],
}
DEV_DEVICES = [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200}, {"path": "/dev/a/b/c", "type": "c", "major": 1, "minor": 3}]


@pytest.mark.parametrize("mounts", DEV_MOUNTS)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_dev(container, canary, mounts, kind):
    for name in DEV_NAMES:
        c = container(mounts=DEV_MOUNTS[mounts], args=["/bin/busybox", "true"],
                      linux={"devices": DEV_DEVICES, "resources": ALL_DEVICES, "maskedPaths": ["/proc/kcore"], "readonlyPaths": []})
        plant(c.bundle.rootfs / f"dev{name}", kind, canary)
        verdict(c)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_dev_with_read_only_root(container, canary, kind):
    for name in ("", "/pts", "/console", "/ptmx", "/null"):
        c = container(args=["/bin/busybox", "true"], root={"readonly": True})
        plant(c.bundle.rootfs / f"dev{name}", kind, canary)
        verdict(c)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_dev_from_a_volume(container, canary, tmp_path, kind):
    """/dev itself is a bind of a directory that somebody else fills."""
    for n, name in enumerate(("pts", "shm", "console", "ptmx", "null", "fd", "stdin", "net")):
        volume = tmp_path / f"volume{n}"
        volume.mkdir()
        plant(volume / name, kind, canary)
        c = container(mounts=[PROC, bind(volume, "/dev"), tmpfs("/dev/shm")], args=["/bin/busybox", "true"],
                      linux={"maskedPaths": ["/proc/kcore"], "readonlyPaths": []})
        verdict(c)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_console(container, canary, hull, kind):
    from harness.terminal import ConsoleSocket
    for n, (mounts, name) in enumerate(((MOUNTS, "console"), ([PROC, PTS], "console"), ([PROC, PTS], "ptmx"), ([PROC], "pts"))):
        c = container(mounts=mounts, args=["/bin/busybox", "true"], process={"terminal": True})
        plant(c.bundle.rootfs / "dev" / name, kind, canary)
        console = ConsoleSocket(hull.tmp / f"console{n}.sock")
        r = verdict(c, "--console-socket", console.path, verb="create")
        if r.rc == 0:
            master, _ = console.receive()
            assert os.major(os.fstat(master).st_rdev) == 5
            os.close(master)
        console.close()


# --- SEC-07: mount destinations ---

MOUNT_TYPES = {
    "bind dir": lambda source: bind(source, "D"), "bind file": lambda source: bind(source / "f", "D"), "tmpfs": lambda _: tmpfs("D"),
    "proc": lambda _: {"destination": "D", "type": "proc", "source": "proc"},
    "sysfs": lambda _: {"destination": "D", "type": "sysfs", "source": "sysfs"},
    "mqueue": lambda _: {"destination": "D", "type": "mqueue", "source": "mqueue"},
    "devpts": lambda _: {"destination": "D", "type": "devpts", "source": "devpts"},
    "cgroup": lambda _: {"destination": "D", "type": "cgroup", "source": "cgroup"},
}


@pytest.mark.parametrize("mount_type", MOUNT_TYPES)
@pytest.mark.parametrize("place", ["/link", "/link/below", "/link/hosts", "/link/new/deep", "/dir/link/x"])
def test_destination_through_a_hostile_link(container, canary, tmp_path, mount_type, place):
    source = tmp_path / "source"
    source.mkdir()
    (source / "f").write_text("f")
    for kind in ("link absolute", "link to file", "link relative", "link magic", "link to root", "link dangling", "link loop"):
        m = {**MOUNT_TYPES[mount_type](source), "destination": place}
        c = container(mounts=[*MOUNTS[:3], m], linux={"maskedPaths": [], "readonlyPaths": []})
        plant(c.bundle.rootfs / ("dir/link" if place.startswith("/dir") else "link"), kind, canary)
        r = verdict(c)
        if r.rc == 0:
            inside = mountinfo.of(r.json())
            assert not any(str(canary) in m.root for m in inside), "a host directory is mounted inside"


@pytest.mark.parametrize("name", ["/proc", "/sys"])
@pytest.mark.parametrize("kind", ["link absolute", "link relative", "link to root", "link dangling", "file", "fifo"])
def test_proc_or_sys_that_is_no_directory(container, canary, name, kind):
    """SEC-06: a fake procfs."""
    c = container()
    plant(c.bundle.rootfs / name[1:], kind, canary)
    r = verdict(c)
    if r.rc == 0:
        m = mountinfo.at(r.json(), name)
        assert m.fstype in ("proc", "sysfs")


# --- SEC-08: what the runtime creates ---

@pytest.mark.parametrize("cwd", ["/link/BREAKOUT", "/0/link1/../../link2/BREAKOUT", "/link/dir/BREAKOUT", "/magic/BREAKOUT"])
def test_cwd_through_hostile_links(container, canary, cwd):
    c = container(process={"cwd": cwd, "user": {"uid": 1234, "gid": 1234}})
    root = c.bundle.rootfs
    (root / "0").mkdir()
    up = "../" * 30
    (root / "link").symlink_to(up + str(canary).lstrip("/"))
    (root / "0/link1").symlink_to(up + str(canary).lstrip("/"))
    (root / "link2").symlink_to(canary)
    (root / "magic").symlink_to("/proc/1/root" + str(canary))
    r = verdict(c)
    if r.rc == 0:
        assert r.json()["cwd"]["mnt_id"] == r.json()["root"]["mnt_id"]


# --- races with a neighbour on a shared volume ---

@pytest.fixture
def racer(tmp_path):
    """racer("exchange", a, b): runs beside the test until it is stopped."""
    running = []

    def start(what, *paths):
        running.append(subprocess.Popen([programs.build("attack"), what, str(scaled(RACE_SECONDS + 30)), *map(str, paths)],
                                        stdout=subprocess.DEVNULL))
        time.sleep(0.05)
    yield start
    for process in running:
        process.terminate()
        process.wait(10)


ENOUGH = 8  # rounds: a slow machine takes more time for them


def rounds():
    """Numbers until the time for a race is over."""
    begun = time.monotonic()
    n = 0
    while time.monotonic() < begun + (RACE_SECONDS if n >= ENOUGH else scaled(RACE_SECONDS)):
        yield n
        n += 1


@pytest.mark.parametrize("target", ["canary", "root"])
def test_race_for_a_mount_target(container, canary, tmp_path, racer, target):
    """SEC-10, SEC-11 (CVE-2021-30465, CVE-2024-45310): the neighbour swaps a directory for a link while mounts go below it."""
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(canary / "dir" if target == "canary" else "/")
    racer("exchange", volume / "a", volume / "b")
    source = tmp_path / "source"
    source.mkdir()
    (source / "f").write_text("f")
    mounts = [*MOUNTS[:3], bind(volume, "/vol")]
    for n in range(6):
        mounts += [tmpfs(f"/vol/a/x{n}"), bind(source / "f", f"/vol/a/file{n}"), bind(source, f"/vol/a/new/deep{n}")]
    c = container(mounts=mounts, linux={"maskedPaths": [], "readonlyPaths": []})
    won = lost = 0
    for _ in rounds():
        r = verdict(c)
        if r.rc:
            lost += 1
            continue
        won += 1
        for m in mountinfo.of(r.json()):
            assert m.root != "/" or m.fstype != mountinfo.at(r.json(), "/").fstype, f"the host's root is mounted on {m.at}"
            assert str(canary) not in m.root
    assert won + lost > 5


def test_race_for_a_device_node(container, canary, tmp_path, racer):
    """SEC-11b: a node made by name and then changed by name; the neighbour's link gets the mode and the owner."""
    volume = tmp_path / "volume"
    volume.mkdir()
    racer("replace", volume / "node", canary / "dir/file")
    c = container(mounts=[*MOUNTS, bind(volume, "/vol")], args=["/bin/busybox", "true"], linux={"devices": [
        {"path": "/vol/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666, "uid": 1000, "gid": 1000}], "resources": ALL_DEVICES})
    n = 0
    for n in rounds():
        verdict(c)
    assert n > 5


def test_race_for_the_working_directory(container, canary, tmp_path, racer):
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to("../" * 30 + str(canary / "dir").lstrip("/"))
    racer("exchange", volume / "a", volume / "b")
    c = container(mounts=[*MOUNTS, bind(volume, "/vol")], process={"cwd": "/vol/a/new"})
    for _ in rounds():
        r = verdict(c)
        if r.rc == 0:
            assert r.json()["cwd"]["path"].startswith("/")


@pytest.mark.parametrize("null", ["link to canary", "link to proc", "absent", "file", "char 1:5", "fifo", "race"])
def test_masks_with_a_hostile_null(container, canary, tmp_path, racer, null):
    """SEC-12 (CVE-2025-31133): /dev is a volume whose `null` is not the null device."""
    dev = tmp_path / "dev"
    dev.mkdir()
    entry = dev / "null"
    if null in ("link to canary", "race"):
        entry.symlink_to(canary / "file")
    elif null == "link to proc":
        entry.symlink_to("/proc/sys/kernel/core_pattern")
    elif null == "file":
        entry.write_text("not null")
    elif null == "char 1:5":
        os.mknod(entry, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif null == "fifo":
        os.mkfifo(entry)
    if null == "race":
        racer("replace", entry, "/proc/sys/kernel/core_pattern")
    c = container(mounts=[PROC, bind(dev, "/dev"), SYS],
                  linux={"maskedPaths": ["/proc/kcore", "/secret", "/sys/firmware", "/no/such"], "readonlyPaths": ["/proc/sys"]},
                  args=["/bin/probe", "--read", "/proc/kcore", "--read", "/secret", "--write", "/secret", "--list", "/sys/firmware",
                        "--write", "/proc/sys/kernel/core_pattern"])
    (c.bundle.rootfs / "secret").write_text("secret")
    for _ in (rounds() if null == "race" else range(1)):
        r = verdict(c)
        if r.rc == 0:
            seen = r.json()
            assert seen["read /secret"] == {"errno": "0", "text": ""}
            assert seen["read /proc/kcore"].get("text", "") == ""
            assert seen["list /sys/firmware"] == {}
            assert seen["write /proc/sys/kernel/core_pattern"]["errno"] in ("EROFS", "EPERM")
    assert (c.bundle.rootfs / "secret").read_text() == "secret"


# --- SEC-57, SEC-58: order, neighbours that take mountpoints away ---

@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_order_of_mounts_through_links(container, tmp_path, first):
    """SEC-57: what the list has last at a place is on top there, or the configuration is refused."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "marker").write_text("")
    later = [SYS, tmpfs("/sys/firmware"), bind(source, "/foo/kernel"), tmpfs("/foo/class")]
    mounts = [PROC, DEV, *later[first:], *later[:first]]
    c = container(mounts=mounts, linux={"maskedPaths": [], "readonlyPaths": []})
    (c.bundle.rootfs / "foo").symlink_to("/sys")
    r = verdict(c)
    if r.rc == 0:
        seen = r.json()
        positions = {m["destination"].replace("/foo", "/sys"): i for i, m in enumerate(mounts)}
        for m in mounts[2:]:
            place = m["destination"].replace("/foo", "/sys")
            if positions[place] > positions["/sys"]:
                expected = "tmpfs" if m["type"] == "tmpfs" else "sysfs" if m["type"] == "sysfs" else mountinfo.at(seen, "/").fstype
                assert mountinfo.at(seen, place).fstype == expected, place


@pytest.mark.parametrize("what", ["directory", "file"])
def test_neighbour_takes_the_mountpoint_away(container, tmp_path, racer, what):
    """SEC-58: rmdir by a neighbour on the same file system detaches our mount: refused, or every mask is there at the start."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "keep").write_text("secret")
    victim = volume / "victim"
    if what == "directory":
        victim.mkdir()
        racer("vanish", victim)
    else:
        victim.write_text("")
        racer("unlink", victim)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "f").write_text("cover\n")
    cover = bind(empty, "/vol/victim", "ro") if what == "directory" else bind(empty / "f", "/vol/victim", "ro")
    c = container(mounts=[*MOUNTS[:3], bind(volume, "/vol"), cover], linux={"maskedPaths": ["/vol/keep"], "readonlyPaths": []},
                  args=["/bin/probe", "--read", "/vol/keep"])
    for _ in rounds():
        r = verdict(c)
        if r.rc == 0:
            assert r.json()["read /vol/keep"]["text"] == ""


# --- SEC-01: the runtime's own program ---

@pytest.fixture
def watcher(container):
    """A container whose program looks at every /proc/PID/exe and map_files and tries to write what isn't its own."""
    def make(seconds, host_program, **changes):
        st = os.stat(host_program)
        c = container(args=["/bin/attack", "exe", str(seconds), str(st.st_dev), str(st.st_ino)], **changes)
        c.detach()
        c.wait_output("ready")
        return c
    return make


CAPS_PTRACE = {"capabilities": {s: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"] for s in
                                ("bounding", "effective", "permitted")}}


@pytest.mark.hull_only(reason="Debian's runc can be seen there")
@pytest.mark.parametrize("where", ["exec", pytest.param("shared pid namespace", marks=needs(PIDNS)), "host pid namespace"])
def test_our_program_is_never_seen_as_a_program(container, hull, watcher, where):
    """SEC-01 with reading: no host inode is behind any exe or map_files, and nothing foreign can be written."""
    before = Path(hull.program).read_bytes()
    seconds, one_round = scaled(2.5), scaled(0.8)
    changes = {"process": {**CAPS_PTRACE, "noNewPrivileges": False}}
    if where == "host pid namespace":
        changes["linux"] = {"namespaces": namespaces("pid")}
    w = watcher(seconds, hull.program, **changes)
    end = time.monotonic() + seconds - one_round
    other = None
    if where == "shared pid namespace":
        other = container(args=["/bin/busybox", "true"], linux={"namespaces": namespaces(pid=f"/proc/{w.pid}/ns/pid")})
    entry = w.bundle.rootfs / "bin/self"
    entry.write_text("#!/proc/self/exe\n")
    entry.chmod(0o755)
    while time.monotonic() < end:
        if other:
            other.run()
        else:
            hull("exec", w.id, "/bin/busybox", "true")
            hull.call("exec", w.id, "/bin/self")
    w.wait("stopped")
    found = [json.loads(line) for line in w.output().splitlines()]
    assert [f for f in found if "host_program" in f and where != "host pid namespace"] == []
    assert [f for f in found if f.get("wrote")] == []
    assert Path(hull.program).read_bytes() == before


@pytest.mark.parametrize("how", ["entry", "exec"])
def test_program_that_is_the_runtime_itself(container, hull, how):
    """CVE-2019-5736: `#!/proc/self/exe`."""
    before = Path(hull.program).read_bytes()
    c = container(args=["/bin/self"] if how == "entry" else ["/bin/sleep", "100"])
    entry = c.bundle.rootfs / "bin/self"
    entry.write_text("#!/proc/self/exe\n")
    entry.chmod(0o755)
    if how == "entry":
        hull.call("run", "--bundle", c.bundle.path, c.id)
    else:
        c.detach()
        hull.call("exec", c.id, "/bin/self")
        c.delete("--force")
    assert Path(hull.program).read_bytes() == before


# --- SEC-50: a container with CAP_SYS_PTRACE seizes what is born in its pid namespace ---

@pytest.mark.hull_only(reason="Debian's runc is seized with every capability")
@pytest.mark.parametrize("where", ["exec", pytest.param("joined pid namespace", marks=needs(PIDNS))])
def test_ptrace_of_what_is_born(container, hull, where):
    """Nobody who can be seized has more than the container: no host root, no host mount namespace, no capability beyond its own."""
    seconds = scaled(4)
    c = container(args=["/bin/attack", "seize", str(seconds)], process={**CAPS_PTRACE, "noNewPrivileges": False})
    c.detach()
    c.wait_output("ready")
    bounding = None
    end = time.monotonic() + seconds - scaled(0.7)
    other = container(args=["/bin/busybox", "true"], linux={"namespaces": namespaces(pid=f"/proc/{c.pid}/ns/pid")},
                      process=CAPS_PTRACE)
    n = 0
    while time.monotonic() < end:
        # a seized process stands still until it is detached: it may be slow, it may not hang
        if where == "exec":
            hull.call("exec", c.id, "/bin/busybox", "true", timeout=10)
        else:
            hull.call("run", "--bundle", other.bundle.path, other.id, timeout=10)
        n += 1
    c.wait("stopped")
    found = [json.loads(line) for line in c.output().splitlines()]
    victims = [f for f in found if "pid" in f]
    assert n > 5
    for victim in victims:
        bounding = int(victim["CapBnd"], 16)
        assert int(victim["CapPrm"], 16) & ~bounding == 0 and bounding < 1 << 20, victim
        if where == "exec":
            assert victim["own_root"] and victim["own_mnt"], victim


# --- SEC-59: undo and kill hit only what carries the token ---

class Bystander:
    """A process of somebody else, in a cgroup of its own: it must be alive when the test lets it go."""

    def __init__(self):
        self.process = subprocess.Popen(["/bin/sleep", "1000"])
        self.pid = self.process.pid
        self.gone = False

    def assert_alive(self, why=""):
        assert self.process.poll() is None, f"the bystander was killed. {why}"

    def leave(self):
        self.assert_alive()
        self.gone = True
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture
def bystander():
    b = Bystander()
    yield b
    if not b.gone:
        b.leave()


def put(pid, path):
    """Move a process into that cgroup of every v1 hierarchy (and the v2 one)."""
    for h in snapshot.hierarchies():
        d = h / path.lstrip("/")
        d.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (d / name).exists():
                (d / name).write_text((d.parent / name).read_text())
        (d / "cgroup.procs").write_text(str(pid))


def take_away(path):
    for h in snapshot.hierarchies():
        d = h / path.lstrip("/")
        wait_for(lambda d=d: not (d / "cgroup.procs").read_text(), 5, f"{d} to be empty")
        d.rmdir()


@pytest.mark.hull_only(reason="peers adopt the cgroup and kill everything in it")
def test_a_cgroup_with_processes_of_others(container, parent_cgroup, bystander):
    """SEC-59 (1): create refuses it, delete --force doesn't touch it."""
    path = f"{parent_cgroup}/theirs"
    put(bystander.pid, path)
    c = container(args=["/bin/true"], linux={"cgroupsPath": path})
    c.fails("create", match=r".*cgroup.*theirs.*")
    c.delete("--force")
    bystander.leave()
    take_away(path)


@pytest.mark.hull_only(reason="peers remove whatever has the name")
@pytest.mark.parametrize("stage", ["created", "dead creator"])
def test_cgroup_that_was_replaced(container, hull, parent_cgroup, bystander, stage):
    """SEC-59 (2): ours is gone, another one has the name now: kill and delete leave it alone."""
    c = container(args=["/bin/sleep", "1000"])
    c.detach()
    pid = c.pid
    os.kill(pid, 9)
    c.wait("stopped")
    for h in snapshot.hierarchies():
        d = h / c.cgroup.lstrip("/")
        if d.is_dir():
            wait_for(lambda d=d: not (d / "cgroup.procs").read_text(), 5, f"{d} to be empty")
            d.rmdir()
    put(bystander.pid, c.cgroup)
    hull.call("kill", "--all", c.id, "KILL")
    r = hull.call("delete", *(["--force"] if stage == "created" else []), c.id)
    bystander.assert_alive(r.err)
    bystander.leave()
    take_away(c.cgroup)
    hull.call("delete", "--force", c.id)


@pytest.mark.hull_only(reason="the record is each program's own")
@pytest.mark.parametrize("change", ["one byte", "cut", "empty", "path of a parent", "other boot"])
def test_record_that_was_changed(container, hull, parent_cgroup, bystander, change):
    """SEC-59 (3, 4): a flipped byte in the path names the parent; only what the token proves is undone."""
    put(bystander.pid, f"{parent_cgroup}/canary")
    c = container(args=["/bin/sleep", "1000"])
    c.detach()
    record = hull.root / c.id / "state.json"
    text = record.read_text()
    assert c.cgroup in text
    if change == "one byte":
        changed = text.replace(c.cgroup, f"{parent_cgroup}/canary")
    elif change == "cut":
        changed = text[:len(text) // 2]
    elif change == "empty":
        changed = ""
    elif change == "path of a parent":
        changed = text.replace(c.cgroup, parent_cgroup)
    else:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert boot in text
        changed = text.replace(boot, "0" * 8 + boot[8:])
    pid = c.pid
    record.write_text(changed)
    r = hull.call("delete", "--force", c.id)
    bystander.assert_alive(r.err)
    assert (snapshot.hierarchies()[0] / parent_cgroup.lstrip("/")).is_dir()
    # what the damaged record didn't prove is cleaned up by hand
    if record.exists():
        record.write_text(text)
        hull("delete", "--force", c.id)
    elif snapshot.process(pid) is not None:
        os.kill(pid, 9)
    for h in snapshot.hierarchies():
        d = h / c.cgroup.lstrip("/")
        if d.is_dir():
            wait_for(lambda d=d: not (d / "cgroup.procs").read_text(), 5, f"{d} to be empty")
            d.rmdir()
    bystander.leave()
    take_away(f"{parent_cgroup}/canary")


@pytest.mark.hull_only(reason="runc 1.1 looks at the pid alone")
def test_process_with_the_pid_of_a_dead_init(container, hull, bystander):
    """SEC-46: the record's pid belongs to somebody else now (start time differs): never signalled."""
    c = container(args=["/bin/sleep", "1000"])
    c.detach()
    pid = c.pid
    os.kill(pid, 9)
    c.wait("stopped")
    record = hull.root / c.id / "state.json"
    text = record.read_text()
    assert f"{pid}" in text
    record.write_text(text.replace(f": {pid}", f": {bystander.pid}").replace(f":{pid}", f":{bystander.pid}"))
    hull.call("kill", c.id, "KILL")
    hull.call("delete", "--force", c.id)
    bystander.assert_alive()
    if record.parent.exists():
        record.write_text(text)
    hull("delete", "--force", c.id)


# --- helpers of the image are never run with host rights ---

def test_programs_and_libraries_of_the_image_are_not_used(container, canary, hull):
    """SEC-33: newuidmap, ip, libnss … of the image leave a mark when anybody runs them."""
    c = container(args=["/bin/busybox", "true"], process={"user": {"uid": 1000, "gid": 1000}})
    root = c.bundle.rootfs
    for name in ("usr/bin/newuidmap", "usr/bin/newgidmap", "sbin/ip", "bin/mount", "usr/bin/systemd-notify", "usr/bin/criu"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(f"#!/bin/sh\necho pwned >>{canary}/dir/file\n")
        (root / name).chmod(0o755)
    (root / "etc/ld.so.preload").write_text("/evil.so\n")
    (root / "etc/nsswitch.conf").write_text("passwd: evil\n")
    for path in ("/evil", None):
        env = {k: v for k, v in os.environ.items() if k != "PATH"}
        hull("run", "--bundle", c.bundle.path, c.id, env={**env, "PATH": path} if path else env)
