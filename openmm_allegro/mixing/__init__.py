# SPDX-License-Identifier: MIT
"""ML/MM: a classical System without the inner energy of a region."""
