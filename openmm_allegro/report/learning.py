# SPDX-License-Identifier: MIT
"""A loop of active learning as one HTML page: errors, and what was added and why."""

import csv
import tempfile
from pathlib import Path

import numpy as np

from ..analysis.figures.learning import plot_learning
from ..runs.names import LOOP_FILES
from ..utils.files import read_record, replace_file
from ..utils.words import counted
from .downloads import rounded
from .html import (
    attempt,
    document,
    facts,
    figure,
    note,
    paragraph,
    section,
    side_by_side,
    table,
    tiles,
)
from .learning_methods import learning_methods

_ROWS = 500  # of the table of frames
_QUANTITIES = {
    "forces_rmse_mev_a": "RMSE of forces (meV/Å)",
    "energy_rmse_mev_atom": "RMSE of energies (meV/atom)",
    "median_deviation_mev_a": "Median deviation (meV/Å)",
}


def learning_page(folder, path, others=()):
    """Write the page of a loop.

    Parameters
    ----------
    folder : str or Path
        Of ``openmm-allegro learn``.
    path : str or Path
        File to write.
    others : sequence of str or Path
        Folders of loops to draw beside it, such as one that picks at random.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder has no loop, or its tables cannot be read.
    """
    folder, path = Path(folder), Path(path)
    record, errors = read_record(folder / LOOP_FILES["record"]), read_errors(folder)
    frames = _read_table(folder / LOOP_FILES["frames"])
    loops = {_label(Path(other)): read_errors(other) for other in others}
    with tempfile.TemporaryDirectory() as place:
        content = _content(folder, record, errors, frames, loops, Path(place))
    replace_file(path, content)
    return path


def read_errors(folder):
    """Read the table of errors of a loop, a row of text values for each round.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    return _read_table(Path(folder) / LOOP_FILES["errors"])


def learning_curve(errors, quantity):
    """Numbers of labelled frames and values of a column, where there are any.

    Parameters
    ----------
    errors : list of dict
        Of ``read_errors``.
    quantity : str
        A column.

    Returns
    -------
    frames, values : ndarray
    """
    rows = [
        (int(row["frames"]), float(row[quantity])) for row in errors if row[quantity]
    ]
    return tuple(np.array(rows, dtype=float).reshape(-1, 2).T)


def _label(folder):
    """Name a loop by how it picks, and by its folder."""
    picks = read_record(folder / LOOP_FILES["record"])["learn"]["pick"]
    return f"{folder.name} ({picks})"


def _read_table(path):
    if not path.is_file():
        raise FileNotFoundError(f"expected a table of a loop at {path}, found nothing")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _content(folder, record, errors, frames, loops, place):
    last = errors[-1] if errors else {}
    first = tiles(
        [
            (last.get("frames") or "0", "", "labelled frames"),
            (last.get("labelled") or "0", "", "of them asked for"),
            (_short(last.get("forces_rmse_mev_a")), "meV/Å", "RMSE of test forces"),
            (
                _short(last.get("deviation_of_90_percent_mev_a")),
                "meV/Å",
                "deviation of nine in ten candidates",
            ),
        ]
    )
    ended = record.get("reason", "it has not ended")
    picks = record["learn"]["pick"]
    words = f"Active learning · picks: {picks} · {counted(len(errors), 'round')}"
    sections = [
        section("Summary", note(f"The loop ended because {ended}."), _facts(record)),
        learning_methods(record, errors),
        _curves(record, folder, errors, loops, place),
        _rounds(errors),
        _frames(frames),
    ]
    return document(folder.name, words, first, sections)


def _short(value):
    return rounded(float(value), ".3g") if value else "–"


def _facts(record):
    config = record["learn"]
    labels = record["labels"]
    who = {
        "command": " ".join(labels["command"]),
        "ase": labels["calculator"],
        "pool": "the files of the pool",
    }
    rows = [
        ("Members", str(config["members"])),
        ("Start from", ", ".join(config["start_from"]) or "random weights"),
        ("Labels by", who[labels["kind"]]),
        ("Frames of a round", str(config["frames"])),
        ("Seed", str(config["seed"])),
        ("Explorations", ", ".join(e["name"] for e in record["explore"])),
    ]
    return facts(rows)


def _curves(record, folder, errors, loops, place):
    parts = []
    for name, ylabel in _QUANTITIES.items():
        own = {f"{folder.name} ({record['learn']['pick']})": errors} | loops
        curves = {label: learning_curve(rows, name) for label, rows in own.items()}
        curves = {label: curve for label, curve in curves.items() if len(curve[0])}
        if curves:
            target = None
            if name == "forces_rmse_mev_a":
                target = record["learn"]["target_error_mev_a"]
            parts.append(attempt(ylabel, _curve, curves, ylabel, target, place))
    return section(
        "Errors against frames",
        side_by_side(*parts) if parts else paragraph("No round has been measured."),
        paragraph(
            "Errors are those of the committee's mean on the test frames, which no "
            "member sees; deviations are those of the candidates of each round."
        ),
    )


def _curve(curves, ylabel, target, place):
    return figure(
        lambda path: plot_learning(curves, path, ylabel, target=target),
        place,
        f"{ylabel} against labelled frames",
    )


def _rounds(errors):
    columns = {
        "round": "round",
        "frames": "frames",
        "failed": "failed",
        "energy_rmse_mev_atom": "energy RMSE, meV/atom",
        "forces_mae_mev_a": "forces MAE, meV/Å",
        "forces_rmse_mev_a": "forces RMSE, meV/Å",
        "test_deviation_mev_a": "deviation of test forces, meV/Å",
        "candidates": "candidates",
        "median_deviation_mev_a": "their median deviation, meV/Å",
        "deviation_of_90_percent_mev_a": "of nine in ten at most, meV/Å",
    }
    whole = ("round", "frames", "failed", "candidates")
    rows = [
        tuple(
            row[name] or "–" if name in whole else _short(row[name]) for name in columns
        )
        for row in errors
    ]
    return section("Rounds", table(tuple(columns.values()), rows))


def _frames(frames):
    header = (
        *("round", "frame", "from", "why", "error of forces before, meV/Å"),
        "labelled",
    )
    rows = [
        (
            *(row["round"], row["frame"], row["origin"], row["reason"]),
            *(_short(row["force_error_mev_a"]), row["labelled"]),
        )
        for row in frames[:_ROWS]
    ]
    more = len(frames) - len(rows)
    return section(
        "Frames that were added",
        table(header, rows, long=True) if rows else paragraph("None."),
        note(f"{more} more are in frames.csv.") if more > 0 else None,
    )
