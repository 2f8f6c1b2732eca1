# SPDX-License-Identifier: Apache-2.0
"""The kill sweep: end one process of a command at its Nth system call, for every N, and look at what is left.

After each kill: `state` knows the container in a legal state or not at all; `delete --force` succeeds within a second; the host is as before;
and the same id can be created again (asked each tenth time: it is what create itself does in every round)."""
import os
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import programs, snapshot
from harness.runtime import CALL_SECONDS

LEGAL = ("creating", "created", "running", "stopped")
DELETE_SECONDS = 1.0
FULL = bool(os.environ.get("HULL_FAULT_FULL"))


@dataclass
class Report:
    calls: int = 0
    done: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    slowest: float = 0.0

    def __str__(self):
        return f"{len(self.done)} of {self.calls} system calls, slowest delete --force {self.slowest * 1000:.0f} ms"


class Sweep:
    """`prepare` brings the container to where the command begins, `argv` is the command's arguments after --root."""

    def __init__(self, container, victim, prepare, argv, seconds):
        self.container, self.hull = container, container.runtime
        self.victim, self.prepare, self.argv, self.seconds = victim, prepare, argv, seconds
        self.killer = programs.build("killer", Path(__file__).resolve().parent)
        self.report = Report()

    def attempt(self, n):
        """One round; (calls, killed) of the victim."""
        self.prepare()
        r = self.hull.call(*self.argv, wrap=[self.killer, str(self.victim), str(n)], timeout=CALL_SECONDS)
        line = re.search(r"^killer: (\d+) ([01]) (\d+) (-?\d+)$", r.err, re.M)
        assert line, f"killer said nothing: {r.err!r}"
        calls, killed, number, _ = map(int, line.groups())
        return calls, bool(killed), number

    def check_state(self, what):
        r = self.hull.call("state", self.container.id)
        if r.rc == 0:
            if r.json()["status"] not in LEGAL:
                self.report.faults.append(f"{what}: status {r.json()['status']}")
        elif "does not exist" not in r.err:
            self.report.faults.append(f"{what}: state says {r.err.strip()}")

    def check_delete(self, what):
        began = time.monotonic()
        r = self.hull.call("delete", "--force", self.container.id, timeout=CALL_SECONDS)
        took = time.monotonic() - began
        self.report.slowest = max(self.report.slowest, took)
        if r.rc != 0:
            self.report.faults.append(f"{what}: delete --force: {r.err.strip()}")
        if took > DELETE_SECONDS + self.slack:
            self.report.faults.append(f"{what}: delete --force took {took:.2f} s")

    def check_host(self, what, before):
        found, _ = snapshot.differences_when_settled(before)
        left = self.hull.ids()
        if left:
            found.append(f"left in the state root: {left}")
        self.report.faults += [f"{what}: {line}" for line in found]

    def check_again(self, what):
        r = self.hull.call("create", "--bundle", self.container.bundle.path, self.container.id)
        if r.rc != 0:
            self.report.faults.append(f"{what}: the id can't be created again: {r.err.strip()}")
        self.hull.call("delete", "--force", self.container.id)

    def round(self, n):
        before = snapshot.take()
        _, killed, number = self.attempt(n)
        what = f"killed at call {n} (number {number})"
        self.check_state(what)
        self.check_delete(what)
        if len(self.report.done) % 10 == 0:
            self.check_again(what)
        self.check_host(what, before)  # last: it waits for what is on its way out, which the next round's first look would see
        if killed:
            self.report.done.append(n)

    def run(self):
        """All of them, or (unless HULL_FAULT_FULL is set) as many as fit into the time, spread evenly, the same ones each time."""
        before = snapshot.take()
        self.report.calls, _, _ = self.attempt(0)
        began = time.monotonic()
        self.hull.call("delete", "--force", self.container.id)
        self.slack = 5 * (time.monotonic() - began)
        self.check_host("undisturbed", before)
        order = list(range(1, self.report.calls + 1))
        random.Random(0).shuffle(order)
        end = time.monotonic() + self.seconds
        for n in order:
            if not FULL and time.monotonic() > end:
                break
            self.round(n)
            if len(self.report.faults) > 20:
                break
        return self.report
