# SPDX-License-Identifier: MIT
"""Write what a verb ends with as JSON, in one shape but for evaluate and analyze.

These have a shape of their own, which is older; their module makes it.
"""

import argparse
import contextlib
import glob
import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from ..runs.names import FREE_ENERGY, LOOP_FILES, PROTOCOL, SERIES, paths_of
from ..utils.files import read_record
from .output import add_overwrite_option, check_apart, check_free, files_of, write_json

if TYPE_CHECKING:
    from ..model.model import Model

# Options that are not about what a verb does.
_OF_COMMAND = ("verb", "json", "debug")
_RUNS = ("inputs", "run")  # options that may be prefixes of runs
UNITS_OF_MODELS = {"cutoff": "Å"}  # of ``describe_model``
_COMPARED = ("difference_from_nequip",)  # of an imported model, relative


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


def newer_files(output: str | Path, begun: float) -> bool:
    """Tell whether files of an output were written since a time.

    Parameters
    ----------
    output : path
        A file, a folder, or the prefix of files.
    begun : float
        As `time.time`.
    """
    path = Path(output)
    near = path.parent.glob(f"{glob.escape(path.name)}*")
    for file in (*near, *(path.rglob("*") if path.is_dir() else ())):
        # some file systems have coarse times
        if file.is_file() and file.stat().st_mtime > begun - 0.05:
            return True
    return False


def describe_model(model: "Model") -> dict[str, Any]:
    """Say what a model is, for verbs that write one."""
    config = model.config
    return {
        "elements": config.elements,
        "cutoff": config.cutoff,
        "kind": model.kind,
        "charges": config.charges,
        "num_weights": model.num_weights,
        **{k: model.provenance[k] for k in _COMPARED if k in model.provenance},
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


def check_json_option(options: argparse.Namespace) -> Any:
    """Refuse a file that cannot or should not be written, before any work.

    Returns
    -------
    tuple or None
        By which ``write_outcome`` knows the file that was there.

    Raises
    ------
    FileExistsError, PermissionError, ValueError
    """
    path = options.json
    if path is None:
        return None
    given = {n: v for n, v in vars(options).items() if n not in _OF_COMMAND}
    words = {name: _words(value) for name, value in given.items()}
    read = (files_of(w) if n in _RUNS else w for n, w in words.items() if n != "output")
    check_apart({"--json": path}, itertools.chain.from_iterable(read))
    output = getattr(options, "output", None)
    if output is not None and path.resolve() in map(Path.resolve, _records_of(output)):
        raise ValueError(
            f"expected a file of its own for --json, found {path}, which is the output "
            "of the verb or its record"
        )
    check_free(path, options.force or _is_outcome(options))
    return _mark(path)


def _mark(path: Path) -> Any:
    """What changes as a file is written."""
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _words(value: Any) -> list[Path | str]:
    """Values of an option that may name files."""
    values = value if isinstance(value, list | tuple) else [value]
    return [each for each in values if isinstance(each, Path | str)]


def _records_of(output: Path | str) -> list[Path]:
    """Output of a verb, and the records at it, if it is a prefix or a folder."""
    in_folder = PROTOCOL, SERIES, LOOP_FILES["record"], FREE_ENERGY["results"]
    path = Path(output)
    return [path, *paths_of(output).values(), *(path / name for name in in_folder)]


def _is_outcome(options: argparse.Namespace) -> bool:
    """Tell whether a job that is resumed finds an outcome that it wrote before."""
    if not getattr(options, "resume", False):
        return False
    try:
        return read_record(options.json).get("verb") == options.verb
    except (OSError, ValueError):
        return False


def write_outcome(
    options: argparse.Namespace, outcome: Outcome, warned: Sequence[str], before: Any
) -> None:
    """Write what a verb ended with, if ``--json`` asks for it.

    Parameters
    ----------
    options : argparse.Namespace
        Those that were given are written, too.
    outcome : Outcome
    warned : sequence of str
        What was logged as warning.
    before : tuple or None
        Of ``check_json_option``.

    Raises
    ------
    ValueError
        If the verb itself wrote the file.
    """
    if options.json is None:
        return
    if _mark(options.json) != before:
        raise ValueError(
            f"expected a file of its own for --json, found {options.json}, which "
            f"{options.verb} wrote; it stays"
        )
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
