# SPDX-License-Identifier: MIT
"""Hydrogen masses of runs, and velocities where they change."""

import numpy as np
import openmm
import pytest
from openmm_helpers import make_topology
from run_helpers import final_state, read_energies

from openmm_allegro.simulate.masses import repartition_hydrogen_mass
from openmm_allegro.simulate.protocol import Stage, run_protocol

pytestmark = pytest.mark.small

QUICK = {"platform": "Reference", "seed": 5, "progress": False}


def test_hydrogen_mass(water_box):
    symbols, _, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    masses = [system.getParticleMass(i)._value for i in range(len(symbols))]
    repartition_hydrogen_mass(system, topology, 3.0)
    heavier = [system.getParticleMass(i)._value for i in range(len(symbols))]
    assert sum(heavier) == pytest.approx(sum(masses))
    assert heavier[1] == heavier[2] == 3.0
    assert heavier[0] == pytest.approx(masses[0] - 2 * (3.0 - masses[1]))
    with pytest.raises(ValueError, match=r"heavier than their hydrogens.*Da left"):
        repartition_hydrogen_mass(system, topology, 7.0)
    # a site without mass, bonded as some force fields have it, gives none
    residue = topology.addResidue("M", next(topology.chains()))
    site = topology.addAtom("M", None, residue)
    hydrogen = list(topology.atoms())[1]
    topology.addBond(hydrogen, site)
    system.addParticle(0.0)
    repartition_hydrogen_mass(system, topology, 3.5)
    assert system.getParticleMass(site.index)._value == 0
    assert system.getParticleMass(1)._value == 3.5
    with pytest.raises(ValueError, match="bonds of all 54 hydrogens"):
        repartition_hydrogen_mass(system, make_topology(symbols, box), 3.0)


@pytest.mark.parametrize("rigid", [False, True])
def test_other_masses_keep_the_temperature(water_box, tmp_path, rigid):
    """A stage of 3 Da hydrogens does not begin cold, nor one after it hot."""
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    if rigid:
        for bond in topology.bonds():
            first, second = (atom.index for atom in bond)
            length = np.linalg.norm(positions[first] - positions[second])
            system.addConstraint(first, second, float(length))
    settings = {"steps": 1, "report_interval": 1, "ensemble": "nve", "timestep_fs": 0.1}
    stages = [
        Stage("own", **settings),
        Stage("heavy", hydrogen_mass_da=3.0, **settings),
        Stage("light", **settings),
    ]
    files = run_protocol(topology, positions, system, stages, tmp_path / "p", **QUICK)
    energies = [read_energies(each["energies"])[0, 3] for each in files.values()]
    np.testing.assert_allclose(energies, energies[0], rtol=1e-3)
    if rigid:
        return
    velocities = [final_state(each)[len(symbols) :] for each in files.values()]
    ratio = velocities[1][1] / velocities[0][1]
    np.testing.assert_allclose(ratio, np.sqrt(1.007947 / 3.0), rtol=1e-6)
    np.testing.assert_allclose(velocities[2], velocities[0], rtol=1e-6)
