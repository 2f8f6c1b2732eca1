# SPDX-License-Identifier: Apache-2.0
"""The world in which the tests run: mount, pid, network, ipc and uts namespaces of their own.

What a test leaves behind then shows up exactly (nobody else makes mounts or processes here), and ends with the run.
Everything is mounted `shared`, as on a host with systemd: a mount that a runtime leaks out of a container is seen.

    python3 world.py PYTEST-ARGUMENT...     (as pid 1 of the namespaces; enter() does that)
"""
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

if __package__:
    from . import rootless
else:  # run as a program: this directory's parent is the package's place
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from harness import rootless

INSIDE = "HULL_TEST_WORLD"  # the name of this world: part of every container id and of the parent cgroup
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
           "--propagation", "private"]
V2_CONTROLLERS = "/sys/fs/cgroup/unified/cgroup.controllers"
CGROUP_ROOT = Path("/sys/fs/cgroup")  # the v2 hierarchy itself, or where those of v1 are
MS_BIND, MS_REC, MS_SHARED = 4096, 16384, 1 << 20

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, fstype, flags, data=None):
    """mount(2); OSError with the target's name on failure."""
    args = [a.encode() if a is not None else None for a in (source, target, fstype)]
    if libc.mount(*args, ctypes.c_ulong(flags), data.encode() if data else None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def umount(target, flags=2):
    """umount2(2), lazily unless told."""
    if libc.umount2(target.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def inside():
    """Are we in that world already?"""
    return INSIDE in os.environ and os.getppid() == 1


def enter(pytest_args):
    """Replace this process by one that runs pytest again, inside. Doesn't return."""
    argv = UNSHARE + [sys.executable, os.path.abspath(__file__), *pytest_args]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(argv[0], argv)


def build():
    """Arrange the new namespaces: a /run of their own, lo up."""
    mount(None, "/", None, MS_REC | MS_SHARED)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    os.mkdir("/run/etc")
    rootless.add_user(lambda source, target: mount(source, target, None, MS_BIND), "/run/etc")
    # Debian's crun (to compare with) refuses a hybrid layout whose v2 part has a controller.
    if "crun" in os.path.basename(os.environ.get("HULL", "")) and os.path.exists(V2_CONTROLLERS):
        mount("/dev/null", V2_CONTROLLERS, None, MS_BIND)


def reap_until(pid):
    """Be init: collect every orphan until `pid` ends. Its exit status, as a shell gives it."""
    while True:
        got, status = os.wait()
        if got == pid:
            return os.waitstatus_to_exitcode(status)


def end(name):
    """Nothing of this world may live on: its processes, then its cgroups. What can't be removed is printed."""
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.wait()
    except (ProcessLookupError, ChildProcessError):
        pass
    for _ in range(50):  # a dead process leaves its cgroup a little later
        left = [d for h in (CGROUP_ROOT, *CGROUP_ROOT.iterdir()) for d in (h / name, *(h / name).rglob("*")) if d.is_dir()]
        for d in sorted(left, key=lambda d: len(d.parts), reverse=True):
            try:
                d.rmdir()
            except OSError:
                pass
        if not left:
            return
        time.sleep(0.1)
    print("left behind:", *left, file=sys.stderr)


def main():
    name = f"hulltest-{os.urandom(4).hex()}"
    build()
    pid = os.fork()
    if pid == 0:
        os.environ[INSIDE] = name
        os.execvp(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])
    code = reap_until(pid)
    end(name)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
