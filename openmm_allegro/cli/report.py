# SPDX-License-Identifier: MIT
"""``openmm-allegro report``: a page about a run."""

import argparse
from pathlib import Path

from .output import add_force


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += " It is a single file that opens without a network."
    parser.add_argument("run", type=Path, help="prefix of a run, or protocol's folder")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.html",
        help="default: RUN.html, or report.html in the folder",
    )
    parser.add_argument(
        "--charges",
        type=read_charges,
        metavar="Na=1,Cl=-1",
        help="of ions, by element or residue name (default: formal ones)",
    )
    parser.add_argument(
        "--start",
        type=float,
        metavar="PS",
        help="where structure and kinetics begin (default: a tenth of the run, or "
        "later where the potential energy says so)",
    )
    parser.add_argument(
        "--stage", help="of a protocol (default: the last with a trajectory)"
    )
    add_force(parser)


def report(options: argparse.Namespace) -> None:
    """Write the page and print where it is."""
    from ..report import report as write

    path = write(
        options.run,
        options.output,
        overwrite=options.force,
        charges=options.charges,
        start=options.start,
        stage=options.stage,
    )
    print(f"report: {path}")


def read_charges(text: str) -> dict[str, float]:
    """Charges by name from ``Na=1,Cl=-1``."""
    charges = {}
    for item in text.split(","):
        name, _, number = item.partition("=")
        try:
            charges[name.strip()] = float(number)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected charges such as Na=1,Cl=-1, found {text!r}"
            ) from None
    return charges
