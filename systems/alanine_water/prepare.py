# SPDX-License-Identifier: MIT
"""From solvated clusters to labels for a model of the solute alone.

In mechanical embedding the model sees the solute without its water, and the force field
adds what the water does to it. Labels that fit this are the teacher's forces on the
solute less the force field's forces of the water on the solute, on the solute alone. No
energy goes with them: the label is 0, to be trained with ``energy_weight = 0``.

    python systems/alanine_water/prepare.py data/train.extxyz data/solute_train.extxyz
"""

import argparse
import copy
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

from openmm_allegro.units import EV_TO_KJ_PER_MOL

FORCE_FIELD = ("amber14-all.xml", "amber14/tip3pfb.xml")
# Thiolates; some of them took up protons from the water.
SKIP = ("CYX",)


def solute_of(frame, cache):
    """The solute of a cluster, with what the force field says of the forces on it.

    Parameters
    ----------
    frame : ase.Atoms
        A capped residue among waters.
    cache : dict
        Contexts already made, by bonds.

    Returns
    -------
    order : list of int
        Atoms of the solute in the frame: ACE, residue, NME.
    water : ndarray [S, 3]
        Force field's forces of the water on them, eV/Å.
    all : ndarray [S, 3]
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
        found = context.getState(forces=True).getForces(asNumpy=True)[:solute]
        unit_of_force = unit.kilojoule_per_mole / unit.angstrom
        forces.append(found.value_in_unit(unit_of_force) / EV_TO_KJ_PER_MOL)
    return order[:solute], *forces


def contexts(topology, solute):
    """Of the pairs of a solute's and a water's atom alone, and of everything."""
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
    """Pairs (i, j), i < j, nearer than 1.3 times the sum of their covalent radii."""
    first, second = neighbor_list("ij", frame, natural_cutoffs(frame, mult=1.3))
    return [(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j]


def make_topology(symbols, bonds):
    """Order of atoms and topology: ACE, the residue, NME, then the waters.

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
    counts = {name: len(found) for name, found in named.items()}
    if (counts["ACE"], counts["RES"], counts["NME"]) != (1, 1, 1):
        raise ValueError(f"expected one ACE, residue and NME, found {counts}")

    topology, order, made = app.Topology(), [], {}
    chain = topology.addChain()
    for name in ("ACE", "RES", "NME", "HOH"):
        for part in named[name]:
            residue = topology.addResidue(name, chain)
            for i in part:
                element = app.Element.getBySymbol(symbols[i])
                made[i] = topology.addAtom(symbols[i], element, residue)
                order.append(i)
    for i, j in bonds:
        topology.addBond(made[i], made[j])
    return order, topology


def components(count, bonds):
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
    if options.output.exists() and not options.force:
        parser.error(f"expected no file yet at {options.output}; --force replaces it")

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
