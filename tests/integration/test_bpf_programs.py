# SPDX-License-Identifier: Apache-2.0
"""On cgroup v2 the rules for devices are a BPF program: one a container, none more than it lives, whatever ends it. On v1 there is none.

A program is known by its tag (a hash of its instructions): each test has a rule that nobody else has."""
import json
import os
import random
import signal
import subprocess
import time

import pytest
from harness.bpf import attached, programs
from harness.clock import scaled
from harness.needs import has
from harness.runtime import cgroup_dir, wait_for

# Where the v1 controller is there is no program.
WITH_PROGRAM = not (cgroup_dir("devices") / "tasks").exists()
MINOR = random.Random(os.getpid()).sample(range(1 << 19), 1000)


def rules(n):
    """Of no other test and no other run."""
    return [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 3333, "minor": MINOR[n], "access": "r"}]


@pytest.fixture
def ours(container, hull):
    """ours(n): a container that sleeps, with rules(n); afterwards no program of any that was seen is left."""
    seen = set()

    class Ours:
        def make(self, n, **changes):
            return container(args=["/bin/sleep", "1000"], linux={"resources": {"devices": rules(n)}}, **changes)

        def one(self, c):
            """The container's program is there, once; remember it."""
            directory = c.cgroup_file("devices" if not WITH_PROGRAM else "pids", ".").resolve()
            if not WITH_PROGRAM:
                return None
            tags = attached(directory)
            assert len(tags) == 1
            assert programs().count(tags[0]) == 1
            seen.add(tags[0])
            return tags[0]

        def left(self):
            return [t for t in programs() if t in seen]

        def none(self):
            """They go with the cgroup, which the kernel takes apart after the last of its processes."""
            wait_for(lambda: not self.left(), 5, "the programs to go", self.left)
    it = Ours()
    yield it
    assert bool(seen) == WITH_PROGRAM
    for name in hull.made:
        hull.call("delete", "--force", name)
    it.none()


def test_create_and_delete(ours):
    c = ours.make(0)
    c.create()
    ours.one(c)
    c.start()
    ours.one(c)
    c.delete("--force")
    ours.none()


def test_a_program_that_ends(ours):
    """run in the foreground, many times."""
    c = ours.make(1)
    c.create()
    ours.one(c)
    c.delete("--force")
    c.rewrite(process={"args": ["/bin/true"]})
    for _ in range(5):
        c.run()
    ours.none()


@pytest.mark.parametrize("how", ["hook", "program", "limit"])
def test_a_creation_that_fails(ours, how):
    """Late, when the program is attached already."""
    c = ours.make(2)
    c.create()
    ours.one(c)
    c.delete("--force")
    if how == "hook":
        c.rewrite(hooks={"createRuntime": [{"path": "/bin/false"}]})
    elif how == "program":
        c.rewrite(process={"args": ["/not/there"]})
    else:
        c.rewrite(linux={"resources": {"unified": {"pids.max": "no number"}} if has("a pure cgroup v2 layout") else {"cpu": {"cpus": "4095"}}})
    for _ in range(3):
        c.runtime.fails("run", "--bundle", c.bundle.path, c.id, match=".*")
        ours.none()


@pytest.mark.hull_only(reason="runc leaves devices alone, crun replaces them")
def test_updates(ours, hull):
    c = ours.make(3)
    c.create()
    first = ours.one(c)
    for n in (4, 5, 4, 6):
        hull("update", "-r", "-", c.id, text=json.dumps({"devices": rules(n)}))
        assert ours.one(c) != first or not WITH_PROGRAM
        assert len(ours.left()) == WITH_PROGRAM, "the one before is gone"
    kept = ours.one(c)
    for _ in range(3):
        hull.fails("update", "-r", "-", c.id, match=".*", text=json.dumps({"devices": rules(5), "cpu": {"cpus": "4095"}}))
        assert ours.one(c) == kept
        assert len(ours.left()) == WITH_PROGRAM, "of an update that failed nothing is left"
    c.delete("--force")
    ours.none()


def test_a_creation_that_is_killed(ours, hull):
    """At any time: delete takes away what is there."""
    c = ours.make(7)
    c.create()
    ours.one(c)
    c.delete("--force")
    begun = time.monotonic()
    c.create()
    took = time.monotonic() - begun
    c.delete("--force")
    for n in range(20):
        p = hull.popen("create", "--bundle", c.bundle.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * n / 20)
        p.send_signal(signal.SIGKILL)
        p.wait(scaled(10))
        hull("delete", "--force", c.id)
        ours.none()


def test_looking_loads_nothing_that_stays(ours, hull):
    before = sorted(programs()) if not os.environ.get("HULL_TEST_SHARED_HOST") else None
    c = ours.make(8)
    c.create()
    ours.one(c)
    c.delete("--force")
    for command in (["features"], ["check", "--bundle", c.bundle.path], ["explain", "--bundle", c.bundle.path, c.id]):
        hull.call(*command)
    ours.none()
    assert before is None or sorted(programs()) == before
