# SPDX-License-Identifier: Apache-2.0
"""tests/systemd: the systemd driver, with a real systemd. Not in the world of tests/integration: systemd must know the pids that it is told.

    ./dev check-vm systemd-6.1 tests/systemd"""
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "integration")]

from harness import config as cfg  # noqa: E402
from harness.clock import scaled  # noqa: E402
from harness.fixtures import program, program_path, pytest_collection_modifyitems  # noqa: E402,F401
from harness.runtime import Bundle, Container, Runtime, wait_for  # noqa: E402

TAG = f"hulltest{os.getpid()}"
CGROUPS = Path("/sys/fs/cgroup")
_ids = itertools.count(1)


def pytest_configure(config):
    config.addinivalue_line("markers", "hull_only(reason): what peers don't do")
    if os.geteuid() != 0:
        pytest.exit("these tests make containers as root: run them as root", 4)


def systemctl(*args):
    done = subprocess.run(["systemctl", *args], capture_output=True, text=True, timeout=scaled(20), check=False)
    return done.stdout.strip()


def show(unit, *names):
    """Properties of a unit as a dictionary of texts."""
    lines = systemctl("show", unit, *(f"--property={n}" for n in names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def raw_properties(unit, names):
    """Properties of a scope as D-Bus has them: {name: 't 500000'}."""
    path = "/org/freedesktop/systemd1/unit/" + re.sub(r"[^A-Za-z0-9]", lambda m: f"_{ord(m[0]):02x}", unit)
    done = subprocess.run(["busctl", "get-property", "org.freedesktop.systemd1", path, "org.freedesktop.systemd1.Scope", *names], capture_output=True, text=True,
                          timeout=scaled(20), check=True)
    return dict(zip(names, done.stdout.splitlines(), strict=True))


def is_loaded(unit):
    return show(unit, "LoadState")["LoadState"] == "loaded"


def units():
    """The names of all loaded units that these tests make."""
    lines = systemctl("list-units", "--all", "--plain", "--no-legend", "hulltest*", "hull-hulltest*").splitlines()
    return sorted(line.split()[0] for line in lines)


def cgroups():
    return sorted(str(p) for p in CGROUPS.rglob("*hulltest*"))


def mounts():
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.fixture(autouse=True)
def host():
    """Units, cgroups and mounts are the same before and after each test; systemd notices the end of a scope a little later."""
    before = mounts()
    yield
    wait_for(lambda: not units() and not cgroups(), 10, "units and cgroups to go", lambda: f"{units()} {cgroups()}")
    assert mounts() == before


class SystemdRuntime(Runtime):
    """Every command with --systemd-cgroup."""

    def argv(self, *args, root=True):
        return super().argv("--systemd-cgroup", *args, root=root)


@pytest.fixture
def hull(host, tmp_path, program):  # noqa: F811
    runtime = SystemdRuntime(program, tmp_path)
    yield runtime
    problems = runtime.clean()
    assert not problems, "; ".join(problems)


@pytest.fixture
def container(hull, tmp_path):
    """As in tests/integration; the unit is `hulltest-NAME.scope` in system.slice unless linux.cgroupsPath is given."""
    def make(**changes):
        cid = f"{TAG}-c{next(_ids)}"
        config = cfg.make_config(f"system.slice:hulltest:{cid}", "1.3.0", **changes)
        c = Container(hull, Bundle(tmp_path / f"bundle-{cid}"), config, cid)
        c.unit = f"hulltest-{cid}.scope"
        c.directory = CGROUPS / "system.slice" / c.unit
        return c
    return make
