# SPDX-License-Identifier: MIT
"""Quantum nuclei: ring polymers, and the quantum thermal bath."""
