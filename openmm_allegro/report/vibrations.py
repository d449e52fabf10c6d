# SPDX-License-Identifier: MIT
"""Section of the page: quantities of velocities."""

from .downloads import rounded
from .further import further_parts
from .html import (
    attempt,
    join,
    measured,
    note,
    paragraph,
    section,
    side_by_side,
    table,
)
from .production import make_production
from .structure import show, warnings

_TITLE = "Vibrations"


def vibrations_section(run, production, findings):
    """Show velocity autocorrelation, spectrum and Green-Kubo integrals of a run.

    Parameters
    ----------
    run : Run or None
        One with velocities, if there is.
    production : Production
        Of which charges are known.
    findings : Findings
        For which warnings are left.
    """
    if run is None:
        return section(
            _TITLE,
            note(
                "Not computed: no run has velocities, in an HDF5 file that was written "
                "with velocities."
            ),
        )
    own = make_production(
        run,
        production.folder,
        charges=production.charges_given,
        drop_repeated=production.source.window.drop_repeated,
    )
    heat = None
    if run.ensemble != "nve":
        heat = note("The run has a thermostat, which changes how velocities decay.")
    parts = [
        *further_parts(own, "vibrations"),
        attempt("Green–Kubo", _integrals, own),
    ]
    findings.take(own.measured)
    return section(
        _TITLE,
        paragraph(
            f"From the velocities of {run.stage} from {own.start:.4g} ps on "
            f"({own.reason}), relative to the centre of mass."
        ),
        heat,
        side_by_side(*parts),
    )


def _integrals(own):
    measurement = own.measure("green-kubo")
    results = measurement.results
    rows = [
        (
            f"D of {label}",
            measured(*result["coefficient"], 1e5),
            "10⁻⁵ cm²/s",
            rounded(result["cutoff"], ".3g"),
        )
        for label, result in results.items()
    ]
    rows += _conductivity(own)
    return join(
        show(
            own,
            "green-kubo",
            "Running integrals of the velocity autocorrelation",
            "The integrals are read at the points, where what follows is noise.",
        ),
        table(("quantity", "value", "unit", "integrated to (ps)"), rows),
        paragraph(
            "A check of the Einstein values: a tail of long times is cut off here."
        ),
        *warnings(measurement),
    )


def _conductivity(own):
    """Row of the conductivity from velocities, where charges are known."""
    try:
        rows = {row.quantity: row for row in own.measure("conductivity").rows}
    except ValueError:
        return []  # the section on kinetics gives the reason
    value, end = rows.get("conductivity, Green-Kubo"), rows.get("integrated to")
    if value is None or end is None:
        return []
    measurement = measured(value.value, value.error)
    return [("conductivity", measurement, value.unit, rounded(end.value, ".3g"))]
