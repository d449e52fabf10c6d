# SPDX-License-Identifier: MIT
"""Numbers of a data set in words, for its page and for the terminal."""

import numpy as np

from ..utils.words import counted, digits

PERIODIC = {"all": "periodic", "some": "some periodic", "none": "not periodic"}


def remarks(survey):
    """Sentences about what a user should look at before a training."""
    sentences = []
    energies = [o for o in survey.outliers if o.what == "energy"]
    forces = [o for o in survey.outliers if o.what == "forces"]
    if energies:
        worst = energies[0]
        sentences.append(
            f"{_frames_have(energies, 'an energy')} far from the others: "
            f"{survey.places[worst.frame]} by {millis(worst.value)} meV/atom, "
            f"{abs(worst.score):.0f} robust standard deviations"
        )
    if forces:
        worst = forces[0]
        sentences.append(
            f"{_frames_have(forces, 'a force')} far above the others: "
            f"{worst.value:.3g} eV/Å in {survey.places[worst.frame]}"
        )
    if survey.duplicates:
        extra = sum(len(d.frames) - 1 for d in survey.duplicates)
        wrong = [d for d in survey.duplicates if d.contradicts]
        sentences.append(
            f"{counted(extra, 'frame')} of the same positions as another one"
            + (
                f"; {counted(len(wrong), 'set')} of them with other labels, the first "
                f"in {places_of(survey, wrong[0])}"
                if wrong
                else " and the same labels"
            )
        )
    if survey.successive is not None and survey.successive.is_correlated:
        sentences.append(
            "successive frames are alike (atoms move by "
            f"{survey.successive.step:.2g} Å from one to the next, by "
            f"{survey.successive.random:.2g} Å between random ones): errors on frames "
            "chosen at random look too small; test on another trajectory"
        )
    for name, count in survey.labelled.items():
        if 0 < count < survey.frames or (count == 0 and name == "forces"):
            sentences.append(
                f"{count} of {survey.frames} frames have {with_article(name)}"
            )
    return sentences


def summary_lines(survey):
    """Lines of text about a data set for the terminal."""
    formulas = list(survey.compositions)
    kinds = formulas[0] if len(formulas) == 1 else f"{len(formulas)} compositions"
    labels = [name for name, count in survey.labelled.items() if count]
    lines = [
        f"{', '.join(survey.files)}: "
        f"{counted(survey.frames, 'frame')} of {extent(survey.sizes)} atoms "
        f"({kinds}; {PERIODIC[survey.periodic]}) with {_listed(labels)}",
        f"elements: {_shares(survey)}",
        f"energies less those of the elements: {millis(spread(survey))} meV/atom rms"
        + (
            f"; forces: {1000 * survey.force_rms['']:,.0f} meV/Å rms"
            if survey.force_rms
            else ""
        ),
        "closest pairs (Å): "
        + ", ".join(f"{n} {c.distance:.2f}" for n, c in closest_first(survey)[:8]),
    ]
    if survey.isolated:
        atoms = ", ".join(f"{e} {x:.3f}" for e, x in survey.isolated.items())
        lines.append(f"isolated atoms (eV): {atoms}")
    return lines


def _frames_have(outliers, what):
    count = len(outliers)
    return f"{counted(count, 'frame')} {'has' if count == 1 else 'have'} {what}"


def with_article(name):
    """Write a kind of label with its article."""
    return {"energy": "an energy", "forces": "forces", "stress": "a stress"}[name]


def closest_first(survey):
    """Closest pairs of elements, the closest first."""
    return sorted(survey.pairs.closest.items(), key=lambda pair: pair[1].distance)


def places_of(survey, duplicate):
    """Name the frames of a duplicate."""
    shown = [survey.places[f] for f in duplicate.frames]
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + more


def spread(survey):
    """Root mean square of energies less those of the elements, eV/atom."""
    known = survey.residuals[np.isfinite(survey.residuals)]
    return float(np.sqrt(np.mean(known**2)))


def millis(value):
    """Write a thousand times a value."""
    return digits(1000 * value)


def extent(values):
    """Write the smallest and the largest of integers."""
    low, high = int(np.min(values)), int(np.max(values))
    return f"{low}" if low == high else f"{low} to {high}"


def _shares(survey):
    total = sum(survey.elements.values())
    return ", ".join(f"{e} {100 * n / total:.3g} %" for e, n in survey.elements.items())


def _listed(names):
    names = ["energies" if n == "energy" else n for n in names]
    names = ["stresses" if n == "stress" else n for n in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
