# SPDX-License-Identifier: Apache-2.0
"""Processes that are alive and do nothing until the block is left."""
import ctypes
import os
import signal
from contextlib import contextmanager
from pathlib import Path

from conftest import systemctl
from harness.needs import has
from harness.runtime import wait_for

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_EVENT_STOP = 17, 0x4206, 0x4207, 128
WALL = 0x40000000  # __WALL


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


def _ptrace(request, pid, data=0):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} {pid}")


@contextmanager
def stopped_process_1():
    """It takes no SIGSTOP, but a tracer may hold it. It goes on when the tracer, this thread, detaches or ends."""
    assert has("a machine of tests/vm with systemd"), "never the process 1 of anything else"
    _ptrace(PTRACE_SEIZE, 1)
    kept = 0
    try:
        _ptrace(PTRACE_INTERRUPT, 1)
        _, status = os.waitpid(1, WALL)
        assert os.WIFSTOPPED(status), hex(status)
        # Stopped by a signal that had just come: it gets it when it goes on.
        kept = 0 if status >> 16 == PTRACE_EVENT_STOP else os.WSTOPSIG(status)
        yield
    finally:
        _ptrace(PTRACE_DETACH, 1, kept)
