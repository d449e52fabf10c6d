# SPDX-License-Identifier: MIT
"""Static dielectric constant from the dipoles that a run wrote."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from .atom_charges import SCREENED, electronic_setting
from .judgement import check_fluctuation, judge_independent
from .measurement import Measurement, Row
from .quantity import Quantity, Settings, blocks_setting

_WINDOW = ("start", "stop", "time_step", "drop_repeated")


@dataclass(frozen=True)
class DielectricSettings(Settings):
    """Settings of the dielectric constant."""

    electronic: float = electronic_setting()
    blocks: int = blocks_setting()


class _Running(NamedTuple):
    """Dielectric constant of more and more of a run; times in ps."""

    times: np.ndarray
    values: np.ndarray


def measure_dielectric(
    source: Source, subjects: None, settings: DielectricSettings
) -> Measurement:
    """Measure the static dielectric constant of each run that wrote dipoles.

    Results by run: ``dielectric_constant`` (value and error, where the run is long
    enough), ``charges`` by element, ``running`` and ``running_times``.
    """
    from ..analysis import plot_running_dielectric

    results, rows, notes, warnings, failed, drawn = {}, [], [], [], {}, {}
    for run in source.runs:
        label = source.label(run)
        found, reason, said = _measure_run(source, run, settings)
        constant = found["dielectric_constant"]
        if constant is not None:
            rows.append(Row(label, "dielectric constant", *constant, ""))
        else:
            failed[f"dielectric constant of {label}"] = reason
            said = [*said, f"{label}: the dielectric constant is withheld."]
        for symbol, charge in found["charges"].items():
            rows.append(Row(label, f"mean charge of {symbol}", *charge, "e"))
        results[label], drawn[label] = (
            found,
            _Running(found["running_times"], found["running"]),
        )
        warnings += said
        notes += [note for note in _notes(source, run) if note not in notes]
    return Measurement(
        rows,
        results,
        {
            "dielectric_constant": "1",
            "charges": "e",
            "running": "1",
            "running_times": "ps",
        },
        {
            label: {"time (ps)": x.times, "dielectric constant up to it": x.values}
            for label, x in drawn.items()
        },
        lambda path: plot_running_dielectric(drawn, path),
        notes=notes,
        failed=failed,
        warnings=warnings,
    )


QUANTITY = Quantity(
    "dielectric",
    measure_dielectric,
    DielectricSettings,
    "static dielectric constant from the dipoles that a run of a model with charges "
    "wrote (PREFIX.dipoles.csv)",
    subjects="",
    read_subjects=no_words,
    window=_WINDOW,
    temperature=True,
    section="charges",
)


def _measure_run(
    source: Source, run: Run, settings: DielectricSettings
) -> tuple[dict[str, Any], str, list[str]]:
    """Results of a run, the reason if its constant is withheld, and warnings."""
    from ..analysis import series_mean
    from ..analysis.statistics import ENOUGH_OF_VARIANCE, independent_values
    from ..analysis.thermodynamics import Dipoles, dielectric_of, running_dielectric

    series, label = source.dipoles(run), source.label(run)
    if series.volumes is None:
        raise ValueError(
            f"expected dipoles of a periodic box, found no volumes in {run.dipoles}"
        )
    dipoles = Dipoles(series.dipoles, float(series.volumes.mean()))
    temperature, screening = source.temperature(run), settings.electronic
    slowest = min(series.dipoles.T, key=independent_values)
    independent, constant, reason = independent_values(slowest), None, ""
    try:
        check_fluctuation("dielectric constant", slowest, "dipole moment")
        constant = dielectric_of(
            *(dipoles, temperature), n_blocks=settings.blocks, electronic=screening
        )
    except ValueError as error:
        reason = str(error)
    frames, values = running_dielectric(dipoles, temperature, electronic=screening)
    results = {
        "dielectric_constant": constant,
        "charges": {s: series_mean(x) for s, x in series.charges.items()},
        "running": values,
        "running_times": series.times[frames - 1],
    }
    warnings = judge_independent(
        *(label, "dielectric constant", independent),
        *(constant is not None and independent < ENOUGH_OF_VARIANCE, "dipole moment"),
    )
    return results, reason, warnings


def _notes(source: Source, run: Run) -> list[str]:
    """Say what boundaries, free charges and screened charges mean."""
    notes = ["Conducting boundaries, as the sum over images without a surface has.",
             SCREENED]  # fmt: skip
    try:
        free = [kind.name for kind in source.kinds if kind.monoatomic]
    except (FileNotFoundError, ValueError):
        free = []
    if free:
        notes.append(
            f"There are ions ({', '.join(free)}): of a conductor this is the part of "
            "the molecules' moments alone, without what they and the current have in "
            "common (Caillol, Levesque and Weis, J. Chem. Phys. 85, 6645, 1986)."
        )
    return notes
