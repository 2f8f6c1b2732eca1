# SPDX-License-Identifier: Apache-2.0
"""The runtime under test: every call has a deadline, output goes to files (a container may keep its pipes open)."""
import itertools
import json
import os
import re
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import config as cfg
from . import programs, snapshot
from .clock import scaled

CALL_SECONDS = 20
_counter = itertools.count(1)


def run_to_end(argv, seconds, **popen):
    """Its exit status; subprocess.TimeoutExpired, and it is killed, when it takes longer. (subprocess.run looks every 50 ms, as long as a container takes.)"""
    with subprocess.Popen(argv, **popen) as process:
        pidfd = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(seconds * 1000):
                raise subprocess.TimeoutExpired(argv, seconds)
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(pidfd)
    return process.returncode


@dataclass
class Result:
    rc: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


class Runtime:
    """`hull(...)` runs the program with a state root of its own and checks the exit code."""

    def __init__(self, program, tmp):
        self.program = str(program)
        self.name = Path(program).name
        self.flavor = next((p for p in ("runc", "crun") if p in self.name), "hull")
        self.tmp = Path(tmp)
        self.root = self.tmp / "state"
        self.made = []  # ids to delete at the end

    @property
    def is_hull(self):
        return self.flavor == "hull"

    def argv(self, *args, root=True):
        return [self.program, *(["--root", str(self.root)] if root else []), *map(str, args)]

    def call(self, *args, root=True, stdin=subprocess.DEVNULL, text=None, timeout=CALL_SECONDS, wrap=(), **popen):
        """Run it to its end. `text` is given on standard input, `wrap` is put before the command (strace …)."""
        n = next(_counter)
        out, err = self.tmp / f"{n}.out", self.tmp / f"{n}.err"
        with open(out, "wb") as o, open(err, "wb") as e:
            if text is not None:
                source = self.tmp / f"{n}.in"
                source.write_text(text)
                stdin = open(source, "rb")
            rc = run_to_end([*wrap, *self.argv(*args, root=root)], scaled(timeout), stdin=stdin, stdout=o, stderr=e, **popen)
            if text is not None:
                stdin.close()
        return Result(rc, out.read_text(errors="surrogateescape"), err.read_text(errors="surrogateescape"))

    def __call__(self, *args, rc=0, **how):
        r = self.call(*args, **how)
        assert r.rc == rc, f"{args}: exit code {r.rc}, expected {rc}\n{r.err}{r.out}"
        return r

    def popen(self, *args, **how):
        """Start it in the background. The caller waits for it."""
        return subprocess.Popen(self.argv(*args), **{"stdin": subprocess.DEVNULL, **how})

    def fails(self, *args, match, rc=1, **how):
        """It must fail with exactly one line that matches as a whole (peers: fail at all), and say nothing else."""
        r = self.call(*args, **how)
        if not self.is_hull:
            assert r.rc != 0, f"{args}: did not fail\n{r.err}{r.out}"
            return r
        assert r.rc == rc, f"{args}: exit code {r.rc}, expected {rc}\n{r.err}{r.out}"
        assert r.out == "", f"a command that fails prints nothing on stdout: {r.out!r}"
        line = r.err[:-1] if r.err.endswith("\n") else r.err
        assert re.fullmatch(f"hull: (?:{match})", line), f"\n  message {line!r}\n  doesn't match {match!r}"
        return r

    def ids(self):
        """What the state root holds."""
        return ids_in(self.root)

    def clean(self):
        """Delete what the test made; every deletion must succeed within a second or two."""
        problems = []
        for name in (n for n in self.made if n in self.ids()):
            try:
                r = self.call("delete", "--force", name, timeout=10)
            except subprocess.TimeoutExpired:
                problems.append(f"delete --force {name} took longer than {scaled(10)} s")
                continue
            if r.rc != 0:
                problems.append(f"delete --force {name}: exit code {r.rc}: {r.err}")
        left = self.ids()
        if left:
            problems.append(f"left in the state root: {left}")
        return problems


def ids_in(root):
    """What a state root holds, but for the cache of seccomp programs."""
    return sorted(set(os.listdir(root)) - {".seccomp"}) if root.exists() else []


_copies = {}  # what is the same in each image: what it is made of → (its last place, what that must look like)


def _looks(path):
    st = os.lstat(path)
    return st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, os.listxattr(path, follow_symlinks=False)


def _put(source, target, make):
    """make(source, target), or one more link to the last: one file in memory, whose code an emulator translates once, and few inodes. What a test has
    changed is not used again."""
    try:
        copy, looks = _copies[source]
        if _looks(copy) == looks:
            os.link(copy, target, follow_symlinks=False)
            return
    except (KeyError, OSError):
        pass
    make(source, target)
    _copies[source] = target, _looks(target)


class Bundle:
    """A directory with config.json and a root file system: probe, attack, busybox with the usual names."""

    def __init__(self, path):
        self.path = Path(path)
        self.rootfs = self.path / "rootfs"
        for d in ("bin", "dev", "proc", "sys", "tmp", "etc", "root", "run", "var/log"):
            os.makedirs(f"{self.rootfs}/{d}")
        os.chmod(f"{self.rootfs}/tmp", 0o1777)
        _put(programs.BUSYBOX, f"{self.rootfs}/bin/busybox", shutil.copy)
        for name in ("probe", "attack"):
            _put(programs.build(name), f"{self.rootfs}/bin/{name}", shutil.copy)
        for applet in programs.APPLETS:
            _put("busybox", f"{self.rootfs}/bin/{applet}", os.symlink)
        (self.rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        (self.rootfs / "etc/group").write_text("root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")

    def write(self, config, name="config.json"):
        (self.path / name).write_text(json.dumps(config) if isinstance(config, dict) else config)
        return self


class Container:
    """One container of a test: its bundle, its configuration, the verbs."""

    def __init__(self, runtime, bundle, config, cid):
        self.runtime, self.bundle, self.config, self.id = runtime, bundle, config, cid
        runtime.made.append(cid)
        bundle.write(config)

    def rewrite(self, **changes):
        cfg.merge(self.config, changes)
        self.bundle.write(self.config)
        return self

    def run(self, *options, rc=0, **how):
        """In the foreground."""
        return self.runtime("run", "--bundle", self.bundle.path, *options, self.id, rc=rc, **how)

    def detach(self, *options, **how):
        """`run --detach` with standard output in a file: see output()."""
        return self._with_output("run", "--detach", *options, **how)

    def create(self, *options, **how):
        return self._with_output("create", *options, **how)

    def _with_output(self, verb, *options, rc=0, **how):
        self.stdout = self.runtime.tmp / f"{self.id}.stdout"
        n = next(_counter)
        err = self.runtime.tmp / f"{n}.err"
        argv = self.runtime.argv(verb, "--bundle", self.bundle.path, *options, self.id)
        with open(self.stdout, "wb") as o, open(err, "wb") as e:
            status = run_to_end(argv, scaled(CALL_SECONDS), stdin=how.pop("stdin", subprocess.DEVNULL), stdout=o, stderr=e, **how)
        r = Result(status, "", err.read_text(errors="surrogateescape"))
        assert r.rc == rc, f"{verb} {options}: exit code {r.rc}, expected {rc}\n{r.err}{self.stdout.read_text()}"
        return r

    def output(self):
        return self.stdout.read_text(errors="surrogateescape")

    def fails(self, verb, *options, match, **how):
        """create, run … with this bundle must fail; `match` is the message after `hull: `."""
        r = self.runtime.fails(verb, "--bundle", self.bundle.path, *options, self.id, match=match, **how)
        assert self.id not in self.runtime.ids(), "a create that failed left its record"
        return r

    def start(self, **how):
        return self.runtime("start", self.id, **how)

    def kill(self, *args, **how):
        options = [a for a in args if a.startswith("-")]
        return self.runtime("kill", *options, self.id, *(a for a in args if a not in options), **how)

    def delete(self, *options, **how):
        return self.runtime("delete", *options, self.id, **how)

    def exec(self, *args, **how):
        return self.runtime("exec", *args, **how)

    def state(self):
        return self.runtime("state", self.id).json()

    def status(self):
        return self.state()["status"]

    @property
    def pid(self):
        return self.state()["pid"]

    def wait(self, status="stopped", seconds=10):
        """Until the state says so."""
        wait_for(lambda: self.status() == status, seconds, f"{self.id} to be {status}")
        return self

    def wait_output(self, text, seconds=10):
        wait_for(lambda: text in self.output(), seconds, f"{text!r} in the output of {self.id}", self.output)
        return self

    def probe(self, *options, **how):
        """Run in the foreground and parse what `probe` printed."""
        return self.run(*options, **how).json()

    @property
    def cgroup(self):
        return self.config["linux"]["cgroupsPath"]

    def cgroup_file(self, controller, name):
        """A file of this container's cgroup in the hierarchy that has `controller` (\"unified\": the v2 one)."""
        return cgroup_dir(controller) / self.cgroup.lstrip("/") / name


def cgroup_dir(controller):
    """Where the hierarchy with that controller is mounted, v1 first."""
    v1 = snapshot.CGROUP_ROOT / controller
    if v1.is_dir():
        return v1
    for v2 in (snapshot.CGROUP_ROOT, snapshot.CGROUP_ROOT / "unified"):
        listed = v2 / "cgroup.controllers"
        if listed.exists() and controller in listed.read_text().split():
            return v2
    return v1


def is_v1(controller):
    return (snapshot.CGROUP_ROOT / controller / "tasks").exists()


def wait_for(condition, seconds, what, show=lambda: ""):
    """Poll until the condition holds; AssertionError that names what was waited for."""
    seconds = scaled(seconds)
    begun = now = time.monotonic()
    while not condition():
        looked, now = now, time.monotonic()
        assert now < begun + seconds, f"waited {seconds} s for {what}. {show()}"
        time.sleep(max(0.01, min(0.25, now - looked)))  # on a slow machine asking takes the time of what is waited for
        now = time.monotonic()


def alive(pid):
    """Is there such a process, and is it more than a zombie?"""
    p = snapshot.process(pid)
    return p is not None and p[3] != "Z"


def holds(pid, *words):
    """Has the process a descriptor of something whose name has one of the words in it?"""
    try:
        fds = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return False
    for fd in fds:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:  # closed meanwhile
            continue
        if any(word in link for word in words):
            return True
    return False
