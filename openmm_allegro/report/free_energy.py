# SPDX-License-Identifier: MIT
"""Section of the page: free energies over collective variables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..measure.free_energy import QUANTITY
from ..measure.free_energy_runs import window_groups
from ..runs.run import Run
from ..runs.source import Source
from .html import (
    Markup,
    attempt,
    figure,
    join,
    measured,
    notes,
    paragraph,
    section,
    side_by_side,
    table,
)
from .production import Findings, Production


def free_energy_section(
    runs: Sequence[Run], production: Production, findings: Findings
) -> Markup | None:
    """Show free energies of umbrella windows, or of the production if it has a bias.

    Parameters
    ----------
    runs : sequence of Run
        All stages.
    """
    windows = [run for run in runs if run.variables and run.record.get("restraints")]
    if len(window_groups(windows)) > 1 and not any(
        r.record.get("bias") for r in windows
    ):
        shown = windows
    elif production.run.variables and production.run.record.get("bias"):
        shown = [production.run]
    else:
        return None
    return section(
        "Free energy",
        side_by_side(
            attempt("Collective variables", _parts, shown, production.folder, findings)
        ),
    )


def _parts(runs: Sequence[Run], folder: Path, findings: Findings) -> Markup:
    measurement = QUANTITY.measure(Source(runs))
    findings.take({QUANTITY.name: measurement})
    windows = next(iter(measurement.results.values())).get("windows")
    return join(
        figure(
            measurement.plot,
            folder,
            "Free energy over " + ", ".join(measurement.results),
            _caption(next(iter(measurement.results.values()))),
        ),
        figure(
            measurement.figures["overlap"],
            folder,
            f"Overlap of {len(windows)} umbrella windows as a matrix",
            "Overlap of the umbrella windows.",
        )
        if windows
        else None,
        table(
            ("variables", "quantity", "value", "unit"),
            [
                (row.item, row.quantity, measured(row.value, row.error), row.unit)
                for row in measurement.rows
            ],
        ),
        paragraph(
            "F(s) = −RT ln p(s) of the system without bias and restraints; minima and "
            "barriers are told from noise where they are twice their errors."
        ),
        *notes(measurement.warnings, "warning"),
        *notes(measurement.remarks),
    )


def _caption(result: dict[str, Any]) -> str:
    """Say what the figure of the first surface shows."""
    if len(result["variables"]) == 1:
        return "Free energy; bands are 68 % intervals."
    marks = "Numbers are minima of the table; grey bins were not visited"
    if np.isfinite(result["error"]).any():
        return (
            "Free energy, and below it the half-width of its 68 % interval in each "
            f"bin. {marks}, or have no error."
        )
    return f"Free energy. {marks}. Too few blocks visited each bin for errors."
