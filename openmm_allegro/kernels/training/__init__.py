# SPDX-License-Identifier: MIT
"""Products of the training step behind registered operators."""
