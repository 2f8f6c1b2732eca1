# SPDX-License-Identifier: Apache-2.0
"""events: runc's JSON, each figure compared with what the kernel's file says, read here on its own; OOM kills; the end of the stream."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness.clock import scaled
from harness.config import namespaces
from harness.needs import has, needs, skip_without
from harness.runtime import cgroup_dir, holds, is_v1, wait_for

pytestmark = pytest.mark.hull_only(reason="crun has no such command; runc lacks what is tested here")
SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
MAX64 = (1 << 64) - 1

# runc's types/events.go as Go's encoder and decoder see it: member → type. "?" in front: dropped when it is 0.
PSI = {"some": {"avg10": float, "avg60": float, "avg300": float, "total": int},
       "full": {"avg10": float, "avg60": float, "avg300": float, "total": int}}
AMOUNT = {"limit": int, "?usage": int, "?max": int, "failcnt": int}
IO = [{"?major": int, "?minor": int, "?op": str, "?value": int}]
GO = {
    "cpu": {"usage": {"?total": int, "?percpu": [int], "?percpu_kernel": [int], "?percpu_user": [int], "kernel": int, "user": int},
            "throttling": {"?periods": int, "?throttledPeriods": int, "?throttledTime": int}, "psi": PSI,
            "burst": {"periods": int, "time": int}},
    "cpuset": {"cpus": [int], "cpu_exclusive": int, "mems": [int], "mem_hardwall": int, "mem_exclusive": int, "memory_migrate": int,
               "memory_spread_page": int, "memory_spread_slab": int, "memory_pressure": int, "sched_load_balance": int,
               "sched_relax_domain_level": int},
    "memory": {"?cache": int, "usage": AMOUNT, "swap": AMOUNT, "kernel": AMOUNT, "kernelTCP": AMOUNT, "swapOnly": AMOUNT,
               "raw": {str: int}, "psi": PSI, "event_count": {str: int}, "event_count_local": {str: int}},
    "pids": {"?current": int, "?limit": int, "peak": int, "events": {str: int}},
    "blkio": {"ioServiceBytesRecursive": IO, "ioServicedRecursive": IO, "ioQueueRecursive": IO, "ioServiceTimeRecursive": IO,
              "ioWaitTimeRecursive": IO, "ioMergedRecursive": IO, "ioTimeRecursive": IO, "sectorsRecursive": IO, "psi": PSI,
              "io": {str: {str: int}}},
    "hugetlb": {str: {"?usage": int, "?max": int, "failcnt": int, "limit": int, "rsvd": AMOUNT}},
    "intel_rdt": {},
    "network_interfaces": [{"Name": str, **{f"{way}{what}": int for way in ("Rx", "Tx")
                                            for what in ("Bytes", "Packets", "Errors", "Dropped")}}],
    "rdma": {"current": {str: {str: int}}, "limit": {str: {str: int}}},
    "misc": {"current": {str: int}, "limit": {str: int}, "events": {str: int}},
}


def check_types(value, want, where="data"):
    """Would Go decode it, and would Go have written it so?"""
    if isinstance(want, list):
        assert isinstance(value, list), where
        for i, v in enumerate(value):
            check_types(v, want[0], f"{where}[{i}]")
    elif isinstance(want, dict):
        assert isinstance(value, dict), where
        for key, v in value.items():
            if str in want:
                check_types(v, want[str], f"{where}.{key}")
                continue
            assert key in want or f"?{key}" in want, f"{where}.{key} is no member"
            check_types(v, want.get(key, want.get(f"?{key}")), f"{where}.{key}")
            assert key in want or v != 0, f"{where}.{key}: 0 is left out by Go"
    else:
        assert type(value) is want, f"{where}: {value!r} is not {want}"
        if want is int and "sched_relax" not in where:
            assert 0 <= value <= MAX64, where


def stats(c):
    """The data of one line of `events --stats`."""
    out = c.runtime("events", "--stats", c.id).out
    assert out.count("\n") == 1 and out.endswith("\n")
    event = json.loads(out)
    assert list(event) == ["type", "id", "data"]
    assert event["type"] == "stats" and event["id"] == c.id
    check_types(event["data"], GO)
    return event["data"]


def read(c, controller, name):
    """A file of its cgroup, or None."""
    path = c.cgroup_file(controller, name)
    try:
        return path.read_text()
    except OSError:
        return None


def number(c, controller, name):
    text = read(c, controller, name)
    return None if text is None else MAX64 if text.strip() == "max" else int(text)


def keyed(text):
    return {key: int(v) for key, v in (line.split() for line in text.splitlines())}


def burner(**more):
    """Uses CPU and memory, then sleeps: what is counted afterwards stands still."""
    script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/f bs=1M count=8 2>/dev/null; echo ready; sleep 1000"
    return {"args": ["/bin/sh", "-c", script], **more}


@pytest.fixture
def busy(container):
    memory = {"memory": {"limit": 64 * MiB}} if has("the controller memory") else {}
    c = container(**burner(linux={"resources": {**memory, "pids": {"limit": 77}, "cpu": {"quota": 50000, "period": 100000}}}))
    c.detach()
    c.wait_output("ready")
    time.sleep(scaled(0.1))
    return c


def test_cpu(busy):
    periods = keyed(read(busy, "cpu", "cpu.stat"))["nr_periods"]
    if is_v1("cpuacct"):
        before = number(busy, "cpuacct", "cpuacct.usage")
        cpu = stats(busy)["cpu"]
        after = number(busy, "cpuacct", "cpuacct.usage")
        ticks = keyed(read(busy, "cpuacct", "cpuacct.stat"))
        assert cpu["usage"]["kernel"] == ticks["system"] * 10_000_000
        assert cpu["usage"]["user"] == ticks["user"] * 10_000_000
        assert cpu["usage"]["percpu"] == [int(n) for n in read(busy, "cpuacct", "cpuacct.usage_percpu").split()]
        rows = [line.split() for line in read(busy, "cpuacct", "cpuacct.usage_all").splitlines()[1:]]
        assert cpu["usage"]["percpu_user"] == [int(r[1]) for r in rows]
        assert cpu["usage"]["percpu_kernel"] == [int(r[2]) for r in rows]
        throttling = keyed(read(busy, "cpu", "cpu.stat"))
        throttled_ns = throttling["throttled_time"]
    else:
        before = keyed(read(busy, "cpu", "cpu.stat"))["usage_usec"] * 1000
        cpu = stats(busy)["cpu"]
        throttling = keyed(read(busy, "cpu", "cpu.stat"))
        after = throttling["usage_usec"] * 1000
        throttled_ns = throttling["throttled_usec"] * 1000
        assert cpu["usage"]["user"] == throttling["user_usec"] * 1000
        assert cpu["usage"]["kernel"] == throttling["system_usec"] * 1000
    assert 0 < before <= cpu["usage"]["total"] <= after
    assert 0 < periods <= cpu["throttling"]["periods"] <= throttling["nr_periods"]
    assert cpu["throttling"].get("throttledPeriods", 0) == throttling["nr_throttled"]
    assert cpu["throttling"].get("throttledTime", 0) == throttled_ns


@needs("the controller memory")
def test_memory(busy):
    memory = stats(busy)["memory"]
    v1 = is_v1("memory")
    usage, limit, peak = (("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.max_usage_in_bytes") if v1 else
                          ("memory.current", "memory.max", "memory.peak"))
    assert memory["usage"]["limit"] == 64 * MiB == number(busy, "memory", limit)
    assert abs(memory["usage"]["usage"] - number(busy, "memory", usage)) <= 2 * MiB
    assert memory["usage"]["usage"] >= 8 * MiB
    if number(busy, "memory", peak) is not None:
        assert memory["usage"]["max"] == number(busy, "memory", peak)
    raw = keyed(read(busy, "memory", "memory.stat"))
    assert memory["raw"].keys() == raw.keys()
    assert abs(memory["cache"] - raw["cache" if v1 else "file"]) <= MiB and memory["cache"] >= 8 * MiB
    if v1:
        for part, prefix in (("swap", "memory.memsw"), ("kernel", "memory.kmem"), ("kernelTCP", "memory.kmem.tcp")):
            limit = number(busy, "memory", f"{prefix}.limit_in_bytes")
            assert (part in memory) == (limit is not None)
            assert limit is None or memory[part]["limit"] == limit
            assert limit is None or memory[part].get("max", 0) == number(busy, "memory", f"{prefix}.max_usage_in_bytes")
        assert memory["event_count"] == {"oom_kill": keyed(read(busy, "memory", "memory.oom_control"))["oom_kill"]}
        assert "event_count_local" not in memory and "swapOnly" not in memory
        return
    assert memory["event_count"] == keyed(read(busy, "memory", "memory.events"))
    assert memory["event_count_local"] == keyed(read(busy, "memory", "memory.events.local"))
    assert "kernel" not in memory and "kernelTCP" not in memory
    swap = number(busy, "memory", "memory.swap.max")
    assert ("swap" in memory) == ("swapOnly" in memory) == (swap is not None)
    if swap is not None:
        assert memory["swapOnly"]["limit"] == swap
        assert memory["swap"]["limit"] == (MAX64 if swap == MAX64 else swap + 64 * MiB)
        assert memory["swap"]["usage"] == memory["usage"]["usage"] + memory["swapOnly"].get("usage", 0)


def test_pids_and_cpuset(busy):
    data = stats(busy)
    assert data["pids"]["limit"] == 77
    assert data["pids"]["current"] == number(busy, "pids", "pids.current") >= 1
    if number(busy, "pids", "pids.peak") is not None:
        assert data["pids"]["peak"] == number(busy, "pids", "pids.peak")
    file = "cpuset.cpus" if is_v1("cpuset") else "cpuset.cpus.effective"
    listed = read(busy, "cpuset", file)
    assert ("cpuset" in data) == (listed is not None)
    if listed:
        ranges = [part.split("-") for part in listed.strip().split(",")]
        assert data["cpuset"]["cpus"] == [n for r in ranges for n in range(int(r[0]), int(r[-1]) + 1)]
        assert ("sched_load_balance" in data["cpuset"]) == is_v1("cpuset")


def test_no_pids_limit_is_left_out(container):
    c = container(args=SLEEP)
    c.create()
    assert number(c, "pids", "pids.max") == MAX64
    assert "limit" not in stats(c)["pids"]


def psi(text):
    found = {}
    for line in text.splitlines():
        word, *pairs = line.split()
        found[word] = {k: int(v) if k == "total" else float(v) for k, v in (p.split("=") for p in pairs)}
    return found


@pytest.mark.parametrize("part", ["cpu", "memory", "io"])
def test_pressure(busy, part):
    """Of the v2 directory, on a hybrid too."""
    text = next((t for t in (read(busy, d, f"{part}.pressure") for d in ("unified", "cpu", "memory")) if t), None)
    data = stats(busy).get("blkio" if part == "io" else part, {})
    if text is None:
        assert "psi" not in data
        skip_without("pressure stall information")
    want = psi(text)
    assert data["psi"].keys() == want.keys()
    for line, values in want.items():
        assert abs(data["psi"][line]["total"] - values["total"]) <= 1_000_000
        assert data["psi"][line].keys() == values.keys()


def test_blkio(container, tmp_path):
    """Bytes written through to a disk are counted for its device."""
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/out/f bs=64k count=16 conv=fsync 2>/dev/null; echo ready; sleep 1000"])
    (tmp_path / "out").mkdir()
    c.config["mounts"].append({"destination": "/out", "type": "bind", "source": str(tmp_path / "out"), "options": ["bind", "rw"]})
    c.rewrite()
    c.detach()
    c.wait_output("ready")
    blkio = stats(c).get("blkio", {})
    if is_v1("blkio"):
        lines = [line.split() for line in read(c, "blkio", "blkio.throttle.io_service_bytes_recursive").splitlines()]
        want = [{**{k: int(n) for k, n in zip(("major", "minor"), dev.split(":")) if int(n)}, "op": op, **({"value": int(v)} if int(v) else {})}
                for dev, op, v in (line for line in lines if len(line) == 3)]
        assert blkio.get("ioServiceBytesRecursive", []) == want
        return
    text = read(c, "io", "io.stat")
    if text is None:
        assert "ioServiceBytesRecursive" not in blkio
        skip_without("a controller of I/O")
    want = {d: {k: int(v) for k, v in (p.split("=") for p in pairs)} for d, *pairs in (line.split() for line in text.splitlines())}
    assert blkio["io"] == want
    for entry in blkio.get("ioServiceBytesRecursive", []):
        device = f'{entry.get("major", 0)}:{entry.get("minor", 0)}'
        assert entry.get("value", 0) == want[device][{"Read": "rbytes", "Write": "wbytes", "Discard": "dbytes"}[entry["op"]]]


def test_hugetlb(container):
    c = container(args=SLEEP)
    c.create()
    data = stats(c)
    top = cgroup_dir("hugetlb") / c.cgroup.lstrip("/")
    suffix = ".usage_in_bytes" if is_v1("hugetlb") else ".current"
    sizes = sorted(m[1] for f in (os.listdir(top) if top.is_dir() else []) if (m := re.fullmatch(rf"hugetlb\.([^.]+){re.escape(suffix)}", f)))
    assert sorted(data.get("hugetlb", {})) == sizes
    for size in sizes:
        limit = number(c, "hugetlb", f"hugetlb.{size}.{'limit_in_bytes' if is_v1('hugetlb') else 'max'}")
        assert data["hugetlb"][size]["limit"] == limit
        assert ("rsvd" in data["hugetlb"][size]) == (number(c, "hugetlb", f"hugetlb.{size}.rsvd{suffix}") is not None)


def test_network(container):
    """Of a namespace of its own; nothing where it shares the host's."""
    c = container(args=["/bin/sh", "-c", "ip link set lo up; echo ready; sleep 1000"],
                  process={"capabilities": {k: ["CAP_NET_ADMIN"] for k in ("bounding", "effective", "permitted")}})
    c.detach()
    c.wait_output("ready")
    interfaces = stats(c)["network_interfaces"]
    with open(f"/proc/{c.pid}/net/dev") as f:
        rows = {name.strip(): [int(n) for n in rest.split()] for name, rest in (line.split(":") for line in f if ":" in line)}
    assert [i["Name"] for i in interfaces] == list(rows)
    for i in interfaces:
        row = rows[i["Name"]]
        assert list(i.values())[1:] == [row[0], row[1], row[2], row[3], row[8], row[9], row[10], row[11]]
    shared = container(args=SLEEP, linux={"namespaces": namespaces("network")})
    shared.detach()
    assert shared.runtime("events", "--stats", shared.id).json()["data"]["network_interfaces"] is None


# --- the stream ---

def stream(c, *options, **how):
    return c.runtime.popen("events", *options, c.id, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def finish(process, seconds=10):
    out, err = process.communicate(timeout=scaled(seconds))
    return [json.loads(line) for line in out.splitlines()], err


def test_the_stream_ends_with_the_container(container):
    c = container(args=SLEEP)
    c.detach()
    begin = time.monotonic()
    events = stream(c, "--interval", "100ms")
    time.sleep(scaled(0.55))
    c.kill("KILL")
    lines, err = finish(events, 3)
    assert events.returncode == 0 and err == ""
    n = (time.monotonic() - begin) / 0.1
    assert 2 <= len(lines) <= n + 1
    for line in lines:
        assert line["type"] == "stats"
        check_types(line["data"], GO)


def test_first_line_after_an_interval(container):
    c = container(args=SLEEP)
    c.detach()
    events = stream(c, "--interval", "600s")
    wait_for(lambda: watched(events.pid), 5, "events to watch")
    c.kill("KILL")
    assert finish(events, 3) == ([], "")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_it(container, how):
    c = container(args=SLEEP)
    c.detach()
    # A shell that starts something in the background has SIGINT ignored in it.
    events = stream(c, preexec_fn=lambda: signal.signal(getattr(signal, how), signal.SIG_DFL))
    wait_for(lambda: watched(events.pid), 5, "events to watch")
    events.send_signal(getattr(signal, how))
    finish(events, 2)
    assert events.returncode == -getattr(signal, how)
    assert c.status() == "running"


def test_a_reader_that_goes_away_ends_it(container):
    c = container(args=SLEEP)
    c.detach()
    events = stream(c, "--interval=50ms")
    events.stdout.readline()
    events.stdout.close()
    assert events.wait(timeout=scaled(3)) == 1
    assert re.fullmatch(r"hull: write to standard output: broken pipe\n", events.stderr.read())
    events.stderr.close()


def memory_hog(**limits):
    return {"args": ["/bin/sh", "-c", "read x; for i in 1 2 3; do dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; done; echo done; read x"],
            "linux": {"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB, **limits}}}}


@needs("the controller memory")
def test_oom_kills_are_told(container):
    c = container(**memory_hog())
    ours, theirs = os.pipe()
    c.detach(stdin=ours)
    os.close(ours)
    events = stream(c, "--interval", "60s")
    wait_for(lambda: watched(events.pid), 5, "events to watch")
    os.write(theirs, b"go\n")
    c.wait_output("done")
    os.close(theirs)
    c.wait("stopped")
    lines, err = finish(events, 5)
    assert events.returncode == 0 and err == ""
    # v1 tells each time that the limit can't be kept, which may be more than once a kill.
    assert len(lines) >= 3 and all(line == {"type": "oom", "id": c.id} for line in lines), lines
    if not is_v1("memory"):
        assert len(lines) == 3


def watched(pid):
    """Does the process hold what tells of OOM kills, or, where nothing does, of the end?"""
    return holds(pid, *(("memory.events", "eventfd") if has("the controller memory") else ("pidfd",)))


@needs("the controller memory")
def test_oom_of_init_itself(container):
    """The kill is told even though nothing is left a moment later."""
    c = container(args=["/bin/sh", "-c", "read x; exec dd if=/dev/zero of=/dev/null bs=100M count=1"],
                  linux={"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}})
    ours, theirs = os.pipe()
    c.detach(stdin=ours)
    os.close(ours)
    events = stream(c)
    wait_for(lambda: watched(events.pid), 5, "events to watch")
    os.write(theirs, b"go\n")
    os.close(theirs)
    lines, _ = finish(events, 5)
    assert {"type": "oom", "id": c.id} in lines


def test_stopped_and_unknown(container):
    c = container(args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    for options in (["--stats"], []):
        c.runtime.fails("events", *options, c.id, match=rf'container "{c.id}" is not running: it is stopped')
        c.runtime.fails("events", *options, "nobody", match='container "nobody" does not exist')


@pytest.mark.parametrize("word", ["0", "0s", "-1s", "5x", "s", "99999h", "5 s", ".s"])
def test_bad_intervals(container, word):
    c = container(args=SLEEP)
    c.detach()
    c.runtime.fails("events", f"--interval={word}", c.id, match=r'--interval: .*')


def test_paused_and_created(container):
    c = container(args=SLEEP)
    c.create()
    assert stats(c)["pids"]["current"] == 1
    if is_v1("freezer"):
        c.cgroup_file("freezer", "freezer.state").write_text("FROZEN")
        wait_for(lambda: c.cgroup_file("freezer", "freezer.state").read_text() == "FROZEN\n", 5, "it to freeze")
    else:
        c.cgroup_file("cpu", "cgroup.freeze").write_text("1")
    assert stats(c)["pids"]["current"] == 1
