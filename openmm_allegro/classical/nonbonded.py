# SPDX-License-Identifier: MIT
"""Small classical Systems for a local model to be learned around."""

import math
from collections.abc import Mapping
from typing import Any

import openmm
from openmm import app

from ..structure import topology_symbols
from .bonds import bond_markers


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
) -> openmm.System:
    """Fixed charges, with PME where there is a box, and Lennard-Jones cores.

    Atoms one or two bonds of the topology apart do not interact. More forces, such as
    bonds or ``d3_force``, can be added to the System.

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
        Whether attraction beyond the cutoff is summed by PME as well; else it ends
        there, without a correction.
    tolerance : float
        Of PME.
    coulomb14, lj14 : float
        Factors of the interactions of atoms three bonds apart.

    Returns
    -------
    openmm.System
        With the elements' masses and the topology's box and bonds (without strength, so
        that barostats move molecules).

    Raises
    ------
    ValueError
        If an atom has no element or no charge, a key fits no atom, a charge is not
        finite, σ or the cutoff is not above 0, ε is below, or the charges do not add up
        to zero in a box.
    """
    atoms = list(topology.atoms())
    topology_symbols(topology)
    charge_of = _by_atom(atoms, charges, "charges")
    lj_of = _by_atom(atoms, lj or {}, "lj")
    missing = next(
        (a for a, q in zip(atoms, charge_of, strict=True) if q is None), None
    )
    if missing is not None:
        raise ValueError(
            f"charges: expected one for each atom, found none for {_name(missing)} "
            f"({missing.element.symbol})"
        )
    box = topology.getPeriodicBoxVectors()
    total = sum(charge_of)
    if box is not None and abs(total) > 1e-6 * max(len(atoms), 1):
        raise ValueError(
            f"charges: expected a sum of zero in a periodic box, found {total:g} e"
        )
    system = openmm.System()
    force = openmm.NonbondedForce()
    for atom, charge, core in zip(atoms, charge_of, lj_of, strict=True):
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
    return system


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
    atoms: list[app.topology.Atom], table: Mapping[str, Any], what: str
) -> list:
    """The entry of each atom, None where it has none."""
    used, found = set(), []
    for atom in atoms:
        keys = [key for key in (_name(atom), atom.element.symbol) if key in table]
        used.update(keys)
        found.append(table[keys[0]] if keys else None)
    unused = sorted(set(table) - used)
    if unused:
        raise ValueError(
            f"{what}: expected keys RESIDUE:NAME or elements of the topology's atoms, "
            f"found {', '.join(unused)}"
        )
    return found


def _name(atom: app.topology.Atom) -> str:
    return f"{atom.residue.name}:{atom.name}"
