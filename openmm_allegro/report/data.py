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
from .html import (
    attempt,
    document,
    facts,
    figure,
    join,
    note,
    paragraph,
    section,
    side_by_side,
    table,
    tag,
    tiles,
)

_ROWS = 30  # of a table
_NAMES = {"all": "periodic", "some": "some periodic", "none": "not periodic"}


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


def remarks(survey):
    """Sentences about what a user should look at before a training."""
    found = []
    energies = [o for o in survey.outliers if o.what == "energy"]
    forces = [o for o in survey.outliers if o.what == "forces"]
    if energies:
        worst = energies[0]
        found.append(
            f"{_frames_have(energies, 'an energy')} far from the others: "
            f"{survey.places[worst.frame]} by {_millis(worst.value)} meV/atom, "
            f"{abs(worst.score):.0f} robust standard deviations"
        )
    if forces:
        worst = forces[0]
        found.append(
            f"{_frames_have(forces, 'a force')} far above the others: "
            f"{worst.value:.3g} eV/Å in {survey.places[worst.frame]}"
        )
    if survey.duplicates:
        extra = sum(len(d.frames) - 1 for d in survey.duplicates)
        wrong = [d for d in survey.duplicates if d.contradicts]
        found.append(
            f"{counted(extra, 'frame')} of the same positions as another one"
            + (
                f"; {counted(len(wrong), 'set')} of them with other labels, the first "
                f"in {_places(survey, wrong[0])}"
                if wrong
                else " and the same labels"
            )
        )
    if survey.successive is not None and survey.successive.is_correlated:
        found.append(
            "successive frames are alike (atoms move by "
            f"{survey.successive.step:.2g} Å from one to the next, by "
            f"{survey.successive.random:.2g} Å between random ones): errors on frames "
            "chosen at random look too small; test on another trajectory"
        )
    for name, count in survey.labelled.items():
        if 0 < count < survey.frames or (count == 0 and name == "forces"):
            found.append(f"{count} of {survey.frames} frames have {_article(name)}")
    return found


def summary_lines(survey):
    """Lines of text about a data set for the terminal."""
    formulas = list(survey.compositions)
    kinds = formulas[0] if len(formulas) == 1 else f"{len(formulas)} compositions"
    labels = [name for name, count in survey.labelled.items() if count]
    lines = [
        f"{', '.join(Path(f).name for f in survey.files)}: "
        f"{counted(survey.frames, 'frame')} of {_range(survey.sizes)} atoms "
        f"({kinds}; {_NAMES[survey.periodic]}) with {_listed(labels)}",
        f"elements: {_shares(survey)}",
        f"energies: {_millis(_spread(survey))} meV/atom rms beside the elements' own"
        + (
            f"; forces: {survey.force_rms[''] * 1000:.0f} meV/Å rms"
            if survey.force_rms
            else ""
        ),
        "closest pairs (Å): "
        + ", ".join(f"{n} {c.distance:.2f}" for n, c in _closest(survey)[:8]),
    ]
    if survey.isolated:
        atoms = ", ".join(f"{e} {x:.3f}" for e, x in survey.isolated.items())
        lines.append(f"isolated atoms (eV): {atoms}")
    return lines


def _content(survey, recipe, text, folder):
    title = ", ".join(Path(f).name for f in survey.files)
    formulas = list(survey.compositions)
    kinds = formulas[0] if len(formulas) == 1 else f"{len(formulas)} compositions"
    first = tiles(
        [
            (f"{survey.frames:,}", "", "frames"),
            (_range(survey.sizes), "", "atoms in a frame"),
            (_millis(_spread(survey)), "meV/atom", "rms of energies beside elements'"),
            *(
                [(f"{survey.force_rms[''] * 1000:.0f}", "meV/Å", "rms of forces")]
                if survey.force_rms
                else []
            ),
        ]
    )
    words = f"Training data · {kinds} · {_NAMES[survey.periodic]}"
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
    found = remarks(survey)
    rows = [
        (
            "files",
            ", ".join(f"{f} ({counted(n, 'frame')})" for f, n in survey.files.items()),
        ),
        *((f"frames with {_article(k)}", v) for k, v in survey.labelled.items()),
        ("units", "eV, Å, eV/Å, eV/Å³; a stress is positive under tension"),
        ("density", _density(survey)),
        ("rms of stress components", _stress(survey)),
        (
            "isolated atoms, eV",
            ", ".join(f"{e} {x:.4f}" for e, x in survey.isolated.items()),
        ),
        ("successive frames", _successive(survey)),
    ]
    boxes = [note(f"{x[0].upper()}{x[1:]}.", kind="warning") for x in found]
    if not found:
        boxes = [note("No frame is far from the others or twice there.", kind="good")]
    return section("Summary", *boxes, facts(rows))


def _elements(survey):
    total = sum(survey.elements.values())
    rows = [
        (
            element,
            f"{count:,}",
            f"{100 * count / total:.1f}",
            f"{survey.element_energies[element]:.3f}",
            f"{survey.force_rms[element] * 1000:.0f}" if survey.force_rms else "–",
        )
        for element, count in survey.elements.items()
    ]
    header = ("element", "atoms", "%", "energy, eV", "rms force, meV/Å")
    formulas = list(survey.compositions.items())
    shown = [(name, f"{count:,}") for name, count in formulas[:_ROWS]]
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
    unit = "energy − elements' (meV/atom)"
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
                        "largest force (eV/Å)",
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
        (name, f"{pair.distance:.3f}", survey.places[pair.frame])
        for name, pair in _closest(survey)
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
            f"{1000 * o.value:+.1f} meV/atom"
            if o.what == "energy"
            else f"{o.value:.3g} eV/Å",
            f"{abs(o.score):.1f}",
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
                "Energies are from the median of frames of the same composition, less "
                "those of the elements. A frame far off may be right, such as one of "
                "another phase, or a calculation that did not converge."
            )
        )
        if more:
            parts.append(note(f"{more} more."))
    else:
        parts.append(paragraph("None."))
    parts.append(tag("h3", "Duplicates"))
    rows = [
        (
            _places(survey, d),
            f"{1000 * d.energy:.3g}",
            f"{1000 * d.forces:.3g}",
            "other labels" if d.contradicts else "same labels",
        )
        for d in survey.duplicates[:_ROWS]
    ]
    header = ("frames", "energy, meV/atom", "forces, meV/Å", "")
    parts.append(table(header, rows) if rows else paragraph("None."))
    if len(survey.duplicates) > _ROWS:
        parts.append(note(f"{len(survey.duplicates) - _ROWS} more sets."))
    return section("Frames to look at", *parts)


def _frames_have(outliers, what):
    count = len(outliers)
    return f"{counted(count, 'frame')} {'has' if count == 1 else 'have'} {what}"


def _article(name):
    return {"energy": "an energy", "forces": "forces", "stress": "a stress"}[name]


def _closest(survey):
    return sorted(survey.pairs.closest.items(), key=lambda pair: pair[1].distance)


def _places(survey, duplicate):
    shown = [survey.places[f] for f in duplicate.frames]
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + more


def _spread(survey):
    known = survey.residuals[np.isfinite(survey.residuals)]
    return float(np.sqrt(np.mean(known**2)))


def _millis(value):
    return f"{1000 * value:.3g}"


def _range(values):
    low, high = int(np.min(values)), int(np.max(values))
    return f"{low}" if low == high else f"{low} to {high}"


def _shares(survey):
    total = sum(survey.elements.values())
    return ", ".join(f"{e} {100 * n / total:.3g} %" for e, n in survey.elements.items())


def _listed(names):
    names = ["energies" if n == "energy" else n for n in names]
    names = ["stresses" if n == "stress" else n for n in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


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
