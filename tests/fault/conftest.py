# SPDX-License-Identifier: Apache-2.0
"""tests/fault: kill -9 at every system call. The harness is that of tests/integration."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]

from harness.fixtures import *  # noqa: E402,F401,F403
from harness.fixtures import parent_cgroup  # noqa: E402,F401
