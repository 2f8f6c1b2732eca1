# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest in the machine: one JSON line a test to the port, as it happens, so that nothing is lost when the machine crashes.

HULL_VM_SHARD="0/2" takes every second test only: the other machine takes the others."""
import json
import os


def _tell(**what):
    # opened anew each time: nothing of it is inherited, and a port can be open once only
    fd = os.open(os.environ["HULL_VM_REPORT"], os.O_WRONLY)
    os.write(fd, (json.dumps(what) + "\n").encode())
    os.close(fd)


def pytest_collection_modifyitems(items):
    n, of = map(int, os.environ.get("HULL_VM_SHARD", "0/1").split("/"))
    items[:] = items[n::of]


def pytest_runtest_logstart(nodeid):
    _tell(test=nodeid, outcome="began")


def pytest_runtest_logreport(report):
    if report.when != "call" and report.passed:
        return
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else report.longreprtext
    _tell(test=report.nodeid, outcome=report.outcome, reason=reason.removeprefix("Skipped: "), seconds=round(report.duration, 2))
