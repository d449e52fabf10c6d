# SPDX-License-Identifier: MIT
"""What files say about atoms: elements by names, and the records of a PDB file."""
