# SPDX-License-Identifier: MIT
"""Atoms of an OpenMM topology that a selection names, in mdtraj's words."""

import re
from collections import Counter
from collections.abc import Sequence

from openmm import app

from ..topology.selected_names import warn_of_unknown_residues
from ..utils.extras import naming_extras
from ..utils.reasons import reason_of


def select_atoms(
    topology: app.Topology, texts: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Select groups of atoms by mdtraj's words, or by the symbol of an element.

    Warns (UserWarning) of names of residues in the words that no residue has.

    Parameters
    ----------
    topology : openmm.app.Topology
    texts : sequence of str
        As ``resname ALA``, ``index 0 to 21`` or ``Na``.

    Returns
    -------
    tuple of tuple of int
        Indices of the atoms of each, in ascending order.

    Raises
    ------
    ValueError
        If words are none of mdtraj's, or one selects no atom.
    """
    with naming_extras():
        import mdtraj

    atoms, groups = mdtraj.Topology.from_openmm(topology), []
    for text in texts:
        words = f"element {text}" if re.fullmatch("[A-Z][a-z]?", text) else text
        try:
            group = tuple(int(index) for index in atoms.select(words))
        except Exception as error:  # whatever its parser raises
            raise ValueError(
                f"expected a selection in mdtraj's words, found {text!r} "
                f"({reason_of(error)}); it is such as 'resname ALA' or 'index 0 to 21'"
            ) from error
        if not group:
            names = Counter(residue.name for residue in topology.residues())
            there = ", ".join(f"{name} {n}" for name, n in names.most_common(8))
            raise ValueError(
                f"expected atoms of the selection {text!r}, found none; residues of "
                f"the topology are {there}"
            )
        warn_of_unknown_residues(text, (r.name for r in topology.residues()))
        groups.append(group)
    return tuple(groups)
