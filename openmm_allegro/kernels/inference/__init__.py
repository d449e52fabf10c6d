# SPDX-License-Identifier: MIT
"""The fused network: folded to a program, run in C++ or in plain torch."""
