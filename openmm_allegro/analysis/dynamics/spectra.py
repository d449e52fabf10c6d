# SPDX-License-Identifier: MIT
"""Spectra of time series by Welch's method, with the width of a line that is asked."""

import numpy as np

from ...utils.config import SettingError

# Width in its own frequencies of a line that Hann's window makes.
_WIDTH = 1.5
# Fewest values of a window.
_LEAST = 8


def window_length(n_frames, time_step, resolution, n_blocks):
    """Number of values in a window of Hann's that makes lines of a width in THz.

    Raises
    ------
    SettingError
        If a block does not hold it, or it holds too few values.
    """
    length = round(_WIDTH / (resolution * time_step))
    if not _LEAST <= length <= n_frames // n_blocks:
        finest = _WIDTH * n_blocks / (n_frames * time_step)
        raise SettingError(
            f"expected a resolution from {finest:.4g} to "
            f"{_WIDTH / (_LEAST * time_step):.4g} THz, found {resolution:.4g}",
            "resolution",
            "blocks",
        )
    return length


def windowed_waves(values, length):
    """Fourier transforms of windows of a series, which overlap by half.

    Parameters
    ----------
    values : (n, ...) array
        Of at least `length` values.
    length : int

    Returns
    -------
    (n_windows, length // 2 + 1, ...) array of complex
        Of frequencies from 0; the mean of their squares is that of `values`, times the
        number of frequencies of both signs, `length`.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    window /= np.sqrt(np.mean(window**2))
    starts = range(0, len(values) - length + 1, max(1, length // 2))
    pieces = np.stack([values[start : start + length] for start in starts])
    shape = (length,) + (1,) * (pieces.ndim - 2)
    return np.fft.rfft(pieces * window.reshape(shape), axis=1) / np.sqrt(length)
