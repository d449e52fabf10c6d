# SPDX-License-Identifier: MIT
"""``openmm-allegro import``: turn a model of nequip-allegro's into a model file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .output import add_overwrite_option, check_free


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " nequip's loader unpickles the file, which can run code from it: import only "
        "what you would run."
    )
    parser.add_argument("source", type=Path, help="*.ckpt or *.nequip.zip")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="model file to write"
    )
    parser.add_argument(
        "--length-unit",
        default="angstrom",
        help="unit of lengths: angstrom, nm, bohr",
    )
    parser.add_argument(
        "--energy-unit",
        default="eV",
        help="unit of energies: eV, kJ/mol, kcal/mol, hartree",
    )
    parser.add_argument(
        "--element",
        action="append",
        default=[],
        metavar="TYPE=SYMBOL",
        help="element of a type whose name is no chemical symbol",
    )
    parser.add_argument("--model-key", help="name of the model, in a file with several")
    add_overwrite_option(parser)


def import_(options: argparse.Namespace) -> None:
    """Write the model file and print where it is."""
    from ..interop.nequip import import_model
    from ..model.file import save_model

    check_free(options.output, options.force)
    if options.output.resolve() == options.source.resolve():
        raise ValueError(
            f"expected an output other than the input, found {options.source} as both"
        )
    model = import_model(
        options.source,
        length_unit=options.length_unit,
        energy_unit=options.energy_unit,
        elements=_elements(options.element),
        model_key=options.model_key,
    )
    print(f"model: {save_model(model, options.output)}")


def _elements(items: Sequence[str]) -> dict[str, str]:
    """Element of each type, from items ``TYPE=SYMBOL``."""
    elements = {}
    for item in items:
        name, _, symbol = item.partition("=")
        if not name or not symbol:
            raise ValueError(f"expected --element TYPE=SYMBOL, found {item!r}")
        elements[name] = symbol
    return elements
