# SPDX-License-Identifier: Apache-2.0
"""containerd's CRI: what `kubectl exec`, `attach` and `port-forward` do, and a port of the node."""
import re

import cri
import daemons
import images
import pytest
import streams
from conftest import needs
from harness.runtime import wait_for

NEEDED = cri.missing() or streams.missing() or needs("iptables")
pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(NEEDED is not None, reason=str(NEEDED))]
ALL = {"stdin": True, "stdout": True}


@pytest.fixture(scope="module")
def engine(node):
    return node


def exec_in(container, *argv, **how):
    """A command in the container, with what `kubectl exec -i` (with tty=True: -it) connects."""
    how = {**ALL, "stderr": not how.get("tty"), **how}
    return streams.Stream(container.cri("Exec", container_id=container.id, cmd=list(argv), **how).url)


def attach(container, **how):
    how = {**ALL, "stderr": not how.get("tty"), **how}
    return streams.Stream(container.cri("Attach", container_id=container.id, **how).url)


def test_exec(pod):
    """Input comes in, both outputs come out apart, and the exit code."""
    c = pod().run().start("c", "sleep", "600")
    with exec_in(c, "sh", "-c", "read word; echo got $word; echo aside >&2; exit 7") as s:
        assert s.send(b"something\n").end() == 7
        assert (s.seen[streams.STDOUT], s.seen[streams.STDERR]) == (b"got something\n", b"aside\n")
    with exec_in(c, "true", stdin=False) as s:
        assert s.end() == 0


def test_exec_on_a_terminal(pod):
    """The size that the person's terminal has, and follows it; a key ends the command."""
    c = pod().run().start("c", "sleep", "600")
    with exec_in(c, "sh", tty=True) as s:
        s.resize(30, 100).send(b"echo ready\n").expect(b"\nready\r\n").send(b"tty; stty size\n").expect(b"/dev/pts/0").expect(b"30 100")
        s.resize(40, 120).send(b"sleep 0.5; stty size\n").expect(b"40 120")
        s.send(b"sleep 613\n")
        wait_for(lambda: "sleep 613" in c.exec("ps"), 10, "the command to run")
        s.send(b"\x03").send(b"echo status=$?\n").expect(b"status=130")
        assert s.send(b"exit 3\n").end() == 3
    assert "sleep 613" not in c.exec("ps") and not re.search(r"\bsh$", c.exec("ps"), re.M)


def test_exec_that_fails(pod):
    """What a person reads."""
    c = pod().run().start("c", "sleep", "600")
    with exec_in(c, "/nope") as s:
        assert "no such file or directory" in s.error().lower()


def test_attach(pod):
    """To the container's own streams: what it says from now on, what it is told."""
    c = pod().run().start("c", "sh", "-c", "while read word; do echo got $word; [ $word != end ] || exit 5; done", stdin=True)
    with attach(c) as s:
        s.send(b"one\n").expect(b"got one\n")
    with attach(c) as s:  # another one, later
        s.send(b"two\n").expect(b"got two\n").send(b"end\n")
        c.ended(5)
    assert c.log() == "got one\ngot two\ngot end\n"


def test_attach_to_a_terminal(pod):
    c = pod().run().start("c", "sh", tty=True, stdin=True)
    with attach(c, tty=True) as s:
        s.resize(33, 99).send(b"sleep 0.5; stty size\n").expect(b"33 99").send(b"exit 4\n")
        c.ended(4)


def test_port_forward(pod):
    """A person's own machine reaches a port that only listens on the pod's loopback."""
    p = pod().run()
    p.start("web", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www")

    def page():
        url = p.cri("PortForward", pod_sandbox_id=p.id, port=[8080]).url  # good for one connection
        return streams.forwarded(url, 8080, b"GET / HTTP/1.0\r\n\r\n")
    wait_for(lambda: images.PAGE.encode() in page(), 5, "the page", page)


def test_port_of_the_node(pod, outside):
    """hostPort: answered from another machine while the pod is there."""
    address = f"http://{daemons.HOST_ADDRESS}:8083/"
    p = pod(port_mappings=[{"container_port": 80, "host_port": 8083}]).run()
    p.start("web", "httpd", "-f", "-h", "/www")
    wait_for(lambda: daemons.fetch(address, outside=True) == images.PAGE, 10, "the port from outside")
    p.remove()
    assert daemons.fetch(address, outside=True) == ""
