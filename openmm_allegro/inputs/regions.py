# SPDX-License-Identifier: MIT
"""Atoms of an OpenMM topology that a selection names, in mdtraj's words."""

import re
from collections import Counter

from openmm import app

from ..utils.extras import naming_extras


def select_region(topology: app.Topology, text: str, name: str = "region") -> list[int]:
    """Select atoms by mdtraj's words, or by the symbol of an element.

    Parameters
    ----------
    topology : openmm.app.Topology
    text : str
        As ``resname ALA``, ``index 0 to 21`` or ``Na``.
    name : str
        Of the setting, for messages.

    Returns
    -------
    list of int
        Indices of atoms, in ascending order.

    Raises
    ------
    ValueError
        If the words are none of mdtraj's, or no atom is selected.
    """
    with naming_extras():
        import mdtraj

    words = f"element {text}" if re.fullmatch("[A-Z][a-z]?", text) else text
    try:
        chosen = mdtraj.Topology.from_openmm(topology).select(words)
    except Exception as error:  # mdtraj's parser raises many kinds
        raise ValueError(
            f"{name}: expected a selection in mdtraj's words, such as 'resname ALA' or "
            f"'index 0 to 21', found {text!r} ({type(error).__name__})"
        ) from error
    if not len(chosen):
        names = Counter(residue.name for residue in topology.residues())
        there = ", ".join(f"{n} {count}" for n, count in names.most_common(8))
        raise ValueError(
            f"{name}: expected at least one atom, found none by {text!r}; residues of "
            f"the topology are {there}"
        )
    return [int(index) for index in chosen]
