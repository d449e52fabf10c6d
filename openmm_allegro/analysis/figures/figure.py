# SPDX-License-Identifier: MIT
"""Style of all figures, and what several of them draw.

Figures are made without pyplot: no global state, no window, nothing to close.
"""

from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path

import numpy as np

# Okabe and Ito's palette, told apart by colour-blind readers; black is for references.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SIZE = (3.5, 2.7)  # inches: one column of a journal
# Fits, levels and what others measured.
DASHED = {"linestyle": "--", "linewidth": 0.9}
# Lines of the docstring of every plot, after its other parameters.
_SHARED = """\
path : str or Path
    File to write; its ending gives the format (png, pdf, svg).
title : str, optional
    Title of the figure.

Returns
-------
Path
    The file written.
"""


def writes_figure(plot):
    """Document the file that a plot writes, and its title; a decorator."""
    plot.__doc__ = f"{cleandoc(plot.__doc__ or '')}\n{_SHARED}"
    return plot


@contextmanager
def new_figure(path, title=None):
    """Make the axes of a one-column figure in the shared style; save it to `path`."""
    with new_panels(path, 1, wide=False) as (axes,):
        if title is not None:
            axes.set_title(title)
        yield axes


@contextmanager
def new_panels(path, count, *, wide=True, columns=1):
    """Make so many axes below each other, or in columns; save to `path`.

    They are `wide`, with room to the right, or of one column each.
    """
    # Here, not at the top: analysis without plots needs no matplotlib.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "font.size": 8,
        "axes.labelsize": 9,
        "axes.titlesize": 9,
        "axes.linewidth": 0.8,
        "legend.fontsize": 7,
        "legend.title_fontsize": 7,
        "legend.frameon": False,
        "legend.handlelength": 1.5,
        "lines.linewidth": 1.3,
        "xtick.direction": "in",
        "ytick.direction": "in",
        "xtick.top": True,
        "ytick.right": True,
        "svg.hashsalt": "openmm_allegro",
    }
    with rc_context(style):
        width, height = SIZE
        columns = min(count, columns)
        rows = -(-count // columns)
        if wide:
            width, height = 2 * width, (0.8 if count > 1 else 1.0) * height
        figure = Figure(figsize=(width, rows * height), layout="constrained")
        yield [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
        # The same data give the same bytes.
        dated = Path(path).suffix.lower() == ".svg"
        figure.savefig(path, dpi=300, metadata={"Date": None} if dated else None)


@writes_figure
def plot_curves(curves, path, axis, *, title=None, level=None, dashed=None):
    """Plot curves with the bands of their errors.

    Parameters
    ----------
    curves : dict of str to (x, y, error)
    axis : dict
        Labels, limits and scales, as ``matplotlib.axes.Axes.set`` takes them.
    level : float, optional
        Value of y without structure or motion, marked by a thin line.
    dashed : dict of str to (x, y), optional
        Curves to compare with, drawn dashed in black and grey.
    """
    with new_figure(path, title) as axes:
        draw_level(axes, level)
        for label, (x, y, error), color in colored(curves):
            band(axes, x, y, error, color, label=label)
        draw_references(axes, dashed or {})
        axes.set(**axis)
        if axis.get("xscale") == "log":
            thin_out_labels(axes.xaxis)
        axes.legend()
    return Path(path)


def thin_out_labels(axis):
    """Label 2 and 5 alone between the powers of ten of a logarithmic axis."""
    axis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")


def draw_level(axes, level):
    """Draw a thin line behind the curves, where `level` is not None."""
    if level is not None:
        axes.axhline(level, color="0.8", linewidth=0.8, zorder=0)


def draw_references(axes, curves):
    """Draw curves, a dict of str to (x, y), dashed in black and grey."""
    shades = np.linspace(0.0, 0.6, len(curves))
    for (label, (x, y, *_)), shade in zip(curves.items(), shades, strict=True):
        axes.plot(x, y, color=str(shade), label=label, **DASHED)


def mark(axes, x, y, error, color, label=None):
    """Draw points with the bars of their errors."""
    style = {"fmt": "o", "markersize": 3, "capsize": 2, "linewidth": 0.9}
    axes.errorbar(x, y, error, color=color, label=label, **style)


def band(axes, x, y, error, color, *, label=None, style=None):
    """Draw a curve with the band of its errors, which may be None.

    `style` holds other properties of its line, such as `DASHED`.
    """
    y = np.asarray(y)
    if error is not None:
        shade(axes, x, y - error, y + error, color)
    axes.plot(x, y, color=color, label=label, **(style or {}))


def shade(axes, x, low, high, color):
    """Fill the space between two curves, as that of an error."""
    axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)


def bars(
    axes,
    values,
    errors,
    *,
    at=None,
    names=None,
    color=COLORS[0],
    width=0.7,
    labelsize=7,
):
    """Draw bars with errors at places, or side by side with their names below."""
    at = range(len(values)) if at is None else at
    error_style = {"elinewidth": 0.8, "capsize": 2}
    axes.bar(at, values, yerr=errors, color=color, width=width, error_kw=error_style)
    if names is not None:
        axes.set_xticks(at, names)
        axes.tick_params(axis="x", length=0, labelsize=labelsize)


def colored(results, name="result"):
    """Yield label, result and colour of each; ValueError if there are none."""
    if not results:
        raise ValueError(f"expected at least one {name}, found none")
    for i, (label, result) in enumerate(results.items()):
        yield label, result, COLORS[i % len(COLORS)]


def with_error(value, error):
    """Write ``2.31 ± 0.04``, to two digits of the error."""
    if not np.isfinite(error) or error <= 0:
        return f"{value:.3g}"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
