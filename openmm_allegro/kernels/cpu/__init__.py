# SPDX-License-Identifier: MIT
"""C++ sources of the CPU kernels, and the libraries compiled from them."""
