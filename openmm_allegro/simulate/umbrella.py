# SPDX-License-Identifier: MIT
r"""Umbrella windows: a run restrained at each of several places along variables.

Torrie and Valleau, doi:10.1016/0021-9991(77)90121-8. ``analyze free-energy`` puts the
windows together by MBAR (doi:10.1063/1.2978177). Neighbours must overlap: of a flat
free energy a window's standard deviation is :math:`\sqrt{R T / k}`, and neighbours that
are some two of it apart overlap well.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app

from ..bias.settings import Restraint, Variable
from ..bias.values import VariableValues
from ..bias.variables import resolve
from ..runs.names import EQUILIBRATION, UMBRELLA
from ..units import GAS_CONSTANT
from ..utils.extras import naming_extras
from ..utils.settings import check_settings, documented, setting
from .acting import references_of
from .checks import check_positions
from .protocol import run_protocol
from .settings import Stage
from .system import whole_molecules

log = logging.getLogger(__name__)

# Standard deviations between neighbours from which on they hardly overlap.
_FAR = 4.0
# Such deviations between windows that are the same but for rounding.
_SAME = 1e-6
# Part of a length by which the box of a frame may differ: that of XTC files.
_BOX = 1e-4


@documented
@dataclass(frozen=True)
class Umbrella:
    """Umbrella windows; the ``[umbrella]`` table of a protocol's TOML.

    Each window is a stage, after those of ``[[stages]]`` if there are any, with the
    settings of ``[run]``. Of one variable, ``centers`` may be numbers.

    Raises
    ------
    ValueError
        If a value is out of range, or windows do not fit the variables.
    """

    variables: tuple[str, ...] = setting(about="Names of the restrained variables")
    centers: tuple[tuple[float, ...], ...] = setting(
        about="Centre of each window, in the order in which they run: a value for each "
        "variable, in its unit"
    )
    force_constants: tuple[float, ...] = setting(
        about="Force constant for each variable, as that of a restraint: kJ/mol/Å² for "
        "distances, kJ/mol/rad² for angles and dihedrals",
        above=0.0,
        maximum=1e9,
    )
    steps: int = setting(about="Steps of each window", minimum=1)
    equilibration_steps: int = setting(
        about="Steps at the start of each window that analysis leaves out", minimum=0
    )
    frames: str = setting(
        "",
        about="Trajectory, such as that of a pulled run, of the same atoms and box: "
        "each window begins with its frame that is nearest to the centre; if not "
        "given, with the end of the window before",
    )

    def __post_init__(self) -> None:
        centers = self.centers
        if isinstance(centers, list | tuple):
            nested = tuple((x,) if isinstance(x, int | float) else x for x in centers)
            object.__setattr__(self, "centers", nested)
        check_settings(self, "umbrella", bits=31)
        count = len(self.variables)
        if not count or len(set(self.variables)) < count:
            raise ValueError(
                "umbrella: expected at least one variable, each once, found "
                f"{list(self.variables)}"
            )
        if len(self.force_constants) != count:
            raise ValueError(
                f"umbrella: expected a force constant for each of {count} variables, "
                f"found {len(self.force_constants)}"
            )
        wrong = [center for center in self.centers if len(center) != count]
        if wrong:
            raise ValueError(
                f"umbrella: expected {count} values for each center, found "
                f"{list(wrong[0])}"
            )
        if len(set(self.centers)) < max(2, len(self.centers)):
            raise ValueError(
                "umbrella: expected at least two centers, each once, found "
                f"{[list(center) for center in self.centers]}"
            )
        if not self.equilibration_steps < self.steps:
            raise ValueError(
                f"umbrella: expected equilibration_steps below steps = {self.steps}, "
                f"found {self.equilibration_steps}"
            )

    @property
    def names(self) -> list[str]:
        """Names of the windows' stages, in order."""
        width = len(str(len(self.centers)))
        return [f"window{i:0{width}d}" for i in range(1, len(self.centers) + 1)]

    @property
    def notes(self) -> dict[str, Any]:
        """What the records of windows hold for the analysis."""
        steps = self.equilibration_steps
        return {EQUILIBRATION: steps, UMBRELLA: list(self.variables)}

    def stages(self, **common: Any) -> list[Stage]:
        """Make the stages of the windows.

        Parameters
        ----------
        **common
            Fields of ``Stage`` for all of them.
        """
        common |= {"steps": self.steps}
        return [Stage(**common | {"name": name}) for name in self.names]

    def restraints(self) -> list[Restraint]:
        """Make the restraints of the windows, each for its stage."""
        return [
            Restraint(variable, value, constant, stages=(name,))
            for name, center in zip(self.names, self.centers, strict=True)
            for variable, value, constant in zip(
                self.variables, center, self.force_constants, strict=True
            )
        ]


def nested_centers(table: Any) -> Any:
    """A table ``[umbrella]`` whose centers of one variable may be numbers."""
    if not isinstance(table, dict) or not isinstance(table.get("centers"), list):
        return table
    centers = table["centers"]
    return table | {"centers": [x if isinstance(x, list) else [x] for x in centers]}


def check_windows(
    umbrella: Umbrella, variables: Sequence[Variable], kelvin: float
) -> None:
    """Log which windows are so far from all others that they will hardly overlap.

    Raises
    ------
    ValueError
        If two are at the same place, as those at -180 and 180 degrees of a dihedral.
    """
    kinds = {variable.name: variable for variable in variables}
    units = [kinds[name] for name in umbrella.variables if name in kinds]
    if len(units) < len(umbrella.variables):
        return  # refused elsewhere, by name
    sigma = np.sqrt(GAS_CONSTANT * kelvin / np.array(umbrella.force_constants))
    angles = [v.kind in ("angle", "dihedral") for v in units]
    sigma = np.where(angles, np.degrees(sigma), sigma)
    centers = np.array(umbrella.centers)
    away = centers[:, None] - centers[None]
    for k, variable in enumerate(units):
        if variable.is_periodic:
            away[..., k] -= 360.0 * np.round(away[..., k] / 360.0)
    apart = np.sqrt(((away / sigma) ** 2).sum(axis=-1))
    np.fill_diagonal(apart, math.inf)
    if apart.min() < _SAME:
        pair = np.unravel_index(apart.argmin(), apart.shape)
        first, second = (umbrella.names[k] for k in pair)
        places = " and ".join(", ".join(f"{x:g}" for x in centers[k]) for k in pair)
        raise ValueError(
            f"umbrella: expected each window at a place of its own, found {first} and "
            f"{second} at the same one, {places}: dihedrals have a period of 360 "
            "degrees; leave one of them out"
        )
    nearest = apart.min(axis=1)
    far = [umbrella.names[k] for k in np.flatnonzero(nearest > _FAR)]
    if far:
        log.warning(
            "%d of %d umbrella windows (%s) are more than %g standard deviations "
            "√(RT/k) of a free window from all others, up to %.3g, and will hardly "
            "overlap: expected more windows, or a smaller force constant",
            *(len(far), len(centers), ", ".join(far[:5]), _FAR, nearest.max()),
        )


def nearest_frames(
    umbrella: Umbrella,
    variables: Sequence[Variable],
    topology: app.Topology,
    positions: np.ndarray,
    system: openmm.System,
    path: str | Path,
) -> dict[str, np.ndarray]:
    """Find the frame of a trajectory that is nearest to the centre of each window.

    Distances are in units of the windows' standard deviations.

    Parameters
    ----------
    umbrella : Umbrella
    variables : sequence of Variable
    topology : openmm.app.Topology
    positions : ndarray [N, 3], nm
        Reference of an rmsd without a file.
    system : openmm.System
    path : path
        Of a format that mdtraj reads.

    Returns
    -------
    dict of str to ndarray [N, 3]
        By the name of the window, in nm.

    Raises
    ------
    ValueError
        If the file cannot be read, or has no frames, other atoms or another box.
    """
    chosen = [v for v in variables if v.name in umbrella.variables]
    order = [[v.name for v in chosen].index(name) for name in umbrella.variables]
    references = references_of(chosen, positions, topology, system)
    measure = VariableValues(resolve(chosen, topology, system, references), system)
    centers = np.array(umbrella.centers)
    scale = np.array(umbrella.force_constants)
    turns = [chosen[k].is_periodic for k in order]
    scale = scale * [
        math.radians(1) ** 2 if chosen[k].kind in ("angle", "dihedral") else 1.0
        for k in order
    ]
    best = np.full(len(centers), np.inf)
    found: dict[str, np.ndarray] = {}
    for frame, box in _frames_of(path, topology, system):
        away = measure(frame, box)[order] - centers
        away = np.where(turns, away - 360.0 * np.round(away / 360.0), away)
        energy = (scale * away**2).sum(axis=1)
        for k in np.flatnonzero(energy < best):
            best[k], found[umbrella.names[k]] = energy[k], frame
    if not found:
        raise ValueError(f"umbrella: expected frames in {path}, found none")
    return found


def _frames_of(path: str | Path, topology: app.Topology, system: openmm.System) -> Any:
    """Give positions [N, 3], of whole molecules, and box vectors of frames, in nm."""
    with naming_extras():
        import mdtraj
    path, known = str(path), mdtraj.Topology.from_openmm(topology)
    more = {} if path.endswith((".pdb", ".h5", ".cif")) else {"top": known}
    atoms = topology.getNumAtoms()
    box = None
    if system.usesPeriodicBoundaryConditions():
        box = np.array([list(x._value) for x in system.getDefaultPeriodicBoxVectors()])
    try:
        for piece in mdtraj.iterload(path, chunk=100, **more):
            if piece.n_atoms != atoms:
                raise ValueError(f"{piece.n_atoms} atoms")
            for number in range(piece.n_frames):
                if box is not None and piece.unitcell_vectors is not None:
                    own = piece.unitcell_vectors[number]
                    if not np.allclose(own, box, rtol=_BOX, atol=_BOX * box.max()):
                        raise ValueError(f"a box of {np.diag(own).round(4)} nm")
                positions = piece.xyz[number].astype(float)
                if box is not None:
                    positions = whole_molecules(positions, topology, system)
                yield positions, box
    except (OSError, ValueError, RuntimeError) as error:
        expected = f"{atoms} atoms"
        if box is not None:
            expected += f" in the box of {np.diag(box).round(4)} nm"
        raise ValueError(
            f"umbrella: expected frames of {expected} in {path}, found {error}"
        ) from error


def run_umbrella(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    umbrella: Umbrella,
    output: str | Path,
    *,
    variables: Sequence[Variable],
    stages: Sequence[Stage] = (),
    settings: dict[str, Any] | None = None,
    restraints: Sequence[Restraint] = (),
    notes: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, dict[str, Path]]:
    """Run umbrella windows one after the other; a kill at any moment loses none of it.

    Parameters
    ----------
    topology, positions, system, output
        As ``run_protocol``: a folder, in which each window is a stage.
    umbrella : Umbrella
    variables : sequence of Variable
    stages : sequence of Stage
        Stages before the windows.
    settings : dict, optional
        Fields of ``Stage`` for all windows, such as ``timestep_fs``.
    restraints : sequence of Restraint
        Further restraints, in all stages or in those that they name.
    notes, **more
        As ``run_protocol``.

    Returns
    -------
    dict of str to dict
        As ``run_protocol``.

    Raises
    ------
    FileExistsError, RuntimeError, ValueError
        As ``run_protocol`` and ``nearest_frames``.
    """
    windows = umbrella.stages(**settings or {})
    check_windows(umbrella, variables, windows[0].temperature_k[0])
    starts = {}
    if umbrella.frames:
        what = topology, check_positions(positions, topology, system), system
        starts = nearest_frames(umbrella, variables, *what, umbrella.frames)
    return run_protocol(
        *(topology, positions, system, [*stages, *windows], output),
        variables=variables,
        restraints=[*restraints, *umbrella.restraints()],
        starts=starts,
        notes=(notes or {}) | umbrella.notes,
        **more,
    )
