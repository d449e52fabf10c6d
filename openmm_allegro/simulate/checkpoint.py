# SPDX-License-Identifier: MIT
"""Checkpoints: all that a run needs to go on as if it had not been interrupted.

One zip file, replaced in one step, holds OpenMM's own checkpoint (exact, for the same
platform and version), the same as a portable State, and how long each file that the
run appends to was. What was appended later is cut off before a run goes on, so that no
frame is there twice or missing.
"""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app

from ..utils.files import flush_to_disk, replace_file

# By how much all atoms are moved, and moved back, so that lists of pairs are found
# anew: more than half of any skin.
_AWAY = 1.0  # nm


class Checkpoint(NamedTuple):
    """A moment of a run.

    Attributes
    ----------
    step : int
    platform, openmm_version, integrator : str
        Those that ``exact`` can be loaded with.
    sizes : dict of str to int
        Bytes of each file that is appended to; names relative to the checkpoint.
    frames : int
        Frames with velocities that have been written.
    watchdogs : dict
        What they remember.
    exact : bytes
        From ``Context.createCheckpoint``.
    state : str
        XML of a State with positions, velocities, box and parameters.
    """

    step: int
    platform: str
    openmm_version: str
    integrator: str
    sizes: dict[str, int]
    frames: int
    watchdogs: dict[str, Any]
    exact: bytes
    state: str


def make_checkpoint(
    simulation: app.Simulation,
    integrator: str,
    sizes: dict[str, int],
    frames: int,
    watchdogs: dict[str, Any],
) -> Checkpoint:
    """Of a simulation as it is; its lists of pairs are forgotten.

    A run that goes on from a checkpoint finds its pairs anew. For its forces to be the
    same to the last bit, the run that wrote it has to do so at the same step, since the
    order of pairs decides how sums are rounded.
    """
    context = simulation.context
    state = context.getState(positions=True, velocities=True, parameters=True)
    checkpoint = Checkpoint(
        simulation.currentStep,
        context.getPlatform().getName(),
        openmm.version.version,
        integrator,
        sizes,
        frames,
        watchdogs,
        context.createCheckpoint(),
        openmm.XmlSerializer.serialize(state),
    )
    forget_pairs(context)
    return checkpoint


def restore(context: openmm.Context, checkpoint: Checkpoint, integrator: str) -> bool:
    """Bring a new Context to where the run was.

    Returns
    -------
    bool
        Whether the state is exact, with random numbers and thermostats. It is not
        where platform, version or integrator are others, which the State alone serves.
    """
    here = (context.getPlatform().getName(), openmm.version.version, integrator)
    exact = here == (
        checkpoint.platform,
        checkpoint.openmm_version,
        checkpoint.integrator,
    )
    if exact:
        try:
            context.loadCheckpoint(checkpoint.exact)
        except openmm.OpenMMException:  # another machine, or other threads
            exact = False
    if not exact:
        context.setState(openmm.XmlSerializer.deserialize(checkpoint.state))
        context.setStepCount(checkpoint.step)
    forget_pairs(context)
    return exact


def forget_pairs(context: openmm.Context) -> None:
    """Have all lists of pairs in the Context found anew at the next step."""
    positions = context.getState(positions=True).getPositions(asNumpy=True)._value
    away = positions + np.array([_AWAY, 0.0, 0.0])
    context.setPositions(away)
    context.getState(energy=True)
    context.setPositions(positions)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace a checkpoint in one step.

    Raises
    ------
    OSError
    """
    header = checkpoint._asdict()
    exact, state = header.pop("exact"), header.pop("state")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("checkpoint.json", json.dumps(header))
        archive.writestr("openmm.chk", exact)
        archive.writestr("state.xml", state)
    replace_file(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Checkpoint:
    """What ``write_checkpoint`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header: dict[str, Any] = json.loads(archive.read("checkpoint.json"))
            return Checkpoint(
                **header,
                exact=archive.read("openmm.chk"),
                state=archive.read("state.xml").decode(),
            )
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a checkpoint in {path}, found a damaged file ({error})"
        ) from error


def sizes_of(files: dict[str, Path]) -> dict[str, int]:
    """Bytes of the files that exist, after all of them are safely on the disk.

    Raises
    ------
    OSError
        If the disk is full, for instance.
    """
    return {name: flush_to_disk(path) for name, path in files.items() if path.exists()}


def cut_files(files: dict[str, Path], sizes: dict[str, int]) -> None:
    """Take from files what was appended after ``sizes_of`` measured them.

    Raises
    ------
    ValueError
        If a file is shorter than that, or missing, or nothing writes it any more;
        nothing is cut then.
    """
    for name, size in sizes.items():
        if name not in files:
            raise ValueError(
                f"expected a reporter that writes {name}, as the run had one, found "
                "none; give the same reporters, or start anew (overwrite=True)"
            )
        found = files[name].stat().st_size if files[name].is_file() else None
        if found is None or found < size:
            raise ValueError(
                f"expected at least {size} bytes in {files[name]}, as the checkpoint "
                f"has it, found {'no such file' if found is None else found}; bring "
                "it back, or start anew (overwrite=True, --force)"
            )
    for name, path in files.items():
        if path.is_file():
            os.truncate(path, sizes.get(name, 0))
            if name not in sizes:  # it did not exist then
                path.unlink()
