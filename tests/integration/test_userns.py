# SPDX-License-Identifier: Apache-2.0
"""User namespaces: new and joined, with every other namespace new, joined and the caller's; what is mapped, who owns what."""
import fcntl
import itertools
import json
import os
import re
import stat
import subprocess
import time
from pathlib import Path

import pytest
from harness.config import DELETE, DEV, MOUNTS, PROC, bind, tmpfs, userns
from harness.mountinfo import at
from harness.needs import needs, skip_without

pytestmark = pytest.mark.hull_only(reason="the tests look at what peers do otherwise: owners of nodes, locked mounts, texts of errors")

KIND = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}
NS_GET_USERNS = 0xb701
PLACE = r"(?: \(config\.json:\d+:\d+\))?"
JOINED_PROC = needs("proc of a joined pid namespace (Linux 6.17)")
OUT = 100000  # the container's root, seen from the host


def own(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


def owner_of(path):
    """The user namespace that owns the namespace at `path`, as the link's text."""
    with open(path) as ns:
        fd = fcntl.ioctl(ns, NS_GET_USERNS)
    try:
        return f"user:[{os.fstat(fd).st_ino}]"
    finally:
        os.close(fd)


def changes(*without, **how):
    found = {"linux": userns(*without, **how)}
    if "uts" in without or "uts" in how:
        found["hostname"] = DELETE
    return found


def other(tmp_path, *kinds, maps="0 200000 1000"):
    """A process in namespaces of its own, as a pod's infra container would hold them."""
    flags = [f"--{k}" for k in kinds]
    p = subprocess.Popen(["unshare", *flags, "sleep", "100"])
    deadline = time.monotonic() + 5
    while os.readlink(f"/proc/{p.pid}/ns/{kinds[0]}") == own(kinds[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if "user" in kinds:
        Path(f"/proc/{p.pid}/uid_map").write_text(maps + "\n")
        Path(f"/proc/{p.pid}/gid_map").write_text(maps + "\n")
    return p


@pytest.fixture
def pod(tmp_path):
    held = []

    def make(*kinds, **how):
        held.append(other(tmp_path, *kinds, **how))
        return held[-1].pid
    yield make
    for p in held:
        p.kill()
        p.wait()


# --- the namespaces ---

def test_new_with_all_others(container):
    c = container(args=["/bin/sleep", "100"], **changes())
    c.detach()
    user = os.readlink(f"/proc/{c.pid}/ns/user")
    assert user != own("user")
    for kind in KIND.values():
        path = f"/proc/{c.pid}/ns/{kind}"
        assert os.readlink(path) != own(kind), kind
        assert owner_of(path) == user, f"{kind} belongs to the container's user namespace"
    assert Path(f"/proc/{c.pid}/uid_map").read_text().split() == ["0", "100000", "65536"]
    assert Path(f"/proc/{c.pid}/gid_map").read_text().split() == ["0", "100000", "65536"]
    status = Path(f"/proc/{c.pid}/status").read_text()
    assert f"Uid:\t{OUT}\t{OUT}\t{OUT}\t{OUT}\n" in status and f"Gid:\t{OUT}\t{OUT}\t{OUT}\t{OUT}\n" in status
    assert "\nPPid:" in status and "NSpid:\t%d\t1\n" % c.pid in status


SHARED = [c for n in (1, 2) for c in itertools.combinations(["pid", "network", "ipc", "uts", "cgroup"], n)] + [
    ("pid", "network", "ipc", "uts", "cgroup")]


@pytest.mark.parametrize("shared", SHARED, ids="-".join)
def test_others_are_the_callers(container, shared):
    seen = container(**changes(*shared)).probe()
    assert seen["ns"]["user"] != own("user")
    for t, kind in KIND.items():
        assert (seen["ns"][kind] == own(kind)) == (t in shared), t
    assert seen["uid"] == [0, 0, 0] and seen["uid_map"][0].split() == ["0", "100000", "65536"]
    # Each of the usual mounts is there and of its own kind.
    for place, kind in (("/proc", "proc"), ("/sys", "sysfs"), ("/dev/mqueue", "mqueue"), ("/dev", "tmpfs"), ("/dev/pts", "devpts")):
        assert at(seen, place).fstype == kind, place


@pytest.mark.parametrize("joined", [pytest.param("pid", marks=JOINED_PROC), "network", "ipc", "uts", "cgroup"])
@pytest.mark.parametrize("apart", [True, False], ids=["of-another-userns", "of-the-hosts"])
def test_new_user_namespace_and_another_joined(container, joined, apart):
    first = container(args=["/bin/sleep", "100"], **(changes() if apart else {}))
    first.detach()
    path = f"/proc/{first.pid}/ns/{KIND[joined]}"
    seen = container(**changes(**{joined: path})).probe()
    assert seen["ns"][KIND[joined]] == os.readlink(path)
    assert seen["ns"]["user"] not in (own("user"), os.readlink(f"/proc/{first.pid}/ns/user"))
    if joined == "pid":
        assert seen["status"]["NSpid"].split()[-1] == str(seen["pid"]) != "1"


POD_SETS = [("user",), ("user", "net"), ("user", "net", "ipc", "uts"), pytest.param(("user", "net", "ipc", "uts", "pid"), marks=JOINED_PROC)]


@pytest.mark.parametrize("kinds", POD_SETS, ids="-".join)
@pytest.mark.parametrize("said", [True, False], ids=["mappings", "no-mappings"])
def test_joined_user_namespace(container, kinds, said):
    """What podman's pods do."""
    infra = container(args=["/bin/sleep", "100"], **changes())
    infra.detach()
    types = {v: k for k, v in KIND.items()} | {"user": "user"}
    joined = changes(**{types[k]: f"/proc/{infra.pid}/ns/{k}" for k in kinds})
    if said:
        joined["linux"] |= {k: userns()[k] for k in ("uidMappings", "gidMappings")}
    c = container(args=["/bin/sleep", "100"], **joined)
    c.detach()
    for kind in [*KIND.values(), "user"]:
        same = os.readlink(f"/proc/{c.pid}/ns/{kind}") == os.readlink(f"/proc/{infra.pid}/ns/{kind}")
        assert same == (kind in kinds), kind
    seen = c.exec(c.id, "/bin/probe").json()
    assert seen["uid_map"][0].split() == ["0", "100000", "65536"]
    assert seen["ns"]["user"] == os.readlink(f"/proc/{infra.pid}/ns/user")
    assert {n for n in seen["net"]} == {"lo"}


def test_joined_user_namespace_of_nobody_of_ours(container, pod):
    pid = pod("user", "net")
    seen = container(**changes(user=f"/proc/{pid}/ns/user", network=f"/proc/{pid}/ns/net")).probe()
    assert seen["uid_map"][0].split() == ["0", "200000", "1000"]
    assert seen["dev"]["null"]["uid"] == 0


def test_joined_mappings_that_are_wrong(container, pod):
    c = container(**changes(user=f"/proc/{pod('user')}/ns/user"))
    c.rewrite(linux={k: userns()[k] for k in ("uidMappings", "gidMappings")})
    c.fails("create", match=r"config\.json: linux\.uidMappings: the user namespace maps 0 to 200000, not to 100000")


def test_joined_is_the_hosts(container):
    c = container(**changes(user="/proc/self/ns/user"))
    c.fails("create", match=r'config\.json: linux\.namespaces\[6\]\.path: .*"/proc/self/ns/user" is the host\'s own user namespace.*')


def test_joined_of_the_wrong_kind(container):
    c = container(**changes(user="/proc/self/ns/net"))
    c.fails("create", match=r'config\.json: linux\.namespaces\[6\]\.path: .*"/proc/self/ns/net" is a namespace of type "network", not "user"')


def test_joined_without_a_root(container, pod):
    pid = pod("user", maps="1000 300000 10")
    c = container(**changes(user=f"/proc/{pid}/ns/user"))
    c.fails("create", match=r"(config\.json|create .*): the user namespace maps no id 0, as which the container is set up.*")


@needs("detached mounts that stay (not on Linux 7.3)")
@pytest.mark.parametrize("mount", ["inherited", "joined"])
@pytest.mark.parametrize("pid", ["new", "host"])
def test_without_a_mount_namespace_of_its_own(container, mount, pid):
    if (mount, pid) == ("joined", "new"):
        skip_without("proc of a joined pid namespace (Linux 6.17)")  # the holder's proc is masked: the kernel makes no other one in there
    holder = container(args=["/bin/sleep", "100"])
    holder.detach()
    path = f"/proc/{holder.pid}/ns/mnt" if mount == "joined" else None
    without = ["mount"] + (["pid"] if pid == "host" else [])
    linux = changes(*without, **({"mount": path} if path else {}))
    c = container(args=["/bin/sleep", "100"], mounts=[PROC, DEV], **linux)
    c.detach()
    expected = os.readlink(path) if path else own("mnt")
    assert os.readlink(f"/proc/{c.pid}/ns/mnt") == expected
    seen = c.exec(c.id, "/bin/probe", "--read", "/etc/passwd").json()
    assert seen["ns"]["mnt"] == expected and seen["uid_map"][0].split()[1] == "100000"
    assert seen["read /etc/passwd"]["text"].startswith("root:x:0:0:root")


# --- mappings ---

def test_many_lines(container):
    """runc and crun's helper stop at less; the kernel takes 340."""
    maps = [{"containerID": i * 2, "hostID": 100000 + i * 3, "size": 1} for i in range(300)]
    seen = container(mounts=[PROC, DEV], **changes(maps=maps)).probe()
    assert len(seen["uid_map"]) == 300 and len(seen["gid_map"]) == 300
    assert seen["uid_map"][299].split() == ["598", "100897", "1"]


def test_neighbours_are_one_line(container):
    maps = [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(340)]
    assert container(**changes(maps=maps)).probe()["uid_map"][0].split() == ["0", "100000", "340"]


BAD_MAPS = {
    "too many": ([{"containerID": i * 2, "hostID": i * 2 + 100000, "size": 1} for i in range(341)],
                 r"linux\.uidMappings: 341 mappings — the kernel takes at most 340"),
    "too long": ([{"containerID": 0, "hostID": 0, "size": 1}] + [{"containerID": 1000000000 + i * 2, "hostID": 2000000000 + i * 3, "size": 1}
                                                               for i in range(339)],
                 r"linux\.uidMappings: 340 mappings are more text than the kernel takes: at most 4095 bytes"),
    "nothing": ([], r"linux\.uidMappings: is needed for a new user namespace.*"),
    "size 0": ([{"containerID": 0, "hostID": 1, "size": 0}], r"linux\.uidMappings\[0\]\.size: 0 — must be at least 1"),
    "no root": ([{"containerID": 1, "hostID": 1, "size": 10}], r"linux\.uidMappings: maps no container id 0.*"),
    "overlap inside": ([{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 9, "hostID": 100, "size": 1}],
                       r"linux\.uidMappings\[1\]\.containerID: 9 — linux\.uidMappings\[0\] maps it already|"
                       r"linux\.uidMappings\[1\]\.containerID: 9 — uidMappings\[0\] maps it already"),
    "overlap outside": ([{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 20, "hostID": 10, "size": 5}],
                        r"linux\.uidMappings\[1\]\.hostID: 10 — uidMappings\[0\] maps to it already"),
    "beyond the end": ([{"containerID": 0, "hostID": 4294967290, "size": 10}],
                       r"linux\.uidMappings\[0\]\.hostID: 4294967290 — .*"),
}


@pytest.mark.parametrize("case", BAD_MAPS)
def test_bad_mappings(container, case):
    maps, match = BAD_MAPS[case]
    c = container(**changes(maps=maps))
    c.fails("create", match=rf"config\.json: (?:{match}){PLACE}")


def test_mappings_without_a_user_namespace(container):
    c = container(linux={"uidMappings": userns()["uidMappings"]})
    c.fails("create", match=r"config\.json: linux\.uidMappings: id mappings need a user namespace in linux\.namespaces" + PLACE)


@pytest.mark.parametrize("user, where, number", [
    ({"uid": 65536, "gid": 0}, "uid", 65536), ({"uid": 0, "gid": 70000}, "gid", 70000),
    ({"uid": 0, "gid": 0, "additionalGids": [1, 99999]}, "additionalGids[1]", 99999)])
def test_process_ids_that_are_not_mapped(container, user, where, number):
    c = container(process={"user": user}, **changes())
    kind = "uid" if where == "uid" else "gid"
    c.fails("create", match=rf"config\.json: process\.user\.{re.escape(where)}: {number} — linux\.{kind}Mappings maps no such id")


def test_exec_as_a_user_that_is_not_mapped(container):
    c = container(args=["/bin/sleep", "100"], **changes())
    c.detach()
    c.runtime.fails("exec", "--user", "70000:0", c.id, "/bin/true",
                    match=r"(?:.*: )?process\.user\.uid: 70000 — linux\.uidMappings maps no such id", rc=255)


def test_ids_of_the_process(container):
    seen = container(process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5, 2000], "umask": 0o27}}, **changes()).probe()
    assert seen["uid"] == [1000] * 3 and seen["gid"] == [1000] * 3 and sorted(seen["groups"]) == [5, 2000]
    assert seen["umask"] == 0o27 and seen["status"]["CapEff"] == "0000000000000000"


def test_all_capabilities_can_be_had(container):
    """Those of the user namespace, also where the caller lacks some."""
    every = [line.split()[1] for line in subprocess.run(["capsh", "--explain=all"], capture_output=True, text=True).stdout.splitlines()
             if line.startswith("cap_")] or ["cap_sys_resource", "cap_sys_admin", "cap_net_admin", "cap_sys_time"]
    names = [c.upper() for c in every]
    seen = container(process={"capabilities": {k: names for k in ("bounding", "effective", "permitted")}}, **changes()).probe()
    wanted = int(seen["status"]["CapBnd"], 16)
    assert wanted & (1 << 24) and seen["status"]["CapEff"] == seen["status"]["CapBnd"]


def test_rlimits_and_oom(container):
    """A hard limit can't be raised in the user namespace: that is done before."""
    seen = container(process={"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                              "oomScoreAdj": 300}, **changes()).probe()
    assert seen["rlimits"]["RLIMIT_NOFILE"] == [512, 1024] and seen["rlimits"]["RLIMIT_CORE"] == [0, 0]
    assert seen["oom_score_adj"] == 300


# --- what belongs to whom ---

def test_dev(container):
    fuse = {"path": "/dev/fuse2", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8}
    fifo = {"path": "/dev/pipe", "type": "p", "fileMode": 0o600, "uid": 7, "gid": 0}
    deep = {"path": "/var/nodes/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666}
    rules = [{"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]
    linux = changes()["linux"] | {"devices": [fuse, fifo, deep], "resources": {"devices": rules}}
    c = container(linux=linux, args=["/bin/probe", "--write", "/dev/null", "--open", "/dev/zero", "--open", "/var/nodes/zero",
                                     "--mknod", "/dev/evil", "c", "1", "1"])
    seen = c.probe()
    dev = seen["dev"]
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        assert (dev[name]["type"], dev[name]["mode"], dev[name]["uid"], dev[name]["gid"]) == ("char", 0o666, 0, 0), name
    assert (dev["fuse2"]["rdev"], dev["fuse2"]["mode"], dev["fuse2"]["uid"], dev["fuse2"]["gid"]) == ("10:229", 0o640, 7, 8)
    assert (dev["pipe"]["type"], dev["pipe"]["uid"]) == ("fifo", 7)
    assert seen["write /dev/null"] == {"errno": "0", "wrote": "0"}
    assert seen["open /dev/zero"]["errno"] == "0" and seen["open /var/nodes/zero"]["errno"] == "0"
    assert seen["mknod /dev/evil"]["errno"] == "EPERM"
    # The host's nodes are not in there, and nothing but an empty file stays in the image.
    assert dev["null"]["ino"] != os.stat("/dev/null").st_ino or dev["null"]["dev"] != os.stat("/dev/null").st_dev
    left = (c.bundle.rootfs / "var/nodes/zero").lstat()
    assert stat.S_ISREG(left.st_mode) and left.st_uid == OUT and left.st_size == 0


def test_what_is_made_in_the_image_belongs_to_its_root(container, tmp_path):
    (tmp_path / "src").mkdir()
    c = container(mounts=[*MOUNTS, bind(tmp_path / "src", "/made/for/bind"), tmpfs("/made/tmp", "mode=700")],
                  process={"cwd": "/made/cwd"}, args=["/bin/probe", "--stat", "/made", "--stat", "/made/tmp", "--mkdir", "/made/tmp/x"], **changes())
    seen = c.probe()
    assert seen["stat /made"]["uid"] == 0 and seen["stat /made/tmp"]["uid"] == 0 and seen["mkdir /made/tmp/x"]["errno"] == "0"
    for name in ("made", "made/for", "made/cwd"):
        assert (c.bundle.rootfs / name).stat().st_uid == OUT, name


def test_mount_options_with_ids(container):
    c = container(mounts=[*MOUNTS, tmpfs("/t", "uid=7", "gid=8", "mode=710")], args=["/bin/probe", "--stat", "/t"], **changes())
    seen = c.probe()["stat /t"]
    assert (seen["uid"], seen["gid"], seen["mode"]) == (7, 8, 0o710)


def test_output_belongs_to_the_process(container):
    """A program that opens /dev/stdout anew needs the pipe to be its own."""
    c = container(args=["/bin/sh", "-c", "echo hello >/dev/stdout; echo oops >/dev/stderr"], process={"user": {"uid": 1000, "gid": 1000}}, **changes())
    r = subprocess.run(c.runtime.argv("run", "--bundle", c.bundle.path, c.id), capture_output=True, text=True, timeout=20)
    assert (r.returncode, r.stdout, r.stderr) == (0, "hello\n", "oops\n")


def test_terminal(container, hull, tmp_path):
    from harness.terminal import ConsoleSocket, read_until
    sock = ConsoleSocket(tmp_path / "console")
    c = container(process={"terminal": True, "user": {"uid": 1000, "gid": 1000}}, args=["/bin/sh", "-c", "stat -c %u:%t /dev/console; tty"], **changes())
    c.detach("--console-socket", sock.path)
    master, _ = sock.receive()
    text = read_until(master, b"/dev/pts/0")
    os.close(master)
    sock.close()
    assert b"1000:88" in text, text


def test_exec_created_and_running(container):
    c = container(args=["/bin/sleep", "100"], **changes())
    c.create()
    created = c.exec("--user", "1000:1000", c.id, "/bin/probe").json()
    c.start()
    running = c.exec(c.id, "/bin/probe").json()
    for seen, uid in ((created, 1000), (running, 0)):
        for kind in [*KIND.values(), "user"]:
            assert seen["ns"][kind] == os.readlink(f"/proc/{c.pid}/ns/{kind}"), kind
        assert seen["uid"] == [uid] * 3 and seen["groups"] == []
        assert int(seen["status"]["CapBnd"], 16) == int(c_bounding(c), 16)
        assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]
    assert created["status"]["CapEff"] == "0000000000000000"


def test_exec_with_what_needs_the_hosts_rights(container, tmp_path):
    """oom_score_adj and hard limits: set once, before the user namespace is joined."""
    c = container(args=["/bin/sleep", "100"], **changes())
    c.detach()
    process = {**c.config["process"], "args": ["/bin/sh", "-c", "cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn"], "oomScoreAdj": 321,
               "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]}
    (tmp_path / "process.json").write_text(json.dumps(process))
    assert c.exec("--process", tmp_path / "process.json", c.id).out.split() == ["321", "55", "66"]


def c_bounding(c):
    return re.search(r"CapBnd:\t(\w+)", Path(f"/proc/{c.pid}/status").read_text()).group(1)


def test_exec_with_a_terminal(container):
    from harness.terminal import read_until
    c = container(args=["/bin/sleep", "100"], **changes())
    c.detach()
    master, slave = os.openpty()
    p = subprocess.Popen(c.runtime.argv("exec", "--tty", "--user", "1000", c.id, "/bin/sh", "-c", "id -u; tty"), stdin=slave, stdout=slave, stderr=slave)
    text = read_until(master, b"/dev/pts/0")
    assert p.wait(20) == 0 and b"1000" in text
    os.close(master)
    os.close(slave)


def test_hooks(container, tmp_path):
    """Host-side hooks get the container's pid, whose namespaces are final; createContainer hooks are in them, before pivot_root."""
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    tmp_path.chmod(0o755)
    script = tmp_path / "hook.sh"
    script.write_text("#!/bin/sh\ncat >$1.state\nreadlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net >$1.own\n"
                      "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' $1.state | tr -d '\\n')\n"
                      "[ $2 = host ] && readlink /proc/$pid/ns/user /proc/$pid/ns/mnt /proc/$pid/ns/net >$1.target; exit 0\n")
    script.chmod(0o755)

    def hook(name, kind):
        return {"path": str(script), "args": ["hook", f"{out}/{name}", kind], "env": ["PATH=/bin:/usr/bin"]}
    c = container(args=["/bin/sleep", "100"], hooks={"createRuntime": [hook("runtime", "host")], "createContainer": [hook("container", "own")]},
                  **changes())
    # The hook runs as root of the container: its way there must be open to it.
    for d in [out, *out.parents][:4]:
        if d.stat().st_uid == 0 and str(d) != "/":
            d.chmod(0o755 | d.stat().st_mode)
    c.detach()
    final = [os.readlink(f"/proc/{c.pid}/ns/{k}") for k in ("user", "mnt", "net")]
    assert (out / "runtime.target").read_text().split() == final
    assert (out / "runtime.own").read_text().split()[0] == own("user")
    assert (out / "container.own").read_text().split() == final


def test_sysctls_hostname_lo(container):
    seen = container(hostname="in-there", domainname="dom", args=["/bin/probe", "--sysctl", "net.ipv4.ip_forward", "--sysctl", "kernel.shmmax"],
                     linux=userns() | {"sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "123456"}}).probe()
    assert seen["hostname"] == "in-there" and seen["domainname"] == "dom"
    assert seen["sysctl net.ipv4.ip_forward"]["text"].strip() == "1" and seen["sysctl kernel.shmmax"]["text"].strip() == "123456"


def test_pids_limit_of_one(container):
    """What helps to make it is not what the limit is for."""
    seen = container(linux=userns() | {"resources": {"pids": {"limit": 1}}}).probe()
    assert seen["pid"] == 1


def test_seccomp_without_no_new_privs(container):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    seen = container(process={"noNewPrivileges": False}, linux=userns() | {"seccomp": profile}, args=["/bin/probe", "--mkdir", "/tmp/x"]).probe()
    assert seen["mkdir /tmp/x"]["errno"] == "EPERM" and seen["status"]["Seccomp"] == "2" and seen["nnp"] == 0


def test_tmpcopyup(container):
    c = container(mounts=[*MOUNTS, tmpfs("/var", "tmpcopyup")], args=["/bin/probe", "--list", "/var/log"], **changes())
    (c.bundle.rootfs / "var/log/of-the-image").write_text("x")
    os.chown(c.bundle.rootfs / "var/log/of-the-image", OUT + 5, OUT + 6)
    (c.bundle.rootfs / "var/log/of-the-host").write_text("x")
    seen = c.probe()["list /var/log"]
    assert (seen["of-the-image"]["uid"], seen["of-the-image"]["gid"]) == (5, 6)


def test_a_shared_volume(container, hull, tmp_path):
    """The host's mounts arrive, the container's stay there: said once."""
    from harness import snapshot, world
    from harness.runtime import wait_for
    volume = tmp_path / "volume"
    (volume / "in").mkdir(parents=True)
    (volume / "out").mkdir()
    volume.chmod(0o777)
    world.mount(str(volume), str(volume), None, world.MS_BIND)
    world.mount(None, str(volume), None, world.MS_SHARED)
    names = ["CAP_SYS_ADMIN"]
    c = container(mounts=[*MOUNTS, bind(volume, "/vol", "rbind", "rshared"), bind(volume, "/again", "rbind", "rshared")],
                  process={"capabilities": {s: names for s in ("bounding", "permitted", "effective")}},
                  args=["/bin/sh", "-c", "mount -t tmpfs x /vol/out; until grep -q ' /vol/in ' /proc/self/mountinfo; do sleep 0.1; done; grep -c ' /vol/' /proc/self/mountinfo >/vol/seen; exec sleep 100"],
                  **changes())
    try:
        r = hull("--log-level", "warning", "run", "--detach", "--bundle", c.bundle.path, c.id)
        assert r.err.count("mounts[") == 1 and "in a user namespace it is a slave of the host's" in r.err
        world.mount("x", str(volume / "in"), "tmpfs", 0)
        wait_for(lambda: (volume / "seen").exists() and (volume / "seen").read_text(), 10, "the host's mount in the container")
        assert (volume / "seen").read_text() == "2\n"
        assert not any(str(volume / "out") in line for line in snapshot.mounts())
        world.umount(str(volume / "in"))
        c.delete("--force")
    finally:
        world.umount(str(volume))


# --- nobody can come between ---

SEIZER = r"""
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([])
# uid 0 and no capability at all: the owner of every user namespace that root makes
class H(ctypes.Structure): _fields_ = [("v", ctypes.c_uint32), ("p", ctypes.c_int)]
class D(ctypes.Structure): _fields_ = [("e", ctypes.c_uint32), ("p", ctypes.c_uint32), ("i", ctypes.c_uint32)]
for c in range(64):
    libc.prctl(24, c, 0, 0, 0)
assert libc.capset(ctypes.byref(H(0x20080522, 0)), (D * 2)()) == 0
hits, looks = set(), 0
host = (os.stat("/").st_dev, os.stat("/").st_ino)

def link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""

end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) <= os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/comm") as f:
                if not f.read().startswith("hull:"):
                    continue
        except OSError:
            continue
        looks += 1
        if libc.ptrace(0x4206, int(pid), 0, 0) == 0:
            # After its execve it is the container's program, and may be looked at.
            if "hull-init" in link(pid, "exe"):
                hits.add(("seize", pid))
            # Only a stopped one lets itself be detached from; a traced one that ends waits for us.
            libc.ptrace(0x4207, int(pid), 0, 0)
            os.waitpid(int(pid), 0x40000000)
            libc.ptrace(17, int(pid), 0, 0)
        if "hull-init" in link(pid, "exe"):
            hits.add(("exe", pid))
        try:
            st = os.stat(f"/proc/{pid}/root/")
            if (st.st_dev, st.st_ino) == host:
                hits.add(("root", pid))
        except OSError:
            pass
print(looks, sorted(hits))
"""


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_an_unprivileged_uid_0_gets_nothing(container, verb):
    """SEC-51: a uid 0 without any capability owns the user namespaces of root, and so has all rights over them."""
    watcher = subprocess.Popen(["/usr/bin/python3", "-c", SEIZER, "8"], stdout=subprocess.PIPE, text=True)
    c = container(args=["/bin/true"], **changes())
    if verb == "exec":
        c.rewrite(process={"args": ["/bin/sleep", "100"]})
        c.detach()
    n = 0
    while watcher.poll() is None:
        if verb == "run":
            c.run()
        else:
            c.exec(c.id, "/bin/true")
        n += 1
    looks, hits = watcher.stdout.read().split(" ", 1)
    assert n > 1 and int(looks) > 20, f"nothing was there to be looked at: {n} runs, {looks} looks"
    assert hits.strip() == "[]"
