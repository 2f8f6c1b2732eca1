# SPDX-License-Identifier: Apache-2.0
"""Flags of a process's seccomp filter, as the kernel has them."""
import ctypes
import os
import struct

from .ptrace import DETACH, INTERRUPT, SECCOMP_GET_METADATA, SEIZE, WALL, ptrace

FLAG_LOG = 2  # the one that the kernel tells


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
