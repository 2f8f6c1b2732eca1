# SPDX-License-Identifier: Apache-2.0
"""The truth at exit: what state says of a stopped container, wait, and who can know."""
import ctypes
import os
import re
import signal
import time
from datetime import datetime, timezone

import pytest

from harness.clock import scaled
from harness.needs import has, needs, skip_without
from harness.runtime import holds, wait_for

pytestmark = pytest.mark.hull_only(reason="no other runtime keeps an exit status")
SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
KEPT = "Linux 6.15: the exit status of a reaped process"
PR_SET_CHILD_SUBREAPER = 36
UNSEEN = "nobody was watching when it ended"
NO_KILLS = {"oomKills": 0} if has("the controller memory") else {}  # nothing counts them elsewhere


@pytest.fixture
def parent():
    """Orphans come to us, and stay zombies until we say so."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


def reap(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return False


def sleeping(pid):
    """It sleeps in poll, and hasn't used any time to speak of."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return fields[0] == "S"


def waiting(c, *options, **how):
    """`wait` in the background, asleep on the pidfd."""
    p = c.runtime.popen("wait", *options, c.id, stderr=-1, stdout=-1, text=True, **how)
    wait_for(lambda: holds(p.pid, "pidfd") and sleeping(p.pid), 5, "wait to sleep")
    return p


def result(p):
    out, err = p.communicate(timeout=scaled(5))
    return p.returncode, out, err


def detach_held(c):
    """Run it with a pipe for its input: the end to write to."""
    ours, theirs = os.pipe()
    c.detach(stdin=ours)
    os.close(ours)
    return theirs


def wait_through_the_end(c):
    """A `wait` that is stopped while its container, which exits with 42 at a line of input, ends and is reaped."""
    theirs = detach_held(c)
    pid = c.pid
    p = waiting(c)
    p.send_signal(signal.SIGSTOP)
    os.write(theirs, b"\n")
    assert reap(pid) == 42
    assert not os.path.exists(f"/proc/{pid}")
    p.send_signal(signal.SIGCONT)
    os.close(theirs)
    return p


@pytest.mark.parametrize("status", [0, 3, 137])
def test_a_zombie_tells(container, parent, status):
    """Its parent hasn't looked yet: the kernel has it in /proc."""
    c = container(args=["/bin/sh", "-c", f"exit {status}"])
    c.create()
    pid = c.pid
    c.start()
    c.wait("stopped", scaled(10))
    assert zombie(pid)
    exit = c.state()["exit"]
    assert exit == {"code": status, **NO_KILLS}
    assert c.runtime.call("wait", c.id).rc == status
    assert reap(pid) == status
    # Nobody wrote it down.
    assert c.state()["exit"] == {**NO_KILLS, "unknown": UNSEEN}
    c.runtime.fails("wait", c.id, rc=255, match=rf'container "{c.id}" has ended, but how is not known: {UNSEEN}')


def test_a_killed_zombie(container, parent):
    c = container(args=SLEEP)
    c.detach()
    pid = c.pid
    c.kill("USR2")  # init of a pid namespace dies of KILL only
    c.kill("KILL")
    c.wait("stopped", scaled(10))
    assert c.state()["exit"] == {"signal": 9, **NO_KILLS}
    assert c.runtime.call("wait", c.id).rc == 137
    assert reap(pid) == -9


def test_nobody_watched(container):
    """Somebody reaps it before anyone asks."""
    c = container(args=["/bin/true"])
    c.create()
    pid = c.pid
    c.start()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 10, "it to be reaped")
    assert c.state()["exit"] == {**NO_KILLS, "unknown": UNSEEN}


@pytest.mark.parametrize("end,status,how", [("exit 0", 0, {"code": 0}), ("exit 255", 255, {"code": 255}), (None, 137, {"signal": 9})])
def test_wait_before_the_end(container, parent, end, status, how):
    """wait sees it first, from its zombie; the record keeps it after the reaping."""
    c = container(args=["/bin/sh", "-c", f"read x; {end or 'sleep 1000'}"])
    theirs = detach_held(c)
    pid = c.pid
    p = waiting(c)
    before = datetime.now(timezone.utc)
    if end:
        os.write(theirs, b"\n")
    else:
        c.kill("KILL")
    assert result(p) == (status, "", "")
    os.close(theirs)
    reap(pid)
    exit = c.state()["exit"]
    finished = datetime.fromisoformat(exit.pop("finished")[:26] + "+00:00")
    assert exit == {**how, **NO_KILLS}
    assert before.timestamp() - 0.01 <= finished.timestamp() <= time.time()
    assert c.runtime.call("wait", c.id).rc == status
    assert c.runtime("list", "--format", "json").json()[0]["exit"].items() >= how.items()


@needs(KEPT)
def test_wait_after_the_reaping(container, parent):
    """Stopped while its process ends and is reaped: the pidfd that it holds has the status."""
    c = container(args=["/bin/sh", "-c", "read x; exit 42"])
    assert result(wait_through_the_end(c)) == (42, "", "")
    assert c.state()["exit"]["code"] == 42


@needs("Linux before 6.15")
def test_wait_too_late_says_so(container, parent):
    c = container(args=["/bin/sh", "-c", "read x; exit 42"])
    rc, out, err = result(wait_through_the_end(c))
    assert rc == 255 and out == ""
    assert re.fullmatch(rf'hull: container "{c.id}" has ended, but how is not known: its parent took .*\(Linux 6\.15 does\)\n', err)
    exit = c.state()["exit"]
    assert exit.items() >= {**NO_KILLS, "unknown": UNSEEN}.items() and "code" not in exit and "finished" in exit


def test_wait_for_a_created_one(container, parent):
    c = container(args=["/bin/sh", "-c", "exit 5"])
    c.create()
    pid = c.pid
    p = waiting(c)
    c.start()
    assert result(p) == (5, "", "")
    assert reap(pid) == 5


def test_timeout(container):
    c = container(args=SLEEP)
    c.detach()
    begin = time.monotonic()
    c.runtime.fails("wait", "--timeout", "300ms", c.id, rc=255, match=rf'container "{c.id}" has not ended within 300 ms: it is running')
    assert 0.3 <= time.monotonic() - begin < scaled(3)
    c.runtime.fails("wait", "--timeout=0", c.id, rc=255, match=rf'container "{c.id}" has not ended within 0 ms: it is running')


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_wait(container, sig):
    c = container(args=SLEEP)
    c.detach()
    # A shell that starts something in the background has SIGINT ignored in it.
    p = waiting(c, preexec_fn=lambda: signal.signal(sig, signal.SIG_DFL))
    p.send_signal(sig)
    assert result(p) == (-sig, "", "")
    assert c.status() == "running"


def test_wait_uses_no_processor(container):
    c = container(args=SLEEP)
    c.detach()
    p = waiting(c)

    def used():
        with open(f"/proc/{p.pid}/schedstat") as f:
            return int(f.read().split()[2])
    before = used()
    time.sleep(0.5)
    assert used() - before <= 1, "it was woken for nothing"
    c.kill("KILL")
    p.communicate(timeout=scaled(5))


def test_wait_while_it_is_deleted(container, parent):
    """delete --force from elsewhere: wait tells the end all the same."""
    c = container(args=SLEEP)
    c.detach()
    pid = c.pid
    p = waiting(c)
    c.delete("--force")
    assert result(p) == (137, "", "")
    reap(pid)


def test_unknown_id(hull):
    hull.fails("wait", "nobody", rc=255, match='container "nobody" does not exist')


@pytest.mark.parametrize("script,status,how", [("exit 7", 7, {"code": 7}), ("exit 143", 143, {"code": 143}), (None, 143, {"signal": 15})])
def test_run_in_the_foreground_keeps_it(container, script, status, how):
    """143 and SIGTERM are not the same in the record."""
    c = container(args=["/bin/sh", "-c", script] if script else SLEEP)
    if script:
        c.run("--keep", rc=status)
    else:
        c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"] if n["type"] != "pid"]
        c.rewrite()
        p = c.runtime.popen("run", "--keep", "--bundle", c.bundle.path, c.id)
        wait_for(lambda: c.id in c.runtime.ids() and c.status() == "running", 5, "it to run")
        c.kill("TERM")
        assert p.wait(timeout=scaled(5)) == status
    exit = c.state()["exit"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", exit.pop("finished"))
    assert exit == {**how, **NO_KILLS}
    assert c.runtime.call("wait", c.id).rc == status


def test_wait_beside_a_foreground_run(container):
    """The container is gone a moment later; wait has what it needs in hand."""
    skip_without(KEPT)
    c = container(args=["/bin/sh", "-c", "read x; exit 9"])
    ours, theirs = os.pipe()
    run = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, stdin=ours)
    os.close(ours)
    wait_for(lambda: c.id in c.runtime.ids() and c.status() == "running", 5, "it to run")
    p = waiting(c)
    os.write(theirs, b"\n")
    assert run.wait(timeout=scaled(5)) == 9
    assert result(p) == (9, "", "")
    os.close(theirs)
    assert c.id not in c.runtime.ids()


@needs("the controller memory")
def test_oom_kills_are_counted(container, parent):
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; dd if=/dev/zero of=/dev/null bs=100M count=1; exit 4"],
                  linux={"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}})
    c.create()
    pid = c.pid  # a stopped one tells none
    c.start()
    c.wait("stopped", scaled(20))
    assert c.state()["exit"] == {"code": 4, "oomKills": 2}
    reap(pid)
    assert c.state()["exit"] == {"oomKills": 2, "unknown": UNSEEN}


@needs("the controller memory")
def test_oom_kill_of_init(container):
    c = container(args=["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"],
                  linux={"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}})
    r = c.runtime.call("--log-level", "warning", "run", "--keep", "--bundle", c.bundle.path, c.id)
    assert r.rc == 137
    assert re.search(rf"container {c.id}: its cgroup counts 1 OOM kills: memory limit {16 * MiB}, peak \d+ bytes", r.err), r.err
    exit = c.state()["exit"]
    assert exit["signal"] == 9 and exit["oomKills"] == 1


def test_no_exit_before_the_end(container):
    c = container(args=SLEEP)
    c.create()
    assert "exit" not in c.state()
    c.start()
    assert "exit" not in c.state()


def test_events_writes_it_down_too(container, parent):
    c = container(args=["/bin/sh", "-c", "read x; exit 6"])
    theirs = detach_held(c)
    pid = c.pid
    p = c.runtime.popen("events", "--interval", "60s", c.id, stdout=-1, stderr=-1, text=True)
    wait_for(lambda: holds(p.pid, "pidfd") and sleeping(p.pid), 5, "events to sleep")
    os.write(theirs, b"\n")
    assert result(p) == (0, "", "")
    os.close(theirs)
    reap(pid)
    assert c.state()["exit"].items() >= {"code": 6, **NO_KILLS}.items()
