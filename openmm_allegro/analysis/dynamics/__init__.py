# SPDX-License-Identifier: MIT
"""Dynamics: displacements, velocities, charges and lifetimes over time."""
