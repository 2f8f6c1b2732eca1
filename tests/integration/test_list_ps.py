# SPDX-License-Identifier: Apache-2.0
"""list and ps."""
import json
import re

import pytest

pytestmark = pytest.mark.kernel
SLEEP = ["/bin/sleep", "1000"]


@pytest.fixture
def three(container):
    """One created, one running, one stopped."""
    a, b, c = (container(args=SLEEP) for _ in range(3))
    a.create()
    b.detach()
    c.detach()
    c.kill("KILL")
    c.wait("stopped")
    return a, b, c


def test_list_json(three, hull):
    found = {e["id"]: e for e in hull("list", "--format", "json").json()}
    assert {c.id: found[c.id]["status"] for c in three} == dict(zip((c.id for c in three), ("created", "running", "stopped")))
    for c in three:
        assert set(found[c.id]) >= {"id", "pid", "status", "bundle", "created", "owner"}
        assert found[c.id]["bundle"] == str(c.bundle.path)
    assert found[three[1].id]["pid"] == three[1].pid
    assert found[three[2].id]["pid"] == 0


def test_list_table(three, hull):
    lines = hull("list").out.splitlines()
    assert re.fullmatch(r"ID +PID +STATUS +BUNDLE +CREATED +OWNER *", lines[0])
    assert len(lines) == 4
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(c.id for c in three)


def test_list_quiet(three, hull):
    assert sorted(hull("list", "--quiet").out.split()) == sorted(c.id for c in three)
    assert sorted(hull("list", "-q").out.split()) == sorted(c.id for c in three)


def test_list_of_nothing(hull):
    hull.root.mkdir(mode=0o700)
    assert json.loads(hull("list", "-f", "json").out) in (None, [])
    assert len(hull("list").out.splitlines()) == 1


@pytest.mark.hull_only(reason="crun's suite wants it, runc lists nothing")
def test_list_of_a_root_that_is_not_there(hull):
    hull.fails("list", match=r".*state.*no such file or directory.*")


@pytest.mark.hull_only(reason="it reads /run/runc of this world")
def test_list_with_the_default_root(hull):
    assert len(hull("list", root=False).out.splitlines()) <= 1


def test_list_format(hull):
    hull.root.mkdir(mode=0o700)
    hull.fails("list", "--format", "yaml", match=r'.*yaml.*')


def test_ps_json(container, hull):
    c = container(args=["/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait"])
    c.detach()
    c.wait_output("ready")
    pids = hull("ps", "--format", "json", c.id).json()
    assert pids == sorted(map(int, c.cgroup_file("pids", "cgroup.procs").read_text().split()))
    assert c.pid in pids


def test_ps_table(container, hull):
    c = container(args=SLEEP)
    c.detach()
    out = hull("ps", c.id).out.splitlines()
    assert "PID" in out[0]
    assert any(str(c.pid) in line.split() for line in out[1:])


def test_ps_with_options_for_ps(container, hull):
    """containerd's ctr: `ps --format table ID -o pid,comm` style."""
    c = container(args=SLEEP)
    c.detach()
    out = hull("ps", c.id, "-e", "-o", "pid,comm").out
    assert re.search(rf"^ *{c.pid} +sleep *$", out, re.M), out


@pytest.mark.hull_only(reason="runc fails there")
def test_ps_of_stopped(container, hull):
    c = container(args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    assert hull("ps", "-f", "json", c.id).json() in (None, [])


def test_list_passes_over_a_broken_record(three, hull):
    """T6: one bad record must not hide the others."""
    record = hull.root / three[0].id / "state.json"
    good = record.read_bytes()
    record.write_bytes(good[:40])
    r = hull.call("list", "-q")
    assert {three[1].id, three[2].id} <= set(r.out.split())
    record.write_bytes(good)
