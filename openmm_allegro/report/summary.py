# SPDX-License-Identifier: MIT
"""First and last section of the page: what was run, and how to make the page again."""

import contextlib
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from .._version import __version__
from ..runs.events import read_events
from ..runs.names import LAMMPS
from ..runs.table import Unreadable
from ..utils.settings import option_of, settings_of
from .downloads import rounded
from .html import Markup, facts, join, note, notes, paragraph, section, table, tag

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# Programs that take the steps, by their names in a record.
_ENGINES = {"openmm": "OpenMM", LAMMPS: "LAMMPS"}
# Rows that say what a record lacks.
_OF_RECORDS = ("Integrator", "Steps", "Versions")
_USED = ("numpy", "scipy", "mdtraj", "freud-analysis", "matplotlib")
# Keys of a record that tell a reader of the page nothing, or nothing that its warnings
# and remarks do not tell.
_HIDDEN = {
    *("checkpoint_interval", "checkpoint_step", "finished", "stopped"),
    "stochastic_thermostat",
}


def summary_section(runs, run, production):
    """Show what was run, in detail of `run`, the one that is analysed."""
    stages = None
    if len(runs) > 1:
        rows = [
            (
                one.stage,
                one.ensemble or "not recorded",
                _temperature(one, ""),
                one.progress,
                rounded(one.simulated, ".4g") if np.isfinite(one.simulated) else "",
                "" if one.speed is None else rounded(one.speed, ".3g"),
            )
            for one in runs
        ]
        header = "stage", "ensemble", "temperature (K)", "steps", "time (ps)", "ns/day"
        stages = table(header, rows)
    details_of = (
        f"Details of {run.stage}, the stage that is analysed:" if stages else None
    )
    return section(
        "What was run",
        stages,
        paragraph(details_of) if details_of else None,
        facts(_details(run, production)),
    )


def alert_list(runs, findings):
    """Section of warnings and remarks."""
    first, last = [], []
    for run in runs:
        bad = [k for k, x in run.table.items() if not np.isfinite(x).all()]
        if bad:
            first.append(f"{run.stage}: NaN or infinity in the {', '.join(bad)}.")
        if "stopped" in run.record:
            first.append(f"{run.stage} was stopped: {run.record['stopped']}.")
        if run.done < run.record.get("steps", 0):
            first.append(f"{run.stage} is unfinished: {run.progress} steps.")
        last += _of_bias(run)
        if not run.table and run.simulated > 0 and not run.tempered:
            last.append(f"{run.stage}: no table of energies that can be read.")
    first += [message for kind, message in findings.alerts if kind == "warning"]
    last = [message for kind, message in findings.alerts if kind == "note"] + last
    boxes = [*notes(first, "warning"), *notes(last)]
    events = [(run.stage, event) for run in runs for event in read_events(run)]
    if events:
        boxes.append(_events(events))
    if not boxes:
        boxes = [
            note("No watchdog, and no check of this page, found a fault.", kind="good")
        ]
    return section("Warnings", *boxes)


def _of_bias(run):
    """Say what acted on a run beside its System."""
    bias, restraints = run.record.get("bias"), run.record.get("restraints", [])
    words = []
    if isinstance(bias, dict):
        of = ", ".join(map(str, bias.get("variables", [])))
        words.append(f"{bias.get('kind')}{f' of {of}' if of else ''}")
    if isinstance(restraints, list) and restraints:
        of = ", ".join(dict.fromkeys(str(r.get("variable")) for r in restraints))
        words.append(f"restraints of {of}")
    if not words:
        return []
    return [
        f"{run.stage} was biased by {' and '.join(words)}: its averages, structure and "
        "rates are not those of equilibrium. analyze free-energy removes a bias."
    ]


def footer(runs, production, command):
    """Files, versions and how errors are defined."""
    files = [str(path) for run in runs for path in run.files]
    chosen = None
    if production.run.has_frames:
        chosen = paragraph(
            f"Structure and kinetics are of {production.run.stage} from "
            f"{production.start:.4g} ps on ({production.reason})."
        )
    return section(
        "How this page was made",
        chosen,
        paragraph(
            "± is the half-width of a 68 % confidence interval: of time averages by "
            "the statistical inefficiency, of everything else by a jackknife over "
            "blocks. Systematic errors, of the model and of the size of the box, "
            "are not in it."
        ),
        paragraph("Command: ", tag("code", command)),
        paragraph("Made with ", ", ".join(_versions()), "."),
        paragraph("Files read:"),
        tag("ul", *(tag("li", tag("code", name)) for name in files)),
    )


def command_line(run, output, charges, stage, elements, window, jumps=None):
    """The command that makes the page."""
    files = [run] if isinstance(run, str | Path) else run
    words = ["openmm-allegro", "report", *map(str, files)]
    if output is not None:
        words += ["--output", str(output)]
    if charges:
        words += ["--charges", charges]
    if window.start is not None:
        words += ["--start", f"{window.start:g}"]
    if stage is not None:
        words += ["--stage", stage]
    if elements:
        pairs = ",".join(f"{name}={symbol}" for name, symbol in elements.items())
        words += ["--elements", pairs]
    if window.drop_repeated:
        words.append("--drop-repeated")
    for name in settings_of(type(jumps)) if jumps is not None else ():
        value = getattr(jumps, name)
        if value != getattr(type(jumps)(), name):
            several = value if isinstance(value, tuple) else (value,)
            words += [option_of(type(jumps), name), ",".join(map(str, several))]
    if window.time_step is not None:
        words += ["--time-step", f"{window.time_step:g}"]
    if window.cell:
        words += ["--cell", ",".join(f"{x:g}" for x in window.cell)]
    return shlex.join(words)


def capitalized(key):
    """Write the name of a setting as the others of the page: ``two_body``, Two body."""
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]


def number(value, form=".3g", unit=""):
    """Number with a unit, or empty where there is none."""
    return "" if value is None else f"{value:{form}}{unit}"


def _details(run, production):
    """List names and values of a run: those of the card, then what else is recorded."""
    record = run.record
    friction = number(record.get("friction_per_ps"), "g", " per ps")
    if run.ensemble == "nve":
        friction = ""
    mass = number(record.get("hydrogen_mass_da"), "g", " Da")
    written = number(record.get("report_interval"), ",d", " steps")
    velocities = number(record.get("velocity_interval") or None, ",d", " steps")
    engine = _ENGINES.get(record.get("engine", "openmm"), record.get("engine"))
    version_key = f"{record.get('engine', 'openmm')}_version"
    versions = (
        f"openmm_allegro {record.get('package_version', 'not recorded')}, "
        f"{engine} {record.get(version_key, 'not recorded')}"
    )
    # name, value, and the keys of the record that it is made of
    rows = [
        ("Model", _model(record), "model", "model_sha256", "model_weights_sha256"),
        ("Model's region", record.get("ml_region"), "ml_region"),
        ("Composition", composition(production)),
        ("Atoms", number(record.get("atoms"), ",d"), "atoms"),
        ("Box", _box(production)),
        ("Run in", engine if "engine" in record else "", "engine"),
        ("Ensemble", run.ensemble.upper(), "ensemble"),
        ("Integrator", record.get("integrator", "not recorded"), "integrator"),
        ("Bias", (record.get("bias") or {}).get("kind"), "bias"),
        ("Temperature", _temperature(run, " K"), "temperature_k"),
        (
            "Replicas at",
            _list(record.get("temperatures_k"), ".4g", " K"),
            "temperatures_k",
        ),
        ("Replicas at λ", _list(record.get("lambdas"), ".4g", ""), "lambdas"),
        ("Pressure", number(record.get("pressure_bar"), "g", " bar"), "pressure_bar"),
        ("Friction", friction, "friction_per_ps"),
        ("Time step", number(record.get("timestep_fs"), "g", " fs"), "timestep_fs"),
        ("Hydrogen mass", mass, "hydrogen_mass_da"),
        ("Steps", run.progress, "steps", "completed_steps"),
        ("Simulated", _finite(run.simulated, ".6g", " ps")),
        ("Written every", written, "report_interval"),
        ("Velocities every", velocities, "velocity_interval"),
        ("Minimised first", _yes(record.get("minimized")), "minimized"),
        ("Went on at step", _list(record.get("resumed_at")), "resumed_at"),
        ("Seed", record.get("seed"), "seed"),
        ("Forces", _list(record.get("forces")), "forces"),
        ("Speed", number(run.speed, ".3g", " ns/day"), "ns_per_day"),
        ("Platform", record.get("platform"), "platform"),
        *(
            (f"Hardware: {key.replace('_', ' ')}", value, "hardware")
            for key, value in _hardware(record).items()
        ),
        ("Versions", versions, "package_version", version_key),
    ]
    shown = _HIDDEN.union(*(keys for _, _, *keys in rows))
    others = [
        (capitalized(key), _yes(value) if isinstance(value, bool) else value)
        for key, value in record.items()
        if key not in shown and isinstance(value, (str, int, float))
    ]
    # Files of another program have no record that could lack something.
    left = () if run.record_file is not None or run.table else _OF_RECORDS
    return [(name, value) for name, value, *_ in rows if name not in left] + others


def _temperature(run, unit):
    """Write ``300``, or ``300 → 500`` for a ramp; of NVE, that of first velocities."""
    value = run.record.get("temperature_k")
    if value is None:
        return ""
    text = " → ".join(f"{x:g}" for x in np.atleast_1d(value)) + unit
    return f"{text} at first" if run.ensemble == "nve" else text


def _model(record):
    model, digest = record.get("model"), record.get("model_sha256")
    if weights := record.get("model_weights_sha256"):
        model, digest = "of no file, by its weights", weights
    if model is None and digest is None:
        return ""
    return join(
        _several(model) or "not recorded",
        tag("small", f" sha256 {_several(digest)}", class_="hash") if digest else None,
    )


def _several(value):
    """A text, or the texts of a committee."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def composition(production):
    """Write ``60 H₂O · 2 Na · 2 Cl``, or nothing where there are no frames."""
    if not production.run.has_frames:
        return ""
    return " · ".join(
        f"{len(kind.molecules):,} {kind.formula.translate(_SUBSCRIPTS)}"
        for kind in production.kinds
    )


def _box(production):
    cells = None
    if production.run.has_frames:
        with contextlib.suppress(Unreadable):  # said where frames are shown
            cells = production.source.frames().cell_parameters()
    if cells is None:
        return ""
    (lengths, angles), varies = (
        (x.mean(axis=0) for x in cells),
        np.ptp(cells[0], axis=0),
    )
    text = " × ".join(f"{x:.4f}" for x in lengths) + " nm"
    if np.abs(angles - 90).max() > 0.01:
        text += ", " + ", ".join(f"{x:.2f}°" for x in angles)
    return text + (" (mean)" if varies.max() > 1e-4 else "")


def _hardware(record):
    hardware = record.get("hardware")
    return hardware if isinstance(hardware, dict) else {}


def _list(values, form="", unit=""):
    if not isinstance(values, list) or not values:
        return ""
    return ", ".join(f"{value:{form}}" for value in values) + unit


def _finite(value, form, unit=""):
    return number(value, form, unit) if np.isfinite(value) else ""


def _yes(value):
    return "" if value is None else ("yes" if value else "no")


def _events(events, most=20):
    rows = [
        (
            name,
            event.get("step") or "",
            event.get("time_ps") or "",
            event.get("watchdog") or "",
            event.get("action") or "",
            event.get("message") or "",
        )
        for name, event in events[:most]
    ]
    header = "run", "step", "time (ps)", "watchdog", "action", "message"
    return join(
        note(f"Events that watchdogs reported: {len(events)}.", kind="warning"),
        table(header, rows, long=True),
        paragraph(f"The first {most} are shown.") if len(events) > most else Markup(""),
    )


def _versions():
    versions = [f"openmm_allegro {__version__}", f"Python {platform.python_version()}"]
    for name in _USED:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return versions
