# SPDX-License-Identifier: Apache-2.0
"""What a user of docker, podman and containerd's ctr reads when it doesn't work, and the exit code: 125 the engine, 126 not executable, 127 not there.

A table over the engines. What hull's users read stands in docs/engines.md beside what they read with runc and crun: `./dev engines-table` writes that
from what this file notes in HULL_ENGINES_ERRORS, and here it is compared."""
import json
import os
import re
from pathlib import Path

import containerds
import dockers
import pytest
from conftest import IMAGE, needs
from harness.fixtures import REPO

pytestmark = [pytest.mark.timeout(120)]
FILE_ON_DIRECTORY = ["-v", "/etc/hostname:/etc"]
# What is asked for → options, command, docker's, podman's and ctr's exit codes with hull (None: any but 0), what they must say (None: the engine says nothing).
RUN = {
    "no such command": ([], ["/nope"], (127, 127, 1), "no such file or directory"),
    "no such command in PATH": ([], ["nope"], (127, 127, 1), "executable file not found in"),
    "not executable": ([], ["/etc/passwd"], (126, 126, 1), "permission denied"),
    "a directory as command": ([], ["/etc"], (126, 126, 1), "is a directory|permission denied"),
    "no such user": (["-u", "nobody-such"], ["true"], (125, 126, None), "nobody-such"),
    "working directory is a file": (["-w", "/etc/passwd"], ["true"], (None, None, 1), "not a directory"),
    "source of a bind mount is missing": (["--mount", "type=bind,src=/nowhere,dst=/v"], ["true"], (125, 125, 1), "/nowhere"),
    "a file mounted on a directory": (FILE_ON_DIRECTORY, ["true"], (125, 126, 1), "not a directory"),
    "no such sysctl": (["--sysctl", "kernel.shm_nope=1"], ["true"], (None, None, None), "shm_nope|sysctl"),
    "out of memory": (["-m", "16m"], ["tail", "-c", "100m", "/dev/zero"], (137, 137, 137), None),
    "too little memory": (["-m", "6m"], ["sh", "-c", "tail -c 100m /dev/zero"], (137, 137, 137), None),
    "the command's own exit code": ([], ["sh", "-c", "exit 42"], (42, 42, 42), None),
}
EXEC = {
    "exec: no such command": (["/nope"], (126, 127, 1), "no such file or directory"),
    "exec: no such command in PATH": (["nope"], (126, 127, 1), "executable file not found in"),
    "exec: not executable": (["/etc/passwd"], (126, 126, 1), "permission denied"),
    "exec: a directory as command": (["/etc"], (126, 126, 1), "is a directory|permission denied"),
    "exec: the command's own exit code": (["sh", "-c", "exit 42"], (42, 42, 42), None),
}
# ctr's own options where its words are others; None: it has none for that.
CTR = {
    "no such user": None,
    "working directory is a file": ["--cwd", "/etc/passwd"],
    "a file mounted on a directory": ["--mount", "type=bind,src=/etc/hostname,dst=/etc,options=rbind"],
    "source of a bind mount is missing": ["--mount", "type=bind,src=/nowhere,dst=/v,options=rbind"],
    "no such sysctl": None,
    "out of memory": ["--memory-limit", str(16 << 20)],
    "too little memory": ["--memory-limit", str(6 << 20)],
}
ENGINES = {"docker": needs(*dockers.PROGRAMS), "podman": needs("podman", "conmon"), "containerd": needs(*containerds.PROGRAMS)}
# What is another each time, or on each machine.
VARIES = ((r"\b[0-9a-f]{64}\b", "ID"), (r"/\S*/overlay2?/\S+/merged", "ROOTFS"), (r"time=\S+", "time=…"), (r"overlay2?/[0-9a-zA-Z]+", "overlay/…"),
          (r"\(config\.json:\d+:\d+\)", "(config.json:…)"), (r"pid \d+", "pid …"))
DOC = REPO / "docs/engines.md"


class Client:
    """docker or podman as its user types it."""

    def __init__(self, name, engine, *options):
        self.name, self.engine, self.options = name, engine, options

    def version(self):
        return re.search(r"\d+\.\d+\.\d+", self.engine("--version"))[0]

    @staticmethod
    def options_of(case):
        return RUN[case][0]

    def run(self, more, *command):
        return self.engine.call("run", "--rm", "--network", "none", *self.options, *more, IMAGE, *command)

    def start(self):
        self.engine("run", "-d", "--name", "e1", "--network", "none", *self.options, IMAGE, "sleep", "600")

    def execute(self, *command):
        return self.engine.call("exec", "e1", *command)

    def clean(self):
        for name in self.engine("ps", "-aq").split():
            self.engine("rm", "-f", *(["-t", "0"] if self.name == "podman" else []), name)


class Ctr(Client):
    """ctr, whose words are others."""

    def __init__(self, containerd):
        super().__init__("containerd", containerd.client)
        self.containerd = containerd

    @staticmethod
    def options_of(case):
        return CTR.get(case, [])

    def run(self, more, *command):
        return self.engine.call(*self.containerd.arguments("e1", "--rm", *more), *command)

    def start(self):
        self.engine(*self.containerd.arguments("e1", "-d"), "sleep", "600")

    def execute(self, *command):
        return self.engine.call("tasks", "exec", "--exec-id", "x1", "e1", *command)

    def clean(self):
        self.containerd.clean()


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.skipif(why is not None, reason=str(why))) for name, why in ENGINES.items()])
def engine(request, parent_cgroup):
    """All engines."""
    if request.param == "docker":
        return Client("docker", request.getfixturevalue("dockerd").client)
    if request.param == "podman":
        return Client("podman", request.getfixturevalue("podman_engine"), "--cgroup-parent", parent_cgroup)
    return Ctr(request.getfixturevalue("containerd"))


@pytest.fixture
def client(engine):
    """No container stays."""
    yield engine
    engine.clean()


def plain(text, program):
    text = text.replace(str(program), "RUNTIME")
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return "\n".join(line for line in text.strip().splitlines() if not line.startswith(("Run 'docker run --help'", "See 'docker run --help'", "Unable to find image")))


def note(client, case, code, said):
    """For ./dev engines-table."""
    path = os.environ.get("HULL_ENGINES_ERRORS")
    if path:
        found = json.loads(Path(path).read_text()) if os.path.exists(path) else {}
        found.setdefault(case, {})[client.name] = [code, said]
        Path(path).write_text(json.dumps(found, indent=1, sort_keys=True))


def cell(said):
    """As text in a table. The client of Docker has a second line now and then, of its own waiting."""
    said = re.sub(r'\ntime=[^\n]*error waiting for container: context canceled"$', "", said)
    return said.replace("\n", " / ").replace("|", "\\|").replace("`", "'") or "-"


def documented(case, engine):
    """(exit code, message) of hull's row in docs/engines.md, None when it has none."""
    found = re.search(rf"^\| {re.escape(case)} \| {engine} \| hull \| (\d+) \| `(.*)` \|$", DOC.read_text(), re.M) if DOC.exists() else None
    return (int(found[1]), found[2]) if found else None


def compare(client, case, code, said, codes, text, flavor):
    note(client, case, code, said)
    if flavor != "hull":
        assert code != 0
        return
    expected = codes[list(ENGINES).index(client.name)]
    assert code != 0 and expected in (None, code), f"exit code {code}, expected {expected}: {said}"
    assert text is None or re.search(text, said, re.I), said
    if os.environ.get("HULL_ENGINES_ERRORS") or f"{client.name} {client.version()}" not in DOC.read_text():
        return  # it is being written, or what stands there is another version's
    assert documented(case, client.name) == (code, cell(said)), "docs/engines.md says something else: ./dev engines-table"


@pytest.mark.parametrize("case", RUN)
def test_run(client, program, flavor, case):
    _, command, codes, text = RUN[case]
    more = client.options_of(case)
    if more is None:
        pytest.skip(f"{client.name} has no option for that")
    code, said = client.run(more, *command)
    compare(client, case, code, plain(said, program), codes, text, flavor)


@pytest.mark.parametrize("case", EXEC)
def test_exec(client, program, flavor, case):
    command, codes, text = EXEC[case]
    client.start()
    code, said = client.execute(*command)
    compare(client, case, code, plain(said, program), codes, text, flavor)
