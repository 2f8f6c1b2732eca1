# SPDX-License-Identifier: Apache-2.0
"""Suite × machine: what passed, failed and was skipped and why, from the reports of the machines; as text, as JSON, as a block of README.md."""
import collections
import json
import re

SUITES = ("oci-validation", "integration", "systemd", "node")  # see Machine.suites
BEGIN, END = "<!-- ./dev check-vm --readme writes from here -->", "<!-- to here -->"
NOT_RUN = "No machine has been run in full yet."


def read_tap(text):
    """Results of tests/oci-validation/run.sh: {title: (outcome, reason)}."""
    found = re.findall(r"^(not )?ok (\d+ - .*)$", text, re.M)
    return {title: ("failed" if bad else "passed", "") for bad, title in found}


def read_report(lines):
    """Results of guest/report.py: {test: (outcome, reason)}; the worst of set-up, call and tear-down. A test that only began was cut off."""
    found = {}
    for line in lines:
        told = json.loads(line)
        before = found.get(told["test"], ("began", ""))
        if before[0] != "failed" and told["outcome"] != "began":
            found[told["test"]] = (told["outcome"], told["reason"])
        else:
            found.setdefault(told["test"], before)
    return {test: ("failed", "the machine ended here") if outcome == "began" else (outcome, reason)
            for test, (outcome, reason) in found.items()}


def of_suite(results, suite):
    """Those of tests/SUITE."""
    return {test: result for test, result in results.items() if test.startswith(f"tests/{suite}/")}


def count(results):
    """{"passed": n, "failed": n, "skipped": n, "reasons": {reason: n}} of one suite."""
    outcomes = collections.Counter(outcome for outcome, _ in results.values())
    reasons = collections.Counter(reason for outcome, reason in results.values() if outcome == "skipped")
    return {**{o: outcomes[o] for o in ("passed", "failed", "skipped")}, "reasons": dict(sorted(reasons.items()))}


def total(matrix):
    """(passed, failed, skipped) over everything."""
    cells = [cell for machine in matrix.values() for cell in machine["suites"].values()]
    return tuple(sum(cell[o] for cell in cells) for o in ("passed", "failed", "skipped"))


def as_text(matrix):
    """The table and, for each machine, why tests were skipped."""
    lines = [f"{'machine':<14}{'kernel, labels':<44}{'suite':<18}{'passed':>8}{'failed':>8}{'skipped':>8}"]
    for name, machine in matrix.items():
        lines.append(f"{name:<14}commit {machine['commit']}, {machine['minutes']} minutes")
        lines += [f"{name:<14}{machine['kernel']:<44}{suite:<18}{cell['passed']:>8}{cell['failed']:>8}{cell['skipped']:>8}"
                  for suite, cell in machine["suites"].items()]
        if machine["error"]:
            lines.append(f"{name:<14}{machine['error']}")
    for name, machine in matrix.items():
        for suite, cell in machine["suites"].items():
            lines += ["", f"{name}, {suite}, skipped:"] if cell["reasons"] else []
            lines += [f"{n:>6}  {reason}" for reason, n in cell["reasons"].items()]
    return "\n".join(lines) + "\n"


def as_markdown(matrix, titles):
    """The block of README.md: one row a machine, one column a suite, then the reasons with their sum over all machines."""
    rows = ["| machine | kernel, labels | commit | " + " | ".join(SUITES) + " |", "|---|---|---|" + "---|" * len(SUITES)]
    for name, machine in matrix.items():
        cells = [machine["suites"].get(s) for s in SUITES]
        rows.append(f"| {titles[name]} | {machine['kernel']} | {machine['commit']} | " +
                    " | ".join(f"{c['passed']} passed, {c['failed']} failed, {c['skipped']} skipped" if c else "—" for c in cells) + " |")
    missing = [title for name, title in titles.items() if name not in matrix]
    if missing:
        rows += ["", f"Not run in full yet: {'; '.join(missing)}."]
    reasons = collections.Counter()
    for machine in matrix.values():
        for cell in machine["suites"].values():
            reasons.update(cell["reasons"])
    rows += ["", "Skipped, over all machines: " + "; ".join(f"{reason} ({n})" for reason, n in sorted(reasons.items())) + "."]
    return "\n".join(rows)


def update_readme(path, block):
    """Put the block between its marks."""
    text = path.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    path.write_text(f"{head}{BEGIN}\n{block}\n{END}{tail}")
