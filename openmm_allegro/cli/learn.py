# SPDX-License-Identifier: MIT
"""``openmm-allegro learn``: train a committee on frames that it asks for."""

import argparse
import sys
from pathlib import Path

from ..runs.names import LOOP_FILES
from .outcome import Outcome
from .output import add_overwrite_option, print_next, quoted


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " The file has the tables [learn], [labels], [[explore]], [train] and, for "
        "members that begin with random weights, [model]; docs/active-learning.md has "
        "their keys. It names the programs that label frames, which are run."
    )
    parser.add_argument("loop", type=Path, help="TOML of the loop")
    parser.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    parser.add_argument(
        "--resume", action="store_true", help="continue the loop in the folder"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="other loops to draw in the figure of the page, such as one that picks at "
        "random",
    )
    add_overwrite_option(parser)


def learn(options: argparse.Namespace) -> Outcome:
    """Run the loop, write its page, and print the errors and the models."""
    from ..learn import learn as run_loop
    from ..report.learning import learning_page, read_errors
    from ..utils.process import keep_freed_memory

    output = options.output or Path("runs") / options.loop.stem
    keep_freed_memory()
    for folder in options.compare:  # before the work, not after it
        read_errors(folder)
    learnt = run_loop(
        options.loop,
        output,
        resume=options.resume,
        overwrite=options.force,
        progress=sys.stderr.isatty(),
    )
    page = learning_page(output, output / "learning.html", options.compare)
    rounds = read_errors(output)
    for row in rounds:
        print(
            f"round {row['round']:>2}  {row['frames']:>5} frames  forces RMSE "
            f"{row['forces_rmse_mev_a'] or '–':>7} meV/Å of the test frames  deviation "
            f"{row['deviation_of_90_percent_mev_a'] or '–':>7} meV/Å of nine in ten "
            "candidates"
        )
    print(f"the loop ended because {learnt.reason}")
    tables = [output / LOOP_FILES[name] for name in ("frames", "errors")]
    files = [*learnt.models, *tables, page]
    for path in files:
        print(path)
    models = " ".join(quoted(path) for path in learnt.models)
    numbers = [{name: _number(text) for name, text in row.items()} for row in rounds]
    return Outcome(
        {"ended_because": learnt.reason, "rounds": numbers},
        files=files,
        next=print_next(f"simulate {models} BOX.pdb --output runs/first"),
    )


def _number(text: str) -> float | str | None:
    """Number of a table's cell, its text, or None of an empty one."""
    try:
        return float(text)
    except ValueError:
        return text or None
