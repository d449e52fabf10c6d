# SPDX-License-Identifier: MIT
"""Figures of the energies, forces and pairs of a data set."""

from pathlib import Path

import numpy as np

from .figure import COLORS, DASHED, colored, new_figure, writes_figure

_MOST = 20_000  # points of a figure


@writes_figure
def plot_frames(values, path, unit, *, marked=(), title=None):
    """Plot a value of each frame over the frames, some of them marked.

    Parameters
    ----------
    values : ndarray [F]
    unit : str
        Label of the axis.
    marked : sequence of int
        Frames.
    """
    values, marked = np.asarray(values), np.asarray(marked, dtype=int)
    step = max(1, len(values) // _MOST)
    shown = np.arange(0, len(values), step)
    with new_figure(path, title) as axes:
        axes.plot(shown, values[shown], ".", color=COLORS[0], markersize=2)
        axes.plot(
            marked, values[marked], "o", color=COLORS[1], markersize=4, mfc="none"
        )
        axes.set(xlabel="Frame", ylabel=unit)
    return Path(path)


@writes_figure
def plot_distribution(values, path, unit, *, title=None):
    """Plot a histogram on a logarithmic axis, in which single values are seen.

    Parameters
    ----------
    values : ndarray
    unit : str
        Label of the axis.
    """
    values = np.asarray(values)
    with new_figure(path, title) as axes:
        axes.hist(values[np.isfinite(values)], bins=60, color=COLORS[0], log=True)
        axes.set(xlabel=unit, ylabel="Frames")
    return Path(path)


@writes_figure
def plot_force_lengths(lengths, path, *, title=None):
    """Plot distributions of lengths of forces, eV/Å, by element.

    Parameters
    ----------
    lengths : dict of str to ndarray
    """
    positive = np.concatenate([x[x > 0] for x in lengths.values()])
    if not len(positive):
        raise ValueError("expected forces other than zero, found none")
    low, high = np.quantile(positive, 1e-3), positive.max()
    edges = np.geomspace(max(low, 1e-6 * high), 1.05 * high, 60)
    middle = np.sqrt(edges[1:] * edges[:-1])
    with new_figure(path, title) as axes:
        for label, values, color in colored(lengths):
            counts, _ = np.histogram(values, edges)
            density = counts / (np.diff(edges) * max(len(values), 1))
            shown = counts > 0
            axes.plot(middle[shown], density[shown], color=color, label=label)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="Length of force (eV/Å)",
            ylabel="Density (Å/eV)",
        )
        axes.legend(ncols=2 if len(lengths) > 4 else 1)
    return Path(path)


@writes_figure
def plot_neighbors(radii, neighbors, cutoff, chosen, path, *, title=None):
    """Plot the mean number of neighbours within a radius.

    Parameters
    ----------
    radii, neighbors : ndarray
        Å, and numbers.
    cutoff : float
        Å, of the network.
    chosen : float
        Mean number of neighbours within its cutoffs of all pairs.
    """
    with new_figure(path, title) as axes:
        axes.plot(radii, neighbors, color=COLORS[0])
        axes.axvline(cutoff, color="0.6", **DASHED)
        axes.plot([cutoff], [chosen], "o", color=COLORS[1], label="the network's pairs")
        axes.set(xlabel="Radius (Å)", ylabel="Neighbours of an atom", ylim=(0, None))
        axes.legend()
    return Path(path)
