# SPDX-License-Identifier: MIT
"""Defaults of analyses that the command line and the page have too."""

# Blocks of frames that errors come from, each longer than correlations.
BLOCKS = 10
# The same where a block has to hold long lags.
LONG_BLOCKS = 5
# Width in nm of the bins of g(r).
BIN_WIDTH = 0.005
