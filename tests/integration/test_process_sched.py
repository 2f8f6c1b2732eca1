# SPDX-License-Identifier: Apache-2.0
"""When and where the container's process runs: scheduler, I/O priority, CPUs, memory policy, personality, for run and exec."""
import json
import os

import pytest
from harness.config import DELETE, namespaces
from harness.needs import needs, skip_without
from harness.runtime import cgroup_dir, wait_for
from test_process import caps

IOPRIO = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
MS = 1000000
MANY = needs("two processors")

pytestmark = pytest.mark.hull_only(reason="Debian's peers are older than these properties")


def cpus(text):
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


SCHEDULERS = [
    ({"policy": "SCHED_OTHER", "nice": 7}, {"policy": 0, "nice": 7}),
    ({"policy": "SCHED_OTHER", "nice": -3}, {"policy": 0, "nice": -3}),
    ({"policy": "SCHED_OTHER"}, {"policy": 0, "nice": 0}),
    ({"policy": "SCHED_BATCH", "nice": 4}, {"policy": 3, "nice": 4}),
    ({"policy": "SCHED_IDLE"}, {"policy": 5}),
    ({"policy": "SCHED_FIFO", "priority": 1}, {"policy": 1, "priority": 1}),
    ({"policy": "SCHED_RR", "priority": 99}, {"policy": 2, "priority": 99}),
    ({"policy": "SCHED_FIFO", "priority": 9, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, {"policy": 1, "priority": 9, "flags": 1}),
    ({"policy": "SCHED_DEADLINE", "runtime": 2 * MS, "deadline": 20 * MS, "period": 40 * MS},
     {"policy": 6, "runtime": 2 * MS, "deadline": 20 * MS, "period": 40 * MS}),
    ({"policy": "SCHED_DEADLINE", "runtime": 2 * MS, "deadline": 20 * MS, "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"]},
     {"policy": 6, "runtime": 2 * MS, "deadline": 20 * MS, "period": 20 * MS, "flags": 6}),
]
NAMES = [f"{s['policy']}-{i}" for i, (s, _) in enumerate(SCHEDULERS)]


def subset(expected, seen):
    return {k: seen[k] for k in expected} == expected


def take_back(runtime):
    """The kernel counts a removed cgroup's budget until nobody can look at it any more."""
    try:
        runtime.write_text("0")
    except OSError:
        return False
    return True


@pytest.fixture
def budget(parent_cgroup):
    """With real-time groups (cgroup v1) only a cgroup that has a budget runs FIFO and RR: the resources that ask for one. Named before `container`, whose cgroups
    go first at the end."""
    runtime = cgroup_dir("cpu") / parent_cgroup.lstrip("/") / "cpu.rt_runtime_us"
    if not runtime.exists():
        yield {}
        return
    runtime.write_text("200000")
    yield {"resources": {"cpu": {"realtimeRuntime": 100000}}}
    wait_for(lambda: take_back(runtime), 5, "the budgets of the containers to go")


@pytest.mark.parametrize("scheduler,expected", SCHEDULERS, ids=NAMES)
def test_scheduler(budget, container, scheduler, expected):
    c = container(linux=budget, process={"scheduler": scheduler, "user": {"uid": 1000, "gid": 1000}})
    c.create()
    c.start()
    c.wait()
    seen = json.loads(c.output())
    assert subset(expected, seen["sched"]), seen["sched"]
    assert caps(seen)["CapEff"] == 0, "nothing was kept to set it"


@pytest.mark.parametrize("scheduler,expected", [SCHEDULERS[i] for i in (0, 5, 7, 8)], ids=["other", "fifo", "reset on fork", "deadline"])
@pytest.mark.parametrize("joined", [False, True], ids=["own pid namespace", "inherited pid namespace"])
def test_scheduler_of_exec(budget, container, hull, tmp_path, scheduler, expected, joined):
    """Also where the process is born in a second fork, which would lose "reset on fork" and which a deadline forbids."""
    c = container(args=["/bin/sleep", "1000"], linux={**budget, "namespaces": namespaces(*(["pid"] if joined else []))})
    c.detach()
    document = {"cwd": "/", "args": ["/bin/probe"], "scheduler": scheduler, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}
    path = tmp_path / "process.json"
    path.write_text(json.dumps(document))
    seen = hull("exec", "--process", path, c.id).json()
    assert subset(expected, seen["sched"]), seen["sched"]
    assert seen["sched"]["ioprio"] == 2 << 13 | 6


def test_exec_takes_the_containers_own(container, hull):
    c = container(args=["/bin/sleep", "1000"], process={"scheduler": {"policy": "SCHED_BATCH", "nice": 5}, "oomScoreAdj": 77,
                                                         "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}})
    c.detach()
    seen = hull("exec", c.id, "/bin/probe").json()
    assert subset({"policy": 3, "nice": 5, "ioprio": 3 << 13}, seen["sched"])
    assert seen["oom_score_adj"] == 77


def test_oom_score_of_exec_is_its_own(container, hull, tmp_path):
    c = container(args=["/bin/sleep", "1000"], process={"oomScoreAdj": 77})
    c.detach()
    path = tmp_path / "process.json"
    for value in (500, 0):
        path.write_text(json.dumps({"cwd": "/", "args": ["/bin/probe"], "oomScoreAdj": value}))
        assert hull("exec", "--process", path, c.id).json()["oom_score_adj"] == value


def test_scheduler_that_the_kernel_refuses(container):
    """A runtime of less than a microsecond: nothing is left behind."""
    c = container(process={"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1000, "deadline": MS, "period": MS}})
    c.fails("create", match=r"create \S+: set the scheduling policy \(process\.scheduler\): .*")


def test_real_time_without_a_budget(container):
    skip_without("real-time groups (cgroup v1)")
    container(process={"scheduler": {"policy": "SCHED_RR", "priority": 1}}).fails("run", match=(
        r"run \S+: set the scheduling policy \(on cgroup v1 it needs a cpu\.realtimeRuntime\) \(process\.scheduler\): operation not permitted"))


@pytest.mark.parametrize("klass,value", IOPRIO.items())
def test_io_priority(container, klass, value):
    for priority in (0, 7):
        seen = container(process={"ioPriority": {"class": klass, "priority": priority}}).probe()
        assert seen["sched"]["ioprio"] == value << 13 | priority


# --- CPUs ---

@MANY
def test_a_pinned_caller_does_not_pin_the_container(container, hull):
    """crun#1305, runc#4041: from 6.2 the kernel keeps what was chosen before the cgroup was entered."""
    c = container(args=["/bin/sh", "-c", "/bin/probe; exec sleep 1000"])
    everything = os.sched_getaffinity(0)

    def pin():
        os.sched_setaffinity(0, {min(everything)})
    c.detach(preexec_fn=pin)
    c.wait_output("\n}\n")
    assert cpus(json.loads(c.output())["status"]["Cpus"]) >= everything
    seen = hull("exec", c.id, "/bin/probe", preexec_fn=pin).json()
    assert cpus(seen["status"]["Cpus"]) >= everything


@MANY
def test_cpus_of_the_cpuset(container):
    last = max(os.sched_getaffinity(0))
    seen = container(linux={"resources": {"cpu": {"cpus": str(last)}}}).probe()
    assert cpus(seen["status"]["Cpus"]) == {last}


@MANY
def test_exec_cpu_affinity(container, hull):
    first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    for asked, expected in (({"initial": str(first), "final": str(last)}, {last}), ({"final": str(last)}, {last}),
                            ({"initial": str(first)}, {first}), ({"final": f"{first}, {last}"}, {first, last})):
        c = container(args=["/bin/sh", "-c", "/bin/probe; exec sleep 1000"], process={"execCPUAffinity": asked})
        c.detach()
        c.wait_output("\n}\n")
        assert cpus(json.loads(c.output())["status"]["Cpus"]) >= {first, last}, "not for init"
        assert cpus(hull("exec", c.id, "/bin/probe").json()["status"]["Cpus"]) == expected, asked


@MANY
def test_exec_cpu_affinity_of_the_process_document(container, hull, tmp_path):
    last = max(os.sched_getaffinity(0))
    c = container(args=["/bin/sleep", "1000"])
    c.detach()
    path = tmp_path / "process.json"
    path.write_text(json.dumps({"cwd": "/", "args": ["/bin/probe"], "execCPUAffinity": {"final": f"{last}-{last}"}}))
    assert cpus(hull("exec", "-p", path, c.id).json()["status"]["Cpus"]) == {last}


@MANY
def test_exec_cpu_affinity_outside_of_the_cpuset(container, hull):
    first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    c = container(args=["/bin/sleep", "1000"], linux={"resources": {"cpu": {"cpus": str(first)}}},
                  process={"execCPUAffinity": {"final": str(last)}})
    c.detach()
    hull.fails("exec", c.id, "/bin/probe", rc=255,
               match=r"exec in \S+: none of these CPUs is the container's \(process\.execCPUAffinity\.final\): invalid argument|"
                     r"config\.json: process\.execCPUAffinity\.final: none of these CPUs is the container's.*")


@pytest.mark.parametrize("text,why", [("3-1", "must be ranges of numbers below 8192, the smaller one first"), ("9000", "must be ranges of .*"),
                                      ("1,", "must be a list such as 0-3,7"), ("1-", "must be a list .*"), ("-1", "must be a list .*")])
def test_lists_of_cpus_that_are_none(container, hull, text, why):
    c = container(args=["/bin/sleep", "1000"], process={"execCPUAffinity": {"final": text}})
    c.detach()
    hull.fails("exec", c.id, "/bin/probe", rc=255, match=rf'config\.json: process\.execCPUAffinity\.final: "{text}" — {why}')


# --- memory policy, personality ---

@pytest.mark.parametrize("policy,mode,nodes", [
    ({"mode": "MPOL_DEFAULT"}, 0, 0),
    ({"mode": "MPOL_LOCAL"}, 4, 0),
    ({"mode": "MPOL_BIND", "nodes": "0"}, 2, 1),
    ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, 3, 1),
    ({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}, 6, 1),
    ({"mode": "MPOL_PREFERRED", "nodes": "0"}, 1, 1),
    ({"mode": "MPOL_PREFERRED"}, 4, 0),
    ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, 5, 1),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, 2 | 1 << 15, 1),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, 2 | 1 << 14, 1),
    ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}, 2 | 1 << 13, 1),
])
def test_memory_policy(container, hull, policy, mode, nodes):
    c = container(args=["/bin/sh", "-c", "/bin/probe; exec sleep 1000"], linux={"memoryPolicy": policy})
    if policy["mode"] == "MPOL_WEIGHTED_INTERLEAVE":
        skip_without("Linux 6.9: MPOL_WEIGHTED_INTERLEAVE")
    c.detach()
    c.wait_output("\n}\n")
    for seen in (json.loads(c.output()), hull("exec", c.id, "/bin/probe").json()):
        assert (seen["sched"]["mempolicy"], seen["sched"]["nodes"]) == (mode, nodes)


def test_memory_policy_unset_is_the_callers(container):
    assert container().probe()["sched"]["mempolicy"] == 0


def test_memory_node_that_is_not_there(container):
    c = container(linux={"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "900"}})
    c.fails("create", match=r"create \S+: set the memory policy \(mode 0x2\) \(linux\.memoryPolicy\): invalid argument")


@pytest.mark.parametrize("domain,value,machine", [("LINUX", 0, "x86_64"), ("LINUX32", 8, "i686")])
def test_personality(container, hull, domain, value, machine):
    c = container(args=["/bin/sleep", "1000"], linux={"personality": {"domain": domain}})
    c.detach()
    for seen in (hull("exec", c.id, "/bin/probe").json(), container(linux={"personality": {"domain": domain}}).probe()):
        assert seen["sched"]["personality"] == value
        if os.uname().machine == "x86_64":
            assert seen["machine"] == machine


# --- signals ---

def test_every_signal_is_default_and_none_blocked(container, hull):
    """Also 32 and 33, which C libraries keep for themselves and never touch."""
    import ctypes
    import signal
    libc = ctypes.CDLL(None, use_errno=True)

    def ignore():
        for sig in [*range(1, 32), *range(34, 65)]:
            if sig not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
                signal.signal(sig, signal.SIG_IGN)
        action = (ctypes.c_ulong * 4)(1, 0, 0, 0)  # SIG_IGN
        for sig in (32, 33):
            assert libc.syscall(13, sig, action, None, 8) == 0
        signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)))
    if os.uname().machine != "x86_64":
        pytest.skip("the number of rt_sigaction")
    c = container(args=["/bin/sh", "-c", "/bin/probe; exec sleep 1000"])
    c.detach(preexec_fn=ignore, restore_signals=False)
    c.wait_output("\n}\n")
    # a shell in between catches and restores: exec has none
    seen = hull("exec", c.id, "/bin/probe", preexec_fn=ignore, restore_signals=False).json()
    assert (seen["blocked"], seen["not_default"]) == (0, [])
    assert container().probe(preexec_fn=ignore, restore_signals=False)["not_default"] == []


def test_no_scheduler_leaves_the_callers(container):
    """Nothing is set that wasn't asked for."""
    c = container(process={"scheduler": DELETE})
    assert c.probe(preexec_fn=lambda: os.nice(3))["sched"]["nice"] == os.getpriority(os.PRIO_PROCESS, 0) + 3
