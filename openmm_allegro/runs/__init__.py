# SPDX-License-Identifier: MIT
"""Read a run back: its files, frames, energies and species."""
