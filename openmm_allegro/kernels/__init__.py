# SPDX-License-Identifier: MIT
"""Fused kernels behind one registered operator, each with a plain-torch twin."""
