# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/resources.md (tools/resources-doc has them), as this machine can do them, and what its files must read."""
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import snapshot
from .clock import scaled
from .fixtures import REPO
from .needs import has, needs


def _load():
    """A program without a suffix, read as a module."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("resources_doc", str(REPO / "tools/resources-doc"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("resources_doc", loader))
    loader.exec_module(module)
    return module


doc = _load()
LAYOUT = "v2" if has("a pure cgroup v2 layout") else "hybrid" if has("a hybrid layout of cgroups") else "v1"
FACTS = dict([*doc.LAYOUTS, *doc.UNITS])


def _marks(prop):
    """Controllers that a kernel may have on no hierarchy: Linux 7 of Debian has memory and cpuset on v2 only."""
    controller = "memory" if prop.startswith("memory.") else "cpuset" if prop in ("cpu.cpus", "cpu.mems") else None
    return [needs(f"the controller {controller}")] if controller else []


EXAMPLES = [pytest.param(prop, example, id=f"{prop}-{json.dumps(example)}", marks=_marks(prop)) for prop, examples in doc.EXAMPLES.items() for example in examples]


def _disk():
    devices = sorted(Path("/sys/block").glob("*/dev"), key=lambda d: ("loop" in str(d), str(d)))
    return devices[0].read_text().strip() if devices else None


def here(example):
    """With this machine's disk, processors and network interface in the place of the document's."""
    text, disk = json.dumps(example), _disk()
    if '"major": 8' in text or "8:0 " in text:
        if disk is None:
            pytest.skip("this machine lacks a disk")
        major, minor = disk.split(":")
        text = text.replace('"major": 8, "minor": 0', f'"major": {major}, "minor": {minor}').replace("8:0 ", f"{disk} ")
    return json.loads(text.replace('"0-3,7"', '"0"').replace('"eth0"', '"lo"'))


def resources(prop, example):
    return doc.document(prop, example)["linux"]["resources"]


def planned(folder, prop, example, column=LAYOUT):
    """What the column says of it: the text of a refusal, or [(step, late)]."""
    folder.mkdir(exist_ok=True)
    (folder / "rootfs").mkdir(exist_ok=True)
    return doc.explain(folder, FACTS[column], doc.document(prop, example))


def writes(steps):
    """[(file, value, other file or None, its value)]"""
    found = []
    for step, _ in steps:
        m = doc.WRITE.match(step)
        if m:
            value, _, other = m[2].partition(", where there is no such file ")
            found.append((m[1], value, *(other.split(" = ", 1) if other else (None, None))))
    return found


def unit_properties(steps, prop):
    """[(name, value)] of the unit; the default devices are there in every container."""
    found = [doc.PROPERTY.match(step) for step, _ in steps]
    return [(m[1], m[2]) for m in found if m and m[1].startswith("Device") == (prop == "devices")]


PAGE = os.sysconf("SC_PAGESIZE")
RESETS = ("0", "default", "target=0")


def reads_as(file, value, text):
    """Does the kernel's text say what was written?"""
    lines, words = text.splitlines(), value.split()
    if file.endswith(("_device", "ifpriomap")) or file in ("io.max", "io.latency", "rdma.max", "misc.max") or (file.endswith("weight") and ":" in value):
        line = next((n for n in lines if n.startswith(words[0] + " ")), None)
        if all(w in RESETS or w.endswith("=max") for w in words[1:]):
            return line is None or set(words) <= set(line.split())
        return line is not None and set(words) <= set(line.split())
    if file == "cpu.max":
        return text.split()[:len(words)] == words
    if file == "memory.oom_control":
        return f"oom_kill_disable {value}" in lines
    if file.endswith("weight"):
        return lines[0].split()[-1] == words[-1]
    if file.startswith("memory.") and value.isdigit() and "oom" not in file and "swappiness" not in file:
        return int(text) == int(value) // PAGE * PAGE
    return text.strip() == value or (value == "-1" and text.strip().isdigit() and int(text) >= 1 << 62)


def find(cgroup, file):
    """That file of the cgroup, in whichever hierarchy has it."""
    return next((h / cgroup.lstrip("/") / file for h in snapshot.hierarchies() if (h / cgroup.lstrip("/") / file).exists()), None)


def check_files(cgroup, steps):
    for file, value, other, others in writes(steps):
        path = find(cgroup, file)
        if path is None and other:
            file, value, path = other, others, find(cgroup, other)
        assert path is not None, file
        assert reads_as(file, value, path.read_text()), (file, value, path.read_text())


def check_refusal(text, r):
    """The words of the document are those of the error."""
    assert r.rc == 1 and text.removeprefix("hull: ").strip() in r.err, (text, r)


OUR_MACHINE = Path("/job/tree").is_dir()  # of tests/vm


@pytest.fixture
def weighing_disk(prop):
    """A single disk has weights where its policy is one that knows them: the cost model on v2, the scheduler BFQ on v1. Chosen in a machine of our own only."""
    if prop != "blockIO.weightDevice" or not OUR_MACHINE or _disk() is None:
        yield
        return
    cost = snapshot.v2_root() and snapshot.v2_root() / "io.cost.qos"
    if cost and cost.exists():
        cost.write_text(f"{_disk()} enable=1\n")
        yield
        cost.write_text(f"{_disk()} enable=0\n")
        return
    scheduler = Path("/sys/dev/block", _disk(), "queue/scheduler")
    before = re.search(r"\[(.*)\]", scheduler.read_text())[1]
    subprocess.run(["modprobe", "bfq"], check=True, timeout=scaled(20))
    scheduler.write_text("bfq\n")
    yield
    scheduler.write_text(f"{before}\n")
    subprocess.run(["modprobe", "--remove", "bfq"], check=True, timeout=scaled(20))


def skip_if_lacking(prop, example, r):
    """What not every machine has: the table of the document names it, and knows how the error says so."""
    lacking = doc.lacking(prop, example)
    if r.rc == 1 and lacking and re.search(lacking.error, r.err):
        pytest.skip(f"this machine lacks {lacking.name}: {r.err.strip()}")
