# SPDX-License-Identifier: MIT
"""Waters some of which have the charges of a model, among those of a force field."""

import dataclasses

import openmm
from helpers import water_model
from openmm_helpers import water_system

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.potential.computation import computation

OPTIONS = {"backend": "native", "precision": "double"}
ALPHA = 0.8  # 1/Å
REGION = [*range(3), *range(6, 9)]  # waters that are neighbours by an image
START = {"H": 0.35, "O": -0.6}  # of no neutral molecule


def charged(kind, seed=5, dipole_weight=1.0, start=START):
    """The network of ``water_model`` with charges."""
    local = water_model(seed)
    fields = {"charges": kind, "charge_start": start, "charge_alpha": ALPHA}
    config = dataclasses.replace(local.config, **fields)
    energy = AllegroEnergy(config, local.statistics, seed=seed)
    if kind == "learned":  # so much that their derivatives matter
        energy.network.readout.layers[-1].weight.detach()[:, 1] *= 20.0
    provenance = {"train": {"dipole_weight": dipole_weight}}
    return Model(
        config, local.statistics, energy, "total", "float64", provenance=provenance
    )


def nonbonded(system):
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    return force


def set_charge(force, index, charge):
    _, sigma, epsilon = force.getParticleParameters(index)
    force.setParticleParameters(index, charge, sigma, epsilon)


def box_of_waters(water_box, *, charge=0.0, rest=None, periodic=True, method=None):
    """Topology, positions (nm), System; the region and the rest have ± a charge."""
    symbols, positions, box = water_box
    topology, system = water_system(symbols, box if periodic else None, cutoff=0.45)
    force = nonbonded(system)
    force.setEwaldErrorTolerance(1e-6)
    if method is not None:
        force.setNonbondedMethod(method)
    set_charge(force, 0, -0.834 + charge)
    set_charge(force, 30, -0.834 + (-charge if rest is None else rest))
    return topology, positions, system


def mixed(model, given, region=REGION, **arguments):
    topology, _, system = given
    return AllegroPotential(model).create_mixed_system(
        topology,
        system,
        region,
        **{"embedding": "electrostatic", **OPTIONS, **arguments},
    )


def model_alone(system):
    """A System of the model's force and nothing else; its energies have no others."""
    alone = openmm.System()
    for index in range(system.getNumParticles()):
        alone.addParticle(system.getParticleMass(index))
    alone.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
    (force,) = (f for f in system.getForces() if computation(f))
    alone.addForce(openmm.XmlSerializer.clone(force))
    return alone


def slope(function, step=2e-6):
    """Derivative at 0, right to the fourth power of the step."""
    values = [function(n * step) for n in (-2, -1, 1, 2)]
    return (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
