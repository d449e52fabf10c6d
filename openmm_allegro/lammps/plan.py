# SPDX-License-Identifier: MIT
"""All that is asked of LAMMPS, kept beside its input so that a run can be resumed."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

from ..simulate.settings import Stage
from ..utils.files import read_record, replace_file
from .output import PLAN

_FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class AtomType:
    """A type of LAMMPS: an element, and its mass in Da in each stage."""

    element: str
    masses: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ChargePlan:
    """What LAMMPS is told of the charges of models.

    Attributes
    ----------
    alpha : float
        Of the Gaussian charges, 1/Å.
    total : float
        Charge of all atoms, replicas too, in e.
    """

    alpha: float
    total: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """Stages of a run in LAMMPS, and the files that they need, all in one folder.

    Attributes
    ----------
    names : tuple of str
        Names of the stages, with which those of their files begin.
    stages : tuple of Stage
    types : tuple of AtomType
    models : tuple of str
        Names of ``.allegro`` files; several are a committee.
    atoms : int
        All of them, replicas too.
    replicate : tuple of int
        How often the box of the data file is repeated along each of its vectors.
    seed : int
        Seed of the first stage; each further stage has the next one.
    periodic : bool
    velocities : bool
        Whether the data file has velocities, which the first stage keeps.
    frames : bool
        Whether stages write trajectories; a topology goes with them.
    skin : float
        Reach of the pair list beyond the cutoff, Å.
    plugin : str
        File of the pair style, or nothing where LAMMPS has it or finds it itself.
    title : str
        Names of the files that it was made of.
    charges : ChargePlan or None
        None where models have none.
    """

    names: tuple[str, ...]
    stages: tuple[Stage, ...]
    types: tuple[AtomType, ...]
    models: tuple[str, ...]
    atoms: int
    replicate: tuple[int, int, int]
    seed: int
    periodic: bool
    velocities: bool
    frames: bool
    skin: float
    plugin: str
    title: str
    charges: ChargePlan | None = None


class Begin(NamedTuple):
    """Beginning of a run: its first stage, or one of them from a restart file.

    Attributes
    ----------
    stage : int
        Number of the stage, from 0.
    step : int
        Step of the stage that the restart file has; 0 where the stage has not begun.
    restart : str or None
        Name of the file; the data file if not given.
    last_frame : int
        Step of the last frame that the stage's trajectory has.
    """

    stage: int = 0
    step: int = 0
    restart: str | None = None
    last_frame: int = 0


def write_plan(folder: Path, plan: Plan) -> None:
    """Write a plan into the folder of its run."""
    content = {"format_version": _FORMAT_VERSION, **dataclasses.asdict(plan)}
    if plan.charges is None:
        del content["charges"]
    replace_file(folder / PLAN, json.dumps(content, indent=1) + "\n")


def read_plan(folder: Path) -> Plan:
    """Read the plan of a folder.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, or of another version.
    """
    path = folder / PLAN
    if not path.is_file():
        raise FileNotFoundError(
            f"expected {PLAN} in the folder of a run in LAMMPS, found none in {folder}"
        )
    record = read_record(path)
    version = record.pop("format_version", None)
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"expected format_version {_FORMAT_VERSION} in {path}, found {version!r}; "
            "write the run anew (--force)"
        )
    try:
        return _plan(record)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"expected a plan in {path}, as it was written, found "
            f"{type(error).__name__}: {error}"
        ) from error


def _plan(record: dict[str, Any]) -> Plan:
    """Make a plan of JSON, which knows no tuples."""
    record = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.items()
    }
    record["stages"] = tuple(Stage(**stage) for stage in record["stages"])
    record["types"] = tuple(
        AtomType(one["element"], tuple(one["masses"])) for one in record["types"]
    )
    if "charges" in record:
        record["charges"] = ChargePlan(**record["charges"])
    return Plan(**record)
