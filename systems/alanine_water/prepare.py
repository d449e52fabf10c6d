# SPDX-License-Identifier: MIT
"""Make labels for a model of the solute alone from solvated clusters.

In mechanical embedding the model sees the solute without its water, and the force field
adds the forces of the water. Labels for such a model are the teacher's forces on the
solute less the force field's forces of the water on it. No energy goes with them: its
label is 0, to be trained with ``energy_weight = 0``.

    python systems/alanine_water/prepare.py data/train.extxyz data/solute_train.extxyz
"""

import argparse
import copy
import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
import openmm
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import natural_cutoffs, neighbor_list
from openmm import app, unit
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import refuse_existing

from openmm_allegro.units import EV_TO_KJ_PER_MOL

FORCE_FIELD = ("amber14-all.xml", "amber14/tip3pfb.xml")
# Thiolates, some of which took up protons from the water.
SKIP = ("CYX",)


def solute_of(frame, cache):
    """Find the solute of a cluster and the force field's forces on it.

    Parameters
    ----------
    frame : ase.Atoms
        A capped residue among waters.
    cache : dict
        Contexts made so far, by bonds.

    Returns
    -------
    order : list of int
        Atoms of the solute in the frame: ACE, residue, NME.
    water : ndarray [S, 3]
        The force field's forces of the water on them, eV/Å.
    total : ndarray [S, 3]
        All of the force field's forces on them, eV/Å.
    """
    bonds = find_bonds(frame)
    key = (str(frame.symbols), tuple(bonds))
    if key not in cache:
        order, topology = make_topology(frame.get_chemical_symbols(), bonds)
        solute = sum(atom.residue.name != "HOH" for atom in topology.atoms())
        cache[key] = order, solute, *contexts(topology, solute)
    order, solute, *both = cache[key]
    forces = []
    for context in both:
        context.setPositions(frame.positions[order] / 10)
        values = context.getState(forces=True).getForces(asNumpy=True)[:solute]
        kj_per_angstrom = unit.kilojoule_per_mole / unit.angstrom
        forces.append(values.value_in_unit(kj_per_angstrom) / EV_TO_KJ_PER_MOL)
    return order[:solute], *forces


def contexts(topology, solute):
    """Make a Context of the solute-water pairs alone, and one of everything."""
    system = app.ForceField(*FORCE_FIELD).createSystem(topology)
    pairs = copy.deepcopy(system)
    for index in reversed(range(pairs.getNumForces())):
        force = pairs.getForce(index)
        if not isinstance(force, openmm.NonbondedForce):
            pairs.removeForce(index)
            continue
        # pairs of waters do not matter to the solute
        for i in range(solute):
            for j in range(i):
                force.addException(i, j, 0.0, 1.0, 0.0, True)
    platform = openmm.Platform.getPlatformByName("Reference")
    return [
        openmm.Context(s, openmm.VerletIntegrator(0.001), platform)
        for s in (pairs, system)
    ]


def find_bonds(frame):
    """List pairs (i, j), i < j, within 1.3 times the sum of their covalent radii."""
    first, second = neighbor_list("ij", frame, natural_cutoffs(frame, mult=1.3))
    return [(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j]


def make_topology(symbols, bonds):
    """Order the atoms and make a topology: ACE, the residue, NME, then the waters.

    Raises
    ------
    ValueError
        If the bonds are not those of one capped residue in water.
    """
    neighbors = [[] for _ in symbols]
    for i, j in bonds:
        neighbors[i].append(j)
        neighbors[j].append(i)

    def is_amide(i, j):
        carbon, nitrogen = (i, j) if symbols[i] == "C" else (j, i)
        if (symbols[carbon], symbols[nitrogen]) != ("C", "N"):
            return False
        oxygen = [k for k in neighbors[carbon] if symbols[k] == "O"]
        hydrogens = [k for k in neighbors[nitrogen] if symbols[k] == "H"]
        return (
            len(neighbors[carbon]) == 3
            and any(len(neighbors[k]) == 1 for k in oxygen)
            and len(hydrogens) < 2  # else it is the amide of a side chain
        )

    kept = [b for b in bonds if not is_amide(*b)]
    parts = components(len(symbols), kept)
    named = {"ACE": [], "NME": [], "HOH": [], "RES": []}
    for part in parts:
        formula = "".join(sorted(symbols[i] for i in part))
        name = {"CCHHHO": "ACE", "CHHHHN": "NME", "HHO": "HOH"}.get(formula, "RES")
        named[name].append(part)
    counts = {name: len(parts) for name, parts in named.items()}
    if (counts["ACE"], counts["RES"], counts["NME"]) != (1, 1, 1):
        raise ValueError(f"expected one ACE, residue and NME, found {counts}")

    topology, order, atoms = app.Topology(), [], {}
    chain = topology.addChain()
    for name in ("ACE", "RES", "NME", "HOH"):
        for part in named[name]:
            residue = topology.addResidue(name, chain)
            for i in part:
                element = app.Element.getBySymbol(symbols[i])
                atoms[i] = topology.addAtom(symbols[i], element, residue)
                order.append(i)
    for i, j in bonds:
        topology.addBond(atoms[i], atoms[j])
    return order, topology


def components(count, bonds):
    """List the atoms that bonds connect, molecule by molecule."""
    first, second = np.array(bonds).T
    graph = coo_matrix((np.ones(len(bonds)), (first, second)), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == k).tolist() for k in range(number)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clusters", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--force", action="store_true", help="replace the output")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)

    cache, solutes = {}, []
    for frame in ase.io.read(options.clusters, ":"):
        if frame.info["residue"] in SKIP:
            continue
        order, water, _ = solute_of(frame, cache)
        solute = ase.Atoms(frame[order].symbols, frame.positions[order])
        solute.info = {"residue": frame.info["residue"]}
        forces = frame.get_forces()[order] - water
        solute.calc = SinglePointCalculator(solute, energy=0.0, forces=forces)
        solutes.append(solute)
    ase.io.write(options.output, solutes, format="extxyz")
    print(f"{options.output}: {len(solutes)} solutes")


if __name__ == "__main__":
    main()
