# SPDX-License-Identifier: MIT
"""Section of the page: diffusion, conductivity and how long shells last."""

import numpy as np

from ..analysis import (
    conductivity,
    contacts,
    diffusion,
    plot_conductivity,
    plot_msd,
    plot_survival,
    survival,
    yeh_hummer_correction,
)
from ..analysis.frames import cell_vectors, largest_radius
from .html import (
    attempt,
    figure,
    join,
    measured,
    note,
    paragraph,
    section,
    side_by_side,
    table,
)

# Atoms that have moved less than this, in nm, have not left their neighbours.
_NEIGHBOR = 0.3
# Fewer breaks than this tell little of a lifetime.
_BREAKS = 20
# A contact breaks beyond so many times the first minimum of g(r).
_BEYOND = 1.1
_KINDS = 6
# Particles whose paths are enough to show where their motion becomes diffusive.
_ENOUGH = 10
# Thermostats that leave collective motion as it is, and none at all.
_DETERMINISTIC = ("nose-hoover", "nose-hoover-chain", "verlet", "velocity-verlet")
# Positions that contacts are looked for in.
_POSITIONS = 1_000_000
# Contacts last: lags of nearly a fifth of the run, so as many blocks of origins.
_BLOCKS = 5
# What may be left of C(t) where its integral ends.
_FORGOTTEN = 0.05


def kinetics(production, shells, findings):
    """Kinetics of the production; `shells` are those of `structure`."""
    return section(
        "Kinetics",
        paragraph(
            f"{production.trajectory.n_frames:,} frames over {production.length:.4g} "
            "ps; molecules are followed by the atom in brackets."
        ),
        side_by_side(
            attempt("Diffusion", _diffusion, production, findings),
            attempt("Conductivity", _conductivity, production, findings),
            attempt("Residence in the shells of ions", _residence, production, shells),
        ),
    )


def _diffusion(production, findings):
    found, rows, reasons = {}, [], []
    for kind in production.kinds[:_KINDS]:
        try:
            result = diffusion(production.trajectory, kind.centers)
        except ValueError as error:
            reasons.append(note(f"{kind.label}: {error}."))
            continue
        found[kind.label] = result
        value = measured(result.coefficient, result.error, 1e5)
        moved = np.sqrt(result.msd[-1])
        rows.append(
            (
                kind.label,
                len(kind.centers),
                value,
                f"{result.fit_start:.3g} to {result.lag_times[-1]:.3g}",
                f"{moved:.2f}",
            )
        )
        if moved < _NEIGHBOR:
            findings.caged.append(f"{kind.label} {moved:.2f} nm")
            continue
        findings.tiles.append((value, "10⁻⁵ cm²/s", f"D of {kind.label}"))
        if result.error > 0.5 * result.coefficient:
            findings.alerts.append(
                ("note", f"D of {kind.label} is known to half its value at best.")
            )
    if len(production.kinds) > _KINDS:
        reasons.append(note(f"Only the {_KINDS} most frequent of the kinds are here."))
    if not found:
        return join(*reasons)
    few = [kind for kind in production.kinds if len(kind.centers) < _ENOUGH]
    few = [kind.label for kind in few if kind.label in found]
    if few:
        reasons.append(
            note(
                f"D of {', '.join(few)} is of fewer than {_ENOUGH} particles, whose "
                "paths hardly show where motion becomes diffusive: its error is a "
                "lower bound."
            )
        )
    if findings.caged:
        longest = next(iter(found.values())).lag_times[-1]
        findings.alerts.append(
            (
                "warning",
                f"Too short for diffusion: within {longest:.3g} ps, the longest lag, "
                f"atoms have moved by no more than {', '.join(findings.caged)}. What "
                "is given as their D, and a conductivity, is about the cage that "
                "neighbours make.",
            )
        )
    return join(
        figure(
            lambda path: plot_msd(found, path),
            production.folder,
            f"Mean square displacements of {', '.join(found)} with fitted lines",
            "Mean square displacement, and the line that gives D over the window used.",
        ),
        table(
            (
                "species",
                "number",
                "D (10⁻⁵ cm²/s)",
                "diffusive window (ps)",
                "√MSD at the longest lag (nm)",
            ),
            rows,
            caption="Self-diffusion relative to the centre of mass of all atoms.",
        ),
        _finite_box(production),
        *reasons,
        _thermostat(production.run.record),
    )


def _thermostat(record):
    """What a stochastic thermostat does to motion."""
    integrator = record.get("integrator", _DETERMINISTIC[0])
    if integrator in _DETERMINISTIC:
        return None
    friction = record.get("friction_per_ps")
    rate = "" if friction is None else f" ({friction:g} per ps)"
    return note(
        f"The thermostat {integrator}{rate} slows motion: D and what follows from it "
        "are lower than in NVE, or with Nosé-Hoover chains (Basconi and Shirts, "
        "doi:10.1021/ct400109a)."
    )


def _finite_box(production):
    """What Yeh and Hummer would add, in a box that is about cubic."""
    lengths = production.trajectory.unitcell_lengths.mean(axis=0)
    angles = production.trajectory.unitcell_angles.mean(axis=0)
    if np.ptp(lengths) > 0.02 * lengths.mean() or np.abs(angles - 90).max() > 1:
        return paragraph("D is that of this box; no correction for its size is made.")
    if not production.temperature > 0:
        return None
    added = yeh_hummer_correction(float(lengths.mean()), production.temperature, 1.0)
    return paragraph(
        "D is that of this box. In an infinite one it would be larger by "
        f"{1e5 * added:.2g} / η × 10⁻⁵ cm²/s, η the viscosity of the model in mPa s "
        "(Yeh and Hummer): not added here."
    )


def _conductivity(production, findings):
    if production.charges is None:
        raise ValueError(production.charges_said)
    atoms = np.zeros(production.trajectory.n_atoms)
    species = {}
    for kind in production.kinds:
        charge = production.charges.get(kind.name, 0)
        if charge:
            # A whole ion's charge on its centre: the same at long times.
            atoms[kind.centers] = charge
            species[kind.name] = kind.centers
    found = conductivity(
        production.trajectory, atoms, production.temperature, species=species
    )
    if abs(found.net_charge) > 1e-6:
        findings.alerts.append(
            (
                "warning",
                f"The charges of the ions add up to {found.net_charge:+g}: the "
                "conductivity depends on the frame of reference.",
            )
        )
    given = ", ".join(f"{name} {production.charges[name]:+g}" for name in species)
    given = given.replace("-", "−")
    rows = [
        ("Einstein (all ions together)", measured(*found.einstein), "S/m"),
        ("Nernst–Einstein (each ion alone)", measured(*found.nernst_einstein), "S/m"),
        ("Haven ratio", measured(*found.haven_ratio), ""),
    ]
    for i, name in enumerate(found.species):
        part = measured(found.transference.value[i], found.transference.error[i])
        rows.append((f"transference number of {name}", part, ""))
    value = measured(*found.einstein)
    if not findings.caged:
        findings.tiles.append((value, "S/m", "conductivity (Einstein)"))
    if found.einstein.error > 0.5 * abs(found.einstein.value):
        findings.alerts.append(
            (
                "note",
                f"The Einstein conductivity, {value} S/m, is hardly known: all ions "
                "together give one displacement at a time, and this takes long runs.",
            )
        )
    return join(
        figure(
            lambda path: plot_conductivity(found, path),
            production.folder,
            f"Bars of the parts of the conductivity; Einstein {value} S/m",
            "Parts of the conductivity.",
        ),
        table(("quantity", "value", "unit"), rows),
        paragraph(
            f"{production.charges_said} {given}. Lags from {found.fit_start:.3g} to "
            f"{found.lag_times[-1]:.3g} ps; {production.temperature:.4g} K; relative "
            "to the centre of mass of all atoms."
        ),
    )


def _residence(production, shells):
    found, rows, reasons = {}, [], []
    trajectory = production.thinned(_POSITIONS)
    widest = largest_radius(cell_vectors(trajectory))
    for label, (pair, shell) in shells.items():
        if not pair.solvation and np.array_equal(pair.a, pair.b):
            continue
        r_out = min(_BEYOND * shell.r_max, widest)
        try:
            touching = contacts(trajectory, pair.a, pair.b, shell.r_peak, r_out=r_out)
            longest = (touching.n_frames // _BLOCKS - 1) * touching.time_step
            result = survival(touching, max_lag=longest, n_blocks=_BLOCKS)
        except ValueError as error:
            reasons.append(note(f"{label}: {error}."))
            continue
        residence = measured(*result.residence_time)
        if result.remaining > _FORGOTTEN:
            residence = f"above {residence}"
        if result.n_breaks < _BREAKS:
            reasons.append(note(f"{label}: {result.n_breaks} breaks tell little."))
        rows.append(
            (
                label,
                f"{shell.r_peak:.3f}, {r_out:.3f}",
                measured(*result.lifetime),
                residence,
                result.n_breaks,
            )
        )
        found[label] = result
    if not found:
        if reasons:
            return join(*reasons)
        raise ValueError("expected ions with a first shell, found none")
    told = {k: result for k, result in found.items() if result.n_breaks >= _BREAKS}
    shown = dict(list(told.items())[:_KINDS])
    drawn = None
    if shown:
        drawn = figure(
            lambda path: plot_survival(shown, path),
            production.folder,
            f"Survival functions of the contacts {', '.join(shown)}",
            "Probability that a contact still holds, or is there again (dashed).",
        )
    return join(
        drawn,
        table(
            (
                "contact",
                "radii (nm)",
                "lifetime (ps)",
                "residence time (ps)",
                "breaks",
            ),
            rows,
        ),
        paragraph(
            "A contact forms below the first of the radii, the first maximum of g(r), "
            "and breaks beyond the other, 10 % past its first minimum, so that "
            "trembling at the edge does not count. The residence time is the integral "
            "of the dashed curve above random encounters, within "
            f"{next(iter(found.values())).lag_times[-1]:.3g} ps; where the curve has "
            "not fallen by then, it is a lower bound. Contacts were looked for in "
            f"{trajectory.n_frames:,} frames."
        ),
        *reasons,
    )
