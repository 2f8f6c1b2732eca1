# SPDX-License-Identifier: Apache-2.0
"""Every property that a process in the container can see, read back by the probe: as root, and as an ordinary user with and without sub-ids. The table is
harness/properties.py."""
import copy

import pytest
from harness.config import merge, userns
from harness.needs import needs
from harness.properties import ROWS, USERNS_ROWS
from harness.rootless import ALL, OWN

pytestmark = [pytest.mark.kernel, pytest.mark.hull_only(reason="texts of refusals; peers have tests of each property elsewhere")]
SUB_IDS = needs("newuidmap, newgidmap and /etc/subuid")


def name(row):
    return row.paths if not row.refused else f"{row.paths} refused"


def apply(c, row):
    row.change(c.config) if callable(row.change) else merge(c.config, copy.deepcopy(row.change))
    c.config["process"]["args"] = ["/bin/sleep", "1000"] if row.exec else ["/bin/probe", *row.args]
    c.bundle.write(c.config)


def check(c, row):
    if row.exec:
        c.detach()
        seen = c.exec(c.id, "/bin/probe", *row.args).json()
    else:
        seen = c.run().json()
    wanted = row.wanted(c) if callable(row.wanted) else row.wanted
    assert row.see(seen, c) == wanted


@pytest.mark.parametrize("row", [r for r in ROWS if r.root], ids=name)
def test_as_root(container, row):
    c = container()
    apply(c, row)
    check(c, row)


@pytest.mark.parametrize("row", [*USERNS_ROWS, *(r for r in ROWS if r.root)], ids=name)
def test_as_root_with_a_user_namespace(container, row):
    c = container(linux=userns())
    apply(c, row)
    check(c, row)


@pytest.mark.parametrize("row", [*ROWS, *USERNS_ROWS], ids=name)
@pytest.mark.parametrize("maps", [pytest.param(OWN, id="own"), pytest.param(ALL, id="sub", marks=SUB_IDS)])
def test_as_an_ordinary_user(user, maps, row):
    c = user.container(maps)
    apply(c, row)
    text = row.refused or (row.own if maps is OWN else "")
    if text:
        c.fails("run", match=rf"(config\.json(?: \(config\.json:\d+:\d+\))?|run \S+): {text}")
    else:
        check(c, row)
