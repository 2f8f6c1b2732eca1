# SPDX-License-Identifier: Apache-2.0
"""What a user of docker and podman reads when it doesn't work, and the exit code: 125 the engine, 126 not executable, 127 not there.

A table over both engines. What hull's users read stands in docs/engines.md beside what they read with runc and crun: `./dev engines-table` writes that
from what this file notes in HULL_ENGINES_ERRORS, and here it is compared."""
import json
import os
import re
from pathlib import Path

import pytest
from conftest import IMAGE, needs
from dockers import PROGRAMS
from harness.fixtures import REPO

pytestmark = [pytest.mark.timeout(120)]
FILE_ON_DIRECTORY = ["-v", "/etc/hostname:/etc"]
# What is asked for → options, command, docker's and podman's exit codes with hull, what both must say (None: the engine says nothing).
RUN = {
    "no such command": ([], ["/nope"], (127, 127), "no such file or directory"),
    "no such command in PATH": ([], ["nope"], (127, 127), "executable file not found in"),
    "not executable": ([], ["/etc/passwd"], (126, 126), "permission denied"),
    "a directory as command": ([], ["/etc"], (126, 126), "is a directory|permission denied"),
    "no such user": (["-u", "nobody-such"], ["true"], (125, 126), "nobody-such"),
    "working directory is a file": (["-w", "/etc/passwd"], ["true"], (None, None), "not a directory"),
    "source of a bind mount is missing": (["--mount", "type=bind,src=/nowhere,dst=/v"], ["true"], (125, 125), "/nowhere"),
    "a file mounted on a directory": (FILE_ON_DIRECTORY, ["true"], (125, 126), "not a directory"),
    "no such sysctl": (["--sysctl", "kernel.shm_nope=1"], ["true"], (None, None), "shm_nope|sysctl"),
    "out of memory": (["-m", "16m"], ["tail", "-c", "100m", "/dev/zero"], (137, 137), None),
    "too little memory": (["-m", "6m"], ["sh", "-c", "tail -c 100m /dev/zero"], (137, 137), None),
    "the command's own exit code": ([], ["sh", "-c", "exit 42"], (42, 42), None),
}
EXEC = {
    "exec: no such command": (["/nope"], (126, 127), "no such file or directory"),
    "exec: no such command in PATH": (["nope"], (126, 127), "executable file not found in"),
    "exec: not executable": (["/etc/passwd"], (126, 126), "permission denied"),
    "exec: a directory as command": (["/etc"], (126, 126), "is a directory|permission denied"),
    "exec: the command's own exit code": (["sh", "-c", "exit 42"], (42, 42), None),
}
ENGINES = {"docker": needs(*PROGRAMS), "podman": needs("podman", "conmon")}
# What is another each time, or on each machine.
VARIES = ((r"\b[0-9a-f]{64}\b", "ID"), (r"/\S*/overlay2?/\S+/merged", "ROOTFS"), (r"time=\S+", "time=…"), (r"overlay2?/[0-9a-zA-Z]+", "overlay/…"),
          (r"\(config\.json:\d+:\d+\)", "(config.json:…)"), (r"pid \d+", "pid …"))
DOC = REPO / "docs/engines.md"


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.skipif(why is not None, reason=str(why))) for name, why in ENGINES.items()])
def engine(request):
    """Both engines."""
    return request.getfixturevalue("dockerd").client if request.param == "docker" else request.getfixturevalue("podman_engine")


@pytest.fixture
def options(engine, parent_cgroup):
    return ["--network", "none", *(["--cgroup-parent", parent_cgroup] if engine.prefix[0] == "podman" else [])]


@pytest.fixture
def gone(engine):
    """No container stays."""
    yield
    for name in engine("ps", "-aq").split():
        engine("rm", "-f", *(["-t", "0"] if engine.prefix[0] == "podman" else []), name)


def name_of(engine):
    return os.path.basename(engine.prefix[0])


def plain(text, program):
    text = text.replace(str(program), "RUNTIME")
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return "\n".join(line for line in text.strip().splitlines() if not line.startswith(("Run 'docker run --help'", "See 'docker run --help'", "Unable to find image")))


def note(engine, case, code, said, flavor):
    """For ./dev engines-table."""
    path = os.environ.get("HULL_ENGINES_ERRORS")
    if path:
        found = json.loads(Path(path).read_text()) if os.path.exists(path) else {}
        found.setdefault(case, {})[name_of(engine)] = [code, said]
        Path(path).write_text(json.dumps(found, indent=1, sort_keys=True))


def cell(said):
    """As text in a table. The client of Docker has a second line now and then, of its own waiting."""
    said = re.sub(r'\ntime=[^\n]*error waiting for container: context canceled"$', "", said)
    return said.replace("\n", " / ").replace("|", "\\|").replace("`", "'") or "-"


def documented(case, engine):
    """(exit code, message) of hull's row in docs/engines.md, None when it has none."""
    found = re.search(rf"^\| {re.escape(case)} \| {engine} \| hull \| (\d+) \| `(.*)` \|$", DOC.read_text(), re.M) if DOC.exists() else None
    return (int(found[1]), found[2]) if found else None


def compare(engine, case, code, said, codes, text, flavor):
    note(engine, case, code, said, flavor)
    if flavor != "hull":
        assert code != 0
        return
    expected = codes[0 if name_of(engine) == "docker" else 1]
    assert code != 0 and expected in (None, code), f"exit code {code}, expected {expected}: {said}"
    assert text is None or re.search(text, said, re.I), said
    version = re.search(r"\d+\.\d+\.\d+", engine("--version"))[0]
    if os.environ.get("HULL_ENGINES_ERRORS") or f"{name_of(engine)} {version}" not in DOC.read_text():
        return  # it is being written, or what stands there is another version's
    assert documented(case, name_of(engine)) == (code, cell(said)), "docs/engines.md says something else: ./dev engines-table"


@pytest.mark.parametrize("case", RUN)
def test_run(engine, options, gone, program, flavor, case):
    more, command, codes, text = RUN[case]
    code, said = engine.call("run", "--rm", *options, *more, IMAGE, *command)
    compare(engine, case, code, plain(said, program), codes, text, flavor)


@pytest.mark.parametrize("case", EXEC)
def test_exec(engine, options, gone, program, flavor, case):
    command, codes, text = EXEC[case]
    engine("run", "-d", "--name", "e1", *options, IMAGE, "sleep", "600")
    code, said = engine.call("exec", "e1", *command)
    compare(engine, case, code, plain(said, program), codes, text, flavor)
