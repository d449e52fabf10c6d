# SPDX-License-Identifier: MIT
"""Styles of atoms in data files of LAMMPS; settings name them without NumPy."""

# Those that ase reads.
STYLES = ("atomic", "charge", "bond", "angle", "molecular", "full")
