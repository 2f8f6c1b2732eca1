#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run runtime-tools' validation programs (built by fetch.sh) with a runtime and compare with expected.txt.

usage: validation.py [--program NAME]... [--write FILE] [--crun] DIRECTORY RUNTIME

Each program is one line "NAME RESULT OK/NOT-OK": what TAP said, without the points that a program gives away itself (SKIP) or expects to miss (its
directive for that). Results: pass, fail (a point is missed), crash (the program ended with an error of its own), skip (nothing was tested), time (no end
after a minute). Without --write the lines must be those of expected.txt; status 1 when they aren't. --crun: hide that /sys/fs/cgroup/unified has
controllers, which Debian's crun doesn't understand on a hybrid host.

The programs take cgroups, bundles and state where they like. They run in a mount namespace of their own with a state root and a temporary directory of
this run; containers and cgroups that one leaves behind are removed after it."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CGROUPS = Path("/sys/fs/cgroup")
SECONDS = 60


def remove_cgroups():
    """Those that the programs name (cgroups.AbsCgroupPath and RelCgroupPath); relative ones are below /hull/ with hull. Never a busy one."""
    for top in CGROUPS.glob("*/"):
        for d in (top / "cgrouptest", top / "testdir", top / "hull/testdir"):
            for sub in sorted((p for p in d.rglob("*") if p.is_dir()), key=lambda p: -len(str(p))):
                try_rmdir(sub)
            try_rmdir(d)


def try_rmdir(path):
    try:
        path.rmdir()
    except OSError:
        pass  # gone, or not empty


def enter_namespace(crun):
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    if crun and (CGROUPS / "unified/cgroup.controllers").exists():
        subprocess.run(["mount", "--bind", "/dev/null", str(CGROUPS / "unified/cgroup.controllers")], check=True)


def wrapper(folder, runtime):
    """The programs call RUNTIME without a state root."""
    path = folder / "runtime"
    path.write_text(f'#!/bin/sh\nexec "{runtime}" --root "{folder}/state" "$@"\n')
    path.chmod(0o755)
    return path


def remove_containers(runtime):
    listed = subprocess.run([runtime, "list", "--format", "json"], capture_output=True, timeout=SECONDS)
    try:
        found = [c["id"] for c in json.loads(listed.stdout) or []]
    except ValueError:
        found = []
    for name in found:
        subprocess.run([runtime, "delete", "--force", name], capture_output=True, timeout=SECONDS)


def count(text):
    """Points that were reached, and missed."""
    lines = [line for line in text.splitlines() if re.match(r"(not )?ok\b", line) and not re.search(r"# (SKIP|TODO)\b", line, re.I)]
    return sum(line.startswith("ok") for line in lines), sum(line.startswith("not") for line in lines)


def run_one(program, runtime, folder, log):
    env = {**os.environ, "RUNTIME": str(runtime), "TMPDIR": str(folder)}
    with open(log, "wb") as out:
        child = subprocess.Popen([program], cwd=program.parent, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            status = child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    text = log.read_text(errors="replace")
    ok, missed = count(text)
    skipped = not ok and not missed and re.search(r"# SKIP", text, re.I)
    result = "time" if status is None else "crash" if status else "fail" if missed else "skip" if skipped else "pass"
    return f"{program.stem} {result} {ok}/{missed}"


def run_all(args):
    folder = Path(tempfile.mkdtemp(prefix="hull-validation."))
    logs = Path(args.directory).resolve() / "logs" / Path(args.runtime).name
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    runtime = wrapper(folder, Path(args.runtime).resolve())
    programs = sorted(p for p in (Path(args.directory).resolve() / "programs").glob("*.t") if not args.program or p.stem in args.program)
    lines = []
    try:
        for program in programs:
            start = time.monotonic()
            lines.append(run_one(program, runtime, folder, logs / f"{program.stem}.txt"))
            print(f"{lines[-1]}    {time.monotonic() - start:.1f} s", flush=True)
            remove_containers(runtime)
            remove_cgroups()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return lines


def expected():
    """The lines of expected.txt without their reasons."""
    sizes = str(len(os.listdir("/sys/kernel/mm/hugepages")))
    lines = [line.split() for line in (HERE / "expected.txt").read_text().splitlines() if line and not line.startswith(("#", " "))]
    return [" ".join([name, result, counts.replace("H", sizes)]) for name, result, counts in lines]


def compare(lines, wanted):
    """What differs, as lines for people."""
    names = {line.split()[0] for line in lines}
    return [f"-{w}" for w in wanted if w not in lines and w.split()[0] in names] + [f"+{line}" for line in lines if line not in wanted]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--write")
    parser.add_argument("--crun", action="store_true")
    parser.add_argument("directory")
    parser.add_argument("runtime")
    args = parser.parse_args()
    if os.environ.get("HULL_VALIDATION") != "inside":
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, *sys.argv], {**os.environ, "HULL_VALIDATION": "inside"})
    enter_namespace(args.crun)
    lines = run_all(args)
    # killsig sends its signal as soon as the state says running, perhaps before its shell has set a trap: who differs has a second chance.
    again = [] if args.write else [line.split()[0] for line in lines if line not in expected()]
    if again:
        args.program = again
        second = {line.split()[0]: line for line in run_all(args)}
        lines = [second.get(line.split()[0], line) for line in lines]
    kinds = [line.split()[1] for line in lines]
    print(f"{kinds.count('pass')} programs pass, " + ", ".join(f"{kinds.count(k)} {k}" for k in ("fail", "crash", "skip", "time")))
    if args.write:
        Path(args.write).write_text("\n".join(lines) + "\n")
        return 0
    wrong = compare(lines, expected())
    print("\n".join(wrong) if wrong else f"{len(lines)} passed, 0 failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
