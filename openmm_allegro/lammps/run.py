# SPDX-License-Identifier: MIT
"""Write all that LAMMPS needs for a run, or for the stages of a protocol."""

import logging
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
from openmm import unit

from ..runs.names import paths_of
from ..simulate.atoms import describe_atoms
from ..simulate.checks import check_seeds
from ..simulate.protocol import check_names
from ..simulate.settings import Stage, check_work
from ..simulate.system import check_ensemble
from ..simulate.system_config import SystemConfig
from ..simulate.topology_file import write_topology
from ..utils.files import lock_output, replace_file
from .atoms import atom_types, bonds_of, skeleton, stage_masses
from .build import build_plugin
from .data import Atoms, data_text
from .ensembles import check_integrator
from .export import export_model
from .input import input_text
from .output import (
    DATA,
    INPUT,
    PLUGIN,
    check_ended,
    check_folder,
    model_names,
    remove_earlier,
    without_empty_folder,
)
from .plan import Plan, write_plan
from .records import write_records
from .replicas import Counts, repeat_bonds, repeat_positions, repeat_topology
from .source import Source, read_source, state_file

log = logging.getLogger(__name__)

# Atoms whose topology and frames analyses in Python hold.
_MOST_WITH_FRAMES = 1_000_000
_MOST = 2**31 - 1  # numbers of atoms in LAMMPS as it is usually compiled


def prepare_run(
    config: SystemConfig,
    stages: Sequence[Stage],
    names: Sequence[str],
    output: str | Path,
    *,
    folder: str | Path = ".",
    replicate: Counts = (1, 1, 1),
    state: str | Path | None = None,
    lammps: str | Path | None = None,
    lammps_sizes: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Plan:
    """Write a folder that LAMMPS runs, and that analyses read as that of a protocol.

    Parameters
    ----------
    config : SystemConfig
        Models, topology and options; its paths are relative to ``folder``.
    stages : sequence of Stage
        Each begins with the positions, velocities and box that the one before ended
        with.
    names : sequence of str
        Names of the stages, with which those of their files begin.
    output : path
        Folder to write.
    folder : path
    replicate : tuple of int
        How often the box is repeated along each of its vectors.
    state : path, optional
        End of an OpenMM run whose positions, velocities and box are those of the first
        stage: the file, or the prefix of the run.
    lammps : path, optional
        Sources of the LAMMPS that will run it, if it is not the package of this Python:
        the pair style is compiled for it, with the kernels, which takes minutes.
    lammps_sizes : str, optional
        Sizes of its integers, see ``build_plugin``.
    seed : int
        Of the first stage; each further one has the next. 0 draws one, which is
        recorded.
    overwrite : bool
        Whether an earlier run in the folder may be replaced.

    Returns
    -------
    Plan

    Raises
    ------
    FileExistsError
        If there is a run in the folder.
    FileNotFoundError
        If a file is missing.
    ImportError
        If the pair style is to be compiled and a compiler or headers are missing.
    RuntimeError
        If LAMMPS is running in the folder, on this machine.
    ValueError
        If LAMMPS cannot simulate it, before anything is written.
    """
    output, folder = Path(output), Path(folder)
    _check_stages(stages, seed)
    end = state_file(None if state is None else Path(state))
    inputs = [folder / name for name in (config.topology, *config.model)]
    check_folder(output, names, [*inputs, *filter(None, [end])], overwrite)
    pressure = any(stage.has_barostat for stage in stages)
    source = read_source(config, folder, end, pressure=pressure)
    for stage in stages:
        _check_ensemble(stage, source)
    masses = stage_masses(source.topology, source.system, stages)
    types, numbers = atom_types(source.symbols, masses)
    atoms = _count(len(numbers), replicate, source)
    plan = Plan(
        names=tuple(names),
        stages=tuple(stages),
        types=types,
        models=model_names(len(source.models)),
        atoms=atoms,
        replicate=replicate,
        seed=seed or random.SystemRandom().randrange(1, 2**31 - len(stages)),
        periodic=source.box is not None,
        velocities=source.velocities is not None,
        frames=atoms <= _MOST_WITH_FRAMES,
        skin=source.skin,
        plugin=PLUGIN if lammps else "",
        title=", ".join(path.name for path in inputs[1:] + inputs[:1]),
    )
    _describe(plan, source)
    with without_empty_folder(output), lock_output(output / "lammps"):
        check_ended(output, names)
        # what may fail comes first, while an earlier run is whole
        if lammps:
            where = {"output": output / PLUGIN, "standalone": True}
            build_plugin(lammps, sizes=lammps_sizes, **where)
        _write_models(output, plan, source, config)
        remove_earlier(output, names, keep=(*plan.models, plan.plugin))
        box = Atoms(numbers, source.positions, source.velocities, source.box)
        tilted = any(stage.ensemble == "npt-flexible" for stage in stages)
        replace_file(output / DATA, data_text(plan.title, types, box, tilted=tilted))
        if plan.frames:
            _write_topologies(output, plan, source, masses)
        write_records(output, plan, source.notes)
        write_plan(output, plan)
        replace_file(output / INPUT, input_text(plan, output))
    return plan


def _check_stages(stages: Sequence[Stage], seed: int) -> None:
    """Refuse stages that LAMMPS cannot run."""
    check_names(stages)
    check_seeds(seed, len(stages))
    for stage in stages:
        try:
            check_work(stage)
            check_integrator(stage)
        except ValueError as error:
            raise ValueError(f"stage {stage.name}: {error}") from error


def _check_ensemble(stage: Stage, source: Source) -> None:
    try:
        check_ensemble(stage.ensemble, source.topology, source.system)
    except ValueError as error:
        raise ValueError(f"stage {stage.name}: {error}") from error


def _count(atoms: int, replicate: Counts, source: Source) -> int:
    """Atoms of all replicas, if there can be as many."""
    if min(replicate) < 1:
        raise ValueError(
            "expected three numbers of replicas of at least 1 (--replicate), found "
            f"{' '.join(map(str, replicate))}"
        )
    if source.box is None and replicate != (1, 1, 1):
        raise ValueError(
            "expected a box to be replicated, found none; give the topology one "
            "(CRYST1), or leave out --replicate"
        )
    if source.box is not None:
        _check_tilt(source.box, replicate)
    count = atoms * math.prod(replicate)
    if count > _MOST:
        raise ValueError(
            f"expected at most {_MOST:,} atoms, which LAMMPS has numbers for, found "
            f"{count:,} with {' x '.join(map(str, replicate))} replicas"
        )
    return count


def _check_tilt(box: np.ndarray, replicate: Counts) -> None:
    """Refuse a box that leans over by more than half an edge where it is replicated."""
    whole = box * np.array(replicate)[:, None]
    for row, axis in ((1, 0), (2, 0), (2, 1)):
        if abs(whole[row, axis]) > 0.5001 * whole[axis, axis]:
            names = "abc"[row], "abc"[axis]
            raise ValueError(
                "expected numbers of replicas for which the tilted box leans over by "
                f"half an edge at most (--replicate), found {replicate} with which "
                f"{names[0]} leans along {names[1]} by "
                f"{abs(whole[row, axis]) / whole[axis, axis]:.2f} of it; three equal "
                "numbers keep its shape"
            )


def _describe(plan: Plan, source: Source) -> None:
    """Log what will be simulated, and what is left out."""
    text = describe_atoms(source.topology, source.system)
    if plan.replicate != (1, 1, 1):
        counts = " x ".join(map(str, plan.replicate))
        text = f"{plan.atoms:,} atoms: {counts} boxes of {text}"
    log.info("%s", text)
    if plan.velocities and plan.replicate != (1, 1, 1):
        first = plan.stages[0]
        if not first.draw_velocities:
            log.warning(
                "all replicas begin with the same velocities, and move alike until "
                "random forces or rounding part them: let the first stage draw new "
                "ones (--draw-velocities), or wait"
            )
    without = [stage.name for stage in plan.stages if stage.velocity_interval]
    if without:
        log.warning(
            "no frames with velocities will be written, which simulate writes in stage "
            "%s: analyses read none of LAMMPS. %s has a command for them in its own "
            "format, commented out",
            " and ".join(without),
            INPUT,
        )
    if not plan.frames:
        log.warning(
            "no frames and no topology will be written: %s atoms are more than the "
            "%s that analyses in Python hold; energies are. %s has the commands for "
            "frames, commented out",
            f"{plan.atoms:,}",
            f"{_MOST_WITH_FRAMES:,}",
            INPUT,
        )


def _write_models(
    output: Path, plan: Plan, source: Source, config: SystemConfig
) -> None:
    for name, model in zip(plan.models, source.models, strict=True):
        export_model(
            model,
            output / name,
            precision=config.precision,
            two_body=config.two_body,
            overwrite=True,
        )


def _write_topologies(
    output: Path, plan: Plan, source: Source, masses: np.ndarray
) -> None:
    """Write the topology and a System of masses for each stage."""
    counts, box = plan.replicate, source.box
    topology = repeat_topology(source.topology, box, counts)
    positions = repeat_positions(source.positions, box, counts)
    bonds = repeat_bonds(bonds_of(source.topology), len(source.symbols), counts)
    if box is not None:
        box = box * np.array(counts)[:, None]
    first = paths_of(output / plan.names[0])
    write_topology(first["topology"], topology, positions * unit.nanometer)
    text, before = "", None
    for name, row in zip(plan.names, masses, strict=True):
        paths = paths_of(output / name)
        if paths != first:
            replace_file(paths["topology"], first["topology"].read_bytes())
        if before is None or (row != before).any():
            system = skeleton(np.tile(row, math.prod(counts)), bonds, box)
            text, before = openmm.XmlSerializer.serialize(system), row
        replace_file(paths["system"], text)
