# SPDX-License-Identifier: MIT
"""Methods of a series of temperatures, in words for a paper."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..measure.measurement import Measurement
from ..runs.run import Run
from ..utils.words import listed
from .citations import QUANTITIES
from .details import details
from .html import Markup
from .methods import (
    Paper,
    dynamics,
    program_words,
    show_paper,
    system_words,
)
from .models import model_words
from .production import Production

# What is measured, by the units of its items.
_BY_UNIT = {"cm²/s": "diffusion", "1/ps": "jumps", "S K/m": "conductivity"}


def series_methods(
    temperatures: Sequence[Any],
    measurement: Measurement | None,
    productions: Mapping[str, Production],
) -> Markup | None:
    """Show the methods of a series; None of runs without records.

    Parameters
    ----------
    temperatures : sequence of measure.series.Temperature
    measurement : Measurement or None
        Of the series; None where it cannot be measured.
    productions : dict of str to Production
        All runs by their names, with what the page shows of each.
    """
    if any(run.record_file is None for one in temperatures for run in one.runs):
        return None
    paper, first = Paper(), temperatures[0]
    production = productions[first.run.name]
    system = system_words(production)
    if system:
        system = f"At {first.kelvin:g} K, {system[0].lower()}{system[1:]}"
    paper.add(
        system,
        model_words(paper, first.run, production),
        program_words(paper, first.run),
    )
    paper.add(*stage_words(paper, temperatures))
    shown = {name for one in productions.values() for name in one.measured}
    paper.add(*_analysis(paper, measurement, shown))
    settings = [
        row
        for one in temperatures
        for run in one.runs
        for row in [("Run", run.name), *details(run, productions[run.name])]
    ]
    return show_paper(paper, settings)


def stage_words(paper: Paper, temperatures: Sequence[Any]) -> list[str]:
    """Write the stages once where they differ in temperature and seed alone.

    Numbers of a minimisation, which forces of several threads may change a little, are
    left to the settings where they differ.
    """
    all_of_them = listed(f"{one.kelvin:g}" for one in temperatures)

    def texts(paper: Paper, one: Any, kelvin: str | None, *left: str) -> list[str]:
        given = {"named": True, "left": ("seed", *left)}
        return [
            dynamics(paper, run, kelvin=_at(run, kelvin), **given) for run in one.runs
        ]

    def are_alike(*left: str) -> bool:
        draft = Paper()  # whose numbers are not those of the text
        first, *others = (texts(draft, x, all_of_them, *left) for x in temperatures)
        return all(text == first for text in others)

    seeds = [
        f"{run.record['seed']} (stage {run.stage}, {one.kelvin:g} K)"
        for one in temperatures
        for run in one.runs
        if "seed" in run.record
    ]
    seeds = [f"Random seeds were {listed(seeds)}."] if seeds else []
    for left in ((), ("minimization",)):
        if are_alike(*left):
            words = texts(paper, temperatures[0], all_of_them, *left)
            return ["At each temperature by itself:", *words, *seeds]
    sentences = []
    for one in temperatures:
        sentences += [f"At {one.kelvin:g} K:", *texts(paper, one, None)]
    return sentences + seeds


def _at(run: Run, kelvin: str | None) -> str | None:
    """Temperatures to write for a run; its own where it follows a ramp."""
    return kelvin if run.target is not None else None


def _analysis(
    paper: Paper, measurement: Measurement | None, shown: Collection[str]
) -> list[str]:
    units = set(measurement.units.values()) if measurement else set()
    names = [name for unit, name in _BY_UNIT.items() if unit in units]
    names += [name for name in ("rdf", "diffusion") if name in shown]
    read, measured = paper.cite("mdtraj"), []
    for name in dict.fromkeys(names):
        words, works = QUANTITIES[name]
        words = words.replace(", Haven ratio and transference numbers", "")
        measured.append(words + paper.cite(*works))
    if not measured:
        return []
    lines = "; activation energies are slopes of ln x over 1 / T" if units else ""
    return [
        f"Frames were read with mdtraj{read}. Measured were {listed(measured)}{lines}. "
        "Errors are half-widths of 68 % intervals, by a jackknife over blocks"
        f"{paper.cite('jackknife')}."
    ]
