# SPDX-License-Identifier: MIT
"""Write all that LAMMPS needs for a run, or for the stages of a protocol."""

import random
from collections.abc import Sequence
from pathlib import Path

import openmm
from openmm import unit

from ..runs.names import paths_of
from ..simulate.settings import Stage
from ..simulate.system_config import SystemConfig
from ..simulate.topology_file import write_topology
from ..utils.files import lock_output, replace_file
from .atoms import atom_types, masses_of, skeleton
from .data import Atoms, data_text
from .ensembles import check_integrator
from .export import SUFFIX, export_model
from .input import input_text
from .plan import DATA, INPUT, Plan, write_plan
from .records import write_records
from .replicas import replicated
from .source import Source, read_source

# Atoms of which analyses in Python hold a trajectory.
MOST_FRAMES = 1_000_000


def prepare_run(
    config: SystemConfig,
    stages: Sequence[Stage],
    names: Sequence[str],
    output: str | Path,
    *,
    folder: Path = Path(),
    replicate: tuple[int, int, int] = (1, 1, 1),
    seed: int = 0,
    overwrite: bool = False,
) -> Plan:
    """Write a folder that LAMMPS runs, and analyses read as that of a protocol.

    Parameters
    ----------
    config : SystemConfig
        Models, topology and options; its paths are relative to ``folder``.
    stages : sequence of Stage
    names : sequence of str
        Of the stages' files.
    output : path
        Folder to write.
    folder : Path
    replicate : tuple of int
        How often the box is repeated along each of its vectors.
    seed : int
        Of the first stage; each further one has the next. 0 draws one.
    overwrite : bool
        Whether an earlier run in the folder may be replaced.
    """
    output = Path(output)
    if (output / INPUT).exists() and not overwrite:
        raise FileExistsError(
            f"expected no run yet in {output}, found {output / INPUT}; use another "
            "folder, overwrite=True (--force), or --resume to continue it"
        )
    for stage in stages:
        check_integrator(stage)
    source = read_source(config, folder)
    masses = masses_of(source.topology, source.system, stages)
    types, numbers = atom_types(source.symbols, masses)
    atoms = len(numbers) * replicate[0] * replicate[1] * replicate[2]
    plan = Plan(
        names=tuple(names),
        stages=tuple(stages),
        types=types,
        models=_model_names(len(source.models)),
        atoms=atoms,
        replicate=replicate,
        seed=seed or random.SystemRandom().randrange(1, 2**31 - len(stages)),
        periodic=source.box is not None,
        velocities=source.velocities is not None,
        frames=atoms <= MOST_FRAMES,
        skin=source.skin,
        plugin="",
        title=", ".join([*config.model, config.topology]),
    )
    with lock_output(output / "lammps"):
        for name, model in zip(plan.models, source.models, strict=True):
            export_model(
                model,
                output / name,
                precision=config.precision,
                two_body=config.two_body,
                overwrite=True,
            )
        box = Atoms(numbers, source.positions, source.velocities, source.box)
        tilted = any(stage.ensemble == "npt-flexible" for stage in stages)
        text = data_text(f"# {plan.title}", types, box, tilted=tilted)
        replace_file(output / DATA, text)
        if plan.frames:
            _write_topologies(output, plan, source)
        write_records(output, plan, source.notes)
        write_plan(output, plan)
        replace_file(output / INPUT, input_text(plan, output))
    return plan


def _model_names(count: int) -> tuple[str, ...]:
    if count == 1:
        return (f"model{SUFFIX}",)
    return tuple(f"model-{number}{SUFFIX}" for number in range(1, count + 1))


def _write_topologies(output: Path, plan: Plan, source: Source) -> None:
    """Write the topology and the System of masses for each stage."""
    whole, positions = replicated(source.topology, source.positions, plan.replicate)
    system = skeleton(whole, plan.periodic)
    first, *others = (paths_of(output / name) for name in plan.names)
    write_topology(first["topology"], whole, positions * unit.nanometer)
    replace_file(first["system"], openmm.XmlSerializer.serialize(system))
    for paths in others:
        for kind in ("topology", "system"):
            replace_file(paths[kind], first[kind].read_bytes())
