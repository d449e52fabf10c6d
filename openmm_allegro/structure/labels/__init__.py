# SPDX-License-Identifier: MIT
"""Labels of ab-initio data: their names in files, units, weights and soundness."""
