# SPDX-License-Identifier: Apache-2.0
"""An engine's client on a real terminal, as a person sees it."""
import fcntl
import os
import pty
import signal
import struct
import termios
import time

from harness.clock import scaled
from harness.terminal import read_until, window


class Terminal:
    """`with Terminal(argv) as t`: t.expect(text), t.type(text), t.end() → exit code."""

    def __init__(self, argv, env, rows=24, columns=80):
        self.argv, self.env, self.size, self.seen = list(map(str, argv)), env, (rows, columns), b""

    def __enter__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *self.size, 0, 0))
            try:
                os.execvpe(self.argv[0], self.argv, self.env)
            finally:
                os._exit(127)
        return self

    def expect(self, text, seconds=30):
        self.seen += read_until(self.fd, text.encode(), seconds)
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def resize(self, rows, columns):
        window(self.fd, rows, columns)
        return self

    def end(self, seconds=30):
        """Reads until the program closes the terminal; its exit code."""
        self.seen += read_until(self.fd, None, seconds)
        end = time.monotonic() + scaled(seconds)
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"{self.argv} doesn't end: {self.seen!r}"
            time.sleep(0.02)

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
