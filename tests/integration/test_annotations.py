# SPDX-License-Identifier: Apache-2.0
"""Annotations of other runtimes: what reaches files, sockets or groups of the host is honoured only when the caller has named it by --allow-annotation; otherwise
it is one warning and nothing else."""
import array
import errno
import os
import socket
import threading

import pytest
from harness.runtime import wait_for
from test_hooks import inside
from test_seccomp_notify import ALLOW, MKDIR, NOTIFY, agents  # noqa: F401

pytestmark = pytest.mark.hull_only(reason="crun honours them from whoever writes the configuration")

LISTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
OUT, ERR, GROUPS = "run.oci.hooks.stdout", "run.oci.hooks.stderr", "run.oci.keep_original_groups"
PIDFD, RECEIVER = "run.oci.pidfd_receiver", "run.oci.seccomp.receiver"


def says(name):
    script = f"echo {name} says; echo {name} complains >&2"
    return inside(script) if name == "startContainer" else {"path": "/bin/sh", "args": ["sh", "-c", script]}


def warnings(result):
    return [line for line in result.err.splitlines() if "--allow-annotation" in line]


@pytest.fixture
def talking(container, tmp_path):
    """A container with a hook in every list, whose words belong into two files."""
    return container(hooks={n: [says(n)] for n in LISTS}, args=["/bin/true"],
                     annotations={OUT: str(tmp_path / "hooks.out"), ERR: str(tmp_path / "hooks.err")})


def test_hook_files(talking, tmp_path):
    """All six lists, appended; start and delete know from the record what was allowed."""
    (tmp_path / "hooks.out").write_text("before\n")
    c = talking
    r = c.create("--allow-annotation", OUT, "--allow-annotation", ERR, "--log-level", "warning")
    assert r.err == ""
    c.start()
    c.wait("stopped")
    c.delete()
    assert (tmp_path / "hooks.out").read_text() == "before\n" + "".join(f"{n} says\n" for n in LISTS)
    assert (tmp_path / "hooks.err").read_text() == "".join(f"{n} complains\n" for n in LISTS)
    assert (tmp_path / "hooks.err").stat().st_mode & 0o7777 == 0o600


def test_hook_files_with_a_user_namespace(container, tmp_path):
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    c = container(hooks={n: [says(n)] for n in ("createContainer", "startContainer")}, annotations={OUT: str(tmp_path / "hooks.out")}, args=["/bin/true"],
                  linux={"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network", "cgroup", "user")], "uidMappings": ids,
                         "gidMappings": ids})
    c.run("--allow-annotation", "run.oci.hooks.*")
    assert (tmp_path / "hooks.out").read_text() == "createContainer says\nstartContainer says\n"


def test_hook_files_not_allowed(talking, tmp_path):
    r = talking.run("--log-level", "warning")
    out, err = sorted(warnings(r), key=lambda line: "stderr" in line)
    assert f'annotations["{OUT}"]: not honoured: it names a file of the host (--allow-annotation {OUT} allows it)' in out
    assert f'annotations["{ERR}"]: not honoured: it names a file of the host (--allow-annotation {ERR} allows it)' in err
    assert not list(tmp_path.glob("hooks.*"))


@pytest.mark.parametrize("name", ["createRuntime", "createContainer"])
def test_a_failing_hook_that_writes_to_a_file(container, tmp_path, name):
    c = container(hooks={name: [{"path": "/bin/sh", "args": ["sh", "-c", "echo complaint >&2; exit 3"]}]}, annotations={ERR: str(tmp_path / "hooks.err")})
    c.fails("create", "--allow-annotation", ERR, match=rf".*exit status 3: its standard error is in the file of annotation {ERR} \(hooks\.{name}\[0\]\)")
    assert (tmp_path / "hooks.err").read_text() == "complaint\n"


def test_a_container_hook_that_is_not_there(container, tmp_path):
    """Why execve failed is hull's error, not the file's."""
    c = container(hooks={"createContainer": [{"path": "/no/such/hook"}]}, annotations={ERR: str(tmp_path / "hooks.err")})
    c.fails("create", "--allow-annotation", ERR, match=r".*hook /no/such/hook: .*exec: no such file or directory.*")


def test_the_program_has_no_hook_file(container, tmp_path):
    c = container(hooks={"startContainer": [says("startContainer")]}, annotations={OUT: str(tmp_path / "o"), ERR: str(tmp_path / "e")}, args=["/bin/probe"])
    assert [fd["fd"] for fd in c.probe("--allow-annotation", "run.oci.hooks.*")["fds"] if fd["fd"] > 2] == []


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "missing"])
def test_hook_files_that_are_refused(container, tmp_path, kind):
    path, other = tmp_path / "out", tmp_path / "other"
    {"symlink": lambda: path.symlink_to(other), "fifo": lambda: os.mkfifo(path), "directory": path.mkdir, "missing": lambda: None}[kind]()
    if kind == "missing":
        path = tmp_path / "none" / "out"
    c = container(hooks={"createRuntime": [says("createRuntime")]}, annotations={OUT: str(path)})
    c.fails("create", "--allow-annotation", OUT, match=rf".*{path} for annotation {OUT}.*")
    assert not other.exists()


@pytest.fixture
def in_groups():
    """The caller's own additional groups: 4711 and 4712."""
    before = os.getgroups()
    os.setgroups([4711, 4712])
    yield
    os.setgroups(before)


def groups(container, *options, **process):
    c = container(annotations={GROUPS: "1"}, process={"user": {"uid": 1000, "gid": 1000, **process}})
    return c.probe(*options)["status"]["Groups"].split()


def test_keep_original_groups(container, in_groups):
    assert groups(container, "--allow-annotation", GROUPS) == ["4711", "4712"]
    assert groups(container, "--allow-annotation", GROUPS, additionalGids=[7]) == ["4711", "4712"], "as crun: setgroups is not called"


def test_keep_original_groups_not_allowed(container, in_groups):
    c = container(annotations={GROUPS: "1"}, process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [7]}}, args=["/bin/probe"])
    r = c.run("--log-level", "warning")
    assert r.json()["status"]["Groups"].split() == ["7"]
    assert len(warnings(r)) == 1 and "it gives the container the caller's groups" in r.err


def test_exec_keeps_groups(container, in_groups):
    """Of its own caller, in a container for which it was allowed."""
    c = container(annotations={GROUPS: "1"}, args=["/bin/sleep", "100"])
    c.detach("--allow-annotation", GROUPS)
    os.setgroups([4713])
    assert c.exec(c.id, "/bin/probe").json()["status"]["Groups"].split() == ["4713"]


class Socket:
    """Takes one message with a descriptor."""

    def __init__(self, path):
        self.path, self.got = path, []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(1)
        self.sock.settimeout(5)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        try:
            conn, _ = self.sock.accept()
        except TimeoutError:
            return
        with conn:
            _, anc, _, _ = conn.recvmsg(4096, socket.CMSG_SPACE(64))
            for _, _, blob in anc:
                fds = array.array("i")
                fds.frombytes(blob)
                self.got += fds

    def close(self):
        self.thread.join(10)
        self.sock.close()
        for fd in self.got:
            os.close(fd)


def test_pidfd_receiver(container, tmp_path):
    s = Socket(tmp_path / "pidfd.sock")
    c = container(annotations={PIDFD: str(s.path)}, args=["/bin/sleep", "100"])
    c.create("--allow-annotation", PIDFD)
    s.thread.join(5)
    fd, = s.got
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
        assert f"Pid:\t{c.pid}\n" in f.read()
    s.close()


def test_pidfd_receiver_not_allowed(container, tmp_path):
    c = container(annotations={PIDFD: str(tmp_path / "nobody.sock")}, args=["/bin/true"])
    assert len(warnings(c.run("--log-level", "warning"))) == 1


def test_two_pidfd_sockets(container, tmp_path):
    container(annotations={PIDFD: "/a.sock"}).fails("create", "--pidfd-socket", "/b.sock", "--allow-annotation", PIDFD,
                                                    match=rf".*--pidfd-socket /b\.sock: annotation {PIDFD} names another one, /a\.sock")


def asks(agent):
    return {"annotations": {RECEIVER: str(agent.path)}, "linux": {"seccomp": {"defaultAction": ALLOW, "syscalls": [{"names": ["mkdir", "mkdirat"],
                                                                                                                 "action": NOTIFY}]}}}


@pytest.mark.parametrize("gate", [True, False])
def test_seccomp_receiver(container, agents, gate):  # noqa: F811
    agent = agents(lambda nr, pid: errno.ENOSPC)
    c = container(**asks(agent), args=["/bin/sleep", "100"])
    if gate:
        c.create("--allow-annotation", RECEIVER)
        c.start()
    else:
        c.detach("--allow-annotation", RECEIVER)
    wait_for(lambda: agent.documents, 5, "the document")
    assert c.exec(c.id, *MKDIR).json()["mkdir /x"]["errno"] == "ENOSPC"
    assert len(agent.documents) == 2 and agent.documents[0]["pid"] == c.pid


def test_seccomp_receiver_not_allowed(container, agents):  # noqa: F811
    agent = agents(lambda nr, pid: None)
    r = container(**asks(agent)).fails("create", "--log-level", "warning", match=r"[\s\S]*linux\.seccomp\.listenerPath: is needed for SCMP_ACT_NOTIFY[\s\S]*")
    assert len(warnings(r)) == 1


def test_check_knows_them(container, tmp_path):
    c = container(annotations={OUT: str(tmp_path / "out")})
    said = c.runtime("check", "--bundle", c.bundle.path).out
    assert f'warning: annotations["{OUT}"]: not honoured: it names a file of the host' in said
    assert OUT not in c.runtime("check", "--bundle", c.bundle.path, "--allow-annotation", OUT).out


def test_of_others_without_effect(container):
    """What hull doesn't know is like any other annotation."""
    r = container(annotations={"run.oci.handler": "krun", "run.oci.whatever": "1"}, args=["/bin/echo", "hello"]).run("--log-level", "warning")
    assert (r.out, r.err) == ("hello\n", "")
