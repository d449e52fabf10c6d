# SPDX-License-Identifier: MIT
"""``openmm-allegro lammps``: what ``simulate`` runs, as a folder that LAMMPS runs."""

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..simulate.settings import Execution, RunSettings, Stage
from ..simulate.system_config import SystemConfig
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, settings_of
from .inputs import add_inputs, begun_at_state, protocol_of, system_of
from .outcome import Outcome
from .output import add_overwrite_option, quoted

log = logging.getLogger(__name__)

# Others are OpenMM's alone. Velocities are drawn anyway, but for those of a state.
_NOT_OF_RUN = (
    *("barostat_interval", "velocity_interval"),
    *("dipole_interval", "charge_interval", "variable_interval"),
)
_OF_RUN = [name for name in settings_of(RunSettings) if name not in _NOT_OF_RUN]
_BESIDE_RESUME = ("inputs", "resume", "steps", "verb", "debug", "json")
_OF_SYSTEM = (
    *("precision", "two_body", "skin", "total_charge", "no_periodic", "elements"),
    *("positions", "frame", "atom_style", "bonds", "box_nm", "gromacs_include"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    add_inputs(parser, "FOLDER")
    parser.usage += "\n       %(prog)s FOLDER --resume [--steps STEPS]"
    parser.description += (
        " Of a protocol at several temperatures ([series]), each has a folder in it."
    )
    parser.add_argument("--output", type=Path, help="folder to write")
    parser.add_argument(
        "--replicate",
        type=int,
        nargs=3,
        metavar=("A", "B", "C"),
        help="repeat the box so often along each of its vectors",
    )
    parser.add_argument(
        "--state",
        type=Path,
        help="begin with positions, velocities and box of the end of a run of "
        "simulate: its state (.xml), or the prefix of its files; not minimised",
    )
    parser.add_argument(
        "--lammps",
        type=Path,
        metavar="SRC",
        help="sources of your own LAMMPS, for which the pair style is compiled; the "
        "package lammps of this Python by default",
    )
    parser.add_argument(
        "--lammps-sizes",
        metavar="SIZES",
        help="sizes of its integers, where SRC does not tell: smallbig, bigbig or "
        "smallsmall, as lmp -h prints",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="let the input of an existing folder continue from its last restart file; "
        "with --steps, its last stage becomes longer",
    )
    add_settings(parser, Execution, ("seed",))
    add_overwrite_option(parser)
    group = parser.add_argument_group(
        "settings of a single run",
        "as simulate has them; the input says what LAMMPS does otherwise",
    )
    add_settings(group, RunSettings, _OF_RUN)
    add_settings(group, SystemConfig, _OF_SYSTEM)


def lammps(options: argparse.Namespace) -> Outcome:
    """Write the folder, or let it continue, and print what to type next."""
    if options.resume:
        return _resume(options)
    from ..lammps.run import prepare_run
    from ..lammps.series import prepare_series
    from ..simulate.series_file import is_series

    if options.output is None:
        raise ValueError(
            "expected a folder to write (--output FOLDER), or the folder of a run and "
            "--resume, found neither"
        )
    path = protocol_of(options)
    how = {
        "folder": "." if path is None else path.parent,
        "replicate": tuple(options.replicate or (1, 1, 1)),
        "state": options.state,
        "lammps": options.lammps,
        "lammps_sizes": options.lammps_sizes,
        "seed": given_options(options, Execution).get("seed", 0),
        "overwrite": options.force,
    }
    if path is not None and is_series(path):
        return _outcome_of_series(
            options.output, prepare_series(*_series(path), options.output, **how)
        )
    what = _single(options) if path is None else _protocol(path)
    return _outcome(options.output, prepare_run(*what, options.output, **how))


def _resume(options: argparse.Namespace) -> Outcome:
    """Let the input of a folder continue."""
    from ..lammps.resume import resume
    from ..lammps.series import resume_series
    from ..runs.names import is_series

    given = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in _BESIDE_RESUME and value
    ]
    if len(options.inputs) > 1 or given:
        raise ValueError(
            "expected the folder of a run beside --resume, and --steps at most, found "
            f"{', '.join([*map(str, options.inputs), *given])}"
        )
    folder, steps = options.inputs[0], given_options(options, RunSettings).get("steps")
    if is_series(folder):
        every = resume_series(folder, steps)
        for name, one in every.items():
            print(f"{name}: {one.message}")
        begun = {name: one.plan for name, one in every.items()}
        finished = [name for name, one in every.items() if one.begin is None]
        return _outcome_of_series(folder, begun, finished)
    resumed = resume(folder, steps)
    print(resumed.message)
    return _outcome(folder, resumed.plan, finished=resumed.begin is None)


def _single(
    options: argparse.Namespace,
) -> tuple[SystemConfig, Sequence[Stage], Sequence[str]]:
    """System of a run, and the run as a stage that is named as its ensemble."""
    given = given_options(options, RunSettings)
    if options.state is not None:
        given = begun_at_state(given)
    settings = RunSettings(**given)
    values: dict[str, Any] = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
    }
    stage = Stage(name=settings.ensemble, **values)
    return system_of(options), [stage], [stage.name]


def _protocol(path: Path) -> tuple[SystemConfig, Sequence[Stage], Sequence[str]]:
    from ..simulate.protocol import number_stages
    from ..simulate.protocol_file import read_settings

    settings = read_settings(path)
    _check_protocol(settings, path)
    return settings.system, settings.stages, number_stages(settings.stages)


def _series(
    path: Path,
) -> tuple[SystemConfig, dict[float, list[Stage]], Sequence[str]]:
    from ..simulate.protocol import number_stages
    from ..simulate.series_file import read_series_settings

    settings, stages = read_series_settings(path)
    _check_protocol(settings, path)
    return settings.system, stages, number_stages(settings.stages)


def _check_protocol(settings: Any, path: Path) -> None:
    """Refuse what OpenMM alone computes; name what LAMMPS leaves out."""
    if settings.sampling:
        raise ValueError(
            f"{path}: expected for LAMMPS a protocol without variables, restraints and "
            "bias, which OpenMM alone computes, found some; leave the tables out"
        )
    if settings.watchdogs is not None:
        log.warning(
            "%s: the watchdogs are left out, for LAMMPS has none; it stops where atoms "
            "are lost, and `fix halt` stops it at values of your own",
            path,
        )


def _outcome(folder: Path, plan: Any, *, finished: bool = False) -> Outcome:
    """What LAMMPS will run, and the lines to type next, which are printed."""
    from ..lammps.output import run_line

    lines = {}
    if not finished:
        lines["run"] = run_line(folder)
        lines["continue"] = f"openmm-allegro lammps {quoted(folder)} --resume"
    if plan.frames:
        prefix = quoted(folder / plan.names[-1])
        lines["analyse"] = f"openmm-allegro analyze rdf {prefix}"
    else:
        lines["report"] = f"openmm-allegro report {quoted(folder)}"
    return _finish(lines, _described(plan) | {"finished": finished}, [folder])


def _outcome_of_series(
    folder: Path, plans: dict[str, Any], finished: Sequence[str] = ()
) -> Outcome:
    """As ``_outcome``, of several temperatures by the names of their folders."""
    from ..lammps.series import series_line

    lines = {}
    if len(finished) < len(plans):
        left = [name for name in plans if name not in finished]
        lines["run"] = series_line(folder, left)
        lines["continue"] = f"openmm-allegro lammps {quoted(folder)} --resume"
    lines["analyse"] = f"openmm-allegro analyze series {quoted(folder)}"
    lines["report"] = f"openmm-allegro report {quoted(folder)}"
    results = {
        name: _described(plan) | {"finished": name in finished}
        for name, plan in plans.items()
    }
    folders = [folder, *(folder / name for name in plans)]
    return _finish(lines, {"temperatures": results}, folders)


def _described(plan: Any) -> dict[str, Any]:
    stages = dict(zip(plan.names, plan.stages, strict=True))
    return {"atoms": plan.atoms, "stages": stages}


def _finish(
    lines: dict[str, str], results: dict[str, Any], folders: Sequence[Path]
) -> Outcome:
    """Print the lines to type next."""
    for name, line in lines.items():
        print(f"{f'{name}:':<9} {line}")
    files = [path for each in folders for path in sorted(each.iterdir())]
    written = [path for path in files if path.is_file()]
    return Outcome(results, files=written, next=list(lines.values()))
