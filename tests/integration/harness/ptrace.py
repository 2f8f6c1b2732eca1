# SPDX-License-Identifier: Apache-2.0
"""ptrace(2), as far as the tests need it."""
import ctypes
import os

SEIZE, INTERRUPT, DETACH, SECCOMP_GET_METADATA = 0x4206, 0x4207, 17, 0x420d
EVENT_STOP = 128
WALL = 0x40000000  # __WALL
_libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, pid, addr=0, data=None):
    """`data`: a buffer, or a number."""
    if _libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(addr), ctypes.c_void_p(data) if isinstance(data, int) else data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} {pid}: {os.strerror(ctypes.get_errno())}")
