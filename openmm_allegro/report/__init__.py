# SPDX-License-Identifier: MIT
"""A page about a run that opens offline: mdtraj and NumPy, no torch, no OpenMM."""

from .page import check_page, report

__all__ = ["check_page", "report"]
