# SPDX-License-Identifier: Apache-2.0
"""The static C programs that run inside of containers, built once into a cache directory."""
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CFLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static"]
BUSYBOX = "/bin/busybox"
APPLETS = ("sh cat sleep true false echo ls id mkdir mount umount touch rm mknod kill hostname env stat dd head ln chmod "
           "readlink ps test grep pwd tty stty rmdir mv cp yes tail seq trap find wc ip").split()

# What the probe calls before it does what its arguments say, with any of the C libraries.
PROBE_CALLS = """read write readv writev open openat close fstat lstat stat newfstatat access execve exit exit_group brk mmap munmap mprotect arch_prctl
    set_tid_address rt_sigaction rt_sigprocmask getdents64 ioctl fcntl getcwd uname getpid getppid getresuid getresgid getgroups getsid getpgid umask prctl getpriority
    prlimit64 getrlimit readlink readlinkat lseek capget futex gettid set_robust_list rseq statx""".split()


def _compiler():
    for cc in ("musl-gcc", "gcc", "cc"):
        if shutil.which(cc):
            return cc
    raise RuntimeError("no C compiler: install musl-tools (or gcc and libc6-dev)")


def cache_dir():
    path = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "hull-tests"
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return path


@functools.cache
def build(name, directory=HERE):
    """Path of the static program made from NAME.c there; rebuilt when source or flags change. A machine without a compiler gets them in its cache."""
    source = directory / f"{name}.c"
    tag = hashlib.sha256(source.read_bytes() + " ".join(CFLAGS).encode()).hexdigest()[:16]
    out = cache_dir() / f"{name}-{tag}"
    if out.exists():
        return out
    with open(cache_dir() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            tmp = out.with_suffix(".tmp")
            subprocess.run([_compiler(), *CFLAGS, "-o", tmp, source], check=True, timeout=120)
            tmp.rename(out)
    return out
