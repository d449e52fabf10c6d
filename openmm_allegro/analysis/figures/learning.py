# SPDX-License-Identifier: MIT
"""Figures of active learning: errors against labelled frames."""

from pathlib import Path

import numpy as np

from .figure import colored, new_figure, writes_figure


@writes_figure
def plot_learning(curves, path, ylabel, *, title=None, target=None):
    """Plot errors, or deviations, on a logarithmic axis against numbers of frames.

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
        axes.set(yscale="log", xlabel="Labelled frames", ylabel=ylabel)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain_ticks(axes.yaxis, [values for _, values, *_ in curves.values()])
        axes.legend()
    return Path(path)


def _plain_ticks(axis, values):
    """Write numbers as they are, some of each decade where there are few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    positive = np.concatenate([v[v > 0] for v in map(np.asarray, values)])
    narrow = not len(positive) or positive.max() < 30 * positive.min()
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if narrow else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
