# SPDX-License-Identifier: Apache-2.0
"""tests/integration: HULL names the runtime (default build/hull). See harness/ for the fixtures."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.fixtures import *  # noqa: E402,F401,F403
from harness.fixtures import parent_cgroup  # noqa: E402,F401
