# SPDX-License-Identifier: MIT
"""``openmm-allegro import``: turn a model of nequip-allegro's into a model file.

A model file of an earlier version becomes one of this version.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .outcome import UNITS_OF_MODELS, Outcome, describe_model
from .output import add_overwrite_option, check_free, print_next, quoted

if TYPE_CHECKING:
    from ..model.model import Model

_log = logging.getLogger(__name__)
# Defaults of the options that are about nequip's files alone.
_OF_NEQUIP = {
    "length_unit": "angstrom",
    "energy_unit": "eV",
    "element": [],
    "model_key": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " nequip's loader unpickles the file, which can run code from it: import only "
        "what you would run."
    )
    parser.add_argument(
        "source",
        type=Path,
        help="*.ckpt or *.nequip.zip; a model file of an earlier version "
        "(*.safetensors) is written anew, so that simulations need no torch",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="model file to write"
    )
    parser.add_argument(
        "--length-unit",
        help="unit of lengths: angstrom, nm, bohr",
    )
    parser.add_argument(
        "--energy-unit",
        help="unit of energies: eV, kJ/mol, kcal/mol, hartree",
    )
    parser.add_argument(
        "--element",
        action="append",
        metavar="TYPE=SYMBOL",
        help="element of a type whose name is no chemical symbol",
    )
    parser.add_argument("--model-key", help="name of the model, in a file with several")
    parser.set_defaults(**_OF_NEQUIP)
    add_overwrite_option(parser)


def import_(options: argparse.Namespace) -> Outcome:
    """Write the model file and print where it is."""
    from ..modelfile import save_model

    check_free(options.output, options.force)
    if options.output.resolve() == options.source.resolve():
        raise ValueError(
            f"expected an output other than the input, found {options.source} as both"
        )
    _log.info("reading %s, and comparing with the model that is made", options.source)
    read = _read_own if options.source.suffix == ".safetensors" else _read_theirs
    model = read(options)
    path = save_model(model, options.output)
    print(f"model: {path}")
    return Outcome(
        describe_model(model),
        UNITS_OF_MODELS,
        files=[path],
        next=print_next(f"simulate {quoted(path)} BOX.pdb --output runs/first"),
    )


def _read_own(options: argparse.Namespace) -> "Model":
    from ..modelfile import load_model

    given = [
        f"--{name.replace('_', '-')}"
        for name, default in _OF_NEQUIP.items()
        if getattr(options, name) != default
    ]
    if given:
        raise ValueError(
            f"expected no {', '.join(given)} for a model file, which says what it holds"
        )
    return load_model(options.source)


def _read_theirs(options: argparse.Namespace) -> "Model":
    from ..interop.nequip import import_model
    from ..utils.process import keep_freed_memory

    keep_freed_memory()  # two thirds of the time that the comparison takes else
    return import_model(
        options.source,
        length_unit=options.length_unit,
        energy_unit=options.energy_unit,
        elements=_elements(options.element),
        model_key=options.model_key,
    )


def _elements(items: Sequence[str]) -> dict[str, str]:
    """Element of each type, from items ``TYPE=SYMBOL``."""
    elements = {}
    for item in items:
        name, _, symbol = item.partition("=")
        if not name or not symbol:
            raise ValueError(f"expected --element TYPE=SYMBOL, found {item!r}")
        elements[name] = symbol
    return elements
