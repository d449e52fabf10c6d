# SPDX-License-Identifier: MIT
"""Files of a loop: its record, the log of frames, and the errors of its rounds.

What a loop has done is in the files of its rounds, each of which is written in one step
when its work is done; the two tables are written anew from them.
"""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runs.names import LOOP_FILES
from ..utils.config import brief_names
from ..utils.files import read_record, replace_file, write_record
from ..utils.settings import settings_of
from .loop_file import Loop
from .settings import LoopConfig

LOOP, FRAMES, ERRORS = (LOOP_FILES[n] for n in ("record", "frames", "errors"))
ROUND = "round-{:02d}"
# of a round: errors of its committee; candidates and picks; labels of those
MEASURED, PICKED, LABELLED = "errors.json", "picked.json", "labelled.json"
FRAME_COLUMNS = (
    *("round", "frame", "origin", "deviation_ev_a", "distance"),
    *("force_error_mev_a", "labelled", "reason"),
)
ERROR_COLUMNS = (
    *("round", "frames", "labelled", "failed", "test_frames"),
    *("energy_mae_mev_atom", "energy_rmse_mev_atom"),
    *("forces_mae_mev_a", "forces_rmse_mev_a", "test_deviation_mev_a"),
    *("candidates", "median_deviation_mev_a", "deviation_of_90_percent_mev_a"),
)


def round_folder(output: Path, number: int) -> Path:
    """Folder of a round."""
    return output / ROUND.format(number)


def begin(loop: Loop, output: Path, *, resume: bool, overwrite: bool) -> None:
    """Write the record of a loop, or check that one that is resumed is the same.

    Raises
    ------
    FileExistsError
        If the folder has a loop, and neither ``resume`` nor ``overwrite`` is set.
    ValueError
        If settings differ that may not change.
    """
    path, record = output / LOOP, _plain(loop.record())
    if overwrite:
        for folder in output.glob("round-*"):
            shutil.rmtree(folder)
        for name in (LOOP, FRAMES, ERRORS):
            (output / name).unlink(missing_ok=True)
    if not path.exists():
        if resume and any(output.glob("round-*")):
            raise ValueError(f"expected the record of a loop at {path}, found none")
        write_record(path, record | {"finished": False})
        return
    if not resume:
        raise FileExistsError(
            f"expected no loop yet in {output}, found {path}; use another folder, "
            "resume=True (--resume) to continue it, or overwrite=True (--force)"
        )
    _check_same(record, read_record(path), path)
    write_record(path, record | {"finished": False})


def _check_same(now: dict[str, Any], before: dict[str, Any], path: Path) -> None:
    """Refuse settings on which the rounds that are done depend."""
    free = {name for name, m in settings_of(LoopConfig).items() if m.may_change}
    for table, values in now.items():
        old = before.get(table)
        if table == "learn" and isinstance(old, Mapping):
            values = {k: v for k, v in values.items() if k not in free}
            old = {k: v for k, v in old.items() if k not in free}
        if values == old:
            continue
        names = [table]
        if isinstance(values, Mapping) and isinstance(old, Mapping):
            names = [f"{table}: {k}" for k in values if values[k] != old.get(k)]
        raise ValueError(
            f"expected the settings of {path} to resume its loop, found others of "
            f"{brief_names(names)}; only {', '.join(sorted(free))} may change"
        )


def _plain(value: Any) -> Any:
    """Tables as JSON gives them back: lists for tuples, text for keys."""
    if isinstance(value, Mapping):
        return {
            ",".join(k) if isinstance(k, tuple) else str(k): _plain(v)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def rounds_of(output: Path) -> list[dict[str, dict[str, Any]]]:
    """Read what the rounds of a loop wrote, in order, by the names of the files."""
    found = []
    while (folder := round_folder(output, len(found))).is_dir():
        found.append(
            {
                name: read_record(folder / name)
                for name in (MEASURED, PICKED, LABELLED)
                if (folder / name).exists()
            }
        )
    return found


def write_tables(output: Path) -> None:
    """Write the log of frames and the table of errors from the files of the rounds."""
    rounds = rounds_of(output)
    frames = [row for k, done in enumerate(rounds) for row in _frames(k, done)]
    errors = [
        _errors(number, done) for number, done in enumerate(rounds) if MEASURED in done
    ]
    replace_file(output / FRAMES, _csv(FRAME_COLUMNS, frames))
    replace_file(output / ERRORS, _csv(ERROR_COLUMNS, errors))


def _frames(number: int, done: dict[str, Any]) -> list[dict[str, Any]]:
    labels = done.get(LABELLED, {})
    rows = []
    for index, pick in enumerate(done.get(PICKED, {}).get("picks", [])):
        failure = labels["failures"][index] if labels else "not yet"
        error = labels["force_errors_mev_a"][index] if labels else None
        rows.append(
            {"round": number, "frame": index}
            | pick
            | {"force_error_mev_a": error, "labelled": failure or "yes"}
        )
    return rows


def _errors(number: int, done: dict[str, Any]) -> dict[str, Any]:
    return {"round": number} | done[MEASURED] | done.get(PICKED, {}).get("summary", {})


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _shown(row.get(name)) for name in columns})
    return text.getvalue()


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
