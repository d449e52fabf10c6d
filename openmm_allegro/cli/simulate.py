# SPDX-License-Identifier: MIT
"""``openmm-allegro simulate``: a model and a PDB file, or a protocol."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from ..simulate.checks import ENSEMBLES
from .output import add_force

# What a protocol's own file says; the command line does not.
_SETTINGS: dict[str, dict[str, Any]] = {
    "steps": {"type": int, "help": "default 10000"},
    "ensemble": {"choices": ENSEMBLES, "help": "default nvt"},
    "integrator": {"help": "langevin-middle, nose-hoover, baoab, ghmc, ..."},
    "temperature": {"help": "K (default 300); 300,3000 is a ramp"},
    "timestep": {"type": float, "help": "fs (default 0.5)"},
    "friction": {"type": float, "help": "or collision frequency, 1/ps (default 1)"},
    "pressure": {"type": float, "help": "bar (default 1)"},
    "barostat-interval": {"type": int, "help": "steps (default 25)"},
    "hydrogen-mass": {"type": float, "help": "Da, taken from bonded atoms"},
    "report-interval": {"type": int, "help": "steps between frames (default 20)"},
    "velocity-interval": {"type": int, "help": "steps between velocities in HDF5"},
    "checkpoint-interval": {"type": int, "help": "steps (default about 2000)"},
    "watchdogs": {"type": Path, "help": "TOML file with a table [watchdogs]"},
    "no-minimize": {"action": "store_true"},
    "no-periodic": {"action": "store_true"},
    "flexible-molecules": {
        "action": "store_true",
        "help": "volume moves shift atoms, not molecules: for solids",
    },
    "backend": {"help": "torchforce (default) or pythonforce"},
    "kernel": {"choices": ("auto", "fused", "plain")},
    "two-body": {"choices": ("exact", "table")},
    "precision": {"choices": ("single", "mixed", "double")},
    "skin": {"type": float, "help": "of the pair list, Å"},
    "baseline": {
        "help": "XML of the force field's System, for a model of kind delta",
    },
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    inputs = "MODEL [MODEL ...] PDB | PROTOCOL.toml"
    parser.usage = f"%(prog)s {inputs}  --output OUTPUT [...]"
    parser.description += (
        " Several models are a committee. A protocol's file says what the options of "
        "the group 'what is simulated' say otherwise."
    )
    parser.add_argument("inputs", type=Path, nargs="+", metavar="MODEL PDB, or TOML")
    settings = parser.add_argument_group("what is simulated")
    for name, options in _SETTINGS.items():
        settings.add_argument(f"--{name}", default=argparse.SUPPRESS, **options)
    parser.add_argument(
        "--output",
        required=True,
        help="prefix of the files; of a protocol, its folder",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was interrupted"
    )
    parser.add_argument("--platform", help="default: the fastest present")
    parser.add_argument("--threads", type=int, help="of torch and of the CPU platform")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one each time")
    add_force(parser)


def simulate(options: argparse.Namespace) -> None:
    """Run what was asked for, and print the files."""
    import torch

    if (options.threads or 0) > 0:  # run refuses others
        torch.set_num_threads(options.threads)
    common = {
        "platform": options.platform,
        "threads": options.threads,
        "seed": options.seed,
        "overwrite": options.force,
        "resume": options.resume,
    }
    if len(options.inputs) == 1 and options.inputs[0].suffix == ".toml":
        _simulate_protocol(options, common)
    else:
        _simulate_one(options, common)


def _simulate_protocol(options: argparse.Namespace, common: dict[str, Any]) -> None:
    from ..simulate.protocol import run_protocol
    from ..simulate.protocol_file import read_protocol

    given = [f"--{name}" for name in _SETTINGS if hasattr(options, _key(name))]
    if given:
        raise ValueError(
            f"expected the protocol {options.inputs[0]} to say what is simulated, "
            f"found {', '.join(given)} beside it"
        )
    protocol = read_protocol(options.inputs[0])
    prepared = protocol.prepared
    stages = run_protocol(
        prepared.topology,
        prepared.positions,
        prepared.system,
        protocol.stages,
        options.output,
        watchdogs=protocol.watchdogs,
        notes=prepared.notes,
        **common,
    )
    for name, paths in stages.items():
        print(f"{name}: {paths['trajectory'].with_suffix('')}.*")


def _simulate_one(options: argparse.Namespace, common: dict[str, Any]) -> None:
    from ..runs.names import check_output
    from ..simulate.protocol_file import SystemConfig, prepare
    from ..simulate.simulation import run
    from ..simulate.watchdogs.watchdog import Watchdogs
    from ..utils.config import read_toml

    *models, pdb = options.inputs
    if not models:
        raise ValueError(
            "expected a model and a PDB file, or a protocol named .toml, found "
            f"{pdb} alone"
        )
    outputs = check_output(options.output, options.force, options.resume)
    if pdb.resolve() in [path.resolve() for path in outputs.values()]:
        raise ValueError(
            f"expected an output other than the input, found {pdb} as both"
        )
    given = {
        _key(name): getattr(options, _key(name))
        for name in _SETTINGS
        if hasattr(options, _key(name))
    }
    names = {f.name for f in dataclasses.fields(SystemConfig)} & set(given)
    config = SystemConfig(
        str(pdb), tuple(map(str, models)), **{name: given.pop(name) for name in names}
    )
    prepared = prepare(config, Path())
    if "watchdogs" in given:
        table = read_toml(given["watchdogs"], {"watchdogs": Watchdogs})
        given["watchdogs"] = table["watchdogs"].for_models(prepared.models)
    paths = run(
        prepared.topology,
        prepared.positions,
        prepared.system,
        options.output,
        minimize=not given.pop("no_minimize", False),
        notes=prepared.notes,
        **_with_units(given),
        **common,
    )
    for name, path in paths.items():
        print(f"{name}: {path}")


def _with_units(given: dict[str, Any]) -> dict[str, Any]:
    from openmm import unit

    units = {
        "temperature": unit.kelvin,
        "timestep": unit.femtosecond,
        "friction": unit.picosecond**-1,
        "pressure": unit.bar,
        "hydrogen_mass": unit.dalton,
    }
    if "temperature" in given:
        given["temperature"] = _numbers(given["temperature"])
    return {n: v * units[n] if n in units else v for n, v in given.items()}


def _numbers(text: str) -> float | list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            "expected --temperature as a number, or several like 300,3000, found "
            f"{text!r}"
        ) from None
    return values if len(values) > 1 else values[0]


def _key(name: str) -> str:
    return name.replace("-", "_")
