# SPDX-License-Identifier: Apache-2.0
"""What the files of a cgroup say of limits, in every hierarchy."""
import os
import re

from . import snapshot

LIMIT_FILES = re.compile(r"(memory\.(limit_in_bytes|memsw\.limit_in_bytes|soft_limit_in_bytes|swappiness|max|high|low|min|swap\.(max|high))"
                         r"|cpu\.(shares|idle|cfs_.*_us|rt_.*_us|weight|max|max\.burst|uclamp\..*)|cpuset\.(cpus|mems)|pids\.max"
                         r"|blkio\.(throttle\..*_device|bfq\.weight.*)|io\.(max|weight|bfq\.weight|latency)|hugetlb\..*(max|limit_in_bytes)"
                         r"|rdma\.max|misc\.max|devices\.list|net_.*|cgroup\.freeze|freezer\.state)")


def limits(cgroup):
    """All of them: (hierarchy, file) → text. The order of a list of devices has no meaning, and systemd writes it anew."""
    found = {}
    for hierarchy in snapshot.hierarchies():
        directory = hierarchy / cgroup.lstrip("/")
        for name in sorted(os.listdir(directory)) if directory.is_dir() else []:
            if LIMIT_FILES.fullmatch(name):
                try:
                    text = (directory / name).read_text()
                    found[hierarchy.name, name] = "".join(sorted(text.splitlines(True))) if name == "devices.list" else text
                except OSError:
                    pass
    return found


def changed(before, after):
    """What says something else now. Files that weren't there belong to a controller that update had to enable: they begin with its defaults."""
    return {key[1]: after[key] for key in before if after.get(key) != before[key]}
