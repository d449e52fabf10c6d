# SPDX-License-Identifier: MIT
"""Draw predicted against reference values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .evaluate import error_metrics


class _Panel(NamedTuple):
    """Values of one kind of label, in ``unit``."""

    name: str
    quantity: str
    unit: str
    reference: np.ndarray
    prediction: np.ndarray
    colors: np.ndarray
    size: float  # of the points
    error_unit: str
    error_scale: float  # error units in a unit
    digits: str


def parity_plot(
    arrays: dict[str, np.ndarray],
    elements: Sequence[str],
    path: str | Path,
    *,
    title: str | None = None,
    reference: str = "reference",
) -> Path:
    """Draw predicted against reference values, and their errors, to an image.

    Energies, forces and, where there are any, stresses.

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
    panels = [_energies(arrays), _forces(arrays, len(elements))]
    if "stress_rmse" in metrics:
        panels.append(_stresses(arrays))
    figure = Figure(figsize=(4.2 * len(panels), 6.0), layout="constrained")
    above, below = figure.subplots(2, len(panels), height_ratios=(3, 1), sharex="col")
    for axes, under, panel in zip(above, below, panels, strict=True):
        _draw(axes, under, panel)
        rmse = format(metrics[f"{panel.name}_rmse"], panel.digits)
        axes.set_title(f"{panel.name}, RMSE {rmse} {panel.error_unit}", fontsize=10)
        axes.set_ylabel(f"predicted {panel.quantity} ({panel.unit})")
        under.set_xlabel(f"{reference} {panel.quantity} ({panel.unit})")
        under.set_ylabel(f"error ({panel.error_unit})")
    _add_legend(above[1], elements, metrics["forces_rmse_by_element"])
    if title:
        figure.suptitle(title, fontsize=11)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    return path


def _energies(arrays: dict[str, np.ndarray]) -> _Panel:
    # Without the elements' part, which would dwarf the rest where compositions differ.
    shift = arrays.get("energy_shift", np.nanmean(arrays["energy_reference"]))
    return _Panel(
        "energy",
        "energy − elements' shifts",
        "meV/atom",
        (arrays["energy_reference"] - shift) * 1000,
        (arrays["energy_prediction"] - shift) * 1000,
        np.full(len(arrays["energy_reference"]), "C0"),
        12,
        error_unit="meV/atom",
        error_scale=1.0,
        digits=".2f",
    )


def _forces(arrays: dict[str, np.ndarray], elements: int) -> _Panel:
    colors = np.array([f"C{i}" for i in range(elements)])
    return _Panel(
        "forces",
        "force",
        "eV/Å",
        arrays["forces_reference"].ravel(),
        arrays["forces_prediction"].ravel(),
        np.repeat(colors[arrays["types"]], 3),
        2,
        error_unit="meV/Å",
        error_scale=1000.0,
        digits=".1f",
    )


def _stresses(arrays: dict[str, np.ndarray]) -> _Panel:
    reference = arrays["stress_reference"].ravel() * 1000
    return _Panel(
        "stress",
        "stress",
        "meV/Å³",
        reference,
        arrays["stress_prediction"].ravel() * 1000,
        np.full(len(reference), "C0"),
        6,
        error_unit="meV/Å³",
        error_scale=1.0,
        digits=".3g",
    )


def _draw(axes: Any, below: Any, panel: _Panel) -> None:
    """Draw points about the diagonal, and below them their distances from it."""
    reference, prediction = panel.reference, panel.prediction
    error = (prediction - reference) * panel.error_scale
    known = np.isfinite(error)
    # In random order, lest the last element cover the others; rare ones on top.
    _, kinds, counts = np.unique(panel.colors, return_inverse=True, return_counts=True)
    rare = counts[kinds] < 0.1 * len(kinds)
    order = np.argsort(np.random.default_rng(0).random(len(kinds)) + rare)
    order = order[known[order]]
    both = np.concatenate((reference[known], prediction[known]))
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    largest = 1.1 * np.abs(error[known]).max() or 1.0
    look = dict(
        s=panel.size, c=panel.colors[order], linewidths=0, alpha=0.7, rasterized=True
    )
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
