# SPDX-License-Identifier: Apache-2.0
"""Lines of /proc/PID/mountinfo as objects."""
from dataclasses import dataclass


@dataclass
class Mount:
    id: int
    parent: int
    dev: str
    root: str
    at: str
    options: set
    propagation: dict  # "shared" → "12", "master" → "3", "unbindable" → ""
    fstype: str
    source: str
    super: set


def parse(lines):
    found = []
    for line in lines:
        left, right = line.split(" - ")
        mid, parent, dev, root, at, options, *optional = left.split()
        fstype, source, superblock = right.split(" ", 2)
        propagation = dict(o.split(":") if ":" in o else (o, "") for o in optional)
        found.append(Mount(int(mid), int(parent), dev, root, at.encode().decode("unicode_escape"), set(options.split(",")),
                           propagation, fstype, source, set(superblock.split(","))))
    return found


def of(seen):
    return parse(seen["mountinfo"])


def at(seen, path):
    """The mount on top at that place: the one that is no parent of another one there."""
    here = [m for m in of(seen) if m.at == path]
    assert here, f"nothing is mounted on {path}: {[m.at for m in of(seen)]}"
    parents = {m.parent for m in here}
    top = [m for m in here if m.id not in parents]
    assert len(top) == 1, here
    return top[0]
