#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The table of the README: one start of a container with /bin/true, as the kernel's limit, hull, crun and runc do it.

    bench.py [--rounds N] NAME=HULL...      (each HULL is a hull program; the first also writes the bundle)

Called by bench.sh, which gives it a mount namespace of its own. Everything lives in a temporary directory and in cgroups of its own."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pair

HERE = Path(__file__).resolve().parent
PAUSE = 0.05


def cgroup_hierarchies():
    """[(controllers, mount point)] of this machine; v2 is called "unified"."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        point = fields.split()[4]
        if kind == "cgroup2":
            found.append(("unified", point))
        elif kind == "cgroup":
            flags = {"rw", "ro", "xattr", "nodev", "clone_children", "noprefix"}
            names = [o for o in options.split(",") if o not in flags and not o.startswith("release_agent=")]
            found.append((",".join(names), point))
    return found


def make_bundle(hull, directory):
    rootfs = directory / "rootfs"
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", rootfs / "bin/busybox")
    os.symlink("busybox", rootfs / "bin/true")
    subprocess.run([hull, "spec", "--bundle", directory], check=True)
    config = json.loads((directory / "config.json").read_text())
    config["ociVersion"] = "1.0.2"  # peers of 2023 refuse later ones
    config["process"]["args"] = ["/bin/true"]
    config["process"]["terminal"] = False
    config["linux"]["cgroupsPath"] = f"/hull-bench-{os.getpid()}"
    (directory / "config.json").write_text(json.dumps(config))
    return rootfs


def build_limit(directory):
    """The limit program with both C libraries: a large part of a short run is the start of the library itself."""
    programs = {}
    for name, compiler in (("limit (glibc)", "gcc"), ("limit (musl)", "musl-gcc")):
        program = directory / compiler
        after = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"] if compiler == "musl-gcc" else []
        subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", *after, HERE / "limit.c", "-o", program], check=True)
        programs[name] = str(program)
    return programs


def commands(directory, hulls):
    bundle = directory / "bundle"
    bundle.mkdir()
    rootfs = make_bundle(next(iter(hulls.values())), bundle)
    cgroups = [f"{names}={point}/hull-bench-limit-{os.getpid()}" for names, point in cgroup_hierarchies()]
    result = {}
    for name, program in build_limit(directory).items():
        result[name] = [program, str(rootfs), *cgroups, "--", "/bin/true"]
    peers = {name: shutil.which(name) for name in ("crun", "runc")}
    for number, (name, program) in enumerate({**hulls, **peers}.items()):
        if program:
            result[name] = [program, "--root", str(directory / f"state{number}"), "run", "--bundle", str(bundle), f"hull-bench-{os.getpid()}-{number}-{{n}}"]
    return result


def print_table(title, rows):
    print(f"\n{title}\n\n| | ratio | median ms | 10 % – 90 % |\n|---|---|---|---|")
    for name, median, low, high, ratio in rows:
        print(f"| {name} | {ratio:.2f} | {median:.2f} | {low:.2f} – {high:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("hulls", nargs="+", metavar="NAME=HULL")
    args = parser.parse_args()
    hulls = {name: os.path.abspath(path) for name, _, path in (h.partition("=") for h in args.hulls)}
    with tempfile.TemporaryDirectory(prefix="hull-bench-") as name:
        try:
            run = commands(Path(name), hulls)
            print_table(f"Back to back, {args.rounds} rounds", pair.summarize(pair.interleave(run, args.rounds, 0)))
            print_table(f"With a pause of {PAUSE * 1000:.0f} ms before each start, {args.rounds // 2} rounds",
                        pair.summarize(pair.interleave(run, args.rounds // 2, PAUSE)))
        except (pair.Failed, subprocess.CalledProcessError) as failed:
            sys.exit(f"bench.py: {failed}")


if __name__ == "__main__":
    main()
