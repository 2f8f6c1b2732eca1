# SPDX-License-Identifier: Apache-2.0
"""Limits that are smaller than what a container needs to be set up: it starts, or fails with one error that names the limit and the peak."""
import re
import time

import pytest
from harness.clock import scaled
from harness.config import DELETE, namespaces
from harness.needs import needs, skip_without
from harness.runtime import is_v1, wait_for

KiB = 1024
PAGE = 4 * KiB
SLEEP = ["/bin/sleep", "1000"]
# Up to two MiB: dense where the set-up stops failing and the program begins to fit.
SWEEP = [4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 320, 384, 512, 768, 1024, 1536, 2048]
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

pytestmark = pytest.mark.hull_only(reason="peers don't say which limit was too low")


def memory(kib, **more):
    return {"resources": {"memory": {"limit": kib * KiB, **more}}}


def names_memory(err, kib, container):
    """One line that names the limit and the highest use, both true. v2 before 5.19 keeps no peak, and a container's cgroup is gone by now."""
    assert err.count("\n") == 1 and err.endswith("\n"), err
    m = re.search(r"cgroup reports oom_kill (\d+) \(memory limit (\d+), peak (\d+|unknown)\)", err)
    assert m, err
    assert int(m[2]) == kib * KiB, err
    # v1 and v2 may charge a few pages more than the limit for what can't fail.
    if m[3] != "unknown":
        assert 0 <= int(m[3]) <= kib * KiB + 64 * PAGE, err
    assert container.id not in container.runtime.ids()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("verb", ["create", "run"])
def test_memory(container, verb):
    skip_without("the controller memory")
    started, failed = [], []
    c = container(args=["/bin/true"])
    for kib in SWEEP:
        c.rewrite(linux=memory(kib))
        r = c.runtime.call(verb, "--bundle", c.bundle.path, c.id)
        if verb == "run" and r.rc == 137:  # the program itself was killed
            assert r.err == ""
        elif r.rc == 0:
            started.append(kib)
        else:
            names_memory(r.err, kib, c)
            failed.append(kib)
        c.delete("--force")
    # The sweep has both ends, or it says nothing.
    assert failed and failed[0] == SWEEP[0], (started, failed)
    assert started and started[-1] == SWEEP[-1], (started, failed)
    assert not [kib for kib in failed if kib >= 1024], failed


@pytest.mark.timeout(150)
def test_memory_without_the_oom_killer(container):
    """v1 can leave those that get no memory waiting: the creation ends within its minute, and says why."""
    skip_without("the controller memory on cgroup v1")
    c = container(args=["/bin/true"], linux=memory(16, disableOOMKiller=True))
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id, timeout=scaled(100))
    assert r.rc == 1
    names_memory(r.err, 16, c)


def test_an_earlier_oom_kill_is_no_reason(container):
    """exec that fails for another reason isn't put down to an OOM kill that was before."""
    skip_without("the controller memory")
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; echo rc=$?; exec sleep 1000"],
                  linux=memory(8192, swap=8192 * KiB))
    c.detach()
    c.wait_output("rc=137")
    r = c.exec(c.id, "/bin/no-such-program", rc=255)
    assert "oom" not in r.err and "no such file or directory" in r.err, r.err


def test_start_into_a_full_memory_cgroup(container):
    """The limit is lowered to what is in use behind the gate: the program starts, is killed, or start names the limit."""
    name = "memory.limit_in_bytes" if is_v1("memory") else "memory.max"
    skip_without("the controller memory")
    c = container(args=["/bin/true"], linux={"resources": {"memory": {"limit": 16384 * KiB}}})
    c.create()
    used = int(c.cgroup_file("memory", "memory.usage_in_bytes" if is_v1("memory") else "memory.current").read_text())
    c.cgroup_file("memory", name).write_text(str(used + 64 * PAGE))
    r = c.runtime.call("start", c.id)
    if r.rc != 0:
        assert re.search(r"cgroup reports oom_kill \d+ \(memory limit \d+, peak ", r.err), r.err
    c.delete("--force")


@pytest.mark.parametrize("limit", [0, 1])
def test_pids(container, limit):
    """0 is a limit, too (config-linux.md): one process that can't make another."""
    c = container(args=["/bin/sh", "-c", "cat /proc/self/cgroup & echo not reached"], linux={"resources": {"pids": {"limit": limit}}})
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    assert r.rc != 0 and "not reached" not in r.out and "fork" in r.err, (r.out, r.err)
    c.delete("--force")
    c.rewrite(process={"args": ["/bin/echo", "alive"]})
    assert c.run().out == "alive\n"


@pytest.mark.kernel
@pytest.mark.parametrize("joined", ["pid namespace of its own", "host's pid namespace"])
def test_exec_into_a_full_pids_cgroup(container, joined):
    """A fork there is EAGAIN, a move isn't: exec works, inside, and its process counts."""
    changes = {"resources": {"pids": {"limit": 1}}}
    if "host" in joined:
        changes["namespaces"] = namespaces("pid")
    c = container(args=SLEEP, linux=changes)
    c.detach()
    procs = c.cgroup_file("pids", "cgroup.procs")
    assert procs.read_text().split() == [str(c.pid)]
    assert c.exec(c.id, "/bin/echo", "hello").out == "hello\n"
    r = c.exec("--detach", c.id, "/bin/sleep", "1000")
    assert r.err == ""
    pids = procs.read_text().split()
    assert len(pids) == 2 and str(c.pid) in pids
    # Everywhere, not only in the hierarchy with the limit.
    other = next(p for p in pids if p != str(c.pid))
    with open(f"/proc/{c.pid}/cgroup") as init, open(f"/proc/{other}/cgroup") as executed:
        assert init.read() == executed.read()
    assert c.exec(c.id, "/bin/cat", "/proc/self/cgroup").out.count(":/\n") > 0
    assert c.exec("--tty", c.id, "/bin/echo", "terminal").out.split() == ["terminal"]
    r = c.exec(c.id, "/bin/no-such-program", rc=255)
    assert "no such file or directory" in r.err


@pytest.mark.parametrize("stage", HOOKS)
def test_hooks_with_one_process(container, stage):
    """Hooks on the host and createContainer hooks have room; one that is born under the limit, in the container, has not, and the error says so."""
    path = "/bin/true"
    c = container(args=["/bin/true"], linux={"resources": {"pids": {"limit": 1}}}, hooks={stage: [{"path": path}]})
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    if stage == "startContainer":
        assert r.rc == 1
        assert re.fullmatch(r"hull: .*/bin/true; cgroup reports pids limit 1, peak \d+ \(hooks\.startContainer\[0\]\): resource temporarily "
                            r"unavailable\n", r.err), r.err
    else:
        assert (r.rc, r.err) == (0, "")


def names_cpu(err, quota, period):
    """One line that names the quota and how often it was used up."""
    assert re.fullmatch(rf"hull: .*; cgroup reports [1-9]\d* periods without CPU time \(cpu quota and period {quota} {period} us\)[^\n]*\n", err), err


@pytest.mark.parametrize("period", [100000, 1000000])
def test_cpu(container, period):
    """1 ms of a period: the set-up isn't done under it, the program is. Where that takes longer than a creation may (1 ms a second on an emulated processor),
    the quota is the reason that is told."""
    c = container(args=["/bin/sh", "-c", "exec sleep 1000"], linux={"resources": {"cpu": {"quota": 1000, "period": period}}})
    r = c.runtime.call("run", "--detach", "--bundle", c.bundle.path, c.id, timeout=100)
    if period == 1000000 and r.rc != 0:
        names_cpu(r.err, 1000, period)
        return
    assert r.rc == 0, r.err
    if is_v1("cpu"):
        assert c.cgroup_file("cpu", "cpu.cfs_quota_us").read_text().strip() == "1000"
        assert c.cgroup_file("cpu", "cpu.cfs_period_us").read_text().strip() == str(period)
    else:
        assert c.cgroup_file("cpu", "cpu.max").read_text().strip() == f"1000 {period}"
    c.delete("--force")


@pytest.mark.timeout(150)
def test_start_without_cpu_time(container):
    """The quota is used up by others in the cgroup: start ends in time and tells why, and what is killed is gone soon, though that needs time, too."""
    quota, period = 1000, 1000000
    c = container(args=SLEEP)
    c.create()
    c.exec("--detach", c.id, "/bin/sh", "-c", "for i in $(seq 40); do (while :; do :; done) & done; while :; do :; done")
    wait_for(lambda: len(c.cgroup_file("cpu", "cgroup.procs").read_text().split()) == 42, 20, "the processes that spin")
    c.runtime.call("update", "--cpu-quota", str(quota), "--cpu-period", str(period), c.id)
    begun = time.monotonic()
    r = c.runtime.call("--timeout", "3", "start", c.id)
    took = time.monotonic() - begun
    c.runtime.call("delete", "--force", c.id)
    gone = time.monotonic() - begun
    if r.rc != 0:  # a scheduler that lets it have what time there is gets it done (Linux 6.1 with one processor)
        names_cpu(r.err, quota, period)
    assert took < scaled(6) and gone < scaled(9), (took, gone)


@pytest.mark.kernel
@needs("the controller memory")
def test_all_at_once(container):
    c = container(args=["/bin/echo", "alive"], linux={"resources": {"memory": {"limit": 2048 * KiB, "swap": 2048 * KiB}, "pids": {"limit": 1},
                                                                    "cpu": {"quota": 1000, "period": 100000}},
                                                      "maskedPaths": DELETE, "readonlyPaths": DELETE})
    assert c.run().out == "alive\n"
