# SPDX-License-Identifier: MIT
"""Errors of a model as text: a row a file, a row an element, the worst frames."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..modelfile.accuracy import accuracy_words
from ..utils.files import short_names
from ..utils.words import counted
from .tables import format_columns

# Title, unit and the metrics that a cell has.
_COLUMNS = {
    "energy": ("meV/atom", ("energy_mae", "energy_rmse")),
    "offset": ("meV/atom", ("energy_offset",)),
    "without offset": (
        "meV/atom",
        ("energy_mae_without_offset", "energy_rmse_without_offset"),
    ),
    "energy, total": ("meV", ("energy_total_mae", "energy_total_rmse")),
    "forces": ("meV/Å", ("forces_mae", "forces_rmse")),
    "stress": ("meV/Å³", ("stress_mae", "stress_rmse")),
    "stress, GPa": ("GPa", ("stress_mae_gpa", "stress_rmse_gpa")),
}
_OF_CHARGES = {"charge": "e", "dipole": "e Å"}
_KINDS = ("mae", "rmse")
# Units of metrics by their names; forces by element are as all forces.
UNITS = (
    {name: unit for unit, names in _COLUMNS.values() for name in names}
    | {f"forces_{kind}_by_element": "meV/Å" for kind in _KINDS}
    | {f"{name}_{kind}": unit for name, unit in _OF_CHARGES.items() for kind in _KINDS}
    | {"forces_rms": "meV/Å", "charges": "e", "molecule_charges": "e"}
)


def error_table(rows: Mapping[str, dict[str, Any]]) -> str:
    """Show errors, a row for each of some metrics of ``training.metrics``.

    Parameters
    ----------
    rows : mapping of str to dict
        Metrics by the name of the row; the last row has all labels.
    """
    last = list(rows.values())[-1]
    columns = {
        title: (unit, keys)
        for title, (unit, keys) in _COLUMNS.items()
        if keys[0] in last
    }
    titles = [title.partition(", GPa")[0] for title in columns]
    lines = [["MAE / RMSE", "frames", *titles]]
    lines.append(["", "", *(unit for unit, _ in columns.values())])
    for name, errors in rows.items():
        cells = [_cell(errors, keys) for _, keys in columns.values()]
        lines.append([name, str(errors["frames"]), *cells])
    return format_columns(lines)


def size_words(metrics: Mapping[str, Any]) -> str:
    """Say how large errors are beside forces and heat; see `accuracy_words`."""
    words = accuracy_words(metrics)
    return "RMSE of all: " + ";\n".join(words) if words else ""


def element_table(rows: Mapping[str, dict[str, Any]]) -> str:
    """Show errors of forces by element, as ``error_table``; empty without forces."""
    elements = list(list(rows.values())[-1]["forces_rmse_by_element"])
    if not elements:
        return ""
    lines = [["forces, meV/Å", *elements]]
    for name, errors in rows.items():
        pairs = [errors[f"forces_{kind}_by_element"] for kind in ("mae", "rmse")]
        cells = [
            " / ".join(short(pair[e]) for pair in pairs) if e in pairs[0] else "–"
            for e in elements
        ]
        lines.append([name, *cells])
    return format_columns(lines)


def calibration_table(calibration: Mapping[str, Any]) -> str:
    """Show how a committee's deviations compare with its errors.

    Parameters
    ----------
    calibration : mapping
        Of ``training.calibration.calibrations``.
    """
    units = {"energy": "energies, meV/atom", "forces": "forces on atoms, meV/Å"}
    titles = ("RMS error", "deviation", "scale", "likeliest", "miscalibration", "rank")
    lines = [["committee", *titles]]
    lines.append(["", "of mean", "of members", "", "scale", "as is / scaled", "corr."])
    for name, values in calibration.items():
        if values is None:
            continue
        percent = (values.miscalibration, values.miscalibration_scaled)
        lines.append(
            [
                units[name],
                *map(short, (values.error, values.deviation, values.scale)),
                short(values.likely_scale),
                " / ".join(f"{100 * part:,.0f} %" for part in percent),
                f"{values.rank_correlation:.2f}".replace("-", "−"),
            ]
        )
    return format_columns(lines)


def outside_table(rows: Mapping[str, dict[str, Any]]) -> str:
    """Show how many atoms are outside of what the training saw, and their errors.

    Parameters
    ----------
    rows : mapping of str to dict
        Metrics by the name of the row, with ``outside`` (``training.outside.summary``).
    """
    titles = ["frames", "atoms", "by distance", "latent", "neighbors"]
    lines = [["outside of training", *titles, "forces of them", "of others", "share"]]
    lines.append(["", "", "", "", "", "", "RMSE meV/Å", "meV/Å", "of squares"])
    for name, errors in rows.items():
        outside = errors["outside"]
        forces = [
            short(outside.get(f"forces_rmse_{where}", float("nan")))
            for where in ("outside", "within")
        ]
        share = outside.get("share_of_squared_error")
        lines.append(
            [
                name,
                f"{outside['frames']:,} of {errors['frames']:,}",
                f"{outside['atoms']:,} of {errors['atoms']:,}",
                *(f"{outside[f'by_{key}']:,}" for key in ("distance", "latent")),
                f"{outside['by_neighbors']:,}",
                *forces,
                "–" if share is None else f"{100 * share:.0f} %",
            ]
        )
    return format_columns(lines)


def worst_table(rows: Sequence[Any], number: int) -> str:
    """Show the worst frames, the first of ``training.frames.frame_errors``."""
    names = short_names(row.file for row in rows)
    outside = any(row.atoms_outside > 0 for row in rows[:number])
    last = ["outside of training"] * outside
    titles = ["energy", "forces", "largest error of a force", *last]
    lines = [["worst frames", "frame", *titles]]
    lines.append(["", "", "meV/atom", "RMSE meV/Å", "meV/Å", *[""] * outside])
    for row in rows[:number]:
        largest = "–"
        if row.largest_error_atom >= 0:
            largest = (
                f"{short(row.largest_error_mev_per_angstrom)} on atom "
                f"{row.largest_error_atom} ({row.largest_error_element})"
            )
        lines.append(
            [
                names[row.file],
                str(row.frame),
                signed(row.energy_error_mev_per_atom),
                short(row.forces_rmse_mev_per_angstrom),
                largest,
                *[row.outside] * outside,
            ]
        )
    return format_columns(lines)


def charge_table(metrics: Mapping[str, Any]) -> str:
    """Show charges of elements and molecules, as ``error_metrics`` has them."""
    lines = [["charges, e", "mean", "deviation", "number"]]
    for name, values in metrics["charges"].items():
        lines.append([name, *_charge(values), ""])
    for name, values in metrics.get("molecule_charges", {}).items():
        if name not in metrics["charges"]:
            lines.append([name, *_charge(values), f"{values['count']:,}"])
    errors = []
    for name, unit in _OF_CHARGES.items():
        if f"{name}_mae" in metrics:
            numbers = (short(metrics[f"{name}_{kind}"]) for kind in _KINDS)
            errors.append(f"{name} MAE / RMSE {' / '.join(numbers)} {unit}")
    return "\n".join([format_columns(lines), *errors])


def wave_table(rows: Sequence[Any], number: int) -> str:
    """Show the frames whose charges have the largest wave; empty without boxes.

    Parameters
    ----------
    rows : sequence of FrameErrors
    number : int
    """
    known = [row for row in rows if row.largest_wave >= 0]
    if not known or not number:
        return ""
    names = short_names(row.file for row in rows)
    lines = [["longest waves of the charges, e", "frame", "a", "b", "c"]]
    for row in sorted(known, key=lambda row: -row.largest_wave)[:number]:
        waves = (row.wave_a_e, row.wave_b_e, row.wave_c_e)
        lines.append([names[row.file], str(row.frame), *map(short, waves)])
    return format_columns(lines)


def heading(metrics: dict[str, Any], files: Mapping[str, Any]) -> str:
    """Say how many frames and atoms there are."""
    numbers = counted(metrics["frames"], "frame"), counted(metrics["atoms"], "atom")
    return f"{numbers[0]} of {counted(len(files), 'file')}, {numbers[1]}"


def file_rows(
    metrics: dict[str, Any], files: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Rows of tables: each file by its name, and all where there are several."""
    names = short_names(files)
    rows = {names[file] or "frames": errors for file, errors in files.items()}
    return rows | ({"all": metrics} if len(rows) > 1 else {})


def short(value: float) -> str:
    """Three digits or so of a number that is not negative.

    Examples
    --------
    >>> short(0.0123), short(1.2345), short(12.345), short(1234.5)
    ('0.012', '1.23', '12.3', '1,234')
    """
    if value != value:
        return "–"
    if value >= 99.95:
        return f"{value:,.0f}"
    for digits, limit in ((1, 9.995), (2, 0.9995), (3, 0.0995)):
        if value >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"


def signed(value: float) -> str:
    """Three digits or so of a number, with its sign."""
    if value != value:
        return "–"
    return ("−" if value < 0 else "+") + short(abs(value))


def _charge(values: Mapping[str, float]) -> list[str]:
    return [f"{values['mean']:+.4f}".replace("-", "−"), f"{values['deviation']:.4f}"]


def _cell(errors: dict[str, Any], keys: Sequence[str]) -> str:
    if keys[0] not in errors:
        return "–"
    if keys == ("energy_offset",):
        return signed(errors["energy_offset"])
    return " / ".join(short(errors[key]) for key in keys)
