# SPDX-License-Identifier: MIT
"""Structure: distances, angles, environments, structure factors."""
