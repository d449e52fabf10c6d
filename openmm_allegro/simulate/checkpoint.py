# SPDX-License-Identifier: MIT
"""Checkpoints, from which a run continues as if it had not been interrupted.

One zip file, replaced in one step, holds OpenMM's own checkpoint (exact, for the same
platform and version), the same as a portable State, and the length and checksums of
each file that the run appends to. Before a run is resumed, its files are cut to these
lengths, so that no frame is repeated or missing. Beads of a ring polymer, which
OpenMM's checkpoint leaves out, are beside it.
"""

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app

from ..classical.serialized import read_state
from ..nuclei.ring_polymer import Beads, RingPolymerContext
from ..utils.files import replace_file
from .barostat import barostat_of, recall
from .file_sums import Sums

# All atoms are moved by this and back, which makes lists of pairs invalid: it is more
# than half of any skin.
_AWAY = 1.0  # nm
_BIAS = "bias.npz"
_BEADS = "beads.npz"


class Checkpoint(NamedTuple):
    """A moment of a run.

    Attributes
    ----------
    step : int
    platform, openmm_version, integrator : str
        Platform, version and integrator that ``exact`` can be loaded with.
    sizes : dict of str to int
        Bytes of each file that grows, by its key, see ``file_sums``.
    frames : int
        Frames with velocities that have been written.
    watchdogs : dict
        Memory of the watchdogs.
    exact : bytes
        Result of ``Context.createCheckpoint``.
    state : str
        XML of a State with positions, velocities, box and parameters.
    blocks : dict of str to list of int
        Checksums of the blocks of each file that grows, see ``file_sums``.
    velocity_sum : int, optional
        Checksum of the frames with velocities.
    barostat : dict, optional
        Memory of the barostat, see ``barostat``.
    bias : dict of str to ndarray, optional
        State of a bias that learns.
    beads : Beads, optional
        Of a ring polymer.
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
    blocks: dict[str, list[int]]
    velocity_sum: int | None
    barostat: dict[str, Any] | None = None
    bias: dict[str, np.ndarray] | None = None
    beads: Beads | None = None

    @property
    def sums(self) -> Sums:
        """Sizes and checksums of the files that grow."""
        return Sums(self.sizes, self.blocks)


def make_checkpoint(
    simulation: app.Simulation,
    integrator: str,
    sums: Sums,
    frames: int,
    watchdogs: dict[str, Any],
    velocity_sum: int | None = None,
    barostat: dict[str, Any] | None = None,
    bias: dict[str, np.ndarray] | None = None,
) -> Checkpoint:
    """Make a checkpoint of a simulation; its lists of pairs are forgotten.

    A run that is resumed builds its lists anew. Our forces do not depend on when that
    is, but a force field's may, and their rounding decides the last bits.
    """
    context = simulation.context
    state = context.getState(positions=True, velocities=True, parameters=True)
    checkpoint = Checkpoint(
        simulation.currentStep,
        context.getPlatform().getName(),
        openmm.version.version,
        integrator,
        sums.sizes,
        frames,
        watchdogs,
        context.createCheckpoint(),
        openmm.XmlSerializer.serialize(state),
        sums.blocks,
        velocity_sum,
        barostat,
        bias,
        context.beads() if isinstance(context, RingPolymerContext) else None,
    )
    forget_pairs(context)
    return checkpoint


def restore(context: openmm.Context, checkpoint: Checkpoint, integrator: str) -> bool:
    """Bring a new Context to the state of a checkpoint.

    Returns
    -------
    bool
        Whether the state is exact, with random numbers and thermostats. With another
        platform, version or integrator, positions and velocities alone are restored.
    """
    if barostat_of(context) is not None:
        recall(context, checkpoint.barostat or {}, checkpoint.step)
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
        context.setState(read_state(checkpoint.state, "state.xml of the checkpoint"))
        context.setStepCount(checkpoint.step)
    if checkpoint.beads is not None:
        context.set_beads(checkpoint.beads)
    forget_pairs(context)
    return exact


def forget_pairs(context: openmm.Context) -> None:
    """Make a Context build all its lists of pairs anew at the next step."""
    away = np.array([_AWAY, 0.0, 0.0])
    if isinstance(context, RingPolymerContext):
        context.forget_pairs(away)
        return
    positions = context.getState(positions=True).getPositions(asNumpy=True)._value
    context.setPositions(positions + away)
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
    bias = header.pop("bias")
    beads = header.pop("beads")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("checkpoint.json", json.dumps(header))
        archive.writestr("openmm.chk", exact)
        archive.writestr("state.xml", state)
        if bias is not None:
            archive.writestr(_BIAS, _pack(bias))
        if beads is not None:
            archive.writestr(_BEADS, _pack(beads._asdict()))
    replace_file(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that ``write_checkpoint`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            beads = _unpack(archive, _BEADS)
            header: dict[str, Any] = json.loads(archive.read("checkpoint.json"))
            return Checkpoint(
                **({"blocks": {}, "velocity_sum": None} | header),  # older ones
                exact=archive.read("openmm.chk"),
                state=archive.read("state.xml").decode(),
                bias=_unpack(archive, _BIAS),
                beads=Beads(**beads) if beads else None,
            )
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a checkpoint in {path}, found a damaged file ({error})"
        ) from error


def _pack(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _unpack(archive: zipfile.ZipFile, name: str) -> dict[str, np.ndarray] | None:
    if name not in archive.namelist():
        return None
    with np.load(io.BytesIO(archive.read(name)), allow_pickle=False) as arrays:
        return dict(arrays)
