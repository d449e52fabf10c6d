# SPDX-License-Identifier: MIT
"""``openmm-allegro init``: settings for a data set, and a page about it."""

import argparse
from pathlib import Path

from ..utils.files import replace_file
from .datafiles import (
    UNITS_OF_DATA,
    add_data_options,
    add_fine_tuning,
    check_files,
    describe_data,
    prepare_files,
    write_page,
)
from .outcome import Outcome
from .output import add_overwrite_option, check_free, print_next, quoted


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " `train` with the same files chooses in the same way but times steps anew, "
        "and may choose another network if the machine is busier or freer then."
    )
    parser.add_argument("data", type=Path, nargs="+", help="files that ase reads")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.toml",
        help="settings to write, and a page beside them (default DATA.toml, DATA.html)",
    )
    add_fine_tuning(parser)
    add_data_options(parser)
    add_overwrite_option(parser)


def init(options: argparse.Namespace) -> Outcome:
    """Write the settings and the page."""
    output = options.output or Path(options.data[0].stem + ".toml")
    if output.suffix != ".toml":
        raise ValueError(f"expected a file named .toml, found {output}")
    check_files(options.data)
    page = output.with_suffix(".html")
    for path in (output, page):
        check_free(path, options.force)
    prepared = prepare_files(options.data, options, output.parent)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_page(prepared, page)
    replace_file(output, prepared.text)
    print(f"settings: {output}\npage about the data: {page}")
    return Outcome(
        describe_data(prepared),
        UNITS_OF_DATA,
        files=[output, page],
        next=print_next(f"train {quoted(output)}"),
    )
