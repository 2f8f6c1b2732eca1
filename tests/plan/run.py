#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Golden plans: every folder here has a config.json, a `facts` file (what the host is like) and expect.txt, which is what
`hull explain` prints for them, given the words of the file `options` and the variables of the file `env` where there are such: the plan, or the one error line. No root, no container, no dependence on this machine.

    run.py            compare all (also as a pytest-free test of `make check`)
    run.py --update   write expect.txt anew; read the diff before you commit
    run.py NAME …     only these
"""
import difflib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HULL = os.environ.get('HULL', str(HERE.parent.parent / 'build' / 'hull'))


def explain(case):
    """What hull says about the case, with the place of the checkout taken out of it."""
    options = (case / 'options').read_text().split() if (case / 'options').exists() else []
    argv = [HULL, '--log-level', 'warning', *options, 'explain', '--bundle', str(case), '--facts', str(case / 'facts'), 'golden']
    env = {k: v for k, v in os.environ.items() if k != 'NOTIFY_SOCKET'}
    if (case / 'env').exists():
        env.update(line.split('=', 1) for line in (case / 'env').read_text().splitlines())
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, env=env)
    text = done.stdout + done.stderr
    lines = [line.rstrip() for line in text.replace(str(case), 'BUNDLE').splitlines()]
    return '\n'.join(lines) + f'\n(exit {done.returncode})\n'


def main(argv):
    update = '--update' in argv
    names = [a for a in argv if not a.startswith('-')]
    cases = sorted(p.parent for p in HERE.glob('*/config.json') if not names or p.parent.name in names)
    bad = []
    for case in cases:
        got, expect = explain(case), case / 'expect.txt'
        if update:
            expect.write_text(got)
            continue
        want = expect.read_text() if expect.exists() else ''
        if got != want:
            bad.append(case.name)
            sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), got.splitlines(True), f'{case.name}/expect.txt', 'hull explain'))
    print(f'{len(cases) - len(bad)} passed, {len(bad)} failed')
    return 1 if bad or not cases else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
