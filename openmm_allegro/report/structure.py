# SPDX-License-Identifier: MIT
"""Section of the page: g(r), coordination, angles, S(q), bonds."""

import numpy as np

from ..analysis import (
    angle_distribution,
    bond_lengths,
    plot_angles,
    plot_rdf,
    plot_speciation,
    plot_structure_factor,
    speciation,
    structure_factor,
)
from ..analysis.frames import cell_vectors, largest_radius
from ..analysis.structure.coordination import coordination_of
from ..analysis.structure.rdf import distribution_of, histograms
from .html import (
    attempt,
    figure,
    join,
    measured,
    note,
    paragraph,
    part,
    section,
    side_by_side,
    table,
)
from .pairs import find_pairs

# Positions that g(r) and S(q) look at: more would take minutes and add little.
_POSITIONS = 1_000_000
_OF_WAVES = 40_000
# Frames that S(q) needs at least; those of a large system average over themselves.
_FRAMES = 10
# End of g(r) in nm, in boxes that are larger than twice that: all pairs of a large
# system would take minutes.
_R_MAX = 1.5
_CURVES = 6  # in one figure
_BLOCKS = 10  # of frames, for errors


def structure(production, findings):
    """Structure of the production.

    Returns
    -------
    html : Markup
    shells : dict of str to (Pair, Coordination)
        The first shells that were found, for what comes later.
    """
    pairs = find_pairs(production)
    found, reason = {}, "expected at least two molecules or ions, found one"
    if pairs:
        groups = [(pair.a, pair.b) for pair in pairs.values()]
        try:
            trajectory = production.thinned(_POSITIONS)
            r_max = min(_R_MAX, largest_radius(cell_vectors(trajectory)))
            counted = histograms(trajectory, groups, r_max)
            found = dict(zip(pairs, counted, strict=True))
        except ValueError as error:
            reason = str(error)
    shells, failed = _shells(pairs, found)
    ions = {k: x for k, x in found.items() if pairs[k].solvation}
    others = {k: x for k, x in found.items() if not pairs[k].solvation}
    parts = [
        attempt(f"Radial distribution, {name}", _distributions, production, some)
        for name, some in (("ions in the solvent", ions), ("like and unlike", others))
        if some
    ]
    if not found:
        parts = [part("Radial distribution", note(f"Not computed: {reason}."))]
    parts += [
        attempt("Coordination", _coordination, shells, failed),
        attempt("Bonds", _bonds, production, findings),
    ]
    parts += [
        attempt(f"Environments of {kind.name}", _environments, production, kind, shells)
        for kind in production.ions
        if _around(kind, shells)
    ]
    parts += [
        attempt("Angles", _angles, production, shells),
        attempt("Structure factor", _waves, production),
    ]
    said = paragraph(
        f"Of {production.run.name} from {production.start:.4g} ps on "
        f"({production.said})."
    )
    return section("Structure", said, side_by_side(*parts)), shells


def _shells(pairs, found):
    """First shells of the histograms found, and where there is none the reason."""
    shells, failed = {}, {}
    for label, histogram in found.items():
        try:
            shell = coordination_of(histogram)
        except ValueError as error:
            failed[label] = str(error)
            continue
        if shell.holds_more:
            failed[label] = (
                f"no first minimum of g(r); after the peak at {shell.r_peak:.3f} nm "
                f"comes only that at {shell.r_max:.3f} nm, beyond second neighbours"
            )
        else:
            shells[label] = pairs[label], shell
    return shells, failed


def _distributions(production, histograms):
    found = {
        label: distribution_of(histogram, min(_BLOCKS, len(histogram.counts)))
        for label, histogram in histograms.items()
    }
    figures = []
    for start in range(0, len(found), _CURVES):
        shown = dict(list(found.items())[start : start + _CURVES])
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


def _coordination(shells, failed):
    rows = [
        (
            label,
            f"{found.r_peak:.3f}",
            f"{found.g_peak:.2f}",
            f"{found.r_max:.3f}",
            measured(found.number, found.number_error),
        )
        for label, (_, found) in shells.items()
    ]
    header = "pair", "peak (nm)", "g", "minimum (nm)", "neighbours"
    reasons = [note(f"{label}: {reason}.") for label, reason in failed.items()]
    if not rows and not reasons:
        raise ValueError("expected at least one pair, found none")
    return join(
        table(
            header,
            rows,
            caption="First peak and first minimum of g(r), and the mean number of the "
            "second within the minimum around the first.",
        )
        if rows
        else None,
        *reasons,
    )


def _around(kind, shells):
    """Neighbours of an ion for `speciation`; none unless it has a shell of solvent."""
    mine = [
        (pair, found)
        for pair, found in shells.values()
        if kind.monoatomic and np.array_equal(pair.a, kind.centers)
    ]
    if not any(pair.solvation for pair, _ in mine):
        return {}
    return {
        pair.label.partition("–")[2]: (pair.b, found.r_max)
        for pair, found in mine
        if pair.solvation or not np.array_equal(pair.a, pair.b)
    }


def _environments(production, kind, shells):
    """How often an ion has how many of each neighbour."""
    around = _around(kind, shells)
    found = speciation(production.thinned(_POSITIONS), kind.centers, around)
    likely, fraction = next(iter(found.items()))
    said = " + ".join(f"{n} {name}" for n, name in zip(likely, around, strict=True))
    return figure(
        lambda path: plot_speciation(found, list(around), path),
        production.folder,
        f"Bars: how often {kind.name} has which neighbours; most often {said}",
        f"Within the first minima of g(r). Most often {said}: "
        f"{measured(*fraction, 100)} % of the time.",
    )


def _angles(production, shells):
    found = {}
    for pair, shell in shells.values():
        if pair.solvation and len(pair.b) > 1:
            a, _, b = pair.label.partition("–")
            found[f"{b}–{a}–{b}"] = angle_distribution(
                production.thinned(_POSITIONS), pair.b, pair.a, pair.b, shell.r_max
            )
    if not found:  # no ions: between the centres themselves
        for pair, shell in shells.values():
            if np.array_equal(pair.a, pair.b):
                name = pair.label.partition("–")[0]
                found[f"{name}–{name}–{name}"] = angle_distribution(
                    production.thinned(_POSITIONS),
                    pair.a,
                    pair.a,
                    pair.a,
                    shell.r_max,
                )
    if not found:
        raise ValueError("expected at least one first shell, found none")
    found = dict(list(found.items())[:_CURVES])
    return figure(
        lambda path: plot_angles(found, path),
        production.folder,
        f"Distribution of the angles {', '.join(found)}",
        "Angles between neighbours within the first minimum of g(r).",
    )


def _waves(production):
    trajectory = production.thinned(_OF_WAVES, _FRAMES)
    found = structure_factor(
        trajectory, 100.0, bin_width=2.0, vectors_per_bin=60, norm="mean square"
    )
    shown = {"X-ray": (found.q, found.xray), "neutron": (found.q, found.neutron)}
    return figure(
        lambda path: plot_structure_factor(shown, path),
        production.folder,
        "Structure factors as X-rays and neutrons see them",
        f"From {trajectory.n_frames} frames; natural isotopes; over the mean square of "
        "the form factors or scattering lengths.",
    )


def _bonds(production, findings):
    found = bond_lengths(production.trajectory)
    topology = production.trajectory.topology
    names = np.array(
        [
            "–".join(sorted(topology.atom(i).element.symbol for i in pair))
            for pair in found.pairs.tolist()
        ]
    )
    rows = []
    for name in sorted(set(names)):
        those = names == name
        rows.append(
            (
                name,
                those.sum(),
                f"{found.mean[those].mean():.4f}",
                f"{found.longest[those].max():.4f}",
                found.broken[those].sum(),
            )
        )
    broken = int(found.broken.sum())
    if broken:
        time = production.trajectory.time[found.first_break]
        findings.alerts.append(
            (
                "warning",
                f"Broken bonds of the topology: {broken} (ever over 1.5 times as long "
                f"as at first), the first at {time:.4g} ps.",
            )
        )
    return join(
        table(("bond", "number", "mean (nm)", "longest (nm)", "broken"), rows),
        paragraph(
            "Broken: ever longer than 1.5 times its length in the first frame used."
        ),
    )
