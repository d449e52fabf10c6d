# SPDX-License-Identifier: MIT
"""Fit a fixed-charge force field of EC and EMC to forces, as a baseline.

Charges and Lennard-Jones parameters (PME for both) are fitted to the force and torque
on each molecule, which its own bonds cannot change. Harmonic bonds and angles and
cosines of dihedral angles are then fitted to the rest of the forces on the atoms. The
frames are those that config.toml trains on. Writes baseline.json (parameters) and
baseline.xml (the System of the data's 4 EC and 8 EMC).

    python systems/ec_emc_delta/baseline.py
"""

import dataclasses
import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from scipy.optimize import least_squares

from openmm_allegro.classical.nonbonded import nonbonded_system
from openmm_allegro.model import AllegroConfig
from openmm_allegro.training.train import DataConfig, TrainConfig, read_data
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, NM_TO_ANGSTROM
from openmm_allegro.utils.config import read_toml

HERE = Path(__file__).parent
# Elements, types (equal where a molecule is symmetric) and bonds, in the data's order.
MOLECULES = {
    "EC": (
        "CCOCOOHHHH",
        "CH CH OR CC OC OR H H H H",
        "0-1 0-5 1-2 2-3 3-4 3-5 0-6 0-7 1-8 1-9",
    ),
    "EMC": (
        "CCOCOOCHHHHHHHH",
        "CT CE OE CC OC OM CM HT HT HT HE HE HM HM HM",
        "0-1 1-2 2-3 3-4 3-5 5-6 0-7 0-8 0-9 1-10 1-11 6-12 6-13 6-14",
    ),
}
COMPOSITION = [("EC", 4), ("EMC", 8)]  # of the data
# Where the fit of Lennard-Jones parameters starts: sigma (nm) and epsilon (kJ/mol) of
# GAFF 2.2.20 (Wang et al., doi:10.1002/jcc.20035) for c, c3, o, os and h1.
START_LJ = {
    "CC": (0.33152, 0.41338),
    "C": (0.33977, 0.45104),
    "OC": (0.30481, 0.61212),
    "O": (0.31561, 0.30376),
    "H": (0.24220, 0.08703),
}
START_CHARGE = {"C": 0.1, "CC": 0.9, "OC": -0.6, "O": -0.45, "H": 0.08}
CUTOFF = 0.5  # nm, below half of the smallest box; both PMEs sum beyond it
TORQUE_SCALE = 2.0  # Å, by which a torque is divided to weigh as a force
MULTIPLICITIES = (1, 2, 3)
# Priors of parameters that the forces hardly determine: the error (eV/Å) of one force
# component that costs as much as a charge off by 1 e or a Lennard-Jones parameter off
# by a factor of e, and as a torsion of 1 kJ/mol.
NONBONDED_PRIOR = 0.3
TORSION_PRIOR = 5.0
NONBONDED_FRAMES = 60


def make_topology(counts, box=None):
    """Make a topology of residues EC and EMC, with bonds, in the data's order.

    Parameters
    ----------
    counts : sequence of (str, int)
        Names and numbers of molecules, such as ``[("EC", 4), ("EMC", 8)]``.
    box : [3, 3] array, optional
        nm.
    """
    topology = app.Topology()
    for name, count in counts:
        elements, _, bonds = MOLECULES[name]
        for _ in range(count):
            residue = topology.addResidue(name, topology.addChain())
            atoms = [
                topology.addAtom(f"{e}{i + 1}", app.Element.getBySymbol(e), residue)
                for i, e in enumerate(elements)
            ]
            for bond in bonds.split():
                topology.addBond(*(atoms[int(i)] for i in bond.split("-")))
    if box is not None:
        topology.setPeriodicBoxVectors(np.asarray(box) * unit.nanometer)
    return topology


def make_system(topology, parameters):
    """Make the force field's System; ``parameters`` as in baseline.json."""
    charges, lj = {}, {}
    for name, (elements, types, _) in MOLECULES.items():
        for index, (element, kind) in enumerate(
            zip(elements, types.split(), strict=True)
        ):
            key = f"{name}:{element}{index + 1}"
            charges[key] = parameters["charges"][f"{name}:{kind}"]
            lj[key] = parameters["lj"][lj_class(element, kind)]
    system = nonbonded_system(topology, charges, lj, cutoff=CUTOFF, lj_pme=True)
    forces = (
        openmm.HarmonicBondForce(),
        openmm.HarmonicAngleForce(),
        openmm.PeriodicTorsionForce(),
    )
    terms = bonded_terms(topology)
    for key, value in parameters.get("bonded", {}).items():
        for atoms in terms[key]:
            if len(atoms) == 2:
                forces[0].addBond(*atoms, *value)
            elif len(atoms) == 3:
                forces[1].addAngle(*atoms, *value)
            else:
                for n, k in zip(MULTIPLICITIES, value, strict=True):
                    forces[2].addTorsion(*atoms, n, 0.0, k)
    for force in forces:
        force.setUsesPeriodicBoundaryConditions(True)
        system.addForce(force)
    return system


def types_of(name):
    """List the atom types of a molecule."""
    return MOLECULES[name][1].split()


def lj_class(element, kind):
    """Name the class of an atom type's Lennard-Jones parameters."""
    return kind if kind in START_LJ else element


def bonded_terms(topology):
    """List the atoms of the bonds, angles, dihedrals and impropers of each type."""
    names, neighbors = {}, defaultdict(set)
    for residue in topology.residues():
        for atom, kind in zip(residue.atoms(), types_of(residue.name), strict=True):
            names[atom.index] = f"{residue.name}:{kind}"
    for bond in topology.bonds():
        neighbors[bond.atom1.index].add(bond.atom2.index)
        neighbors[bond.atom2.index].add(bond.atom1.index)
    terms = defaultdict(list)

    def add(*atoms):
        key = [names[i] for i in atoms]
        if key[::-1] < key:
            key, atoms = key[::-1], atoms[::-1]
        terms[" ".join(key)].append(atoms)

    for j in sorted(neighbors):
        near = sorted(neighbors[j])
        for k in near:
            if j < k:
                add(j, k)
                for i, m in itertools.product(near, sorted(neighbors[k])):
                    if i != k and m != j and i != m:
                        add(i, j, k, m)
        for i, k in itertools.combinations(near, 2):
            add(i, j, k)
        if len(near) == 3:  # the carbonyl carbon, to keep it planar
            terms[f"improper {names[j]}"].append((*near[:2], j, near[2]))
    return terms


def fit_nonbonded(frames, topology):
    """Fit charges by type and Lennard-Jones parameters by class."""
    names = [f"{m}:{t}" for m in MOLECULES for t in dict.fromkeys(types_of(m))]
    count = np.zeros((len(MOLECULES), len(names)))
    for row, molecule in zip(count, MOLECULES, strict=True):
        for kind in types_of(molecule):
            row[names.index(f"{molecule}:{kind}")] += 1
    # Charges that leave both molecules neutral are combinations of these.
    neutral = np.linalg.svd(count)[2][len(MOLECULES) :]
    charges = [
        START_CHARGE.get(kind, START_CHARGE[kind[0]])
        for kind in (name.split(":")[1] for name in names)
    ]
    start = np.concatenate((neutral @ charges, np.log(list(START_LJ.values())).ravel()))
    molecules = [[a.index for a in r.atoms()] for r in topology.residues()]
    reference = [net_forces(f.forces, f, molecules) for f in frames]

    def parameters(x):
        charges, values = x[: len(neutral)] @ neutral, np.exp(x[len(neutral) :])
        return {
            "charges": dict(zip(names, charges.tolist(), strict=True)),
            "lj": dict(zip(START_LJ, values.reshape(-1, 2).tolist(), strict=True)),
        }

    def error(x):
        system = make_system(topology, parameters(x))
        values = [
            net_forces(forces, frame, molecules)
            for frame, forces in zip(frames, mm_forces(system, frames), strict=True)
        ]
        return np.ravel(np.subtract(values, reference))

    fit = least_squares(
        lambda x: np.concatenate((error(x), NONBONDED_PRIOR * (x - start))),
        start,
        diff_step=1e-3,
        max_nfev=12,
    )
    print(
        f"net forces and torques: RMS {rms(reference):.4f} eV/Å, without the fitted "
        f"part {rms(error(fit.x)):.4f} (at the start {rms(error(start)):.4f})"
    )
    return parameters(fit.x)


def fit_bonded(frames, topology, nonbonded):
    """Fit bonds and angles (equilibrium, k) and torsions (k of each multiplicity)."""
    terms = bonded_terms(topology)
    system = make_system(topology, nonbonded)
    rest = np.ravel([f.forces for f in frames]) - np.ravel(mm_forces(system, frames))
    # k (x - x0)² / 2 is linear in k and k x0, and V_n (1 + cos nφ) in V_n.
    columns, is_torsion = [], []
    for lists in terms.values():
        for force in linear_forces(len(lists[0])):
            force.setUsesPeriodicBoundaryConditions(True)
            for atoms in lists:
                add = {2: "addBond", 3: "addAngle", 4: "addTorsion"}[len(atoms)]
                getattr(force, add)(*atoms, [])
            system = openmm.System()
            for _ in topology.atoms():
                system.addParticle(1.0)
            system.addForce(force)
            columns.append(np.ravel(mm_forces(system, frames)))
            is_torsion.append(len(lists[0]) == 4)
    matrix = np.array(columns).T
    normal = matrix.T @ matrix
    ridge = 1e-8 * np.diag(normal) + TORSION_PRIOR**2 * np.array(is_torsion)
    solution = np.linalg.solve(normal + np.diag(ridge), matrix.T @ rest)
    print(
        f"forces: RMS {rms([f.forces for f in frames]):.4f} eV/Å, without the fitted "
        f"part {rms(rest - matrix @ solution):.4f}"
    )
    bonded, values = {}, iter(solution.tolist())
    for key, lists in terms.items():
        if len(lists[0]) == 4:
            bonded[key] = [next(values) for _ in MULTIPLICITIES]
        else:
            k = next(values)
            bonded[key] = [next(values) / k, k]
    return bonded


def linear_forces(size):
    """Make the functions of 2, 3 or 4 atoms whose coefficients are fitted."""
    if size == 4:
        functions = [f"1+cos({n}*theta)" for n in MULTIPLICITIES]
        return [openmm.CustomTorsionForce(f) for f in functions]
    if size == 3:
        return [openmm.CustomAngleForce(f) for f in ("theta^2/2", "-theta")]
    return [openmm.CustomBondForce(f) for f in ("r^2/2", "-r")]


def mm_forces(system, frames):
    """Compute forces [frames, N, 3] of a System, eV/Å, in single precision."""
    forces = []
    for frame in frames:
        system.setDefaultPeriodicBoxVectors(*(frame.cell / NM_TO_ANGSTROM))
        context = openmm.Context(
            system,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName("CPU"),
            {"Threads": "1"},
        )
        context.setPositions(frame.positions / NM_TO_ANGSTROM)
        state = context.getState(forces=True)
        forces.append(state.getForces(asNumpy=True)._value)
    return np.array(forces) / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM


def net_forces(forces, frame, molecules):
    """Sum the force on each molecule, and the torque divided by TORQUE_SCALE."""
    rows = []
    for atoms in molecules:
        arms = frame.positions[atoms] - frame.positions[atoms].mean(0)
        torque = np.cross(arms, forces[atoms]).sum(0)
        rows += [forces[atoms].sum(0), torque / TORQUE_SCALE]
    return np.array(rows)


def rms(values):
    """Compute the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def main():
    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    config = read_toml(HERE / "config.toml", tables)["data"]
    # Training frames alone, and whole labels: the baseline does not exist yet.
    frames, _, _ = read_data(dataclasses.replace(config, baseline=()), HERE)
    topology = make_topology(COMPOSITION, np.eye(3) * 1.6)
    parameters = fit_nonbonded(frames[:NONBONDED_FRAMES], topology)
    parameters["bonded"] = fit_bonded(frames, topology, parameters)
    (HERE / "baseline.json").write_text(json.dumps(parameters, indent=1) + "\n")
    system = make_system(topology, parameters)
    (HERE / "baseline.xml").write_text(openmm.XmlSerializer.serialize(system))


if __name__ == "__main__":
    main()
