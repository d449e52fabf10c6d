# SPDX-License-Identifier: MIT
"""Charge structure factor, and how charges screen each other at long distances."""

from dataclasses import dataclass, replace
from typing import Any

from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..utils.settings import setting
from .atom_charges import atom_charges, atom_charges_setting
from .judgement import judge_independent, judge_size
from .measurement import Measurement, Part, Row, highest, measure_items
from .quantity import Quantity, Settings, blocks_setting

# Positions that waves are summed over: long waves are few, and slow.
_POSITIONS, _LEAST = 400_000, 100


@dataclass(frozen=True)
class ChargeStructureSettings(Settings):
    """Settings of charge structure factors."""

    charges: str | None = atom_charges_setting()
    q_max: float = setting(
        40.0, about="Longest wave vector", unit="1/nm", above=0, metavar="Q"
    )
    bin_width: float = setting(
        0.5, about="Width of the bins", unit="1/nm", above=0, metavar="Q"
    )
    fit_end: float | None = setting(
        None,
        about="Longest wave vector of the line that gives the value at q = 0, "
        "1/nm (default: twice the shortest)",
        above=0,
        unit="1/nm",
        metavar="Q",
    )
    vectors: int = setting(50, about="Wave vectors of a bin", minimum=1, metavar="N")
    seed: int = setting(0, about="Seed of the choice of wave vectors", minimum=0)
    blocks: int = blocks_setting()


def measure_charge_structure(
    source: Source, subjects: None, settings: ChargeStructureSettings
) -> Measurement:
    """Measure S_zz(q) of each run; results are fields of a ChargeStructure.

    The charges are those of the model that the run has, where it wrote them.
    """
    from ..analysis import (
        charge_structure_factor,
        plot_charge_structure,
        plot_screening,
    )

    def measure(label: str, run: Run) -> Part:
        charges = atom_charges(
            source, run, settings.charges, positions=_POSITIONS, least=_LEAST
        )
        result = charge_structure_factor(
            charges.frames,
            charges.values,
            source.temperature(run),
            q_max=settings.q_max,
            bin_width=settings.bin_width,
            fit_end=settings.fit_end,
            vectors_per_bin=settings.vectors,
            seed=settings.seed,
            n_blocks=settings.blocks,
        )
        first = [float(x[0]) for x in result.screening]
        rows = [
            Row(label, "screening at q = 0", *result.limit, ""),
            Row(label, "by waves up to", result.fit_end, None, "1/nm"),
            Row(label, "screening at the smallest q", *first, ""),
            Row(label, "smallest q", float(result.q[0]), None, "1/nm"),
            *highest(label, "highest S_zz(q)", result.q, *result.factor, "e²", "1/nm"),
            Row(label, "S_zz at random places", result.uncorrelated, None, "e²"),
        ]
        warnings = judge_independent(
            label, "screening", result.independent, result.few, "longest waves"
        )
        warnings += judge_size(f"Screening at q = 0 of {label}", *result.limit)
        return Part(result, rows, {"origin_of_charges": charges.origin},
                    _notes(charges), warnings)  # fmt: skip

    measurement = measure_items(
        {source.label(run): run for run in source.runs},
        measure,
        plot_screening,
        settings,
        units={
            "q": "1/nm",
            "factor": "e²",
            "screening": "1",
            "limit": "1",
            "line": "1, nm², nm⁴",
            "fit_end": "1/nm",
            "uncorrelated": "e²",
            "independent": "1",
            "few": "1",
        },
        columns={},
    )
    values = {
        label: charge_structure_fields(result)
        for label, result in measurement.results.items()
    }
    return replace(
        measurement,
        curves={label: _columns(value) for label, value in values.items()},
        figures={"factor": lambda path: plot_charge_structure(values, path)},
    )


QUANTITY = Quantity(
    "charge-structure",
    measure_charge_structure,
    ChargeStructureSettings,
    "charge structure factor S_zz(q), e², and the screening of outer fields at long "
    "waves, which all charges of a conductor make 1",
    subjects="",
    read_subjects=no_words,
    temperature=True,
    figures={"factor": "draw S_zz(q)"},
    section="charges",
    beads=True,
)


def charge_structure_fields(result: dict[str, Any]) -> Any:
    """Make a ChargeStructure of an item's results."""
    from ..analysis import ChargeStructure

    return ChargeStructure(**{name: result[name] for name in ChargeStructure._fields})


def _columns(value: Any) -> dict[str, Any]:
    return {
        "q (1/nm)": value.q,
        "S_zz (e²)": value.factor.value,
        "S_zz error": value.factor.error,
        "screening": value.screening.value,
        "screening error": value.screening.error,
    }


def _notes(charges: Any) -> list[str]:
    """Say whose charges they are, and what the limit means."""
    notes = [charges.origin]
    if charges.of_model or charges.origin.startswith("Charges are those of the run"):
        notes.append(
            "All charges screen an outer field of long waves: a conductor to 1, an "
            "insulator to 1 - 1/ε."
        )
    else:
        notes.append(
            "Charges of ions alone have the limit ε of what is between them; all "
            "charges have 1 in a conductor."
        )
    return notes
