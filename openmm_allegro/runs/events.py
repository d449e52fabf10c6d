# SPDX-License-Identifier: MIT
"""Events that the watchdogs of a run wrote."""

import csv

from .names import OTHER_SUFFIXES, existing_file
from .run import Run


def read_events(run: Run) -> list[dict[str, str]]:
    """Read the rows that watchdogs wrote beside a run."""
    path = run.events
    if path is None and run.energies is not None:
        prefix = str(run.energies).removesuffix(run.energies.suffix)
        path = existing_file(prefix, OTHER_SUFFIXES["events"])
    if path is None:
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
