# SPDX-License-Identifier: MIT
"""Figures of free energies: profiles, surfaces of two variables, overlap of windows."""

from pathlib import Path

import numpy as np

from .figure import new_figure, plot_curves, writes_figure

# Height above the lowest, in kJ/mol, beyond which a surface is not coloured.
_TOP = 60.0
_LEVEL = 2.5  # kJ/mol, about R T at 300 K


@writes_figure
def plot_profiles(results, path, *, reference=None, title=None):
    """Plot free energies of one variable, with their errors.

    Where an error is not known, or above 10 kJ/mol while some are below, the curve
    ends.

    Parameters
    ----------
    results : dict of str to Surface
        Of one variable each.
    reference : dict of str to (x, y), optional
        Other curves in kJ/mol, drawn dashed.
    """
    curves, lowest, highest = {}, 0.0, 1.0
    for label, surface in results.items():
        errors = np.nan_to_num(surface.errors, nan=np.inf)
        known = errors < (10.0 if errors.min() < 10.0 else np.inf)
        if not known.any():
            raise ValueError(
                "expected a free energy whose error is known somewhere, found none in "
                f"{label!r}; give a longer run, or fewer bins"
            )
        y, error = (
            np.where(known, x, np.nan) for x in (surface.values, surface.errors)
        )
        curves[label] = surface.axes[0].centers, y, error
        lowest = min(lowest, np.nanmin(y - error))
        highest = max(highest, np.nanmax(np.minimum(y, _TOP)))
    axis = next(iter(results.values())).axes[0]
    room = 0.08 * (highest - lowest)
    settings = {
        "xlabel": axis.label,
        "ylabel": "Free energy (kJ/mol)",
        "ylim": (lowest - room, highest + (2 + 1.5 * len(curves)) * room),
    }
    if axis.periodic:
        settings |= _turn(axis, "x")
    return plot_curves(curves, path, settings, title=title, dashed=reference)


@writes_figure
def plot_surface(surface, path, *, marks=(), title=None):
    """Plot a free energy of two variables as filled contours.

    Parameters
    ----------
    surface : Surface
    marks : sequence of (x, y)
        Places to mark, as minima.
    """
    first, second = surface.axes
    values = np.ma.masked_invalid(surface.values.T)
    top = min(_TOP, float(values.max()))
    levels = np.arange(0.0, top + _LEVEL, max(_LEVEL, _LEVEL * round(top / 40)))
    with new_figure(path, title) as axes:
        axes.set_facecolor("0.92")
        drawn = axes.contourf(
            first.centers,
            second.centers,
            values,
            levels,
            cmap="viridis",
            extend="max" if values.max() > levels[-1] else "neither",
        )
        lines = {"colors": "white", "linewidths": 0.3, "alpha": 0.6}
        axes.contour(first.centers, second.centers, values, levels, **lines)
        bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02)
        bar.set_label("Free energy (kJ/mol)")
        for number, (x, y) in enumerate(marks, start=1):
            style = {"ha": "center", "va": "center", "fontsize": 7, "color": "white"}
            axes.text(x, y, str(number), fontweight="bold", **style)
        axes.set(xlabel=first.label, ylabel=second.label)
        for axis, name in ((first, "x"), (second, "y")):
            if axis.periodic:
                axes.set(**_turn(axis, name))
    return Path(path)


@writes_figure
def plot_overlap(overlap, path, *, names=None, title=None):
    """Plot the overlap of windows or states as a matrix with its numbers.

    Parameters
    ----------
    overlap : (K, K) array
    names : sequence of K str, optional
    """
    number = len(overlap)
    with new_figure(path, title) as axes:
        drawn = axes.imshow(
            overlap, cmap="Blues", vmin=0.0, vmax=max(0.5, overlap.max())
        )
        axes.figure.colorbar(drawn, ax=axes, pad=0.02).set_label("Overlap")
        if number <= 10:
            for i, j in np.ndindex(overlap.shape):
                if overlap[i, j] >= 0.005:
                    shade = "white" if overlap[i, j] > 0.3 else "black"
                    text = f"{overlap[i, j]:.2f}".lstrip("0")
                    style = {"ha": "center", "va": "center", "fontsize": 5}
                    axes.text(j, i, text, color=shade, **style)
        if names is not None:
            step = -(-number // 12)
            places = range(0, number, step)
            labels = [names[place] for place in places]
            axes.set_xticks(places, labels, rotation=90, fontsize=6)
            axes.set_yticks(places, labels, fontsize=6)
        axes.tick_params(length=0)
    return Path(path)


def _turn(axis, name):
    """Limits and ticks of an angle."""
    ends = axis.edges[0], axis.edges[-1]
    return {f"{name}lim": ends, f"{name}ticks": np.linspace(*ends, 5)}
