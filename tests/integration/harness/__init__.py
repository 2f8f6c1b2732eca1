# SPDX-License-Identifier: Apache-2.0
"""What the tests of a running container share: a world of their own, bundles, the runtime under test, host snapshots."""
