# SPDX-License-Identifier: MIT
"""Elements and regions of OpenMM topologies."""

import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..topology.elements import check_names

if TYPE_CHECKING:
    from openmm import app


def topology_symbols(
    topology: "app.Topology", atoms: Sequence[int] | None = None
) -> tuple[str, ...]:
    """List the chemical symbols of the atoms of an OpenMM topology.

    Parameters
    ----------
    topology : openmm.app.Topology
    atoms : sequence of int, optional
        Indices of atoms, in the order of the result; all by default.

    Raises
    ------
    ValueError
        If there is no atom, one of them has no element (a virtual site), or the element
        was guessed from a name that is another's, as OpenMM takes SOD for sulfur.
    """
    chosen = list(topology.atoms())
    if atoms is not None:
        chosen = [chosen[i] for i in atoms]
    if not chosen:
        raise ValueError("topology: expected at least one atom, found none")
    for atom in chosen:
        if atom.element is None:
            raise ValueError(
                f"topology: expected an element for each atom, found none for atom "
                f"{atom.index} ({atom.name} of {atom.residue.name} {atom.residue.id}); "
                "virtual sites cannot be part of a machine-learned potential"
            )
    check_names((a.name, a.residue.name, a.element.symbol) for a in chosen)
    return tuple(atom.element.symbol for atom in chosen)


def check_atoms(atoms: Iterable[int], count: int) -> list[int]:
    """Return a region's atoms as a list of different indices below ``count``.

    Raises
    ------
    ValueError
    """
    try:
        atoms = list(atoms)
        if any(isinstance(i, bool) for i in atoms):
            raise TypeError("booleans")
        indices = [operator.index(i) for i in atoms]
    except TypeError as error:
        raise ValueError(f"atoms: expected indices of atoms, found {error}") from error
    if not indices:
        # createMixedSystem of OpenMM-ML 1.7 uses up a generator before it gets here
        raise ValueError(
            "atoms: expected a sequence of at least one index, found none (or a "
            "generator, which can be read only once)"
        )
    outside = [i for i in indices if not 0 <= i < count]
    if outside:
        raise ValueError(
            f"atoms: expected indices 0 to {count - 1}, found {outside[0]}"
        )
    repeated = len(indices) - len(set(indices))
    if repeated:
        raise ValueError(f"atoms: expected each index once, found {repeated} repeated")
    return indices
