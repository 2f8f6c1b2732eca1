# SPDX-License-Identifier: Apache-2.0
"""Time namespaces: offsets, joined by path, exec; with and without a user namespace."""
import os
import time

import pytest
from harness.clock import scaled
from harness.config import namespaces, userns

OFFSETS = {"monotonic": {"secs": 86400, "nanosecs": 5}, "boottime": {"secs": 172800}}
PLACE = r" \(config\.json:\d+:\d+\)"
pytestmark = pytest.mark.hull_only(reason="Debian's runc and crun are older than time namespaces")


def own(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


def with_time(offsets=None, path=None, user=False):
    linux = userns() if user else {"namespaces": namespaces()}
    linux["namespaces"] = linux["namespaces"] + [{"type": "time", **({"path": path} if path else {})}]
    return linux | ({"timeOffsets": offsets} if offsets else {})


def ahead(seen, monotonic, boottime):
    """Are the container's clocks as many seconds ahead of ours? Some time has passed since they were read."""
    since = (monotonic + time.clock_gettime(time.CLOCK_MONOTONIC) - seen["monotonic"] / 1000,
             boottime + time.clock_gettime(time.CLOCK_BOOTTIME) - seen["boottime"] / 1000)
    return all(-0.01 < s < scaled(2) for s in since)


@pytest.mark.parametrize("user", [False, True], ids=["", "userns"])
def test_offsets(container, user):
    seen = container(linux=with_time(OFFSETS, user=user)).probe()
    assert seen["ns"]["time"] != own("time")
    assert ahead(seen, 86400, 172800)
    assert [line.split() for line in seen["timens_offsets"]] == [["monotonic", "86400", "5"], ["boottime", "172800", "0"]]


@pytest.mark.parametrize("user", [False, True], ids=["", "userns"])
def test_new_without_offsets(container, user):
    seen = container(linux=with_time(user=user)).probe()
    assert seen["ns"]["time"] != own("time") and ahead(seen, 0, 0)


def test_negative_offsets(container):
    back = -int(time.clock_gettime(time.CLOCK_MONOTONIC)) // 2
    seen = container(linux=with_time({"monotonic": {"secs": back}})).probe()
    assert ahead(seen, back, 0)


@pytest.mark.parametrize("user", [False, True], ids=["", "userns"])
@pytest.mark.parametrize("first_user", [False, True], ids=["", "of-a-userns"])
def test_joined_by_path(container, user, first_user):
    first = container(args=["/bin/sleep", "100"], linux=with_time(OFFSETS, user=first_user))
    first.detach()
    path = f"/proc/{first.pid}/ns/time"
    seen = container(linux=with_time(path=path, user=user)).probe()
    assert seen["ns"]["time"] == os.readlink(path) and ahead(seen, 86400, 172800)


@pytest.mark.parametrize("user", [False, True], ids=["", "userns"])
def test_exec(container, user):
    c = container(args=["/bin/sleep", "100"], linux=with_time(OFFSETS, user=user))
    c.create()
    for _ in range(2):
        seen = c.exec(c.id, "/bin/probe").json()
        assert seen["ns"]["time"] == os.readlink(f"/proc/{c.pid}/ns/time") and ahead(seen, 86400, 172800)
        if c.status() == "created":
            c.start()


def test_offsets_without_the_namespace(container):
    c = container(linux={"timeOffsets": OFFSETS})
    c.fails("create", match=r"config\.json: linux\.timeOffsets: time offsets need a time namespace in linux\.namespaces" + PLACE)


def test_offsets_of_a_joined_one(container):
    c = container(linux=with_time(OFFSETS, path="/proc/self/ns/time"))
    c.fails("create", match=r"config\.json: linux\.timeOffsets: time offsets need a new time namespace, not one that is joined by path" + PLACE)


def test_offsets_out_of_range(container):
    c = container(linux=with_time({"monotonic": {"secs": -(10 ** 10)}}))
    c.fails("create", match=r"config\.json: linux\.timeOffsets: make a time namespace: the offsets lead out of the range of the clocks: numerical result out of range")


def test_path_of_the_wrong_kind(container):
    c = container(linux=with_time(path="/proc/self/ns/net"))
    c.fails("create", match=r'config\.json: linux\.namespaces\[6\]\.path: .*"/proc/self/ns/net" is a namespace of type "network", not "time"')
