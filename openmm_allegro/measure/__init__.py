# SPDX-License-Identifier: MIT
"""Measure each quantity once: defaults, rows with units, figure."""
