# SPDX-License-Identifier: MIT
"""Kinetic energies of quantum nuclei, by element."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runs.names import RPMD
from ..runs.nuclei import Nuclei
from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..units import EV_TO_KJ_PER_MOL, GAS_CONSTANT, NM_TO_ANGSTROM
from .judgement import judge_independent
from .measurement import Measurement, Row
from .quantity import Quantity, Settings

_MEV = EV_TO_KJ_PER_MOL / 1000  # kJ/mol
_UNITS = {
    "kinetic": "meV",
    "primitive": "meV",
    "classical": "meV",
    "temperature": "K",
    "radius": "Å",
}


@dataclass(frozen=True)
class KineticEnergySettings(Settings):
    """Settings of kinetic energies: none."""


def measure_kinetic_energies(
    source: Source, subjects: None, settings: KineticEnergySettings
) -> Measurement:
    """Measure the mean kinetic energy of the nuclei of each element.

    Results by element: ``kinetic``, of beads also ``primitive`` and ``radius`` (of
    gyration), each with an error, ``classical`` (3/2 k T), and ``temperature``, at
    which a classical nucleus would have that energy.
    """
    from ..analysis import plot_kinetic_energies

    rows: list[Row] = []
    results: dict[str, Any] = {}
    traces, curves, warnings, notes = {}, {}, [], []
    for run in source.runs:
        times, elements = source.nuclei(run)
        suffix = f" ({run.name})" if len(source.runs) > 1 else ""
        classical = 1.5 * GAS_CONSTANT * source.temperature(run) / _MEV
        notes.append(_how(run))
        for element, nuclei in elements.items():
            label = element + suffix
            results[label] = _of_element(nuclei, classical)
            rows += _rows(label, results[label])
            warnings += _judge(label, nuclei)
            energies = nuclei.kinetic / _MEV
            traces[label] = times, energies, classical
            curves[label] = {"time (ps)": times, "kinetic energy (meV)": energies}
    return Measurement(
        rows,
        results,
        _UNITS,
        curves,
        lambda path: plot_kinetic_energies(traces, path),
        notes=list(dict.fromkeys(notes)),
        warnings=warnings,
    )


QUANTITY = Quantity(
    "kinetic-energy",
    measure_kinetic_energies,
    KineticEnergySettings,
    "kinetic energies of quantum nuclei by element, meV; of runs with integrator rpmd "
    "or qtb",
    subjects="",
    read_subjects=no_words,
    temperature=True,
    section="nuclei",
)


def _of_element(nuclei: Nuclei, classical: float) -> dict[str, Any]:
    from ..analysis import series_mean

    kinetic = series_mean(nuclei.kinetic / _MEV)
    values: dict[str, Any] = {"kinetic": kinetic, "classical": classical}
    warm = 2 / 3 * _MEV / GAS_CONSTANT
    values["temperature"] = kinetic.value * warm
    if nuclei.primitive is not None:
        values["primitive"] = series_mean(nuclei.primitive / _MEV)
    if nuclei.squares is not None:
        square = series_mean(nuclei.squares)
        radius = np.sqrt(square.value)
        error = 0.5 * square.error / radius if radius else 0.0
        values["radius"] = radius * NM_TO_ANGSTROM, error * NM_TO_ANGSTROM
    return values


def _rows(label: str, values: dict[str, Any]) -> list[Row]:
    rows = [Row(label, "kinetic energy", *values["kinetic"], "meV")]
    if "primitive" in values:
        name = "kinetic energy, primitive"
        rows.append(Row(label, name, *values["primitive"], "meV"))
    rows.append(Row(label, "classical", values["classical"], None, "meV"))
    if "radius" in values:
        rows.append(Row(label, "radius of gyration", *values["radius"], "Å"))
    return rows


def _judge(label: str, nuclei: Nuclei) -> list[str]:
    from ..analysis.statistics import ENOUGH, independent_values

    independent = independent_values(nuclei.kinetic)
    few = independent < ENOUGH
    return judge_independent(label, "kinetic energy", independent, few)


def _how(run: Run) -> str:
    if run.record.get("integrator") == RPMD:
        beads = run.record.get("beads", "unknown")
        return (
            f"By the centroid virial of {beads} beads; with more the energy rises "
            "towards its limit, see the manual."
        )
    return (
        "By velocities of a quantum thermal bath, an approximation; at first its noise "
        "adapts, which belongs to no mean."
    )
