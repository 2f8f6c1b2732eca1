# SPDX-License-Identifier: Apache-2.0
"""NOTIFY_SOCKET: what a program says of itself (sd_notify(3)) goes to the service manager of hull's caller; nothing else does."""
import os
import shutil
import signal
import socket
import struct
import time

import pytest
from harness import programs
from harness.config import namespaces, userns
from harness.needs import needs
from harness.runtime import wait_for

pytestmark = pytest.mark.hull_only(reason="which messages are passed on differs from peer to peer")


class Manager:
    """A service manager: its end of the socket. Messages come as (lines, pid of the sender)."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.messages, self.barriers, self.fds = [], 0, 0
        self.env = {**os.environ, "NOTIFY_SOCKET": self.path}

    def read(self, seconds=0.0):
        """All that has come, after at most so long for the first."""
        self.sock.settimeout(seconds or 0.001)
        while True:
            try:
                msg, control, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(12) + socket.CMSG_SPACE(64))
            except (TimeoutError, BlockingIOError):
                return self.messages
            self.sock.settimeout(0.001)
            pid = 0
            for level, kind, data in control:
                if kind == socket.SCM_RIGHTS:
                    self.fds += 1
                    os.close(struct.unpack("i", data[:4])[0])
                elif kind == socket.SCM_CREDENTIALS:
                    pid = struct.unpack("iii", data[:12])[0]
            if msg == b"BARRIER=1":
                self.barriers += 1
            else:
                self.messages.append((msg.decode().splitlines(), pid))

    def until(self, n, seconds=10):
        wait_for(lambda: len(self.read()) >= n, seconds, f"{n} messages", lambda: str(self.messages))
        return self.messages


@pytest.fixture
def manager(tmp_path):
    m = Manager(tmp_path / "manager.sock")
    yield m
    m.sock.close()


@pytest.fixture
def service(container):
    """A container whose program says these words."""
    def make(*words, script=None, **changes):
        changes.setdefault("args", ["/bin/sh", "-c", script] if script else ["/bin/notify", *words])
        c = container(**changes)
        shutil.copy(programs.build("notify"), c.bundle.rootfs / "bin/notify")
        return c
    return make


def start(c, manager, *options):
    """`start` in the background."""
    return c.runtime.popen(*options, "start", c.id, env=manager.env)


def finish(process, seconds=15):
    assert process.wait(seconds) == 0
    return process


def test_start_waits_for_ready(service, manager):
    c = service(script="notify STATUS=loading; until [ -e /tmp/go ]; do sleep 0.05; done; notify READY=1 STATUS=late; exec sleep 100")
    c.create(env=manager.env)
    p = start(c, manager)
    assert manager.until(1) == [(["STATUS=loading"], p.pid)]
    assert c.status() == "running" and p.poll() is None
    init = c.pid
    (c.bundle.rootfs / "tmp/go").touch()
    assert manager.until(2)[1] == (["READY=1", f"MAINPID={init}"], p.pid)
    wait_for(lambda: manager.read() and manager.barriers, 5, "the barrier")
    finish(p)
    assert manager.fds == 1
    c.delete("--force")


def test_run_in_the_foreground(service, manager):
    """Until the end; the process that the manager knows stays the main one."""
    c = service("STATUS=loading", "READY=1", "WATCHDOG=1", "RELOADING=1\nMONOTONIC_USEC=17", "STOPPING=1", "ERRNO=5\nSTATUS=it broke, so sorry")
    p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, env=manager.env)
    finish(p)
    assert manager.read() == [(["STATUS=loading"], p.pid), (["READY=1", f"MAINPID={p.pid}"], p.pid), (["WATCHDOG=1"], p.pid),
                              (["RELOADING=1", "MONOTONIC_USEC=17"], p.pid), (["STOPPING=1"], p.pid), (["ERRNO=5", "STATUS=it broke, so sorry"], p.pid)]


def test_run_detached(service, manager):
    c = service(script="sleep 0.3; notify READY=1; exec sleep 100")
    begin = time.monotonic()
    c.detach(env=manager.env)
    assert time.monotonic() - begin > 0.3
    assert manager.read()[0][0] == ["READY=1", f"MAINPID={c.pid}"] and manager.barriers == 1


@pytest.mark.parametrize("word", ["MAINPID=1", "MAINPIDFDID=1", "@fd=FDSTORE=1\nFDNAME=x", "FDSTOREREMOVE=1", "FDPOLL=0", "NOTIFYACCESS=all", "WATCHDOG_USEC=1", "BARRIER=1",
                                  "X_MINE=1", "READY", "READY=", "READY=1\x01", "STATUS=a\x1b[31mb", "ERRNO=a b", "READY=1=2", "XREADY=1", "@trailing=READY=1", "@big=5000", "\n\n"])
def test_not_passed_on(service, manager, word):
    c = service(word, "STATUS=end")
    c.run(env=manager.env)
    assert [lines for lines, _ in manager.read()] == [["STATUS=end"]] and manager.fds == 0


def test_good_and_bad_lines_of_one_message(service, manager):
    c = service("MAINPID=1\nSTATUS=good\nFDSTORE=1\nREADY=1\n")
    p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, env=manager.env)
    finish(p)
    assert manager.read() == [(["STATUS=good", "READY=1", f"MAINPID={p.pid}"], p.pid)]


def test_longest_message(service, manager):
    c = service("@big=4096")
    c.run(env=manager.env)
    assert [len(lines[0]) for lines, _ in manager.read()] == [4096]


def test_barrier_of_the_program(service, manager):
    """sd_notify_barrier(3): hull has read all before."""
    c = service("READY=1", "@barrier")
    assert c.run(env=manager.env).out == "barrier passed\n"
    assert manager.fds == 0 and len(manager.read()) == 1


def test_a_program_that_ends_before_it_is_ready(service, manager):
    c = service(script="notify STATUS=no; sleep 0.2; exit 3")
    c.create(env=manager.env)
    finish(start(c, manager))
    assert [lines for lines, _ in manager.read()] == [["STATUS=no"]]
    assert c.status() == "stopped"


def test_killed_while_start_waits(service, manager):
    """Neither delete nor the record waits for who waits for the program."""
    c = service(script="exec sleep 100")
    c.create(env=manager.env)
    p = start(c, manager)
    c.wait("running")
    c.delete("--force")
    finish(p)


def test_start_that_is_killed_leaves_nothing(service, manager):
    c = service(script="exec sleep 100")
    c.create(env=manager.env)
    p = start(c, manager)
    c.wait("running")
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert (c.runtime.root / c.id / "notify/notify.sock").is_socket()
    c.delete("--force")
    assert c.id not in c.runtime.ids()


def test_timeout(service, manager):
    c = service(script="exec sleep 100")
    c.create(env=manager.env)
    c.runtime.fails("--timeout", "1", "start", c.id, env=manager.env, match="the program runs, but didn't say READY=1 over NOTIFY_SOCKET within 1000 ms")
    assert c.status() == "running"


def test_what_the_container_finds(service, manager):
    c = service(script="echo $NOTIFY_SOCKET; ls /run/notify; rm /run/notify/notify.sock; touch /run/notify/x; grep /run/notify /proc/self/mountinfo; notify READY=1",
                process={"user": {"uid": 1000, "gid": 1000}})
    out = c.run(env=manager.env).out.splitlines()
    assert out[:2] == ["/run/notify/notify.sock", "notify.sock"]
    assert out[2].split()[5].startswith("ro,nosuid,nodev,noexec")
    assert len(manager.read()) == 1


def test_user_namespace(service, manager):
    c = service("READY=1", linux=userns(), process={"user": {"uid": 1000, "gid": 1000}})
    c.run(env=manager.env)
    assert len(manager.read()) == 1


@pytest.mark.parametrize("without", [pytest.param("mount", marks=needs("detached mounts that stay (not on Linux 7.3)")), "network", "pid"])
def test_namespaces_of_the_caller(service, manager, without):
    c = service("READY=1", linux={"namespaces": namespaces(without)})
    c.run(env=manager.env)
    assert len(manager.read()) == 1


def test_abstract_address(service, manager):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(f"\0hulltest-{os.getpid()}")
        s.settimeout(5)
        c = service("READY=1")
        p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, env={**os.environ, "NOTIFY_SOCKET": f"@hulltest-{os.getpid()}"})
        assert s.recv(100) == f"READY=1\nMAINPID={p.pid}\n".encode()
        finish(p)


def test_without_a_manager(service):
    """Nothing of ours is in the container."""
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    for extra in ({}, {"NOTIFY_SOCKET": ""}):
        c = service(script="echo [$NOTIFY_SOCKET]; [ -e /run/notify ] || echo none")
        assert c.run(env={**env, **extra}).out == "[]\nnone\n"


def test_a_socket_of_the_configuration(service, manager):
    """Whoever wrote it has arranged for it: podman with conmon."""
    c = service(script="echo $NOTIFY_SOCKET; [ -e /run/notify ] || echo none", process={"env": ["PATH=/bin", "NOTIFY_SOCKET=/mine"]})
    assert c.run(env=manager.env).out == "/mine\nnone\n"
    assert manager.read() == []


def test_manager_at_create_only(service, manager):
    c = service("READY=1")
    c.create(env=manager.env)
    c.start()
    c.wait("stopped")
    assert c.output() == "connect: No such file or directory\n" and manager.read() == []


def test_manager_at_start_only(service, manager):
    c = service("READY=1")
    c.create()
    finish(start(c, manager))
    c.wait("stopped")
    assert c.output() == "no NOTIFY_SOCKET\n"


@pytest.mark.parametrize("address,match", [("relative", r'NOTIFY_SOCKET: "relative" — must be an absolute path or @name'), ("vsock:2:1", 'NOTIFY_SOCKET: "vsock:2:1" — must be .*'),
                                           ("/", 'NOTIFY_SOCKET: "/" — must be .*'), ("/" + 120 * "x", 'NOTIFY_SOCKET: "/x*" — at most 107 bytes')])
def test_bad_address(service, address, match):
    c = service("READY=1")
    for verb in ("create", "run"):
        c.fails(verb, match=match, env={**os.environ, "NOTIFY_SOCKET": address})


def test_manager_that_is_not_there(service, tmp_path, manager):
    c = service("READY=1")
    c.fails("run", match=f"(run {c.id}: )?NOTIFY_SOCKET: connect to {tmp_path}/nobody: no such file or directory", env={**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/nobody"})
    c.create(env=manager.env)
    c.runtime.fails("start", c.id, match=f"start {c.id}: NOTIFY_SOCKET: connect to {tmp_path}/nobody: no such file or directory",
                    env={**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/nobody"})
    assert c.status() == "created"


def test_manager_that_does_not_read(service, manager):
    """A full queue: said once, and neither the program nor hull hangs."""
    c = service("@flood=40", "READY=1", "@barrier")
    begin = time.monotonic()
    r = c.run("--log-level", "warning", env=manager.env)
    assert r.out == "barrier passed\n" and time.monotonic() - begin < 10
    assert [line for line in r.err.splitlines() if "doesn't take" in line] == [r.err.splitlines()[0]]


def test_flood(service, manager):
    """More than 50 a second wait in the socket, and so does who sends them; none is lost."""
    c = service("@flood=130", "READY=1")
    begin = time.monotonic()
    p = c.runtime.popen("run", "--bundle", c.bundle.path, c.id, env=manager.env)
    assert [lines for lines, _ in manager.until(131)][:130] == [[f"STATUS={i}"] for i in range(130)]
    assert time.monotonic() - begin > 1
    finish(p)


@pytest.mark.parametrize("at", ["/run/notify", "/run/notify/x"])
def test_a_mount_in_the_way(service, manager, at):
    c = service("READY=1")
    c.rewrite(mounts=[*c.config["mounts"], {"destination": at, "type": "tmpfs", "source": "tmpfs"}])
    c.fails("create", match=rf'config.json: mounts\[7\]\.destination: "{at}" — is where the socket for NOTIFY_SOCKET is', env=manager.env)


def test_a_volume_on_run(service, manager):
    """Ours comes after all mounts of the configuration."""
    c = service("READY=1")
    c.rewrite(mounts=[*c.config["mounts"], {"destination": "/run", "type": "tmpfs", "source": "tmpfs"}])
    c.run(env=manager.env)
    assert len(manager.read()) == 1
