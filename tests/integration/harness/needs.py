# SPDX-License-Identifier: Apache-2.0
"""What not every machine has, by name: the only reason for which a test of hull is skipped on one and not on another.

    @needs("cgroup v1")                      a test, or a parameter through pytest.param(…, marks=needs(…))
    skip_without("Linux 6.15: …")            within a test"""
import ctypes
import errno
import functools
import importlib.util
import os
import pwd
import re
import shutil
from pathlib import Path

import pytest

from . import rootless, snapshot


def kernel():
    """(6, 1) and the like."""
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


def _procfs_has_pidns():
    """fsconfig(fsopen("proc"), FSCONFIG_SET_FD, "pidns", own namespace): EINVAL before 6.17."""
    libc = ctypes.CDLL(None, use_errno=True)
    fs, own = libc.syscall(430, b"proc", 1), os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        return libc.syscall(431, fs, 5, b"pidns", None, own) == 0
    finally:
        os.close(own)
        os.close(fs)


def _open_tree_makes_namespaces():
    """EBADF: the flag is known, the descriptor isn't. EINVAL: it is older than 7.0."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(428, -1, b"", 2 | 0x1000)
    return ctypes.get_errno() == errno.EBADF


def _tree_stays():
    """As hull tries it: a mount in a detached tree is still seen from the tree's root once the tree's descriptor is closed. Before 6.15: nothing can be mounted there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def tmpfs():
        fs = libc.syscall(430, b"tmpfs", 1)
        libc.syscall(431, fs, 6, None, None, 0)
        try:
            return libc.syscall(432, fs, 1, 0)
        finally:
            os.close(fs)
    tree, upper = tmpfs(), tmpfs()
    os.mkdir("d", dir_fd=tree)
    at, root = (os.open(name, os.O_PATH, dir_fd=tree) for name in ("d", "."))
    stays = libc.syscall(429, upper, b"", at, b"", 0x44) < 0 and ctypes.get_errno() == errno.EINVAL
    there = os.fstat(upper).st_dev
    os.close(upper)
    os.close(tree)
    stays = stays or os.stat("d", dir_fd=root).st_dev == there
    os.close(at)
    os.close(root)
    return stays


def _v1():
    return any((h / "tasks").exists() for h in snapshot.hierarchies())


def _v2():
    return any((h / "cgroup.controllers").exists() for h in snapshot.hierarchies())


def _on_v2(controller):
    return any((h / "cgroup.controllers").exists() and controller in (h / "cgroup.controllers").read_text().split() for h in snapshot.hierarchies())


def _memory():
    return _on_v2("memory")


def _cpuset():
    return _on_v2("cpuset") or (snapshot.CGROUP_ROOT / "cpuset/tasks").exists()


def _memory_v1():
    return (snapshot.CGROUP_ROOT / "memory/memory.limit_in_bytes").exists()


def _apparmor():
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return enabled.exists() and enabled.read_text().startswith("Y")


def _selinux():
    return Path("/sys/fs/selinux/enforce").exists()


def _is_guest():
    """Nobody else's process 1: what only such a machine's kernel was told (tests/vm/machine.py)."""
    return "systemd.unit=hull-vm.target" in Path("/proc/cmdline").read_text().split() and Path("/proc/1/comm").read_text() == "systemd\n"


def _has_user(uid):
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


def _has_manager():
    """With Debian's SELinux policy it takes no unit from the domain of the tests: "Failed to start transient scope unit: Access denied"."""
    return Path("/run/systemd/system").is_dir() and Path("/lib/systemd/user/dbus.socket").exists() and _has_user(1000) and not _selinux()


def _withheld():
    """Of the capabilities that the kernel knows one isn't in the bounding set."""
    own = int(re.search(r"CapBnd:\s*(\w+)", Path("/proc/self/status").read_text()).group(1), 16)
    return own != (2 << int(Path("/proc/sys/kernel/cap_last_cap").read_text())) - 1


FEATURES = {
    "the controller memory": lambda: _memory() or _memory_v1(),
    "the controller memory on cgroup v1": _memory_v1,
    "the controller cpuset": _cpuset,
    "cgroup v1": _v1,
    "cgroup v2": _v2,
    "a hybrid layout of cgroups": lambda: _v1() and _v2(),
    "Linux 6.15: the exit status of a reaped process": lambda: kernel() >= (6, 15),
    "Linux 6.3: mapped ids on tmpfs": lambda: kernel() >= (6, 3),
    "OPEN_TREE_NAMESPACE (Linux 7.0)": _open_tree_makes_namespaces,
    "proc of a joined pid namespace (Linux 6.17)": _procfs_has_pidns,
    "no memory controller on cgroup v2": lambda: not _memory(),
    "no net_cls hierarchy": lambda: not (snapshot.CGROUP_ROOT / "net_cls/tasks").exists(),
    "a pure cgroup v2 layout": lambda: _v2() and not _v1(),
    "systemd": lambda: Path("/run/systemd/system").is_dir(),
    "a machine of tests/vm with systemd": _is_guest,
    "a manager of user 1000 (user@.service)": _has_manager,
    "detached mounts that stay (not on Linux 7.3)": _tree_stays,
    "detached mounts that go (Linux 7.3)": lambda: not _tree_stays(),
    "newuidmap, newgidmap and /etc/subuid": rootless.has_sub_ids,
    "/dev/fuse": lambda: Path("/dev/fuse").exists() and "fuse\n" in Path("/proc/filesystems").read_text(),
    "AppArmor": _apparmor,
    "no AppArmor": lambda: not _apparmor(),
    "SELinux": _selinux,
    "no SELinux": lambda: not _selinux(),
    "two processors": lambda: os.cpu_count() >= 2,
    "no resctrl": lambda: "resctrl" not in Path("/proc/mounts").read_text(),
    "a capability that is withheld": _withheld,
    "the controller devices of cgroup v1": lambda: (snapshot.CGROUP_ROOT / "devices/tasks").exists(),
    "the controller hugetlb on cgroup v2": lambda: _on_v2("hugetlb"),
    "a controller of I/O": lambda: _on_v2("io") or (snapshot.CGROUP_ROOT / "blkio/tasks").exists(),
    "pressure stall information": lambda: any(h.joinpath("cgroup.controllers").exists() and list(h.glob("*/cpu.pressure")) for h in snapshot.hierarchies()),
    "real-time groups (cgroup v1)": lambda: (snapshot.CGROUP_ROOT / "cpu/cpu.rt_runtime_us").exists(),
    "Linux before 6.15": lambda: kernel() < (6, 15),
    "Linux 6.9: MPOL_WEIGHTED_INTERLEAVE": lambda: kernel() >= (6, 9),
    "Linux 5.19: memory.reclaim": lambda: kernel() >= (5, 19),
    "strace": lambda: shutil.which("strace"),
    "jsonschema": lambda: importlib.util.find_spec("jsonschema"),
    "git and a compiler": lambda: shutil.which("git") and shutil.which("gcc"),
}


@functools.cache
def has(name):
    """Is that here? The name is one of FEATURES."""
    return bool(FEATURES[name]())


def needs(*names):
    """A mark: skipped where one of them is missing."""
    missing = [n for n in names if not has(n)]
    return pytest.mark.skipif(bool(missing), reason=f"this machine lacks {', '.join(missing)}")


def skip_without(name):
    """The same within a test."""
    if not has(name):
        pytest.skip(f"this machine lacks {name}")


def skip_without_file(path):
    """For a file of a cgroup that not every kernel has."""
    if not path.exists():
        pytest.skip(f"this machine lacks the file {path.name}")
