# SPDX-License-Identifier: MIT
"""Read atoms as files state them: elements by names, and the records of a PDB file."""
