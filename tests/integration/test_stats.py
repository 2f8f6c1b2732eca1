# SPDX-License-Identifier: Apache-2.0
"""stats: the figures as a table, once on a pipe and again and again on a terminal."""
import json
import os
import pty
import re
import time

import pytest

from harness.clock import scaled
from harness.config import namespaces
from harness.needs import needs
from harness.runtime import is_v1, wait_for

pytestmark = pytest.mark.hull_only(reason="no peer has such a command")
SLEEP = ["/bin/sleep", "1000"]
MiB = 1 << 20
HEADINGS = ["ID", "CPU %", "MEMORY / LIMIT", "PEAK", "SWAP", "PIDS", "IO READ / WRITE", "NET IN / OUT", "PRESSURE CPU/MEM/IO", "OOM KILLS"]
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def table(text):
    """Rows as dictionaries."""
    lines = text.splitlines()
    assert re.split(r" {2,}", lines[0].strip()) == HEADINGS
    starts = [lines[0].index(h) for h in HEADINGS] + [None]
    return [{h: line[a:b].strip() for h, a, b in zip(HEADINGS, starts, starts[1:])} for line in lines[1:]]


def size(word):
    m = re.fullmatch(r"([0-9.]+)([A-Za-z]+)", word)
    return float(m[1]) * UNITS[m[2]]


@needs("the controller memory")
def test_once_on_a_pipe(container):
    spin = container(args=["/bin/sh", "-c", "while :; do :; done"], linux={"resources": {"memory": {"limit": 64 * MiB}, "pids": {"limit": 9}}})
    idle = container(args=SLEEP)
    spin.detach()
    idle.detach()
    rows = {row["ID"]: row for row in table(spin.runtime("stats").out)}
    assert set(rows) == {spin.id, idle.id}
    row = rows[spin.id]
    assert float(row["CPU %"].rstrip("%")) > 5 > float(rows[idle.id]["CPU %"].rstrip("%"))
    used, limit = row["MEMORY / LIMIT"].split(" / ")
    assert limit == "64.0MiB" and 0 < size(used) < 64 * MiB
    assert rows[idle.id]["MEMORY / LIMIT"].endswith(" / -")
    assert re.fullmatch(r"\d+ / 9", row["PIDS"])
    assert row["OOM KILLS"] == "0"
    peak = spin.cgroup_file("memory", "memory.max_usage_in_bytes" if is_v1("memory") else "memory.peak")
    if peak.exists():
        assert abs(size(row["PEAK"]) - int(peak.read_text())) <= MiB
    assert row["NET IN / OUT"] == "0B / 0B"


def test_named_ones_only(container):
    one, other = container(args=SLEEP), container(args=SLEEP)
    one.detach()
    other.detach()
    assert [row["ID"] for row in table(one.runtime("stats", "--interval", "10ms", one.id).out)] == [one.id]
    one.runtime.fails("stats", one.id, "nobody", match='container "nobody" does not exist')
    other.kill("KILL")
    other.wait("stopped")
    one.runtime.fails("stats", other.id, match=rf'container "{other.id}" is not running: it is stopped')
    assert [row["ID"] for row in table(one.runtime("stats").out)] == [one.id]


def test_none(hull):
    hull.root.mkdir(mode=0o700)
    assert table(hull("stats").out) == []
    assert hull("stats", "--format", "json").out == ""


def test_json_is_that_of_events(container):
    c = container(args=SLEEP)
    c.detach()
    begin = time.monotonic()
    mine = json.loads(c.runtime("stats", "--format", "json").out)
    assert time.monotonic() - begin < scaled(1), "nothing is measured, so nothing is waited for"
    theirs = json.loads(c.runtime("events", "--stats", c.id).out)
    assert mine.keys() == theirs.keys() and mine["data"].keys() == theirs["data"].keys()
    assert mine["data"]["pids"] == theirs["data"]["pids"]


@needs("the controller memory")
def test_oom_kills_are_shown(container):
    c = container(args=["/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; echo done; sleep 1000"],
                  linux={"resources": {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}})
    c.detach()
    c.wait_output("done", scaled(10))
    assert table(c.runtime("stats", "--interval=10ms").out)[0]["OOM KILLS"] == "1"


def test_shared_network(container):
    c = container(args=SLEEP, linux={"namespaces": namespaces("network")})
    c.detach()
    assert table(c.runtime("stats", "--interval=10ms").out)[0]["NET IN / OUT"] == "-"


def on_terminal(c, *options):
    master, slave = pty.openpty()
    p = c.runtime.popen("stats", *options, stdout=slave, stderr=slave)
    os.close(slave)
    return p, master


def read_all(master, until):
    text = b""
    while not until(text):
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_is_refreshed_until_the_end(container):
    c = container(args=SLEEP)
    c.detach()
    p, master = on_terminal(c, "--interval", "50ms", c.id)
    text = read_all(master, lambda t: t.count(b"\x1b[H\x1b[J") >= 4)
    c.kill("KILL")
    text += read_all(master, lambda t: False)
    os.close(master)
    assert p.wait(timeout=scaled(5)) == 0
    screens = text.split("\x1b[H\x1b[J")
    assert screens[0] == "" and len(screens) >= 5
    assert table(screens[1])[0]["CPU %"] == "-"
    assert re.fullmatch(r"\d+\.\d\d%", table(screens[3])[0]["CPU %"])


def test_no_stream_on_a_terminal(container):
    c = container(args=SLEEP)
    c.detach()
    p, master = on_terminal(c, "--no-stream", "--interval=10ms")
    text = read_all(master, lambda t: False)
    os.close(master)
    assert p.wait(timeout=scaled(5)) == 0
    assert "\x1b" not in text and len(table(text)) == 1


def test_a_container_that_ends_meanwhile(container):
    c = container(args=SLEEP)
    c.detach()
    p = c.runtime.popen("stats", "--interval", f"{scaled(1)}s", stdout=-1, text=True)
    wait_for(lambda: open(f"/proc/{p.pid}/wchan").read() not in ("", "0"), 5, "stats to sleep")
    c.kill("KILL")
    out, _ = p.communicate(timeout=scaled(10))
    assert p.returncode == 0 and table(out) == []
