# SPDX-License-Identifier: MIT
"""Reports of terms of no force field that mixing takes out of a region."""

import logging

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model
from mixed_inputs import alanine, amber14, amber19, charmm36, prmtop, psf, top
from openmm import app, unit
from openmm_helpers import BACKEND

from openmm_allegro import AllegroPotential
from openmm_allegro.classical.bonds import bond_markers
from openmm_allegro.mixing.dropped import warn_of_dropped_terms

PHI = (4, 6, 8, 14)  # C-N-CA-C of alanine dipeptide


@pytest.fixture
def logged(caplog):
    """Sentences that are logged about a System whose solute is the region."""

    def look(topology, system, atoms, interpolate=False):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            warn_of_dropped_terms(
                system,
                atoms,
                bond_markers(topology, False),
                interpolate=interpolate,
                remove_constraints=True,
            )
        return [record.getMessage() for record in caplog.records]

    return look


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize(
    "name", ["14", "19", "charmm36", "prmtop", "obc", "psf", "top"]
)
def test_force_fields_are_passed_in_silence(logged, name, constrained, tmp_path):
    """Amber, CHARMM (Urey-Bradley, CMAP, impropers, NBFIX) and GROMACS (1-4 pairs)."""
    given = {
        "14": amber14,
        "19": amber19,
        "charmm36": charmm36,
        "prmtop": prmtop,
        "obc": lambda: prmtop("OBC2"),
        "psf": lambda: psf(tmp_path),
        "top": top,
    }[name]()
    system = given.system(False, "NoCutoff", constrained)
    assert logged(given.topology, system, given.atoms) == []


def custom(kind, expression, atoms, *parameters):
    """A custom force of one term."""
    force = getattr(openmm, f"Custom{kind}Force")(*expression)
    if kind == "CompoundBond":
        force.addBond(atoms, parameters)
    else:
        getattr(force, f"add{kind}")(*atoms, parameters)
    return force


def harmonic_bond(*atoms):
    force = openmm.HarmonicBondForce()
    force.addBond(*atoms, 0.3, 1e3)
    return force


def harmonic_angle(*atoms):
    force = openmm.HarmonicAngleForce()
    force.addAngle(*atoms, 2.0, 1e2)
    return force


def periodic_torsion(*atoms):
    force = openmm.PeriodicTorsionForce()
    force.addTorsion(*atoms, 1, 0.0, 1e2)
    return force


def groups(first, second):
    force = openmm.CustomNonbondedForce("max(0, 1-r)^2")
    for _ in range(46):
        force.addParticle([])
    force.addInteractionGroup(first, second)
    return force


def scaled():
    force = openmm.CustomBondForce("scale*r^2")
    force.addGlobalParameter("scale", 1.0)
    force.addBond(4, 6, [])
    return force


BIASES = {
    "phi": custom("Torsion", ("1-cos(theta-1)",), PHI),
    "phi as improper": custom(
        "Torsion", ("min(dtheta, 6.283-dtheta)^2; dtheta=abs(theta-1)",), PHI
    ),
    "phi, periodic": periodic_torsion(*PHI),
    "distance": harmonic_bond(1, 18),
    "custom distance": custom("Bond", ("(r-0.5)^2",), (1, 18)),
    "a bond twice": harmonic_bond(4, 6),
    "custom bond": custom("Bond", ("(r-0.1)^2",), (4, 6)),
    "custom 1-4": custom("Bond", ("(r-0.3)^2",), (PHI[0], PHI[3])),
    "angle of three": harmonic_angle(1, 8, 18),
    "custom angle": custom("Angle", ("(theta-2)^2",), (4, 6, 8)),
    "torsion of four": periodic_torsion(1, 5, 14, 18),
    "chirality": custom("Torsion", ("(theta-0.6)^2",), (8, 6, 10, 14)),
    "two distances": custom(
        "CompoundBond", (4, "(distance(p1,p2)-distance(p3,p4))^2"), (1, 5, 14, 18)
    ),
    "groups": groups({1, 4}, {14, 18}),
    "of a parameter": scaled(),
}


@pytest.mark.parametrize("field", [amber19, charmm36])
@pytest.mark.parametrize("name", BIASES)
def test_biases_are_said(logged, field, name):
    """Each by its force and atoms, once."""
    given = field()
    system = given.system(False, "NoCutoff", False)
    force = openmm.XmlSerializer.clone(BIASES[name])
    force.setName("my bias")
    system.addForce(force)
    (message,) = logged(given.topology, system, given.atoms)
    assert type(force).__name__ in message and "'my bias'" in message
    assert "1 terms" in message and "dropped" in message
    assert "add biases and restraints to the mixed System" in message
    (message,) = logged(given.topology, system, given.atoms, interpolate=True)
    assert "scaled by 1 - lambda_interpolate" in message


def test_biases_among_the_terms_of_a_force_field(logged):
    """In its own forces, and as a constraint; outside the region they stay."""
    given = amber19()
    system = given.system(False, "NoCutoff", True)
    bonds = next(
        f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce)
    )
    bonds.addBond(1, 18, 0.5, 1e3)
    system.addConstraint(5, 16, 0.6)
    first, second = logged(given.topology, system, given.atoms)
    assert "(atoms 1-18)" in first
    assert "1 constraints" in second and "(atoms 5-16)" in second
    outside = given.system(False, "NoCutoff", True)
    outside.addForce(custom("Bond", ("r",), (1, 25)))
    outside.addForce(harmonic_bond(22, 25))
    assert logged(given.topology, outside, given.atoms) == []


def test_create_mixed_system_says_so(caplog):
    given = amber19()
    system = given.system(False, "NoCutoff", False)
    system.addForce(openmm.XmlSerializer.clone(BIASES["phi"]))
    with caplog.at_level(logging.WARNING):
        mixed = AllegroPotential(organic_model()).create_mixed_system(
            given.topology, system, given.atoms, backend=BACKEND
        )
    (message,) = [r.getMessage() for r in caplog.records]
    assert "CustomTorsionForce" in message and "4-6-8-14" in message
    kept = [f for f in mixed.getForces() if isinstance(f, openmm.CustomTorsionForce)]
    assert kept[0].getNumTorsions() == 0


WATER = [22, 23, 24]
ADVICE = {
    "flexible": {"constraints": app.HBonds, "flexibleConstraints": True},
    "none": {"constraints": None},
}


def interpolated(atoms, options, caplog):
    """System at λ = 0, positions, and what was logged."""
    topology, positions = alanine()
    field = app.ForceField("amber14/protein.ff14SB.xml", "amber14/tip3pfb.xml")
    system = field.createSystem(topology, rigidWater=True, **options)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        mixed = AllegroPotential(organic_model()).create_mixed_system(
            topology, system, atoms, interpolate=True, backend=BACKEND
        )
    return mixed, positions, [record.getMessage() for record in caplog.records]


def longest_bond(mixed, positions, atoms):
    """Longest bond of a hydrogen, nm, and positions after steps without the model."""
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.0005)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(mixed, integrator, platform)
    context.setPositions(positions)
    context.setParameter("lambda_interpolate", 0.0)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 2)
    integrator.step(150)
    found = context.getState(positions=True).getPositions(asNumpy=True)._value
    topology, _ = alanine()
    lengths = [
        np.linalg.norm(found[a.index] - found[b.index])
        for a, b in topology.bonds()
        if a.index in atoms and "H" in (a.element.symbol, b.element.symbol)
    ]
    return max(lengths), found


@pytest.mark.parametrize(
    ("atoms", "way"),
    [(range(22), "flexible"), (range(22), "none"), (WATER, "flexible")],
)
def test_advice_for_interpolation_holds_the_region_together(atoms, way, caplog):
    """And leaves the water rigid."""
    mixed, positions, messages = interpolated(atoms, ADVICE[way], caplog)
    assert messages == []
    waters = 8 - (atoms is WATER)
    outside = 12 if way == "flexible" and atoms is WATER else 0  # X-H of the solute
    assert mixed.getNumConstraints() == 3 * waters + outside
    longest, found = longest_bond(mixed, positions, atoms)
    assert longest < 0.13
    for oxygen in range(25, 46, 3):
        sides = [np.linalg.norm(found[oxygen + i] - found[oxygen]) for i in (1, 2)]
        np.testing.assert_allclose(sides, 0.10118, atol=1e-5)


@pytest.mark.parametrize("atoms", [range(22), WATER])
def test_hydrogens_that_nothing_holds_are_said(atoms, caplog):
    mixed, positions, messages = interpolated(
        atoms, {"constraints": app.HBonds}, caplog
    )
    (message,) = messages
    assert "flexibleConstraints=True" in message
    assert "constraints=None and rigidWater=True" in message
    assert "rigidWater=False" not in message
    longest, _ = longest_bond(mixed, positions, atoms)
    assert not longest < 0.2
