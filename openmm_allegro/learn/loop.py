# SPDX-License-Identifier: MIT
"""Run a loop of active learning: train, explore, pick, label, and again.

The committee is that of C. Schran, K. Brezina and O. Marsalek, doi:10.1063/5.0016004;
the loop is query by committee, as E. V. Podryabinkin and A. V. Shapeev,
doi:10.1016/j.commatsci.2017.08.031, and L. Zhang et al.,
doi:10.1103/PhysRevMaterials.3.023804, made it for potentials.
"""

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..model.model import Model
from ..modelfile import load_model
from ..structure import Structure, from_ase
from ..training.calibration import committee_result
from ..training.evaluate import evaluate
from ..utils.files import lock_output, read_record, replacing, write_record
from ..utils.words import counted
from .explore import explore
from .frames import NUMBER, ORIGIN, Candidate, read_frames, write_frames
from .label import label
from .loop_file import Loop, read_loop
from .members import member_paths, remove_training, train_members
from .pick import Picks, pick_at_random, pick_frames
from .record import (
    LABELLED,
    LOOP,
    MEASURED,
    PICKED,
    begin,
    round_folder,
    write_tables,
)
from .score import Scores, descriptors, score, typical_distance

log = logging.getLogger(__name__)

REQUEST, FRAMES = "request.extxyz", "labelled.extxyz"  # of a round


class Learnt(NamedTuple):
    """End of a loop."""

    models: list[Path]
    frames: int  # that it labelled
    reason: str


class _State(NamedTuple):
    """What a loop knows when a round begins."""

    labelled: list[Structure]
    origins: set[str]  # of frames that are labelled or could not be
    count: int  # labelled by the loop
    failed: int


def learn(
    path: str | Path,
    output: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Learnt:
    """Run the loop that a file describes, until a rule stops it.

    Each round trains the committee on all labelled frames, measures its error on the
    test frames, explores, picks frames, and has them labelled. What is done is in
    files, and a loop that was killed goes on to the result of one that was not.

    Parameters
    ----------
    path : path
        TOML, see ``read_loop``. It names programs, which are run.
    output : path
        Folder: ``model-1.safetensors`` and so on, of the last committee;
        ``frames.csv``, each frame and why it was picked; ``errors.csv``; ``loop.json``,
        the settings; and a folder for each round.
    resume : bool
        Whether to continue the loop in the folder.
    overwrite : bool
        Whether to throw one away.
    progress : bool
        Whether to show progress bars.

    Raises
    ------
    FileExistsError
        If there is a loop and neither ``resume`` nor ``overwrite`` is set.
    LabelsNotReadyError
        If a labelling command says so; resume later.
    RuntimeError
        If another loop writes there now, or a labelling command fails.
    FileNotFoundError, ValueError
        As ``read_loop``, ``train`` and ``read_answer``.
    """
    loop, output = read_loop(path), Path(output)
    with lock_output(output / "learn"):
        begin(loop, output, resume=resume, overwrite=overwrite)
        state, number = _State([*loop.known], set(), 0, 0), 0
        while True:
            folder = round_folder(output, number)
            folder.mkdir(exist_ok=True)
            log.info("round %d, %s", number, counted(len(state.labelled), "frame"))
            paths = train_members(loop, state.labelled, folder, progress=progress)
            remove_training(folder)
            models = [load_model(model) for model in paths]
            measured = _measure(loop, models, state, folder)
            write_tables(output)
            reason = _reason_before(loop, state, number)
            if not reason:
                picked = _pick(loop, number, paths, models, state, folder, progress)
                write_tables(output)
                reason = _reason_after(loop, measured, picked)
            if reason:
                break
            state = _label(loop, models, state, folder)
            write_tables(output)
            number += 1
        finals = member_paths(output, len(paths))
        for source, final in zip(paths, finals, strict=True):
            with replacing(final) as partial:
                shutil.copyfile(source, partial)
        record = read_record(output / LOOP)
        write_record(output / LOOP, record | {"finished": True, "reason": reason})
    log.info("the loop ends: %s", reason)
    return Learnt(finals, state.count, reason)


def _measure(
    loop: Loop, models: Sequence[Model], state: _State, folder: Path
) -> dict[str, Any]:
    """Errors of the committee's mean on the test frames."""
    path = folder / MEASURED
    if path.exists():
        return read_record(path)
    measured: dict[str, Any] = {
        "frames": len(state.labelled),
        "labelled": state.count,
        "failed": state.failed,
        "test_frames": len(loop.test),
    }
    if loop.test:
        results = [evaluate(model, loop.test) for model in models]
        result = committee_result(results, models[0].config.elements)
        errors = result["metrics"]
        for name in ("energy_mae", "energy_rmse"):
            measured[f"{name}_mev_atom"] = _number(errors.get(name))
        for name in ("forces_mae", "forces_rmse"):
            measured[f"{name}_mev_a"] = _number(errors.get(name))
        squares = np.square(result["arrays"]["forces_deviation"]).mean()
        measured["test_deviation_mev_a"] = 1000 * float(np.sqrt(squares))
    write_record(path, measured)
    return measured


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _reason_before(loop: Loop, state: _State, number: int) -> str:
    """Why the loop ends before it explores, if it does."""
    config = loop.config
    if config.budget and state.count + state.failed >= config.budget:
        return f"the budget of {counted(config.budget, 'frame')} is used"
    if number >= config.rounds:
        return f"rounds = {config.rounds} is reached"
    return ""


def _reason_after(loop: Loop, measured: dict[str, Any], picked: dict[str, Any]) -> str:
    """Why the loop ends after it has explored, if it does."""
    config, rules = loop.config, []
    error = measured.get("forces_rmse_mev_a")
    deviation = picked["summary"]["deviation_of_90_percent_mev_a"]
    for target, value, what in (
        (config.target_error_mev_a, error, "error of forces on the test frames"),
        (config.target_deviation_mev_a, deviation, "deviation of nine in ten frames"),
    ):
        if target and (value is None or value > target):
            rules.append("")
        elif target:
            rules.append(f"the {what} is {value:.3g}, at most {target:g} meV/Å")
    if rules and all(rules):
        return " and ".join(rules)
    return "" if picked["picks"] else "no candidate is left to pick"


def _pick(
    loop: Loop,
    number: int,
    paths: Sequence[Path],
    models: Sequence[Model],
    state: _State,
    folder: Path,
    progress: bool,
) -> dict[str, Any]:
    """Explore and pick frames; the request has them, and a record says why."""
    path, config = folder / PICKED, loop.config
    if path.exists():
        return read_record(path)
    where = folder / "explore"
    found = explore(loop, number, paths, where, state.origins, progress=progress)
    scores = score(models, [candidate.structure for candidate in found])
    count = config.frames
    if config.budget:
        count = min(count, config.budget - state.count - state.failed)
    picks = _choose(loop, number, models[0], state, found, scores, count)
    chosen = [found[pick.index] for pick in picks.picks]
    rows = [
        {
            "origin": found[pick.index].origin,
            "deviation_ev_a": round(float(scores.deviations[pick.index]), 6),
            "distance": round(pick.distance, 4) if np.isfinite(pick.distance) else None,
            "reason": pick.reason,
        }
        for pick in picks.picks
    ]
    infos = [
        {NUMBER: k, ORIGIN: candidate.origin} for k, candidate in enumerate(chosen)
    ]
    write_frames(folder / REQUEST, [_bare(loop, c.structure) for c in chosen], infos)
    high = 1000 * scores.deviations
    summary = {
        "candidates": len(found),
        "broken": picks.broken,
        "near_duplicates": picks.duplicates,
        "median_deviation_mev_a": float(np.median(high)) if len(high) else None,
        "deviation_of_90_percent_mev_a": float(np.quantile(high, 0.9))
        if len(high)
        else None,
    }
    record = {"summary": summary, "picks": rows}
    write_record(path, record)
    log.info("picked %d of %d candidates", len(rows), len(found))
    return record


def _bare(loop: Loop, structure: Structure) -> Structure:
    """A frame to be labelled; only those of a labelled pool keep their labels."""
    if loop.source.kind == "pool":
        return structure
    return dataclasses.replace(structure, energy=None, forces=None, stress=None)


def _choose(
    loop: Loop,
    number: int,
    model: Model,
    state: _State,
    found: Sequence[Candidate],
    scores: Scores,
    count: int,
) -> Picks:
    """Pick among candidates, as the settings say."""
    if not found:
        return Picks([], 0, 0)
    config = loop.config
    structures = [c.structure for c in found]
    places = descriptors(model, [*structures, *state.labelled])
    places = places / typical_distance(places[: len(found)])
    known = places[len(found) :]
    if config.pick == "random":
        gaps = np.full(len(found), np.inf)
        for frame in known:
            gaps = np.minimum(
                gaps, np.linalg.norm(places[: len(found)] - frame, axis=1)
            )
        return pick_at_random(len(found), count, [config.seed, number], gaps)
    return pick_frames(
        scores.deviations,
        places[: len(found)],
        known,
        count,
        least=config.least_distance,
        largest=config.largest_deviation_ev_a or np.inf,
    )


def _label(loop: Loop, models: Sequence[Model], state: _State, folder: Path) -> _State:
    """Have the picked frames labelled, and add them to what is known."""
    path, picked = folder / LABELLED, read_record(folder / PICKED)["picks"]
    if not path.exists():
        asked = [
            Candidate(row["origin"], from_ase(atoms, where=row["origin"]))
            for atoms, row in zip(read_frames(folder / REQUEST), picked, strict=True)
        ]
        predicted = score(models, [c.structure for c in asked]).forces
        answer = label(loop, asked, predicted, folder / REQUEST)
        good = [k for k, s in enumerate(answer.structures) if s is not None]
        write_frames(
            folder / FRAMES,
            [answer.structures[k] for k in good],
            [{NUMBER: k, ORIGIN: asked[k].origin} for k in good],
        )
        errors = [
            _force_error(structure, forces)
            for structure, forces in zip(answer.structures, predicted, strict=True)
        ]
        write_record(path, {"failures": answer.failures, "force_errors_mev_a": errors})
        for candidate, failure in zip(asked, answer.failures, strict=True):
            if failure:
                log.warning("%s is left out: %s", candidate.origin, failure)
    failed = sum(map(bool, read_record(path)["failures"]))
    new = [
        from_ase(atoms, where=str(atoms.info[ORIGIN]))
        for atoms in read_frames(folder / FRAMES)
    ]
    return _State(
        [*state.labelled, *new],
        state.origins | {row["origin"] for row in picked},
        state.count + len(new),
        state.failed + failed,
    )


def _force_error(structure: Structure | None, forces: np.ndarray) -> float | None:
    """RMSE of the components of predicted forces, meV/Å; None without labels."""
    if structure is None or structure.forces is None:
        return None
    return 1000 * float(np.sqrt(np.square(forces - structure.forces).mean()))
