# SPDX-License-Identifier: MIT
"""Write all that LAMMPS needs for a run, or for the stages of a protocol."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ..modelfile.named import model_path
from ..simulate.atoms import describe_atoms
from ..simulate.masses import stage_masses
from ..simulate.protocol import choose_seed
from ..simulate.settings import Stage
from ..simulate.system_config import SystemConfig
from ..utils.files import lock_output, replace_file
from .atoms import atom_types
from .build import PLUGIN, build_plugin
from .charges import plan_charges, start_charges
from .checks import check_ensembles, check_stages, count_atoms
from .data import Atoms, data_text
from .export import export_model
from .input import input_text
from .output import (
    DATA,
    INPUT,
    check_ended,
    check_folder,
    model_names,
    remove_earlier,
    without_empty_folder,
)
from .plan import Plan, write_plan
from .records import write_records
from .replicas import Counts
from .source import Source, read_source, state_file
from .topologies import write_topologies

log = logging.getLogger(__name__)

# Atoms whose topology and frames analyses in Python hold.
_MOST_WITH_FRAMES = 1_000_000


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
        the pair style is compiled for it, with the kernels.
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
    check_stages(stages, seed)
    if lammps_sizes and lammps is None:
        raise ValueError(
            "expected a LAMMPS (--lammps SRC) whose sizes of integers --lammps-sizes "
            "says, found none"
        )
    end = state_file(None if state is None else Path(state))
    models = [model_path(name, folder) for name in config.model]
    inputs = [folder / config.topology, *models]
    check_folder(output, names, [*inputs, *filter(None, [end])], overwrite)
    pressure = any(stage.has_barostat for stage in stages)
    source = read_source(config, folder, end, pressure=pressure)
    check_ensembles(stages, source)
    masses = stage_masses(source.topology, source.system, stages)
    types, numbers = atom_types(source.symbols, masses)
    atoms = count_atoms(source, replicate)
    plan = Plan(
        names=tuple(names),
        stages=tuple(stages),
        types=types,
        models=model_names(len(source.models)),
        atoms=atoms,
        replicate=replicate,
        seed=choose_seed(seed, len(stages)),
        periodic=source.box is not None,
        velocities=source.velocities is not None,
        frames=atoms <= _MOST_WITH_FRAMES,
        skin=source.skin,
        plugin=PLUGIN if lammps else "",
        title=", ".join(path.name for path in inputs[1:] + inputs[:1]),
        charges=plan_charges(source, replicate),
    )
    _describe(plan, source)
    with without_empty_folder(output), lock_output(output / "lammps"):
        check_ended(output, names)
        # what may fail comes first, while an earlier run is whole
        if lammps:
            build_plugin(
                lammps, output=output / PLUGIN, standalone=True, sizes=lammps_sizes
            )
        _write_models(output, plan, source, config)
        remove_earlier(output, names, keep=(*plan.models, plan.plugin))
        box = Atoms(
            numbers,
            source.positions,
            source.velocities,
            source.box,
            start_charges(source),
        )
        tilted = any(stage.ensemble == "npt-flexible" for stage in stages)
        replace_file(output / DATA, data_text(plan.title, types, box, tilted=tilted))
        if plan.frames:
            write_topologies(output, plan, source, masses)
        write_records(output, plan, source.notes)
        write_plan(output, plan)
        replace_file(output / INPUT, input_text(plan, output))
    return plan


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
            "no frames with velocities will be written, as simulate has them in stage "
            "%s: analyses do not read those of LAMMPS; %s has the command for them as "
            "a comment",
            " and ".join(without),
            INPUT,
        )
    if not plan.frames:
        log.warning(
            "no frames and no topology will be written: %s atoms are more than the "
            "%s that analyses in Python hold; energies are. %s has the commands for "
            "frames as comments",
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
