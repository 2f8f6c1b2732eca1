# SPDX-License-Identifier: Apache-2.0
"""Terminals: --console-socket as engines use it, the foreground pty."""
import os
import pty
import signal
import stat
import subprocess
import termios
import time

import pytest
from harness.config import MOUNTS, PROC, bind
from harness.needs import needs
from harness.runtime import wait_for
from harness.strace import strace
from harness.terminal import ConsoleSocket, read_until, window

SHELL = ["/bin/sh", "-c", "tty; stty size; read x; echo got $x"]


@pytest.fixture
def console(tmp_path):
    s = ConsoleSocket(tmp_path / "console.sock")
    yield s
    s.close()


def terminal(args, **process):
    return {"args": args, "process": {"terminal": True, **process}}


def test_console_socket(container, console):
    c = container(**terminal(SHELL, consoleSize={"height": 33, "width": 77}))
    c.create("--console-socket", console.path)
    master, _ = console.receive()
    st = os.fstat(master)
    assert stat.S_ISCHR(st.st_mode) and (os.major(st.st_rdev), os.minor(st.st_rdev)) == (5, 2)
    c.start()
    got = read_until(master, b"77")
    assert b"/dev/pts/0" in got or b"/dev/console" in got, got
    assert b"33 77" in got
    os.write(master, b"hello\n")
    read_until(master, b"got hello")
    os.close(master)
    c.wait("stopped")


def test_what_a_process_on_a_terminal_sees(container, console):
    c = container(**terminal(["/bin/sh", "-c", "/bin/probe --out /seen --stat /dev/console; sleep 100"]))
    c.create("--console-socket", console.path)
    master, _ = console.receive()
    c.start()
    seen_file = c.bundle.rootfs / "seen"
    wait_for(lambda: seen_file.exists() and seen_file.read_text().endswith("}\n"), 5, "the probe")
    import json
    seen = json.loads(seen_file.read_text())
    assert [f["fd"] for f in seen["fds"]] == [0, 1, 2]
    assert {f["target"] for f in seen["fds"]} == {"/dev/pts/0"}
    assert len({f["rdev"] for f in seen["fds"]}) == 1 and seen["fds"][0]["rdev"].startswith("136:")
    assert seen["tty"] == "0", "it is the controlling terminal"
    assert seen["stat /dev/console"]["rdev"] == seen["fds"][0]["rdev"]
    os.close(master)


def test_owner_of_the_terminal_is_the_user(container, console):
    c = container(**terminal(["/bin/sh", "-c", "ls -ln /dev/pts/0; echo x >/dev/pts/0; sleep 100"], user={"uid": 1000, "gid": 1000}))
    c.create("--console-socket", console.path)
    master, _ = console.receive()
    c.start()
    got = read_until(master, b"x\r" if False else b"\nx")
    assert b" 1000 " in got, got
    os.close(master)


def test_line_ends_for_a_console_socket(container, console):
    """The kernel's settings: an engine's client has its terminal in raw mode, and without the CR each line would begin where the last one ended."""
    c = container(**terminal(["/bin/sh", "-c", "echo one; echo two; sleep 100"]))
    c.create("--console-socket", console.path)
    master, _ = console.receive()
    c.start()
    assert b"one\r\ntwo\r\n" in read_until(master, b"two\r\n")
    os.close(master)


@pytest.mark.hull_only(reason="runc 1.1 can't")
def test_long_socket_path(container, tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    s = ConsoleSocket(deep / "console.sock")
    c = container(**terminal(["/bin/sleep", "100"]))
    c.create("--console-socket", s.path)
    master, _ = s.receive()
    os.close(master)
    s.close()


@pytest.mark.parametrize("verb", [("create",), ("run", "--detach")])
def test_terminal_needs_a_socket(container, verb):
    c = container(**terminal(["/bin/true"]))
    c.fails(*verb, match=r".*console[ -]socket.*")


def test_socket_without_terminal(container, console):
    container(args=["/bin/true"]).fails("create", "--console-socket", console.path, match=r".*(terminal|tty).*")


def test_socket_that_is_not_there(container):
    c = container(**terminal(["/bin/true"]))
    c.fails("create", "--console-socket", "/no/such.sock", match=r".*/no/such\.sock.*no such file or directory.*")


def test_socket_that_nobody_serves(container, tmp_path):
    """Never accepted, buffer of the listener full: an error in bounded time."""
    c = container(**terminal(["/bin/true"]))
    dead = tmp_path / "dead.sock"
    import socket
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(str(dead))
    s.close()
    c.fails("create", "--console-socket", dead, match=r".*dead\.sock.*connection refused.*")


def test_console_without_a_dev_of_our_own(container, console, canary):
    """SEC-13: /dev and /dev/pts from a hostile volume."""
    dev = canary / "dir"
    c = container(**terminal(["/bin/true"]), mounts=[PROC, bind(dev, "/dev"), ])
    r = c.runtime.call("create", "--bundle", c.bundle.path, "--console-socket", console.path, c.id)
    assert r.rc != 0 or (dev / "console").read_text() == "canary dir/console\n"


# --- in the foreground ---

class Foreground:
    """`run` (or exec) on a pty of ours."""

    def __init__(self, hull, *args, size=(24, 80), wrap=()):
        self.master, slave = pty.openpty()
        window(self.master, *size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([*wrap, *hull.argv(*args)], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))

    def finish(self, code):
        assert self.process.wait(10) == code
        assert termios.tcgetattr(self.slave) == self.before, "the caller's terminal must be as it was"
        for fd in (self.slave, self.master):
            os.close(fd)


def test_run_in_the_foreground(container, hull):
    c = container(**terminal(["/bin/sh", "-c", "stty size; read x; echo got $x; exit 5"]))
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id, size=(31, 71))
    read_until(f.master, b"31 71")
    os.write(f.master, b"typed\r")
    read_until(f.master, b"got typed")
    f.finish(5)


def test_line_ends_in_the_foreground(container, hull):
    """One CR at the end of a line, and that is the caller's terminal's."""
    c = container(**terminal(["/bin/sh", "-c", "echo one; echo two; exit 5"]))
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    assert b"one\r\ntwo\r\n" in read_until(f.master, b"two\r\n")
    f.finish(5)


@needs("strace")
@pytest.mark.hull_only(reason="runc sets the size when the program runs already")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_size_is_there_before_the_program(container, hull, verb):
    """However long hull takes for each of its settings of the terminal."""
    c = container(**terminal(["/bin/sh", "-c", "stty size; exit 5"]) if verb == "run" else {"args": ["/bin/sleep", "100"]})
    words = ["run", "--bundle", c.bundle.path, c.id]
    if verb == "exec":
        c.detach()
        words = ["exec", "--tty", c.id, "/bin/sh", "-c", "stty size; exit 5"]
    f = Foreground(hull, *words, size=(31, 71), wrap=strace("-o", "/dev/null", "-e", "inject=ioctl:delay_enter=200000"))
    read_until(f.master, b"31 71", 20)
    f.finish(5)


def test_window_changes_are_passed_on(container, hull):
    c = container(**terminal(["/bin/sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"]))
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    read_until(f.master, b"ready")
    window(f.master, 40, 100)
    os.killpg(f.process.pid, signal.SIGWINCH)
    read_until(f.master, b"40 100")
    c.kill("KILL")
    f.finish(137)


def test_control_c_reaches_the_container(container, hull):
    c = container(**terminal(["/bin/sh", "-c", "trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 0.05; done"]))
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    read_until(f.master, b"ready")
    os.write(f.master, b"\x03")
    read_until(f.master, b"interrupted")
    f.finish(4)


def test_no_output_is_lost_at_the_end(container, hull):
    c = container(**terminal(["/bin/sh", "-c", "seq 1 20000; echo the end"]))
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    got = read_until(f.master, b"the end", 20)
    assert got.count(b"\n") >= 20000
    f.finish(0)


@pytest.mark.hull_only(reason="runc wants a terminal")
def test_foreground_without_a_terminal_of_the_caller(container):
    """terminal: true with pipes at the other side."""
    r = container(**terminal(["/bin/sh", "-c", "tty && echo yes"])).run()
    assert "/dev/pts/0\nyes\n" in r.out, "no CR: there is no terminal that would want it"


def test_exec_on_a_terminal(container, hull):
    c = container(args=["/bin/sleep", "100"])
    c.detach()
    f = Foreground(hull, "exec", "--tty", c.id, "/bin/sh", "-c", "tty; stty size; exit 6", size=(31, 71))
    got = read_until(f.master, b"31 71")
    assert b"/dev/pts/" in got
    f.finish(6)


def test_exec_console_socket(container, hull, console):
    c = container(args=["/bin/sleep", "100"])
    c.detach()
    hull("exec", "--tty", "--detach", "--console-socket", console.path, c.id, "/bin/sh", "-c", "tty; read x; echo got $x")
    master, _ = console.receive()
    read_until(master, b"/dev/pts/")
    os.write(master, b"abc\n")
    read_until(master, b"got abc")
    os.close(master)


def test_bytes_cannot_be_pushed_into_the_callers_terminal(container, hull):
    """SEC-29: without a terminal of its own the container's stdin may be the caller's."""
    c = container(args=["/bin/attack", "tiocsti"])
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    read_until(f.master, b"\n")
    assert f.process.wait(10) == 0
    time.sleep(0.05)
    os.set_blocking(f.slave, False)
    flags = termios.tcgetattr(f.slave)
    flags[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(f.slave, termios.TCSANOW, flags)
    with pytest.raises(BlockingIOError):
        os.read(f.slave, 1)
    os.close(f.slave)
    os.close(f.master)


def test_no_controlling_terminal_without_terminal(container, hull):
    """setsid always: /dev/tty of the caller is out of reach."""
    c = container(args=["/bin/sh", "-c", "echo x >/dev/tty && echo bad || echo none"], mounts=MOUNTS)
    f = Foreground(hull, "run", "--bundle", c.bundle.path, c.id)
    got = read_until(f.master, b"none")
    assert b"bad" not in got
    assert f.process.wait(10) == 0
    os.close(f.slave)
    os.close(f.master)
