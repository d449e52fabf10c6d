# SPDX-License-Identifier: MIT
"""Draw predicted against reference values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .evaluate import error_metrics


class _Label(NamedTuple):
    """A kind of label as it is drawn."""

    quantity: str
    unit: str
    scale: float  # units in one of the arrays'
    error_unit: str
    error_scale: float  # error units in a unit
    digits: str
    size: float  # of the points


_LABELS = {
    "energy": _Label(
        "energy − elements' shifts", "meV/atom", 1000.0, "meV/atom", 1.0, ".2f", 12
    ),
    "forces": _Label("force", "eV/Å", 1.0, "meV/Å", 1000.0, ".1f", 2),
    "stress": _Label("stress", "meV/Å³", 1000.0, "meV/Å³", 1.0, ".3g", 6),
}


def parity_plot(
    arrays: dict[str, np.ndarray],
    elements: Sequence[str],
    path: str | Path,
    *,
    title: str | None = None,
    reference: str = "reference",
) -> Path:
    """Draw predicted against reference values, and their errors, to an image.

    Energies and, where there are any, forces and stresses.

    Parameters
    ----------
    arrays : dict
        From ``evaluate``. Values that are not finite are left out.
    elements : sequence of str
    path : path
        Of the image; its folder is made if need be.
    title : str, optional
    reference : str
        Name of the labels on the axes, such as "PBE" or "teacher's".

    Returns
    -------
    Path
    """
    from matplotlib.figure import Figure

    metrics = error_metrics(arrays, elements)
    names = [name for name in _LABELS if f"{name}_rmse" in metrics]
    figure = Figure(figsize=(4.2 * len(names), 6.0), layout="constrained")
    above, below = figure.subplots(
        2, len(names), height_ratios=(3, 1), sharex="col", squeeze=False
    )
    for axes, under, name in zip(above, below, names, strict=True):
        label = _LABELS[name]
        _draw(axes, under, label, *_values(arrays, name, len(elements)))
        rmse = format(metrics[f"{name}_rmse"], label.digits)
        axes.set_title(f"{name}, RMSE {rmse} {label.error_unit}", fontsize=10)
        axes.set_ylabel(f"predicted {label.quantity} ({label.unit})")
        under.set_xlabel(f"{reference} {label.quantity} ({label.unit})")
        under.set_ylabel(f"error ({label.error_unit})")
        if name == "forces":
            _add_legend(axes, elements, metrics["forces_rmse_by_element"])
    if title:
        figure.suptitle(title, fontsize=11)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    return path


def _values(
    arrays: dict[str, np.ndarray], name: str, elements: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, prediction and colour of each point."""
    shift = 0.0
    if name == "energy":
        # The elements' part would dwarf the rest where compositions differ.
        shift = arrays.get("energy_shift", np.nanmean(arrays["energy_reference"]))
    reference, prediction = (
        (arrays[f"{name}_{kind}"] - shift).ravel() * _LABELS[name].scale
        for kind in ("reference", "prediction")
    )
    if name != "forces":
        return reference, prediction, np.full(len(reference), "C0")
    colors = np.array([f"C{i}" for i in range(elements)])
    return reference, prediction, np.repeat(colors[arrays["types"]], 3)


def _draw(
    axes: Any,
    below: Any,
    label: _Label,
    reference: np.ndarray,
    prediction: np.ndarray,
    colors: np.ndarray,
) -> None:
    """Draw points about the diagonal, and below them their distances from it."""
    error = (prediction - reference) * label.error_scale
    known = np.isfinite(error)
    # In random order, lest the last element cover the others; rare ones on top.
    _, kinds, counts = np.unique(colors, return_inverse=True, return_counts=True)
    rare = counts[kinds] < 0.1 * len(kinds)
    order = np.argsort(np.random.default_rng(0).random(len(kinds)) + rare)
    order = order[known[order]]
    both = np.concatenate((reference[known], prediction[known]))
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    largest = 1.1 * np.abs(error[known]).max() or 1.0
    look = dict(s=label.size, c=colors[order], linewidths=0, alpha=0.7, rasterized=True)
    axes.plot(limits, limits, color="0.6", lw=0.8, zorder=0)
    axes.scatter(reference[order], prediction[order], **look)
    axes.set(xlim=limits, ylim=limits, box_aspect=1)
    axes.locator_params(nbins=6)
    below.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    below.scatter(reference[order], error[order], **look)
    below.set(ylim=(-largest, largest), box_aspect=1 / 3)


def _add_legend(axes: Any, elements: Sequence[str], rmse: dict[str, float]) -> None:
    """Name each element's colour and force error."""
    for index, element in enumerate(elements):
        if element in rmse:
            label = f"{element}: {rmse[element]:.0f}"
            axes.plot([], [], "o", ms=5, color=f"C{index}", label=label)
    axes.legend(title="RMSE (meV/Å)", fontsize=9, title_fontsize=9, loc="upper left")
