# SPDX-License-Identifier: Apache-2.0
"""What a test may not change: mounts, cgroups of every hierarchy, processes, namespaces, links, /dev, host-wide settings."""
import os
import socket
import time
from pathlib import Path

from .clock import scaled

CGROUP_ROOT = Path("/sys/fs/cgroup")
# The world's name: part of every container id and of the parent cgroup, so that what is ours is known by its name.
TAG = os.environ.get("HULL_TEST_WORLD", "hulltest-none")
# On a machine where others make cgroups at the same time only what carries the tag is compared.
SHARED_HOST = bool(os.environ.get("HULL_TEST_SHARED_HOST"))
NS_TYPES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
SETTINGS = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname",
            "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shmmax", "/proc/sys/fs/mqueue/msg_max",
            "/proc/sys/kernel/sysrq", "/proc/self/oom_score_adj", "/proc/self/timerslack_ns")
STATE_ROOTS = ("/run/hull", "/run/runc", "/run/crun")
# How long what is being torn down (exiting processes) may take to disappear.
SETTLE_SECONDS = 3.0


def _read(path):
    """The whole text of a small file. Snapshots are taken around every test: this is a third of what Path.read_text costs an emulated machine."""
    fd = os.open(path, os.O_RDONLY)
    try:
        found = b""
        while data := os.read(fd, 65536):
            found += data
        return found.decode(errors="surrogateescape")
    finally:
        os.close(fd)


def mounts():
    return set(_read("/proc/self/mountinfo").splitlines())


def hierarchies():
    """Directories where a cgroup hierarchy is mounted."""
    found = []
    for line in _read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            found.append(Path(left.split()[4]))
    return found


def v2_root():
    """Where cgroup v2 is mounted, None where it isn't."""
    return next((h for h in hierarchies() if (h / "cgroup.controllers").exists()), None)


def below(top, directories_only=False):
    """Names of what is below `top`; links are not followed."""
    found, stack = set(), [str(top)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    is_directory = entry.is_dir(follow_symlinks=False)
                    if is_directory:
                        stack.append(entry.path)
                    if is_directory or not directories_only:
                        found.add(entry.path)
        except FileNotFoundError:  # somebody else's that has just gone
            continue
    return found


def cgroups():
    found = set().union(*(below(h, directories_only=True) for h in hierarchies()))
    return {c for c in found if TAG in c} if SHARED_HOST else found


def process(pid):
    """(pid, start time, name, state) from /proc/PID/stat, parsed after the last parenthesis; None when it is gone."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
    return int(pid), int(rest[19]), name, rest[0]


def processes():
    found = {process(p) for p in os.listdir("/proc") if p.isdigit()}
    return {p[:3] for p in found if p is not None}


def namespaces():
    found = set()
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        for ns in NS_TYPES:
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{ns}"))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
    return found


def tree(top):
    """Every entry below `top`: relative name → type, mode, owner, device numbers, link target, content of small files."""
    found = {}
    for path in [Path(top), *sorted(Path(top).rglob("*"))]:
        st = path.lstat()
        what = [st.st_mode, st.st_uid, st.st_gid, st.st_rdev, st.st_nlink]
        if path.is_symlink():
            what.append(os.readlink(path))
        elif path.is_file():
            what.append(path.read_bytes())
        found[str(path.relative_to(top))] = tuple(what)
    return found


def device_nodes():
    found = {}
    with os.scandir("/dev") as entries:
        for entry in entries:
            st = entry.stat(follow_symlinks=False)
            found[entry.name] = (st.st_mode, st.st_uid, st.st_gid, st.st_rdev)
    return found


def run_files():
    """What is in /run, but for a state root that holds nothing: a runtime may keep that."""
    found = below("/run")
    return {f for f in found if f not in STATE_ROOTS or any(other.startswith(f + "/") for other in found)}


def settings():
    found = {}
    for name in SETTINGS:
        try:
            found[name] = _read(name)
        except FileNotFoundError:
            found[name] = None
    return found


def own():
    """Of the process that runs the tests: nothing a runtime does may change it."""
    umask = os.umask(0o022)
    os.umask(umask)
    return {"umask": umask, "cwd": os.getcwd(), "groups": os.getgroups()}


def take():
    return {
        "mounts": mounts(),
        "cgroups": cgroups(),
        "processes": processes(),
        "namespaces": namespaces(),
        "links": {name for _, name in socket.if_nameindex()},
        "files below /run": run_files(),
        "/dev": device_nodes(),
        "settings": settings(),
        "test runner": own(),
    }


def differences(before, after):
    """One line for everything that is in one of the two only."""
    found = []
    for key, old in before.items():
        new = after[key]
        if old == new:
            continue
        if isinstance(old, set):
            found += [f"{key}: left behind: {x}" for x in sorted(map(str, new - old))]
            found += [f"{key}: gone: {x}" for x in sorted(map(str, old - new))]
        else:
            found += [f"{key}: {k}: was {old.get(k)}, is {new.get(k)}"
                      for k in sorted(set(old) | set(new)) if old.get(k) != new.get(k)]
    return found


def differences_when_settled(before):
    """Compare with now, again and again until equal or until what is being torn down had its time. The differences, and how it is now."""
    end = time.monotonic() + scaled(SETTLE_SECONDS)
    while True:
        after = take()
        found = differences(before, after)
        if not found or time.monotonic() > end:
            return found, after
        time.sleep(0.02)
