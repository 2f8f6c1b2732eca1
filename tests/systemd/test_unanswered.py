# SPDX-License-Identifier: Apache-2.0
"""A systemd that doesn't answer: the bus, process 1 or the user's manager is stopped. What needs no systemd works as ever. What needs it ends within --timeout, with
an error that names the unit and the time, and has changed nothing; also when systemd goes on and finds in its queue what it was asked."""
import re
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from conftest import CGROUPS, cgroups, is_loaded, show
from harness.clock import scaled
from harness.needs import has, needs
from harness.runtime import alive, wait_for
from harness.strace import strace
from managed import CONTROLLERS, MANAGER, SLEEP, make, make_user, manager
from managed import is_loaded as is_loaded_by_user
from stopping import main_pid, stopped, stopped_process_1

pytestmark = needs("systemd")
SECONDS = 3
# The wait itself, to the millisecond but for a machine that is busy; 5 s is what a deletion gives systemd without --timeout.
UNANSWERED = r"no answer from systemd after (?:3\d|4[0-4])\d\d ms: connection timed out"
USERS = has("a manager of user 1000 (user@.service)") and has("a pure cgroup v2 layout")


@pytest.fixture(scope="module", autouse=True)
def users_manager():
    """Before `host` looks at the mounts."""
    with manager(CONTROLLERS) if USERS else nullcontext():
        yield


class Root:
    """Root's containers, and who is stopped."""

    def __init__(self, hull, container, stop, is_awake):
        self.hull, self.make, self.stop, self.is_awake, self.is_loaded, self.show = hull, container, stop, is_awake, is_loaded, show


class Own:
    """The user's, below the manager of its own."""

    is_awake = False  # the manager, who gets no question

    def __init__(self, user):
        self.hull, self.show = user.hull, user.hull.show
        self.make = lambda **changes: make(user, **changes)
        self.is_loaded = lambda unit: is_loaded_by_user(user, unit)
        self.stop = lambda: stopped(main_pid(MANAGER))


@pytest.fixture
def roots(hull, container):
    return lambda stop, is_awake: Root(hull, container, stop, is_awake)


@pytest.fixture
def user(host, program, tmp_path):
    yield from make_user(program, tmp_path)


@pytest.fixture(params=["the bus", pytest.param("process 1", marks=needs("a machine of tests/vm with systemd")),
                        pytest.param("the user's manager", marks=pytest.mark.skipif(not USERS, reason="this machine lacks a user's manager on cgroup v2"))])
def side(request):
    if request.param == "the user's manager":
        return Own(request.getfixturevalue("user"))
    if request.param == "process 1":
        return request.getfixturevalue("roots")(stopped_process_1, False)
    return request.getfixturevalue("roots")(lambda: stopped(main_pid("dbus.service")), True)


def in_time(side, *args, rc=0, **how):
    begun = time.monotonic()
    r = side.hull("--timeout", SECONDS, *args, rc=rc, timeout=30, **how)
    took = time.monotonic() - begun
    assert took < SECONDS + scaled(2), (args, took)
    return r


def unanswered(side, c, verb, *args, **how):
    """It needs systemd: one line that says so."""
    r = in_time(side, verb, *args, c.id, rc=1, **how)
    assert re.fullmatch(rf"hull: {verb} {re.escape(c.id)}: [^\n]*unit {re.escape(c.unit)}: [^\n]*{UNANSWERED}\n", r.err), r.err


def directories(c):
    return [path for path in cgroups() if c.unit in path]


def has_processes(c):
    return any((Path(d) / "cgroup.procs").read_text() for d in directories(c))


def pids_max(c):
    return next(CGROUPS.rglob(f"{c.unit}/pids.max")).read_text().strip()


def assert_gone(side, c):
    """With systemd at work again."""
    wait_for(lambda: not side.is_loaded(c.unit) and not directories(c), 10, "unit and cgroup to go", lambda: f"{side.show(c.unit, 'ActiveState')} {directories(c)}")
    assert c.id not in side.hull.ids()


def test_what_needs_no_systemd_works(side):
    c = side.make(args=SLEEP)
    c.create()
    with side.stop():
        in_time(side, "start", c.id)
        assert in_time(side, "state", c.id).json()["status"] == "running"
        assert c.id in in_time(side, "list", "--quiet").out.split()
        assert str(c.pid) in in_time(side, "ps", c.id).out
        assert in_time(side, "events", "--stats", c.id).json()["data"]["pids"]["current"] >= 1
        assert in_time(side, "exec", c.id, "/bin/echo", "here").out == "here\n"
        in_time(side, "pause", c.id)
        assert in_time(side, "state", c.id).json()["status"] == "paused"
        in_time(side, "resume", c.id)
        assert in_time(side, "state", c.id).json()["status"] == "running"
        in_time(side, "kill", c.id, "KILL")
        wait_for(lambda: in_time(side, "state", c.id).json()["status"] == "stopped", 5, "its end")
    c.delete()
    assert_gone(side, c)


def test_what_needs_it_fails_and_changes_nothing(side):
    c, other = side.make(args=SLEEP, linux={"resources": {"pids": {"limit": 42}}}), side.make(args=SLEEP)
    c.detach()
    with side.stop():
        for verb in ("create", "run"):
            unanswered(side, other, verb, "--bundle", other.bundle.path)
            assert side.hull.ids() == [c.id] and not directories(other)
        unanswered(side, c, "update", "--pids-limit", "50")
        assert pids_max(c) == "42"
    # Whoever asked has gone: systemd does nothing of it.
    assert not side.is_loaded(other.unit)
    assert side.show(c.unit, "TasksMax") == {"TasksMax": "42"} and pids_max(c) == "42"
    side.hull("update", "--pids-limit", "50", c.id)
    assert side.show(c.unit, "TasksMax") == {"TasksMax": "50"} and pids_max(c) == "50"
    other.create()
    for made in (c, other):
        made.delete("--force")
        assert_gone(side, made)


ENDS = {"delete": ["delete"], "delete --force": ["delete", "--force"], "the end of run": None}


@pytest.mark.parametrize("end", ENDS)
def test_deletion_goes_on_without_it(side, end):
    """All is gone but the unit and, where systemd has yet to see that it is empty, its cgroup: a manager that is awake may do that without having been asked."""
    c = side.make(args=SLEEP)
    run = None
    if end == "the end of run":
        run = side.hull.popen("--log-level", "warning", "--timeout", SECONDS, "run", "--bundle", c.bundle.path, c.id, stderr=(side.hull.tmp / "run.err").open("wb"))
        wait_for(lambda: c.id in side.hull.ids() and c.status() == "running", 10, "the container to run")
    else:
        c.detach()
    init = c.pid
    with side.stop():
        if end != "delete --force":
            in_time(side, "kill", c.id, "KILL")
        if run:
            assert run.wait(SECONDS + scaled(2)) == 137
            said = (side.hull.tmp / "run.err").read_text()
        else:
            said = in_time(side, "--log-level", "warning", *ENDS[end], c.id).err
        warning = rf"hull: warning: container {c.id}: its systemd unit stays, [^\n]*unit {re.escape(c.unit)}: {UNANSWERED}\n"
        assert re.fullmatch(warning, said) or (side.is_awake and said == ""), said
        assert not alive(init) and side.hull.ids() == [] and not has_processes(c)
    assert_gone(side, c)
    c.create()


@needs("strace")
def test_stopped_between_two_questions(side, tmp_path):
    """It has said where its units are; it doesn't make one."""
    c = side.make(args=SLEEP)
    said = tmp_path / "said"
    # The child is made late, so that there is time to stop systemd before it is asked to move it.
    wrap = strace("-o", "/dev/null", "-e", "trace=clone3", "-e", "inject=clone3:delay_enter=5s:when=1")
    with said.open("wb") as err:
        argv = [*wrap, *side.hull.argv("--timeout", SECONDS, "create", "--bundle", c.bundle.path, c.id)]
        creation = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        wait_for(lambda: side.hull.ids(), 10, "the record")
        with side.stop():
            assert creation.wait(SECONDS + 5 + scaled(2)) == 1
            assert re.fullmatch(rf"hull: create {c.id}: start unit {re.escape(c.unit)}: [^\n]*{UNANSWERED}\n", said.read_text()), said.read_text()
            assert side.hull.ids() == [] and not directories(c)
    assert_gone(side, c)
    c.create()
