# SPDX-License-Identifier: Apache-2.0
"""Fixtures and hooks of every directory that tests a running container (star-imported by their conftest.py)."""
import functools
import itertools
import os
import tempfile
from pathlib import Path

import pytest

from . import config as cfg
from . import snapshot, world
from .clock import scaled
from .rootless import User, bring_down_controllers, delegate, enter, undelegate
from .runtime import Bundle, Container, Runtime

REPO = Path(__file__).resolve().parents[3]
DEFAULT_TIMEOUT = 60
_ids = itertools.count(1)

__all__ = ["pytest_configure", "pytest_collection_modifyitems", "pytest_fixture_setup", "pytest_fixture_post_finalizer", "host", "hull", "bundle",
           "container", "canary", "program", "user", "delegated", "everybodys"]


def program_path():
    return Path(os.environ.get("HULL") or REPO / "build" / "hull").absolute()


def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: depends on the kernel or the layout of cgroups; the quick part of ./dev check-vm")
    config.addinivalue_line("markers", "hull_only(reason): what peers don't do; skipped when HULL names one of them")
    if os.geteuid() != 0:
        pytest.exit("these tests make containers as root: run them as root", 4)
    if not os.access(program_path(), os.X_OK):
        pytest.exit(f"{program_path()} is not there: build it (./dev build) or name a runtime in HULL", 4)
    if world.inside() or config.option.collectonly:
        return
    os.environ["HULL"] = str(program_path())
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()  # gives the real stdout and stderr back to what we become
    world.enter(map(str, config.invocation_params.args))


def pytest_collection_modifyitems(items):
    flavor = Runtime(program_path(), "/").flavor
    for item in items:
        own = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(scaled(own.args[0] if own else DEFAULT_TIMEOUT)), append=False)
        only = item.get_closest_marker("hull_only")
        if only is not None and flavor != "hull":
            item.add_marker(pytest.mark.skip(reason=f"{flavor} differs: {only.kwargs.get('reason') or only.args[0]}"))


@pytest.fixture(scope="session")
def program():
    return program_path()


@pytest.fixture(scope="session", autouse=True)
def parent_cgroup():
    """/hulltest-…: made once in every hierarchy, so that single tests are compared with it in place. The world removes it."""
    for hierarchy in snapshot.hierarchies():
        parent = hierarchy / snapshot.TAG
        parent.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # v1: empty in a new cgroup, and nothing can run in it
            if (hierarchy / name).exists():
                (parent / name).write_text((hierarchy / name).read_text())
    return f"/{snapshot.TAG}"


_between = None  # the snapshot after the last test, unless something has been set up or torn down since that outlives a test


def pytest_fixture_setup(fixturedef):
    global _between
    _between = _between if fixturedef.scope == "function" else None


pytest_fixture_post_finalizer = pytest_fixture_setup


@pytest.fixture(autouse=True)
def host(parent_cgroup):
    """The host before and after each test must be equal. What is after one test is before the next: one snapshot serves both."""
    global _between
    before = _between or snapshot.take()
    yield before
    found, _between = snapshot.differences_when_settled(before)
    assert not found, "the test changed the host:\n  " + "\n  ".join(found)


@pytest.fixture
def hull(host, tmp_path, program):
    runtime = Runtime(program, tmp_path)
    yield runtime
    problems = runtime.clean()
    assert not problems, "; ".join(problems)


@pytest.fixture
def bundle(tmp_path):
    return Bundle(tmp_path / "bundle")


BY_ROOT_AND_USER = pytest.mark.parametrize("container", ["root", "user"], indirect=True)
# For limits. Peers are not called as a user.
BY_ROOT_AND_DELEGATED_USER = pytest.mark.parametrize("container", [
    "root", pytest.param("delegated user", marks=pytest.mark.hull_only(reason="the tests call hull alone as an ordinary user"))], indirect=True)


@pytest.fixture
def container(request, tmp_path, parent_cgroup):
    """container(args=[…], process={…}, linux={…}, …) → Container with a bundle of its own. config= replaces all.
    With BY_ROOT_AND_USER: root's, then an ordinary user's, with nothing mapped but its own id; with BY_ROOT_AND_DELEGATED_USER in a cgroup of the user's."""
    who = getattr(request, "param", "root")
    if who != "root":
        user = request.getfixturevalue("user")
        return user.container if who == "user" else functools.partial(user.container, cgroup=f"{request.getfixturevalue('delegated')}/box")
    hull = request.getfixturevalue("hull")

    def make(config=None, cid=None, rootfs_from=None, **changes):
        cid = cid or f"{snapshot.TAG}-c{next(_ids)}"
        bundle = rootfs_from.bundle if rootfs_from else Bundle(tmp_path / f"bundle-{cid}")
        version = "1.0.2" if hull.flavor == "crun" else "1.3.0"
        config = config or cfg.make_config(f"{parent_cgroup}/{cid}", version, **changes)
        return Container(hull, bundle, config, cid)
    return make


@pytest.fixture
def user(host, tmp_path, program):
    """An ordinary user who calls the runtime (harness/rootless.py)."""
    someone = User(program, tmp_path)
    yield someone
    problems = someone.close()
    assert not problems, "; ".join(problems)


@pytest.fixture
def delegated(user):
    """A directory of every hierarchy that is the user's, who calls from a session in it: its path."""
    bring_down_controllers()
    top = delegate("given")
    session = delegate("given", where="/session")
    user.hull.before = enter(session)
    yield top
    problems = user.hull.clean()
    user.hull.before = []
    undelegate(session)
    undelegate(top)
    assert not problems, "; ".join(problems)


@pytest.fixture
def everybodys():
    """A directory in which everybody may write: tmp_path is root's alone."""
    with tempfile.TemporaryDirectory(prefix="hull-everybodys-", dir="/tmp") as top:
        os.chmod(top, 0o777)
        yield Path(top)


@pytest.fixture
def canary(tmp_path):
    """A host directory that nothing may touch: compared as a whole afterwards."""
    top = tmp_path / "canary"
    (top / "dir").mkdir(parents=True)
    for name in ("file", "dir/file", "dir/null", "dir/ptmx", "dir/console", "dir/tun", "dir/hosts"):
        (top / name).write_text(f"canary {name}\n")
    (top / "dir/link").symlink_to("file")
    os.chmod(top / "dir/file", 0o600)
    before = snapshot.tree(top)
    yield top
    found = snapshot.differences({"canary": before}, {"canary": snapshot.tree(top)})
    assert not found, "\n".join(found)
