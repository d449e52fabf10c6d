# SPDX-License-Identifier: MIT
"""Settings from tables, files that survive a kill, and the process: no physics."""
