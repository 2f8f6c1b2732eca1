# SPDX-License-Identifier: Apache-2.0
"""Deadlines. HULL_TEST_SLOW multiplies every one of them: an emulated machine takes ten to thirty times as long."""
import os

SLOW = float(os.environ.get("HULL_TEST_SLOW") or 1)


def scaled(seconds):
    """That many seconds of a real machine."""
    return seconds * SLOW
