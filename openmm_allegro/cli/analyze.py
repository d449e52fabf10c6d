# SPDX-License-Identifier: MIT
"""``openmm-allegro analyze QUANTITY``: the parser of each quantity, and its table."""

import argparse
import dataclasses
import functools
import logging
import textwrap
from pathlib import Path
from typing import Any

from .._version import __version__
from ..measure.measurement import Measurement
from ..measure.quantities import QUANTITIES
from ..measure.quantity import Quantity
from ..runs.run import find_runs
from ..runs.source import Source
from ..runs.window import Window
from ..topology.elements import Naming
from ..utils import settings
from .output import add_overwrite_option, check_apart, check_free, files_of, write_json
from .parser import Parser
from .tables import format_rows, write_csv

_log = logging.getLogger(__name__)
_SOURCES = """\
What is analysed comes first: the prefix of a run, such as runs/nacl/nvt, whose .xtc,
.pdb, .csv, .h5 and .json are then found; or a trajectory, or several, and their
topology (TRAJ [TRAJ ...] TOP). Then come the selections: elements (Na), residues (EMC)
or mdtraj's own words ("water and name O"); com:EMC, or "com of resname EMC", are the
centres of mass of molecules; pairs are Na-O, or "resname LIT : water and name O"; a
label may go before (Li-water="name LI : water"). Structure is the mean over all
trajectories; motion is measured in each, and their mean is added. Errors are
half-widths of 68 % intervals."""


def add_options(parser: Parser) -> None:
    """Add the quantities to the parser of the verb; options of one when it is used."""
    quantities = parser.add_verbs(
        title="quantities", dest="quantity", required=True, metavar="QUANTITY"
    )
    for quantity in QUANTITIES.values():
        _add_parser(quantities, quantity)


def analyze(options: argparse.Namespace) -> None:
    """Measure what was asked for, print it and write what is to be written."""
    quantity: Quantity = options.measured
    _check_outputs(options, quantity)
    chosen = quantity.settings(**settings.given_options(options, quantity.settings))
    source, words = None, options.inputs
    if quantity.needs_runs:
        window = Window(**settings.given_options(options, Window))
        runs, words = find_runs(words, folders=quantity.folders)
        naming = Naming(**settings.given_options(options, Naming))
        runs = [dataclasses.replace(run, elements=naming.elements) for run in runs]
        source = Source(runs, window, options.temperature)
        _log.info("%s of %s", quantity.name, ", ".join(run.name for run in runs))
    subjects = quantity.read_subjects(words)
    measurement = quantity.measure(source, subjects, chosen)
    notes = [*measurement.remarks, *(source.notes if source else ())]
    if source and source.temperatures_differ:
        notes.append("No means over the runs: their temperatures differ.")
    if measurement.rows:
        print(format_rows(measurement.rows))
    for warning in measurement.warnings:
        print(f"Warning: {warning}")
    for note in notes:
        print(note)
    _write(options, quantity, source, chosen, measurement, notes)


def _check_outputs(options: argparse.Namespace, quantity: Quantity) -> None:
    """Refuse files that cannot or should not be written, before any work."""
    tables = {"--json": options.json, "--csv": options.csv}
    names = {"--plot": "plot"} | {
        f"--plot-{name.replace('_', '-')}": f"plot_{name}" for name in quantity.figures
    }
    images = {option: getattr(options, name) for option, name in names.items()}
    for path in tables.values():
        check_free(path, options.force)
    for path in images.values():
        check_free(path, options.force, image=True)
    check_apart(tables | images, files_of(options.inputs))


def _add_parser(quantities: Any, quantity: Quantity) -> None:
    """Add the parser of a quantity."""
    about = quantity.about
    # A sentence, but g(r) stays what it is.
    first = about[0].upper() if about[1] != "(" else about[0]
    of_one = quantities.add_parser(
        quantity.name,
        aliases=quantity.aliases,
        help=about.split("; ")[0],
        description=textwrap.fill(first + about[1:] + ".", 79),
        epilog=_SOURCES if quantity.needs_runs else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    of_one.fill = functools.partial(_add_options, quantity)


def _add_options(quantity: Quantity, parser: Parser) -> None:
    """Add the options of a quantity, made from its declaration."""
    source = "SOURCE " if quantity.needs_runs else ""
    parser.usage = f"{parser.prog} {source}{quantity.subjects} [options]"
    parser.set_defaults(measured=quantity, temperature=None, csv=None)
    where = "see below" if quantity.needs_runs else "see above"
    parser.add_argument("inputs", nargs="+", metavar="SOURCE", help=where)
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, help="write all arrays and values")
    if quantity.curves:
        output.add_argument("--csv", type=Path, help="write the curves")
    output.add_argument("--plot", type=Path, help="draw to a .png, .pdf or .svg")
    for name, text in quantity.figures.items():
        option = f"--plot-{name.replace('_', '-')}"
        output.add_argument(option, type=Path, metavar="FILE", help=text)
    add_overwrite_option(output)
    settings.add_options(parser, quantity.settings, require=True)
    if quantity.temperature:
        parser.add_argument(
            "--temperature",
            type=float,
            metavar="K",
            help="temperature, K (default: the run's)",
        )
    if quantity.needs_runs:
        frames = parser.add_argument_group("frames")
        settings.add_options(frames, Window, quantity.window)
        settings.add_options(frames, Naming)


def _write(
    options: argparse.Namespace,
    quantity: Quantity,
    source: Source | None,
    chosen: Any,
    measurement: Measurement,
    notes: list[str],
) -> None:
    """Write JSON, CSV and figures, as far as they were asked for."""
    if options.json:
        given = dataclasses.asdict(chosen)
        if source is not None:
            given |= dataclasses.asdict(source.window)
            given["elements"] = dict(source.runs[0].elements)
        if quantity.temperature:
            given["temperature"] = options.temperature
        content = {
            "quantity": quantity.name,
            "package_version": __version__,
            "options": given,
            **(source.described() if source else {}),
            "table": measurement.table,
            "units": measurement.units,
            "results": measurement.results,
            "notes": notes,
            "warnings": measurement.warnings,
            "withheld": measurement.failed,
        }
        write_json(options.json, content)
    if options.csv:
        write_csv(options.csv, measurement.curves)
    figures = {options.plot: measurement.plot}
    for name in quantity.figures:
        figures[getattr(options, f"plot_{name}")] = measurement.figures.get(name)
    for path, draw in figures.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path)
