# SPDX-License-Identifier: MIT
"""Settings of spectra, and what the frames of a run allow."""

from typing import Any

from ..units import THZ_TO_WAVENUMBER
from ..utils.settings import setting

# The end of a figure in 1/cm: above bonds of hydrogen.
HIGHEST_WAVENUMBER = 4500.0
# Finest default of a line in THz.
_FINEST = 1.0


def resolution_setting() -> Any:
    """Declare the width of a line."""
    return setting(
        None,
        about="Width of a line, THz; 1 THz is 33.4 1/cm (default: 1, or what a block "
        "of a shorter run allows)",
        above=0,
        unit="THz",
        metavar="THZ",
    )


def max_wavenumber_setting() -> Any:
    """Declare the end of the figure."""
    return setting(
        None,
        about="End of the figure, 1/cm (default: what the frames show, 4500 at most)",
        above=0,
        metavar="W",
    )


def choose_resolution(
    n_frames: int, time_step: float, asked: float | None, blocks: int, what: str
) -> tuple[float, list[str]]:
    """Choose the width of a line in THz, and note the limits of the frames.

    Parameters
    ----------
    n_frames : int
    time_step : float
        In ps.
    asked : float or None
    blocks : int
        Each of them is a window long at least.
    what : str
        Name of the frames, for errors.
    """
    finest = 1.5 * blocks * 1.01 / (n_frames * time_step)
    block = max(1, n_frames // blocks)
    if round(1.5 / (finest * time_step)) > block:  # of a few frames
        finest = 1.5 / (block * time_step)
    resolution = asked or max(_FINEST, finest)
    if asked is None and not 1.5 / (8 * time_step) > resolution:
        raise ValueError(
            f"expected a few hundred {what}, found {n_frames} every {time_step:.3g} ps"
        )
    notes = [
        f"Resolution {resolution:.2g} THz, {THZ_TO_WAVENUMBER * resolution:.0f} cm⁻¹."
    ]
    end = highest_wavenumber(time_step)
    if end < HIGHEST_WAVENUMBER:
        notes.append(
            f"Frames every {1e3 * time_step:.3g} fs show vibrations up to {end:.0f} "
            "cm⁻¹: faster ones appear at wrong places."
        )
    return resolution, notes


def highest_wavenumber(time_step: float) -> float:
    """Highest wavenumber in 1/cm that frames every so many ps show."""
    return THZ_TO_WAVENUMBER / (2 * time_step)
