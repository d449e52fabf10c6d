# SPDX-License-Identifier: MIT
"""Section of the page: g(r), coordination, environments, angles, S(q), bonds."""

from ..measure.measurement import Row
from ..measure.sentences import starts_with
from ..measure.subjects import TOTAL, default_pairs
from .downloads import rounded
from .further import further_parts
from .html import (
    Markup,
    attempt,
    figure,
    join,
    measured,
    note,
    notes,
    paragraph,
    section,
    side_by_side,
    table,
)
from .production import Findings, Production

_CURVES = 6  # in one figure
# Quantities of first shells, as `analyze rdf` names them, and their units.
_OF_SHELLS = {
    "first peak": " (nm)",
    "g at the peak": "",
    "coordination number": "",
    "within": " (nm)",
    "more neighbours": " (per 0.01 nm)",
}


def structure_section(production: Production, findings: Findings) -> Markup:
    """Show the structure of the production."""
    return section(
        "Structure",
        paragraph(
            f"Of {production.run.stage} from {production.start:.4g} ps on "
            f"({production.reason})."
        ),
        side_by_side(
            *_distributions(production),
            attempt("Coordination", _coordination, production),
            attempt("Bonds", _bonds, production, findings),
            *_environments(production),
            attempt(
                "Structure factor",
                show,
                production,
                "structure-factor",
                "Structure factors as X-rays and neutrons see them",
            ),
            *further_parts(production, "structure"),
        ),
    )


def _distributions(production):
    """Parts of g(r): ions in the solvent, and all others."""
    title = "Radial distribution"
    try:
        curves = {
            label: result["distribution"]
            for label, result in production.measure("rdf").results.items()
            if label != TOTAL
        }
        pairs = default_pairs(production.source)
    except ValueError as error:
        reason = f"Not computed: {error}."
        return [attempt(title, lambda: note(reason))]
    ions = {k: x for k, x in curves.items() if pairs[k].solvation}
    others = {k: x for k, x in curves.items() if not pairs[k].solvation}
    return [
        attempt(f"{title}, {name}", _curves, production, some)
        for name, some in (("ions in the solvent", ions), ("like and unlike", others))
        if some
    ]


def _curves(production, curves):
    from ..analysis import plot_rdf

    figures = []
    for start in range(0, len(curves), _CURVES):
        shown = {
            dashed(label): curve
            for label, curve in list(curves.items())[start : start + _CURVES]
        }
        peaks = "; ".join(
            f"{label} highest, {x.g.max():.3g}, at {x.r[x.g.argmax()]:.3f} nm"
            for label, x in shown.items()
        )
        figures.append(
            figure(
                lambda path, shown=shown: plot_rdf(shown, path),
                production.folder,
                f"Radial distribution functions: {peaks}",
                "g(r) with its error as a band.",
            )
        )
    return join(*figures)


def _coordination(production):
    measurement = production.measure("rdf")
    of_pairs: dict[str, dict[str, Row]] = {}
    for row in measurement.rows:
        name = row.quantity.removesuffix(" between molecules")
        of_pairs.setdefault(row.item, {})[name] = row
    rows = [
        (
            dashed(label),
            *(measured(of[name].value, of[name].error) for name in _OF_SHELLS),
        )
        for label, of in of_pairs.items()
    ]
    header = ("pair", *(f"{name}{unit}" for name, unit in _OF_SHELLS.items()))
    return join(
        table(
            header,
            rows,
            caption="First peak of g(r) of a pair A–B, and the mean number of "
            "neighbours B of an A within its first minimum. The error of that distance "
            "is half the range in which noise leaves g(r) as low; of elements that are "
            "bonded, all is of pairs in different molecules.",
        )
        if rows
        else None,
        *warnings(measurement),
        *failures(measurement),
    )


def _environments(production):
    """Parts with the environments of each ion that has a shell of solvent."""
    try:
        measurement = production.measure("speciation")
    except ValueError:  # the coordination says why there are no shells
        return []
    return [
        attempt(
            f"Environments of {center}", _environment, production, measurement, center
        )
        for center in measurement.results
    ]


def _environment(production, measurement, center):
    result = measurement.results[center]
    likely = result["environments"][0]
    words = " + ".join(
        f"{n} {kind}"
        for n, kind in zip(likely["numbers"], result["kinds"], strict=True)
    )
    drawn = figure(
        measurement.figures[center],
        production.folder,
        f"Bars: how often {center} has which neighbours; most often {words}",
        f"Within the first minima of g(r). Most often {words}: "
        f"{measured(likely['value'], likely['error'], 100)} % of the time.",
    )
    return join(drawn, *warnings(measurement, center))


def _bonds(production, findings):
    bonds = production.soundness().results["all"].get("bonds")
    if bonds is None:
        raise ValueError("expected at least one bond in the topology, found none")
    rows = [
        (
            dashed(name),
            kind["number"],
            rounded(kind["mean"], ".4f"),
            rounded(kind["longest"], ".4f"),
            kind["broken"],
        )
        for name, kind in bonds["kinds"].items()
    ]
    limit = f"{bonds['limit']:g} times"
    if len(bonds["broken"]):
        findings.warn(
            f"Broken bonds of the topology: {len(bonds['broken'])} (ever over {limit} "
            f"as long as at first), the first at {bonds['first_break']:.4g} ps."
        )
    return join(
        table(("bond", "number", "mean (nm)", "longest (nm)", "broken"), rows),
        paragraph(f"Broken: ever longer than {limit} its length in the first frame."),
    )


def dashed(label: str) -> str:
    """Write a pair with the dash that a reader expects: ``Na–O``."""
    return label.replace("-", "–")


def show(production: Production, name: str, alt: str, caption: str = "") -> Markup:
    """Show the figure of a quantity; notes and warnings are below without a caption.

    Parameters
    ----------
    alt : str
        Text for who does not see it; ``{items}`` stands for what was measured.
    """
    measurement = production.measure(name)
    items = ", ".join(map(dashed, measurement.results))
    drawn = figure(
        measurement.plot,
        production.folder,
        alt.format(items=items),
        caption or " ".join(measurement.notes),
    )
    return drawn if caption else join(drawn, *warnings(measurement))


def warnings(measurement, item: str = "") -> list[Markup]:
    """Say what the run was too short for; with an item, of that alone."""
    texts = []
    for text in measurement.warnings:
        if not item or starts_with(text, item):
            for label in measurement.results:
                text = text.replace(label, dashed(label))
            texts.append(text)
    return notes(texts, "warning")


def failures(measurement) -> list[Markup]:
    """Say which items could not be measured, and why."""
    reasons = measurement.reasons
    for label in measurement.failed:
        reasons = [text.replace(label, dashed(label)) for text in reasons]
    return notes(reasons)
