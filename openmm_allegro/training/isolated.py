# SPDX-License-Identifier: MIT
"""Isolated atoms, which fix the energies of elements and are no frames to learn from.

A model gives an atom without neighbours the energy shift of its element and nothing
else. A frame of one atom that has no image within the cutoff therefore determines that
shift; in loss and errors it would be a constant that no weight can change.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ..model import AllegroConfig
from ..model.ewald import ewald_sum
from ..structure import Structure
from ..utils.words import counted
from .samples import Sample

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # eV, by which two energies of one atom may differ


class Separated(NamedTuple):
    """Structures and their samples, apart from isolated atoms."""

    structures: list[Structure]
    samples: list[Sample]
    atoms: list[Structure]


def separate(
    name: str, structures: Sequence[Structure], samples: Sequence[Sample]
) -> Separated:
    """Separate isolated atoms from the structures to learn from.

    Parameters
    ----------
    name : str
        Of the set, for messages.
    structures : sequence of Structure
    samples : sequence of Sample
        Of the structures.

    Raises
    ------
    ValueError
        If nothing else is left, or an atom that is called isolated has images within
        the cutoff.
    """
    rest: list[Structure] = []
    kept: list[Sample] = []
    atoms: list[Structure] = []
    for index, (structure, sample) in enumerate(zip(structures, samples, strict=True)):
        where = structure.source or f"{name} structure {index}"
        if sample.is_isolated:
            atoms.append(structure)
            continue
        if structure.called_isolated:
            nearest = float(sample.vectors.norm(dim=-1).min())
            raise ValueError(
                f"{where}: expected an isolated atom, as its config_type says, with no "
                f"image within the cutoff, found one at {nearest:.3f} Å; give it a "
                "larger cell or none, or another config_type if it is a crystal"
            )
        rest.append(structure)
        kept.append(sample)
    if not rest:
        raise ValueError(
            f"{name}: expected at least one structure of atoms with neighbours, found "
            f"{counted(len(atoms), 'isolated atom')}"
        )
    return Separated(rest, kept, atoms)


def isolated_energies(
    config: AllegroConfig, atoms: Sequence[Structure]
) -> dict[str, float]:
    """Energies (eV) of isolated atoms by element, from a config and from frames.

    Ions of a model with charges are without the energy of the field of their images.

    Raises
    ------
    ValueError
        If two of an element differ.
    """
    energies = dict(config.shifts)
    origins = dict.fromkeys(energies, "shifts of the model config")
    for structure in atoms:
        (element,) = structure.symbols
        where = structure.source or "a structure"
        own = structure.energy - _field_energy(config, structure)
        energy = energies.setdefault(element, own)
        origin = origins.setdefault(element, where)
        if abs(energy - own) > TOLERANCE:
            raise ValueError(
                f"expected one energy of an isolated {element}, found {energy:.6f} eV "
                f"({origin}) and {own:.6f} eV ({where}); keep one of them "
                "(an atom in a cell counts as isolated without images within the "
                "cutoff)"
            )
    return energies


def _field_energy(config: AllegroConfig, atom: Structure) -> float:
    """Energy (eV) of an ion with its images and its background; 0 without charges."""
    if not (config.is_charged and atom.charge and atom.periodic.any()):
        return 0.0
    positions, cell = torch.tensor(atom.positions), torch.tensor(atom.cell)
    charges = torch.tensor([atom.charge], dtype=torch.float64)
    return float(ewald_sum(positions, cell, charges, config.alpha).energy)


def report_isolated(
    config: AllegroConfig, energies: dict[str, float], count: int
) -> dict[str, Any]:
    """Log where energies of elements are from, and return what a record keeps."""
    if not energies:
        return {}
    known = ", ".join(
        f"{e} {energies[e]:.4f}" for e in config.elements if e in energies
    )
    fitted = [element for element in config.elements if element not in energies]
    log.log(
        logging.WARNING if count else logging.INFO,
        "energies of isolated atoms (eV) are fixed: %s%s%s",
        known,
        f", from {counted(count, 'frame')} not trained on" if count else "",
        f"; fitted to the set: {', '.join(fitted)}" if fitted else "",
    )
    return {"isolated_atoms": energies}
