# SPDX-License-Identifier: MIT
"""Pairs and species that are measured where nothing is named."""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np

from ..runs.centers import select_atoms
from ..runs.selections import selected_of_center
from ..runs.source import Series, Source
from ..runs.species import Kind, find_sites

TOTAL = "total"
# Pairs of a mixture of molecules and ions.
_MOST = 12
# Pairs of ions and of atoms in molecules that are told apart by what they are there.
_MOST_SITES = 8
# Of fewer like molecules or ions g(r) among them is noise.
_LIKE = 4


class Pair(NamedTuple):
    """Centres and neighbours of a g(r).

    Attributes
    ----------
    a, b : arrays of int, or str
        Atoms or selections.
    names : (str, str)
        Names of both, as elements.
    solvation : bool
        Whether it is an ion and an atom of a molecule.
    """

    a: Any
    b: Any
    names: tuple[str, str]
    solvation: bool = False

    @property
    def like(self) -> bool:
        """True if centres and neighbours are the same atoms."""
        return np.array_equal(self.a, self.b)


def default_pairs(source: Source) -> dict[str, Pair]:
    """Choose the pairs that matter.

    Of ions and molecules: each ion and the atoms of molecules around it, told apart by
    molecule and bonds (``Li-EMC, carbonyl O``) where an element is several things and
    there are not too many, and the centres of molecules and ions among each other. Of
    atoms without bonds: all pairs of elements, and the total.

    Raises
    ------
    ValueError
        If there is a single molecule.
    """
    ions = [kind for kind in source.kinds if kind.monoatomic]
    molecules = [kind for kind in source.kinds if not kind.monoatomic]
    if not molecules:
        return all_element_pairs(source)
    symbols = np.array([atom.element.symbol for atom in source.topology.atoms])
    bound = np.concatenate([atoms for kind in molecules for atoms in kind.molecules])
    elements = sorted(set(symbols[bound].tolist()) - {"H", "VS"})
    # Ions hold on to what is electronegative; carbon only where there is no other.
    elements = [element for element in elements if element != "C"] or elements
    around = {x: bound[symbols[bound] == x] for x in elements}
    sites = find_sites(source.topology, molecules, elements) if ions else {}
    if len(ions) * len(sites) <= _MOST_SITES:
        around = _named_sites(sites)
    pairs = [
        Pair(ion.centers, atoms, (ion.name, name), True)
        for ion in sorted(ions, key=lambda kind: len(kind.molecules))
        for name, atoms in around.items()
    ]
    for first, second in combinations_with_replacement(ions + molecules, 2):
        if first.name == second.name and len(first.molecules) < _LIKE:
            continue
        if first.monoatomic and not second.monoatomic:
            continue  # an ion and a molecule: above
        names = _short_name(first), _short_name(second)
        pairs.append(Pair(first.centers, second.centers, names))
    if not pairs:
        raise ValueError("expected at least two molecules or ions, found one")
    return {"-".join(pair.names): pair for pair in pairs[:_MOST]}


def _named_sites(sites: Mapping[tuple[str, str, str], Any]) -> dict[str, Any]:
    """Name sites by their element where that is one site, else by what they are."""
    elements = [element for element, _, _ in sites]
    return {
        element if elements.count(element) == 1 else f"{molecule}, {site}": atoms
        for (element, molecule, site), atoms in sites.items()
    }


def unlike_pairs(source: Source) -> dict[str, Pair]:
    """Choose the pairs that matter, without those of like centres."""
    return {k: pair for k, pair in default_pairs(source).items() if not pair.like}


def all_element_pairs(source: Source) -> dict[str, Pair]:
    """Choose all pairs of elements, and the total."""
    from ..analysis import element_pairs

    pairs = element_pairs(source)
    return {
        label: Pair(a, b, (a.removeprefix("element "), b.removeprefix("element ")))
        for label, (a, b) in pairs.items()
    }


def default_species(source: Source) -> dict[str, np.ndarray]:
    """Choose the centre of each molecule and ion, by the name of its kind."""
    return {kind.label: kind.centers for kind in source.kinds}


def with_centers(source: Source, subjects: Any) -> tuple[Source, Any]:
    """Put the centres of mass that are named beside the atoms, and select by numbers.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to selection or tuple of selections
        Where none is ``"com:EMC"`` or ``"com of ..."``, nothing changes.

    Returns
    -------
    source : Source
    subjects : mapping of str to array or tuple of arrays
        A pair of selections is a Pair.
    """
    texts = centers_in(subjects)
    if not texts or not isinstance(subjects, Mapping):
        return source, subjects
    source = source.with_centers(texts)

    def numbers(selection):
        if isinstance(selection, str) and selection in source.centers.points:
            return source.centers.points[selection]
        return select_atoms(source.topology, selection)

    def located(subject):
        if not isinstance(subject, tuple):
            return numbers(subject)
        found = tuple(map(numbers, subject))
        return Pair(*found, names_of(subject)) if len(found) == 2 else found

    return source, {label: located(subject) for label, subject in subjects.items()}


def centers_in(subjects: Any) -> list[str]:
    """List the selections of centres of mass among subjects or words."""
    if isinstance(subjects, Mapping):
        subjects = list(subjects.values())
    if not isinstance(subjects, list):
        return []
    parts = [part for x in subjects for part in (x if isinstance(x, tuple) else [x])]
    return [part for part in parts if selected_of_center(part) is not None]


def names_of(pair: Any) -> tuple[str, str]:
    """Name the two selections of a pair, as elements where they are elements."""
    if isinstance(pair, Pair):
        return pair.names
    return tuple(text.removeprefix("element ") for text in pair)


def in_each_series(
    source: Source, subjects: Mapping[str, Any], positions: int | None = None
) -> dict[str, tuple[Series, Any]]:
    """List each subject in each series of frames, by a label that names both."""
    return {
        name + series.suffix: (series, subject)
        for series in source.series(positions)
        for name, subject in subjects.items()
    }


def _short_name(kind: Kind) -> str:
    """Name a kind by the element of its centre where that says it all."""
    if kind.monoatomic or kind.name == "water":
        return kind.element
    return kind.label
