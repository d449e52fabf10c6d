# SPDX-License-Identifier: MIT
"""Figures of free energies: profiles, surfaces of two variables, overlap of windows."""

from pathlib import Path

import numpy as np

from .figure import new_figure, new_panels, plot_curves, writes_figure

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
    """Plot a free energy of two variables as filled contours, and below it its errors.

    Bins that were not visited, or whose error is not known, are grey. Without any error
    there is no map of them.

    Parameters
    ----------
    surface : Surface
    marks : sequence of (x, y)
        Places to mark with their numbers, as minima.
    """
    known = np.isfinite(surface.errors).any()
    with new_panels(path, 2 if known else 1, wide=False) as panels:
        if title is not None:
            panels[0].set_title(title)
        _draw_contours(panels[0], surface)
        _draw_marks(panels[0], surface.axes, marks)
        if known:
            _draw_errors(panels[1], surface)
        first, second = surface.axes
        for axes in panels:
            axes.set_facecolor("0.92")
            axes.set(xlabel=first.label, ylabel=second.label)
            for axis, name in ((first, "x"), (second, "y")):
                if axis.periodic:
                    axes.set(**_turn(axis, name))
    return Path(path)


def _draw_contours(axes, surface):
    """Draw filled contours, which go on over the ends of an axis that repeats.

    Behind them are the bins, as some that were visited have no neighbours to join.
    """
    values, centers = surface.values, []
    for k, axis in enumerate(surface.axes):
        middles = axis.centers
        if axis.periodic:
            ends = [(1, 1) if i == k else (0, 0) for i in range(2)]
            values = np.pad(values, ends, mode="wrap")
            outside = middles[0] - axis.width, middles[-1] + axis.width
            middles = np.concatenate([outside[:1], middles, outside[1:]])
        centers.append(middles)
    values = np.ma.masked_invalid(values.T)
    top = min(_TOP, max(_LEVEL, float(values.max())))  # of one bin, too
    levels = np.arange(0.0, top + _LEVEL, max(_LEVEL, _LEVEL * round(top / 40)))
    extend = "max" if values.max() > levels[-1] else "neither"
    drawn = axes.contourf(*centers, values, levels, cmap="viridis", extend=extend)
    lines = {"colors": "white", "linewidths": 0.3, "alpha": 0.6}
    axes.contour(*centers, values, levels, **lines)
    bins = np.ma.masked_invalid(surface.values.T)
    layers = np.clip(np.digitize(bins.filled(0.0), levels), 1, len(levels) - 1)
    colors = 0.5 * (levels[layers - 1] + levels[layers])
    bins = np.ma.where(bins > levels[-1], bins, colors)
    edges = [axis.edges for axis in surface.axes]
    axes.pcolormesh(*edges, bins, cmap=drawn.cmap, norm=drawn.norm, zorder=0)
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02)
    bar.set_label("Free energy (kJ/mol)")


def _draw_errors(axes, surface):
    """Draw the error of each bin; those above most others have one colour."""
    first, second = surface.axes
    errors = np.ma.masked_invalid(surface.errors.T)
    top = float(np.quantile(errors.compressed(), 0.95))
    extend = "max" if errors.max() > top else "neither"
    drawn = axes.pcolormesh(
        first.edges, second.edges, errors, cmap="cividis", vmin=0.0, vmax=top or 1.0
    )
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02, extend=extend)
    bar.set_label("Error (kJ/mol)")


def _draw_marks(axes, of_axes, marks):
    """Draw points with their numbers beside them, towards the middle."""
    from matplotlib.patheffects import withStroke

    around = [withStroke(linewidth=1.8, foreground="white")]
    middle = [0.5 * (axis.edges[0] + axis.edges[-1]) for axis in of_axes]
    for number, place in enumerate(marks, start=1):
        x, y = (1 if at < half else -1 for at, half in zip(place, middle, strict=True))
        style = {"ha": "left" if x > 0 else "right", "va": "center", "fontsize": 7}
        axes.plot(*place, "o", color="black", markersize=3, markeredgecolor="white")
        axes.annotate(
            str(number),
            place,
            xytext=(3.5 * x, 3.5 * y),
            textcoords="offset points",
            fontweight="bold",
            color="black",
            path_effects=around,
            **style,
        )


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
