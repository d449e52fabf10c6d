# SPDX-License-Identifier: MIT
"""Dipole moments of molecules."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..runs.species import Kind
from ..utils.settings import setting
from .atom_charges import SCREENED, atom_charges, atom_charges_setting
from .judgement import judge_independent
from .measurement import Measurement, Part, Row, measure_items
from .quantity import Quantity, Settings, blocks_setting

# Positions to take: each frame has many molecules.
_POSITIONS, _LEAST = 2_000_000, 100
# Charge of a molecule in e from which on its moment depends on where it is taken.
_CHARGED = 0.2


@dataclass(frozen=True)
class DipoleSettings(Settings):
    """Settings of distributions of dipole moments."""

    charges: str | None = atom_charges_setting()
    bin_width: float = setting(
        0.05, about="Width of the bins", unit="D", above=0, metavar="D"
    )
    blocks: int = blocks_setting()


class _Molecules(NamedTuple):
    """Molecules of one kind in a run."""

    run: Run
    kind: Kind


def measure_dipoles(
    source: Source, subjects: None, settings: DipoleSettings
) -> Measurement:
    """Measure the dipole moments of each kind of molecule of several atoms.

    Results by kind: fields of a MolecularDipoles, and ``origin_of_charges``.
    """
    from ..analysis import molecular_dipoles, plot_dipoles

    kinds = [kind for kind in source.kinds if not kind.monoatomic]
    if not kinds:
        raise ValueError("expected molecules of several atoms, found none")
    items = {}
    for run in source.runs:
        suffix = f" ({run.name})" if len(source.runs) > 1 else ""
        items |= {kind.name + suffix: _Molecules(run, kind) for kind in kinds}

    def measure(label: str, item: _Molecules) -> Part:
        charges = atom_charges(
            *(source, item.run, settings.charges), positions=_POSITIONS, least=_LEAST
        )
        atoms = np.array([np.sort(m) for m in item.kind.molecules])
        if not np.any(charges.values[..., atoms]):
            raise ValueError(f"expected charges of the atoms of {label}, found 0")
        result = molecular_dipoles(
            charges.frames,
            charges.values,
            atoms,
            bin_width=settings.bin_width,
            n_blocks=settings.blocks,
        )
        rows = [
            Row(label, "dipole moment", *result.mean, "D"),
            Row(label, "spread", result.spread, None, "D"),
            Row(label, "charge", *result.charge, "e"),
            Row(label, "spread of the charge", result.charge_spread, None, "e"),
        ]
        notes = [charges.origin]
        if charges.of_model:
            notes.append(SCREENED)
        if abs(result.charge.value) > _CHARGED:
            notes.append(
                f"{label} has a charge: its moment is that about the centre of mass."
            )
        warnings = judge_independent(
            label, "dipole moment", result.independent, result.few
        )
        return Part(
            result, rows, {"origin_of_charges": charges.origin}, notes, warnings
        )

    return measure_items(
        items,
        measure,
        plot_dipoles,
        settings,
        units={
            "dipole": "D",
            "density": "1/D",
            "error": "1/D",
            "mean": "D",
            "spread": "D",
            "charge": "e",
            "charge_spread": "e",
            "independent": "1",
            "few": "1",
        },
        columns={"dipole (D)": "dipole", "density (1/D)": "density", "error": "error"},
    )


QUANTITY = Quantity(
    "dipoles",
    measure_dipoles,
    DipoleSettings,
    "dipole moments of molecules, D, and their distribution; with the charges that a "
    "model gave the atoms, or given ones",
    subjects="",
    read_subjects=no_words,
    section="charges",
)
