# SPDX-License-Identifier: MIT
"""Models from and for other programs."""
