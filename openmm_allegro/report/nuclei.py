# SPDX-License-Identifier: MIT
"""Section of the page: quantum nuclei."""

from ..runs.names import RPMD
from .further import further_parts
from .html import Markup, paragraph, section, side_by_side
from .production import Production


def nuclei_section(production: Production) -> Markup | None:
    """Show kinetic energies of quantum nuclei; None for a run of classical ones."""
    run = production.run
    if run.nuclei is None:
        return None
    words = (
        "A quantum thermal bath: a classical trajectory whose noise has the energy of "
        "quantum oscillators. Its velocities are at no temperature."
    )
    if run.record.get("integrator") == RPMD:
        words = (
            f"Ring polymers of {run.record.get('beads', 'unknown')} beads. Structure "
            "above is that of the beads, motion that of the centroid, and the "
            "temperature is the centroid's."
        )
    return section(
        "Quantum nuclei",
        paragraph(words),
        side_by_side(*further_parts(production, "nuclei")),
    )
