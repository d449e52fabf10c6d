# SPDX-License-Identifier: MIT
"""Figures of structure: g(r), potentials of mean force, S(q), angles."""

from pathlib import Path

import numpy as np

from .figure import (
    COLORS,
    DASHED,
    band,
    colored,
    draw_level,
    draw_references,
    new_figure,
    plot_curves,
    with_error,
    writes_figure,
)

# Where a potential of mean force is known worse than this, in kJ/mol, its error would
# hide the rest.
_KNOWN = 1.0


@writes_figure
def plot_rdf(
    results,
    path,
    *,
    reference=None,
    reference_name="reference",
    coordination=None,
    title=None,
):
    """Plot radial distribution functions.

    Parameters
    ----------
    results : dict of str to (r, g) or RadialDistribution
        For each label what `rdf` returns: distances in nm and g(r); or what
        `radial_distributions` does, drawn with its errors.
    reference : dict of str to (r, g), optional
        Measured or *ab initio* curves, drawn dashed: in the colour of the result of
        the same label, else in black and grey.
    reference_name : str, optional
        What dashed curves of the results' labels are, for the legend.
    coordination : dict of str to Coordination, optional
        For labels of `results`: the number goes into the legend and its radius is
        marked on the axis.
    """
    _check_curves(results, "results")
    coordination = coordination or {}
    unknown = set(coordination) - set(results)
    if unknown:
        raise ValueError(
            f"expected coordination only for {sorted(results)}, found {sorted(unknown)}"
        )
    with new_figure(path, title) as axes:
        draw_level(axes, 1.0)
        for label, (r, g, *errors), color in colored(results):
            shell = coordination.get(label)
            if shell is not None:
                number = with_error(shell.number, shell.number_error)
                label = f"{label}, $n$ = {number}"
                _mark_radius(axes, shell.r_max, color)
            band(axes, r, g, errors[0] if errors else None, color, label=label)
        if reference:
            _check_curves(reference, "reference")
            _draw_reference(axes, reference, list(results), reference_name)
        limit = max(np.max(r) for r, *_ in results.values())
        start = min(
            np.asarray(r)[np.argmax(np.asarray(g) > 0)] for r, g, *_ in results.values()
        )
        axes.set(xlabel="$r$ (nm)", ylabel="$g(r)$", ylim=(0, None))
        axes.set_xlim(max(0.0, start - 0.05 * limit), limit)
        axes.legend()
    return Path(path)


@writes_figure
def plot_potential(results, path, *, title=None):
    """Plot potentials of mean force.

    Parameters
    ----------
    results : dict of str to PotentialOfMeanForce
    """
    curves, lowest, highest = {}, 0.0, 0.0
    for label, (r, potential, error) in results.items():
        known = error < _KNOWN
        if not known.any():
            raise ValueError(
                "expected a potential known to 1 kJ/mol at some distance, found "
                f"none in {label!r}; give more frames or wider bins"
            )
        r, potential, error = r[known], potential[known], error[known]
        curves[label] = r, potential, error
        lowest = min(lowest, potential.min())
        highest = max(highest, potential[np.argmin(potential) :].max())
    room = 0.15 * (highest - lowest)
    axis = {
        "xlabel": "$r$ (nm)",
        "ylabel": "Potential of mean force (kJ/mol)",
        "ylim": (lowest - room, highest + 4 * room),
    }
    return plot_curves(curves, path, axis, title=title, level=0.0)


@writes_figure
def plot_structure_factor(results, path, *, reference=None, title=None):
    """Plot structure factors.

    Parameters
    ----------
    results : dict of str to (q, Estimate)
        Wave vectors in 1/nm and S(q), as ``{"X-ray": (s.q, s.xray)}`` for a
        StructureFactor s.
    reference : dict of str to (q, S), optional
        Measured curves, drawn dashed in black and grey.
    """
    curves = {label: (q, *estimate) for label, (q, estimate) in results.items()}
    axis = {"xlabel": "$q$ (nm$^{-1}$)", "ylabel": "$S(q)$", "xlim": (0, None)}
    return plot_curves(curves, path, axis, title=title, level=1.0, dashed=reference)


@writes_figure
def plot_angles(results, path, *, title=None):
    """Plot distributions of angles, with that of random directions.

    Parameters
    ----------
    results : dict of str to AngleDistribution
    """
    curves = {label: (x.angle, x.density, x.error) for label, x in results.items()}
    angle = np.linspace(0, 180, 181)
    random = {"random": (angle, np.sin(np.radians(angle)) * np.pi / 360)}
    axis = {
        "xlabel": "Angle (°)",
        "ylabel": "Probability (1/°)",
        "xlim": (0, 180),
        "xticks": np.arange(0, 181, 30),
        "ylim": (0, None),
    }
    return plot_curves(curves, path, axis, title=title, dashed=random)


def _check_curves(curves, name):
    """Refuse curves of unequal lengths, and none at all."""
    if not curves:
        raise ValueError(f"expected at least one curve in {name}, found none")
    for label, (r, g, *_) in curves.items():
        if np.ndim(r) != 1 or np.shape(r) != np.shape(g):
            raise ValueError(
                f"expected r and g of one length for {label!r}, found shapes "
                f"{np.shape(r)} and {np.shape(g)}"
            )


def _mark_radius(axes, radius, color):
    """Mark a radius on the lower axis."""
    low = axes.get_xaxis_transform()
    axes.plot(
        [radius] * 2,
        [0, 0.05],
        color=color,
        linewidth=2.5,
        transform=low,
        solid_capstyle="butt",
    )


def _draw_reference(axes, reference, labels, name):
    """Draw reference curves: in the colour of the result of the same label, or grey."""
    shared = [label for label in labels if label in reference]
    for label in shared:
        r, g, *_ = reference[label]
        color = COLORS[labels.index(label) % len(COLORS)]
        axes.plot(r, g, color=color, **DASHED)
    draw_references(axes, {k: x for k, x in reference.items() if k not in shared})
    if shared:
        axes.plot([], [], color="0.4", label=name, **DASHED)
