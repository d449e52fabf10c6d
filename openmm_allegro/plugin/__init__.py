# SPDX-License-Identifier: MIT
"""The native OpenMM force: compiled, loaded, and made of folded models."""
