# SPDX-License-Identifier: MIT
"""Draw the errors of a committee's mean against the deviation of its members."""

from pathlib import Path
from typing import Any

import numpy as np

from .calibration import Calibration, errors_and_deviations

_TITLES = {
    "energy": ("energies", "meV/atom"),
    "forces": ("forces on atoms", "meV/Å"),
}


def reliability_plot(
    arrays: dict[str, np.ndarray],
    calibration: dict[str, Calibration | None],
    path: str | Path,
) -> Path:
    """Draw errors, and their root mean square over bins, against deviations.

    Parameters
    ----------
    arrays : dict
        Of ``committee_arrays``.
    calibration : dict
        Of ``calibrations``.
    path : path
        Of the image; its folder is made if need be.

    Returns
    -------
    Path
    """
    from matplotlib.figure import Figure

    names = [name for name, values in calibration.items() if values is not None]
    figure = Figure(figsize=(4.4 * len(names), 4.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw(axes, calibration[name], *errors_and_deviations(arrays, name))
        title, unit = _TITLES[name]
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(f"deviation of the members ({unit})")
        axes.set_ylabel(f"error of their mean ({unit})")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    return path


def _draw(
    axes: Any, values: Calibration, error: np.ndarray, deviation: np.ndarray
) -> None:
    positive = (error > 0) & (deviation > 0)
    x, y = deviation[positive], error[positive]
    if len(x) > 1000:
        axes.hexbin(
            x,
            y,
            gridsize=60,
            bins="log",
            xscale="log",
            yscale="log",
            cmap="Greys",
            linewidths=0.1,
            rasterized=True,
        )
    else:
        axes.scatter(x, y, s=10, c="0.6", linewidths=0)
    axes.set(xscale="log", yscale="log", box_aspect=1)
    bins = np.array([(b.deviation, b.error) for b in values.bins if b.deviation > 0])
    ends = np.array([bins[:, 0].min() / 2, bins[:, 0].max() * 2])
    axes.plot(ends, ends, color="0.4", lw=0.8, label="error = deviation")
    label = f"RMS error = {values.scale:.2g} × deviation"
    axes.plot(ends, values.scale * ends, "--", color="C0", lw=1.0, label=label)
    axes.plot(*bins.T, "o-", color="C1", ms=4, lw=1.2, label="RMS error of bins")
    # Most errors lie within; those near zero would take most of a logarithmic axis.
    low, high = np.quantile(y, (0.02, 1.0))
    axes.set_xlim(np.quantile(x, 0.001) / 1.3, x.max() * 1.3)
    axes.set_ylim(min(low, bins[:, 1].min() / 2), high * 1.5)
    axes.legend(fontsize=8, loc="upper left")
