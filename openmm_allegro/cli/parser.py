# SPDX-License-Identifier: MIT
"""The arguments of the ``openmm-allegro`` command."""

import argparse
from pathlib import Path

from .._version import __version__
from .analyze import add_parsers
from .report import add_parser as add_report
from .simulate import add_parser as add_simulate


def make_parser() -> argparse.ArgumentParser:
    """The parser; ``verb`` of what it returns is the name of one."""
    parser = argparse.ArgumentParser(
        prog="openmm-allegro",
        description="Allegro machine-learned potentials inside OpenMM.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True)

    train = verbs.add_parser("train", help="train a model as a TOML file says")
    train.add_argument("config", type=Path)
    train.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    train.add_argument("--resume", action="store_true", help="go on in the folder")

    evaluate = verbs.add_parser("evaluate", help="errors of a model on labelled frames")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("data", type=Path, nargs="+", help="files that ase reads")
    evaluate.add_argument("--baseline", nargs="+", default=[], help="XML of Systems")
    evaluate.add_argument("--json", type=Path, help="write the errors to this file")
    evaluate.add_argument("--plot", type=Path, help="draw a parity plot to this file")
    evaluate.add_argument(
        "--reference",
        default="reference",
        help="with --plot: what the axes call the labels, such as PBE",
    )

    info = verbs.add_parser("info", help="print the header of a model file")
    info.add_argument("model", type=Path)

    source = verbs.add_parser(
        "import",
        help="turn a nequip-allegro checkpoint or package into a model file",
        description="nequip's loader unpickles the file, which can run code from it: "
        "import only what you would run.",
    )
    source.add_argument("source", type=Path, help="*.ckpt or *.nequip.zip")
    source.add_argument("-o", "--output", type=Path, required=True)
    source.add_argument("--length-unit", default="angstrom", help="angstrom, nm, bohr")
    source.add_argument(
        "--energy-unit", default="eV", help="eV, kJ/mol, kcal/mol, hartree"
    )
    source.add_argument(
        "--element",
        action="append",
        default=[],
        metavar="TYPE=SYMBOL",
        help="element of a type whose name is no chemical symbol",
    )
    source.add_argument("--model-key", help="which model of a file with several")

    export = verbs.add_parser(
        "export", help="turn a model file into a nequip checkpoint"
    )
    export.add_argument("model", type=Path)
    export.add_argument("-o", "--output", type=Path, required=True, help="*.ckpt")

    simulate = add_simulate(verbs)
    add_parsers(verbs)  # of analyze
    report = add_report(verbs)

    evaluate.add_argument(
        "--precision", default="mixed", choices=("single", "mixed", "double")
    )
    for verb in (train, evaluate, source, export, simulate, report):
        verb.add_argument(
            "--force", action="store_true", help="replace existing output"
        )
    return parser
