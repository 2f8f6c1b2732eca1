# SPDX-License-Identifier: Apache-2.0
"""Processes that are alive and do nothing until the block is left."""
import os
import signal
from contextlib import contextmanager
from pathlib import Path

from conftest import systemctl
from harness.needs import has
from harness.ptrace import DETACH, EVENT_STOP, INTERRUPT, SEIZE, WALL, ptrace
from harness.runtime import wait_for


def main_pid(service):
    return int(systemctl("show", service, "--property=MainPID", "--value"))


@contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", 5, f"{pid} to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def stopped_process_1():
    """It takes no SIGSTOP, but a tracer may hold it. It goes on when the tracer, this thread, detaches or ends."""
    assert has("a machine of tests/vm with systemd"), "never the process 1 of anything else"
    ptrace(SEIZE, 1)
    kept = 0
    try:
        ptrace(INTERRUPT, 1)
        _, status = os.waitpid(1, WALL)
        assert os.WIFSTOPPED(status), hex(status)
        # Stopped by a signal that had just come: it gets it when it goes on.
        kept = 0 if status >> 16 == EVENT_STOP else os.WSTOPSIG(status)
        yield
    finally:
        ptrace(DETACH, 1, data=kept)
