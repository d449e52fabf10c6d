# SPDX-License-Identifier: MIT
"""Run the ``openmm-allegro`` command.

Only the module of the verb that is asked for is imported. It has two functions:
``add_options(parser)``, and one of the verb's name that takes the options' values.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Sequence

from .._version import __version__
from ..utils.quiet import quiet

# Verbs in the order of the help, and what each does.
VERBS = {
    "train": "train a model as a TOML file says",
    "evaluate": "errors of a model on labelled frames",
    "info": "print the header of a model file",
    "import": "turn a nequip-allegro checkpoint or package into a model file",
    "export": "turn a model file into a nequip checkpoint",
    "simulate": "molecular dynamics of a PDB file, or of a protocol",
    "analyze": "structure, motion and soundness of trajectories",
    "report": "one HTML page about a run: traces, structure, kinetics, a look in 3D",
}
# Packages that a verb needs beyond the base installation, and the extra that has them.
_EXTRA_OF = {
    "lightning": "train",
    "nequip": "nequip",
    **dict.fromkeys(
        ("freud", "matplotlib", "mdtraj", "periodictable", "pymbar", "scipy"),
        "analysis",
    ),
    "tables": "analysis",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        The exit status: 0, 2 after an error in what was asked, 130 if interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _make_parser(arguments).parse_args(arguments)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        _, run_verb = _functions_of(options.verb)
        with quiet("numexpr"):
            run_verb(options)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").split(".")[0])
        hint = f"; pip install 'openmm-allegro[{extra}]'" if extra else ""
        print(f"openmm-allegro: error: {error}{hint}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"openmm-allegro: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openmm-allegro: interrupted; what was written stays", file=sys.stderr)
        return 130
    return 0


def _make_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Parser of the command, with the options of the verb that is asked for."""
    parser = argparse.ArgumentParser(
        prog="openmm-allegro",
        description="Allegro machine-learned potentials inside OpenMM.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    for verb, about in VERBS.items():
        # A sentence, to which the verb may add.
        description = f"{about[0].upper()}{about[1:]}."
        options = verbs.add_parser(verb, help=about, description=description)
        if verb == chosen:
            add_options, _ = _functions_of(verb)
            add_options(options)
    return parser


def _functions_of(verb: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """``add_options`` of the verb's module, and what runs the verb."""
    name = {"import": "import_"}.get(verb, verb)  # no module can be called "import"
    module = importlib.import_module(f".{name}", __package__)
    return module.add_options, getattr(module, name)
