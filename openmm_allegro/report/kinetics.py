# SPDX-License-Identifier: MIT
"""Section of the page: diffusion, conductivity and residence in shells."""

from ..measure.judgement import BREAKS
from ..measure.survival import BEYOND
from .downloads import Shown, between, rounded
from .further import further_parts
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
from .structure import dashed, failures, show, warnings

_KINDS = 6
# Motion whose coefficients are worth a place at the top of the page.
_DIFFUSIVE = "diffusive"
# Integrators of older records, which do not say that no random numbers enter.
_DETERMINISTIC = ("nose-hoover", "nose-hoover-chain", "verlet", "velocity-verlet")


def kinetics_section(production, findings):
    """Show the kinetics of the production."""
    frames = production.source.frames()
    length = frames.last_time - frames.first_time
    return section(
        "Kinetics",
        paragraph(
            f"{frames.n_frames:,} frames over {length:.4g} ps; molecules are followed "
            "by the atom that is named after them."
        ),
        side_by_side(
            attempt("Diffusion", _diffusion, production, findings),
            attempt("Conductivity", _conductivity, production, findings),
            attempt("Residence in the shells of ions", _residence, production),
            *further_parts(production, "kinetics"),
        ),
    )


def _diffusion(production, findings):
    measurement = production.measure("diffusion")
    results = measurement.results
    rows, reasons = [], [*warnings(measurement), *failures(measurement)]
    for label, result in list(results.items())[:_KINDS]:
        value = measured(result["coefficient"], result["error"], 1e5)
        rows.append(
            (
                label,
                result["particles"],
                value,
                between(result["fit_start"], result["lag_times"][-1], ".3g"),
                rounded(result["displacement"], ".2f"),
            )
        )
        if result["regime"] == _DIFFUSIVE:
            findings.tiles.append((value, "10⁻⁵ cm²/s", f"D of {label}"))
    if len(results) > _KINDS:
        reasons.append(note(f"Only the {_KINDS} most frequent of the kinds are here."))
    return join(
        show(
            production,
            "diffusion",
            "Mean square displacements of {items} with fitted lines",
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
        _finite_box(next(iter(results.values()))),
        *reasons,
        _thermostat(production.run.record),
    )


def _thermostat(record):
    """Note that a stochastic thermostat slows motion."""
    integrator = record.get("integrator", _DETERMINISTIC[0])
    by_name = integrator not in _DETERMINISTIC
    if not record.get("stochastic_thermostat", by_name):
        return None
    friction = record.get("friction_per_ps")
    rate = "" if friction is None else f" ({friction:g} per ps)"
    return note(
        f"The thermostat {integrator}{rate} slows motion: D and what follows from it "
        "are lower than in NVE, or with Nosé-Hoover chains (Basconi and Shirts, "
        "doi:10.1021/ct400109a)."
    )


def _finite_box(result):
    """Give the correction of Yeh and Hummer, in a cubic box."""
    if result["box_length"] is None:
        return paragraph("D is that of this box; no correction for its size is made.")
    added = result["correction_times_viscosity"]
    if added is None:
        return None
    return paragraph(
        "D is that of this box. In an infinite one it would be larger by "
        f"{1e5 * added:.2g} / η × 10⁻⁵ cm²/s, η the viscosity of the model in mPa s "
        "(Yeh and Hummer): not added here."
    )


def _conductivity(production, findings):
    measurement = production.measure("conductivity")
    result = measurement.results["all"]
    if not result["neutral"]:
        findings.warn(
            f"The charges of the ions add up to {result['net_charge']:+g}: the "
            "conductivity depends on the frame of reference."
        )
    given = ", ".join(f"{name} {x:+g}" for name, x in result["charges"].items())
    given = given.replace("-", "−")
    einstein = result["einstein"]
    rows = [
        ("Einstein (all ions together)", measured(*einstein), "S/m"),
        (
            "Nernst–Einstein (each ion alone)",
            measured(*result["nernst_einstein"]),
            "S/m",
        ),
        ("Haven ratio", measured(*result["haven_ratio"]), ""),
    ]
    transference = result["transference"]
    for i, name in enumerate(result["species"]):
        part = measured(transference.value[i], transference.error[i])
        rows.append((f"transference number of {name}", part, ""))
    integral = result["green_kubo"]
    if integral is not None:
        rows.append(("Green–Kubo", measured(*integral.coefficient), "S/m"))
    value = measured(*einstein)
    if set(result["regimes"]) <= {_DIFFUSIVE}:
        findings.tiles.append((value, "S/m", "conductivity (Einstein)"))
    return join(
        show(
            production,
            "conductivity",
            f"Bars of the parts of the conductivity; Einstein {value} S/m",
            "Parts of the conductivity.",
        ),
        table(("quantity", "value", "unit"), rows),
        paragraph(
            f"{result['origin_of_charges']} {given}. Lags from "
            f"{result['fit_start']:.3g} to {result['lag_times'][-1]:.3g} ps; "
            f"{production.source.temperature():.4g} K; relative to the centre of mass "
            "of all atoms."
        ),
        *warnings(measurement),
    )


def _residence(production):
    measurement = production.measure("survival")
    rows, reasons = [], [*warnings(measurement), *failures(measurement)]
    for label, result in measurement.results.items():
        residence = measured(*result["residence_time"])
        if result["lower_bound"]:
            residence = Shown(f"above {residence}", *residence.full)
        inner, outer = result["radii"]
        rows.append(
            (
                dashed(label),
                between(inner, outer, ".3f"),
                measured(*result["lifetime"]),
                residence,
                result["n_breaks"],
            )
        )
    first = next(iter(measurement.results.values()))
    return join(
        _survival(production, measurement),
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
            f"and breaks beyond the other, {100 * BEYOND - 100:.0f} % past its first "
            "minimum, so that "
            "trembling at the edge does not count. The residence time is the integral "
            "of the dashed curve above random encounters, within "
            f"{first['lag_times'][-1]:.3g} ps; where the curve has not fallen by then, "
            "it is a lower bound."
        ),
        *reasons,
    )


def _survival(production, measurement):
    """Figure of the contacts with enough breaks; the others' errors would hide them."""
    from ..analysis import Survival, plot_survival

    curves = {
        dashed(label): Survival(**{k: result[k] for k in Survival._fields})
        for label, result in measurement.results.items()
        if result["n_breaks"] >= BREAKS
    }
    curves = dict(list(curves.items())[:_KINDS])
    if not curves:
        return None
    return figure(
        lambda path: plot_survival(curves, path),
        production.folder,
        f"Survival functions of the contacts {', '.join(curves)}",
        "Probability that a contact still holds, or is there again (dashed).",
    )
