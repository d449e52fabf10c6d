# SPDX-License-Identifier: MIT
"""``openmm-allegro analyze QUANTITY``: the quantities, and what they share."""

import argparse
import logging
import textwrap
from pathlib import Path

from .._version import __version__
from ..measure import (
    arrhenius,
    conductivity,
    diffusion,
    ions,
    rdf,
    stability,
    structure,
    thermodynamics,
    van_hove,
    velocities,
)
from ..measure.output import Outcome, table, write_csv
from ..measure.request import Request
from .output import add_force, check_free, write_json

_SOURCES = """\
What is analysed comes first: the prefix of a run, such as runs/nacl/nvt, whose .xtc,
.pdb, .csv, .h5 and .json are then found; or a trajectory, or several, and their
topology (TRAJ [TRAJ ...] TOP). Then come the selections: elements (Na) or mdtraj's own
words ("water and name O"); pairs are Na-O, or "resname LIT : water and name O"; a
label may go before (Li-water="name LI : water"). Structure is the mean over all
trajectories; motion is measured in each, and their mean is added. Errors are
half-widths of 68 % intervals."""
_MODULES = (
    rdf,
    structure,
    diffusion,
    van_hove,
    velocities,
    conductivity,
    ions,
    arrhenius,
    thermodynamics,
    stability,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the quantities, and the options of each, to the parser of the verb."""
    quantities = parser.add_subparsers(
        title="quantities", dest="quantity", required=True, metavar="QUANTITY"
    )

    def add(
        name, handler, *, selections, help, needs_runs=True, curves=True, **options
    ):
        # A sentence, but g(r) stays what it is.
        first = help[0].upper() if help[1] != "(" else help[0]
        parser = quantities.add_parser(
            name,
            help=help.split("; ")[0],
            description=textwrap.fill(first + help[1:] + ".", 79),
            epilog=_SOURCES if needs_runs else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        source = f"SOURCE {selections}" if needs_runs else selections
        parser.usage = f"{parser.prog} {source} [options]"
        parser.set_defaults(
            handler=handler, needs_runs=needs_runs, name=name, temperature=None
        )
        where = "see below" if needs_runs else "see above"
        parser.add_argument("inputs", nargs="+", metavar="SOURCE", help=where)
        _add_outputs(parser, curves)
        return parser

    for module in _MODULES:
        module.add_quantities(add)


def analyze(options: argparse.Namespace) -> None:
    """Measure what was asked for, print it and write what is to be written."""
    check_free(options.json, options.force)
    check_free(options.csv, options.force)
    check_free(options.plot, options.force, image=True)
    request = Request.of(options)
    # It says at import which library its Fourier transforms are from.
    logging.getLogger("freud").setLevel(logging.WARNING)
    outcome = options.handler(request)
    if outcome.rows:
        print(table(outcome.rows))
    if request.temperatures_differ:
        note = "No means over the runs: their temperatures differ."
        outcome = outcome._replace(notes=(*outcome.notes, note))
    for note in outcome.notes:
        print(note)
    _write(options, request, outcome)


def _add_outputs(parser: argparse.ArgumentParser, curves: bool) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, help="write all arrays and values")
    if curves:
        output.add_argument("--csv", type=Path, help="write the curves")
    else:
        parser.set_defaults(csv=None)
    output.add_argument("--plot", type=Path, help="draw to a .png, .pdf or .svg")
    add_force(output)


def _write(options: argparse.Namespace, request: Request, outcome: Outcome) -> None:
    if options.json:
        content = {
            "quantity": options.name,
            "package_version": __version__,
            **request.described(),
            "table": outcome.rows,
            "units": outcome.units,
            "results": outcome.results,
            "notes": outcome.notes,
        }
        write_json(options.json, content)
    if options.csv:
        write_csv(options.csv, outcome.curves)
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        outcome.plot(options.plot)
