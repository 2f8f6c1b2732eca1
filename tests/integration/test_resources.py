# SPDX-License-Identifier: Apache-2.0
"""Random documents of linux.resources: what the kernel's files show afterwards against a computation of our own, from the kernel's documents
(cgroup-v2.rst, cgroup-v1) and config-linux.md. Documents that can't be had: one error that names the property, and nothing is left.

HULL_RESOURCES_COUNT documents (1000) from HULL_RESOURCES_SEED; a failure prints the document."""
import json
import math
import os
import random
import re
from pathlib import Path

import pytest
from harness import examples, snapshot
from harness.config import make_config
from harness.examples import weighing_disk  # noqa: F401
from harness.needs import kernel
from harness.runtime import cgroup_dir, is_v1

COUNT = int(os.environ.get("HULL_RESOURCES_COUNT") or 1000)
SEED = int(os.environ.get("HULL_RESOURCES_SEED") or 20261124)
CHUNKS = 10
INVALID_SHARE = 0.3
PAGE = os.sysconf("SC_PAGESIZE")
MiB = 1 << 20
V1_NO_LIMIT = (2**63 - 1) // PAGE * PAGE
RES = "linux.resources."
PIDS_MAX = 4194304  # PID_MAX_LIMIT of 64-bit kernels

# What a document may change. Everything here that a document doesn't speak of must be as in a container without any resources.
FILES_V1 = {
    "cpu": ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.cfs_burst_us", "cpu.idle", "cpu.rt_period_us", "cpu.rt_runtime_us"],
    "cpuset": ["cpuset.cpus", "cpuset.mems"],
    "memory": ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.kmem.limit_in_bytes",
               "memory.kmem.tcp.limit_in_bytes", "memory.swappiness", "memory.oom_control"],
    "pids": ["pids.max"],
    "blkio": ["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
              "blkio.throttle.write_iops_device", "blkio.bfq.weight", "blkio.bfq.weight_device"],
    "devices": ["devices.list"],
    "net_cls": ["net_cls.classid"],
    "net_prio": ["net_prio.ifpriomap"],
}
FILES_V2 = {
    "cpu": ["cpu.weight", "cpu.max", "cpu.max.burst", "cpu.idle"],
    "cpuset": ["cpuset.cpus", "cpuset.mems"],
    "memory": ["memory.min", "memory.low", "memory.high", "memory.max", "memory.swap.max", "memory.swap.high", "memory.oom.group"],
    "pids": ["pids.max"],
    "io": ["io.max", "io.weight", "io.bfq.weight"],
    "misc": ["misc.max"],
    "rdma": ["rdma.max"],
    "cgroup": ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.type", "cgroup.freeze"],
}


def v2_dir():
    return next((d for d in (snapshot.CGROUP_ROOT, snapshot.CGROUP_ROOT / "unified") if (d / "cgroup.controllers").exists()), None)


def parse_set(text):
    found = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def print_set(numbers):
    """As the kernel writes it: "0-2,7"."""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in parts)


class Machine:
    """What this host can do, found out without hull."""

    def __init__(self):
        self.v2 = v2_dir()
        self.v2_controllers = (self.v2 / "cgroup.controllers").read_text().split() if self.v2 else []
        self.cpus = parse_set(Path("/sys/devices/system/cpu/online").read_text())
        self.mems = parse_set(Path("/sys/devices/system/node/online").read_text()) if Path("/sys/devices/system/node/online").exists() else [0]
        self.disks = [dev.read_text().strip() for dev in sorted(Path("/sys/block").glob("*/dev"))][:4]
        self.huge = {}
        for d in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
            kib = int(d.name[len("hugepages-"):-2])
            unit = next((u, s) for u, s in (("GB", 20), ("MB", 10), ("KB", 0)) if kib >> s)
            self.huge[f"{kib >> unit[1]}{unit[0]}"] = kib << 10

    def version(self, v1, v2):
        """1, 2 or 0 for none."""
        if v1 and is_v1(v1):
            return 1
        return 2 if v2 in self.v2_controllers else 0


# ---- what is expected: {(controller's directory, file): text} ----

def pages(n):
    return n // PAGE * PAGE


def bytes_v1(n):
    return str(V1_NO_LIMIT if n < 0 or pages(n) >= V1_NO_LIMIT else pages(n))


def bytes_v2(n):
    return "max" if n < 0 or pages(n) >= V1_NO_LIMIT else str(pages(n))


def weight(shares):
    """1024 is 100; both ends are each other's (the conversion that runc, crun and systemd's users agreed on)."""
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    x = 10 ** ((log * log + 125 * log) / 612 - 7 / 34)
    return round(x) if abs(x - round(x)) < 1e-9 else math.ceil(x)


def expect_cpu(c, version):
    found = {}
    if version == 1:
        if c.get("shares"):
            found["cpu.shares"] = str(min(max(c["shares"], 2), 262144))
        if "period" in c:
            found["cpu.cfs_period_us"] = str(c["period"])
        if "quota" in c:
            found["cpu.cfs_quota_us"] = str(c["quota"] if c["quota"] > 0 else -1)
        if "burst" in c:
            found["cpu.cfs_burst_us"] = str(c["burst"])
        if c.get("idle"):
            found["cpu.shares"] = None  # the kernel shows an internal value
    else:
        if c.get("shares"):
            found["cpu.weight"] = str(weight(c["shares"]))
        if "quota" in c or "period" in c:
            quota = c.get("quota", -1)
            found["cpu.max"] = f"{quota if quota > 0 else 'max'} {c.get('period', 100000)}"
        if "burst" in c:
            found["cpu.max.burst"] = str(c["burst"])
        if c.get("idle"):
            found["cpu.weight"] = "1" if kernel() >= (6, 12) else "0"  # cgroup-v2.rst says 0; since sched_ext has groups it reads as the least
    if "idle" in c:
        found["cpu.idle"] = str(c["idle"])
    return found


def expect_memory(m, version):
    found = {}
    limit = m.get("limit")
    if version == 1:
        names = {"limit": "memory.limit_in_bytes", "swap": "memory.memsw.limit_in_bytes", "reservation": "memory.soft_limit_in_bytes",
                 "kernelTCP": "memory.kmem.tcp.limit_in_bytes"}
        found = {file: bytes_v1(m[key]) for key, file in names.items() if key in m}
        if "swappiness" in m:
            found["memory.swappiness"] = str(m["swappiness"])
        if m.get("disableOOMKiller"):
            found["memory.oom_control"] = "oom_kill_disable 1"
    else:
        if limit is not None:
            found["memory.max"] = bytes_v2(limit)
        if "swap" in m:
            found["memory.swap.max"] = bytes_v2(-1 if m["swap"] < 0 else m["swap"] - limit)
        elif limit == -1:
            found["memory.swap.max"] = "max"
        if "reservation" in m:
            found["memory.low"] = bytes_v2(m["reservation"])
    return found


IO_KEYS = {"throttleReadBpsDevice": ("rbps", "read_bps"), "throttleWriteBpsDevice": ("wbps", "write_bps"),
           "throttleReadIOPSDevice": ("riops", "read_iops"), "throttleWriteIOPSDevice": ("wiops", "write_iops")}


def expect_io(b, version, have):
    found, table = {}, {}
    for key, (v2_key, v1_name) in IO_KEYS.items():
        most = 2**32 - 1 if "iops" in v2_key else 2**64 - 1
        for entry in b.get(key, []):
            rate = min(entry["rate"], most)
            table.setdefault(f"{entry['major']}:{entry['minor']}", {})[v2_key] = 0 if rate == most else rate
        lines = {dev: rates[v2_key] for dev, rates in table.items() if rates.get(v2_key)}
        if version == 1 and key in b:
            found[f"blkio.throttle.{v1_name}_device"] = sorted(f"{dev} {rate}" for dev, rate in lines.items())
    if version == 2 and any(key in b for key in IO_KEYS):
        found["io.max"] = sorted(
            " ".join([dev] + [f"{k}={rates.get(k) or 'max'}" for k in ("rbps", "wbps", "riops", "wiops")])
            for dev, rates in table.items() if any(rates.values()))
    if "weight" in b:
        if version == 1:
            found["blkio.bfq.weight"] = str(b["weight"])
            found["blkio.bfq.weight_device"] = [f"default {b['weight']}"]
        elif have("io.bfq.weight"):
            found["io.bfq.weight"] = f"default {b['weight']}"
        else:
            found["io.weight"] = f"default {1 + (b['weight'] - 10) * 9999 // 990}"
    return found


def expect_huge(limits, version, machine):
    suffix = "limit_in_bytes" if version == 1 else "max"
    found = {}
    for entry in limits:
        size = machine.huge[entry["pageSize"]]
        n = entry["limit"] // size * size
        top = V1_NO_LIMIT // size * size
        text = str(min(n, top)) if version == 1 or n < top else "max"
        for rsvd in ("", "rsvd."):
            found[f"hugetlb.{entry['pageSize']}.{rsvd}{suffix}"] = text
    return found


def expected(res, machine, have):
    """{(controller, file): text or sorted lines or None for "don't look"}"""
    found = {}

    def add(v1, v2, files):
        version = machine.version(v1, v2)
        found.update({(v1 if version == 1 else v2, f): text for f, text in files(version).items()})

    if "cpu" in res:
        add("cpu", "cpu", lambda v: expect_cpu(res["cpu"], v))
        add("cpuset", "cpuset", lambda v: {f"cpuset.{key}": print_set(parse_set(res["cpu"][key])) for key in ("cpus", "mems") if key in res["cpu"]})
    if "memory" in res:
        add("memory", "memory", lambda v: expect_memory(res["memory"], v))
    if "pids" in res:
        add("pids", "pids", lambda v: {"pids.max": str(res["pids"]["limit"]) if res["pids"]["limit"] >= 0 else "max"})
    if "blockIO" in res:
        add("blkio", "io", lambda v: expect_io(res["blockIO"], v, have))
    if "hugepageLimits" in res:
        add("hugetlb", "hugetlb", lambda v: expect_huge(res["hugepageLimits"], v, machine))
    for file, value in res.get("unified", {}).items():
        controller = file.split(".")[0]
        suffixed = re.fullmatch(r"(\d+)M", value)
        text = str(int(suffixed[1]) * MiB) if suffixed else value
        found[controller, file] = bytes_v2(int(text)) if controller == "memory" and text.isdigit() and file != "memory.oom.group" else text
    return found


# ---- random documents ----

def log_uniform(rnd, low, high):
    return int(math.exp(rnd.uniform(math.log(low), math.log(high))))


def spell_set(rnd, numbers):
    """One of the ways to write a set."""
    items = [str(n) for n in numbers]
    rnd.shuffle(items)
    return rnd.choice([print_set(numbers), ",".join(items), ",".join(f"{n}-{n}" for n in numbers)])


def make_cpu(rnd, machine):
    c = {}
    if rnd.random() < 0.5:
        c["shares"] = rnd.choice([0, 1, 2, 3, 1024, 262144, 300000, log_uniform(rnd, 2, 262144), log_uniform(rnd, 2, 262144)])
    if rnd.random() < 0.4:
        c["period"] = rnd.choice([1000, 1000000, rnd.randint(1000, 1000000)])
    if rnd.random() < 0.5:
        period = c.get("period", 100000)
        c["quota"] = rnd.choice([-1, 0, 1000, rnd.randint(1000, max(1001, period * len(machine.cpus)))])
        if c["quota"] > 0 and rnd.random() < 0.4:
            c["burst"] = rnd.randint(0, c["quota"])
    if rnd.random() < 0.2:
        c["idle"] = rnd.randint(0, 1)
    if machine.version("cpuset", "cpuset"):
        if rnd.random() < 0.3:
            c["cpus"] = spell_set(rnd, rnd.sample(machine.cpus, rnd.randint(1, len(machine.cpus))))
        if rnd.random() < 0.2:
            c["mems"] = spell_set(rnd, rnd.sample(machine.mems, rnd.randint(1, len(machine.mems))))
    return c


def make_memory(rnd, machine, have):
    m = {}
    v1 = machine.version("memory", "memory") == 1
    if rnd.random() < 0.7:
        m["limit"] = rnd.choice([-1, 16 * MiB, 2**63 - 1, log_uniform(rnd, 16 * MiB, 1 << 40), log_uniform(rnd, 16 * MiB, 1 << 40)])
    swap_file = "memory.memsw.limit_in_bytes" if v1 else "memory.swap.max"
    if have(swap_file) and rnd.random() < 0.4:
        limit = m.get("limit", -1)
        m["swap"] = rnd.choice([-1, limit, limit + log_uniform(rnd, 1, 1 << 32)]) if 0 <= limit < 2**62 else -1
    if rnd.random() < 0.3:
        m["reservation"] = rnd.choice([-1, 0, log_uniform(rnd, 1, 1 << 40)])
    if v1 and rnd.random() < 0.2:
        m["swappiness"] = rnd.randint(0, 100)
    if v1 and rnd.random() < 0.2:
        m["kernelTCP"] = rnd.choice([-1, log_uniform(rnd, PAGE, 1 << 40)])
    if rnd.random() < 0.2:
        m["disableOOMKiller"] = v1 and rnd.random() < 0.5
    if rnd.random() < 0.1:
        m["useHierarchy"] = True
    if rnd.random() < 0.1:
        m["checkBeforeUpdate"] = rnd.random() < 0.5
    return m


def make_io(rnd, machine, have):
    b = {}
    least = 2 if machine.version("blkio", "io") == 2 else 1  # not every io.max takes a 1
    for key in IO_KEYS:
        if machine.disks and rnd.random() < 0.3:
            most = 2**32 if "IOPS" in key else 2**64
            disks = rnd.sample(machine.disks, rnd.randint(1, min(2, len(machine.disks))))
            b[key] = [{"major": int(d.split(":")[0]), "minor": int(d.split(":")[1]),
                       "rate": rnd.choice([0, least, most - 1, 2**64 - 1, log_uniform(rnd, 2, 1 << 31)])} for d in disks]
    files = ("blkio.bfq.weight",) if machine.version("blkio", "io") == 1 else ("io.bfq.weight", "io.weight")
    if any(have(f) for f in files) and rnd.random() < 0.3:
        b["weight"] = rnd.choice([10, 1000, rnd.randint(10, 1000)])
    return b


def make_unified(rnd, machine):
    choices = {"cgroup.max.depth": str(rnd.randint(1, 100)), "cgroup.max.descendants": rnd.choice(["max", "0", "17"])}
    if "memory" in machine.v2_controllers:
        choices.update({"memory.high": rnd.choice(["max", f"{rnd.randint(32, 999)}M", str(log_uniform(rnd, 32 * MiB, 1 << 40))]),
                        "memory.min": str(rnd.randint(0, MiB)), "memory.oom.group": str(rnd.randint(0, 1))})
    return {k: choices[k] for k in rnd.sample(sorted(choices), rnd.randint(1, min(2, len(choices))))}


def make_valid(rnd, machine, have):
    res = {}
    if machine.version("cpu", "cpu") and rnd.random() < 0.5:
        res["cpu"] = make_cpu(rnd, machine)
    if machine.version("memory", "memory") and rnd.random() < 0.5:
        res["memory"] = make_memory(rnd, machine, have)
    if machine.version("pids", "pids") and rnd.random() < 0.4:
        res["pids"] = {"limit": rnd.choice([-1, 0, 1, PIDS_MAX, rnd.randint(2, PIDS_MAX)])}
    if machine.version("blkio", "io") and rnd.random() < 0.3:
        res["blockIO"] = make_io(rnd, machine, have)
    if machine.version("hugetlb", "hugetlb") and machine.huge and rnd.random() < 0.2:
        sizes = rnd.sample(sorted(machine.huge), rnd.randint(1, len(machine.huge)))
        res["hugepageLimits"] = [{"pageSize": s, "limit": rnd.choice([0, machine.huge[s] - 1, rnd.randint(0, 1 << 40), 2**63 - 1])} for s in sizes]
    if machine.v2 and rnd.random() < 0.15:
        res["unified"] = make_unified(rnd, machine)
    return res


def invalid_choices(rnd, machine):
    """[(resources, path, words that the error must have)]: each can't be had on this host."""
    cpu, memory, io = machine.version("cpu", "cpu"), machine.version("memory", "memory"), machine.version("blkio", "io")
    no_disk = {"major": 8, "minor": rnd.randint(200, 255), "rate": 5}
    cpu_after = max(machine.cpus) + 1 + rnd.randint(0, 5)
    found = [
        ({"cpu": {"quota": 5000, "burst": rnd.randint(5001, 9999)}}, "cpu.burst", ["5000"]),
        ({"cpu": {"idle": 2}}, "cpu.idle", ["2"]),
        ({"memory": {"limit": -2}}, "memory.limit", ["-2"]),
        ({"memory": {"swappiness": rnd.randint(101, 999)}}, "memory.swappiness", []),
        ({"blockIO": {"leafWeight": 500}}, "blockIO.leafWeight", ["500", "leaf"]),
        ({"blockIO": {"weight": rnd.choice([9, 1001])}}, "blockIO.weight", []),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "hugepageLimits[0]", ["3MB"]),
        ({"hugepageLimits": [{"pageSize": "2 MB", "limit": 1}]}, "hugepageLimits[0].pageSize", ["2 MB"]),
        ({"rdma": {"nodev0": {"hcaHandles": 3}}}, "rdma", ["rdma"]),
        ({"unified": {"cgroup.procs": "1"}}, "unified.cgroup.procs", ["processes"]),
        ({"unified": {"cgroup.type": "threaded"}}, "unified.cgroup.type", ["processes"]),
        ({"unified": {"nocontroller.max": "1"}}, "unified.nocontroller.max", ["nocontroller"]),
        ({"devices": [{"allow": True, "type": "c", "major": 4096, "access": "r"}]}, "devices[0].major", ["4096"]),
        ({"devices": [{"allow": True, "access": "x"}]}, "devices[0].access", ["x"]),
    ]
    if cpu:
        found += [({"cpu": {"period": rnd.choice([1, 999, 1000001])}}, "cpu.period", ["cpu."]),
                  ({"cpu": {"quota": rnd.randint(1, 999)}}, "cpu.quota", ["cpu."]),
                  ({"cpu": {"realtimeRuntime": 5000}}, "cpu.realtimeRuntime", ["5000"])]
    if machine.version("cpuset", "cpuset"):
        found += [({"cpu": {"cpus": f"{cpu_after}"}}, "cpu.cpus", ["cpuset.cpus", str(cpu_after)]),
                  ({"cpu": {"cpus": "0-x"}}, "cpu.cpus", ["0-x"]),
                  ({"cpu": {"mems": f"{max(machine.mems) + 1}"}}, "cpu.mems", ["cpuset.mems"])]
    if memory:
        found += [({"memory": {"limit": 32 * MiB, "swap": rnd.randint(0, 32 * MiB - 1)}}, "memory.swap", [str(32 * MiB)]),
                  ({"memory": {"swap": rnd.randint(1, 1 << 40)}}, "memory.swap", ["limit of memory"]),
                  ({"memory": {"useHierarchy": False}}, "memory.useHierarchy", ["false"])]
    else:
        found.append(({"memory": {"limit": 32 * MiB}}, "memory.limit", ["needs the controller memory"]))
    if memory and kernel() >= (5, 16):
        found.append(({"memory": {"kernel": 64 * MiB}}, "memory.kernel", [str(64 * MiB), "kernel memory"]))
    if memory == 2:
        found += [({"memory": {"kernelTCP": 64 * MiB}}, "memory.kernelTCP", [str(64 * MiB)]),
                  ({"memory": {"swappiness": 60}}, "memory.swappiness", ["60"]),
                  ({"memory": {"disableOOMKiller": True}}, "memory.disableOOMKiller", ["true"]),
                  ({"unified": {"memory.unheard_of": "7"}}, "unified.memory.unheard_of", ["memory.unheard_of = 7"]),
                  ({"unified": {"memory.high": "much"}}, "unified.memory.high", ["memory.high = much"])]
    if machine.version("pids", "pids"):
        found.append(({"pids": {"limit": PIDS_MAX + 1}}, "pids.limit", [f"pids.max = {PIDS_MAX + 1}"]))
    if io:
        found += [({"blockIO": {key: [no_disk]}}, f"blockIO.{key}[0]", [f"8:{no_disk['minor']}"]) for key in IO_KEYS]
    if io == 2 and machine.disks and kernel() < (7, 0):  # 6.1 refuses it, 7.3 takes it
        major, minor = map(int, machine.disks[0].split(":"))
        found.append(({"blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": 1}]}}, "blockIO.throttleReadBpsDevice[0]",
                      ["rbps=1", "2 or more"]))
    for controller, res, path in (("net_cls", {"classID": 1048577}, "network.classID"),
                                  ("net_prio", {"priorities": [{"name": "lo", "priority": 1}]}, "network.priorities")):
        if not is_v1(controller):
            found.append(({"network": res}, path, [controller]))
    return found


def merge(into, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
    return into


def make_document(index, machine, have):
    """(document, None) or (document, (path, words))"""
    rnd = random.Random(SEED * 100003 + index)
    if rnd.random() >= INVALID_SHARE:
        return make_valid(rnd, machine, have), None
    res, path, words = rnd.choice(invalid_choices(rnd, machine))
    # Beside valid ones of other controllers, which must not be left either.
    valid = {k: v for k, v in make_valid(rnd, machine, have).items() if k not in res}
    return merge(valid, res), (RES + path, words)


# ---- the comparison ----

class Bench:
    """One bundle, create and delete again and again."""

    def __init__(self, container):
        self.machine = Machine()
        c = self.container = container()
        config = make_config(c.cgroup, args=["/bin/true"])
        config["mounts"] = []
        config["linux"] = {"namespaces": [{"type": "pid"}, {"type": "mount"}], "cgroupsPath": c.cgroup}
        config.pop("hostname")
        self.config = config
        self.tables = {}
        for table, version in ((FILES_V1, 1), (FILES_V2, 2)):
            for controller, files in table.items():
                there = is_v1(controller) if version == 1 else controller in (*self.machine.v2_controllers, "cgroup") and self.machine.v2
                if there:
                    self.tables[controller] = files
        self.create({})
        self.baseline = self.read()
        self.delete()

    def have(self, file):
        return any(name == file for _, name in self.baseline)

    def path(self, controller):
        top = self.machine.v2 if controller == "cgroup" else cgroup_dir(controller)
        return top / self.container.cgroup.lstrip("/")

    def read_one(self, controller, file):
        try:
            text = (self.path(controller) / file).read_text()
        except OSError:
            return None
        if file == "memory.oom_control":
            return text.split("\n")[0]
        lines = text.rstrip("\n").split("\n")
        if file in ("io.max", "devices.list") or file.endswith("_device"):
            return sorted(line for line in lines if line)
        return "\n".join(lines)

    def read(self):
        found = {}
        for controller, files in self.tables.items():
            for file in files:
                text = self.read_one(controller, file)
                if text is not None:
                    found[controller, file] = text
        return found

    def create(self, resources):
        self.config["linux"]["resources"] = resources
        self.container.bundle.write(self.config)
        return self.container.runtime.call("create", "--bundle", self.container.bundle.path, self.container.id)

    def delete(self):
        self.container.runtime("delete", "--force", self.container.id)

    def left(self):
        name = self.container.cgroup.lstrip("/")
        return [str(h / name) for h in snapshot.hierarchies() if (h / name).exists()] + self.container.runtime.ids()

    def check_valid(self, res):
        r = self.create(res)
        if r.rc != 0:
            return [f"refused: {r.err}"]
        want = expected(res, self.machine, self.have)
        problems = []
        for (controller, file), text in {**self.baseline, **want}.items():
            got = self.read_one(controller, file)
            if text is not None and got != text and not (isinstance(text, str) and text.startswith("default ") and
                                                         (got or "").split("\n")[0] == text):
                problems.append(f"{file} reads {got!r}, expected {text!r}" + ("" if (controller, file) in want else " (as without resources)"))
        self.delete()
        return problems

    def check_invalid(self, path, words):
        r = self.create(self.config["linux"]["resources"])
        if r.rc == 0:
            self.delete()
            return ["accepted"]
        problems = []
        if not re.fullmatch(r"hull: [^\n]*\n", r.err) or path not in r.err or [w for w in words if w not in r.err]:
            problems.append(f"the error doesn't name {path} and {words}: {r.err}")
        return problems

    def check(self, index):
        res, fault = make_document(index, self.machine, self.have)
        self.config["linux"]["resources"] = res
        problems = self.check_invalid(*fault) if fault else self.check_valid(res)
        problems += [f"left behind: {x}" for x in self.left()]
        return [f"document {index} of seed {SEED}: {json.dumps(res)}: {p}" for p in problems], fault is None


def check_documents(container, indices):
    bench = Bench(container)
    problems, valid, total = [], 0, 0
    for index in indices:
        found, ok = bench.check(index)
        problems += found
        valid += ok
        total += 1
        if len(problems) > 10:
            break
    assert not problems, "\n".join(problems)
    if total >= 30:
        assert total // 3 < valid < total, "neither kind is rare"


@pytest.mark.hull_only(reason="peers leave out in silence what they can't do")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_documents(container, chunk):
    check_documents(container, range(chunk, COUNT, CHUNKS))


@pytest.mark.kernel
@pytest.mark.hull_only(reason="peers leave out in silence what they can't do")
def test_a_sample_of_random_documents(container):
    """Others than those above."""
    check_documents(container, range(10**6, 10**6 + 25))


# ---- the examples of docs/resources.md ----

@pytest.mark.hull_only(reason="our document")
@pytest.mark.parametrize("prop,example", examples.EXAMPLES)
def test_example_of_the_document(container, hull, tmp_path, weighing_disk, prop, example):
    """The column of this machine's layout, in a container."""
    example = examples.here(example)
    steps = examples.planned(tmp_path / "plan", prop, example)
    c = container(args=["/bin/true"], linux={"resources": examples.resources(prop, example)})
    r = hull.call("create", "--bundle", c.bundle.path, c.id)
    if isinstance(steps, str):
        examples.check_refusal(steps, r)
        assert hull.ids() == []
        return
    examples.skip_if_lacking(prop, example, r)
    assert r.rc == 0, r.err
    examples.check_files(c.cgroup, steps)
