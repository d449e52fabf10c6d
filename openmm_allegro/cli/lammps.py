# SPDX-License-Identifier: MIT
"""``openmm-allegro lammps``: what ``simulate`` runs, as a folder that LAMMPS runs."""

import argparse
from pathlib import Path
from typing import Any

from ..simulate.settings import Execution, RunSettings
from ..simulate.system_config import SystemConfig
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, option_of, settings_of
from .output import add_overwrite_option

# What LAMMPS has no counterpart of is left out; protocols that say it are refused.
_OF_RUN = [
    name
    for name in settings_of(RunSettings)
    if name not in ("barostat_interval", "velocity_interval", "draw_velocities")
]
_OF_SYSTEM = ["precision", "two_body", "skin", "no_periodic", "elements"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    inputs = "MODEL [MODEL ...] PDB | PROTOCOL.toml"
    parser.usage = f"%(prog)s {inputs}  --output FOLDER [...]"
    parser.description += (
        " Several models are a committee. A protocol has the settings that are options "
        "of a single run in its file."
    )
    parser.add_argument("inputs", type=Path, nargs="+", metavar="MODEL PDB, or TOML")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--replicate",
        type=int,
        nargs=3,
        default=(1, 1, 1),
        metavar=("A", "B", "C"),
        help="repeat the box so often along each of its vectors",
    )
    add_settings(parser, Execution, ("seed",))
    add_overwrite_option(parser)
    group = parser.add_argument_group("settings of a single run")
    add_settings(group, RunSettings, _OF_RUN)
    add_settings(group, SystemConfig, _OF_SYSTEM)


def lammps(options: argparse.Namespace) -> None:
    """Write the folder, and print how to run it."""
    from ..lammps.run import prepare_run

    config, folder, stages, names = _asked(options)
    seed = given_options(options, Execution).get("seed", 0)
    plan = prepare_run(
        config,
        stages,
        names,
        options.output,
        folder=folder,
        replicate=tuple(options.replicate),
        seed=seed,
        overwrite=options.force,
    )
    first = options.output / plan.names[-1]
    print(f"run:     mpirun -np 4 lmp -in {options.output / 'in.lammps'}")
    print(f"analyse: openmm-allegro analyze rdf {first}")


def _asked(options: argparse.Namespace) -> tuple[Any, ...]:
    from ..simulate.protocol_file import read_settings
    from ..simulate.settings import Stage

    if len(options.inputs) == 1 and options.inputs[0].suffix == ".toml":
        path = options.inputs[0]
        given = [
            option_of(cls, name)
            for cls in (RunSettings, SystemConfig)
            for name in given_options(options, cls)
        ]
        if given:
            raise ValueError(
                f"expected the protocol {path} to say what is simulated, found "
                f"{', '.join(given)} beside it"
            )
        config, stages, _ = read_settings(path)
        width = len(str(len(stages)))
        names = [f"{i:0{width}d}-{stage.name}" for i, stage in enumerate(stages, 1)]
        return config, path.parent, stages, names
    *models, pdb = options.inputs
    if not models:
        raise ValueError(
            "expected a model and a PDB file, or a protocol named .toml, found "
            f"{pdb} alone"
        )
    settings = RunSettings(**given_options(options, RunSettings))
    values = {name: getattr(settings, name) for name in settings_of(RunSettings)}
    stage = Stage(name=settings.ensemble, **values)
    given = given_options(options, SystemConfig)
    config = SystemConfig(str(pdb), tuple(map(str, models)), **given)
    return config, Path(), [stage], [stage.name]
