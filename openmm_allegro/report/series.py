# SPDX-License-Identifier: MIT
"""The page about a series of temperatures."""

import tempfile
from dataclasses import fields
from pathlib import Path

from ..measure.judgement import is_known
from ..measure.series import BY_JUMPS, QUANTITY, SeriesSettings
from ..measure.series_runs import read_series
from ..runs.window import Window
from ..utils.config import SettingError
from .details import number
from .downloads import Shown, rounded
from .html import (
    document,
    figure,
    measured,
    note,
    notes,
    options_of,
    paragraph,
    section,
    table,
    tag,
    tiles,
)
from .production import make_production
from .series_curves import curves_section
from .series_methods import series_methods
from .summary import command_line

_MADE = "How this page was made"
_ENERGIES = ("activation energy", "activation energy in eV")


def series_page(folder, output, jumps=None, start=None, stage=None, others=None):
    """Make the page of a series: what was run, the lines, each temperature.

    Parameters
    ----------
    folder : str or Path
    output : Path
        File of the page, for the command that makes it again.
    jumps : JumpsSettings, optional
    start : float, optional
        In ps.
    stage : str, optional
    others : dict, optional
        What pages of runs can be asked for, by name.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_series`, or if one of `others` is given.
    """
    for name, value in (others or {}).items():
        if value:
            raise ValueError(
                f"expected a run or a protocol with {name} "
                f"(--{name.replace('_', '-')}), found the series {folder}"
            )
    given = {}
    if jumps is not None:
        given = {x.name: getattr(jumps, x.name) for x in fields(jumps)}
    settings = SeriesSettings(**given, start=start, stage=stage)
    series = read_series(folder, stage)
    temperatures = series.temperatures
    window = Window(start=start)
    command = command_line(folder, output, None, stage, {}, window, jumps)
    words = f"Molecular dynamics at {len(temperatures)} temperatures"
    title = Path(folder).absolute().name
    measurement, reason = None, ""
    try:
        measurement = QUANTITY.measure(None, [str(folder)], settings)
    except SettingError:  # not of the data: what was asked for is wrong
        raise
    except ValueError as error:
        reason = str(error)
    with tempfile.TemporaryDirectory() as place:
        productions = _productions(temperatures, Path(place), start)
        curves = curves_section(
            {f"{one.kelvin:g} K": productions[one.run.name] for one in temperatures}
        )
        methods = series_methods(temperatures, measurement, productions)
        shown = [_run_section(temperatures), methods]
        if measurement is None:
            shown += [
                _warning_section(series.warnings) if series.warnings else None,
                section("Activation energies", note(f"Not computed: {reason}.")),
            ]
            return document(title, words, "", [*shown, curves, _footer(None, command)])
        sections = [
            *shown,
            _warning_section(measurement.warnings),
            _line_section(measurement, Path(place)),
            _temperature_section(measurement, temperatures),
            curves,
            _footer(measurement, command),
        ]
    return document(title, words, energy_tiles(measurement), sections)


def _productions(temperatures, folder, start):
    """Each run by its name; what is measured is measured from the start."""
    return {
        run.name: make_production(run, folder, start=start if run is one.run else None)
        for one in temperatures
        for run in one.runs
    }


def energy_tiles(measurement):
    """Activation energies of D and of the conductivity that are known, best first."""
    known = [
        row
        for row in measurement.rows
        if row.quantity == _ENERGIES[1]
        and not _is_rate(measurement, row.item)
        and not _is_doubtful(measurement, row.item)
        and is_known(row.value, row.error)
    ]
    known.sort(key=lambda row: row.error / abs(row.value))
    return tiles(
        (measured(row.value, row.error), "eV", f"activation energy, {row.item}")
        for row in known
    )


def _is_rate(measurement, item):
    return measurement.units.get(item) == "1/ps"


def _is_doubtful(measurement, item):
    """Whether an item is of jumps that a temperature is too short for."""
    doubts = [x for one in measurement.results.values() for x in one.get("doubts", ())]
    return bool(doubts) and item.endswith(BY_JUMPS)


def _run_section(temperatures):
    rows = [
        (
            f"{one.kelvin:g} K",
            run.stage,
            run.ensemble or "not recorded",
            run.progress,
            rounded(run.simulated, ".4g"),
            number(run.record.get("seed"), "d"),
            "yes" if run is one.run else "",
        )
        for one in temperatures
        for run in one.runs
    ]
    header = (
        "temperature",
        "stage",
        "ensemble",
        "steps",
        "time (ps)",
        "seed",
        "measured",
    )
    return section("What was run", table(header, rows))


def _warning_section(warnings):
    boxes = notes(warnings, "warning")
    if not boxes:
        boxes = [note("No check of this page found a fault.", kind="good")]
    options = options_of("openmm-allegro analyze series", warnings)
    return section("Warnings", *boxes, options)


def _line_section(measurement, folder):
    """Show the Arrhenius figure and a table of its lines."""
    energies = {}
    for row in measurement.rows:
        if row.quantity in (*_ENERGIES, "χ²", "probability of a larger χ²"):
            energies.setdefault(row.item, {})[row.quantity] = row
    rows = [
        (
            item,
            *(measured(of[name].value, of[name].error) for name in _ENERGIES),
            Shown(f"{of['χ²'].value:.3g} {of['χ²'].unit}", of["χ²"].value),
            rounded(of["probability of a larger χ²"].value, ".2g"),
        )
        for item, of in energies.items()
    ]
    header = "item", "kJ/mol", "eV", "χ²", "probability of a larger χ²"
    words = "; ".join(f"{item}: {energy} kJ/mol" for item, energy, *_ in rows)
    return section(
        "Activation energies",
        figure(
            measurement.plot,
            folder,
            f"Arrhenius lines: {words}",
            "Coefficients, rates and conductivity times temperature over inverse "
            "temperature; triangles are upper bounds, whose errors hold 0.",
            wide=True,
        ),
        table(
            header,
            rows,
            caption="Of ln x over 1 / T, x the item. Errors are multiplied by the "
            "residuals where a line misses its points.",
        ),
    )


def _temperature_section(measurement, temperatures):
    """Show what was measured at each temperature: an item a row."""
    columns = [f"{one.kelvin:g} K" for one in temperatures]
    values: dict[tuple, dict] = {}
    for row in measurement.rows:
        if row.item in columns:
            key = row.quantity, row.unit
            values.setdefault(key, {})[row.item] = row
    rows = []
    for (name, unit), of in values.items():
        scale = 1.0
        if unit == "cm²/s":  # as on pages of runs
            unit, scale = "10⁻⁵ cm²/s", 1e5
        cells = [
            measured(of[x].value, of[x].error, scale) if x in of else ""
            for x in columns
        ]
        rows.append((name if not unit else f"{name} ({unit})", *cells))
    return section("By temperature", table(("", *columns), rows))


def _footer(measurement, command):
    made = paragraph("Command: ", tag("code", command))
    if measurement is None:
        return section(_MADE, made)
    return section(
        _MADE,
        paragraph(
            "± is the half-width of a 68 % confidence interval, by a jackknife over "
            "blocks of time. Jumps are between cores of sites, with memory of the last "
            "one; the manual's page on jumps has the definitions."
        ),
        made,
        *notes(measurement.remarks),
    )
