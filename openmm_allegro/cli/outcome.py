# SPDX-License-Identifier: MIT
"""What a verb ends with, as JSON: one shape for all but evaluate and analyze.

These have a shape of their own, which is older; their module makes it.
"""

import argparse
import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from .output import add_overwrite_option, check_free, write_json

if TYPE_CHECKING:
    from ..model.model import Model

# Options that are not about what a verb does.
_OF_COMMAND = ("verb", "json", "debug")
UNITS_OF_MODELS = {"cutoff": "Å"}  # of ``describe_model``


class Outcome(NamedTuple):
    """What a verb ends with.

    Attributes
    ----------
    results : mapping
        Values by name; where a name does not end in its unit, ``units`` has it.
    units : mapping of str to str
    files : sequence of Path
        Files that were written.
    next : sequence of str
        Commands to type next.
    warnings : sequence of str
        Beside those that were logged.
    """

    results: Mapping[str, Any]
    units: Mapping[str, str] = {}
    files: Sequence[Path] = ()
    next: Sequence[str] = ()
    warnings: Sequence[str] = ()


def describe_model(model: "Model") -> dict[str, Any]:
    """Say what a model is, for verbs that write one."""
    config = model.config
    return {
        "elements": config.elements,
        "cutoff": config.cutoff,
        "kind": model.kind,
        "charges": config.charges,
        "num_weights": model.num_weights,
    }


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, and ``--force`` where the verb has none."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write at the end what it was, with results, units, warnings, files and "
        "what to type next",
    )
    if "--force" not in parser._option_string_actions:
        add_overwrite_option(parser)


def check_json_option(options: argparse.Namespace) -> None:
    """Refuse a file that cannot or should not be written, before any work.

    Raises
    ------
    FileExistsError, PermissionError, ValueError
    """
    path = options.json
    again = options.force or getattr(options, "resume", False)
    check_free(path, again)
    if path is not None and path == getattr(options, "output", None):
        raise ValueError(f"expected a file of its own for --json, found {path} twice")


def write_outcome(
    options: argparse.Namespace, outcome: Outcome, warned: Sequence[str]
) -> None:
    """Write what a verb ended with, if ``--json`` asks for it.

    Parameters
    ----------
    options : argparse.Namespace
        Those that were given are written, too.
    outcome : Outcome
    warned : sequence of str
        What was logged as warning.
    """
    if options.json is None:
        return
    given = {
        name: value
        for name, value in vars(options).items()
        if name not in _OF_COMMAND and not _is_nothing(value)
    }
    content = {
        "verb": options.verb,
        "package_version": __version__,
        "options": given,
        "results": dict(outcome.results),
        "units": dict(outcome.units),
        "warnings": list(dict.fromkeys([*warned, *outcome.warnings])),
        "files": list(outcome.files),
        "next": list(outcome.next),
    }
    write_json(options.json, content)


@contextlib.contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Collect what is logged as warning, and what ``warnings`` shows."""
    noted: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: noted.append(record.getMessage())
    show = warnings.showwarning

    def show_and_note(message: Any, *place: Any, **more: Any) -> None:
        noted.append(" ".join(str(message).split()))
        show(message, *place, **more)

    logging.getLogger().addHandler(handler)
    warnings.showwarning = show_and_note
    try:
        yield noted
    finally:
        warnings.showwarning = show
        logging.getLogger().removeHandler(handler)


def _is_nothing(value: Any) -> bool:
    """Tell whether an option was not given: 0 is a value."""
    return value is None or value is False or value in ((), [], {})
