# SPDX-License-Identifier: Apache-2.0
"""Filters: actions, arguments, flags, order against the drop of privileges (SEC-52)."""
import errno
import os

import pytest
from harness.config import namespaces
from harness.filters import FLAG_LOG, flags_of
from harness.programs import PROBE_CALLS

ALLOW = "SCMP_ACT_ALLOW"


def rule(names, action, **more):
    return {"names": [names] if isinstance(names, str) else names, "action": action, **more}


def filtered(*rules, default=ALLOW, **more):
    return {"seccomp": {"defaultAction": default, "syscalls": list(rules), **more}}


MKDIR = ["/bin/probe", "--mkdir", "/x"]


def test_no_profile(container):
    assert container().probe()["status"]["Seccomp"] == "0"


def test_profile_is_loaded(container):
    seen = container(linux=filtered(rule(["mkdir", "mkdirat"], "SCMP_ACT_ERRNO")), args=MKDIR).probe()
    assert seen["status"]["Seccomp"] == "2"
    assert seen["mkdir /x"]["errno"] == "EPERM"


@pytest.mark.parametrize("code,name", [(errno.ENOSYS, "ENOSYS"), (errno.EACCES, "EACCES"), (errno.ENOSPC, "ENOSPC")])
def test_errno_ret(container, code, name):
    seen = container(linux=filtered(rule(["mkdir", "mkdirat"], "SCMP_ACT_ERRNO", errnoRet=code)), args=MKDIR).probe()
    assert seen["mkdir /x"]["errno"] == name


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"])
def test_actions_that_kill(container, action):
    c = container(linux=filtered(rule(["mkdir", "mkdirat"], action)), args=["/bin/mkdir", "/x"])
    assert c.run(rc=128 + 31).out == ""


@pytest.mark.parametrize("action", ["SCMP_ACT_LOG", "SCMP_ACT_ALLOW"])
def test_actions_that_let_pass(container, action):
    assert container(linux=filtered(rule(["mkdir", "mkdirat"], action)), args=MKDIR).probe()["mkdir /x"]["errno"] == "0"


OPERATORS = [("SCMP_CMP_EQ", 2, None, True), ("SCMP_CMP_EQ", 3, None, False), ("SCMP_CMP_NE", 3, None, True),
             ("SCMP_CMP_LT", 3, None, True), ("SCMP_CMP_LE", 2, None, True), ("SCMP_CMP_GT", 1, None, True),
             ("SCMP_CMP_GE", 3, None, False), ("SCMP_CMP_MASKED_EQ", 3, 2, True), ("SCMP_CMP_MASKED_EQ", 1, 1, False)]


@pytest.mark.parametrize("op,value,two,hit", OPERATORS)
def test_operators(container, op, value, two, hit):
    """kill(pid, sig) compared in its second argument; sig is 2 here."""
    arg = {"index": 1, "value": value, "op": op}
    if op == "SCMP_CMP_MASKED_EQ":
        arg = {"index": 1, "value": value, "valueTwo": two, "op": op}
    c = container(linux=filtered(rule("kill", "SCMP_ACT_ERRNO", args=[arg])),
                  args=["/bin/sh", "-c", "trap : INT; kill -2 $$ && echo sent || echo refused"])
    assert c.run(rc=0).out == ("refused\n" if hit else "sent\n")


def test_two_conditions_on_one_argument_are_alternatives(container):
    args = [{"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]
    c = container(linux=filtered(rule("kill", "SCMP_ACT_ERRNO", args=args)),
                  args=["/bin/sh", "-c", "trap : INT USR1 USR2; for s in 2 10 12; do kill -$s $$ && echo sent || echo refused; done"])
    assert c.run().out.split() == ["refused", "refused", "sent"]


def test_unknown_system_call_is_no_failure(container):
    container(linux=filtered(rule(["no_such_call", "mkdir"], "SCMP_ACT_ERRNO"))).run()


@pytest.mark.hull_only(reason="peers use more calls after the filter")
@pytest.mark.parametrize("more,seen", [({}, "EPERM"), ({"defaultErrnoRet": errno.EXDEV}, "EXDEV"), ({"defaultErrnoRet": 0}, "0")])
def test_default_action_denies(container, more, seen):
    """A list of what is allowed, and something outside of it."""
    c = container(linux=filtered(rule(PROBE_CALLS, ALLOW), default="SCMP_ACT_ERRNO", **more), args=MKDIR)
    assert c.probe()["mkdir /x"]["errno"] == seen
    assert not (c.bundle.rootfs / "x").exists()


@pytest.mark.hull_only(reason="runc 1.1 knows no flags")
@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                                   ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]])
def test_flags(container, flags):
    """All of them, in the call itself, are in test_features.py."""
    c = container(linux=filtered(rule("mkdir", "SCMP_ACT_ERRNO"), flags=flags), args=["/bin/sleep", "100"])
    c.detach()
    assert flags_of(c.pid) == (FLAG_LOG if "SECCOMP_FILTER_FLAG_LOG" in flags else 0)


MKDIR_I386, MKDIR_X32 = 39, 1 << 30 | 83


@pytest.mark.parametrize("arch,call", [("SCMP_ARCH_X86", f"call32 {MKDIR_I386}"), ("SCMP_ARCH_X32", f"call {MKDIR_X32}")])
def test_architectures(container, arch, call):
    """A call of an architecture that isn't listed kills; one of those that are is ruled as that of x86-64, which is filtered beside them."""
    linux = filtered(rule(["mkdir", "mkdirat"], "SCMP_ACT_ERRNO", errnoRet=errno.EXDEV), architectures=["SCMP_ARCH_X86_64", arch])
    c = container(linux=linux, args=[*MKDIR, *f"--{call}".split()])
    seen = c.probe()
    assert (seen["mkdir /x"]["errno"], seen[call]["errno"]) == ("EXDEV", "EXDEV")
    c.rewrite(linux={"seccomp": {"architectures": ["SCMP_ARCH_X86_64"]}})
    c.run(rc=128 + 31)


@pytest.mark.hull_only(reason="peers ignore errnoRet where it means nothing; the specification says error")
@pytest.mark.parametrize("bad,path", [
    (filtered(rule("mkdir", ALLOW, errnoRet=1)), r"linux\.seccomp\.syscalls\[0\]\.errnoRet"),
    (filtered(default="SCMP_ACT_KILL", defaultErrnoRet=1), r"linux\.seccomp\.defaultErrnoRet"),
    (filtered(rule("mkdir", "SCMP_ACT_ERRNO", errnoRet=65536)), r"linux\.seccomp\.syscalls\[0\]\.errnoRet"),
    (filtered(rule("mkdir", "SCMP_ACT_ERRNO", errnoRet=4096)), r"linux\.seccomp\.syscalls\[0\]\.errnoRet"),
    (filtered(rule("mkdir", "SCMP_ACT_NOPE")), r"linux\.seccomp\.syscalls\[0\]\.action"),
    (filtered(default="SCMP_ACT_NOPE"), r"linux\.seccomp\.defaultAction"),
    (filtered(architectures=["SCMP_ARCH_PDP11"]), r"linux\.seccomp\.architectures\[0\]"),
    (filtered(flags=["SECCOMP_FILTER_FLAG_NOPE"]), r"linux\.seccomp\.flags\[0\]"),
    (filtered(rule("kill", "SCMP_ACT_ERRNO", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])),
     r"linux\.seccomp\.syscalls\[0\]\.args\[0\]\.index"),
    (filtered(rule("kill", "SCMP_ACT_ERRNO", args=[{"index": 0, "value": 1, "op": "EQ"}])),
     r"linux\.seccomp\.syscalls\[0\]\.args\[0\]\.op"),
    (filtered(rule([], "SCMP_ACT_ERRNO")), r"linux\.seccomp\.syscalls\[0\]\.names"),
    ({"seccomp": {"syscalls": []}}, r"linux\.seccomp\.defaultAction"),
])
def test_bad_profiles(container, bad, path):
    container(linux=bad).fails("create", match=rf"config\.json: {path}: .*")


def test_filter_that_denies_what_the_runtime_uses(container):
    """The filter is the last call: nothing of the runtime may be needed after it but execve."""
    denied = ["close_range", "getcwd", "prctl", "capset", "capget", "setresuid", "setresgid", "setgroups", "socket", "sendmsg",
              "recvmsg", "sendto", "recvfrom", "connect", "openat2", "mount", "pivot_root", "umount2", "chdir", "fchdir",
              "setsid", "keyctl", "prlimit64", "clone3", "memfd_create", "poll", "ppoll"]
    for nnp in (True, False):
        for uid in (0, 1000):
            c = container(linux=filtered(rule(denied, "SCMP_ACT_ERRNO")), args=["/bin/busybox", "echo", "runs"],
                          process={"noNewPrivileges": nnp, "user": {"uid": uid, "gid": uid}})
            if not c.runtime.is_hull:
                pytest.skip("peers need some of them")
            assert c.run().out == "runs\n"


FAKED = ["capset", "prctl", "setresuid", "setresgid", "setgroups", "close_range", "sendmsg", "sendto"]
COMPARED = ("uid", "gid", "groups", "nnp", "umask", "securebits", "keepcaps", "env", "argv")


@pytest.mark.hull_only(reason="Debian's runc and crun both lose: uid 0 with every capability")
@pytest.mark.parametrize("action", ["SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_profile_that_fakes_the_drop(container, action, nnp, uid):
    """SEC-52: the calls return 0 and do nothing. The process must be as without the profile."""
    process = {"user": {"uid": uid, "gid": uid, "additionalGids": [5]}, "noNewPrivileges": nnp,
               "capabilities": {s: ["CAP_KILL"] for s in ("bounding", "effective", "permitted")}}
    plain = container(process=process).probe()
    faked = {"errnoRet": 0} if action == "SCMP_ACT_ERRNO" else {}
    seen = container(process=process, linux=filtered(rule(FAKED, action, **faked))).probe()
    for key in COMPARED:
        if key not in ("nnp", "securebits", "keepcaps"):  # asked by prctl, which is faked as well
            assert seen[key] == plain[key], key
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Uid", "Gid", "Groups", "NoNewPrivs"):
        assert seen["status"][key] == plain["status"][key], key
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]
    assert seen["status"]["Seccomp"] == "2"


def test_exec_has_the_filter_too(container, hull):
    c = container(linux=filtered(rule(["mkdir", "mkdirat"], "SCMP_ACT_ERRNO")), args=["/bin/sleep", "100"])
    c.detach()
    seen = hull("exec", c.id, *MKDIR).json()
    assert seen["status"]["Seccomp"] == "2"
    assert seen["mkdir /x"]["errno"] == "EPERM"


def test_filter_with_every_namespace_shared(container):
    c = container(linux={**filtered(rule(["mkdir", "mkdirat"], "SCMP_ACT_ERRNO")),
                         "namespaces": namespaces("pid", "network", "ipc", "cgroup")}, args=MKDIR)
    assert c.probe()["mkdir /x"]["errno"] == "EPERM"


def probe_call(nr):
    """A program for the container that makes one system call."""
    return ["/bin/probe", "--call", str(nr)]


LONG = [  # more than the cache's least number of names, all of them harmless
    "accept", "accept4", "access", "arch_prctl", "bind", "brk", "chdir", "chmod", "chown", "clock_getres", "clock_gettime", "clock_nanosleep", "clone",
    "clone3", "close", "close_range", "connect", "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "execve", "exit", "exit_group",
    "faccessat", "faccessat2", "fchdir", "fchmod", "fchmodat", "fchown", "fcntl", "fstat", "fstatfs", "fsync", "ftruncate", "futex", "getcwd", "getdents64",
    "getegid", "geteuid", "getgid", "getgroups", "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresuid", "getrlimit", "getsid", "gettid",
    "gettimeofday", "getuid", "ioctl", "kill", "lseek", "lstat", "madvise", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "open", "openat",
    "pipe", "pipe2", "poll", "prctl", "pread64", "prlimit64", "read", "readlink", "readv", "rename", "rseq", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "set_robust_list", "set_tid_address", "sigaltstack", "stat", "statfs", "statx", "sysinfo", "uname", "unlink", "wait4", "write", "writev",
    "capget", "sched_getaffinity", "sched_yield", "getpriority", "getxattr", "lgetxattr", "getpgid", "ugetrlimit", "umask", "times", "tgkill"]


@pytest.mark.parametrize("nr,errno_", [(999, errno.ENOSYS), (436, errno.EPERM)])
def test_newer_than_the_profile_is_enosys(container, nr, errno_):
    """436 (close_range) isn't in the list, but clone3 and openat2 around it are older and newer: EPERM; 999 nobody could know."""
    names = [n for n in LONG if n != "close_range"] + ["openat2"]
    c = container(linux=filtered(rule(names, ALLOW), default="SCMP_ACT_ERRNO"), args=probe_call(nr))
    assert c.probe()[f"call {nr}"]["errno"] == errno.errorcode[errno_]


def test_call_that_libseccomp_does_not_know(container):
    """mseal (462, Linux 6.10) is forbidden by name, by hull's own table."""
    c = container(linux=filtered(rule("mseal", "SCMP_ACT_ERRNO", errnoRet=errno.EXDEV)), args=probe_call(462))
    r = c.run()
    assert r.json()["call 462"]["errno"] == "EXDEV" and r.err == ""


class TestCache:
    """Compiled profiles below the state root."""

    @staticmethod
    def files(hull):
        d = hull.root / ".seccomp"
        return sorted(d.iterdir()) if d.exists() else []

    def run(self, container, names=LONG, **more):
        c = container(linux=filtered(rule(names, ALLOW), default="SCMP_ACT_ERRNO", **more), args=MKDIR)
        seen = c.probe()
        assert seen["status"]["Seccomp"] == "2" and seen["mkdir /x"]["errno"] == "EPERM"

    def test_second_start(self, container, hull):
        self.run(container)
        file, = self.files(hull)
        st = file.stat()
        assert st.st_mode & 0o7777 == 0o600 and file.parent.stat().st_mode & 0o7777 == 0o700
        self.run(container)
        assert file.stat().st_mtime_ns == st.st_mtime_ns and self.files(hull) == [file]

    def test_exec_uses_it(self, container, hull):
        c = container(linux=filtered(rule(LONG, ALLOW), default="SCMP_ACT_ERRNO"), args=["/bin/sleep", "100"])
        c.detach()
        before = self.files(hull)[0].stat()
        assert c.exec(c.id, *MKDIR).json()["mkdir /x"]["errno"] == "EPERM"
        assert self.files(hull)[0].stat().st_ino == before.st_ino

    def test_another_profile_is_another_file(self, container, hull):
        self.run(container)
        self.run(container, LONG[:-1])
        assert len(self.files(hull)) == 2

    @pytest.mark.parametrize("damage", ["byte", "short", "key", "empty", "fifo", "link", "mode", "owner"])
    def test_damage_is_compiled_anew(self, container, hull, damage, tmp_path):
        """A program that allows everything is put in its place: it must not be loaded."""
        self.run(container)
        file, = self.files(hull)
        data = bytearray(file.read_bytes())
        if damage == "byte":
            data[200] ^= 1
        elif damage == "short":
            del data[-1]
        elif damage == "key":
            data[-2] ^= 1
        elif damage == "empty":
            data.clear()
        file.write_bytes(data)
        if damage in ("fifo", "link"):
            file.unlink()
            if damage == "fifo":
                os.mkfifo(file, 0o600)
            else:
                (tmp_path / "elsewhere").write_bytes(data)
                file.symlink_to(tmp_path / "elsewhere")
        elif damage == "mode":
            file.chmod(0o666)
        elif damage == "owner":
            os.chown(file, 1000, 1000)
        self.run(container)
        good, = self.files(hull)
        assert good.is_file() and not good.is_symlink() and good.stat().st_mode & 0o7777 == 0o600 and good.stat().st_uid == 0

    def test_another_program_with_a_right_sum_but_another_key(self, container, hull):
        """The hash of the name alone proves nothing: a file for another profile under this name is not used."""
        self.run(container)
        right, = self.files(hull)
        c = container(linux=filtered(rule(LONG + ["mkdir", "mkdirat"], ALLOW), default="SCMP_ACT_ERRNO"), args=MKDIR)
        assert c.probe()["mkdir /x"]["errno"] == "0"
        wrong, = set(self.files(hull)) - {right}
        right.write_bytes(wrong.read_bytes())
        self.run(container)

    def test_bounded(self, container, hull):
        c = container(linux=filtered(rule(LONG, ALLOW), default="SCMP_ACT_ERRNO"), args=["/bin/true"])
        for i in range(36):
            c.rewrite(linux={"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": i + 1, "syscalls": [rule(LONG, ALLOW)]}})
            c.run()
        assert len(self.files(hull)) == 32

    def test_small_profiles_and_explain_make_no_file(self, container, hull):
        container(linux=filtered(rule("mkdir", "SCMP_ACT_ERRNO")), args=["/bin/true"]).run()
        c = container(linux=filtered(rule(LONG, ALLOW), default="SCMP_ACT_ERRNO"))
        hull("explain", "--bundle", c.bundle.path, c.id)
        assert not self.files(hull)

    def test_warning_every_time(self, container, hull):
        for _ in range(2):
            c = container(linux=filtered(rule(LONG, "SCMP_ACT_LOG"), rule("no_such_call", "SCMP_ACT_KILL")), args=["/bin/true"])
            r = hull("--log-level", "warning", "run", "--bundle", c.bundle.path, c.id)
            assert "no_such_call" in r.err
        assert not self.files(hull)
