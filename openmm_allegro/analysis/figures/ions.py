# SPDX-License-Identifier: MIT
"""Figures of ions: conductivity and its parts, survival, environments, clusters."""

from pathlib import Path

import numpy as np

from .figure import (
    COLORS,
    DASHED,
    band,
    bars,
    colored,
    new_figure,
    with_error,
    writes_figure,
)


@writes_figure
def plot_conductivity(result, path, *, title=None):
    """Plot a conductivity as bars: its parts, their sum, and Nernst-Einstein.

    Parameters
    ----------
    result : Conductivity
    """
    with new_figure(path, title) as axes:
        axes.axhline(0.0, color="black", linewidth=0.8)
        names, values, errors, colors = zip(*_conductivity_parts(result), strict=True)
        bars(axes, values, errors, names=names, color=colors, labelsize=6.5)
        axes.set_ylabel("Conductivity (S/m)")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
        text = f"Haven ratio {with_error(*result.haven_ratio)}"
        _write(axes, text, x=0.03, side="left")
    return Path(path)


@writes_figure
def plot_survival(results, path, *, title=None):
    """Plot survival functions: continuous as lines, intermittent dashed.

    Parameters
    ----------
    results : dict of str to Survival
    """
    with new_figure(path, title) as axes:
        for label, result, color in colored(results):
            times, again = result.lag_times, result.intermittent
            kept, shown = result.continuous, result.continuous > 0
            error = result.continuous_error[shown]
            text = f"{label}: {with_error(*result.lifetime)} ps"
            band(axes, times[shown], kept[shown], error, color, label=text)
            band(axes, times, again, result.intermittent_error, color, style=DASHED)
        axes.plot([], [], color="0.4", label="intermittent", **DASHED)
        lowest = min(
            np.min(x.intermittent[x.intermittent > 0]) for x in results.values()
        )
        axes.set(xlabel="Time (ps)", ylabel="Survival", xlim=(0, None), ylim=(0, 1.02))
        if lowest < 0.1:
            axes.set(yscale="log", ylim=(max(1e-3, 0.3 * lowest), 1.3))
        axes.legend()
    return Path(path)


@writes_figure
def plot_speciation(environments, kinds, path, *, most=8, title=None):
    """Plot the most frequent environments as bars.

    Parameters
    ----------
    environments : dict of tuple to Estimate
        From `speciation`.
    kinds : sequence of str
        Names of the neighbours, in the order of the tuples.
    most : int, optional
        Bars at most.
    """
    if not environments:
        raise ValueError("expected at least one environment, found none")
    shown = list(environments.items())[:most]
    names = [
        "\n".join(f"{n} {kind}" for n, kind in zip(key, kinds, strict=True))
        for key, _ in shown
    ]
    with new_figure(path, title) as axes:
        bars(axes, *np.transpose([estimate for _, estimate in shown]), names=names)
        axes.set(ylabel="Part of the centres", ylim=(0, None))
    return Path(path)


@writes_figure
def plot_clusters(clusters, path, *, title=None):
    """Plot the part of the ions in clusters of each size.

    Parameters
    ----------
    clusters : Clusters
    """
    with new_figure(path, title) as axes:
        bars(axes, *clusters.fraction, at=clusters.sizes, width=0.8)
        axes.set(xlabel="Ions in the cluster", ylabel="Part of the ions")
        axes.set_ylim(0, None)
        axes.xaxis.get_major_locator().set_params(integer=True)
        text = f"mean {with_error(*clusters.mean_size)}"
        _write(axes, text, x=0.96, side="right")
    return Path(path)


def _conductivity_parts(result):
    """Yield name, value, error and colour of each bar."""
    for i, species in enumerate(result.species):
        yield f"{species}\nself", *(x[i] for x in result.self_part), COLORS[5]
    for i, first in enumerate(result.species):
        for j, second in enumerate(result.species[i:], start=i):
            # What like ions do together, beyond each with itself; unlike pairs twice.
            value, error = (x[i, j] * (1 if i == j else 2) for x in result.matrix)
            if i == j:
                value = value - result.self_part.value[i]
            yield f"{first}–{second}", value, error, COLORS[4]
    yield "Nernst–\nEinstein", *result.nernst_einstein, COLORS[0]
    yield "Einstein", *result.einstein, COLORS[1]


def _write(axes, text, *, x, side):
    """Write a line into an upper corner."""
    style = {"ha": side, "va": "top", "fontsize": 7}
    axes.text(x, 0.95, text, transform=axes.transAxes, **style)
