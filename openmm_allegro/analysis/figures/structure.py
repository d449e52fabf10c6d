# SPDX-License-Identifier: MIT
"""Figures of structure: potentials of mean force, S(q), angles, environments."""

from pathlib import Path

import numpy as np

from .figure import band, bars, colored, new_figure, with_error


def plot_potential(results, path, *, title=None):
    """Plot potentials of mean force.

    Parameters
    ----------
    results : dict of str to PotentialOfMeanForce
    path : str or Path
        File to write; its ending gives the format (png, pdf, svg).
    title : str, optional

    Returns
    -------
    Path
        The file written.
    """
    with new_figure(path, title) as axes:
        axes.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
        lowest, highest = 0.0, 0.0
        for label, (r, potential, error), color in colored(results):
            # A few pairs at the wall have errors that would hide the rest.
            known = error < 1.0
            if not known.any():
                raise ValueError(
                    "expected a potential known to 1 kJ/mol at some distance, found "
                    f"none in {label!r}; give more frames or wider bins"
                )
            band(axes, r[known], potential[known], error[known], color, label=label)
            lowest = min(lowest, potential[known].min())
            beyond = known & (r >= r[known][np.argmin(potential[known])])
            highest = max(highest, potential[beyond].max())
        room = 0.15 * (highest - lowest)
        axes.set(xlabel="$r$ (nm)", ylabel="Potential of mean force (kJ/mol)")
        axes.set_ylim(lowest - room, highest + 4 * room)
        axes.legend()
    return Path(path)


def plot_structure_factor(results, path, *, reference=None, title=None):
    """Plot structure factors.

    Parameters
    ----------
    results : dict of str to (q, Estimate)
        Wave vectors in 1/nm and S(q), as ``{"X-ray": (s.q, s.xray)}`` for a
        StructureFactor s.
    path : str or Path
        File to write.
    reference : dict of str to (q, S), optional
        Measured curves, drawn dashed in black and grey.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
        for label, (q, (value, error)), color in colored(results):
            band(axes, q, value, error, color, label=label)
        shades = iter(np.linspace(0.0, 0.6, len(reference or {})))
        for label, (q, value) in (reference or {}).items():
            axes.plot(
                q, value, "--", color=str(next(shades)), linewidth=0.9, label=label
            )
        axes.set(xlabel="$q$ (nm$^{-1}$)", ylabel="$S(q)$", xlim=(0, None))
        axes.legend()
    return Path(path)


def plot_angles(results, path, *, title=None):
    """Plot distributions of angles, with that of random directions.

    Parameters
    ----------
    results : dict of str to AngleDistribution
    path : str or Path
        File to write.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        for label, found, color in colored(results):
            band(axes, found.angle, found.density, found.error, color, label=label)
        angle = np.linspace(0, 180, 181)
        random = np.sin(np.radians(angle)) * np.pi / 360
        axes.plot(angle, random, "--", color="0.6", linewidth=0.9, label="random")
        axes.set(xlabel="Angle (°)", ylabel="Probability (1/°)", ylim=(0, None))
        axes.set(xlim=(0, 180), xticks=np.arange(0, 181, 30))
        axes.legend()
    return Path(path)


def plot_speciation(environments, kinds, path, *, most=8, title=None):
    """Plot the most frequent environments as bars.

    Parameters
    ----------
    environments : dict of tuple to Estimate
        From `speciation`.
    kinds : sequence of str
        Names of the neighbours, in the order of the tuples.
    path : str or Path
        File to write.
    most : int, optional
        Bars at most.
    title : str, optional

    Returns
    -------
    Path
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


def plot_clusters(clusters, path, *, title=None):
    """Plot the part of the ions in clusters of each size.

    Parameters
    ----------
    clusters : Clusters
    path : str or Path
        File to write.
    title : str, optional

    Returns
    -------
    Path
    """
    with new_figure(path, title) as axes:
        bars(axes, *clusters.fraction, at=clusters.sizes, width=0.8)
        axes.set(
            xlabel="Ions in the cluster", ylabel="Part of the ions", ylim=(0, None)
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.text(
            0.96,
            0.94,
            f"mean {with_error(*clusters.mean_size)}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=7,
        )
    return Path(path)
