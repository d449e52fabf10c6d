# SPDX-License-Identifier: MIT
"""Draw predicted against reference values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .evaluate import error_metrics


def parity_plot(
    arrays: dict[str, np.ndarray],
    elements: Sequence[str],
    path: str | Path,
    *,
    title: str | None = None,
    reference: str = "reference",
) -> Path:
    """Predicted against reference values, and their errors, as an image.

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
        What the axes call the labels, such as "PBE" or "teacher's".
    """
    from matplotlib.figure import Figure

    metrics = error_metrics(arrays, elements)
    columns = 3 if "stress_rmse" in metrics else 2
    figure = Figure(figsize=(4.2 * columns, 6.0), layout="constrained")
    above, below = figure.subplots(2, columns, height_ratios=(3, 1), sharex="col")
    # Without the elements' part, which would dwarf the rest where compositions differ.
    shift = arrays.get("energy_shift", np.nanmean(arrays["energy_reference"]))
    wanted = (arrays["energy_reference"] - shift) * 1000
    found = (arrays["energy_prediction"] - shift) * 1000
    colors = np.full(len(wanted), "C0")
    _parity(above[0], below[0], wanted, found, found - wanted, colors, 12)

    wanted = arrays["forces_reference"].ravel()
    found = arrays["forces_prediction"].ravel()
    of_elements = np.array([f"C{i}" for i in range(len(elements))])
    colors = np.repeat(of_elements[arrays["types"]], 3)
    _parity(above[1], below[1], wanted, found, (found - wanted) * 1000, colors, 2)
    for index, element in enumerate(elements):
        if element in metrics["forces_rmse_by_element"]:
            label = f"{element}: {metrics['forces_rmse_by_element'][element]:.0f}"
            above[1].plot([], [], "o", ms=5, color=f"C{index}", label=label)
    above[1].legend(
        title="RMSE (meV/Å)", fontsize=9, title_fontsize=9, loc="upper left"
    )

    if columns == 3:
        wanted = arrays["stress_reference"].ravel() * 1000
        found = arrays["stress_prediction"].ravel() * 1000
        colors = np.full(len(wanted), "C0")
        _parity(above[2], below[2], wanted, found, found - wanted, colors, 6)
    panels = (
        ("energy", "energy − elements' shifts", "meV/atom", "meV/atom", ".2f"),
        ("forces", "force", "eV/Å", "meV/Å", ".1f"),
        ("stress", "stress", "meV/Å³", "meV/Å³", ".3g"),
    )
    for axes, under, panel in zip(above, below, panels[:columns], strict=True):
        name, quantity, unit, error_unit, digits = panel
        rmse = format(metrics[f"{name}_rmse"], digits)
        axes.set_title(f"{name}, RMSE {rmse} {error_unit}", fontsize=10)
        axes.set_ylabel(f"predicted {quantity} ({unit})")
        under.set_xlabel(f"{reference} {quantity} ({unit})")
        under.set_ylabel(f"error ({error_unit})")
    if title:
        figure.suptitle(title, fontsize=11)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    return path


def _parity(
    axes: Any,
    below: Any,
    reference: np.ndarray,
    prediction: np.ndarray,
    error: np.ndarray,
    colors: np.ndarray,
    size: float,
) -> None:
    """Points about the diagonal, and how far they are from it."""
    known = np.isfinite(error)
    # In random order, lest the last element cover the others; rare ones on top.
    _, kinds, counts = np.unique(colors, return_inverse=True, return_counts=True)
    rare = counts[kinds] < 0.1 * len(colors)
    order = np.argsort(np.random.default_rng(0).random(len(colors)) + rare)
    order = order[known[order]]
    both = np.concatenate((reference[known], prediction[known]))
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    largest = 1.1 * np.abs(error[known]).max() or 1.0
    look = dict(s=size, c=colors[order], linewidths=0, alpha=0.7, rasterized=True)
    axes.plot(limits, limits, color="0.6", lw=0.8, zorder=0)
    axes.scatter(reference[order], prediction[order], **look)
    axes.set(xlim=limits, ylim=limits, box_aspect=1)
    axes.locator_params(nbins=6)
    below.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    below.scatter(reference[order], error[order], **look)
    below.set(ylim=(-largest, largest), box_aspect=1 / 3)
