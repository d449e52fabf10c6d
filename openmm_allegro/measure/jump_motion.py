# SPDX-License-Identifier: MIT
"""Diffusion of ions relative to their host: of single ones, and of all charge."""

from typing import Any, NamedTuple

import numpy as np

from ..units import M2_TO_CM2, NM3_TO_M3
from ..utils.config import SettingError
from .judgement import judge_motion

# The Haven ratio does not depend on the temperature, in K, nor does D of the charge.
_ANY = 300.0


class Motion(NamedTuple):
    """Coefficients beside those of the jumps.

    Attributes
    ----------
    tracer, charge : Estimate or None
        D of single ions, and of all charge together, in cm²/s; None where the run does
        not allow it.
    haven : Estimate or None
        Ratio of the two.
    warnings : list of str
    """

    tracer: Any
    charge: Any
    haven: Any
    warnings: list


def measure_motion(label: str, series: Any, paths: Any, settings: Any) -> Motion:
    """Measure D of single ions and of their charge, each where the run allows it.

    Parameters
    ----------
    label : str
    series : Series
    paths : HostPaths
    settings : JumpsSettings
    """
    tracer = charge = haven = None
    warnings = []
    try:
        tracer, doubts = _tracer(label, series, paths, settings)
        warnings += doubts
    except ValueError as error:
        warnings.append(f"{label}: no D of single ions, {error}.")
    try:
        charge, haven = _charge(label, series, paths, settings)
    except SettingError as error:
        warnings.append(
            f"{label}: no D of the charge, which has a shorter --max-lag than D of "
            f"single ions, and twice as many blocks: {error}."
        )
    except ValueError as error:
        warnings.append(f"{label}: no D of the charge, {error}.")
    return Motion(tracer, charge, haven, warnings)


def _options(paths: Any, settings: Any) -> dict[str, Any]:
    return {
        "max_lag": settings.max_lag,
        "fit_start": settings.fit_start,
        "reference": paths.host,
    }


def _tracer(label: str, series: Any, paths: Any, settings: Any):
    """D of single ions, and what is to be said of it."""
    from ..analysis import diffusion
    from ..analysis.statistics import Estimate

    common = _options(paths, settings)
    curve = diffusion(series.frames, paths.ions, n_blocks=settings.blocks, **common)
    longest = float(curve.lag_times[-1])
    warnings = judge_motion(
        label, "D", curve.regime, curve.displacement, curve.exponent, longest
    )
    return Estimate(curve.coefficient, curve.error), warnings


def _charge(label: str, series: Any, paths: Any, settings: Any):
    """D of all charge, and the Haven ratio."""
    from scipy.constants import Boltzmann, elementary_charge

    from ..analysis import conductivity
    from ..analysis.statistics import Estimate

    charges = np.zeros(series.frames.topology.n_atoms)
    charges[paths.ions] = 1.0
    current = conductivity(
        series.frames,
        charges,
        _ANY,
        species={label: paths.ions},
        n_blocks=2 * settings.blocks,
        **_options(paths, settings),
    )
    per_ion = elementary_charge**2 * len(paths.ions) / (Boltzmann * _ANY)
    volume = abs(float(np.linalg.det(paths.cell))) * NM3_TO_M3
    charge = [M2_TO_CM2 * x * volume / per_ion for x in current.einstein]
    return Estimate(*charge), current.haven_ratio


def ratio(above: Any, below: Any) -> Any:
    """Quotient of two estimates that are taken to be independent."""
    from ..analysis.statistics import Estimate

    value = above.value / below.value
    relative = np.hypot(above.error / above.value, below.error / below.value)
    return Estimate(float(value), float(abs(value) * relative))
