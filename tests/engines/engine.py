# SPDX-License-Identifier: Apache-2.0
"""An engine's client."""
import os
import subprocess

from harness.clock import scaled
from harness.runtime import wait_for
from terminals import Terminal


class Engine:
    """Commands of an engine with a deadline; output of both streams together."""

    def __init__(self, *prefix, env=None, cwd="/root"):
        self.prefix, self.env, self.cwd = prefix, {**os.environ, **(env or {})}, cwd

    def call(self, *args, text=None, timeout=40, env=None):
        """(exit code, output)"""
        # conmon writes a file "oom" where it is started
        done = subprocess.run([*self.prefix, *map(str, args)], cwd=self.cwd, input=text, stdin=None if text is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=scaled(timeout), env={**self.env, **(env or {})}, check=False)
        return done.returncode, done.stdout + done.stderr

    def within(self, *outer):
        """The same commands run by another one: `outer` COMMAND…."""
        return Engine(*outer, *self.prefix, env=self.env, cwd=self.cwd)

    def __call__(self, *args, rc=0, **how):
        got, out = self.call(*args, **how)
        assert rc is None or got == rc, f"{args}: exit code {got}, expected {rc}\n{out}"
        return out

    def terminal(self, *args, **size):
        """The same on a terminal: see terminals.py."""
        return Terminal([*self.prefix, *args], self.env, **size)

    def until(self, text, *args, seconds=20):
        """Again and again until `text` is in what it says."""
        said = [""]

        def look():
            said[0] = self.call(*args)[1]
            return text in said[0]
        wait_for(look, seconds, f"{text!r} in {args}", lambda: said[0])
        return said[0]
