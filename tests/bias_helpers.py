# SPDX-License-Identifier: MIT
"""Small Systems whose collective variables have closed forms."""

import numpy as np
import openmm
from openmm import app, unit

from openmm_allegro.bias import Metadynamics, Restraint, Variable

KT = 300.0 * 0.00831446261815324  # kJ/mol

CHAIN = np.array([[0, 0, 0], [0.3, 0, 0], [0.35, 0.28, 0], [0.5, 0.4, 0.2]])
VARIABLES = (
    Variable("d", "distance", atoms=(0, 1)),
    Variable("bend", "angle", atoms=(0, 1, 2)),
    Variable("turn", "dihedral", atoms=(0, 1, 2, 3)),
    Variable("far", "distance", groups=((0, 1), (2, 3))),
    Variable("n", "coordination", groups=((0,), (1, 2, 3)), r0_angstrom=4.0),
    Variable("shape", "rmsd", atoms=(0, 1, 2, 3)),
)
RESTRAINTS = (Restraint("d", 3.2, 10.0), Restraint("turn", 170.0, 20.0, flat=5.0))
HILLS = Metadynamics(variables=("turn",), widths=(20.0,), pace=7)
# of the runs that resume, in steps
SETTINGS = {"temperature": 300 * unit.kelvin}


def chain_system(box=3.0, shift=0.0):
    """Four atoms in a chain of springs; topology, positions, System."""
    topology, system = app.Topology(), openmm.System()
    chain = topology.addChain()
    force = openmm.HarmonicBondForce()
    for index in range(4):
        residue = topology.addResidue("AR", chain)
        topology.addAtom("AR", app.element.argon, residue)
        system.addParticle(10.0 + index)
    for index in range(3):
        force.addBond(index, index + 1, 0.3, 2000.0)
    if box is not None:
        vectors = np.eye(3) * box
        system.setDefaultPeriodicBoxVectors(*vectors)
        topology.setPeriodicBoxVectors(vectors * unit.nanometer)
        force.setUsesPeriodicBoundaryConditions(True)
    system.addForce(force)
    return topology, CHAIN + shift, system
