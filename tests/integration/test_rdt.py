# SPDX-License-Identifier: Apache-2.0
"""linux.intelRdt where no resctrl is mounted: an error that says so, and nothing is made. What is written there is in tests/plan and tests/unit/test_rdt.c."""
import pytest
from harness.fixtures import BY_ROOT_AND_USER
from harness.needs import needs


@needs("no resctrl")
@pytest.mark.parametrize("rdt", [{}, {"closID": "/"}, {"closID": "gold", "l3CacheSchema": "L3:0=f"}, {"enableMonitoring": True}])
@pytest.mark.parametrize("verb", ["create", "run"])
@BY_ROOT_AND_USER
def test_no_resctrl(container, rdt, verb):
    container(linux={"intelRdt": rdt}).fails(verb, match=verb + r" .*: no resctrl file system is mounted: .* \(linux\.intelRdt\).*")
