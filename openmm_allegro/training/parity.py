# SPDX-License-Identifier: MIT
"""Draw predicted against reference values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..utils.files import short_names
from .metrics import error_metrics, metrics_by_file

_POINTS = 200_000  # at most in a panel
_SHOWN_FILES = 12  # in a legend


class _Label(NamedTuple):
    """A kind of label as it is drawn."""

    quantity: str
    unit: str
    scale: float  # units in one of the arrays'
    error_unit: str
    error_scale: float  # error units in a unit
    digits: str
    size: float  # of the points


class _Groups(NamedTuple):
    """Groups of frames or atoms that have a colour each."""

    index: np.ndarray  # of each point
    names: Sequence[str]
    colors: Sequence[str]
    rmse: Sequence[float | None]
    title: str


_LABELS = {
    "energy": _Label(
        "energy − elements' shifts", "meV/atom", 1000.0, "meV/atom", 1.0, ".2f", 12
    ),
    "forces": _Label("force", "eV/Å", 1.0, "meV/Å", 1000.0, ".1f", 2),
    "stress": _Label("stress", "meV/Å³", 1000.0, "meV/Å³", 1.0, ".3g", 6),
}


def parity_plot(
    arrays: dict[str, np.ndarray],
    elements: Sequence[str],
    path: str | Path,
    *,
    title: str | None = None,
    reference: str = "reference",
) -> Path:
    """Draw predicted against reference values, and their errors, to an image.

    Energies and, where there are any, forces and stresses. Forces are coloured by
    element; of several files the other points are coloured by file, and forces a second
    time.

    Parameters
    ----------
    arrays : dict
        From ``evaluate``. Values that are not finite are left out.
    elements : sequence of str
    path : path
        Of the image; its folder is made if need be.
    title : str, optional
    reference : str
        Name of the labels on the axes, such as "PBE" or "teacher's".

    Returns
    -------
    Path
    """
    from matplotlib.figure import Figure

    metrics = error_metrics(arrays, elements)
    files = list(dict.fromkeys(arrays["files"].tolist())) if "files" in arrays else []
    several = len(files) > 1
    by_file = metrics_by_file(arrays, elements) if several else {}
    panels = [
        (name, kind)
        for name in _LABELS
        if f"{name}_rmse" in metrics
        for kind in _kinds(name, several)
    ]
    if not panels:
        raise ValueError("parity_plot: expected labels to draw, found none")
    figure = Figure(figsize=(4.2 * len(panels), 6.4), layout="constrained")
    shape = {"height_ratios": (3, 1), "sharex": "col", "squeeze": False}
    above, below = figure.subplots(2, len(panels), **shape)
    for axes, under, (name, kind) in zip(above, below, panels, strict=True):
        label = _LABELS[name]
        groups = _groups(arrays, name, kind, elements, metrics, by_file)
        _draw(axes, under, label, *_values(arrays, name), groups)
        rmse = format(metrics[f"{name}_rmse"], label.digits)
        axes.set_title(f"{name}, RMSE {rmse} {label.error_unit}", fontsize=10)
        axes.set_ylabel(f"predicted {label.quantity} ({label.unit})")
        under.set_xlabel(f"{reference} {label.quantity} ({label.unit})")
        under.set_ylabel(f"error ({label.error_unit})")
        if kind != "all":
            _add_legend(under, groups, label)
    if title:
        figure.suptitle(title, fontsize=11)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
    return path


def _kinds(name: str, several: bool) -> list[str]:
    """What the points of a label are coloured by, a panel each."""
    if name == "forces":
        return ["element", *["file"] * several]
    return ["file"] if several else ["all"]


def _groups(
    arrays: dict[str, np.ndarray],
    name: str,
    kind: str,
    elements: Sequence[str],
    metrics: dict[str, Any],
    by_file: dict[str, dict[str, Any]],
) -> _Groups:
    from matplotlib import colormaps

    entries = arrays[f"{name}_reference"]
    each = entries[0].size if len(entries) else 1  # components
    if kind == "all":
        return _Groups(np.zeros(entries.size, dtype=int), [""], ["C0"], [None], "")
    if kind == "element":
        errors = [metrics["forces_rmse_by_element"].get(e) for e in elements]
        colors = [f"C{i}" for i in range(len(elements))]
        index = np.repeat(arrays["types"], each)
        return _Groups(index, elements, colors, errors, "RMSE (meV/Å)")
    files = list(by_file)
    index = np.array([files.index(file) for file in arrays["files"].tolist()])
    if name == "forces":
        index = np.repeat(index, arrays["sizes"])
    errors = [by_file[file].get(f"{name}_rmse") for file in files]
    palette = colormaps["Dark2" if len(files) <= 8 else "tab20"].colors
    colors = [palette[i % len(palette)] for i in range(len(files))]
    names = list(short_names(files).values())
    unit = _LABELS[name].error_unit
    return _Groups(np.repeat(index, each), names, colors, errors, f"RMSE ({unit})")


def _values(arrays: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reference and prediction of each point."""
    shift = 0.0
    if name == "energy":
        # The elements' part would dwarf the rest where compositions differ.
        shift = arrays.get("energy_shift", np.nanmean(arrays["energy_reference"]))
    reference, prediction = (
        (arrays[f"{name}_{kind}"] - shift).ravel() * _LABELS[name].scale
        for kind in ("reference", "prediction")
    )
    return reference, prediction


def _draw(
    axes: Any,
    below: Any,
    label: _Label,
    reference: np.ndarray,
    prediction: np.ndarray,
    groups: _Groups,
) -> None:
    """Draw points about the diagonal, and below them their distances from it."""
    error = (prediction - reference) * label.error_scale
    known = np.isfinite(error)
    order = _order(groups.index, np.where(known, np.abs(error), 0.0), known)
    both = np.concatenate((reference[known], prediction[known]))
    margin = 0.05 * np.ptp(both) or 1.0
    limits = (both.min() - margin, both.max() + margin)
    largest = 1.1 * np.abs(error[known]).max() or 1.0
    colors = _rgb(groups.colors)[groups.index[order]]
    look = dict(s=label.size, c=colors, linewidths=0, alpha=0.7, rasterized=True)
    axes.plot(limits, limits, color="0.6", lw=0.8, zorder=0)
    axes.scatter(reference[order], prediction[order], **look)
    axes.set(xlim=limits, ylim=limits, box_aspect=1)
    axes.locator_params(nbins=6)
    below.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    below.scatter(reference[order], error[order], **look)
    below.set(ylim=(-largest, largest), box_aspect=1 / 3)


def _order(index: np.ndarray, error: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Order in which points are drawn: at random, rare groups on top.

    In their own order the last group would cover the others. Of too many points the
    largest errors are kept, and of the others some at random.
    """
    random = np.random.default_rng(0).random(len(index))
    counts = np.bincount(index, minlength=1)
    order = np.argsort(random + (counts[index] < 0.1 * len(index)))
    order = order[known[order]]
    if len(order) > _POINTS:
        limit = np.partition(error, -_POINTS // 100)[-_POINTS // 100]
        kept = (error >= limit) | (random < _POINTS / len(order))
        order = order[kept[order]]
    return order


def _rgb(colors: Sequence[Any]) -> np.ndarray:
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(color) for color in colors])


def _add_legend(axes: Any, groups: _Groups, label: _Label) -> None:
    """Name the colours and errors of groups below a panel."""
    known = [i for i, error in enumerate(groups.rmse) if error is not None]
    for i in known[:_SHOWN_FILES]:
        text = f"{groups.names[i]}: {format(groups.rmse[i], label.digits)}"
        axes.plot([], [], "o", ms=5, color=groups.colors[i], label=text)
    if len(known) > _SHOWN_FILES:
        axes.plot([], [], " ", label=f"and {len(known) - _SHOWN_FILES} more")
    longest = max(len(str(groups.names[i])) for i in known)
    axes.legend(
        title=groups.title,
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.45),
        ncols=4 if longest < 4 else 2 if longest < 16 else 1,
        columnspacing=1.0,
        handletextpad=0.2,
    )
