# SPDX-License-Identifier: MIT
"""Mobile ions of a solid, and whether a run is one."""

from ..runs.selections import selections
from ..runs.source import Source
from ..runs.species import Kind

# Elements of which ions move in solids, those that are looked for first.
MOBILE = ("Li", "Na", "K", "Ag", "Cu", "Rb", "Cs", "Mg", "Zn", "F")
# Root mean square distance in nm from their places of atoms that are a lattice.
LATTICE = 0.1


def mobile_ions(source: Source) -> dict[str, str]:
    """Choose the mobile ions: the first element of `MOBILE` that has no bonds.

    Raises
    ------
    ValueError
        If there is none beside other atoms.
    """
    kind = _mobile_kind(source)
    if kind is None:
        raise ValueError(
            "expected the mobile ions to be named, as Li, found no single atoms of "
            f"{', '.join(MOBILE)} beside others"
        )
    return selections([kind.element])


def has_lattice(source: Source) -> bool:
    """Tell whether ions move through a lattice: for pages, which nobody asks for it.

    Atoms around them stay at their places, and are no molecules with hydrogen.
    """
    from ..analysis import follow_in_host

    kind = _mobile_kind(source)
    if kind is None or any("H" in _elements(source, other) for other in source.kinds):
        return False
    try:
        paths = follow_in_host(source.frames(), kind.centers)
    except ValueError:
        return False
    return paths.host_spread < LATTICE


def _mobile_kind(source: Source) -> Kind | None:
    """The kind of single atoms that comes first in `MOBILE`, beside other atoms."""
    single = {kind.element: kind for kind in source.kinds if kind.monoatomic}
    if len(source.kinds) < 2:
        return None
    return next((single[name] for name in MOBILE if name in single), None)


def _elements(source: Source, kind: Kind) -> set[str]:
    return {source.topology.atom(i).element.symbol for i in kind.molecules[0]}
