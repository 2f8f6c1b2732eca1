# SPDX-License-Identifier: Apache-2.0
"""Both ends of a terminal: the receiver of --console-socket, and a pty for a command in the foreground."""
import array
import fcntl
import os
import select
import socket
import struct
import termios
import time

from .clock import scaled


class ConsoleSocket:
    """Listens like conmon; `receive()` gives the pty master and the message's text."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory, name = os.path.split(self.path)
        fd = os.open(directory, os.O_PATH)  # a path longer than 108 bytes is bound this way
        self.socket.bind(f"/proc/self/fd/{fd}/{name}")
        os.close(fd)
        self.socket.listen(1)
        self.socket.settimeout(scaled(10))

    def receive(self):
        peer, _ = self.socket.accept()
        peer.settimeout(scaled(10))
        text, ancillary, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        fds = array.array("i")
        for level, kind, data in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        assert len(fds) == 1, f"exactly one descriptor, got {len(fds)}"
        assert peer.recv(1) == b"", "the runtime closes the connection"
        peer.close()
        return fds[0], text.decode()

    def close(self):
        self.socket.close()
        os.unlink(self.path)


def read_until(fd, text, seconds=10):
    """What comes from the master until `text` is in it (or the end of the terminal)."""
    got = b""
    end = time.monotonic() + scaled(seconds)
    while text is None or text not in got:
        left = end - time.monotonic()
        assert left > 0, f"waited for {text!r}, got {got!r}"
        ready, _, _ = select.select([fd], [], [], left)
        if not ready:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: the last slave was closed
            data = b""
        if not data:
            assert text is None, f"the terminal ended before {text!r}: {got!r}"
            return got
        got += data
    return got


def window(fd, rows=None, columns=None):
    """Set or get the size."""
    if rows is not None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]
