#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev check-vm [--quick] [--readme] [MACHINE…] [PYTEST-ARGUMENT…]: the suites in the machines.

Without a machine: all of them. With arguments for pytest: tests/integration, or what they name, with these. Several machines run at a time, each with one processor
(HULL_VM_JOBS; default: as many as there are processors); what is free when fewer are asked for is used by dividing their tests."""
import concurrent.futures
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
sys.path[:0] = [str(HERE), str(REPO / "tests/integration")]

import machine as vm  # noqa: E402
import matrix as mx  # noqa: E402
from harness import programs  # noqa: E402

OUT = REPO / "build/vm"
JOBS = int(os.environ.get("HULL_VM_JOBS") or os.cpu_count())
QUICK_MACHINE = "v2-6.1"
SECONDS = {"quick": 420, "all": 4 * 3600}
PARTS = ("tests", "docs", "engines", "src", "libocispec", "tools", "HACKING.md", "README.md", "SECURITY.md", "dev")


def make_tree(top):
    """What the machine gets: this tree, the program, and the programs of the tests (it has no compiler)."""
    ignore = shutil.ignore_patterns("__pycache__", "*.o")
    for name in PARTS:
        source = REPO / name
        (shutil.copytree(source, top / name, ignore=ignore) if source.is_dir() else shutil.copy(source, top / name))
    (top / "build").mkdir()
    shutil.copy(os.environ.get("HULL") or REPO / "build/hull", top / "build/hull")
    (top / "cache/hull-tests").mkdir(parents=True)
    for source in (*(REPO / "tests/integration").glob("*.c"), *(REPO / "tests/engines").glob("*.c")):
        shutil.copy(programs.build(source.stem, source.parent), top / "cache/hull-tests")


# What the script does for each suite; its own status is that of the worst. 5: pytest found no test (in this half).
SUITE = """status=0
suite() {
	"$@"
	s=$?
	[ $s = 5 ] || [ $s -le $status ] || status=$s
}"""


def make_command(machine, shard, shards, pytest_args, suites):
    """The shell script that the machine does."""
    pytest = ["python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-p", "report", "--tb=short", "-rfE", *pytest_args]
    lines = [f"export HULL=/job/tree/build/hull XDG_CACHE_HOME=/job/tree/cache HULL_TEST_SLOW={'2' if 'kvm' in vm.accelerator() else '10'}",
             f"export PYTHONPATH=tests/vm/guest HULL_VM_SHARD={shard}/{shards}", SUITE]
    suites = [s for s in suites if s in machine.suites]
    if shard == 0 and "oci-validation" in suites:
        lines.append("sh tests/oci-validation/run.sh build/hull")
    wanted = [f"tests/{s}" for s in suites if s != "oci-validation"]
    lines += [shlex.join(["suite", *pytest, *where]) for where in ([[w] for w in wanted] or [[]])]
    return "\n".join([*lines, "exit $status"]) + "\n"


def commit():
    """The commit that is tested; "+" says that the tree differs from it."""
    git = ["git", "-C", REPO]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    return head + ("+" if subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False, timeout=60).returncode else "")


class Run:
    """One machine, its tests divided into `shards`."""

    def __init__(self, machine, out, shards, pytest_args, suites):
        self.machine, self.out, self.shards, self.pytest_args, self.suites = machine, out, shards, pytest_args, suites
        self.lines, self.kernel, self.errors, self.seconds = [], "?", [], 0
        self.commit = commit()  # of now: the tree may go on while the machine runs
        shutil.rmtree(out, ignore_errors=True)

    def _line(self, line):
        if line.startswith("ready "):
            self.kernel = line.removeprefix("ready ")
            return
        self.lines.append(line)
        told = json.loads(line)
        if told["outcome"] == "failed":
            print(f"FAILED {self.machine.name}: {told['test']}", flush=True)

    def do(self, shard, tree, seconds):
        command = make_command(self.machine, shard, self.shards, self.pytest_args, self.suites)
        begun = time.monotonic()
        try:
            status = vm.run(self.machine, tree, command, self.out / f"shard{shard}", seconds=seconds, on_line=self._line)
            if status not in (0, 1):  # passed, tests failed
                self.errors.append(f"pytest ended with status {status}, see {self.out}/shard{shard}/output")
        except vm.MachineError as e:
            self.errors.append(str(e))
        self.seconds = max(self.seconds, time.monotonic() - begun)
        for error in self.errors:
            print(f"FAILED {self.machine.name}: {error}", flush=True)

    def results(self):
        """One entry of the matrix; all single results are in results.json."""
        tap = "".join(f.read_text(errors="replace") for f in sorted(self.out.glob("shard*/output")))
        told = mx.read_report(self.lines)
        found = {"oci-validation": mx.read_tap(tap), **{suite: mx.of_suite(told, suite) for suite in mx.SUITES[1:]}}
        (self.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
        return {"kernel": self.kernel, "commit": self.commit, "minutes": round(self.seconds / 60), "error": "; ".join(self.errors),
                "suites": {suite: mx.count(results) for suite, results in found.items() if results}}


def check(names, out, seconds, pytest_args, suites, ended=lambda found: None):
    """Run them all; the matrix. `ended` is told that of each machine as soon as it is through."""
    shards = max(1, JOBS // len(names))
    runs = [Run(vm.MACHINES[name], out / name, shards, pytest_args, suites) for name in names]
    for machine in {(run.machine.kernel, run.machine.root, run.machine.release): run.machine for run in runs}.values():
        vm.images(machine)
    with tempfile.TemporaryDirectory(prefix="hull-vm-tree.") as tree:
        make_tree(Path(tree))
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            futures = [(run, [pool.submit(run.do, shard, tree, seconds) for shard in range(shards)]) for run in runs]
            found = {}
            for run, parts in futures:
                for part in parts:
                    part.result()
                found[run.machine.name] = run.results()
                ended({run.machine.name: found[run.machine.name]})
    return found


def keep(found):
    """Write the matrix: of each machine the last run of everything."""
    path = OUT / "matrix.json"
    known = {**(json.loads(path.read_text()) if path.exists() else {}), **found}
    matrix = {name: known[name] for name in vm.MACHINES if name in known}
    path.write_text(json.dumps(matrix, indent=1) + "\n")
    (OUT / "matrix.txt").write_text(mx.as_text(matrix))


def main(args):
    quick, readme = ("--quick" in args), ("--readme" in args)
    args = [a for a in args if a not in ("--quick", "--readme")]
    names = [a for a in args if a in vm.MACHINES]
    pytest_args = [a for a in args if a not in vm.MACHINES]
    if readme:
        found = json.loads((OUT / "matrix.json").read_text())
        mx.update_readme(REPO / "README.md", mx.as_markdown(found, {m.name: m.title for m in vm.MACHINES.values()}))
        return 0
    whole = not quick and not pytest_args
    suites = mx.SUITES if whole else ("integration",)
    if quick:
        names, pytest_args, suites = [QUICK_MACHINE], ["-m", "kernel"], ("oci-validation", "integration")
    elif any(a.startswith("tests/") for a in pytest_args):
        suites = ()  # what is tested is among the arguments
    found = check(names or list(vm.MACHINES), OUT if whole else OUT / "part", SECONDS["quick" if quick else "all"], pytest_args, suites,
                  **({"ended": keep} if whole else {}))
    print(mx.as_text(found))
    passed, failed, skipped = mx.total(found)
    failed += sum(bool(machine["error"]) for machine in found.values())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
