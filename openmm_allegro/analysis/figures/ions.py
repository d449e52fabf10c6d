# SPDX-License-Identifier: MIT
"""Figures of ions: conductivity and its parts, survival of contacts."""

from pathlib import Path

import numpy as np

from .figure import COLORS, band, bars, colored, new_figure, with_error


def plot_conductivity(found, path, *, title=None):
    """Plot a conductivity as bars: its parts, their sum, and Nernst-Einstein.

    Parameters
    ----------
    found : Conductivity
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    title : str, optional

    Returns
    -------
    Path
        The file written.
    """
    names, values, errors, colors = [], [], [], []

    def add(name, value, error, color):
        names.append(name)
        values.append(value)
        errors.append(error)
        colors.append(color)

    for i, species in enumerate(found.species):
        add(f"{species}\nself", *(x[i] for x in found.self_part), COLORS[5])
    for i, first in enumerate(found.species):
        for j, second in enumerate(found.species[i:], start=i):
            # What like ions do together, beyond each with itself; unlike pairs twice.
            value, error = (x[i, j] * (1 if i == j else 2) for x in found.matrix)
            if i == j:
                value = value - found.self_part.value[i]
            add(f"{first}–{second}", value, error, COLORS[4])
    add("Nernst–\nEinstein", *found.nernst_einstein, COLORS[0])
    add("Einstein", *found.einstein, COLORS[1])
    with new_figure(path, title) as axes:
        axes.axhline(0.0, color="black", linewidth=0.8)
        bars(axes, values, errors, names=names, color=colors, labelsize=6.5)
        axes.set_ylabel("Conductivity (S/m)")
        axes.text(
            0.03,
            0.96,
            f"Haven ratio {with_error(*found.haven_ratio)}",
            transform=axes.transAxes,
            va="top",
            fontsize=7,
        )
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
    return Path(path)


def plot_survival(results, path, *, title=None):
    """Plot survival functions: continuous as lines, intermittent dashed.

    Parameters
    ----------
    results : dict of str to Survival
    path : str or Path
        File to write.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        for label, found, color in colored(results):
            shown = found.continuous > 0
            band(
                axes,
                found.lag_times[shown],
                found.continuous[shown],
                found.continuous_error[shown],
                color,
                label=f"{label}: {with_error(*found.lifetime)} ps",
            )
            band(
                axes,
                found.lag_times,
                found.intermittent,
                found.intermittent_error,
                color,
                linestyle="--",
                linewidth=0.9,
            )
        axes.plot([], [], "--", color="0.4", linewidth=0.9, label="intermittent")
        lowest = min(
            np.min(found.intermittent[found.intermittent > 0])
            for found in results.values()
        )
        axes.set(xlabel="Time (ps)", ylabel="Survival", xlim=(0, None), ylim=(0, 1.02))
        if lowest < 0.1:
            axes.set(yscale="log", ylim=(max(1e-3, 0.3 * lowest), 1.3))
        axes.legend()
    return Path(path)
