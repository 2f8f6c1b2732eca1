# SPDX-License-Identifier: Apache-2.0
"""The matrix of check.py from what machines tell, and its block in the README."""
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import machine  # noqa: E402
import matrix as mx  # noqa: E402

README = Path(__file__).resolve().parents[2] / "README.md"
TITLES = {m.name: m.title for m in machine.MACHINES.values()}


def line(test, outcome, reason=""):
    return json.dumps({"test": test, "outcome": outcome, "reason": reason})


def test_tap():
    text = "# noise\nok 1 - first\nnot ok 2 - second\n# why\n1..2\n"
    assert mx.read_tap(text) == {"1 - first": ("passed", ""), "2 - second": ("failed", "")}


def test_a_tear_down_that_fails_counts():
    assert mx.read_report([line("a", "began"), line("a", "passed"), line("a", "failed", "left behind")]) == {"a": ("failed", "left behind")}


def test_a_failure_stays_one():
    assert mx.read_report([line("a", "began"), line("a", "failed", "why"), line("a", "passed")])["a"] == ("failed", "why")


def test_what_was_cut_off_has_failed():
    found = mx.read_report([line("a", "began"), line("a", "passed"), line("b", "began")])
    assert found == {"a": ("passed", ""), "b": ("failed", "the machine ended here")}


def test_every_suite_has_a_machine():
    assert {suite for m in machine.MACHINES.values() for suite in m.suites} == set(mx.SUITES)


def sample():
    results = {"a": ("passed", ""), "b": ("skipped", "no x"), "c": ("skipped", "no x"), "d": ("skipped", "no y"), "e": ("failed", "")}
    cell = mx.count(results)
    assert cell == {"passed": 1, "failed": 1, "skipped": 3, "reasons": {"no x": 2, "no y": 1}}
    return {name: {"kernel": "6.1.0, AppArmor", "commit": "0123456789ab", "minutes": 3, "error": "", "suites": {suite: cell for suite in machine.MACHINES[name].suites}} for name in machine.MACHINES}


def test_text_names_each_machine_and_each_reason():
    text = mx.as_text(sample())
    assert mx.total(sample()) == (21, 21, 63)  # seven machines with two suites, five of them with a third; two with one
    for name, m in machine.MACHINES.items():
        for suite in m.suites:
            assert re.search(rf"^{re.escape(name)} +6\.1\.0, AppArmor +{suite} +1 +1 +3$", text, re.M), text
    assert "     2  no x\n     1  no y\n" in text


def rows(block):
    """Of each machine its cells: numbers of passed, failed, skipped."""
    cell = r"(\d+) passed, (\d+) failed, (\d+) skipped"
    found = re.findall(rf"^\| ([^|]+) \| [^|]+ \| \w+(?: \| (?:—|{cell})){{{len(mx.SUITES)}}} \|$", block, re.M)
    return {title: numbers for title, *numbers in found}


def test_block_of_the_readme():
    """What --readme writes is what the README has: a row for each machine that was run in full, then the reasons for skips."""
    assert set(rows(mx.as_markdown(sample(), TITLES))) == set(TITLES.values())
    text = README.read_text()
    assert text.count(mx.BEGIN) == text.count(mx.END) == 1
    block = text.split(mx.BEGIN)[1].split(mx.END)[0].strip()
    if block == mx.NOT_RUN:
        return
    head, *_, empty, skipped = block.splitlines()
    assert head.startswith("| machine | kernel") and empty == "" and skipped.startswith("Skipped, over all machines: ")
    assert set(rows(block)) <= set(TITLES.values()) and len(rows(block)) == sum(row.startswith("|") for row in block.splitlines()) - 2
    for title in set(TITLES.values()) - set(rows(block)):
        assert re.search(rf"^Not run in full yet: .*{re.escape(title)}", block, re.M)


def test_a_machine_that_was_not_run_is_named():
    matrix = sample()
    del matrix["v1-7"]
    assert f"Not run in full yet: {TITLES['v1-7']}." in mx.as_markdown(matrix, TITLES)


def test_results_are_divided_by_suite():
    results = {"tests/integration/test_a.py::x": ("passed", ""), "tests/systemd/test_b.py::y": ("failed", "")}
    assert mx.of_suite(results, "systemd") == {"tests/systemd/test_b.py::y": ("failed", "")}


def test_update_writes_between_the_marks_only(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(f"before\n{mx.BEGIN}\nold\n{mx.END}\nafter\n")
    mx.update_readme(copy, "new")
    assert copy.read_text() == f"before\n{mx.BEGIN}\nnew\n{mx.END}\nafter\n"
