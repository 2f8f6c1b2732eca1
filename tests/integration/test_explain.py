# SPDX-License-Identifier: Apache-2.0
"""explain: says what create would do, does nothing."""
import json
import os
import subprocess

import pytest
from harness import snapshot
from harness.clock import scaled
from harness.config import MOUNTS, bind, tmpfs
from harness.strace import strace

pytestmark = pytest.mark.hull_only(reason="no peer has it")
# What a command may not call that promises to do nothing.
FORBIDDEN = ("clone", "clone3", "fork", "vfork", "mount", "umount2", "move_mount", "mkdir", "mkdirat", "mknodat",
             "unlinkat", "rename", "renameat2", "setns", "unshare", "kill", "pidfd_send_signal", "chmod", "fchmodat", "fchownat",
             "symlinkat", "execve")


def explain(hull, c, *options):
    return hull("explain", "--bundle", c.bundle.path, *options, c.id)


def test_every_mount_is_shown(container, hull, tmp_path):
    mounts = [*MOUNTS, bind(tmp_path, "/data", "ro", "nosuid"), tmpfs("/scratch", "noexec", "size=1m")]
    c = container(mounts=mounts)
    lines = explain(hull, c).out.splitlines()
    for n, m in enumerate(mounts):
        own = [line for line in lines if line.rstrip().endswith(f"mounts[{n}]")]
        assert own, f"mounts[{n}] isn't shown"
        assert any(m["destination"] in line for line in own)
    data = next(line for line in lines if " /data " in line)
    assert "ro" in data and "nosuid" in data and str(tmp_path) in data


def test_order_is_the_order_of_the_mounts(container, hull):
    lines = explain(hull, container()).out.splitlines()
    seen = [line.split()[-1] for line in lines if "mounts[" in line.split()[-1] and " mount " in line]
    first = list(dict.fromkeys(seen))
    assert first == sorted(first, key=lambda s: int(s[7:-1]))


def test_limits_devices_masks_hooks(container, hull):
    c = container(hooks={"createRuntime": [{"path": "/bin/true"}]}, linux={"resources": {"pids": {"limit": 77}},
                  "devices": [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3}], "maskedPaths": ["/proc/kcore"]})
    out = explain(hull, c).out
    for text in ("pids.max = 77", "linux.resources.pids.limit", "/dev/mine", "linux.devices[0]", "mask /proc/kcore", "hooks.createRuntime[0]",
                 "pivot_root", "/bin/probe"):
        assert text in out, text


def test_json(container, hull):
    steps = json.loads(explain(hull, container(), "--json").out)
    assert [s["n"] for s in steps] == list(range(1, len(steps) + 1))
    assert {"n", "phase", "who", "step", "from"} <= set(steps[0])


def test_it_has_no_effect(container, hull):
    """Nothing appears, not even the state root; and no system call that could change anything is made."""
    c = container()
    before = snapshot.tree(c.bundle.path)
    trace = hull.tmp / "trace"
    hull("explain", "--bundle", c.bundle.path, c.id, wrap=strace("-f", "-o", trace, "-e", "trace=" + ",".join(FORBIDDEN)))
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if "(" in line]
    calls = [call for call in calls if call.split("(")[0] in FORBIDDEN]  # strace also prints calls that it has no name for
    assert [call for call in calls if not call.startswith("execve(") and "= -1 " not in call] == []
    assert sum(call.startswith("execve(") for call in calls) == 1
    assert snapshot.tree(c.bundle.path) == before
    assert not hull.root.exists()


def test_it_needs_no_root_for_another_host(container, hull):
    """With --facts a plan depends on nothing of this machine: an ordinary user makes golden plans."""
    c = container()
    facts = hull.tmp / "facts"
    facts.write_text("# a host with cgroup v2\n")
    for path in (hull.tmp, *hull.tmp.parents[:2]):
        os.chmod(path, 0o755)
    r = subprocess.run([hull.program, "explain", "--facts", facts, "--bundle", c.bundle.path, c.id], user=1000, group=1000,
                       extra_groups=[], capture_output=True, text=True, timeout=scaled(10), check=False)
    assert r.returncode == 0, r.stderr
    assert "mounts[0]" in r.stdout


def test_errors_are_those_of_create(container, hull):
    c = container(process={"cwd": "relative"})
    a = hull.fails("explain", "--bundle", c.bundle.path, c.id, match=r"config\.json: process\.cwd: .*")
    b = hull.fails("create", "--bundle", c.bundle.path, c.id, match=r"config\.json: process\.cwd: .*")
    assert a.err == b.err
    hull.made.clear()
