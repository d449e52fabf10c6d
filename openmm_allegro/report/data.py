# SPDX-License-Identifier: MIT
"""A data set as one HTML page: what is in it, and which frames deserve a look."""

import tempfile
from pathlib import Path

import numpy as np

from ..analysis.figures.data import (
    plot_distribution,
    plot_force_lengths,
    plot_frames,
    plot_neighbors,
)
from ..utils.files import replace_file
from ..utils.words import counted
from .data_words import (
    PERIODIC,
    closest_first,
    extent,
    millis,
    places_of,
    remarks,
    spread,
    with_article,
)
from .downloads import rounded
from .html import (
    attempt,
    document,
    facts,
    figure,
    join,
    note,
    notes,
    paragraph,
    section,
    side_by_side,
    table,
    tag,
    tiles,
)

_ROWS = 30  # of a table


def data_page(survey, recipe, text, path):
    """Write a page about a data set, and the settings that were chosen for it.

    Parameters
    ----------
    survey : openmm_allegro.training.survey.Survey
    recipe : openmm_allegro.training.recipe.Recipe
    text : str
        Of the TOML with the settings.
    path : Path
        File to write.

    Returns
    -------
    Path
    """
    with tempfile.TemporaryDirectory() as folder:
        content = _content(survey, recipe, text, Path(folder))
    replace_file(path, content)
    return path


def _content(survey, recipe, text, folder):
    title = ", ".join(survey.files)
    formulas = list(survey.compositions)
    kinds = formulas[0] if len(formulas) == 1 else f"{len(formulas)} compositions"
    first = tiles(
        [
            (f"{survey.frames:,}", "", "frames"),
            (extent(survey.sizes), "", "atoms in a frame"),
            (millis(spread(survey)), "meV/atom", "rms of energies less elements'"),
            *(
                [(f"{1000 * survey.force_rms['']:,.0f}", "meV/Å", "rms of forces")]
                if survey.force_rms
                else []
            ),
        ]
    )
    words = f"Training data · {kinds} · {PERIODIC[survey.periodic]}"
    sections = [
        _summary(survey),
        _elements(survey),
        _labels(survey, folder),
        _pairs(survey, recipe, folder),
        _odd_frames(survey),
        section(
            "Settings",
            paragraph("What openmm-allegro chose for these frames, as a TOML file:"),
            tag("pre", tag("code", text)),
        ),
    ]
    return document(title, words, first, sections)


def _summary(survey):
    odd = remarks(survey)
    rows = [
        (
            "Files",
            ", ".join(f"{f} ({counted(n, 'frame')})" for f, n in survey.files.items()),
        ),
        *((f"Frames with {with_article(k)}", v) for k, v in survey.labelled.items()),
        ("units", "eV, Å, eV/Å, eV/Å³; a stress is positive under tension"),
        ("Density", _density(survey)),
        ("Rms of stress components", _stress(survey)),
        (
            "Isolated atoms, eV",
            ", ".join(f"{e} {x:.4f}" for e, x in survey.isolated.items()),
        ),
        ("Successive frames", _successive(survey)),
    ]
    boxes = notes((f"{x[0].upper()}{x[1:]}." for x in odd), "warning")
    if not odd:
        boxes = [note("No frame is far from the others or twice there.", kind="good")]
    return section("Summary", *boxes, facts(rows))


def _elements(survey):
    total = sum(survey.elements.values())
    rows = [
        (
            element,
            rounded(count, ",d"),
            rounded(100 * count / total, ".1f"),
            rounded(survey.element_energies[element], ".3f"),
            rounded(1000 * survey.force_rms[element], ",.0f")
            if survey.force_rms
            else "–",
        )
        for element, count in survey.elements.items()
    ]
    header = ("element", "atoms", "%", "energy, eV", "rms force, meV/Å")
    formulas = list(survey.compositions.items())
    shown = [(name, rounded(count, ",d")) for name, count in formulas[:_ROWS]]
    more = len(formulas) - len(shown)
    return section(
        "Elements",
        side_by_side(
            join(
                table(header, rows),
                paragraph(
                    tag(
                        "small",
                        "Energies are those of the least squares over all "
                        "frames; compositions that are alike do not determine them.",
                    )
                ),
            ),
            join(
                table(("composition", "frames"), shown),
                note(f"{more} more compositions.") if more else None,
            ),
        ),
    )


def _labels(survey, folder):
    marked = {"energy": [], "forces": []}
    for outlier in survey.outliers:
        marked[outlier.what].append(outlier.frame)
    energies = 1000 * (survey.residuals - np.nanmedian(survey.residuals))
    unit = "Energy − elements' (meV/atom)"
    parts = [
        attempt(
            "Energies in the order of frames",
            lambda: figure(
                lambda path: plot_frames(energies, path, unit, marked=marked["energy"]),
                folder,
                "energies of frames",
                "Less those of the elements and the median; circles are outliers.",
            ),
        ),
        attempt(
            "Distribution of energies",
            lambda: figure(
                lambda path: plot_distribution(energies, path, unit),
                folder,
                "distribution of energies",
            ),
        ),
    ]
    if survey.force_norms:
        parts += [
            attempt(
                "Largest force in each frame",
                lambda: figure(
                    lambda path: plot_frames(
                        survey.largest_forces,
                        path,
                        "Largest force (eV/Å)",
                        marked=marked["forces"],
                    ),
                    folder,
                    "largest forces of frames",
                    "Circles are outliers.",
                ),
            ),
            attempt(
                "Lengths of forces",
                lambda: figure(
                    lambda path: plot_force_lengths(survey.force_norms, path),
                    folder,
                    "distribution of lengths of forces",
                ),
            ),
        ]
    return section("Energies and forces", side_by_side(*parts))


def _pairs(survey, recipe, folder):
    rows = [
        (name, rounded(pair.distance, ".3f"), survey.places[pair.frame])
        for name, pair in closest_first(survey)
    ]
    more = len(rows) - _ROWS
    model = recipe.model
    radii = np.linspace(2.5, 7.0, 40)
    around = [survey.pairs.mean_neighbors(r) for r in radii]
    chosen = survey.pairs.mean_neighbors(model.cutoff, model.pair_cutoffs)
    return section(
        "Distances",
        side_by_side(
            join(
                table(("closest pair", "Å", "frame"), rows[:_ROWS]),
                note(f"{more} more pairs of elements.") if more > 0 else None,
                paragraph(
                    tag("small", "Pairs beyond 3 Å are looked for in some frames only.")
                ),
            ),
            attempt(
                "Neighbours",
                lambda: figure(
                    lambda path: plot_neighbors(
                        radii, around, model.cutoff, chosen, path
                    ),
                    folder,
                    "mean number of neighbours over the radius",
                    f"The network's cutoff is {model.cutoff:g} Å"
                    + (", less for hydrogen." if model.pair_cutoffs else "."),
                ),
            ),
        ),
    )


def _odd_frames(survey):
    outliers = [
        (
            survey.places[o.frame],
            "energy" if o.what == "energy" else "largest force",
            f"{1000 * o.value:+.1f} meV/atom".replace("-", "−")
            if o.what == "energy"
            else f"{o.value:.3g} eV/Å",
            rounded(abs(o.score), ".1f"),
        )
        for o in survey.outliers[:_ROWS]
    ]
    more = len(survey.outliers) - len(outliers)
    parts = [tag("h3", "Outliers")]
    if outliers:
        header = ("frame", "label", "value", "robust standard deviations")
        parts.append(table(header, outliers))
        parts.append(
            paragraph(
                "Energies, less those of the elements, are from the median of frames "
                "of the same composition; frames of rare compositions are taken "
                "together. A frame far off may be right, such as one of another phase, "
                "or wrong, such as one whose calculation did not converge."
            )
        )
        if more:
            parts.append(note(f"{more} more."))
    else:
        parts.append(paragraph("None."))
    parts.append(tag("h3", "Duplicates"))
    rows = [
        (
            places_of(survey, d),
            rounded(1000 * d.energy, ".3g"),
            rounded(1000 * d.forces, ".3g"),
            "other labels" if d.contradicts else "same labels",
        )
        for d in survey.duplicates[:_ROWS]
    ]
    header = ("frames", "energy, meV/atom", "forces, meV/Å", "")
    parts.append(table(header, rows) if rows else paragraph("None."))
    if len(survey.duplicates) > _ROWS:
        parts.append(note(f"{len(survey.duplicates) - _ROWS} more sets."))
    return section("Frames to look at", *parts)


def _density(survey):
    known = survey.densities[np.isfinite(survey.densities)]
    if not len(known):
        return ""
    low, high = known.min(), known.max()
    words = f"{low:.4f}" if high - low < 1e-4 else f"{low:.4f} to {high:.4f}"
    return f"{words} atoms/Å³"


def _stress(survey):
    if not np.isfinite(survey.stress_rms):
        return ""
    return f"{1000 * survey.stress_rms:.3g} meV/Å³"


def _successive(survey):
    if survey.successive is None:
        return ""
    return (
        f"atoms are displaced by {survey.successive.step:.2g} Å, between random frames "
        f"by {survey.successive.random:.2g} Å"
    )
