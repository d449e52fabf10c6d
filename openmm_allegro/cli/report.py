# SPDX-License-Identifier: MIT
"""``openmm-allegro report``: a page about a run."""

import argparse
import logging
from pathlib import Path

from ..measure.jumps import JumpsSettings
from ..runs.window import Window
from ..topology.elements import Naming
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from .outcome import Outcome
from .output import add_overwrite_option

_log = logging.getLogger(__name__)
_OF_JUMPS = ("sites", "labels", "cages", "core", "lengths")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += " It is a single file that opens without a network."
    parser.usage = "%(prog)s RUN | TRAJ TOP  [options]"
    parser.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN, or TRAJ TOP",
        help="prefix of a run, folder of a protocol or series, or a trajectory of any "
        "program and its topology",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.html",
        help="page to write (default: RUN.html, or report.html in the folder)",
    )
    parser.add_argument(
        "--charges",
        type=_charges,
        metavar="Na=1,Cl=-1",
        help="charges of ions, by element or residue name, or a file of one number "
        "for each atom (default: those of the run's System, or formal ones)",
    )
    parser.add_argument(
        "--start",
        type=float,
        metavar="PS",
        help="first time of structure and kinetics, ps (default: a tenth of the run, "
        "or later where the potential energy says so; 0 without a table of energies)",
    )
    parser.add_argument(
        "--stage", help="stage of a protocol (default: the last with a trajectory)"
    )
    add_settings(parser, Naming)
    add_settings(parser, Window, ("drop_repeated", "time_step", "cell"))
    group = parser.add_argument_group("sites of ions in a solid")
    add_settings(group, JumpsSettings, _OF_JUMPS)
    add_overwrite_option(parser)


def report(options: argparse.Namespace) -> Outcome:
    """Write the page and print where it is."""
    from ..report import report as write

    _log.info("a page about %s", ", ".join(map(str, options.run)))
    jumps = given_options(options, JumpsSettings)
    given = vars(options)
    window = {name: given[name] for name in ("time_step", "cell") if name in given}
    path = write(
        options.run if len(options.run) > 1 else options.run[0],
        options.output,
        overwrite=options.force,
        charges=options.charges,
        start=options.start,
        stage=options.stage,
        elements=given_options(options, Naming).get("elements"),
        drop_repeated=given.get("drop_repeated", False),
        **window,
        jumps=JumpsSettings(**jumps) if jumps else None,
    )
    print(f"report: {path}")
    return Outcome({"page": path}, files=[path])


def _charges(text: str) -> str:
    """Check charges such as ``Na=1,Cl=-1`` while arguments are parsed."""
    from ..runs.charges import parse_charges

    try:
        if not Path(text).is_file():
            parse_charges(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
