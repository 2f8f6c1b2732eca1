# SPDX-License-Identifier: Apache-2.0
"""Processes that not even SIGKILL ends (state D, below a file system that doesn't answer): every command returns within its deadline, says who is left, and the
container can be deleted when they are free."""
import re
import time
from pathlib import Path

import pytest
from harness.clock import scaled
from harness.config import MOUNTS, bind
from harness.needs import needs
from harness.runtime import wait_for
from harness.stuckfs import StuckFs

pytestmark = [needs("/dev/fuse"), pytest.mark.hull_only(reason="runc and crun wait without a limit, or leave the cgroup behind"), pytest.mark.timeout(120)]

READ = ["/bin/sh", "-c", "cat /stuck/file; echo ended"]


@pytest.fixture
def stuck(tmp_path):
    place = tmp_path / "stuck"
    place.mkdir()
    with StuckFs(place) as fs:
        yield fs


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def readers(c, hull):
    """The container's processes but init."""
    return [int(p) for p in hull("ps", "--format", "json", c.id).json() if int(p) != c.pid]


@pytest.fixture
def reading(container, hull, stuck):
    """A container with a process that waits for an answer."""
    c = container(args=READ, mounts=[*MOUNTS, bind(stuck.place, "/stuck")])
    c.create()
    c.start()
    wait_for(lambda: [p for p in readers(c, hull) if state_of(p) in "SD"], 10, "the reader", lambda: f"{readers(c, hull)} {c.output()} {c.status()}")
    time.sleep(0.2)  # until its request is with the server
    return c


def timed(call):
    begun = time.monotonic()
    result = call()
    return result, time.monotonic() - begun


def test_kill_and_delete(reading, hull, stuck):
    c = reading
    reader = readers(c, hull)[0]
    r, took = timed(lambda: hull.call("kill", "--all", c.id, "KILL"))
    assert r.rc == 0 and took < scaled(5), r.err
    wait_for(lambda: state_of(reader) == "D", 5, "the reader to be beyond help")
    r, took = timed(lambda: hull.call("delete", "--force", c.id, timeout=60))
    assert r.rc == 1 and took < scaled(15)
    assert re.fullmatch(rf"hull: wait until cgroup {c.cgroup} is empty: process {reader} \(cat\), state D, waits in request_wait_answer is still in it: connection timed out\n", r.err), r.err
    for command in (["state", c.id], ["list"], ["ps", c.id]):
        r, took = timed(lambda: hull.call(*command))
        assert took < scaled(3), command
    stuck.free()
    wait_for(lambda: not Path(f"/proc/{reader}").exists(), 10, "the reader to end")
    hull("delete", "--force", c.id)
    assert hull.ids() == []


def test_pause(reading, hull, stuck):
    """Who waits for an answer can be frozen or not, as the kernel likes; nobody waits for ever, and a pause that fails leaves nothing frozen."""
    c = reading
    r, took = timed(lambda: hull.call("pause", c.id, timeout=60))
    assert took < scaled(15)
    assert c.status() == ("paused" if r.rc == 0 else "running"), r.err
    assert r.rc == 0 or re.fullmatch(rf"hull: freeze cgroup {c.cgroup}: process \d+ \(cat\), state [SD].* did not stop within \d+ ms; all of it runs on\n", r.err), r.err
    hull.call("resume", c.id)
    assert c.status() == "running"
    stuck.free()
