# SPDX-License-Identifier: Apache-2.0
"""A file system whose file `file` can be opened, and never be read: its server takes the request and doesn't answer. Not even SIGKILL ends who reads (state D,
fuse's request_wait_answer()), as on a network file system that is gone. The server's end is the end of that.

    python3 stuckfs.py PLACE      (mounts it there, says "ready", serves until its standard input ends)"""
import ctypes
import errno
import os
import select
import stat
import struct
import subprocess
import sys

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, RELEASEDIR, INTERRUPT, ACCESS, BATCH_FORGET = 1, 2, 3, 14, 15, 17, 18, 26, 27, 29, 36, 34, 42
ROOT, FILE = 1, 2
AGE = 3600  # seconds for which the kernel may remember


def attributes(node):
    mode, links = (stat.S_IFDIR | 0o755, 2) if node == ROOT else (stat.S_IFREG | 0o644, 1)
    return struct.pack("<6Q10I", node, 4096, 8, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


def answer(op, node, body):
    """What is sent back: bytes, or an errno. None: nothing, ever."""
    if op == INIT:
        return struct.pack("<4I2H2I2H8I", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, *[0] * 8)
    if op == GETATTR:
        return struct.pack("<QII", AGE, 0, 0) + attributes(node)
    if op == LOOKUP:
        return struct.pack("<4Q2I", FILE, 0, AGE, AGE, 0, 0) + attributes(FILE) if body.rstrip(b"\0") == b"file" else errno.ENOENT
    if op in (OPEN, OPENDIR):
        return struct.pack("<QII", 1, 0, 0)
    if op == STATFS:
        return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
    if op in (RELEASE, RELEASEDIR, ACCESS):
        return b""
    return None if op in (READ, FORGET, BATCH_FORGET, INTERRUPT) else errno.ENOSYS


def serve(fd):
    while True:
        ready, _, _ = select.select([fd, 0], [], [])
        if 0 in ready and not os.read(0, 1):
            return
        if fd not in ready:
            continue
        request = os.read(fd, 1 << 20)
        _, op, unique, node = struct.unpack_from("<IIQQ", request)
        what = answer(op, node, request[40:])
        if what is not None:
            code, body = (0, what) if isinstance(what, bytes) else (-what, b"")
            os.write(fd, struct.pack("<IiQ", 16 + len(body), code, unique) + body)


class StuckFs:
    """`with StuckFs(place):` — everybody who is stuck in it is free after that."""

    def __init__(self, place):
        self.place = place

    def __enter__(self):
        self.server = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(self.place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout.readline() == "ready\n", "stuckfs didn't start"
        return self

    def __exit__(self, *_):
        self.free()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.umount2(os.fsencode(str(self.place)), 2) == 0, os.strerror(ctypes.get_errno())

    def free(self):
        """End the server: the kernel answers all requests with ECONNABORTED then."""
        if self.server.poll() is None:
            self.server.communicate("", timeout=20)


def main(place):
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"stuckfs", place.encode(), b"fuse", ctypes.c_ulong(6), options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
    print("ready", flush=True)
    serve(fd)


if __name__ == "__main__":
    main(sys.argv[1])
