# SPDX-License-Identifier: Apache-2.0
"""exec: every option, the process document, what it may never get more of than the container has."""
import contextlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import snapshot
from harness.clock import scaled
from harness.config import DELETE, namespaces
from harness.needs import needs, skip_without
from harness.runtime import wait_for
from harness.strace import strace
from test_process import bits, caps

pytestmark = pytest.mark.kernel
PROBE = "/bin/probe"
COMPARED = ("uid", "gid", "groups", "umask", "nnp", "rlimits", "env", "ns", "hostname", "securebits", "keepcaps", "mountinfo",
            "oom_score_adj")


@pytest.fixture
def running(container):
    """running(…) → a container whose program sleeps."""
    def make(**changes):
        c = container(args=["/bin/sleep", "1000"], **changes)
        c.detach()
        return c
    return make


def process_file(tmp_path, **process):
    document = {"cwd": "/", "args": [PROBE], "user": {"uid": 0, "gid": 0}, **process}
    path = tmp_path / "process.json"
    path.write_text(json.dumps(document))
    return path


def test_exec_equals_run(container, hull):
    """SEC-47: field by field what the container's own process has."""
    process = {"user": {"uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o027}, "cwd": "/var/log",
               "env": ["PATH=/bin", "HOME=/x", "A=1"], "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 4096}]}
    c = container(args=["/bin/sh", "-c", "/bin/probe --out /tmp/run.json; exec sleep 1000"], process=process)
    c.detach()
    first = c.bundle.rootfs / "tmp/run.json"
    wait_for(lambda: first.exists() and first.read_text().endswith("}\n"), 5, "the first probe")
    run, got = json.loads(first.read_text()), hull("exec", c.id, PROBE).json()
    for key in COMPARED:
        if key == "mountinfo":
            assert got[key] == run[key]
        elif key == "env":
            assert sorted(e for e in got[key] if not e.startswith(("PWD", "SHLVL"))) == sorted(
                e for e in run[key] if not e.startswith(("PWD", "SHLVL")))
        elif key != "umask" or hull.flavor != "runc":  # runc 1.1 ignores it at exec
            assert got[key] == run[key], key
    assert caps(got) == caps(run)
    assert got["cwd"]["path"] == "/var/log"
    assert got["cgroup"] == run["cgroup"]
    assert [f["fd"] for f in got["fds"]] == [0, 1, 2]
    assert got["sid"] == got["pgid"] == got["pid"]


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_code(running, hull, code):
    hull("exec", running().id, "/bin/sh", "-c", f"exit {code}", rc=code)


def test_killed_by_a_signal(running, hull):
    hull("exec", running().id, "/bin/sh", "-c", "kill -9 $$", rc=137)


def test_streams(running, hull):
    r = hull("exec", running().id, "/bin/sh", "-c", "read x; echo out $x; echo err >&2", text="in\n")
    assert (r.out, r.err) == ("out in\n", "err\n")


def test_options_after_the_id_belong_to_the_program(running, hull):
    r = hull("exec", running().id, "/bin/echo", "--cwd", "/x", "-d", "--", "-e")
    assert r.out == "--cwd /x -d -- -e\n"


@pytest.mark.parametrize("args,message", [
    (["nope"], r'exec "nope": executable file not found in \$PATH \(process\.args\[0\]\): no such file or directory'),
    (["/nope"], r'exec "?/nope"? \(process\.args\[0\]\): no such file or directory'),
    (["/etc/passwd"], r'exec "?/etc/passwd"? \(process\.args\[0\]\): permission denied'),
    (["/etc"], r'exec "?/etc"?: is a directory \(process\.args\[0\]\): permission denied'),
], ids=["not in PATH", "missing", "not executable", "directory"])
def test_program_that_cannot_be_run(running, hull, args, message):
    c = running()
    hull.fails("exec", c.id, *args, rc=255, match=rf"exec in {c.id}: {message}")


def test_process_file(running, hull, tmp_path):
    c = running()
    file = process_file(tmp_path, user={"uid": 7, "gid": 8, "additionalGids": [9], "umask": 0o037}, cwd="/tmp",
                        env=["X=1", "HOME=/h"], args=["/bin/probe", "--exit", "4"], noNewPrivileges=True,
                        rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                        capabilities={s: ["CAP_KILL"] for s in ("bounding", "effective", "permitted")}, oomScoreAdj=77)
    seen = hull("exec", "--process", file, c.id, rc=4).json()
    assert (seen["uid"], seen["gid"], seen["groups"]) == ([7] * 3, [8] * 3, [9])
    assert seen["umask"] == (0o037 if hull.flavor != "runc" else 0o022)  # runc 1.1 ignores it at exec
    assert seen["cwd"]["path"] == "/tmp" and seen["nnp"] == 1
    assert sorted(seen["env"]) == ["HOME=/h", "X=1"]
    assert caps(seen) == {"CapBnd": bits("CAP_KILL"), "CapPrm": 0, "CapEff": 0, "CapInh": 0, "CapAmb": 0}
    assert seen["rlimits"]["RLIMIT_CORE"] == [0, 0]
    if hull.is_hull:  # runc 1.1 ignores it at exec
        assert seen["oom_score_adj"] == 77


@pytest.mark.parametrize("change,path", [({"args": []}, "args"), ({"cwd": "relative"}, "cwd"), ({"user": {"uid": -1, "gid": 0}}, r"user\.uid"),
                                         ({"args": "probe"}, "args"), ({"terminal": 1}, "terminal")])
def test_bad_process_file(running, hull, tmp_path, change, path):
    hull.fails("exec", "--process", process_file(tmp_path, **change), running().id, rc=255, match=rf"(.*: )?{path}(\[0\])?: .*")


def test_detach_and_pid_file(running, hull, tmp_path):
    c = running()
    pid_file = tmp_path / "exec.pid"
    hull("exec", "--detach", "--pid-file", pid_file, c.id, "/bin/sleep", "1000")
    text = pid_file.read_text()
    assert re.fullmatch(r"\d+", text)
    procs = c.cgroup_file("pids", "cgroup.procs").read_text().split()
    assert text in procs and str(c.pid) in procs
    assert os.readlink(f"/proc/{text}/ns/pid") == os.readlink(f"/proc/{c.pid}/ns/pid")


def test_detached_process_belongs_to_the_callers_subreaper(running, hull, tmp_path):
    c = running()
    pid_file, code = tmp_path / "exec.pid", tmp_path / "code"
    program = ("import ctypes, os, sys, subprocess\n"
               "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
               "subprocess.run(sys.argv[3:], check=True)\n"
               "_, status = os.waitpid(int(open(sys.argv[1]).read()), 0)\n"
               "open(sys.argv[2], 'w').write(str(os.waitstatus_to_exitcode(status)))\n")
    argv = hull.argv("exec", "--detach", "--pid-file", pid_file, "--process",
                     process_file(tmp_path, args=["/bin/sh", "-c", "exit 9"]), c.id)
    subprocess.run(["/usr/bin/python3", "-c", program, pid_file, code, *argv], check=True, timeout=scaled(20))
    assert code.read_text() == "9"


def test_cwd_env_user(running, hull):
    c = running(process={"env": ["PATH=/bin", "KEEP=1", "A=old"]})
    seen = hull("exec", "--cwd", "/tmp", "--env", "A=new", "--env", "B=2", "--user", "7:8", c.id, PROBE).json()
    assert seen["cwd"]["path"] == "/tmp"
    assert {"KEEP=1", "A=new", "B=2", "PATH=/bin"} <= set(seen["env"]) and "A=old" not in seen["env"]
    assert (seen["uid"], seen["gid"]) == ([7] * 3, [8] * 3)


@pytest.mark.parametrize("user,uid,gid", [("1", 1, 0), ("1:2", 1, 2), ("0", 0, 0), ("0:5", 0, 5)])
def test_user(running, hull, user, uid, gid):
    """CVE-2026-30892: `-u 1` ran as uid 0."""
    seen = hull("exec", "--user", user, running().id, PROBE).json()
    assert (seen["uid"], seen["gid"]) == ([uid] * 3, [gid] * 3)


BAD_USERS = [":", ":2", " 1", "1 ", "+1", "-1", "0x1", "1e3", "4294967295", "4294967296", "18446744073709551616", "abc", "1:abc",
             "1:2:3", "\u0661", "1:4294967295"]


@pytest.mark.hull_only(reason="peers' parsers take some of them")
@pytest.mark.parametrize("user", BAD_USERS)
def test_bad_user(running, hull, user):
    hull.fails("exec", f"--user={user}", running().id, PROBE, rc=255, match=r".*user.*")


def test_empty_user_is_the_containers(running, hull):
    c = running(process={"user": {"uid": 1000, "gid": 1001}})
    seen = hull("exec", "--user=", c.id, PROBE).json()
    assert (seen["uid"], seen["gid"]) == ([1000] * 3, [1001] * 3)


@pytest.mark.hull_only(reason="1.1.5 takes them in another form")
def test_additional_gids(running, hull):
    c = running()
    seen = hull("exec", "--user", "1000:1000", "--additional-gids", "5", "-g", "7", c.id, PROBE).json()
    assert sorted(seen["groups"]) == [5, 7]


def test_cap(running, hull):
    """CVE-2022-29162: never in the inheritable set."""
    c = running(process={"noNewPrivileges": False})
    got = caps(hull("exec", "--cap", "CAP_NET_ADMIN", c.id, PROBE).json())
    assert got["CapInh"] == 0
    assert got["CapBnd"] & bits("CAP_NET_ADMIN") and got["CapEff"] & bits("CAP_NET_ADMIN")


def test_no_new_privs(running, hull):
    c = running(process={"noNewPrivileges": False})
    assert hull("exec", c.id, PROBE).json()["nnp"] == 0
    assert hull("exec", "--no-new-privs", c.id, PROBE).json()["nnp"] == 1


def test_preserve_fds(running, hull, tmp_path):
    c = running()
    with open(tmp_path / "three", "w+") as f:
        hull("exec", "--preserve-fds", "1", c.id, "/bin/sh", "-c", "echo through >&3", close_fds=False,
             preexec_fn=lambda: os.dup2(f.fileno(), 3))
    assert (tmp_path / "three").read_text() == "through\n"


def test_leaked_descriptors_do_not_enter(running, hull):
    c = running()
    fds = [os.open("/", os.O_RDONLY) for _ in range(100)]
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        seen = hull("exec", c.id, PROBE, close_fds=False).json()
    finally:
        for fd in fds:
            os.close(fd)
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]


@pytest.mark.parametrize("n", [0, 3, 5, 7, 9, 11, 13])
def test_cwd_through_a_descriptor(running, hull, n):
    c = running()
    (c.bundle.rootfs / "link").symlink_to(f"/proc/self/fd/{n}")
    for cwd in (f"/proc/self/fd/{n}/../..", "/link"):
        r = hull.call("exec", "--cwd", cwd, c.id, PROBE)
        if r.rc == 0:
            seen = r.json()
            assert seen["cwd"]["mnt_id"] in [int(line.split()[0]) for line in seen["mountinfo"]]


def test_exec_in_created(container, hull):
    c = container(args=["/bin/sleep", "100"])
    c.create()
    assert hull("exec", c.id, "/bin/echo", "early").out == "early\n"
    assert c.status() == "created"


def test_exec_in_stopped(container, hull):
    c = container(args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    hull.fails("exec", c.id, "/bin/true", rc=255, match=r".*(container not running|is stopped|not running).*")


@pytest.mark.hull_only(reason="Debian's runc reads the bundle again")
def test_the_bundle_is_not_read_again(running, hull):
    """SEC-47: a bundle replaced by a privileged one, then gone."""
    c = running(process={"user": {"uid": 1000, "gid": 1000}})
    before = hull("exec", c.id, PROBE).json()
    c.rewrite(process={"user": {"uid": 0, "gid": 0}, "noNewPrivileges": False,
                       "capabilities": {s: ["CAP_SYS_ADMIN"] for s in ("bounding", "effective", "permitted", "inheritable")}})
    after = hull("exec", c.id, PROBE).json()
    for key in COMPARED:
        assert after[key] == before[key], key
    assert caps(after) == caps(before)


@pytest.mark.parametrize("shared", ["pid", "network", "ipc", "uts", "cgroup"])
def test_exec_joins_what_the_container_has(running, hull, shared):
    changes = {"hostname": DELETE} if shared == "uts" else {}
    c = running(linux={"namespaces": namespaces(shared)}, **changes)
    seen = hull("exec", c.id, PROBE).json()
    for name, link in seen["ns"].items():
        assert link == os.readlink(f"/proc/{c.pid}/ns/{name}"), name


@pytest.mark.hull_only(reason="peers follow init wherever it goes")
def test_init_that_left_its_namespace(container, hull):
    """H12: pid 1 unshares; exec must not follow it there."""
    caps_ = {s: ["CAP_SYS_ADMIN"] for s in ("bounding", "effective", "permitted")}
    c = container(args=["/bin/sh", "-c", "exec busybox unshare -n sleep 1000"], process={"capabilities": caps_})
    c.detach()
    wait_for(lambda: os.readlink(f"/proc/{c.pid}/exe").endswith("busybox"), 5, "busybox")
    wait_for(lambda: open(f"/proc/{c.pid}/cmdline").read().startswith("sleep"), 5, "sleep")
    hull.fails("exec", c.id, "/bin/true", rc=255, match=r".*left its network namespace.*")


@pytest.mark.hull_only(reason="peers follow init wherever it goes")
def test_init_that_left_its_namespace_at_once(container, hull):
    """What `run` records is what init was given, even when hull is slow and init quick: nothing runs before it is recorded."""
    caps_ = {s: ["CAP_SYS_ADMIN"] for s in ("bounding", "effective", "permitted")}
    c = container(args=["/bin/sh", "-c", "exec busybox unshare -n sleep 1000"], process={"capabilities": caps_})
    argv = [*strace("-o", "/dev/null", "-e", "inject=recvmsg:delay_exit=300000"), *hull.argv("run", "--detach", "--bundle", c.bundle.path, c.id)]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=scaled(30))
    wait_for(lambda: open(f"/proc/{c.pid}/cmdline").read().startswith("sleep"), 5, "sleep")
    hull.fails("exec", c.id, "/bin/true", rc=255, match=r".*left its network namespace.*")


@pytest.mark.hull_only(reason="no peer promises it")
def test_run_that_is_killed_before_it_has_recorded(container, hull):
    """No program runs that `state` would not know of."""
    c = container(args=["/bin/sleep", "1000"])
    argv = [*strace("-o", "/dev/null", "-e", "inject=recvmsg:delay_exit=500000:signal=KILL:when=1"),
            *hull.argv("run", "--detach", "--bundle", c.bundle.path, c.id)]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=scaled(30))
    procs = c.cgroup_file("pids", "cgroup.procs")
    wait_for(lambda: not procs.exists() or procs.read_text() == "", 5, "init to die with its creator")
    assert c.status() == "stopped"
    c.delete("--force")


def test_every_process_of_a_fork_bomb_is_in_the_cgroup(running, hull):
    """H12: nothing runs before it is placed."""
    c = running(linux={"resources": {"pids": {"limit": 20}}})
    hull.call("exec", "--detach", c.id, "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; sleep 1000")
    wait_for(lambda: len(c.cgroup_file("pids", "cgroup.procs").read_text().split()) == 10, 5, "all of them in the cgroup")
    inside = set(c.cgroup_file("pids", "cgroup.procs").read_text().split())
    ns = os.readlink(f"/proc/{c.pid}/ns/pid")
    for pid in os.listdir("/proc"):
        if pid.isdigit() and snapshot.process(pid) and os.path.exists(f"/proc/{pid}/ns/pid"):
            try:
                same = os.readlink(f"/proc/{pid}/ns/pid") == ns
            except FileNotFoundError:
                continue
            assert not same or pid in inside


def test_exec_with_full_pids_cgroup(running, hull):
    """An operator looks into a container at its limit: it may fail, in one line and without residue, but not hang."""
    c = running(linux={"resources": {"pids": {"limit": 1}}})
    r = hull.call("exec", c.id, "/bin/true")
    assert r.rc in (0, 1, 255)
    assert c.status() == "running"


@pytest.mark.hull_only(reason="Debian's runc writes the file first")
def test_failed_exec_leaves_an_old_pid_file_alone(running, hull, tmp_path):
    old = tmp_path / "pid"
    old.write_text("1")
    hull.call("exec", "--detach", "--pid-file", old, running().id, "/nope")
    assert old.read_text() == "1"


def test_exec_where_the_container_manages_its_cgroup(container, hull):
    """As systemd does on v2: init in a child, controllers given to the children, so that the cgroup itself takes nobody (EBUSY)."""
    resources = {"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}]}
    skip_without("the controller hugetlb on cgroup v2")
    c = container(args=["/bin/sleep", "1000"], linux={"resources": resources})
    c.detach()
    own = c.cgroup_file("hugetlb", "")
    (own / "init").mkdir()
    (own / "init/cgroup.procs").write_text(str(c.pid))
    (own / "cgroup.subtree_control").write_text("+hugetlb")
    listed = hull("exec", c.id, "/bin/cat", "/proc/self/cgroup").out
    assert "0::/init\n" in listed


# --- row by row ---

@pytest.mark.hull_only(reason="runc joins its named keyring, crun ignores the option at exec")
def test_session_keyring(container, hull):
    """One of its own for each, unless the container was made without: then the caller's."""
    kept = container(args=["/bin/probe", "--sleep", "1000"])
    kept.create("--no-new-keyring")
    callers = hull("exec", kept.id, PROBE).json()["session_keyring"]
    kept.start()
    assert callers > 0 and hull("exec", kept.id, PROBE).json()["session_keyring"] == callers
    own = container(args=["/bin/sleep", "1000"])
    own.detach()
    ids = [hull("exec", own.id, PROBE).json()["session_keyring"] for _ in range(2)]
    assert callers not in ids and ids[0] != ids[1]


def test_keyring_of_run(container):
    """The same of the container's own process."""
    assert len({container().probe(*options)["session_keyring"] for options in (["--no-new-keyring"], [], ["--no-new-keyring"])}) == 2


def programs_in(directory):
    """Names of the processes there; one that has just ended has none."""
    names = []
    for pid in (directory / "cgroup.procs").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return names


def test_sub_cgroup(running, hull):
    """--cgroup: below the container's, in every hierarchy; it must be there, and nothing leads out."""
    c = running()
    places = [h / c.cgroup.lstrip("/") / "sub" for h in snapshot.hierarchies() if (h / c.cgroup.lstrip("/")).is_dir()]
    hull.fails("exec", "--cgroup", "sub", c.id, "/bin/true", rc=255, match=rf"(exec in {c.id}: )?cgroup .*{c.id}/sub of container .*: no such file or directory")
    for place in places:
        place.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (place / name).exists():
                (place / name).write_text((place.parent / name).read_text())
    for spelling in ("sub", "/sub"):
        p = subprocess.Popen(hull.argv("exec", "--cgroup", spelling, c.id, "/bin/sleep", "1000"), stdin=subprocess.DEVNULL)
        # Not before the program runs: until then its death is hull's to report.
        wait_for(lambda: [programs_in(place) for place in places] == [["sleep"]] * len(places), 10, "the program, alone in every sub-cgroup")
        os.kill(int((places[0] / "cgroup.procs").read_text()), 9)
        assert p.wait(10) == 137
    for bad in ("..", "sub/../..", "a:b:c", "/../x"):
        hull.fails("exec", "--cgroup", bad, c.id, "/bin/true", rc=255, match=rf"(exec in {c.id}: )?--cgroup \"{re.escape(bad)}\" — must be a path below the container's cgroup, .*")


def cgroup_lines(c):
    """controllers → path, as the kernel has it for a program of exec; what isn't mounted here is nobody's."""
    mounted = {h.name for h in snapshot.hierarchies()}
    found = [line.split(":")[1:] for line in c.out.splitlines()]
    return {n: p for n, p in found if n.removeprefix("name=") in mounted or (n == "" and "unified" in mounted)}


@needs("cgroup v1")
def test_sub_cgroup_by_controller(running, hull):
    """--cgroup CONTROLLER[,CONTROLLER]:PATH, given again: the others stay where the container is."""
    c = running()
    where = dict(zip(("pids", "cpuacct", "freezer"), ("a/b", "c", "c")))
    for controller, sub in where.items():
        c.cgroup_file(controller, sub).mkdir(parents=True)
    before = cgroup_lines(hull("exec", c.id, "/bin/cat", "/proc/self/cgroup"))
    seen = cgroup_lines(hull("exec", "--cgroup", "pids:a/b", "--cgroup=cpuacct,freezer:/c", c.id, "/bin/cat", "/proc/self/cgroup"))
    assert {n: p for n, p in seen.items() if before[n] != p} == {n: f"/{where[w]}" for n in seen for w in n.split(",") if w in where}
    for options, text in ((("pids:a", "sub"), '"sub" — more than one need their controllers: CONTROLLER:PATH'),
                          (("pids:a", "freezer,pids:c"), '"freezer,pids:c" — the cgroup of controller pids has been named before'),
                          (("nonsense:a",), '"nonsense:a" — "nonsense" is no controller of this host'),
                          ((":a",), '":a" — "" is no controller of this host'),
                          (("pids:../x",), '"pids:../x" — must be a path below the container\'s cgroup, without ".."')):
        hull.fails("exec", *(f"--cgroup={o}" for o in options), c.id, "/bin/true", rc=255, match=rf"(exec in {c.id}: )?--cgroup {re.escape(text)}")
    hull.fails("exec", "--cgroup=pids:none", c.id, "/bin/true", rc=255,
               match=rf"(exec in {c.id}: )?cgroup {c.cgroup}/none of container .* in hierarchy \"pids\": no such file or directory")


@needs("a pure cgroup v2 layout")
def test_sub_cgroup_by_controller_on_v2(running, hull):
    hull.fails("exec", "--cgroup=memory:sub", running().id, "/bin/true", rc=255,
               match=r'.*--cgroup "memory:sub" — on cgroup v2 all controllers have one cgroup: a path without "memory:"')


def test_every_property_of_a_process_document(container, hull, tmp_path):
    """Each is the document's; of what isn't said only limits, capabilities and no_new_privs are the container's: without them exec would give more than it has."""
    c = container(args=["/bin/sleep", "1000"], process={"user": {"uid": 5, "gid": 5, "umask": 0o070, "additionalGids": [55]}, "cwd": "/var", "oomScoreAdj": 11,
                                                         "env": ["MINE=1"], "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]})
    c.detach()
    document = {"user": {"uid": 7, "gid": 8, "umask": 0o037, "additionalGids": [9, 10]}, "cwd": "/tmp", "args": [PROBE], "env": ["X=1", "HOME=/h"], "oomScoreAdj": 77,
                "noNewPrivileges": True, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}], "capabilities": {s: ["CAP_KILL"] for s in (
                    "bounding", "effective", "permitted", "inheritable", "ambient")}, "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
                "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}, "execCPUAffinity": {"initial": "0", "final": "0"}, "consoleSize": {"height": 9, "width": 9}}
    path = tmp_path / "all.json"
    path.write_text(json.dumps(document))
    seen = hull("exec", "--process", path, c.id).json()
    assert (seen["uid"][0], seen["gid"][0], sorted(seen["groups"]), seen["umask"], seen["cwd"]["path"]) == (7, 8, [9, 10], 0o037, "/tmp")
    assert sorted(seen["env"]) == ["HOME=/h", "X=1"] and seen["rlimits"]["RLIMIT_NOFILE"] == [64, 128] and seen["nnp"] == 1 and seen["tty"] == "ENXIO"
    assert caps(seen) == dict.fromkeys(("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"), bits("CAP_KILL"))
    if hull.is_hull:
        assert seen["oom_score_adj"] == 77 and seen["sched"]["policy"] == 3 and seen["sched"]["nice"] == 3 and seen["sched"]["ioprio"] == 2 << 13 | 6
    path.write_text(json.dumps({"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": [PROBE]}))
    seen = hull("exec", "--process", path, c.id).json()
    assert (seen["uid"][0], seen["groups"], seen["cwd"]["path"]) == (0, [], "/")
    assert not [e for e in seen["env"] if e.startswith("MINE")]
    assert seen["rlimits"]["RLIMIT_NOFILE"] == [99, 99] and seen["nnp"] == 1
    if hull.is_hull:
        assert caps(seen)["CapBnd"] == bits(*c.config["process"]["capabilities"]["bounding"]) and caps(seen)["CapInh"] == 0


@pytest.mark.hull_only(reason="peers' texts differ")
@pytest.mark.parametrize("option,text", [(["--apparmor", "p"], "AppArmor is not active"), (["--process-label", "u:r:t:s0"], "SELinux is not active")])
def test_labels_that_cannot_be_had(running, hull, option, text):
    if any(os.path.exists(p) for p in ("/sys/fs/selinux/enforce", "/sys/kernel/security/apparmor/profiles")):
        pytest.skip("a security module is active here")
    hull.fails("exec", *option, running().id, "/bin/true", rc=255, match=rf".*{text} on this host.*")


@pytest.mark.hull_only(reason="youki refuses; runc, crun: other texts")
def test_options_in_a_created_container(container, hull, tmp_path):
    c = container(args=["/bin/sleep", "1000"])
    c.create()
    seen = hull("exec", "--user", "7:8", "--cwd", "/tmp", "--env", "A=1", "--no-new-privs", "--additional-gids", "9", c.id, PROBE).json()
    assert (seen["uid"][0], seen["gid"][0], seen["groups"], seen["cwd"]["path"], seen["nnp"]) == (7, 8, [9], "/tmp", 1) and "A=1" in seen["env"]
    assert hull("exec", "--process", process_file(tmp_path), c.id).json()["uid"][0] == 0
    assert c.status() == "created"
