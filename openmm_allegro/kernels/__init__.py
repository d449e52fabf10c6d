# SPDX-License-Identifier: MIT
"""Kernels behind registered operators, each with a plain-torch twin."""
