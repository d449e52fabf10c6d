# SPDX-License-Identifier: MIT
"""Settings of variables, restraints and biases, declared once.

Importing them loads neither torch nor OpenMM.
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..units import NM_TO_ANGSTROM
from ..utils.config import brief
from ..utils.settings import check_settings, documented, setting

# Points of each kind of variable, or groups of atoms; of rmsd any number of atoms.
POINTS = {"distance": 2, "angle": 3, "dihedral": 4, "coordination": 2, "rmsd": 1}


class Unit(NamedTuple):
    """Unit that the user has a variable in."""

    name: str  # in text
    column: str  # at the end of a column's name
    factor: float  # how many of it OpenMM's unit is


_ANGSTROM = Unit("Å", "_angstrom", NM_TO_ANGSTROM)
_DEGREE = Unit("°", "_deg", 57.29577951308232)
UNITS = {
    "distance": _ANGSTROM,
    "rmsd": _ANGSTROM,
    "angle": _DEGREE,
    "dihedral": _DEGREE,
    "coordination": Unit("", "", 1.0),
}


@documented
@dataclass(frozen=True)
class Variable:
    """A collective variable; field for field a ``[[variables]]`` table of a TOML.

    Its unit is Å for distances and RMSD, degrees for angles and dihedrals, and none for
    coordination numbers.

    Raises
    ------
    ValueError
        If a value is out of range, atoms are named in no way or in several, an atom is
        there twice, or the number of points is not that of the kind.
    """

    name: str = setting(
        about="Name: a letter, then letters, digits and _; part of columns' names"
    )
    kind: str = setting(
        about="Distance of two points, angle of three, dihedral of four (IUPAC's), "
        "coordination number of two groups, or RMSD of atoms after the best rotation",
        choices=tuple(POINTS),
    )
    atoms: tuple[int, ...] = setting(
        (),
        about="Indices of atoms, from 0 on: of the points in order, or those of the "
        "rmsd",
        minimum=0,
    )
    groups: tuple[tuple[int, ...], ...] = setting(
        (),
        about="Indices of the atoms of each point, whose centre of mass it is, or of "
        "both groups of a coordination number",
    )
    selections: tuple[str, ...] = setting(
        (), about="The same groups as selections in mdtraj's words: name NA, water"
    )
    r0_angstrom: float | None = setting(
        None,
        about="Distance at which a pair counts a half in a coordination number",
        unit="Å",
        above=0.0,
        maximum=1e4,
    )
    exponent: int = setting(
        6,
        about="Exponent n of a pair's part 1/(1 + (r/r0)^n) in a coordination number",
        minimum=2,
        maximum=100,
    )
    reference: str = setting(
        "",
        about="PDB or PDBx/mmCIF file of the same atoms that an rmsd is taken from; by "
        "default the positions that the run or the protocol is given",
    )

    def __post_init__(self) -> None:
        name = brief(self.name)
        if not isinstance(self.name, str) or not re.fullmatch(
            "[A-Za-z][A-Za-z0-9_]{0,39}", self.name
        ):
            raise ValueError(
                "variable: expected a name of 1 to 40 letters, digits and _, a letter "
                f"first, found {name}"
            )
        where = f"variable {self.name}"
        check_settings(self, where, bits=31)
        try:
            self._check()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    @property
    def unit(self) -> Unit:
        """Unit of settings and files."""
        return UNITS[self.kind]

    @property
    def column(self) -> str:
        """Name in the header of tables, with the unit."""
        return self.name + self.unit.column

    @property
    def is_periodic(self) -> bool:
        """True for dihedrals, whose ends -180° and 180° are one."""
        return self.kind == "dihedral"

    @property
    def points(self) -> tuple[tuple[int, ...], ...]:
        """Groups of atoms that are given by indices; empty where by selections."""
        if self.groups or not self.atoms:
            return self.groups
        if self.kind == "rmsd":
            return (self.atoms,)
        return tuple((atom,) for atom in self.atoms)

    def _check(self) -> None:
        ways = [n for n in ("atoms", "groups", "selections") if getattr(self, n)]
        if len(ways) != 1:
            found = " and ".join(ways) or "none of them"
            raise ValueError(f"expected atoms, groups or selections, found {found}")
        count, expected = len(self.points or self.selections), POINTS[self.kind]
        if count != expected:
            raise ValueError(
                f"expected {expected} points for kind {self.kind!r}, found {count} in "
                f"{ways[0]}"
            )
        check_groups(self.points)
        if self.kind != "coordination" and (self.r0_angstrom or self.exponent != 6):
            raise ValueError(
                "expected r0_angstrom and exponent for kind 'coordination' alone, "
                f"found them for {self.kind!r}"
            )
        if self.kind == "coordination" and self.r0_angstrom is None:
            raise ValueError("expected r0_angstrom for kind 'coordination', found none")
        if self.reference and self.kind != "rmsd":
            raise ValueError(
                f"expected reference for kind 'rmsd' alone, found it for {self.kind!r}"
            )


def check_groups(groups: tuple[tuple[int, ...], ...]) -> None:
    """Refuse groups that are empty or share atoms, and indices below 0.

    Raises
    ------
    ValueError
    """
    seen: set[int] = set()
    for number, group in enumerate(groups, start=1):
        if not group:
            raise ValueError(f"expected atoms in group {number}, found none")
        for atom in group:
            if atom < 0:
                raise ValueError(f"expected indices of atoms from 0 on, found {atom}")
            if atom in seen:
                raise ValueError(f"expected each atom once, found atom {atom} twice")
            seen.add(atom)


@documented
@dataclass(frozen=True)
class Restraint:
    """A harmonic restraint of a variable s; a ``[[restraints]]`` table of a TOML.

    U = k/2 max(0, d - w)², where d = \\|s - center\\| is, for a dihedral, that of the
    nearest image, and w is ``flat``.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    variable: str = setting(about="Name of the variable")
    center: float = setting(
        about="Value of least energy, in the variable's unit: Å or degrees",
        minimum=-1e6,
        maximum=1e6,
    )
    force_constant: float = setting(
        about="Constant k, in kJ/mol/Å² for distances and RMSD, kJ/mol/rad² for angles "
        "and dihedrals, kJ/mol for coordination numbers",
        above=0.0,
        maximum=1e9,
    )
    flat: float = setting(
        0.0,
        about="Largest distance from the centre without energy, in the variable's unit",
        minimum=0.0,
        maximum=1e6,
    )
    side: str = setting(
        "both",
        about="Side of the centre that has energy: a wall above or below it, or both",
        choices=("both", "above", "below"),
    )
    stages: tuple[str, ...] = setting(
        (), about="Names of the stages of a protocol that it acts in; all by default"
    )

    def __post_init__(self) -> None:
        check_settings(self, f"restraint of {brief(self.variable)}")


@dataclass(frozen=True, kw_only=True)
class _OnGrid:
    """Settings of a bias that is tabulated over its variables."""

    variables: tuple[str, ...] = setting(about="Names of one, two or three variables")
    pace: int = setting(about="Steps between hills or kernels", minimum=1)
    lower: tuple[float, ...] = setting(
        (),
        about="Lower end of the grid for each variable, in its unit; dihedrals -180",
    )
    upper: tuple[float, ...] = setting(
        (), about="Upper end of the grid for each variable; 180 for dihedrals"
    )
    grid: tuple[int, ...] = setting(
        (),
        about="Points of the grid along each variable, both ends included; five a "
        "width if not given",
        minimum=3,
        maximum=100_000,
    )


@documented
@dataclass(frozen=True, kw_only=True)
class Metadynamics(_OnGrid):
    """Well-tempered metadynamics; a ``[bias]`` table with ``kind = "metadynamics"``.

    Every ``pace`` steps a Gaussian hill is added where the variables are, of height
    h exp(-V / (kT (γ - 1))) with the bias V there (Barducci, Bussi and Parrinello,
    doi:10.1103/PhysRevLett.100.020603).

    Raises
    ------
    ValueError
        If a value is out of range, or lists are of different lengths.
    """

    kind: ClassVar[str] = "metadynamics"
    widths: tuple[float, ...] = setting(
        (), about="Standard deviation of the hills for each variable", above=0.0
    )
    height_kj_mol: float = setting(
        1.0, about="Height of the first hill", unit="kJ/mol", above=0.0, maximum=1e4
    )
    bias_factor: float = setting(
        10.0,
        about="Bias factor γ: the temperature that the variables come to see is γ T",
        above=1.0,
        maximum=1e6,
    )

    def __post_init__(self) -> None:
        _check_grid(self)
        if len(self.widths) != len(self.variables):
            raise ValueError(
                f"bias: expected a width for each of {len(self.variables)} variables, "
                f"found {len(self.widths)}"
            )


@documented
@dataclass(frozen=True, kw_only=True)
class Opes(_OnGrid):
    """On-the-fly probability enhanced sampling; ``[bias]`` with ``kind = "opes"``.

    The bias V = (1 - 1/γ) kT ln(P/Z + ε), ε = exp(-ΔE / (kT (1 - 1/γ))), follows an
    estimate P of the probability by compressed kernels (Invernizzi and Parrinello,
    doi:10.1021/acs.jpclett.0c00497). With ``explore`` P is that of the biased run, and
    γ - 1 in the place of 1 - 1/γ (doi:10.1021/acs.jctc.2c00152). It needs the package
    openmm-opes.

    Raises
    ------
    ValueError
        If a value is out of range, or lists are of different lengths.
    """

    kind: ClassVar[str] = "opes"
    barrier_kj_mol: float = setting(
        about="Free-energy barrier ΔE to be crossed, above kT",
        unit="kJ/mol",
        above=0.0,
        maximum=1e5,
    )
    bias_factor: float | None = setting(
        None,
        about="Bias factor γ; ΔE/kT if not given",
        above=1.0,
        maximum=1e6,
    )
    widths: tuple[float, ...] = setting(
        (),
        about="Standard deviation of each variable within a basin, without bias; "
        "measured as the run goes on if not given",
        above=0.0,
    )
    explore: bool = setting(
        False,
        about="Flatten what is sampled rather than the estimate: leaves basins "
        "sooner, converges later",
    )

    def __post_init__(self) -> None:
        _check_grid(self)
        if self.widths and len(self.widths) != len(self.variables):
            raise ValueError(
                f"bias: expected a width for each of {len(self.variables)} variables, "
                f"or none, found {len(self.widths)}"
            )


@documented
@dataclass(frozen=True)
class Plumed:
    """A PLUMED input file; ``[bias]`` with ``kind = "plumed"``.

    It needs the package openmm-plumed (doi:10.1016/j.cpc.2013.09.018). Such a run
    cannot be resumed, since PLUMED's files are its own.

    Raises
    ------
    ValueError
        If a value is of another type.
    """

    kind: ClassVar[str] = "plumed"
    file: str = setting(about="PLUMED input file, in PLUMED's units")

    def __post_init__(self) -> None:
        check_settings(self, "bias")

    variables: ClassVar[tuple[str, ...]] = ()


Bias = Metadynamics | Opes | Plumed
KINDS: dict[str, type] = {cls.kind: cls for cls in (Metadynamics, Opes, Plumed)}


def _check_grid(bias: Any) -> None:
    """Refuse no or too many variables, and ends in the wrong order."""
    check_settings(bias, "bias", bits=31)
    count = len(bias.variables)
    if not 1 <= count <= 3 or len(set(bias.variables)) < count:
        raise ValueError(
            "bias: expected one, two or three different variables, found "
            f"{list(bias.variables)}"
        )
    for name in ("lower", "upper", "grid"):
        values = getattr(bias, name)
        if values and len(values) != count:
            raise ValueError(
                f"bias: expected {name} for each of {count} variables, found "
                f"{len(values)}"
            )
    if bool(bias.lower) != bool(bias.upper):
        raise ValueError("bias: expected lower and upper, found one of them alone")
    for name, low, high in zip(bias.variables, bias.lower, bias.upper, strict=False):
        if not low < high:
            raise ValueError(
                f"bias: expected lower below upper for variable {name}, found {low:g} "
                f"and {high:g}"
            )
