# SPDX-License-Identifier: Apache-2.0
"""A user's manager with fewer controllers: the limits of one that was not delegated are refused, by name; the others work."""
import pytest
from managed import NEEDS, SLEEP, files, goes, make, make_user, manager

pytestmark = NEEDS


@pytest.fixture(scope="module")
def delegated():
    with manager("memory pids"):
        yield


@pytest.fixture
def user(delegated, host, program, tmp_path):
    yield from make_user(program, tmp_path)


def test_a_limit_that_is_not_delegated(user):
    c = make(user, args=SLEEP, linux={"resources": {"cpu": {"cpus": "0"}}})
    c.fails("create", match=r".*cpuset.*delegate.*")
    goes(user, c)


def test_a_limit_that_is(user):
    c = make(user, args=SLEEP, linux={"resources": {"pids": {"limit": 42}}})
    c.create()
    assert files(c, ["pids.max"]) == {"pids.max": "42"}
    before = files(c, ["pids.max", "memory.max"])
    r = user.hull.call("update", "--cpuset-cpus", "0", c.id)
    assert r.rc == 1 and "cpuset" in r.err, r.err
    assert files(c, ["pids.max", "memory.max"]) == before
