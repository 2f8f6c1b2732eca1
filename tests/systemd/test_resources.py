# SPDX-License-Identifier: Apache-2.0
"""The columns "unit on v2" and "unit on v1" of docs/resources.md: each example in a scope. The cgroup's files read what the column of the layout says, the unit's
properties, as systemd has them, what the column of the unit says, and all others are those of a container without the example."""
import re

import pytest
from conftest import is_loaded, raw_properties
from harness import examples
from harness.examples import weighing_disk  # noqa: F401
from harness.needs import needs

pytestmark = needs("systemd")
SLEEP = ["/bin/sleep", "1000"]
COLUMN = f"unit on {examples.LAYOUT}"
INFINITY = 2**64 - 1
IO_LIMITS = ("IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax")
NAMES = sorted({"DevicePolicy", "DeviceAllow", "MemoryHigh", "IOWeight", "IODeviceWeight", *IO_LIMITS, "BlockIOWeight", "BlockIOReadBandwidth", "BlockIOWriteBandwidth",
                "CPUWeight", "CPUShares", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "AllowedCPUs", "AllowedMemoryNodes", "MemoryMax", "MemoryLimit", "MemoryLow",
                "MemorySwapMax", "TasksMax"})
_without = {}  # what a scope has in which nothing is limited


def bits(raw):
    """"ay 1 5" → {0, 2}"""
    return {8 * i + k for i, byte in enumerate(map(int, raw.split()[2:])) for k in range(8) if byte >> k & 1}


def numbers(text):
    parts = (part.partition("-") for part in text.split(","))
    return {n for first, _, last in parts for n in range(int(first), int(last or first) + 1)}


def says(name, value, raw):
    """Is the property's value on D-Bus what the document has as text?"""
    kind = raw.split()[0]
    if kind == "ay":
        return bits(raw) == numbers(value)
    if kind == "s":
        return raw == f's "{value}"'
    if kind == "a(st)":
        device, number = value.split()
        entry = re.search(rf'"{device}" (\d+)', raw)
        # No limit is no entry.
        return entry is None if number == "infinity" else entry is not None and entry[1] == number
    if kind == "a(ss)":
        return not value or '"{}" "{}"'.format(*value.split()) in raw
    return raw == f"t {INFINITY if value == 'infinity' else value}"


@pytest.fixture
def without(container):
    if not _without:
        c = container(args=SLEEP, linux={"resources": {}})
        c.create()
        _without.update(raw_properties(c.unit, NAMES))
        c.delete("--force")
    return _without


@pytest.mark.parametrize("prop,example", examples.EXAMPLES)
def test_example_of_the_document(container, hull, tmp_path, without, weighing_disk, prop, example):
    example = examples.here(example)
    steps = examples.planned(tmp_path / "plan", prop, example, COLUMN)
    c = container(args=SLEEP, linux={"resources": examples.resources(prop, example)})
    r = hull.call("create", "--bundle", c.bundle.path, c.id)
    if isinstance(steps, str):
        examples.check_refusal(steps, r)
        assert hull.ids() == [] and not is_loaded(c.unit)
        return
    examples.skip_if_lacking(prop, example, r)
    assert r.rc == 0, r.err
    examples.check_files(f"/system.slice/{c.unit}", steps)
    told, asked = raw_properties(c.unit, NAMES), examples.unit_properties(steps, prop)
    assert {name for name, _ in asked} <= set(NAMES)
    for name, value in asked:
        assert says(name, value, told[name]), (name, value, told[name])
    others = [n for n in NAMES if n not in dict(asked)]
    assert {n: told[n] for n in others} == {n: without[n] for n in others}
