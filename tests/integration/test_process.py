# SPDX-License-Identifier: Apache-2.0
"""The container's process: user, capabilities, limits, environment, directory, program, descriptors."""
import json
import os
import re
import subprocess

import pytest
from harness.clock import scaled
from harness.config import CAPS, DELETE, bind, namespaces
from harness.needs import skip_without

CAP_NAMES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
             "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
             "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
             "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()
CAP_BIT = {f"CAP_{n}": 1 << i for i, n in enumerate(CAP_NAMES)}
SETS = ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")


def bits(*names):
    return sum(CAP_BIT[n] for n in names)


def caps(seen):
    return {s: int(seen["status"][s], 16) for s in SETS}


def user(uid, gid=None, **more):
    return {"user": {"uid": uid, "gid": uid if gid is None else gid, **more}}


# --- ids ---

BIG = pytest.param(2147483648, 4294967294, marks=pytest.mark.hull_only(reason="runc takes 31 bits only"))


@pytest.mark.parametrize("uid,gid", [(0, 0), (1000, 1000), (7, 8), (65534, 65534), BIG])
def test_user(container, uid, gid):
    seen = container(process=user(uid, gid)).probe()
    assert seen["uid"] == [uid] * 3
    assert seen["gid"] == [gid] * 3
    assert seen["status"]["Uid"].split() == [str(uid)] * 4
    assert seen["status"]["Gid"].split() == [str(gid)] * 4
    assert seen["groups"] == []
    assert (seen["keepcaps"], seen["securebits"], seen["pdeathsig"]) == (0, 0, 0)


@pytest.mark.parametrize("gids,expected", [([], []), ([5], [5]), ([5, 7], [5, 7]), ([7, 5, 5], [5, 7])])
def test_additional_gids(container, gids, expected):
    seen = container(process=user(1000, 1000, additionalGids=gids)).probe()
    assert sorted(set(seen["groups"])) == expected


def test_groups_of_the_caller_are_not_inherited(container, hull):
    """CVE-2022-36109 and its family."""
    def groups():
        os.setgroups([0, 6, 27])
    for uid in (0, 1000):
        seen = container(process=user(uid)).probe(preexec_fn=groups)
        assert seen["groups"] == []


def test_umask(container):
    assert container(process=user(0, umask=0o027)).probe()["umask"] == 0o027


def test_umask_zero(container):
    assert container(process=user(0, umask=0)).probe()["umask"] == 0


@pytest.mark.hull_only(reason="peers set 0022; the specification leaves the caller's alone")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0])
def test_umask_unset_is_the_callers(container, mask):
    assert container().probe(umask=mask)["umask"] == mask


# --- capabilities ---

@pytest.mark.parametrize("nnp", [True, False])
def test_capability_sets_are_exact(container, nnp):
    seen = container(process={"noNewPrivileges": nnp, "capabilities": {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_NET_RAW"],
        "ambient": DELETE}}).probe()
    got = caps(seen)
    assert got["CapBnd"] == bits("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID")
    assert got["CapInh"] == bits("CAP_NET_RAW")
    assert got["CapAmb"] == 0
    # execve as uid 0 gives what is bounding or inheritable; with no_new_privs no more than was permitted before
    expected = bits("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW") if nnp else got["CapBnd"]
    assert got["CapPrm"] == got["CapEff"] == expected


def test_capabilities_of_an_ordinary_user(container):
    """CVE-2016-8867: without ambient nothing survives execve."""
    got = caps(container(process=user(1000)).probe())
    assert got == {"CapBnd": bits(*CAPS), "CapPrm": 0, "CapEff": 0, "CapInh": 0, "CapAmb": 0}


def test_ambient_capabilities(container):
    names = ["CAP_NET_RAW", "CAP_KILL"]
    got = caps(container(process={**user(1000), "capabilities": {s: names for s in (
        "bounding", "permitted", "effective", "inheritable", "ambient")}}).probe())
    assert got == {s: bits(*names) for s in SETS}


@pytest.mark.parametrize("uid", [0, 1000])
def test_inheritable_stays_empty(container, uid):
    """CVE-2022-24769, CVE-2022-29162."""
    assert caps(container(process=user(uid)).probe())["CapInh"] == 0


def test_no_capabilities_at_all(container):
    for changes in ({s: [] for s in ("bounding", "permitted", "effective")}, DELETE):
        got = caps(container(process={"capabilities": changes}).probe())
        assert got == dict.fromkeys(SETS, 0)


@pytest.mark.hull_only(reason="crun refuses, runc's text differs")
def test_unknown_capability_is_one_warning(container, hull):
    c = container(process={"capabilities": {"bounding": ["CAP_KILL", "CAP_FUTURE"], "permitted": ["CAP_KILL", "CAP_FUTURE"],
                                            "effective": ["CAP_KILL", "CAP_FUTURE"]}})
    log = hull.tmp / "log"
    r = hull("--log", log, "--log-level", "warn", "run", "--bundle", c.bundle.path, c.id)
    assert caps(r.json())["CapBnd"] == bits("CAP_KILL")
    lines = [line for line in log.read_text().splitlines() if "CAP_FUTURE" in line]
    assert len(lines) == 1, lines
    assert r.err == ""


@pytest.mark.hull_only(reason="peers fail on a capability that can't be granted, or say nothing")
def test_capability_that_cannot_be_granted_is_one_warning(container, hull):
    with open("/proc/self/status") as f:
        own = int(re.search(r"CapBnd:\s*(\w+)", f.read()).group(1), 16)
    missing = [n for n, b in CAP_BIT.items() if not own & b]
    skip_without("a capability that is withheld")
    names = ["CAP_KILL", missing[0]]
    c = container(process={"capabilities": {s: names for s in ("bounding", "permitted", "effective")}})
    log = hull.tmp / "log"
    r = hull("--log", log, "--log-level", "warn", "run", "--bundle", c.bundle.path, c.id)
    assert caps(r.json())["CapBnd"] == bits("CAP_KILL")
    assert len([line for line in log.read_text().splitlines() if missing[0].lower() in line.lower()]) == 1, log.read_text()


def test_no_new_privileges(container):
    for value, expected in ((True, 1), (False, 0), (DELETE, 0)):
        assert container(process={"noNewPrivileges": value}).probe()["nnp"] == expected


def test_privileges_stay_down_without_no_new_privileges(container):
    """CAP_SYS_ADMIN that is kept to load a filter must be gone after execve."""
    for uid, expected in ((0, bits("CAP_KILL")), (1000, 0)):
        got = caps(container(process={**user(uid), "noNewPrivileges": False, "capabilities": {
            "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}},
            linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}).probe())
        assert got["CapBnd"] == bits("CAP_KILL")
        assert got["CapPrm"] == got["CapEff"] == expected


# --- limits ---

def test_rlimits(container):
    limits = [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
              {"type": "RLIMIT_NPROC", "soft": 100, "hard": 200}, {"type": "RLIMIT_STACK", "soft": 4194304, "hard": 8388608},
              {"type": "RLIMIT_RTTIME", "soft": 1000000, "hard": 2000000},
              {"type": "RLIMIT_FSIZE", "soft": 18446744073709551615, "hard": 18446744073709551615}]
    seen = container(process={"rlimits": limits}).probe()["rlimits"]
    for limit in limits:
        expected = [-1 if v == 2**64 - 1 else v for v in (limit["soft"], limit["hard"])]
        assert seen[limit["type"]] == expected, limit["type"]


def test_rlimits_unset_are_the_callers(container):
    seen = container().probe()["rlimits"]
    import resource
    assert seen["RLIMIT_NOFILE"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))


def test_oom_score_adj(container):
    assert container(process={"oomScoreAdj": 123}).probe()["oom_score_adj"] == 123


def test_oom_score_adj_unset_is_left_alone(container):
    with open("/proc/self/oom_score_adj") as f:
        assert container().probe()["oom_score_adj"] == int(f.read())


# --- environment, arguments, directory ---

def test_env_and_args_are_exact(container):
    env = ["PATH=/bin", "A=1", "EMPTY=", "SPACE=a b", "EQ=a=b", "UTF=ä", "HOME=/home/x"]
    args = ["/bin/probe", "--exit", "0"]
    seen = container(args=args, process={"env": env}).probe()
    assert sorted(seen["env"]) == sorted(e.encode().decode("latin-1") for e in env)
    assert seen["argv"] == args


def test_environment_of_the_caller_does_not_enter(container):
    seen = container().probe(env={**os.environ, "SECRET": "1", "LD_PRELOAD": "", "LISTEN_FDNAMES": "x"})
    assert [e for e in seen["env"] if not e.startswith(("PATH=", "TERM=", "HOME="))] == []


@pytest.mark.parametrize("uid,home", [(0, "/root"), (1000, "/home/user"), (4711, "/")])
def test_home_comes_from_the_containers_passwd(container, uid, home):
    assert f"HOME={home}" in container(process=user(uid)).probe()["env"]


@pytest.mark.hull_only(reason="runc fails or hangs on some")
@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "link to the host", "long line", "device"])
def test_home_with_a_hostile_passwd(container, kind):
    """SEC-09: no hang, no host data, the id stays."""
    c = container(process=user(1000))
    passwd = c.bundle.rootfs / "etc/passwd"
    passwd.unlink()
    if kind == "directory":
        passwd.mkdir()
    elif kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "link to the host":
        passwd.symlink_to("/etc/shadow")
    elif kind == "long line":
        passwd.write_text("x" * (10 << 20) + "\n1000:x:0:0::/root:\n")
    elif kind == "device":
        os.mknod(passwd, 0o20666, os.makedev(1, 5))
    seen = c.probe()
    assert seen["uid"] == [1000] * 3
    assert [e for e in seen["env"] if e.startswith("HOME=")] in (["HOME=/"], [])


def test_cwd(container):
    c = container(process={"cwd": "/var/log"})
    seen = c.probe()
    assert seen["cwd"]["path"] == "/var/log"
    assert seen["cwd"]["mnt_id"] == seen["root"]["mnt_id"]


def test_cwd_is_created(container):
    c = container(process={"cwd": "/new/deep/dir"})
    assert c.probe()["cwd"]["path"] == "/new/deep/dir"
    assert (c.bundle.rootfs / "new/deep/dir").stat().st_mode & 0o777 == 0o755


def test_cwd_only_the_user_may_enter(container):
    """As root first, as the user when root can't (or the other way): both must end in the directory."""
    c = container(process={**user(1000), "cwd": "/private"})
    private = c.bundle.rootfs / "private"
    private.mkdir(mode=0o700)
    os.chown(private, 1000, 1000)
    assert c.probe()["cwd"]["path"] == "/private"


@pytest.mark.parametrize("args0,message", [
    ("nope", r'exec "nope": executable file not found in \$PATH \(process\.args\[0\]\): no such file or directory'),
    ("/nope", r'exec "?/nope"? \(process\.args\[0\]\): no such file or directory'),
    ("/etc/passwd", r'exec "?/etc/passwd"? \(process\.args\[0\]\): permission denied'),
    ("/etc", r'exec "?/etc"?: is a directory \(process\.args\[0\]\): permission denied'),
    ("/etc/passwd/x", r'exec "?/etc/passwd/x"? \(process\.args\[0\]\): not a directory'),
    ("./nope", r'exec "?\./nope"? \(process\.args\[0\]\): no such file or directory'),
], ids=["not in PATH", "missing", "not executable", "directory", "below a file", "relative"])
@pytest.mark.parametrize("verb", ["create", "run"])
def test_program_that_cannot_be_run(container, verb, args0, message):
    """At create already; podman maps the texts to 126 and 127."""
    c = container(args=[args0])
    c.fails(verb, match=f"({verb} {c.id}: )?{message}")


def test_program_is_looked_up_in_the_containers_path(container):
    c = container(args=["mine"], process={"env": ["PATH=/nowhere:/opt/x"]})
    (c.bundle.rootfs / "opt/x").mkdir(parents=True)
    (c.bundle.rootfs / "opt/x/mine").symlink_to("/bin/probe")
    assert c.run(env={"PATH": "/bin"}).json()["argv"] == ["mine"]


def test_lookup_passes_over_what_cannot_be_executed(container):
    c = container(args=["tool"], process={"env": ["PATH=/a:/b"]})
    for d in "ab":
        (c.bundle.rootfs / d).mkdir()
    (c.bundle.rootfs / "a/tool").write_text("not executable")
    (c.bundle.rootfs / "b/tool").symlink_to("/bin/probe")
    c.run()


def test_relative_program_counts_from_cwd(container):
    c = container(args=["./probe"], process={"cwd": "/bin"})
    assert c.probe()["argv"] == ["./probe"]


def test_script(container):
    c = container(args=["/script", "a", "b"])
    script = c.bundle.rootfs / "script"
    script.write_text("#!/bin/sh\necho $0 $1 $2\n")
    script.chmod(0o755)
    assert c.run().out == "/script a b\n"


def test_bad_interpreter(container):
    c = container(args=["/script"])
    script = c.bundle.rootfs / "script"
    script.write_text("#!/no/such/shell\n")
    script.chmod(0o755)
    c.create()
    r = c.runtime.call("start", c.id)
    if c.runtime.is_hull:
        assert r.rc == 1
        assert re.fullmatch(r"hull: .*/script.*no such file or directory.*\n", r.err), r.err


# --- what else the process begins with ---

def test_descriptors(container):
    seen = container().probe()
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]


def test_leaked_descriptors_of_the_caller_do_not_enter(container):
    """CVE-2024-21626: directories of the host that the caller left open."""
    fds = []
    for _ in range(200):
        fd = os.open("/", os.O_RDONLY)
        os.set_inheritable(fd, True)
        fds.append(fd)
    try:
        seen = container().probe(close_fds=False)
    finally:
        for fd in fds:
            os.close(fd)
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]


def test_preserve_fds(container, hull):
    with open(hull.tmp / "three", "w+") as three, open(hull.tmp / "four", "w+") as four:
        c = container(args=["/bin/sh", "-c", "echo to3 >&3; echo to4 >&4; exec /bin/probe"])

        def arrange():
            a, b = os.dup(three.fileno()), os.dup(four.fileno())
            os.dup2(a, 3)
            os.dup2(b, 4)
        seen = c.run("--preserve-fds", "2", preexec_fn=arrange, close_fds=False).json()
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2, 3, 4]
    assert (hull.tmp / "three").read_text() == "to3\n"
    assert (hull.tmp / "four").read_text() == "to4\n"


@pytest.mark.hull_only(reason="newer runc only")
def test_preserve_fds_that_are_not_open(container):
    c = container()
    c.fails("create", "--preserve-fds", "3", match=r".*(preserve-fds|file descriptor|fd) ?.*[345].*")


def test_session_and_signals(container):
    seen = container().probe(start_new_session=False)
    assert seen["pid"] == seen["sid"] == seen["pgid"] == 1
    assert seen["tty"] == "ENXIO", "no controlling terminal"
    assert int(seen["status"]["SigBlk"], 16) == 0
    assert int(seen["status"]["SigIgn"], 16) == 0


@pytest.mark.hull_only(reason="peers leave the caller's ignored signals alone")
def test_signals_ignored_by_the_caller_are_reset(container):
    import signal

    def ignore():
        for sig in (signal.SIGINT, signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(sig, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])
    seen = container().probe(preexec_fn=ignore, restore_signals=False)
    assert int(seen["status"]["SigIgn"], 16) == 0
    assert int(seen["status"]["SigBlk"], 16) == 0


def test_process_group_of_the_caller_is_out_of_reach(container, hull):
    """CVE-2026-97029's class: kill(0, …) inside must not reach the caller, host pid namespace or not."""
    for ns in (namespaces(), namespaces("pid")):
        c = container(args=["/bin/sh", "-c", "trap : USR1; kill -USR1 0; echo done"], linux={"namespaces": ns})
        assert c.run().out == "done\n"


def test_proc_exe_is_the_program(container):
    assert container().probe()["exe"] == "/bin/probe"


@pytest.mark.parametrize("n", [0, 3, 5, 7, 9, 10, 11, 15, 20])
def test_cwd_through_a_leaked_descriptor(container, n):
    """CVE-2024-21626: process.cwd = /proc/self/fd/N."""
    c = container(process={"cwd": f"/proc/self/fd/{n}/../.."})
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    if r.rc == 0:
        seen = r.json()
        assert seen["cwd"]["mnt_id"] in [int(line.split()[0]) for line in seen["mountinfo"]]
        assert seen["cwd"]["path"].startswith("/")


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20])
def test_program_through_a_leaked_descriptor(container, n):
    """`#!` and args[0] are resolved while descriptors that close on exec are still open."""
    c = container(args=[f"/proc/self/fd/{n}/../../../../../../usr/bin/id"])
    fd = os.open("/usr", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        assert c.runtime.call("run", "--bundle", c.bundle.path, c.id, close_fds=False).rc != 0
    finally:
        os.close(fd)
    c = container(args=["/script"])
    script = c.bundle.rootfs / "script"
    script.write_text(f"#!/proc/self/fd/{n}/../usr/bin/id\n")
    script.chmod(0o755)
    assert "uid=" not in c.runtime.call("run", "--bundle", c.bundle.path, c.id).out


def test_stdio_on_the_hosts_null_is_not_the_hosts_inode(container):
    """fchmod(0) on the host's /dev/null from inside would change the host's node."""
    seen = container().probe()
    zero = next(f for f in seen["fds"] if f["fd"] == 0)
    assert zero["rdev"] == "1:3"
    host = os.stat("/dev/null")
    assert (zero["dev"], zero["ino"]) != (host.st_dev, host.st_ino)


def test_bind_mounted_program(container):
    """The program may live on a mount of the configuration."""
    c = container(args=["/opt/tool"])
    target = c.bundle.rootfs / "bin/probe"
    c.rewrite(mounts=[*c.config["mounts"], bind(target, "/opt/tool", "ro")])
    assert c.probe()["argv"] == ["/opt/tool"]


def test_sockets_that_were_passed_are_told(container, hull):
    """sd_listen_fds(3): LISTEN_FDS for us becomes LISTEN_FDS for pid 1 of the container."""
    c = container(process={"env": ["PATH=/bin", "LISTEN_FDS=9"]})
    argv = hull.argv("run", "--bundle", c.bundle.path, c.id)
    shell = 'exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web; exec "$@"'
    done = subprocess.run(["/bin/sh", "-c", shell, "sh", *argv], capture_output=True, text=True, timeout=scaled(20), check=True)
    seen = json.loads(done.stdout)
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2, 3]
    assert sorted(e for e in seen["env"] if e.startswith("LISTEN_")) == ["LISTEN_FDNAMES=web", "LISTEN_FDS=1", "LISTEN_PID=1"]


def test_sockets_for_somebody_else_are_not_told(container, hull):
    c = container(process={"env": ["PATH=/bin"]})
    seen = c.run(env={**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"}).json()
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]
    assert not [e for e in seen["env"] if e.startswith("LISTEN_")]
