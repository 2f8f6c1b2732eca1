# SPDX-License-Identifier: Apache-2.0
"""An ordinary user's containers, and those of root in somebody's user namespace: nothing of the host's root is used but newuidmap and newgidmap."""
import os
import re
import stat
import subprocess
import time
from pathlib import Path

import pytest
from harness import snapshot
from harness.clock import scaled
from harness.config import DELETE, bind, tmpfs, userns
from harness.needs import needs, skip_without, skip_without_file
from harness.rootless import ALL, GID, OWN, SUB, SUB_COUNT, UID, delegate, enter, undelegate
from harness.runtime import cgroup_dir, is_v1
from harness.terminal import read_until

pytestmark = pytest.mark.hull_only(reason="the tests look at what peers do otherwise: maps, locked mounts, texts of errors")

SUB_IDS = needs("newuidmap, newgidmap and /etc/subuid")
PLACE = r"(?: \(config\.json:\d+:\d+\))?"
MAPS = pytest.mark.parametrize("maps", [pytest.param(OWN, id="own"), pytest.param(ALL, id="sub", marks=SUB_IDS)])


def lines(maps):
    return [[m["containerID"], m["hostID"], m["size"]] for m in maps]


def numbers(text):
    return [list(map(int, line.split())) for line in text.splitlines()]


def until(condition):
    deadline = time.monotonic() + scaled(10)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(c):
    until(lambda: c.status() == "stopped")


def shell(script):
    return ["/bin/sh", "-c", script]


def root_caps(*more):
    names = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETUID", "CAP_SETGID", "CAP_KILL", *more]
    return {"capabilities": {k: names for k in ("bounding", "effective", "permitted")}}


def replace_mount(config, destination, **changes):
    for m in config["mounts"]:
        if m["destination"] == destination:
            m.update(changes)


# --- who one is ---

@MAPS
@pytest.mark.kernel
def test_maps_and_identity(user, maps):
    c = user.container(maps, args=shell("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g; touch /tmp/made; "
                                        "stat -c '%u %g' /tmp/made; exec sleep 100"))
    c.detach()
    until(lambda: c.output().count("\n") >= 2 * len(maps) + 4)
    seen = c.output().splitlines()
    n = len(maps)
    assert numbers("\n".join(seen[:n])) == lines(maps) and numbers("\n".join(seen[n:2 * n])) == lines(maps)
    assert seen[2 * n:] == ["deny" if maps is OWN else "allow", "0", "0", "0 0"]
    for name in ("uid_map", "gid_map"):
        assert numbers(Path(f"/proc/{c.pid}/{name}").read_text()) == lines(maps)
    made = (c.bundle.rootfs / "tmp/made").stat()
    assert (made.st_uid, made.st_gid) == (UID, GID)
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup", "user"):
        assert os.readlink(f"/proc/{c.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


@SUB_IDS
def test_any_number_of_lines(user):
    """crun passes 20 arguments to newuidmap: what stands behind them is lost."""
    maps = OWN + [{"containerID": 1 + 10 * i, "hostID": SUB + 20 * i, "size": 7} for i in range(40)]
    c = user.container(maps, args=["/bin/cat", "/proc/self/uid_map", "/proc/self/gid_map"])
    assert numbers(c.run().out) == lines(maps) * 2


@SUB_IDS
def test_sub_ids_without_the_own_id(user):
    maps = [{"containerID": 0, "hostID": SUB, "size": 1000}]
    c = user.container(maps, args=shell("cat /proc/self/uid_map; id -u; touch /tmp/made"))
    os.chown(c.bundle.rootfs / "tmp", SUB, SUB)
    assert c.run().out.split() == ["0", str(SUB), "1000", "0"]
    assert (c.bundle.rootfs / "tmp/made").stat().st_uid == SUB


@SUB_IDS
def test_a_user_of_the_container(user):
    """Its ids are strangers to the caller, who is the owner of its user namespace all the same."""
    c = user.container(ALL, args=["/bin/sleep", "100"], process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5, 2000]}})
    c.detach()
    assert Path(f"/proc/{c.pid}").stat().st_uid == SUB + 999
    assert c.exec(c.id, "/bin/id").out == "uid=1000 gid=1000(user) groups=5,2000(extra)\n".replace("uid=1000", "uid=1000(user)")
    assert "uid=0" in c.exec("--user", "0:0", c.id, "/bin/id").out
    c.kill("KILL")
    ended(c)
    c.delete()


def test_caller_keeps_groups_where_they_cant_be_dropped(user):
    c = user.container(OWN, args=["/bin/cat", "/proc/self/status"])
    user.hull.before = []
    assert "\nGroups:\t \n" in c.run().out
    user.container(OWN, process={"user": {"additionalGids": [0]}}).fails(
        "run", match=r"config\.json: process\.user\.additionalGids: must be empty: the user namespace forbids setgroups "
        r"\(one that maps groups of /etc/subgid doesn't\)")


@SUB_IDS
def test_a_range_that_is_not_the_users(user):
    maps = OWN + [{"containerID": 1, "hostID": SUB - 1, "size": 10}]
    user.container(maps).fails("run", match=rf"run \S+: helper /usr/bin/newuidmap: exit status 1: newuidmap: uid range \[{SUB - 1}-.*\) -> .*not allowed "
                               r"\(linux\.uidMappings\)")


def test_no_user_namespace(user):
    c = user.container(OWN)
    c.config["linux"] = {k: v for k, v in c.config["linux"].items() if k not in ("uidMappings", "gidMappings")}
    c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"] if n["type"] != "user"]
    c.bundle.write(c.config)
    c.fails("create", match=rf'config\.json: linux\.namespaces: needs {{"type": "user"}} for a caller without CAP_SYS_ADMIN, and linux needs '
            rf'"uidMappings": \[{{"containerID": 0, "hostID": {UID}, "size": 1}}\], "gidMappings": \[{{"containerID": 0, "hostID": {GID}, "size": 1}}\] '
            r"\(hull spec --rootless writes all three\)")


def test_set_user_id_is_refused(user):
    user.program.chmod(0o4755)
    c = user.container(OWN)
    r = user.hull.call("run", "--bundle", c.bundle.path, c.id)
    user.program.chmod(0o755)
    assert r.rc == 1 and r.err == "hull: refuses to run set-user-ID, set-group-ID or with file capabilities\n"


# --- from create to delete ---

@MAPS
@pytest.mark.kernel
def test_whole_life(user, maps):
    c = user.container(maps, args=["/bin/sleep", "100"])
    c.create()
    assert c.status() == "created" and stat.S_IMODE(user.hull.root.stat().st_mode) == 0o1700
    assert c.exec(c.id, "/bin/cat", "/proc/1/comm").out == "hull:gate\n"
    c.start()
    assert c.exec(c.id, *shell("cat /proc/1/comm; id -u; cat /proc/self/uid_map")).out.split("\n")[:2] == ["sleep", "0"]
    assert re.search(rf"^{re.escape(c.id)} +{c.pid} +running .* {UID} *$", user.hull("list").out, re.M)
    assert user.hull("ps", "--format", "json", c.id).json() == [c.pid]
    c.kill("KILL")
    ended(c)
    assert c.status() == "stopped"
    c.delete()
    assert user.hull.ids() == []


def test_exec_leaves_nothing_of_the_host_open(user):
    c = user.container(OWN, args=["/bin/sleep", "100"])
    c.detach()
    seen = c.exec(c.id, "/bin/ls", "/proc/self/fd").out.split()
    assert seen == ["0", "1", "2", "3"]
    c.exec("--env", "A=b", c.id, *shell("test $A = b"))
    c.exec(c.id, "/bin/false", rc=1)
    user.hull.fails("exec", c.id, "/bin/none", rc=255, match=r"exec in \S+: exec /bin/none \(process\.args\[0\]\): no such file or directory")


def test_state_root_needs_a_place(user):
    c = user.container(OWN)
    del user.hull.environment["XDG_RUNTIME_DIR"]
    c.fails("run", match="no place for the state: XDG_RUNTIME_DIR is not set; give --root")
    user.hull.environment["XDG_RUNTIME_DIR"] = str(user.hull.home)
    user.hull.root.mkdir(mode=0o755)
    r = user.hull.call("run", "--bundle", c.bundle.path, c.id)
    user.hull.root.rmdir()
    assert re.fullmatch(rf"hull: run \S+: state root \S+ belongs to uid 0, not to uid {UID}\n", r.err)


def test_terminal(user):
    pty, slave = os.openpty()
    c = user.container(OWN, process={"terminal": True, "consoleSize": {"height": 33, "width": 77}},
                       args=shell("stty size; tty; read x; echo got $x"))
    p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    assert b"33 77" in read_until(pty, b"/dev/pts/0")
    os.write(pty, b"word\n")
    read_until(pty, b"got word")
    assert p.wait(scaled(10)) == 0
    os.close(pty)


def test_hooks_run_as_the_user(user):
    marks = user.top / "run/marks"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo $0 $(id -u) >>{marks}"]}
    names = ["createRuntime", "createContainer", "poststart", "poststop"]
    c = user.container(OWN, hooks={n: [{**hook, "args": [*hook["args"], n]}] for n in names}, args=["/bin/true"])
    c.run()
    seen = dict(line.split() for line in marks.read_text().splitlines())
    assert seen == {"createRuntime": str(UID), "createContainer": "0", "poststart": str(UID), "poststop": str(UID)}


@pytest.mark.kernel
def test_spec_rootless_runs_as_it_is(user):
    c = user.container(OWN)
    (c.bundle.path / "config.json").unlink()
    user.hull("spec", "--rootless", "--bundle", c.bundle.path)
    pty, slave = os.openpty()
    p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(pty, b"id -u; hostname; exit 7\n")
    read_until(pty, b"hull")
    assert p.wait(scaled(10)) == 7
    os.close(pty)


# --- what root would have ---

@MAPS
def test_devices_are_the_hosts(user, maps):
    c = user.container(maps, args=shell("ls -ln /dev; echo x >/dev/null; head -c 3 /dev/zero | wc -c; chmod 600 /dev/null; mknod /tmp/n c 1 3"))
    r = c.run(rc=1)
    for name, number in (("null", "1,   3"), ("zero", "1,   5"), ("full", "1,   7"), ("random", "1,   8"), ("urandom", "1,   9"), ("tty", "5,   0")):
        assert re.search(rf"^crw-rw-rw- +1 65534 +65534 +{number} .* {name}$", r.out, re.M), r.out
    assert r.out.splitlines()[-1] == "3"
    assert r.err == "chmod: /dev/null: Operation not permitted\nmknod: /tmp/n: Operation not permitted\n"


def test_a_device_of_the_configuration(user):
    c = user.container(OWN, linux={"devices": [{"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o600},
                                               {"path": "/dev/pipe", "type": "p", "fileMode": 0o622}]}, args=["/bin/ls", "-ln", "/dev/full", "/dev/pipe"])
    r = user.hull("--log-level", "warning", "run", "--bundle", c.bundle.path, c.id)
    assert re.fullmatch(r"crw-rw-rw- .* /dev/full\nprw--w--w- +1 0 +0 .* /dev/pipe\n", r.out)
    assert r.err == "hull: warning: linux.devices[0]: the host's node full has mode 0666, not 0600: it is not changed\n"
    other = user.container(OWN, linux={"devices": [{"path": "/dev/full", "type": "c", "major": 1, "minor": 9}]})
    other.fails("run", match=r"run \S+: make node /dev/full: the host's node of that name is another one \(linux\.devices\[0\]\): no such device")
    none = user.container(OWN, linux={"devices": [{"path": "/dev/no-such", "type": "c", "major": 1, "minor": 9}]})
    none.fails("run", match=r"run \S+: open mount source /dev/no-such \(linux\.devices\[0\]\): no such file or directory")


@MAPS
@pytest.mark.kernel
def test_mounts_are_locked(user, maps):
    volume = user.top / "volume"
    volume.mkdir()
    (volume / "file").write_text("x")
    user.own(volume)
    c = user.container(maps, process=root_caps("CAP_SYS_ADMIN"), args=shell(
        "for o in remount,rw,bind remount,suid,bind remount,dev,bind; do mount -o $o /v && echo changed $o; done; touch /v/new && echo written; "
        "for m in /v /proc/keys /proc/sys /sys/firmware /proc/kcore; do umount -l $m && echo gone $m; done; mount -o remount,rw /proc/sys && echo rw; echo end"))
    c.config["mounts"].append(bind(volume, "/v", "ro", "nosuid", "nodev"))
    c.bundle.write(c.config)
    assert c.run().out == "end\n"
    assert os.listdir(volume) == ["file"]


def test_masks_of_files_and_directories(user):
    c = user.container(OWN, linux={"maskedPaths": ["/etc/passwd", "/etc/group", "/var", "/proc/keys", "/none"]}, args=shell(
        "cat /etc/passwd /etc/group /proc/keys; ls /var; stat -c '%F %t:%T' /etc/passwd"))
    assert c.run().out == "character special file 1:3\n"


@pytest.mark.kernel
def test_the_hosts_network(user):
    """No right to a sysfs: /sys of the host, and nothing of it can be written (CVE-2023-25809)."""
    c = user.container(OWN, net=False, args=["/bin/cat", "/proc/self/mountinfo"])
    r = user.hull("--log-level", "warning", "run", "--bundle", c.bundle.path, c.id)
    assert re.fullmatch(r"hull: warning: mounts\[\d\]: the user namespace that owns the network namespace .*: /sys of the host is there instead, read-only\n", r.err)
    for line in r.out.splitlines():
        fields = line.split()
        if fields[4].startswith("/sys"):
            assert "ro" in fields[5].split(","), line


def test_time_namespace(user):
    c = user.container(OWN, args=["/bin/cat", "/proc/self/timens_offsets"])
    c.config["linux"]["namespaces"].append({"type": "time"})
    c.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}}
    c.bundle.write(c.config)
    assert re.search(r"^boottime +1000000 +0$", c.run().out, re.M)


def test_sysctls_of_own_namespaces(user):
    c = user.container(OWN, linux={"sysctl": {"net.ipv4.ip_default_ttl": "33", "kernel.shmmni": "77"}}, args=shell(
        "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni"))
    assert c.run().out == "33\n77\n"


def test_oom_score(user):
    c = user.container(OWN, process={"oomScoreAdj": 500}, args=["/bin/cat", "/proc/self/oom_score_adj"])
    assert c.run().out == "500\n"
    low = user.container(OWN, process={"oomScoreAdj": -500})
    low.fails("run", match=r"run \S+: set oom_score_adj to -500 \(process\.oomScoreAdj\): permission denied.*")
    c = user.container(OWN, process={"oomScoreAdj": 500}, args=["/bin/sleep", "100"])
    c.detach()
    assert c.exec(c.id, "/bin/cat", "/proc/self/oom_score_adj").out == "500\n"


def test_rlimits(user):
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    c = user.container(OWN, process={"rlimits": limits}, args=shell("ulimit -Sn; ulimit -Hn"))
    assert c.run().out == "100\n200\n"
    too_much = user.container(OWN, process={"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 2**30}]})
    too_much.fails("run", match=r"run \S+: raise resource limit 7 to 1073741824 \(process\.rlimits\): operation not permitted")


def test_seccomp_without_no_new_privs(user):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    c = user.container(OWN, process={"noNewPrivileges": False}, linux={"seccomp": profile}, args=shell(
        "mkdir /tmp/d; grep -e NoNewPrivs -e Seccomp: /proc/self/status"))
    r = c.run()
    assert r.out.split() == ["NoNewPrivs:", "0", "Seccomp:", "2"] and "Operation not supported" in r.err


@SUB_IDS
def test_tmpfs_overlay_and_copyup(user):
    c = user.container(ALL, args=shell("cat /etc/passwd | wc -l; stat -c %u /etc /t; echo x >/t/f"))
    (c.bundle.rootfs / "t").mkdir()
    c.config["mounts"] += [tmpfs("/etc", "tmpcopyup"), tmpfs("/t", "uid=5", "gid=5")]
    c.bundle.write(c.config)
    user.own(c.bundle.rootfs)
    assert c.run().out.split() == ["2", "0", "5"]


def test_wrong_things_leave_nothing(user):
    c = user.container(OWN)
    c.config["mounts"].append(bind("/no/such", "/v"))
    c.bundle.write(c.config)
    c.fails("run", match=r"run \S+: open mount source /no/such \(mounts\[7\]\.source\): no such file or directory")


# --- the helpers ---

@SUB_IDS
def test_helpers_come_from_trusted_places(user, canary):
    """Neither PATH nor the image decides what runs with root's rights."""
    evil = user.top / "evil"
    evil.mkdir()
    script = f"#!/bin/sh\necho {{}} >>{user.top}/run/called\nexit 1\n"
    c = user.container(ALL, args=["/bin/true"])
    for where in (evil, c.bundle.rootfs / "bin", c.bundle.path):
        for name in ("newuidmap", "newgidmap"):
            (where / name).write_text(script.format(where))
            (where / name).chmod(0o755)
    user.hull.environment["PATH"] = f"{evil}:/usr/bin:/bin"
    c.run(cwd=c.bundle.path)
    assert not (user.top / "run/called").exists()


def over(user, program, text, mode):
    """`before` of a command that sees a script, with root's rights as the original, instead of the program."""
    script = user.top / "script"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(mode)
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'busybox mount -o bind {script} {program} && exec "$@"', "sh"]


@SUB_IDS
def test_a_helper_that_hangs(user):
    c = user.container(ALL)
    user.hull.before = over(user, "/usr/bin/newgidmap", "echo waiting >&2\nexec sleep 100", 0o755)
    began = time.monotonic()
    r = user.hull.fails("--timeout", "2", "run", "--bundle", c.bundle.path, c.id,
                        match=r"run \S+: helper /usr/bin/newgidmap: killed after its timeout of 2 s: waiting \(linux\.gidMappings\)")
    assert 1.9 < time.monotonic() - began < scaled(8), r
    user.hull.before = []


@SUB_IDS
def test_a_helper_that_anybody_may_change(user):
    c = user.container(ALL)
    user.hull.before = over(user, "/usr/bin/newuidmap", "exit 0", 0o777)
    c.fails("run", match=r"run \S+: newuidmap is not in /usr/bin, /usr/local/bin, /bin, /run/wrappers/bin or /run/privileged/bin \(Debian: package uidmap\): without it an ordinary user can map its own "
            r"id only \(linux\.uidMappings\): no such file or directory")
    user.hull.before = []


def test_no_user_namespaces_left(user):
    c = user.container(OWN)
    map_root(c)
    user.hull.prefix = without_capabilities("echo 0 >/proc/sys/user/max_user_namespaces")
    c.fails("run", match=r"run \S+: make a user namespace as an ordinary user \(the limit is sysctl user\.max_user_namespaces\): no space left on device")
    user.hull.prefix = []


def map_root(c):
    """The caller is 0 where it is."""
    for name in ("uidMappings", "gidMappings"):
        c.config["linux"][name] = [{"containerID": 0, "hostID": 0, "size": 1}]
    c.bundle.write(c.config)


def without_capabilities(first="true"):
    """Root of a user namespace with nothing but what mapping its own id takes (CAP_SETFCAP, Linux 5.12): as ordinary as anybody."""
    return ["unshare", "-Ur", "sh", "-c", f'{first}; exec setpriv --bounding-set=-all,+setfcap --inh-caps=-all "$@"', "sh"]


# --- a user namespace that is there ---

def joined(user, pid, maps, *others, **changes):
    """A container in the user namespace of process `pid`, and in others of its namespaces."""
    c = user.container(maps, **changes)
    word = {"network": "net", "mount": "mnt"}
    c.config["linux"] = {k: v for k, v in c.config["linux"].items() if k not in ("uidMappings", "gidMappings")}
    for n in c.config["linux"]["namespaces"]:
        if n["type"] in ("user", *others):
            n["path"] = f"/proc/{pid}/ns/{word.get(n['type'], n['type'])}"
    c.bundle.write(c.config)
    return c


OTHERS = [(), ("pid",), ("network", "ipc", "uts"), ("network", "ipc", "uts", "pid", "cgroup")]


@MAPS
@pytest.mark.kernel
@pytest.mark.parametrize("others", [pytest.param(o, marks=needs("proc of a joined pid namespace (Linux 6.17)")) if "pid" in o else o for o in OTHERS], ids=" ".join)
def test_joined(user, maps, others):
    """A pod: the second container is in the first one's user namespace, and in those named. From create to delete."""
    pod = user.container(maps, args=["/bin/sleep", "100"])
    pod.detach()
    c = joined(user, pod.pid, maps, *others, args=["/bin/sh", "-c", "touch /tmp/made; exec sleep 100"])
    c.create()
    assert c.exec(c.id, *shell("cat /proc/self/uid_map /proc/self/gid_map; id -u")).out.split()[-1] == "0"
    c.start()
    until(lambda: (c.bundle.rootfs / "tmp/made").exists())
    for kind in ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup"):
        is_same = os.readlink(f"/proc/{c.pid}/ns/{kind}") == os.readlink(f"/proc/{pod.pid}/ns/{kind}")
        assert is_same == (kind in {"user", *({"network": "net"}.get(o, o) for o in others)}), kind
    for name in ("uid_map", "gid_map"):
        assert numbers(Path(f"/proc/{c.pid}/{name}").read_text()) == lines(maps)
    assert (c.bundle.rootfs / "tmp/made").stat().st_uid == UID
    assert numbers(c.exec(c.id, "/bin/cat", "/proc/self/uid_map").out) == lines(maps)
    assert [line.split()[2] for line in c.exec(c.id, "/bin/cat", "/proc/self/mountinfo").out.splitlines() if " /proc " in line]
    c.kill("KILL")
    ended(c)
    c.delete()
    assert pod.status() == "running"


@SUB_IDS
def test_joined_without_the_own_id(user):
    """Nothing in it is the caller's but the right to it: the caller looks at the container all the same."""
    maps = [{"containerID": 0, "hostID": SUB, "size": 1000}]
    pod = user.container(maps, args=["/bin/sleep", "100"])
    pod.detach()
    c = joined(user, pod.pid, maps, "network", args=shell("id -u; exec sleep 100"))
    c.create()
    assert c.exec(c.id, "/bin/cat", "/proc/1/comm").out == "hull:gate\n"
    c.start()
    c.wait_output("0")
    assert Path(f"/proc/{c.pid}").stat().st_uid == SUB
    c.delete("--force")


@SUB_IDS
def test_joined_maps_are_the_namespaces(user):
    """Ids are looked up in what the namespace maps; the configuration needs no mappings, but must not say what isn't so."""
    pod = user.container(ALL, args=["/bin/sleep", "100"])
    pod.detach()
    c = joined(user, pod.pid, ALL, process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5]}}, args=["/bin/id"])
    assert "uid=1000(user) gid=1000(user) groups=5" in c.run().out
    none = joined(user, pod.pid, ALL, process={"user": {"uid": SUB_COUNT + 1, "gid": 0}})
    none.fails("run", match=rf"config\.json{PLACE}: process\.user\.uid: {SUB_COUNT + 1} — linux\.uidMappings maps no such id")
    wrong = joined(user, pod.pid, ALL)
    wrong.config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": SUB, "size": 10}]
    wrong.bundle.write(wrong.config)
    wrong.fails("run", match=rf"config\.json{PLACE}: linux\.uidMappings: the user namespace maps 0 to {UID}, which is not what is said here")


def test_joined_rest(user, tmp_path):
    """What needs rights in there: hooks at each time, a time namespace, sysctls, a tmpfs, a terminal."""
    pod = user.container(OWN, args=["/bin/sleep", "100"])
    pod.detach()
    marks = user.top / "run/marks"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"readlink /proc/self/ns/user >>{marks}; ls -l /proc/$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | tr -d '\\n')/ns/net >/dev/null && echo seen >>{marks}"]}
    c = joined(user, pod.pid, OWN, hooks={"createRuntime": [hook]}, process={"oomScoreAdj": 321}, linux={"sysctl": {"net.ipv4.ip_default_ttl": "33"}}, args=shell(
        "cat /proc/sys/net/ipv4/ip_default_ttl /proc/self/timens_offsets /proc/self/oom_score_adj; stat -f -c %T /t"))
    c.config["linux"]["namespaces"].append({"type": "time"})
    c.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}}
    c.config["mounts"].append(tmpfs("/t"))
    c.bundle.write(c.config)
    assert c.run().out.split() == ["33", "monotonic", "0", "0", "boottime", "1000000", "0", "321", "tmpfs"]
    assert marks.read_text().split() == [os.readlink("/proc/self/ns/user"), "seen"]
    pty, slave = os.openpty()
    t = joined(user, pod.pid, OWN, process={"terminal": True}, args=shell("tty; ls -l /dev/console"))
    p = t.runtime.popen("run", "--bundle", t.bundle.path, t.id, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    assert b"/dev/console" in read_until(pty, b"/dev/console")
    assert p.wait(scaled(10)) == 0
    os.close(pty)


@pytest.fixture
def someones(user):
    """Where the user finds a user namespace that it has no right to: root's child, and one that the user made in a namespace of its own."""
    made = []

    def make(*argv):
        p = subprocess.Popen([*argv, "sh", "-c", "echo; exec sleep 100"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        p.stdout.readline()
        at = user.top / f"run/ns{len(made)}"
        at.touch()
        subprocess.run(["busybox", "mount", "-o", "bind", f"/proc/{p.pid}/ns/user", at], check=True)
        made.append((p, at))
        return at
    yield make
    for p, at in made:
        subprocess.run(["busybox", "umount", at], check=True)
        p.kill()
        p.communicate()


def test_no_right_to_a_user_namespace(user, someones):
    def error(path, text):
        c = user.container(OWN)
        c.config["linux"].update(userns(user=str(path)))
        for name in ("uidMappings", "gidMappings"):
            c.config["linux"].pop(name, None)
        c.bundle.write(c.config)
        place = rf"config\.json{PLACE}: linux\.namespaces\[6\]\.path: \"{re.escape(str(path))}\" — "
        c.fails("create", match=place + text)
        assert re.search(text, user.hull.call("check", "--bundle", c.bundle.path).out)
    error("/proc/1/ns/user", "permission denied")
    error("/no/such", "no such file or directory")
    error("/dev/null", "is not a namespace")
    error("/proc/self/ns/net", 'is a namespace of type "network", not "user"')
    error("/proc/self/ns/user", "is the caller's own user namespace, in which it has no rights")
    error(someones("unshare", "-U"), rf"belongs to uid 0: the caller, uid {UID} without CAP_SYS_ADMIN, has no right to it")
    mine = someones(*user.hull.as_user("unshare", "-Ur"))
    user.hull.prefix = without_capabilities()
    error(mine, "was not made from the caller's own user namespace: it has no right to it")
    user.hull.prefix = []


def test_a_user_namespace_within_one(user, someones):
    """The owner of the outer one has all rights in it and below (user_namespaces(7))."""
    nested = someones(*user.hull.as_user("unshare", "-Ur", "unshare", "-Ur"))
    c = user.container(OWN, args=["/bin/readlink", "/proc/self/ns/user"])
    c.config["linux"].update(userns(user=str(nested)))
    c.bundle.write(c.config)
    assert c.run().out == f"user:[{nested.stat().st_ino}]\n"
    empty = someones(*user.hull.as_user("unshare", "-U"))
    c.config["linux"].update(userns(user=str(empty)))
    for name in ("uidMappings", "gidMappings"):
        del c.config["linux"][name]
    c.bundle.write(c.config)
    c.fails("run", match=rf"config\.json{PLACE}: linux\.uidMappings: the user namespace maps no id 0, as which the container is set up")


@SUB_IDS
@pytest.mark.timeout(150)
@pytest.mark.parametrize("command", ["check", "create"])
def test_a_user_namespace_whose_root_stops_everybody(user, command):
    """Whoever joins is within reach of those who are in there: hull gives up, and leaves nothing."""
    only_sub = [{"containerID": 0, "hostID": SUB, "size": SUB_COUNT}]  # else its root were the user, and stopped hull, too
    hostile = user.container(only_sub, args=shell("while :; do kill -STOP -1; done"), mounts=[], linux={**userns("pid", maps=only_sub), "maskedPaths": DELETE, "readonlyPaths": DELETE})
    hostile.detach()
    c = user.container(ALL)
    c.config["linux"].update(userns(user=f"/proc/{hostile.pid}/ns/user"))
    for name in ("uidMappings", "gidMappings"):
        del c.config["linux"][name]
    c.bundle.write(c.config)
    r = user.hull.call("--timeout", "5", command, "--bundle", c.bundle.path, *([c.id] if command == "create" else []), timeout=60)
    # Now and then one gets through.
    late = re.search("the process that joins the user namespace did not get on within 10000 ms|(join the user namespace|waiting for) .*: connection timed out", r.err)
    assert late or r.rc == 0 or command == "check", r
    c.runtime.call("delete", "--force", c.id)
    assert user.hull.ids() == [hostile.id]


# --- cgroups ---

def test_without_delegation(user):
    c = user.container(OWN, args=["/bin/cat", "/proc/self/cgroup"])
    before = snapshot.cgroups()
    assert all(line.endswith(":/") for line in c.run().out.splitlines())
    assert snapshot.cgroups() == before
    limit = user.container(OWN, linux={"resources": {"pids": {"limit": 10}}})
    file, how = ("pids.max", r"delegate one \(.*\)")
    limit.fails("run", match=rf"config\.json: linux\.resources\.pids\.limit: needs the file {re.escape(file)} of (controller pids|cgroup v2), where the caller may make no "
                rf"cgroup: {how}")
    named = user.container(OWN, cgroup="/nobody/gave")
    named.fails("run", match=rf"run \S+: the caller may make the cgroup /nobody/gave in no hierarchy: delegate a directory on its way, with cgroup\.procs, to uid {UID} "
                r"\(linux\.cgroupsPath\): permission denied")


@pytest.mark.kernel
@needs("the controller memory")
def test_delegated(user, delegated):
    memory_file = "memory.limit_in_bytes" if is_v1("memory") else "memory.max"
    skip_without_file(cgroup_dir("memory") / delegated[1:] / memory_file)
    c = user.container(OWN, cgroup=f"{delegated}/box", args=["/bin/sleep", "100"],
                       linux={"resources": {"pids": {"limit": 33}, "memory": {"limit": 64 << 20}, "devices": [{"allow": False, "access": "rwm"}]}})
    c.detach()
    assert paths_of(c.pid) == [c.cgroup] * len(snapshot.hierarchies())
    assert c.cgroup_file("pids", "pids.max").read_text() == "33\n"
    assert int(c.cgroup_file("memory", memory_file).read_text()) == 64 << 20
    c.exec(c.id, *shell("sleep 100 &"), rc=0)
    assert len(user.hull("ps", "--format", "json", c.id).json()) == 2
    user.hull("update", "--pids-limit", "44", c.id)
    assert c.cgroup_file("pids", "pids.max").read_text() == "44\n"
    user.hull("pause", c.id)
    assert c.status() == "paused"
    user.hull("resume", c.id)
    c.kill("--all", "KILL")
    ended(c)
    c.delete()


def paths_of(pid):
    """In the hierarchies that are mounted here."""
    found = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return [path for number, _, path in found if number == "0" or not pure_v2()]


def pure_v2():
    return len(snapshot.hierarchies()) == 1 and (snapshot.hierarchies()[0] / "cgroup.controllers").exists()


@needs("the controller memory on cgroup v1")
def test_partly_delegated(user):
    """Only what is given is used; what is asked of the rest is an error."""
    top = delegate("part", only=("pids",))
    c = user.container(OWN, cgroup=f"{top}/box", args=["/bin/sleep", "100"], linux={"resources": {"pids": {"limit": 33}}})
    c.detach()
    seen, own = (dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()) for pid in (c.pid, "self"))
    assert seen == own | {"pids": f"{top}/box"}
    c.exec(c.id, *shell("cat /proc/self/cgroup; exec sleep 0"))
    c.kill("KILL")
    ended(c)
    c.delete()
    more = user.container(OWN, cgroup=f"{top}/box", linux={"resources": {"memory": {"limit": 1 << 26}}})
    more.fails("run", match=r"config\.json: linux\.resources\.memory\.limit: needs the file memory\.limit_in_bytes of controller memory, where the caller may make no cgroup: "
               r"delegate one \(chown a directory of /sys/fs/cgroup/memory to the user, and name it in linux\.cgroupsPath\)")
    undelegate(top)


def test_beside_the_callers_own(user):
    """No path is asked for, and the caller's session lies in a directory that is its own: the container's cgroup is beside it."""
    top = delegate("slice")
    session = delegate("slice", where="/session")
    user.hull.before = enter(session)
    c = user.container(OWN, args=["/bin/sleep", "100"])
    c.detach()
    assert paths_of(c.pid) == [f"{top}/hull-{c.id}"] * len(snapshot.hierarchies())
    c.delete("--force")
    user.hull.before = []
    undelegate(session)
    undelegate(top)


# --- root of somebody's user namespace ---

INSIDE = pytest.mark.parametrize("unshare", [pytest.param(["unshare", "-Ur"], id="host's mounts"), pytest.param(["unshare", "-Urm"], id="own mounts")])


@MAPS
def test_joined_with_limits(user, delegated, maps):
    """Where the caller's right to the cgroup counts: before it has become somebody else."""
    skip_without_file(cgroup_dir("pids") / delegated[1:] / "pids.max")
    pod = user.container(maps, args=["/bin/sleep", "100"])
    pod.detach()
    c = joined(user, pod.pid, maps, "network", cgroup=f"{delegated}/box", args=["/bin/sleep", "100"], linux={"resources": {"pids": {"limit": 1}}})
    c.detach()
    assert paths_of(c.pid) == [c.cgroup] * len(snapshot.hierarchies())
    assert c.cgroup_file("pids", "pids.max").read_text() == "1\n"
    assert c.exec(c.id, "/bin/cat", "/proc/1/comm").out == "sleep\n"


@INSIDE
@pytest.mark.kernel
def test_root_of_a_user_namespace(user, unshare):
    """As an engine calls it from its own user namespace: no right over the host, nothing asked in the configuration."""
    c = user.container(OWN, args=["/bin/sleep", "100"])
    c.config["linux"] = {k: v for k, v in c.config["linux"].items() if k not in ("uidMappings", "gidMappings")}
    c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"] if n["type"] != "user"]
    replace_mount(c.config, "/dev/pts", options=["newinstance", "ptmxmode=0666", "mode=0620"])
    c.bundle.write(c.config)
    hull, cid = user.hull.program, c.id
    script = (f"set -e; {hull} create --bundle {c.bundle.path} {cid} </dev/null; {hull} exec {cid} cat /proc/1/comm; {hull} start {cid}; "
              f"{hull} exec {cid} cat /proc/1/comm; {hull} exec {cid} ls -ln /dev/null; {hull} exec {cid} cat /proc/keys; {hull} state {cid} | grep status; "
              f"{hull} kill {cid} KILL; while {hull} state {cid} | grep -q running; do sleep 0.05; done; {hull} delete {cid}; {hull} list -q")
    user.hull.prefix = unshare
    out = user.top / "run/out"
    with open(out, "wb") as o:
        done = subprocess.run(user.hull.as_user("sh", "-c", script), stdin=subprocess.DEVNULL, stdout=o, stderr=o, timeout=scaled(20), check=False)
    user.hull.prefix = []
    text = out.read_text()
    assert done.returncode == 0, text
    assert re.fullmatch(r'hull:gate\nsleep\ncrw-rw-rw- +1 65534 +65534 +1, +3 .*\n +"status": "running",\n', text), text


@INSIDE
def test_a_user_namespace_within(user, unshare):
    c = user.container(OWN, process=root_caps("CAP_SYS_ADMIN"), args=shell("cat /proc/self/uid_map; umount /proc/sys; mount -o remount,rw /proc/sys; id -u"))
    map_root(c)
    user.hull.prefix = unshare
    r = c.run()
    user.hull.prefix = []
    assert r.out.split() == ["0", "0", "1", "0"] and "Invalid argument" in r.err


def test_root_without_capabilities(user):
    c = user.container(OWN, args=["/bin/cat", "/proc/self/uid_map", "/proc/self/setgroups"])
    map_root(c)
    user.hull.prefix = without_capabilities()
    assert c.run().out.split() == ["0", "0", "1", "deny"]
    user.hull.prefix = []


def test_mount_namespace_must_be_new(user):
    c = user.container(OWN)
    c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"] if n["type"] != "mount"]
    c.bundle.write(c.config)
    c.fails("run", match=r'config\.json: linux\.namespaces: needs a new "mount": the caller may not mount in its own mount namespace')


# --- killed in the middle ---

def test_killed_while_the_helper_runs(user):
    """Nothing of it is left: neither the process that holds the user namespace, nor the record once the id is deleted."""
    skip_without("newuidmap, newgidmap and /etc/subuid")
    c = user.container(ALL)
    user.hull.before = over(user, "/usr/bin/newuidmap", "exec sleep 100", 0o755)
    p = user.hull.popen("run", "--bundle", c.bundle.path, c.id)
    until(lambda: "sleep" in names())
    p.kill()
    p.wait()
    user.hull.before = []
    user.hull("delete", "--force", c.id)
    assert user.hull.ids() == []


def names():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found
