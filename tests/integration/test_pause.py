# SPDX-License-Identifier: Apache-2.0
"""pause and resume: what the freezer, the state and the other commands say about it."""
import ctypes
import os
import signal
import struct
import subprocess
import time

import pytest
from harness import snapshot, world
from harness.needs import skip_without
from harness.runtime import wait_for

SLEEP = ["/bin/sleep", "1000"]
TICK = ["/bin/sh", "-c", "while :; do echo tick; sleep 0.01; done"]
V1 = (snapshot.CGROUP_ROOT / "freezer" / "tasks").exists()


def freezer(c, below=""):
    """The container's directory in the hierarchy whose freezer counts, or one below it."""
    top = snapshot.CGROUP_ROOT / "freezer" if V1 else snapshot.CGROUP_ROOT
    return top / c.cgroup.lstrip("/") / below


def frozen(directory):
    if V1:
        return (directory / "freezer.state").read_text() == "FROZEN\n"
    return "frozen 1" in (directory / "cgroup.events").read_text()


def freeze(directory, on):
    name, words = ("freezer.state", ("THAWED", "FROZEN")) if V1 else ("cgroup.freeze", ("0", "1"))
    (directory / name).write_text(words[on])


def grows(c, seconds):
    """Does the container write something within that time?"""
    size, end = len(c.output()), time.monotonic() + seconds
    while time.monotonic() < end:
        if len(c.output()) > size:
            return True
        time.sleep(0.01)
    return False


def test_pause_and_resume(container, hull):
    c = container(args=TICK)
    c.detach()
    c.wait_output("tick")
    hull("pause", c.id)
    assert c.status() == "paused"
    assert frozen(freezer(c))
    assert not grows(c, 0.3)
    hull("resume", c.id)
    assert c.status() == "running"
    assert not frozen(freezer(c))
    assert grows(c, 10)


def test_created(container, hull):
    """runc and crun pause a container that waits for its start too."""
    c = container(args=TICK)
    c.create()
    hull("pause", c.id)
    assert c.status() == "paused"
    hull.fails("start", c.id, match=f'cannot start a paused container: "{c.id}"')
    hull("resume", c.id)
    assert c.status() == "created"
    c.start()
    c.wait_output("tick")


def test_what_is_not_in_the_right_state(container, hull):
    c = container(args=SLEEP)
    hull.fails("pause", c.id, match=f'container "{c.id}" does not exist')
    hull.fails("resume", c.id, match=f'container "{c.id}" does not exist')
    c.detach()
    hull.fails("resume", c.id, match=f'cannot resume container "{c.id}": it is not paused but running')
    hull("pause", c.id)
    hull.fails("pause", c.id, match=f'cannot pause container "{c.id}": it is paused already')
    c.kill("KILL")
    c.wait("stopped")
    hull.fails("pause", c.id, match=f'container not running: cannot pause "{c.id}", which is stopped')
    hull.fails("resume", c.id, match=f'cannot resume container "{c.id}": it is not paused but stopped')


def test_exec_in_a_paused_container(container, hull, tmp_path):
    c = container(args=SLEEP)
    c.detach()
    hull("pause", c.id)
    hull.fails("exec", c.id, "/bin/true", rc=255, match=f'cannot exec in a paused container: "{c.id}".*')
    with open(tmp_path / "exec.out", "wb") as out:
        p = hull.popen("exec", "--ignore-paused", c.id, "/bin/echo", "ran", stdout=out)
        time.sleep(0.3)
        assert p.poll() is None and (tmp_path / "exec.out").read_bytes() == b"", "it waits in the freezer"
        assert c.status() == "paused"
        hull("resume", c.id)
        assert p.wait(20) == 0
    assert (tmp_path / "exec.out").read_bytes() == b"ran\n"


def test_kill_of_a_paused_container(container, hull):
    c = container(args=SLEEP)
    c.detach()
    hull("pause", c.id)
    c.kill("KILL")
    c.wait("stopped", 5)
    c.delete()


def test_other_signals_wait_for_resume(container, hull):
    c = container(args=["/bin/sh", "-c", "trap 'echo term; exit' TERM; echo ready; while :; do sleep 0.01; done"])
    c.detach()
    c.wait_output("ready")
    hull("pause", c.id)
    c.kill("TERM")
    time.sleep(0.1)
    assert "term" not in c.output()
    hull("resume", c.id)
    c.wait_output("term")


def test_delete_of_a_paused_container(container, hull):
    c = container(args=SLEEP)
    c.detach()
    hull("pause", c.id)
    hull.fails("delete", c.id, match=f'container "{c.id}" is not stopped: paused')
    began = time.monotonic()
    c.delete("--force")
    assert time.monotonic() - began < 5


def test_sub_cgroups_that_were_frozen_stay_so(container, hull):
    c = container(args=SLEEP)
    c.detach()
    below = freezer(c, "below")
    below.mkdir()
    freeze(below, True)
    hull("pause", c.id)
    hull("resume", c.id)
    assert frozen(below)
    assert not frozen(freezer(c))
    assert c.status() == "running"


def test_frozen_from_above(container, hull):
    c = container(args=SLEEP)
    c.detach()
    above = freezer(c).parent
    freeze(above, True)
    try:
        wait_for(lambda: frozen(above), 5, "the parent to be frozen")
        assert c.status() == "paused"
        hull.fails("resume", c.id, match=f"thaw cgroup {c.cgroup}: a cgroup above it is frozen.*")
    finally:
        freeze(above, False)
    assert c.status() == "running"


@pytest.mark.hull_only(reason="peers freeze whatever stands at the path")
def test_a_cgroup_of_somebody_else_is_not_frozen(container, hull):
    """Security rule R17: the container was put into a cgroup that was there before it."""
    c = container(args=SLEEP)
    made = freezer(c)
    made.mkdir()
    try:
        c.detach()
        hull.fails("pause", c.id, match=f"freeze cgroup .*{c.cgroup}: it doesn't carry this container's token.*")
        assert c.status() == "running"
        c.delete("--force")
    finally:
        made.rmdir()


FUSE_INIT = 26


class SilentFuse:
    """A file system whose server answers its first request (INIT) and no other: who looks into it can't be stopped."""

    def __init__(self, where):
        where.mkdir()
        self.where = where
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        world.mount("silent", str(where), "fuse", 0, f"fd={self.fd},rootmode=40000,user_id=0,group_id=0")
        request = os.read(self.fd, 1 << 17)
        _, opcode, unique = struct.unpack("=IIQ", request[:16])
        assert opcode == FUSE_INIT
        body = struct.pack("=IIIIHHIIHHI", 7, 31, 0, 0, 12, 9, 4096, 0, 0, 0, 0) + b"\0" * 24
        os.write(self.fd, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)

    def close(self):
        os.close(self.fd)  # ends the connection: whoever waits gets an error
        world.umount(str(self.where))


@pytest.fixture
def stuck(tmp_path):
    """stuck() → a process in an uninterruptible sleep once it is signalled."""
    skip_without("/dev/fuse")
    fuse = SilentFuse(tmp_path / "silent")
    p = subprocess.Popen(["stat", str(fuse.where / "x")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield p
    fuse.close()
    p.kill()
    p.wait(10)


def put(c, pid):
    (freezer(c) / "cgroup.procs").write_text(str(pid))


@pytest.mark.hull_only(reason="peers name no process, runc gives up after other times")
def test_what_does_not_freeze_is_named_and_all_run_on(container, hull, stuck):
    c = container(args=TICK)
    c.detach()
    c.wait_output("tick")
    put(c, stuck.pid)
    began = time.monotonic()
    hull.fails("pause", c.id, match=f"freeze cgroup {c.cgroup}: process {stuck.pid} "
               r"\(stat\), state D, waits in [a-z_]+ did not stop within 10000 ms; all of it runs on")
    assert 9 < time.monotonic() - began < 20
    assert c.status() == "running"
    assert grows(c, 10)


@pytest.mark.hull_only(reason="state of a pause that was killed half-way")
def test_a_pause_that_is_killed(container, hull, stuck):
    """What is half frozen is paused, and resume ends it."""
    c = container(args=TICK)
    c.detach()
    c.wait_output("tick")
    put(c, stuck.pid)
    p = hull.popen("pause", c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: c.status() == "paused", 5, "the freezer to be switched on")
    p.send_signal(signal.SIGKILL)
    p.wait(10)
    assert c.status() == "paused"
    hull("resume", c.id)
    assert c.status() == "running"
    assert grows(c, 10)


def test_a_traced_process_is_paused(container, hull):
    """In ptrace-stop it counts as frozen (v2; v1 since Linux 6.1)."""
    libc = ctypes.CDLL(None, use_errno=True)
    c = container(args=SLEEP)
    c.detach()
    seize, interrupt = 0x4206, 0x4207
    pid = c.pid
    assert libc.ptrace(seize, pid, 0, 0) == 0
    try:
        assert libc.ptrace(interrupt, pid, 0, 0) == 0
        os.waitpid(pid, 0x40000000)  # __WALL
        hull("pause", c.id)
        assert c.status() == "paused"
        hull("resume", c.id)
    finally:
        libc.ptrace(17, pid, 0, 0)  # PTRACE_DETACH
    assert c.status() == "running"
