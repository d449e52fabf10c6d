# SPDX-License-Identifier: MIT
"""Label frames: by a command, by an ASE calculator, or from the files of a pool."""

import dataclasses
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..structure import Structure, from_ase
from ..utils.reasons import reason_of
from .answers import FAILED, Answer, read_answer
from .frames import Candidate, read_frames, to_ase, write_frames
from .loop_file import Loop, calculator_class

log = logging.getLogger(__name__)

NOT_READY = 75  # exit status of a command whose labels are not there yet (EX_TEMPFAIL)
_LOG = "command.log"  # what the command prints
_SHOWN = 500  # characters of it in a message


class LabelsNotReadyError(RuntimeError):
    """The command has no labels yet; the loop can be resumed later."""


def label(
    loop: Loop,
    picked: Sequence[Candidate],
    predicted: Sequence[np.ndarray],
    request: Path,
) -> Answer:
    """Label picked frames.

    Parameters
    ----------
    loop : Loop
    picked : sequence of Candidate
    predicted : sequence of ndarray [N, 3]
        The committee's forces on them, eV/Å.
    request : Path
        File with the frames; what labels them writes beside it.

    Raises
    ------
    LabelsNotReadyError
        If the command ends with the status 75.
    RuntimeError
        If it ends with another one than 0.
    ValueError
        As ``read_answer``.
    """
    structures = [candidate.structure for candidate in picked]
    if loop.source.kind == "pool":
        return Answer(structures, [""] * len(structures))
    with_forces = loop.training.forces_weight > 0
    if loop.source.kind == "ase":
        return _by_calculator(loop, structures, request.with_name("labels"))
    answer = request.with_name("answer.extxyz")
    _run_command(loop, request, answer)
    return read_answer(answer, structures, predicted, loop.labels, forces=with_forces)


def _run_command(loop: Loop, request: Path, answer: Path) -> None:
    """Run the command, which reads the request and writes the answer."""
    names = {"frames": str(request.absolute()), "output": str(answer.absolute())}
    words = [_filled(word, names) for word in loop.source.command]
    output = request.with_name(_LOG)
    with open(output, "ab") as file:
        try:
            done = subprocess.run(
                words,
                cwd=loop.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise RuntimeError(
                f"labels: expected a program that can be run, found {words[0]!r} "
                f"({error.strerror or error})"
            ) from error
    if done.returncode == NOT_READY:
        raise LabelsNotReadyError(
            f"the labels of {request} are not ready (status {NOT_READY} of the "
            "command); --resume asks again"
        )
    if done.returncode:
        text = output.read_text(errors="replace").strip()[-_SHOWN:]
        raise RuntimeError(
            f"labels: expected the command to end with status 0, found "
            f"{done.returncode}; {output} ends with: {text or 'nothing'}"
        )


def _filled(word: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _by_calculator(loop: Loop, structures: Sequence[Structure], folder: Path) -> Answer:
    """Label by an ASE calculator; each frame is kept as soon as it is done."""
    folder.mkdir(exist_ok=True)
    make = calculator_class(loop.source.calculator, "labels")
    calculator = make(**loop.arguments)
    labelled: list[Structure | None] = []
    failures = []
    for number, structure in enumerate(structures):
        path = folder / f"{number:05d}.extxyz"
        if not path.exists():
            _compute(calculator, structure, path)
        (atoms,) = read_frames(path)
        failures.append(str(atoms.info.get(FAILED, "")))
        where = f"{path.name} of {folder}"
        labelled.append(
            None if failures[-1] else from_ase(atoms, where=where, labels=True)
        )
    if structures and not any(labelled):
        raise ValueError(
            f"labels: expected labels of at least one frame by {loop.source.calculator}"
            f", found none: {failures[0]}"
        )
    return Answer(labelled, failures)


def _compute(calculator, structure: Structure, path: Path) -> None:
    """Compute one frame and write it with its labels, or with why there are none."""
    atoms = to_ase(structure)
    atoms.calc = calculator
    labels, info = {}, {}
    try:
        labels = {
            "energy": float(atoms.get_potential_energy()),
            "forces": np.array(atoms.get_forces()),
        }
        if "stress" in calculator.implemented_properties and structure.periodic.all():
            labels["stress"] = atoms.get_stress(voigt=False)
    except Exception as error:  # a calculator raises what it likes
        info[FAILED] = f"{type(error).__name__}: {reason_of(error)}"
        log.warning("%s failed: %s", path.stem, info[FAILED])
    write_frames(path, [_with_labels(structure, {} if info else labels)], [info])


def _with_labels(structure: Structure, labels: dict) -> Structure:
    bare = dataclasses.replace(structure, energy=None, forces=None, stress=None)
    return dataclasses.replace(bare, **labels)
