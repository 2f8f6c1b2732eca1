# SPDX-License-Identifier: Apache-2.0
"""update: what was asked for is in the files, everything else is as before, and so is everything after a failure."""
import json
import re

import pytest
from harness import snapshot
from harness.fixtures import BY_ROOT_AND_DELEGATED_USER
from harness.limits import changed
from harness.limits import limits as limits_of
from harness.needs import has, needs, skip_without
from harness.runtime import is_v1
from harness.strace import strace

SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
MEMORY = has("the controller memory")


def limits(c):
    """All that update could touch: (hierarchy, file) → text."""
    return limits_of(c.cgroup)


def file_text(c, v1, v2):
    controller, name = v1 if is_v1(v1[0]) else v2
    return c.cgroup_file(controller, name).read_text().strip()


@pytest.fixture
def running(container):
    """running(linux=…) → a container that sleeps."""
    def make(**changes):
        c = container(args=SLEEP, **changes)
        c.detach()
        return c
    return make


# option, value, v1 (controller, file, text), v2
OPTIONS = [
    ("--memory", "200m", ("memory", "memory.limit_in_bytes", str(200 * MiB)), ("memory", "memory.max", str(200 * MiB))),
    ("--memory", "1.5G", ("memory", "memory.limit_in_bytes", str(1536 * MiB)), ("memory", "memory.max", str(1536 * MiB))),
    ("--memory-reservation", "64MiB", ("memory", "memory.soft_limit_in_bytes", str(64 * MiB)), ("memory", "memory.low", str(64 * MiB))),
    ("--cpu-quota", "40000", ("cpu", "cpu.cfs_quota_us", "40000"), ("cpu", "cpu.max", "40000 100000")),
    ("--cpu-period", "50000", ("cpu", "cpu.cfs_period_us", "50000"), ("cpu", "cpu.max", "max 50000")),
    ("--cpu-share", "512", ("cpu", "cpu.shares", "512"), ("cpu", "cpu.weight", "59")),
    ("--cpu-shares", "512", ("cpu", "cpu.shares", "512"), ("cpu", "cpu.weight", "59")),
    ("--cpu-idle", "1", ("cpu", "cpu.idle", "1"), ("cpu", "cpu.idle", "1")),
    ("--cpuset-cpus", "0", ("cpuset", "cpuset.cpus", "0"), ("cpuset", "cpuset.cpus", "0")),
    ("--cpuset-mems", "0", ("cpuset", "cpuset.mems", "0"), ("cpuset", "cpuset.mems", "0")),
    ("--pids-limit", "77", ("pids", "pids.max", "77"), ("pids", "pids.max", "77")),
]


@pytest.mark.parametrize("option,value,v1,v2", OPTIONS, ids=[f"{o[0]}={o[1]}" for o in OPTIONS])
def test_option(running, hull, option, value, v1, v2):
    """It is in the file, and no other file has changed."""
    if v2[0] in ("memory", "cpuset"):
        skip_without(f"the controller {v2[0]}")
    c = running()
    before = limits(c)
    hull("update", option, value, c.id)
    controller, name, text = v1 if is_v1(v1[0]) else v2
    assert c.cgroup_file(controller, name).read_text().strip() == text
    if not hull.is_hull:
        return
    others = set(changed(before, limits(c))) - {name}
    if option == "--cpu-idle":
        others -= {"cpu.shares", "cpu.weight"}  # the kernel's doing
    assert not others


def test_quota_keeps_the_period_and_a_period_the_quota(running, hull):
    c = running(linux={"resources": {"cpu": {"quota": 50000, "period": 200000}}})

    def now():
        if is_v1("cpu"):
            return " ".join(c.cgroup_file("cpu", f"cpu.cfs_{x}_us").read_text().strip() for x in ("quota", "period"))
        return c.cgroup_file("cpu", "cpu.max").read_text().strip()
    hull("update", "--cpu-quota", "60000", c.id)
    assert now() == "60000 200000"
    hull("update", "--cpu-period", "150000", c.id)
    assert now() == "60000 150000"
    hull("update", "--cpu-quota", "-1", c.id)
    assert now() == ("-1 150000" if is_v1("cpu") else "max 150000")


@pytest.mark.hull_only(reason="Debian's peers don't know burst")
def test_burst_below_quota_whichever_way_both_go(running, hull):
    c = running(linux={"resources": {"cpu": {"quota": 50000, "period": 100000, "burst": 50000}}})
    for quota, burst in ((20000, 10000), (90000, 80000), (10000, 0), (60000, 60000)):
        hull("update", "--cpu-quota", quota, "--cpu-burst", burst, c.id)
        assert file_text(c, ("cpu", "cpu.cfs_burst_us"), ("cpu", "cpu.max.burst")) == str(burst)
    hull("update", "--cpu-quota", 70000, c.id)
    assert file_text(c, ("cpu", "cpu.cfs_burst_us"), ("cpu", "cpu.max.burst")) == "60000", "not asked for"


@needs("the controller memory")
def test_memory_and_swap_up_and_down(running, hull):
    c = running(linux={"resources": {"memory": {"limit": 64 * MiB, "swap": 64 * MiB}}})
    for limit, both in ((128, 256), (32, 48), (300, 300), (16, 64)):
        hull("update", "--memory", f"{limit}m", "--memory-swap", f"{both}m", c.id)
        assert file_text(c, ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")) == str(limit * MiB)
        swap = both if is_v1("memory") else both - limit
        assert file_text(c, ("memory", "memory.memsw.limit_in_bytes"), ("memory", "memory.swap.max")) == str(swap * MiB)


@pytest.mark.hull_only(reason="runc and crun want the limit named again")
@needs("the controller memory")
def test_swap_alone_keeps_the_limit(running, hull):
    c = running(linux={"resources": {"memory": {"limit": 64 * MiB, "swap": 64 * MiB}}})
    hull("update", "--memory-swap", "80m", c.id)
    assert file_text(c, ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")) == str(64 * MiB)
    swap = 80 if is_v1("memory") else 16
    assert file_text(c, ("memory", "memory.memsw.limit_in_bytes"), ("memory", "memory.swap.max")) == str(swap * MiB)


@needs("the controller memory")
def test_a_limit_that_is_lifted_lifts_the_sum(running, hull):
    c = running(linux={"resources": {"memory": {"limit": 64 * MiB, "swap": 64 * MiB}}})
    hull("update", "--memory", "-1", c.id)
    text = file_text(c, ("memory", "memory.memsw.limit_in_bytes"), ("memory", "memory.swap.max"))
    assert text == "max" or int(text) > 1 << 60


DOCUMENT = {**({"memory": {"limit": 96 * MiB, "swap": 128 * MiB}} if MEMORY else {}), "cpu": {"shares": 256, "quota": 30000, "period": 60000},
            "pids": {"limit": 33}}


@pytest.mark.parametrize("spelling", [["--resources=-"], ["--resources", "-"], ["-r", "-"]])
def test_document_on_standard_input(running, hull, spelling):
    """As containerd, CRI-O and people send it."""
    c = running()
    hull("update", *spelling, c.id, text=json.dumps(DOCUMENT))
    assert c.cgroup_file("pids", "pids.max").read_text() == "33\n"
    if MEMORY:
        assert file_text(c, ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")) == str(96 * MiB)
    assert file_text(c, ("cpu", "cpu.cfs_quota_us"), ("cpu", "cpu.max")) == ("30000" if is_v1("cpu") else "30000 60000")


def test_document_in_a_file_and_an_option_over_it(running, hull, tmp_path):
    c = running()
    (tmp_path / "r.json").write_text(json.dumps(DOCUMENT))
    hull("update", f"--resources={tmp_path / 'r.json'}", c.id)
    assert c.cgroup_file("pids", "pids.max").read_text() == "33\n"
    if hull.is_hull:
        hull("update", "--resources", tmp_path / "r.json", "--pids-limit", "44", c.id)
        assert c.cgroup_file("pids", "pids.max").read_text() == "44\n"


NOTHING = [{}, {"cpu": None, "memory": None}, {"blockIO": {"weight": 0}, "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
                                                "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0}},
           {"cpu": {"realtimeRuntime": 0, "realtimePeriod": 0}, "hugepageLimits": [], "devices": None, "unified": {}}]


@pytest.mark.parametrize("document", NOTHING, ids=[str(d)[:30] for d in NOTHING])
def test_zeros_and_nulls_mean_not_asked_for(running, hull, document):
    c = running(linux={"resources": {**DOCUMENT}})
    before = limits(c)
    hull("update", "--resources", "-", c.id, text=json.dumps(document))
    assert changed(before, limits(c)) == {}


def test_states(container, running, hull):
    c = container(args=SLEEP)
    hull.fails("update", "--pids-limit", "5", c.id, match=f'container "{c.id}" does not exist')
    c.create()
    hull("update", "--pids-limit", "50", c.id)
    hull("pause", c.id)
    hull("update", "--pids-limit", "51", c.id)
    assert c.cgroup_file("pids", "pids.max").read_text() == "51\n"
    hull("resume", c.id)
    c.start()
    c.kill("KILL")
    c.wait("stopped")
    hull.fails("update", "--pids-limit", "5", c.id, match=f'container not running: cannot update "{c.id}", which is stopped')


BAD = [
    (["--memory", "5x"], r'--memory: "5x" — must be a number of bytes, .*'),
    (["--memory", "9999999999g"], r'--memory: .* — must be a number of bytes, .*'),
    (["--cpu-share", "-3"], r'--cpu-share: "-3" — must be a number, not below 0'),
    (["--pids-limit", "many"], r'--pids-limit: "many" — must be a number'),
    (["--cpu-weight", "0"], r'--cpu-weight: "0" — must be a number from 1 to 10000'),
    (["--reclaim", "0"], r'--reclaim: "0" — must be a number of bytes above 0.*'),
    (["--l3-cache-schema", "L3:0=f"], "update .*: container .* has no linux.intelRdt: there is no resctrl group of its own to change|container .* has no linux.intelRdt.*"),
    (["--mem-bw-schema", "MB:0=10", "--pids-limit", "9"], ".*container .* has no linux.intelRdt: there is no resctrl group of its own to change"),
    (["--mem-bw-schema", "10"], '--mem-bw-schema: "10" — must be one line that begins with MB:'),
    (["--mem-bw-schema", "MB:0=10\nL3:0=f"], "--mem-bw-schema: .* — must be one line that begins with MB:"),
    (["--l3-cache-schema", "L3:0=f\nMB:0=1"], "--l3-cache-schema: .* — must be one line"),
    (["--memory", "10m", "--memory-swap", "5m"], r"update .*: memory.swap: 5242880 — .* less than the limit of memory, 10485760" if MEMORY else
     "update .*: memory.limit: needs the controller memory.*"),
    (["--resources", "/nonexistent"], "(--resources /nonexistent: )?open /nonexistent: no such file or directory"),
    (["--resources", "/dev/null"], "--resources /dev/null: /dev/null is a device — must be a regular file"),
]


@pytest.mark.hull_only(reason="our texts")
@pytest.mark.parametrize("options,match", BAD, ids=[" ".join(b[0]) for b in BAD])
def test_what_is_refused_changes_nothing(running, hull, options, match):
    c = running()
    before = limits(c)
    hull.fails("update", "--cpu-shares", "9", *options, c.id, match=match)
    assert changed(before, limits(c)) == {}


@pytest.mark.hull_only(reason="our texts")
@pytest.mark.parametrize("text,match", [("{", ".*"), ('{"memory":{"limit":"x"}}', r"memory\.limit: \"x\" — .*"),
                                        ('{"memory":{"Limit":5}}', r"memory.*Limit.*")])
def test_a_bad_document_says_where(running, hull, text, match):
    c = running()
    hull.fails("update", "-r", "-", c.id, text=text, match=f"--resources -: {match}")


# --- all or nothing ---

CPUSET = {"cpus": "0", "mems": "0"} if has("the controller cpuset") else {}
ALL = {**({"memory": {"limit": 96 * MiB, "swap": 128 * MiB, "reservation": 32 * MiB}} if MEMORY else {}), "pids": {"limit": 33},
       "cpu": {"shares": 256, "quota": 30000, "period": 60000, "burst": 10000, **CPUSET}}


# A v2 cpuset with processes that said nothing can't be made to say nothing again: there it begins with a value.
NAMED_CPUSET = {} if is_v1("cpuset") else {"linux": {"resources": {"cpu": CPUSET}}}


@pytest.mark.hull_only(reason="crun has no rollback, runc's writes all again")
def test_each_write_failing_in_turn(running, hull):
    """The kernel refuses one file after the other (by injection): all others are put back."""
    skip_without("strace")
    c = running(**NAMED_CPUSET)
    before = limits(c)
    hull("update", "-r", "-", c.id, text=json.dumps(ALL))
    touched = [key for key in before if before[key] != limits(c)[key]]
    hierarchies = {h.name: h for h in snapshot.hierarchies()}
    # Back to where it was, with the same command.
    c.delete("--force")
    c.detach()
    before = limits(c)
    assert len(touched) > 4
    for hierarchy, name in touched:
        path = hierarchies[hierarchy] / c.cgroup.lstrip("/") / name
        r = hull.call("update", "-r", "-", c.id, text=json.dumps(ALL),
                      wrap=strace("-o", "/dev/null", "-P", str(path), "-e", "trace=write", "-e", "inject=write:error=EIO:when=1"))
        assert r.rc == 1 and f"nothing is changed: write {name} = " in r.err and "input/output error" in r.err, (name, r)
        assert changed(before, limits(c)) == {}, name
    hull("update", "-r", "-", c.id, text=json.dumps(ALL))
    assert c.cgroup_file("pids", "pids.max").read_text() == "33\n"


@pytest.mark.hull_only(reason="our texts")
@needs("the controller cpuset")
def test_a_write_that_the_kernel_refuses(running, hull):
    """A real cause: CPUs that aren't there; limits were written before and after it."""
    c = running(**NAMED_CPUSET)
    before = limits(c)
    document = {**ALL, "cpu": {**ALL["cpu"], "cpus": "999"}}
    if is_v1("cpuset"):
        hull.fails("update", "-r", "-", c.id, text=json.dumps(document),
                   match=f"update {c.id}: nothing is changed: write cpuset.cpus = 999.*")
    else:
        assert hull.call("update", "-r", "-", c.id, text=json.dumps(document)).rc == 1
    assert changed(before, limits(c)) == {}
    document = {**ALL, "blockIO": {"throttleReadBpsDevice": [{"major": 254, "minor": 1048575, "rate": 1000}]}}
    assert hull.call("update", "-r", "-", c.id, text=json.dumps(document)).rc == 1
    assert changed(before, limits(c)) == {}


HOG = ["/bin/sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; echo full; sleep 1000"]


@pytest.mark.hull_only(reason="our texts")
@needs("the controller memory")
@BY_ROOT_AND_DELEGATED_USER
def test_a_limit_below_what_is_in_use(container):
    c = container(args=HOG)
    c.detach()
    c.wait_output("full")
    before = limits(c)
    document = {"memory": {"limit": 4 * MiB, "checkBeforeUpdate": True}, "pids": {"limit": 9}}
    c.runtime.fails("update", "-r", "-", c.id, text=json.dumps(document),
                    match=rf"update {c.id}: memory.limit: {4 * MiB} — [0-9]+ bytes are in use \(checkBeforeUpdate\)")
    assert changed(before, limits(c)) == {}
    if is_v1("memory"):  # v2 makes room by killing
        c.runtime.fails("update", "--pids-limit", "9", "--memory", "8k", "--memory-swap", "8k", c.id,
                        match=rf"update {c.id}: nothing is changed: write memory\..*, [0-9]+ bytes are in use.*")
        assert changed(before, limits(c)) == {}
    assert c.status() == "running"


@pytest.mark.hull_only(reason="runc checks at create only, where nothing is in use")
@needs("the controller memory")
@BY_ROOT_AND_DELEGATED_USER
def test_check_before_update_of_the_container(container):
    """At create the cgroup is new, so that any limit is above what is in use. The word stays with the container until an update says otherwise."""
    c = container(args=HOG, linux={"resources": {"memory": {"limit": 64 * MiB, "checkBeforeUpdate": True}}})
    c.create()
    assert file_text(c, ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")) == str(64 * MiB)
    c.start()
    c.wait_output("full")
    before = limits(c)
    c.runtime.fails("update", "--memory", "4m", c.id, match=rf"update {c.id}: memory.limit: {4 * MiB} — [0-9]+ bytes are in use \(checkBeforeUpdate\)")
    assert changed(before, limits(c)) == {}
    c.runtime("update", "--memory", "32m", c.id)
    assert file_text(c, ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")) == str(32 * MiB)
    document = json.dumps({"memory": {"limit": 8 * 1024, "checkBeforeUpdate": False}})
    if is_v1("memory"):  # the kernel's refusal, not ours; v2 makes room by killing
        c.runtime.fails("update", "-r", "-", c.id, text=document, match=rf"update {c.id}: nothing is changed: write memory\..*")


# --- devices ---

DENY_ALL = {"allow": False, "access": "rwm"}
KMSG = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "w"}
LOOP = {"allow": True, "type": "c", "major": 10, "minor": 237, "access": "rw"}


def opens(hull, c, path):
    r = hull.call("exec", c.id, "/bin/sh", "-c", f": >> {path}")
    assert r.rc in (0, 1), r
    return r.rc == 0


@pytest.mark.hull_only(reason="runc leaves devices alone, crun replaces them")
def test_devices(running, hull):
    rules = [DENY_ALL, LOOP]
    c = running(linux={"resources": {"devices": rules},
                       "devices": [{"path": "/kmsg", "type": "c", "major": 1, "minor": 11}]})
    assert not opens(hull, c, "/kmsg")
    hull("update", "-r", "-", c.id, text=json.dumps({"devices": [DENY_ALL, KMSG]}))
    assert opens(hull, c, "/kmsg") and opens(hull, c, "/dev/null")
    hull("update", "-r", "-", c.id, text=json.dumps({"devices": [DENY_ALL]}))
    assert not opens(hull, c, "/kmsg")
    assert opens(hull, c, "/dev/null")


@pytest.mark.hull_only(reason="runc leaves devices alone, crun replaces them")
def test_the_devices_of_the_container_itself_are_not_asked_for(running, hull):
    """Kubernetes' engines send all resources again. What another tool has opened since must stay open."""
    rules = [DENY_ALL, LOOP]
    c = running(linux={"resources": {"devices": rules},
                       "devices": [{"path": "/kmsg", "type": "c", "major": 1, "minor": 11}]})
    skip_without("the controller devices of cgroup v1")
    c.cgroup_file("devices", "devices.allow").write_text("c 1:11 w")
    hull("update", "-r", "-", c.id, text=json.dumps({"devices": rules, "pids": {"limit": 50}}))
    assert opens(hull, c, "/kmsg")
    assert c.cgroup_file("pids", "pids.max").read_text() == "50\n"


@pytest.mark.hull_only(reason="a short time without devices is what peers have")
def test_no_device_is_denied_meanwhile(container, hull):
    c = container(args=["/bin/sh", "-c", "while : < /dev/null; do :; done; echo denied; sleep 1000"],
                  linux={"resources": {"devices": [DENY_ALL]}})
    c.detach()
    for i in range(20):
        hull("update", "-r", "-", c.id, text=json.dumps({"devices": [DENY_ALL, KMSG] if i % 2 == 0 else [DENY_ALL, LOOP]}))
    assert c.output() == ""
    assert c.status() == "running"


# --- v2's own ---

@pytest.mark.hull_only(reason="our options")
@needs("the controller memory")
def test_names_of_v2(running, hull):
    c = running()
    before = limits(c)
    if is_v1("memory"):
        hull.fails("update", "--memory-high", "64m", c.id, match=f"update {c.id}: unified.memory.high: (.* it is on cgroup v1|there is no cgroup v2 hierarchy on this host)")
        hull.fails("update", "--cpu-weight", "50", c.id, match=f"update {c.id}: unified.cpu.weight: (.* it is on cgroup v1|there is no cgroup v2 hierarchy on this host)")
        assert changed(before, limits(c)) == {}
        return
    hull("update", "--memory-high", "64m", "--memory-low", "8m", "--cpu-weight", "50", c.id)
    assert c.cgroup_file("memory", "memory.high").read_text() == f"{64 * MiB}\n"
    assert c.cgroup_file("memory", "memory.low").read_text() == f"{8 * MiB}\n"
    assert c.cgroup_file("cpu", "cpu.weight").read_text() == "50\n"
    hull("update", "--memory-high", "-1", c.id)
    assert c.cgroup_file("memory", "memory.high").read_text() == "max\n"


@pytest.mark.hull_only(reason="our options")
@needs("the controller memory")
def test_reclaim(container, hull):
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/tmp/x bs=1M count=20 2>/dev/null; sync; cat /tmp/x >/dev/null; echo full; sleep 1000"])
    c.detach()
    c.wait_output("full", 60)
    if is_v1("memory"):
        hull.fails("update", "--reclaim", "1m", c.id, match=f"update {c.id}: memory can't be reclaimed: .* on v1")
        return
    skip_without("Linux 5.19: memory.reclaim")
    before = int(c.cgroup_file("memory", "memory.current").read_text())
    r = hull("update", "--reclaim", "4m", c.id)
    done = re.fullmatch(rf"reclaimed ([0-9]+) of {4 * MiB} bytes\n", r.out)
    assert done and int(done.group(1)) > 0
    assert int(c.cgroup_file("memory", "memory.current").read_text()) < before
