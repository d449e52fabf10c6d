# SPDX-License-Identifier: MIT
"""First and last section of the page: what was run, and how to make the page again."""

import logging
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from .._version import __version__
from ..runs.events import read_events
from ..runs.names import WARNINGS
from ..utils.settings import option_of, settings_of
from .details import details, temperature_words
from .downloads import rounded
from .html import (
    Markup,
    facts,
    join,
    note,
    notes,
    options_of,
    paragraph,
    section,
    table,
    tag,
)

log = logging.getLogger(__name__)

_USED = ("numpy", "scipy", "mdtraj", "freud-analysis", "matplotlib")


def summary_section(runs, run, production):
    """Show what was run, in detail of `run`, the one that is analysed."""
    stages = None
    if len(runs) > 1:
        rows = [
            (
                one.stage,
                one.ensemble or "not recorded",
                temperature_words(one, ""),
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
        facts(details(run, production)),
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
        first += [f"{run.stage}: {text}" for text in run.record.get(WARNINGS, [])]
        last += _of_bias(run)
        if not run.table and run.simulated > 0 and not run.tempered:
            last.append(f"{run.stage}: no table of energies that can be read.")
    first += [message for kind, message in findings.alerts if kind == "warning"]
    last = [message for kind, message in findings.alerts if kind == "note"] + last
    for message in dict.fromkeys(map(str, first)):
        log.warning("%s", message)  # on screen, and in what the command writes as JSON
    boxes = [*notes(first, "warning"), *notes(last)]
    events = [(run.stage, event) for run in runs for event in read_events(run)]
    if events:
        boxes.append(_events(events))
    if not boxes:
        boxes = [
            note("No watchdog, and no check of this page, found a fault.", kind="good")
        ]
    options = options_of("openmm-allegro analyze", first + last)
    return section("Warnings", *boxes, options)


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
