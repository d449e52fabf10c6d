# SPDX-License-Identifier: MIT
"""Errors of averages over a run."""

import numpy as np


def block_error(values: np.ndarray, blocks: int) -> float:
    """Estimate the standard error of the mean from block averages."""
    size = len(values) // blocks
    means = values[: blocks * size].reshape(blocks, size).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(blocks))
