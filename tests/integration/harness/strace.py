# SPDX-License-Identifier: Apache-2.0
"""strace before a command of hull's."""
import os


def strace(*options):
    """The words to put before it. LeakSanitizer (`./dev asan`) stops its process by ptrace, which strace has taken: it is left out."""
    sanitizer = os.environ.get("ASAN_OPTIONS")
    return ["strace", *([] if sanitizer is None else ["-E", f"ASAN_OPTIONS={sanitizer}:detect_leaks=0"]), *map(str, options)]
