# SPDX-License-Identifier: MIT
"""Figures of the analyses, ready to print."""
