# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the system calls of each command: nothing is left that one `delete --force` doesn't remove within a second.

In CI each sweep gets its share of three minutes; `./dev fault` (HULL_FAULT_FULL=1) takes every call."""
import pytest
from harness.config import MOUNTS, bind
from sweep import FULL, Sweep

pytestmark = [pytest.mark.hull_only(reason="no peer promises it (runc#4757)"), pytest.mark.timeout(3600 if FULL else 120)]
PARENT, CHILD = 0, 1
SLEEP = ["/bin/sleep", "1000"]
SECONDS = {"create": 20, "start": 8, "run": 10, "exec": 8, "delete": 10, "kill": 5}


@pytest.fixture
def sweep(container, tmp_path):
    def run(verb, victim, stage, *options, after=(), **changes):
        c = container(args=SLEEP, mounts=[*MOUNTS, bind(tmp_path, "/data", "ro")],
                      linux={"resources": {"pids": {"limit": 100}, "memory": {"limit": 64 << 20}}}, **changes)
        bundle = ("--bundle", c.bundle.path) if verb in ("create", "run") else ()

        def prepare():
            if stage in ("created", "running"):
                c.create()
            if stage == "running":
                c.start()
        report = Sweep(c, victim, prepare, [verb, *bundle, *options, c.id, *after], SECONDS[verb]).run()
        print(f"{verb}, {'the command' if victim == PARENT else 'its child'}: {report}")
        assert report.faults == [], "\n  ".join([str(report), *report.faults])
        assert report.calls > 20 and len(report.done) > 5, report
        return report
    return run


@pytest.mark.parametrize("victim", [PARENT, CHILD], ids=["command", "child"])
def test_create(sweep, victim):
    sweep("create", victim, None)


@pytest.mark.parametrize("victim", [PARENT, CHILD], ids=["command", "child"])
def test_create_with_hooks(sweep, victim):
    hook = [{"path": "/bin/true"}]
    sweep("create", victim, None, hooks={"createRuntime": hook, "createContainer": hook, "poststop": hook})


@pytest.mark.parametrize("victim", [PARENT, CHILD], ids=["command", "child"])
def test_run_detached(sweep, victim):
    sweep("run", victim, None, "--detach")


def test_start(sweep):
    sweep("start", PARENT, "created")


@pytest.mark.parametrize("victim", [PARENT, CHILD], ids=["command", "child"])
def test_exec(sweep, victim):
    sweep("exec", victim, "running", after=["/bin/true"])


def test_kill(sweep):
    sweep("kill", PARENT, "running", after=["KILL"])


def test_delete(sweep):
    sweep("delete", PARENT, "running", "--force")
