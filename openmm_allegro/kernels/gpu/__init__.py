# SPDX-License-Identifier: MIT
"""The fused kernel on graphics cards, one source in the CUDA dialect that C++ emits."""
