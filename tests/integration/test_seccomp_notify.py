# SPDX-License-Identifier: Apache-2.0
"""SCMP_ACT_NOTIFY: the agent at linux.seccomp.listenerPath gets a listener and a document for each process, and answers by ioctl (config-linux.md, Seccomp;
seccomp_unotify(2))."""
import array
import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading

import pytest
from harness.fixtures import BY_ROOT_AND_USER
from harness.runtime import wait_for

ALLOW, NOTIFY = "SCMP_ACT_ALLOW", "SCMP_ACT_NOTIFY"
RECV, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
CONTINUE = 1


class Agent:
    """Listens at `path`; answers every call that is asked about with `answer(nr, pid)`: an errno, or None to let it go on."""

    def __init__(self, path, answer):
        self.path, self.answer, self.documents, self.asked, self.problems = path, answer, [], [], []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        os.chmod(path, 0o666)
        self.sock.listen(8)
        self.stop_r, self.stop_w = os.pipe()
        self.listeners = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def accept(self):
        conn, _ = self.sock.accept()
        conn.settimeout(5)
        data, anc, _, _ = conn.recvmsg(1 << 20, socket.CMSG_SPACE(4 * 8))
        fds = array.array("i")
        for level, kind, blob in anc:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(blob)
        assert len(fds) == 1, f"one descriptor with the first message: {data!r}"
        assert conn.recv(1) == b"", "one document, then the end of the connection"
        conn.close()
        self.documents.append(json.loads(data))
        self.listeners.append(fds[0])

    def serve_one(self, fd):
        req = bytearray(80)
        try:
            fcntl.ioctl(fd, RECV, req)
        except OSError as e:  # nobody is left to ask
            if e.errno in (errno.ENOENT, errno.EINTR):
                return
            raise
        cookie, pid, _, nr = struct.unpack_from("=QIIi", req)
        self.asked.append(nr)
        code = self.answer(nr, pid)
        resp = struct.pack("=QqiI", cookie, 0, -code if code else 0, CONTINUE if code is None else 0)
        try:
            fcntl.ioctl(fd, SEND, resp)
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise

    def serve(self):
        try:
            while True:
                poll = select.poll()
                for fd in (self.stop_r, self.sock.fileno(), *self.listeners):
                    poll.register(fd, select.POLLIN)
                for fd, event in poll.poll(20000):
                    if fd == self.stop_r:
                        return
                    if fd == self.sock.fileno():
                        self.accept()
                    elif event & select.POLLIN:
                        self.serve_one(fd)
                    else:
                        self.listeners.remove(fd)
                        os.close(fd)
        except Exception as e:  # pylint: disable=broad-except
            self.problems.append(e)

    def close(self):
        os.write(self.stop_w, b"x")
        self.thread.join(10)
        for fd in (self.stop_r, self.stop_w, *self.listeners):
            os.close(fd)
        self.sock.close()
        assert not self.problems, self.problems


@pytest.fixture
def agents(everybodys):
    made = []

    def make(answer):
        made.append(Agent(everybodys / f"agent{len(made)}.sock", answer))
        return made[-1]
    yield make
    for a in made:
        a.close()


def asking(agent, *names, default=ALLOW, **more):
    return {"seccomp": {"defaultAction": default, "listenerPath": str(agent.path), **more,
                        "syscalls": [{"names": list(names), "action": NOTIFY}] if names else []}}


MKDIR = ["/bin/probe", "--mkdir", "/x"]


@pytest.mark.parametrize("answer,seen", [(errno.ENOSPC, "ENOSPC"), (errno.EROFS, "EROFS"), (None, "0")])
@BY_ROOT_AND_USER
def test_the_agent_answers(container, agents, answer, seen):
    agent = agents(lambda nr, pid: answer)
    c = container(linux=asking(agent, "mkdir", "mkdirat"), args=MKDIR)
    assert c.probe()["mkdir /x"]["errno"] == seen
    assert agent.asked in ([83], [258], [34])  # mkdir or mkdirat


@BY_ROOT_AND_USER
def test_the_document(container, agents):
    agent = agents(lambda nr, pid: None)
    c = container(linux=asking(agent, "mkdir", "mkdirat", listenerMetadata="so wahr ✓"), annotations={"a": "b"}, args=["/bin/sleep", "100"])
    c.create()
    assert not agent.documents, "the listener comes with the filter, which start loads"
    pid = c.pid
    c.start()
    wait_for(lambda: agent.documents, 5, "the document")
    doc, = agent.documents
    state = doc.pop("state")
    assert doc == {"ociVersion": "1.3.0", "fds": ["seccompFd"], "pid": pid, "metadata": "so wahr ✓"}
    assert state["id"] == c.id and state["pid"] == pid and state["status"] == "created" and state["bundle"] == str(c.bundle.path)
    assert state["annotations"] == {"a": "b"}


@BY_ROOT_AND_USER
def test_one_connection_a_process(container, agents):
    """exec gets a listener of its own, and its document has the new process's pid."""
    agent = agents(lambda nr, pid: errno.ENOSPC)
    c = container(linux=asking(agent, "mkdir", "mkdirat"), args=["/bin/sleep", "100"])
    c.detach()
    r = c.exec("--pid-file", c.bundle.path / "pid", c.id, *MKDIR)
    assert r.json()["mkdir /x"]["errno"] == "ENOSPC"
    first, second = agent.documents
    assert first["pid"] == c.pid and first["state"]["status"] == "created"
    assert second["pid"] == int((c.bundle.path / "pid").read_text()) != c.pid
    assert second["state"]["status"] == "running" and second["state"]["pid"] == c.pid


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("calls", [["sendmsg", "sendto"], ["write", "close", "execve"], ["nanosleep", "clock_nanosleep", "futex", "exit", "exit_group"], "all"])
@BY_ROOT_AND_USER
def test_calls_that_a_runtime_would_make(container, agents, calls, nnp):
    """Not even sendmsg waits for the agent before the agent has the listener."""
    agent = agents(lambda nr, pid: None)
    linux = asking(agent, default=NOTIFY) if calls == "all" else asking(agent, *calls)
    c = container(linux=linux, process={"noNewPrivileges": nnp}, args=["/bin/echo", "hello"])
    assert c.run().out == "hello\n"
    assert agent.asked or calls == ["sendmsg", "sendto"]


@BY_ROOT_AND_USER
def test_exec_into_a_container_that_may_trace(container, agents):
    """There the filter is loaded before the process is born (attacks-tried C1); the listener waits in hull for its pid."""
    agent = agents(lambda nr, pid: errno.ENOSPC)
    caps = ["CAP_SYS_PTRACE", "CAP_CHOWN"]
    c = container(linux=asking(agent, "mkdir", "mkdirat"), process={"noNewPrivileges": False, "capabilities": {
        k: caps for k in ("bounding", "effective", "permitted")}}, args=["/bin/sleep", "100"])
    c.detach()
    r = c.exec("--pid-file", c.bundle.path / "pid", c.id, *MKDIR)
    assert r.json()["mkdir /x"]["errno"] == "ENOSPC"
    assert agent.documents[1]["pid"] == int((c.bundle.path / "pid").read_text())


@BY_ROOT_AND_USER
def test_exec_that_cannot_ask(container, agents):
    """The same, but what hull does there would itself be asked about."""
    agent = agents(lambda nr, pid: None)
    caps = ["CAP_SYS_PTRACE"]
    c = container(linux=asking(agent, "prctl"), process={"noNewPrivileges": False, "capabilities": {
        k: caps for k in ("bounding", "effective", "permitted")}}, args=["/bin/sleep", "100"])
    c.detach()
    c.runtime.fails("exec", c.id, "/bin/true", rc=255, match=r"config\.json: linux\.seccomp: SCMP_ACT_NOTIFY — this exec needs .* allows prctl.*")


@BY_ROOT_AND_USER
def test_the_program_has_no_trace_of_it(container, agents):
    agent = agents(lambda nr, pid: None)
    seen = container(linux=asking(agent, "mkdir", "mkdirat"), args=["/bin/probe"]).probe()
    assert [fd["fd"] for fd in seen["fds"] if fd["fd"] > 2] == []
    assert seen["pid"] == 1 and seen["status"]["Threads"] == "1"


@BY_ROOT_AND_USER
def test_start_container_hooks_are_asked_about_too(container, agents):
    agent = agents(lambda nr, pid: errno.ENOSPC)
    c = container(linux=asking(agent, "mkdir", "mkdirat"), args=["/bin/true"],
                  hooks={"startContainer": [{"path": "/bin/mkdir", "args": ["mkdir", "/x"]}]})
    c.fails("run", match=r".*startContainer.*")
    assert len(agent.asked) == 1


def test_without_notify_the_path_is_ignored(container):
    c = container(linux={"seccomp": {"defaultAction": ALLOW, "listenerPath": "/no/such/socket"}}, args=["/bin/echo", "hello"])
    assert c.run().out == "hello\n"


@pytest.mark.parametrize("path", [None, ""])
@BY_ROOT_AND_USER
def test_nobody_to_ask(container, path):
    seccomp = {"defaultAction": ALLOW, "syscalls": [{"names": ["mkdir"], "action": NOTIFY}]}
    if path is not None:
        seccomp["listenerPath"] = path
    container(linux={"seccomp": seccomp}).fails("create", match=r"config\.json: linux\.seccomp\.listenerPath: is needed for SCMP_ACT_NOTIFY.*")


def test_agent_is_not_there(container, tmp_path):
    linux = {"seccomp": {"defaultAction": ALLOW, "listenerPath": str(tmp_path / "none.sock"), "syscalls": [{"names": ["mkdir"], "action": NOTIFY}]}}
    container(linux=linux).fails("run", match=r"run .*: linux\.seccomp\.listenerPath: open .*none\.sock: no such file or directory")
    c = container(linux=linux, args=["/bin/true"])
    c.create()
    c.runtime.fails("start", c.id, match=r"start .*: linux\.seccomp\.listenerPath: open .*none\.sock: no such file or directory")
    assert c.status() == "created", "nothing has been started: it can be tried again"


def test_a_socket_that_the_user_may_not_use(user, agents):
    agent = agents(lambda nr, pid: None)
    os.chmod(agent.path, 0o600)
    user.container(linux=asking(agent, "mkdir")).fails("run", match=rf"run \S+: linux\.seccomp\.listenerPath: connect to {agent.path}: permission denied")


def test_agent_that_goes_away(container, tmp_path):
    """It accepts nobody and closes: the program must not run unanswered."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "a.sock"))
    sock.listen(1)
    linux = {"seccomp": {"defaultAction": ALLOW, "listenerPath": str(tmp_path / "a.sock"), "syscalls": [{"names": ["mkdir"], "action": NOTIFY}]}}
    c = container(linux=linux, args=["/bin/sleep", "100"],
                  hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo gone > {tmp_path}/go; while test -e {tmp_path}/go; do :; done"]}]})
    run = c.runtime.popen("run", "--detach", "--bundle", c.bundle.path, c.id)
    while not (tmp_path / "go").exists():
        pass
    sock.close()
    (tmp_path / "go").unlink()
    assert run.wait(10) == 1
    assert c.id not in c.runtime.ids()


def test_relative_path(container):
    container(linux={"seccomp": {"defaultAction": ALLOW, "listenerPath": "a.sock", "syscalls": [{"names": ["mkdir"], "action": NOTIFY}]}}).fails(
        "create", match=r"config\.json: linux\.seccomp\.listenerPath: \"a\.sock\" — must be an absolute path")
