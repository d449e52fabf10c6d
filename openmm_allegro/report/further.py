# SPDX-License-Identifier: MIT
"""Parts of the page about quantities that no section lays out by itself."""

from ..measure.quantities import QUANTITIES
from ..measure.quantity import Quantity
from .html import Markup, attempt, figure, join, measured, notes, table
from .production import Production

# Rows that a page has room for.
_ROWS = 30


def further_parts(production: Production, section: str) -> list[Markup]:
    """Show the quantities that declare this section: figure, table and remarks."""
    return [
        attempt(_heading(quantity), _part, production, quantity)
        for quantity in QUANTITIES.values()
        if quantity.section == section
        and (quantity.applies is None or quantity.applies(production.source))
    ]


def _part(production, quantity):
    measurement = production.measure(quantity.name)
    rows = [
        (row.item, row.quantity, measured(row.value, row.error), row.unit)
        for row in measurement.rows
    ]
    remarks = list(measurement.remarks)
    if len(rows) > _ROWS:
        more = f"analyze {quantity.name} prints {len(rows) - _ROWS} more rows."
        remarks.append(more)
    drawn = None
    if measurement.plot is not None:
        items = ", ".join(map(str, measurement.results))
        words = f"{_heading(quantity)}: {items}"
        drawn = figure(measurement.plot, production.folder, words)
    return join(
        drawn,
        table(("item", "quantity", "value", "unit"), rows[:_ROWS]),
        *notes(measurement.warnings, "warning"),
        *notes(remarks),
    )


def _heading(quantity: Quantity) -> str:
    """Begin the summary of a quantity with a capital."""
    name = quantity.about.partition(";")[0].partition(",")[0]
    return name[:1].upper() + name[1:]
