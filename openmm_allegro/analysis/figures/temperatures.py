# SPDX-License-Identifier: MIT
"""Figures of curves at several temperatures."""

from pathlib import Path

from .figure import band, draw_level, new_panels, writes_figure

# From cold to hot, about as light as each other: seen on white and on black.
_COLORS = "#0072B2", "#8E5BB5", "#CC3D6E", "#E0701A"


@writes_figure
def plot_temperatures(panels, path, axis, *, level=None, title=None):
    """Plot curves coloured by temperature, a panel for each of what they are of.

    Parameters
    ----------
    panels : dict of str to dict of float to (x, y, error)
        By what is in a panel, and the temperature in K; error may be None.
    axis : dict
        Labels, limits and scales, as ``matplotlib.axes.Axes.set`` takes them.
    level : float, optional
        Value of y without structure, marked by a thin line.

    Raises
    ------
    ValueError
        If there are no curves.
    """
    from matplotlib.colors import LinearSegmentedColormap

    kelvin = sorted({k for curves in panels.values() for k in curves})
    if not kelvin:
        raise ValueError("expected at least one curve, found none")
    places = [k / (len(kelvin) - 1 or 1) for k in range(len(kelvin))]
    ramp = LinearSegmentedColormap.from_list("temperature", _COLORS)
    colors = {k: ramp(place) for k, place in zip(kelvin, places, strict=True)}
    columns = 2 if len(panels) == 4 else 3
    wide = len(panels) > 1
    with new_panels(path, len(panels), wide=wide, columns=columns) as several:
        for axes, (label, curves) in zip(several, panels.items(), strict=True):
            draw_level(axes, level)
            for k in kelvin:
                if k in curves:
                    band(axes, *curves[k], colors[k])
            axes.set(**axis)
            axes.set_title(label, fontsize=8)
        figure = several[0].figure
        lines = [several[0].plot([], [], color=colors[k])[0] for k in kelvin]
        figure.legend(
            lines,
            [f"{k:g} K" for k in kelvin],
            loc="outside upper center",
            ncols=min(len(kelvin), 6),
        )
        if title is not None:
            figure.suptitle(title)
    return Path(path)
