# SPDX-License-Identifier: MIT
"""Elements of a file's atoms: stated, given or known by the table, never guessed."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..utils.settings import check_settings, setting
from .names import SITE, SYMBOLS, is_drude, is_symbol, known_element, symbol_of

ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, 1)}
# Å, by atomic number from hydrogen to curium: B. Cordero et al., doi:10.1039/b801115j,
# with carbon of sp3 and manganese, iron and cobalt of low spin.
_CORDERO = (
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11,
    1.07, 1.05, 1.02, 1.06, 2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24,
    1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16, 2.20, 1.95, 1.90, 1.75, 1.64, 1.54,
    1.47, 1.46, 1.42, 1.39, 1.45, 1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.40, 2.44, 2.15,
    2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96, 1.94, 1.92, 1.92, 1.89, 1.90, 1.87,
    1.87, 1.75, 1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32, 1.45, 1.46, 1.48, 1.40,
    1.50, 1.50, 2.60, 2.21, 2.15, 2.06, 2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
)  # fmt: skip
# Of all elements; the first is of what has no element, and the last ones, which nobody
# has measured, are large.
COVALENT_RADII = (0.2, *_CORDERO, *[2.0] * (len(SYMBOLS) - len(_CORDERO)))
# Names that a message lists at most.
_LISTED = 8


class NamesUnclear(ValueError):
    """Names of atoms from which an element would be a guess."""


@dataclass(frozen=True)
class Naming:
    """Meaning of the names in a topology file."""

    elements: dict[str, str] = setting(
        {},
        about="Elements of atoms that the topology file does not tell: SOD=Na, or "
        "LIG:C1=C for a residue, or C*=C for all such names; EP for a virtual site",
        metavar="NAME=El",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_given(self.elements)


def covalent_radii(symbols: Sequence[str]) -> list[float]:
    """Look up the covalent radius of each element, Å."""
    return [COVALENT_RADII[ATOMIC_NUMBERS[symbol]] for symbol in symbols]


def check_given(given: Mapping[str, str]) -> None:
    """Refuse elements that are none.

    Raises
    ------
    ValueError
    """
    for name, symbol in given.items():
        if symbol != SITE and not is_symbol(symbol):
            hint = symbol_of(symbol) or "Na, or EP for a virtual site"
            raise ValueError(
                f"elements: expected the symbol of an element for {name}, such as "
                f"{hint}, found {symbol!r}"
            )


def find_elements(
    names: Sequence[str],
    residues: Sequence[str],
    residue_of: Sequence[int],
    stated: Sequence[str | None],
    given: Mapping[str, str],
    where: str,
    own: bool = False,
) -> list[str]:
    """Find the element of each atom, or ask.

    What the user gives comes first, then what the file states, then the table.

    Parameters
    ----------
    names : sequence of str
        Of the N atoms.
    residues : sequence of str
        Names of the residues.
    residue_of : sequence of int
        Index of each atom's residue.
    stated : sequence of str or None
        Symbol that the file states for each atom, `SITE`, or None where it is silent.
    given : mapping of str to str
        Elements by name, as `Naming` has them.
    where : str
        The file, for messages.
    own : bool
        Whether a run of this package wrote the file; then what it states is true.

    Returns
    -------
    list of str
        Symbols, or `SITE`.

    Raises
    ------
    NamesUnclear
        If an element can only be guessed, the file contradicts the table, or a name
        that is given fits no atom.
    """
    check_given(given)
    size = Counter(residue_of)
    kinds: dict[tuple[str, str, bool, str | None], str | None] = {}
    unknown: Counter[tuple[str, str]] = Counter()
    wrong: dict[tuple[str, str], tuple[str, str]] = {}
    members = _members(names, residue_of) if "D" in {n[:1] for n in names} else {}
    used: set[str] = set()
    elements = []
    for name, place, statement in zip(names, residue_of, stated, strict=True):
        key = name, residues[place], size[place] == 1, statement
        if key not in kinds:
            kinds[key] = _element(*key, given, used, wrong, own)
        symbol = kinds[key]
        if symbol is None and is_drude(name, members.get(place, ())):
            symbol = SITE
        if symbol is None:
            unknown[key[1], name] += 1
        elements.append(symbol or SITE)
    idle = [name for name in given if name not in used]
    if idle:
        raise NamesUnclear(
            f"{where}: expected elements for names of atoms that are there, found "
            f"{', '.join(idle)}; there are {_listed(sorted(set(names)))}"
        )
    _refuse_contradictions(wrong, where)
    _refuse_guesses(unknown, where)
    return elements


def contradiction(name: str, residue: str, monatomic: bool, symbol: str) -> str | None:
    """Find the element by the table where an atom is said to be another one."""
    known = known_element(name, residue, monatomic)
    alike = known in (None, symbol) or (known, symbol) == ("H", "D")
    return None if alike else known


def check_names(atoms: Iterable[tuple[str, str, str]]) -> None:
    """Refuse elements of a topology that were guessed from the first letters of names.

    Parameters
    ----------
    atoms : iterable of (str, str, str)
        Name, residue's name and symbol of each.

    Raises
    ------
    NamesUnclear
    """
    for name, residue, symbol in set(atoms):
        known = contradiction(name, residue, False, symbol)
        if known is not None and name.upper().startswith(symbol.upper()):
            raise NamesUnclear(
                f"topology: expected {known} for atoms {name} of {residue}, found "
                f"{symbol}, which readers such as openmm.app.PDBFile guess from the "
                "name; read the file with simulate.read_coordinates, or set "
                "atom.element (and a name that fits, if it is right as it is)"
            )


def given_element(
    name: str, residue: str, given: Mapping[str, str]
) -> tuple[str, str] | None:
    """Find the key and the element that fit an atom; the most specific key wins."""
    for key in (f"{residue}:{name}", name):
        if key in given:
            return key, given[key]
    fit = [
        key
        for key in given
        if "*" in key
        and fnmatchcase(f"{residue}:{name}" if ":" in key else name, _escaped(key))
    ]
    best = max(fit, key=len, default=None)
    return None if best is None else (best, given[best])


def _escaped(key: str) -> str:
    """Leave the star its meaning alone."""
    return key.replace("[", "[[]").replace("?", "[?]")


def _members(names: Sequence[str], residue_of: Sequence[int]) -> dict[int, set[str]]:
    members: dict[int, set[str]] = {}
    for name, place in zip(names, residue_of, strict=True):
        members.setdefault(place, set()).add(name)
    return members


def _element(name, residue, monatomic, stated, given, used, wrong, own) -> str | None:
    """Decide for all atoms of one name, residue and statement."""
    fit = [key for key in given if given_element(name, residue, {key: given[key]})]
    used.update(fit)
    if fit:
        return given_element(name, residue, given)[1]
    if stated is None:
        return known_element(name, residue, monatomic)
    known = contradiction(name, residue, monatomic, stated)
    if known is not None and not own:
        wrong[residue, name] = stated, known
    return stated


def _refuse_contradictions(
    wrong: Mapping[tuple[str, str], tuple[str, str]], where: str
) -> None:
    if not wrong:
        return
    texts = [
        f"{stated} for {name} in {residue} ({known} by its name)"
        for (residue, name), (stated, known) in wrong.items()
    ]
    example = ",".join(
        f"{residue}:{name}={known}" for (residue, name), (_, known) in wrong.items()
    )
    raise NamesUnclear(
        f"{where}: expected elements that fit the names of atoms, found "
        f"{_listed(texts)}; mend the file, or say which is right: elements "
        f"(--elements '{example}')"
    )


def _refuse_guesses(unknown: Mapping[tuple[str, str], int], where: str) -> None:
    if not unknown:
        return
    texts = [f"{name} in {residue}" for residue, name in unknown]
    keys = list(dict.fromkeys(name for _, name in unknown))
    if len(keys) > _LISTED:  # all names that begin with the same letters
        starts = (re.match(r"\d*([A-Za-z]*)", name) for name in keys)
        keys = list(dict.fromkeys(f"{m[1]}*" for m in starts if m and m[1])) or keys
    example = ",".join(f"{key}=..." for key in keys[:_LISTED])
    count = sum(unknown.values())
    raise NamesUnclear(
        f"{where}: expected an element for each atom, found names alone for "
        f"{count:,} of them ({_listed(texts)}), from which it would be a guess; say "
        f"what they are: elements (--elements '{example}'), use a PDB file with "
        "elements in columns 77-78, or name a run by its prefix"
    )


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _LISTED
    return ", ".join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")
