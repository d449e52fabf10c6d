# SPDX-License-Identifier: MIT
"""Figures of jumps between the sites of a solid."""

from pathlib import Path

import numpy as np

from .figure import COLORS, DASHED, band, colored, new_figure, with_error, writes_figure

# Bars of a figure.
_MOST = 10


@writes_figure
def plot_jumps(result, path, *, title=None):
    """Plot the rates of jumps by kind as bars, the most frequent first.

    Parameters
    ----------
    result : Jumps
    """
    from matplotlib.ticker import NullFormatter

    order = np.argsort(-result.numbers, kind="stable")[:_MOST]
    with new_figure(path, title) as axes:
        places = np.arange(len(order))[::-1]
        values = result.rates.value[order]
        errors = result.rates.error[order]
        # On a logarithmic axis no bar reaches below 0.
        below = np.minimum(errors, 0.9 * values)
        axes.barh(
            places,
            values,
            xerr=[below, errors],
            color=COLORS[0],
            height=0.65,
            error_kw={"elinewidth": 0.8, "capsize": 2},
        )
        axes.set_yticks(places, [result.kinds[k] for k in order])
        axes.tick_params(axis="y", length=0, labelsize=7)
        decade = 10 ** np.floor(np.log10(0.9 * float((values - below).min())))
        axes.set(xlabel="Jumps of an ion per ps", xscale="log", xlim=(decade, None))
        axes.xaxis.set_minor_formatter(NullFormatter())
    return Path(path)


@writes_figure
def plot_residence(residences, path, *, title=None):
    """Plot how long stays at sites last, beside exponentials of the mean time, dashed.

    Parameters
    ----------
    residences : dict of str to Residence
    """
    with new_figure(path, title) as axes:
        ends = []
        for label, stay, color in colored(residences):
            shown = stay.survival > 0
            times, values = stay.lag_times[shown], stay.survival[shown]
            text = f"{label}: {with_error(*stay.time)} ps"
            band(axes, times, values, stay.survival_error[shown], color, label=text)
            # Little of the time is beyond what one stay in a thousand lasts.
            few = values < 1e-3
            ends.append(times[np.argmax(few)] if few.any() else times[-1])
            if np.isfinite(stay.time.value):
                law = np.exp(-times / stay.time.value)
                axes.plot(times, law, color=color, **DASHED)
        axes.set(
            xlabel="Time (ps)",
            ylabel="Stays that last",
            yscale="log",
            xlim=(0, max(ends)),
            ylim=(1e-3, 1.3),
        )
        axes.legend()
    return Path(path)


@writes_figure
def plot_sites(fractional, sites, path, *, title=None):
    """Plot where ions are, over the sites, as seen along the third cell vector.

    Parameters
    ----------
    fractional : (n_frames, n_ions, 3) array
        Of the ions, as of `follow_in_host`.
    sites : Sites
    """
    inside = fractional.reshape(-1, 3) - np.floor(fractional.reshape(-1, 3))
    vectors = sites.cell
    # Axes in the plane of the first two vectors: along the first, and across it.
    along = vectors[0] / np.linalg.norm(vectors[0])
    across = vectors[1] - (vectors[1] @ along) * along
    across = across / np.linalg.norm(across)
    plane = np.stack([along, across], axis=1)
    flat = vectors.copy()
    flat[2] = 0  # along the third vector: skew cells project onto themselves
    with new_figure(path, title) as axes:
        points = inside @ flat @ plane
        axes.hist2d(*points.T, bins=150, cmap="Greys", rasterized=True)
        for name, color in zip(
            sites.names, [*COLORS] * (1 + len(sites.names)), strict=False
        ):
            which = np.array(sites.kinds) == name
            places = sites.fractional[which] @ flat @ plane
            style = {"s": 9, "linewidths": 0.8, "facecolors": "none"}
            axes.scatter(*places.T, edgecolors=color, label=name, **style)
        axes.set(xlabel="Along the first vector (nm)", ylabel="Across it (nm)")
        axes.set_aspect("equal")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return Path(path)
