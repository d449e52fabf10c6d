# SPDX-License-Identifier: MIT
"""Figures of active learning: errors against labelled frames."""

from pathlib import Path

import numpy as np

from .figure import colored, new_figure, writes_figure


@writes_figure
def plot_learning(curves, path, ylabel, *, title=None, target=None):
    """Plot errors, or deviations, against numbers of frames on logarithmic axes.

    Parameters
    ----------
    curves : dict of str to (frames, values) or (frames, values, deviations)
        Deviations are of several loops, such as of different seeds.
    ylabel : str
    target : float, optional
        Value at which a loop stops, marked by a dashed line.
    """
    with new_figure(path, title) as axes:
        for label, (frames, values, *rest), color in colored(curves):
            error = rest[0] if rest else None
            axes.errorbar(
                frames, values, error, color=color, marker="o", ms=3, label=label
            )
        if target:
            axes.axhline(target, color="0.5", linestyle="--", linewidth=0.9)
        axes.set(xscale="log", yscale="log", xlabel="labelled frames", ylabel=ylabel)
        _plain_ticks(axes, curves)
        axes.legend()
    return Path(path)


def _plain_ticks(axes, curves):
    """Write numbers as they are, on axes that span less than a decade or two."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    x, y = (np.concatenate([c[k] for c in curves.values()]) for k in (0, 1))
    for axis, values in ((axes.xaxis, x), (axes.yaxis, y)):
        values = values[values > 0]
        narrow = not len(values) or values.max() < 30 * values.min()
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if narrow else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
