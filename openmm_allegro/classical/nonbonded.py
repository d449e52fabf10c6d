# SPDX-License-Identifier: MIT
"""Small classical Systems that a local model corrects."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import openmm
from openmm import app

from ..structure import topology_symbols
from .bonds import bond_markers
from .dispersion import d3_force


def nonbonded_system(
    topology: app.Topology,
    charges: Mapping[str, float],
    lj: Mapping[str, tuple[float, float]] | None = None,
    *,
    cutoff: float = 1.0,
    lj_pme: bool = False,
    tolerance: float = 1e-4,
    coulomb14: float = 0.0,
    lj14: float = 0.0,
    d3: str | None = None,
) -> openmm.System:
    """Make a System of fixed charges, Lennard-Jones cores and, if wanted, D3.

    With a box, charges are summed by PME. Atoms one or two bonds of the topology apart
    have no Coulomb or Lennard-Jones interaction. Other forces can be added.

    Parameters
    ----------
    topology : openmm.app.Topology
    charges : mapping of str to float
        e, by ``"RES:NAME"`` of an atom or, for those without one, by element.
    lj : mapping of str to (float, float), optional
        σ (nm) and ε (kJ/mol), likewise; atoms without an entry have none.
    cutoff : float
        nm, of the direct sum; ignored without a box.
    lj_pme : bool
        Whether PME also sums the attraction beyond the cutoff; otherwise it ends
        there, without a correction.
    tolerance : float
        Ewald error tolerance of PME.
    coulomb14, lj14 : float
        Factors of the interactions of atoms three bonds apart.
    d3 : str, optional
        Density functional, such as "pbe", whose D3 correction is added between all
        atoms: ``d3_force`` with its defaults for damping, cutoff and three-body term.

    Returns
    -------
    openmm.System
        With the elements' masses and the topology's box and bonds (without strength, so
        that barostats move molecules).

    Raises
    ------
    ValueError
        If an atom has no element or no charge, a key fits no atom, a charge is not
        finite, σ or the cutoff is not above 0, ε is below 0, the charges do not add up
        to zero in a box, or D3 has no parameters for the functional.
    ImportError
        If ``d3`` is given and the package ``dftd3`` is missing.

    Examples
    --------
    >>> system = nonbonded_system(
    ...     topology, {"O": -0.83, "H": 0.415}, d3="pbe"
    ... )  # doctest: +SKIP
    >>> rest = subtract_baseline(structures, system)  # doctest: +SKIP
    """
    atoms = list(topology.atoms())
    symbols = topology_symbols(topology)
    atom_charges = _by_atom(atoms, charges, "charges")
    atom_cores = _by_atom(atoms, lj or {}, "lj")
    box = topology.getPeriodicBoxVectors()
    _check_charges(atoms, atom_charges, box is not None)
    system = openmm.System()
    force = openmm.NonbondedForce()
    for atom, charge, core in zip(atoms, atom_charges, atom_cores, strict=True):
        system.addParticle(atom.element.mass)
        force.addParticle(charge, *(core or (0.1, 0.0)))
        _check_particle(force, atom)
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
        force.setNonbondedMethod(force.LJPME if lj_pme else force.PME)
        force.setCutoffDistance(cutoff)
        if not force.getCutoffDistance()._value > 0:
            raise ValueError(f"expected a cutoff above 0 nm, found {cutoff}")
        force.setEwaldErrorTolerance(tolerance)
    force.setUseDispersionCorrection(False)
    bonds = [(b.atom1.index, b.atom2.index) for b in topology.bonds()]
    force.createExceptionsFromBonds(bonds, coulomb14, lj14)
    system.addForce(force)
    system.addForce(bond_markers(topology, box is not None))
    if d3 is not None:
        system.addForce(d3_force(symbols, d3, periodic=box is not None))
    return system


def _check_charges(
    atoms: Sequence[app.topology.Atom],
    charges: Sequence[float | None],
    periodic: bool,
) -> None:
    for atom, charge in zip(atoms, charges, strict=True):
        if charge is None:
            raise ValueError(
                f"charges: expected one for each atom, found none for {_name(atom)} "
                f"({atom.element.symbol})"
            )
    total = sum(charges)
    if periodic and abs(total) > 1e-6 * max(len(atoms), 1):
        raise ValueError(
            f"charges: expected a sum of zero in a periodic box, found {total:g} e"
        )


def _check_particle(force: openmm.NonbondedForce, atom: app.topology.Atom) -> None:
    parameters = force.getParticleParameters(force.getNumParticles() - 1)
    charge, sigma, epsilon = (p._value for p in parameters)
    if not math.isfinite(charge):
        raise ValueError(f"charges: expected numbers, found {charge} of {_name(atom)}")
    if not (0 < sigma < math.inf and 0 <= epsilon < math.inf):
        raise ValueError(
            f"lj: expected σ > 0 nm and ε ≥ 0 kJ/mol, found {sigma:g} and {epsilon:g} "
            f"of {_name(atom)}"
        )


def _by_atom(
    atoms: Sequence[app.topology.Atom], table: Mapping[str, Any], argument: str
) -> list:
    """Look up the entry of each atom, None where it has none."""
    used, entries = set(), []
    for atom in atoms:
        keys = [key for key in (_name(atom), atom.element.symbol) if key in table]
        used.update(keys)
        entries.append(table[keys[0]] if keys else None)
    unused = sorted(set(table) - used)
    if unused:
        raise ValueError(
            f"{argument}: expected keys RESIDUE:NAME or elements of the topology's "
            f"atoms, found {', '.join(unused)}"
        )
    return entries


def _name(atom: app.topology.Atom) -> str:
    return f"{atom.residue.name}:{atom.name}"
