# SPDX-License-Identifier: MIT
"""Run the ``openmm-allegro`` command.

Only the module of the verb that is asked for is imported. It has two functions:
``add_options(parser)``, and one of the verb's name that takes the options' values and
returns an ``Outcome``.
"""

import contextlib
import functools
import importlib
import io
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._version import __version__
from ..utils.extras import naming_extras
from ..utils.progress import log_if_long, note_lines
from ..utils.quiet import quiet
from .outcome import (
    Outcome,
    add_json_option,
    check_json_option,
    newer_files,
    noted_warnings,
    write_outcome,
)
from .parser import Parser

_log = logging.getLogger(__name__)
# Verbs in the order of the help, and what each does.
VERBS = {
    "init": "settings for a data set, and a page about it",
    "train": "train a model on a data set, or as a TOML file says",
    "evaluate": "errors of a model on labelled frames",
    "refit": "refit the energy shifts of a model to frames, its weights as they are",
    "models": "list the models that have a name, and what is known of each",
    "info": "print the header of a model file",
    "import": "turn a nequip-allegro checkpoint or package into a model file",
    "export": "turn a model file into a nequip checkpoint",
    "box": "make a box of molecules, or repeat the cell of a crystal",
    "simulate": "molecular dynamics of a file with atoms, or of a protocol",
    "free-energy": "free energy of a model relative to a force field, along λ",
    "learn": "active learning: train a committee on frames that it asks for",
    "lammps": "write what simulate runs as a folder that LAMMPS runs over MPI",
    "analyze": "structure, motion and soundness of trajectories",
    "report": "one HTML page about a run: traces, structure, kinetics, a look in 3D",
}
# What the command says if nothing is asked of it.
_FIRST_STEPS = """\
Allegro machine-learned potentials inside OpenMM. To begin:

  openmm-allegro train data.extxyz --hours 1       from energies (eV) and forces (eV/Å)
  openmm-allegro simulate MODEL box.pdb --output runs/first
  openmm-allegro report runs/first                 structure and kinetics, on a page
  openmm-allegro import best.ckpt -o model.safetensors    a model of nequip-allegro

openmm-allegro --help lists all verbs, openmm-allegro VERB --help what each takes."""
_DEBUG = "--debug"
# The extra that has all that a verb needs, where it needs more than the base.
_EXTRAS = {
    "init": "train",
    "train": "train",
    "evaluate": "train",
    "refit": "train",
    "learn": "train",
    "import": "nequip",
    "export": "nequip",
    "free-energy": "multistate",
    "analyze": "analysis",
    "report": "analysis",
}

# Verbs with a --json of another shape.
_OWN_JSON = ("evaluate", "analyze")
_ENDED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        The exit status: 0, 2 after an error, 130 if interrupted, 143 if ended by
        SIGTERM, as cluster schedulers do.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = _DEBUG in arguments  # anywhere, since each verb has a parser of its own
    arguments = [argument for argument in arguments if argument != _DEBUG]
    if not arguments:
        print(_FIRST_STEPS)
        return 0
    known_options: list[str] = []
    options, begun = None, time.time()
    try:
        _print_any_name()
        parser = _make_parser()
        options = parser.parse_args(arguments)
        if options.verb != "lammps":  # which resumes what LAMMPS has begun
            known_options = parser.options_of(options)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        note_lines()
        _, run_verb = _functions_of(options.verb)
        with quiet("numexpr"), _warnings_in_one_line(debug):
            with naming_extras(_EXTRAS.get(options.verb)):
                verb = options.verb
                start = f"{verb}: loading libraries and reading its input"
                with log_if_long(_log, f"{verb} is at work", start):
                    _run(run_verb, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output has enough; Python would flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        _print_interrupted(known_options, options, begun)
        return 130
    except SystemExit as end:
        if end.code != _ENDED:
            raise
        _print_interrupted(known_options, options, begun)
        return _ENDED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"openmm-allegro: error: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


def _run(run_verb: Callable[..., Outcome], options: Any) -> None:
    """Run a verb, and write what it ended with."""
    if options.verb in _OWN_JSON:
        run_verb(options)
        return
    before = check_json_option(options)
    with noted_warnings() as warned:
        outcome = run_verb(options)
        write_outcome(options, outcome, warned, before)


def _print_interrupted(
    known_options: Sequence[str], options: Any, begun: float
) -> None:
    """Say that the command was interrupted, and what stays of its work.

    Parameters
    ----------
    known_options : sequence of str
        Of the verb.
    options : namespace or None
        As given, where they were read.
    begun : float
        When the command began, as `time.time`.
    """
    output = getattr(options, "output", None)
    resumed = getattr(options, "resume", False)
    if options is None or (output and not resumed and not newer_files(output, begun)):
        print(
            "openmm-allegro: interrupted before anything was written", file=sys.stderr
        )
        return
    more = "; the same command with --resume continues"
    more = more if "--resume" in known_options else ""
    print(f"openmm-allegro: interrupted; what was written stays{more}", file=sys.stderr)


def _sentence(error: Exception) -> str:
    """Say what was wrong in one line."""
    # torch adds where in its C++ code it was
    text = " ".join(str(error).partition("\nException raised from")[0].split())
    if isinstance(error, RecursionError):
        return "expected values that are nested less deeply in a file"
    if isinstance(error, MemoryError):
        return f"expected enough memory, found too little for this ({text or 'none'})"
    if text and isinstance(error, ValueError | OSError | ImportError | RuntimeError):
        return text
    # What nobody has foreseen; its text alone says little.
    kind = type(error).__name__
    return f"{kind}: {text or 'no message'} ({_DEBUG} shows where)"


@contextlib.contextmanager
def _warnings_in_one_line(debug: bool) -> Iterator[None]:
    """Print warnings as errors are, without the line of code that they come from."""
    before = warnings.formatwarning

    def one_line(message: Warning | str, *place: Any, **line: Any) -> str:
        text = f"openmm-allegro: warning: {' '.join(str(message).split())}\n"
        return text + (before(message, *place, **line) if debug else "")

    warnings.formatwarning = one_line
    try:
        yield
    finally:
        warnings.formatwarning = before


def _print_any_name() -> None:
    """Let names of files be printed that are no text, or that the screen lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _make_parser() -> Parser:
    """Parser of the command; the options of a verb are made if it is asked for."""
    parser = Parser(
        prog="openmm-allegro",
        description="Allegro machine-learned potentials inside OpenMM.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        _DEBUG, action="store_true", help="show where in the program an error arose"
    )
    verbs = parser.add_verbs(title="verbs", dest="verb", required=True)
    for verb, about in VERBS.items():
        # A sentence, to which the verb may add.
        description = f"{about[0].upper()}{about[1:]}."
        of_verb = verbs.add_parser(verb, help=about, description=description)
        of_verb.fill = functools.partial(_add_options, verb)
    return parser


def _add_options(verb: str, parser: Parser) -> None:
    add_options, _ = _functions_of(verb)
    add_options(parser)
    if verb not in _OWN_JSON:
        add_json_option(parser)


def _functions_of(verb: str) -> tuple[Callable[..., None], Callable[..., Any]]:
    """``add_options`` of the verb's module, and what runs the verb."""
    # no module can be called "import"
    name = {"import": "import_"}.get(verb, verb.replace("-", "_"))
    module = importlib.import_module(f".{name}", __package__)
    return module.add_options, getattr(module, name)
