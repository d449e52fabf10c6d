# SPDX-License-Identifier: MIT
"""Section of the page: what the charges of a model do."""

from .further import further_parts
from .html import Markup, paragraph, section, side_by_side
from .production import Production


def charges_section(production: Production) -> Markup | None:
    """Show dipoles, dielectric constant, spectrum and screening of a charged model.

    None for a run that wrote neither dipoles nor charges.
    """
    run = production.run
    if run.dipoles is None and run.charges is None:
        return None
    kind = run.record.get("charges")
    words = {"learned": "learned", "constant": "constant, one of each element"}
    return section(
        "Charges",
        paragraph(
            f"The model's charges ({words[kind]})" if kind in words else "The charges",
            " are its own. Conductivity and transference numbers above are with formal "
            "or given ones.",
        ),
        side_by_side(*further_parts(production, "charges")),
    )
