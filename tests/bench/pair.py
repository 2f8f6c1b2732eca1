#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands against each other on a machine that is never quiet: each round runs every command once, in turn, so that whatever disturbs
one disturbs all. Only ratios of medians within one run mean anything.

    pair.py [--rounds N] [--pause SECONDS] NAME=COMMAND...      (split like a shell would; no shell runs; {n} counts the runs)
"""
import argparse
import os
import shlex
import statistics
import sys
import time

WARM_UP = 3


class Failed(Exception):
    pass


def run_once(argv):
    """Wall-clock time in ms from before the start until the command has been reaped."""
    null = os.open("/dev/null", os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1)]
        begin = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - begin
    finally:
        os.close(null)
    if status:
        raise Failed(f"{shlex.join(argv)}: exit status {os.waitstatus_to_exitcode(status)}")
    return took * 1e3


def interleave(commands, rounds, pause):
    """{name: [ms, ...]} of `rounds` rounds; the first ones are thrown away."""
    times = {name: [] for name in commands}
    for n in range(rounds + WARM_UP):
        for name, argv in commands.items():
            time.sleep(pause)
            took = run_once([word.replace("{n}", str(n)) for word in argv])
            if n >= WARM_UP:
                times[name].append(took)
    return times


def summarize(times):
    """[(name, median ms, 10th percentile, 90th percentile, ratio to the first median)]"""
    base = None
    rows = []
    for name, values in times.items():
        values = sorted(values)
        median = statistics.median(values)
        base = base or median
        rows.append((name, median, values[len(values) // 10], values[len(values) * 9 // 10], median / base))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    args = parser.parse_args()
    commands = {name: shlex.split(command) for name, _, command in (c.partition("=") for c in args.commands)}
    try:
        times = interleave(commands, args.rounds, args.pause)
    except Failed as failed:
        sys.exit(f"pair.py: {failed}")
    print(f"{'ratio':>6} {'median':>8} {'p10':>8} {'p90':>8}  command")
    for name, median, low, high, ratio in summarize(times):
        print(f"{ratio:6.2f} {median:8.2f} {low:8.2f} {high:8.2f}  {name}")


if __name__ == "__main__":
    main()
