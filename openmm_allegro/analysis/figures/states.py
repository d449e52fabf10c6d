# SPDX-License-Identifier: MIT
"""Figures of free energies between states: overlap, and works of switches."""

from pathlib import Path

import numpy as np

from ..states import LEAST_OVERLAP
from .figure import COLORS, DASHED, new_figure, with_error, writes_figure

_MOST_NUMBERS = 8  # states up to which each cell of a matrix has its number
_NAMES = {"forward": "forward", "reverse": "reverse, sign turned"}


@writes_figure
def plot_overlap(values, overlap, path, *, title=None):
    """Plot the overlap of states; neighbours with too little of it are framed.

    Parameters
    ----------
    values : (K,) array
        Of λ.
    overlap : (K, K) array
        Each row adds up to 1.
    """
    count = len(values)
    with new_figure(path, title) as axes:
        image = axes.imshow(overlap, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.figure.colorbar(image, ax=axes, label="Overlap", pad=0.02)
        names = [f"{value:.3g}" for value in values]
        axes.set(xlabel="λ", ylabel="λ of samples")
        axes.set_xticks(range(count), names, rotation=90 if count > 6 else 0)
        axes.set_yticks(range(count), names)
        axes.tick_params(length=0)
        if count <= _MOST_NUMBERS:
            for (row, column), part in np.ndenumerate(overlap):
                axes.text(
                    column,
                    row,
                    f"{part:.2f}",
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="white" if part > 0.5 else "black",
                )
        for row in range(count - 1):
            for i, j in ((row, row + 1), (row + 1, row)):
                if not overlap[i, j] >= LEAST_OVERLAP:
                    _frame(axes, i, j)
    return Path(path)


def _frame(axes, row, column):
    """Draw a frame around a cell of a matrix."""
    x, y = np.array([0, 1, 1, 0, 0]) - 0.5, np.array([0, 0, 1, 1, 0]) - 0.5
    axes.plot(column + 0.96 * x, row + 0.96 * y, color=COLORS[1], linewidth=1.2)


@writes_figure
def plot_works(works, result, path, *, title=None):
    """Plot distributions of work, which cross at the free energy.

    Parameters
    ----------
    works : dict of str to (n,) array
        "forward", "reverse" or both, in kJ/mol.
    result : (value, error)
        The free energy, in kJ/mol.
    """
    value, error = result
    signed = {
        name: np.asarray(work) * (1.0 if name == "forward" else -1.0)
        for name, work in works.items()
    }
    every = np.concatenate([*signed.values(), [value]])
    width = max(np.ptp(every), 1e-6)
    count = int(np.clip(2 * np.sqrt(max(map(len, works.values()))), 6, 40))
    ends = every.min() - 0.03 * width, every.max() + 0.03 * width
    bins = np.linspace(*ends, count + 1)
    with new_figure(path, title) as axes:
        for color, (name, work) in zip(COLORS, signed.items(), strict=False):
            label = f"{_NAMES[name]} ({len(work)})"
            axes.hist(work, bins, density=True, color=color, alpha=0.5, label=label)
        top = axes.get_ylim()[1]
        band = [value - error, value + error]
        axes.fill_between(band, 0, top, color="0.8", linewidth=0, zorder=0)
        label = f"Δ$G$ = {with_error(value, error)} kJ/mol"
        axes.plot([value, value], [0, top], color="black", label=label, **DASHED)
        axes.set(xlabel="Work (kJ/mol)", ylabel="Probability (mol/kJ)")
        axes.set_ylim(0, 1.45 * top)
        axes.legend(loc="upper left")
    return Path(path)
