# SPDX-License-Identifier: Apache-2.0
"""What not every machine has, by name: the only reason for which a test of hull is skipped on one and not on another.

    @needs("cgroup v1")                      a test, or a parameter through pytest.param(…, marks=needs(…))
    skip_without("Linux 6.15: …")            within a test"""
import functools
import os
import re
import shutil
from pathlib import Path

import pytest

from . import snapshot


def kernel():
    """(6, 1) and the like."""
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


def _v1():
    return any((h / "tasks").exists() for h in snapshot.hierarchies())


def _v2():
    return any((h / "cgroup.controllers").exists() for h in snapshot.hierarchies())


def _memory():
    return any((h / "cgroup.controllers").exists() and "memory" in (h / "cgroup.controllers").read_text().split() for h in snapshot.hierarchies())


def _memory_v1():
    return (snapshot.CGROUP_ROOT / "memory/memory.limit_in_bytes").exists()


FEATURES = {
    "the controller memory": lambda: _memory() or _memory_v1(),
    "the controller memory on cgroup v1": _memory_v1,
    "cgroup v1": _v1,
    "cgroup v2": _v2,
    "a hybrid layout of cgroups": lambda: _v1() and _v2(),
    "Linux 6.15: the exit status of a reaped process": lambda: kernel() >= (6, 15),
    "git and a compiler": lambda: shutil.which("git") and shutil.which("gcc"),
}


@functools.cache
def has(name):
    """Is that here? The name is one of FEATURES."""
    return bool(FEATURES[name]())


def needs(*names):
    """A mark: skipped where one of them is missing."""
    missing = [n for n in names if not has(n)]
    return pytest.mark.skipif(bool(missing), reason=f"this machine lacks {', '.join(missing)}")


def skip_without(name):
    """The same within a test."""
    if not has(name):
        pytest.skip(f"this machine lacks {name}")
