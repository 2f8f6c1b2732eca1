# SPDX-License-Identifier: Apache-2.0
"""Properties of config.json: what is asked for, and what a process in the container must see then. test_properties.py runs each row as root and as an ordinary user;
tools/properties-doc compares the table with docs/properties.md."""
import os
from dataclasses import dataclass
from typing import Any, Callable

from .config import bind, tmpfs
from .filters import FLAG_LOG, flags_of
from .programs import PROBE_CALLS
from .rootless import UID


@dataclass
class Row:
    paths: str                    # properties, with the wildcards of docs/properties.md
    change: Any                   # merged into the configuration, or called with it
    see: Callable                 # (what the probe says, container) → what is there
    wanted: Any                   # that must be it; called with the container when it can be
    args: tuple = ()              # more for the probe
    exec: bool = False            # the probe is run by exec, while the container runs
    refused: str = ""             # to an ordinary user: the error (regular expression)
    own: str = ""                 # the same, where nothing but the user's own id is mapped
    root: bool = True             # False: as root it needs more than a configuration, and has a test of its own


def put(mount):
    return lambda config: config["mounts"].append(mount)


def mounted(at):
    """Options, file-system type, source of what is mounted there."""
    def see(seen, _):
        line, = (m for m in seen["mountinfo"] if m.split()[4] == at)
        left, right = line.split(" - ")
        return left.split()[5].split(","), right.split()[0], right.split()[1]
    return see


def of(*keys):
    def see(seen, _):
        for k in keys:
            seen = seen[k]
        return seen
    return see


def mask(*bits):
    return f"{sum(1 << b for b in bits):016x}"


CHOWN, KILL = 0, 5
CAPS = {"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
USER = {"uid": 7, "gid": 8, "additionalGids": [9, 10], "umask": 0o037}
EXDEV = 18
RULES = [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
         # calls that the probe makes with zeros: the first two conditions hold
         *({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 2, "args": [condition]} for name, condition in (
             ("sync", {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}), ("syncfs", {"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}),
             ("sched_yield", {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"})))]
SYNC, SYNCFS, SCHED_YIELD, MKDIR_I386 = 162, 306, 24, 39


def filtered(*rules, default="SCMP_ACT_ALLOW", **more):
    return {"linux": {"seccomp": {"defaultAction": default, "syscalls": list(rules), **more}}}


def errnos(*actions):
    return lambda seen, _: [seen[a]["errno"] for a in actions]


NO_CGROUP = (r": (needs the file \S+ of (controller [\w,]+|cgroup v2), where the caller may make no cgroup: delegate one \(.*\)"
             r"|needs the controller \w+(: no mounted cgroup( v1)? hierarchy has it(, neither v1 nor v2)?|, which cgroup v2 doesn't know)"
             r"|there is no cgroup v2 hierarchy on this host|the cgroup v2 hierarchy has no controller \w+: it is on cgroup v1)")


def numbers(text):
    return [list(map(int, line.split())) for line in text]


def maps_of(c):
    return [[[m["containerID"], m["hostID"], m["size"]] for m in c.config["linux"][k]] for k in ("uidMappings", "gidMappings")]


def with_offsets(config):
    config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = {"monotonic": {"secs": 7, "nanosecs": 5}, "boottime": {"secs": 1000000, "nanosecs": 0}}


def identity(c):
    st = os.stat(c.bundle.rootfs)
    return st.st_ino, st.st_dev


def mapped_bind(config):
    mapping = [{"containerID": 0, "hostID": UID, "size": 1}]
    config["mounts"].append({**bind("rootfs/etc", "/tmp"), "uidMappings": mapping, "gidMappings": mapping})


ROWS = [
    Row("root.path", {}, lambda s, _: (s["root"]["ino"], s["root"]["dev"]), identity),
    Row("root.readonly", {"root": {"readonly": True}, "hooks": {"createContainer": [{"path": "/bin/true"}]}}, of("mkdir /x", "errno"), "EROFS", args=("--mkdir", "/x")),
    Row("root.readonly", {"root": {"readonly": True}}, of("mkdir /x", "errno"), "EROFS", args=("--mkdir", "/x")),
    Row("mounts[].destination, mounts[].type, mounts[].options", put(tmpfs("/tmp", "nosuid", "noexec", "size=64k", "mode=710")),
        lambda s, c: (mounted("/tmp")(s, c)[1], {"nosuid", "noexec"} <= set(mounted("/tmp")(s, c)[0]), s["stat /tmp"]["mode"]), ("tmpfs", True, 0o710),
        args=("--stat", "/tmp")),
    Row("mounts[].source", put(bind("rootfs/etc", "/tmp", "ro")), lambda s, c: (s["stat /tmp"]["ino"], "ro" in mounted("/tmp")(s, c)[0]),
        lambda c: (os.stat(c.bundle.rootfs / "etc").st_ino, True), args=("--stat", "/tmp")),
    Row("mounts[].uidMappings*, mounts[].gidMappings*", mapped_bind, None, None, root=False, refused=r"bind /tmp: map its ids \(mounts\[\d+\]\): operation not permitted .*"),
    Row("process.cwd", {"process": {"cwd": "/var"}}, of("cwd", "path"), "/var"),
    Row("process.env", {"process": {"env": ["A=1", "B=x y", "HOME=/h"]}}, of("env"), ["A=1", "B=x y", "HOME=/h"]),
    Row("process.args", {}, of("argv"), ["/bin/probe", "--stat", "/a b"], args=("--stat", "/a b")),
    Row("process.rlimits*", {"process": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096}]}},
        lambda s, _: [s["rlimits"][n] for n in ("RLIMIT_NOFILE", "RLIMIT_CORE")], [[100, 200], [0, 4096]]),
    Row("process.capabilities*", {"process": {"capabilities": CAPS}}, lambda s, _: [s["status"][n] for n in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")],
        # execve of a program without file capabilities by root: all of bounding and inheritable
        [mask(CHOWN, KILL), mask(CHOWN, KILL), mask(CHOWN, KILL), mask(KILL), mask(KILL)]),
    Row("process.noNewPrivileges", {"process": {"noNewPrivileges": False}}, of("nnp"), 0),
    Row("process.noNewPrivileges", {"process": {"noNewPrivileges": True}}, of("nnp"), 1),
    Row("process.oomScoreAdj", {"process": {"oomScoreAdj": 500}}, of("oom_score_adj"), 500),
    Row("process.scheduler.policy, process.scheduler.nice, process.scheduler.flags", {"process": {"scheduler": {"policy": "SCHED_BATCH", "nice": 19, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}}},
        lambda s, _: [s["sched"][n] for n in ("policy", "nice", "flags")], [3, 19, 1]),
    *(Row("process.scheduler.priority, process.scheduler.runtime, process.scheduler.deadline, process.scheduler.period", {"process": {"scheduler": wanted}},
          None, None, root=False, refused=r"set the scheduling policy (\(on cgroup v1 it needs a cpu\.realtimeRuntime\) )?\(process\.scheduler\): operation not permitted")
      for wanted in ({"policy": "SCHED_RR", "priority": 1}, {"policy": "SCHED_DEADLINE", "runtime": 2000000, "deadline": 20000000, "period": 20000000})),
    Row("process.ioPriority*", {"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}}, of("sched", "ioprio"), 2 << 13 | 6),
    Row("process.execCPUAffinity*", {"process": {"execCPUAffinity": {"initial": "0", "final": "0"}}}, of("status", "Cpus"), "0", exec=True),
    Row("process.user.uid, process.user.gid, process.user.umask, process.user.additionalGids", {"process": {"user": USER}},
        lambda s, _: (s["uid"], s["gid"], s["groups"], s["umask"]), ([7] * 3, [8] * 3, [9, 10], 0o037),
        own=r"process\.user\.additionalGids: must be empty: the user namespace forbids setgroups .*"),
    Row("hostname, domainname", {"hostname": "in-there", "domainname": "dom"}, lambda s, _: (s["hostname"], s["domainname"]), ("in-there", "dom")),
    Row("annotations", {"annotations": {"a.b": "c"}}, lambda _, c: c.runtime("state", c.id).json()["annotations"], {"a.b": "c"}, exec=True),
    Row("linux.namespaces*", {}, lambda s, _: sorted(k for k, v in s["ns"].items() if v != os.readlink(f"/proc/self/ns/{k}") and k != "user"),
        ["cgroup", "ipc", "mnt", "net", "pid", "uts"]),
    Row("linux.timeOffsets*", with_offsets, lambda s, _: [line.split()[1:] for line in s["timens_offsets"]], [["7", "5"], ["1000000", "0"]]),
    Row("linux.netDevices*", {"linux": {"netDevices": {"lo0": {"name": "x"}}}}, None, None, root=False,
        refused=r"linux\.netDevices: must not be there: a caller without CAP_NET_ADMIN can't move devices of the host"),
    Row("linux.resources.pids*", {"linux": {"resources": {"pids": {"limit": 9}}}}, None, None, root=False, refused=r"linux\.resources\.pids\.limit" + NO_CGROUP),
    Row("linux.resources.cpu*", {"linux": {"resources": {"cpu": {"shares": 512}}}}, None, None, root=False, refused=r"linux\.resources\.cpu\.shares" + NO_CGROUP),
    Row("linux.resources.memory*", {"linux": {"resources": {"memory": {"limit": 1 << 26}}}}, None, None, root=False, refused=r"linux\.resources\.memory\.limit" + NO_CGROUP),
    Row("linux.resources.unified", {"linux": {"resources": {"unified": {"pids.max": "9"}}}}, None, None, root=False, refused=r"linux\.resources\.unified\.pids\.max" + NO_CGROUP),
    *(Row(f"linux.resources.{kind}*", {"linux": {"resources": {kind: wanted}}}, None, None, root=False, refused=rf"linux\.resources\.{kind}{place}" + NO_CGROUP)
      for kind, wanted, place in (("blockIO", {"weight": 500}, r"\.weight"), ("hugepageLimits", [{"pageSize": "2MB", "limit": 0}], r"\[0\]"),
                                  ("network", {"classID": 7}, r"\.classID"), ("network", {"priorities": [{"name": "lo", "priority": 7}]}, r"\.priorities(\[0\])?"),
                                  ("rdma", {"mlx5_0": {"hcaHandles": 3}}, r"(\.mlx5_0)?"))),
    Row("linux.memoryPolicy*", {"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}}},
        lambda s, _: (s["sched"]["mempolicy"], s["sched"]["nodes"]), (2 | 1 << 15, 1)),
    Row("linux.sysctl", {"linux": {"sysctl": {"net.ipv4.ip_default_ttl": "33", "kernel.shmmni": "77"}}},
        lambda s, _: [s[f"sysctl {n}"]["text"] for n in ("net.ipv4.ip_default_ttl", "kernel.shmmni")], ["33\n", "77\n"],
        args=("--sysctl", "net.ipv4.ip_default_ttl", "--sysctl", "kernel.shmmni")),
    Row("linux.seccomp.defaultAction, linux.seccomp.defaultErrnoRet",
        filtered({"names": PROBE_CALLS, "action": "SCMP_ACT_ALLOW"}, default="SCMP_ACT_ERRNO", defaultErrnoRet=EXDEV), errnos("mkdir /tmp/x"), ["EXDEV"], args=("--mkdir", "/tmp/x")),
    Row("linux.seccomp.architectures", filtered(RULES[0], architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]), errnos(f"call32 {MKDIR_I386}"), ["EIO"],
        args=("--call32", str(MKDIR_I386))),
    Row("linux.seccomp.flags", filtered(RULES[0], flags=["SECCOMP_FILTER_FLAG_LOG"]), lambda _, c: flags_of(c.pid), FLAG_LOG, exec=True),
    Row("linux.seccomp.syscalls*", filtered(*RULES), errnos("mkdir /tmp/x", f"call {SYNC}", f"call {SYNCFS}", f"call {SCHED_YIELD}"), ["EIO", "ENOENT", "ENOENT", "0"],
        args=("--mkdir", "/tmp/x", "--call", str(SYNC), "--call", str(SYNCFS), "--call", str(SCHED_YIELD))),
    Row("linux.rootfsPropagation", {"linux": {"rootfsPropagation": "shared"}}, lambda s, _: any(m.split()[4] == "/" and "shared:" in m for m in s["mountinfo"]), True),
    Row("linux.maskedPaths", {"linux": {"maskedPaths": ["/etc/passwd", "/var"]}}, lambda s, _: (s["read /etc/passwd"]["text"], s["list /var"]), ("", {}),
        args=("--read", "/etc/passwd", "--list", "/var")),
    Row("linux.readonlyPaths", {"linux": {"readonlyPaths": ["/tmp", "/etc/group"]}}, lambda s, _: (s["mkdir /tmp/x"]["errno"], "ro" in mounted("/etc/group")(s, None)[0]), ("EROFS", True),
        args=("--mkdir", "/tmp/x")),
    Row("linux.personality*", {"linux": {"personality": {"domain": "LINUX32"}}}, of("sched", "personality"), 8),
]

# With a user namespace of the container's own, which root needs not have.
USERNS_ROWS = [
    Row("linux.uidMappings*, linux.gidMappings*", {}, lambda s, _: [numbers(s["uid_map"]), numbers(s["gid_map"])], maps_of),
]
