# SPDX-License-Identifier: MIT
"""Section of the page: how replicas exchanged their temperatures, or λ."""

import csv

from ..runs.names import REPLICA_SUFFIXES
from .html import attempt, note, section, table


def exchanges_section(run):
    """Exchanges of replicas, or None if `run` has none."""
    if not run.tempered:
        return None
    return section("Exchanges", attempt("Neighbours and replicas", _table, run))


def no_kinetics(run):
    """Say why frames of one temperature have no kinetics."""
    return section(
        "Kinetics",
        note(
            f"Not computed: time has jumps in the frames of {run.stage}, where "
            "replicas exchanged their states."
        ),
    )


def _table(run):
    path = run.exchanges
    if path is None:
        raise ValueError(
            f"expected {run.name}{REPLICA_SUFFIXES['exchanges']}, which is written "
            "when a run ends, found none"
        )
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if not rows or any(len(row) != len(header) for row in rows):
        raise ValueError(f"expected a table in {path}, found none")
    return table(header, rows)
