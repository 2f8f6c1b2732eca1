# SPDX-License-Identifier: Apache-2.0
"""Flags of a process's seccomp filter, as the kernel has them."""
import ctypes
import os
import struct

SEIZE, INTERRUPT, DETACH, SECCOMP_GET_METADATA = 0x4206, 0x4207, 17, 0x420d
WALL = 0x40000000
FLAG_LOG = 2  # the one that the kernel tells
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, pid, addr=0, data=None):
    if libc.ptrace(ctypes.c_long(request), pid, ctypes.c_void_p(addr), data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def flags_of(pid):
    """Of its first filter. Takes CAP_SYS_ADMIN, and a kernel with CONFIG_CHECKPOINT_RESTORE (Debian's)."""
    metadata = ctypes.create_string_buffer(struct.pack("=QQ", 0, 0), 16)
    ptrace(SEIZE, pid)
    try:
        ptrace(INTERRUPT, pid)
        os.waitpid(pid, WALL)
        ptrace(SECCOMP_GET_METADATA, pid, len(metadata), metadata)
    finally:
        ptrace(DETACH, pid)
    return struct.unpack("=QQ", metadata.raw)[1]
