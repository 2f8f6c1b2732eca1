# SPDX-License-Identifier: Apache-2.0
"""The BPF programs with which the runtime keeps a container's rules for devices on cgroup v2: those in the kernel, those attached to a cgroup.

A program is known by its tag, a hash of its instructions."""
import ctypes
import itertools
import os
import struct

SYS_BPF = 321  # x86-64
GET_NEXT_ID, GET_FD_BY_ID, GET_INFO, QUERY = 11, 13, 15, 16
CGROUP_DEVICE = 15  # enum bpf_prog_type
ATTACH_DEVICE = 6  # enum bpf_attach_type
NAME = "hull_devices"
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    """bpf(2): what it returns; `attr` (a buffer) has been changed. Errors are OSError."""
    r = libc.syscall(SYS_BPF, command, attr, len(attr))
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def attribute(*words):
    """union bpf_attr from 32 bit words, larger than any kernel's."""
    return ctypes.create_string_buffer(struct.pack(f"={len(words)}I", *words), 256)


def word(attr, n):
    return struct.unpack_from("=I", attr, 4 * n)[0]


def tag_of(number):
    """(type, tag, name) of the program with that id, None when it has just gone."""
    try:
        fd = bpf(GET_FD_BY_ID, attribute(number))
    except FileNotFoundError:
        return None
    try:
        info = ctypes.create_string_buffer(256)
        bpf(GET_INFO, ctypes.create_string_buffer(struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)), 256))
        kind, _, tag = struct.unpack_from("=II8s", info)
        return kind, tag.hex(), info.raw[64:80].split(b"\0")[0].decode()
    finally:
        os.close(fd)


def programs():
    """The tags of all of our programs in the kernel, of every container."""
    found, number = [], 0
    for _ in itertools.count():
        attr = attribute(number)
        try:
            bpf(GET_NEXT_ID, attr)
        except FileNotFoundError:
            return found
        number = word(attr, 1)
        told = tag_of(number)
        if told and told[0] == CGROUP_DEVICE and told[2] == NAME:
            found.append(told[1])


def attached(directory):
    """The tags of the programs for devices that are attached to a cgroup itself."""
    ids = (ctypes.c_uint32 * 16)()
    dfd = os.open(directory, os.O_RDONLY)
    try:
        attr = ctypes.create_string_buffer(struct.pack("=IIIIQI", dfd, ATTACH_DEVICE, 0, 0, ctypes.addressof(ids), len(ids)), 256)
        bpf(QUERY, attr)
        return [tag_of(ids[n])[1] for n in range(struct.unpack_from("=I", attr, 24)[0])]
    finally:
        os.close(dfd)
