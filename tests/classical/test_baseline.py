# SPDX-License-Identifier: MIT
"""Classical labels against closed forms and differences, in any box and any image."""

import dataclasses

import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import make_topology
from training_helpers import random_structure

from openmm_allegro.classical.baseline import (
    by_composition,
    evaluate_baseline,
    read_system,
    subtract_baseline,
)
from openmm_allegro.classical.nonbonded import nonbonded_system
from openmm_allegro.structure import Structure

COULOMB = 14.39964548  # e²/(4πε0), eV Å, CODATA; OpenMM has it to 6 digits
MADELUNG = 1.747564594633  # of rock salt, with the shortest distance
WATER = {"O": -0.834, "H": 0.417}


def system_of(symbols, charges, cell=None, **options):
    """Fixed charges and, optionally, cores; the box in Å."""
    topology = make_topology(symbols, None if cell is None else np.array(cell) / 10)
    return nonbonded_system(topology, charges, **options)


def structure_of(symbols, positions, cell=None, **labels):
    return Structure(
        tuple(symbols),
        np.array(positions, dtype=float),
        np.zeros((3, 3)) if cell is None else np.array(cell, dtype=float),
        np.array([cell is not None] * 3),
        **labels,
    )


def evaluate(structure, system):
    (result,) = evaluate_baseline([structure], system)
    return result


def test_two_charges_and_a_core():
    r = 2.7
    structure = structure_of(["Na", "Cl"], [[0.0, 0.0, 0.0], [0.0, r, 0.0]])
    charges = evaluate(structure, system_of(structure.symbols, {"Na": 1, "Cl": -1}))
    assert charges.energy == pytest.approx(-COULOMB / r, rel=1e-6)
    expected = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]) * COULOMB / r**2
    np.testing.assert_allclose(charges.forces, expected, rtol=1e-6, atol=1e-9)
    assert charges.stress is None
    # at the bottom of the well, whose depth is in kJ/mol and place in nm
    core = {"Na": (0.27 / 2 ** (1 / 6), 0.5), "Cl": (0.27 / 2 ** (1 / 6), 0.5)}
    system = system_of(structure.symbols, {"Na": 0, "Cl": 0}, lj=core)
    bound = evaluate(structure, system)
    assert bound.energy == pytest.approx(-0.5 / 96.4853321, rel=1e-6)
    np.testing.assert_allclose(bound.forces, 0.0, atol=1e-6)


def rock_salt():
    """64 ions, 2.8 Å apart: symbols, positions, cell."""
    sites = np.array(list(np.ndindex(4, 4, 4)))
    symbols = ["Na" if sum(site) % 2 == 0 else "Cl" for site in sites]
    return symbols, sites * 2.8, np.eye(3) * 11.2


IONS = {"Na": 1.0, "Cl": -1.0}
MESH = {"cutoff": 0.45, "tolerance": 1e-5}


def test_rock_salt_has_its_madelung_energy_and_pressure():
    """E is homogeneous of degree -1 in length, so its pressure is E / 3V.

    Ions lie on the faces of the box, where the Reference platform's PME goes wrong.
    """
    symbols, positions, cell = rock_salt()
    structure = structure_of(symbols, positions, cell, stress=np.zeros((3, 3)))
    found = evaluate(structure, system_of(symbols, IONS, cell, **MESH))
    expected = -32 * MADELUNG * COULOMB / 2.8
    assert found.energy == pytest.approx(expected, rel=1e-5)
    stress = -expected / 3 / structure.volume * np.eye(3)
    np.testing.assert_allclose(found.stress, stress, atol=1e-4 * stress[0, 0])


def rattled():
    """The same, with ions off their sites: a structure with a full stress."""
    symbols, positions, cell = rock_salt()
    noise = np.random.default_rng(1).normal(0, 0.2, positions.shape)
    return structure_of(symbols, positions + noise, cell, stress=np.zeros((3, 3)))


def hexagonal():
    """Ions in a cell whose second vector leans over half of the first, as it may."""
    symbols, positions, cell = rock_salt()
    lean = np.array([[1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, 1.0]])
    noise = np.random.default_rng(2).normal(0, 0.2, positions.shape)
    moved = positions @ lean + noise
    return structure_of(symbols, moved, cell @ lean, stress=np.zeros((3, 3)))


def test_forces_are_the_derivative_and_the_stress_has_the_right_trace():
    """A step along a random direction; E is homogeneous of degree -1 in length."""
    for structure in (rattled(), hexagonal()):
        system = system_of(structure.symbols, IONS, structure.cell, **MESH)
        found = evaluate(structure, system)
        direction = np.random.default_rng(5).normal(size=structure.positions.shape)
        high, low = (
            dataclasses.replace(
                structure, positions=structure.positions + h * direction
            )
            for h in (1e-4, -1e-4)
        )
        slope = (evaluate(high, system).energy - evaluate(low, system).energy) / 2e-4
        assert (found.forces * direction).sum() == pytest.approx(-slope, rel=1e-3)
        trace = np.trace(found.stress) * structure.volume
        assert trace == pytest.approx(-found.energy, rel=1e-3)


@pytest.mark.parametrize("lean", [0.5, -0.5, 0.2])
def test_every_component_of_the_stress_of_a_bond(lean):
    """r ⊗ F / V in closed form; one box leans as far as it may to either side."""
    cell = 6.0 * np.array([[1.0, 0.0, 0.0], [lean, 0.9, 0.0], [0.1, -0.3, 0.8]])
    structure = structure_of(
        ["Na", "Cl"], [[0.2, 0.3, 0.4], [1.3, 1.0, -0.5]], cell, stress=np.zeros((3, 3))
    )
    system = system_of(structure.symbols, {"Na": 0.0, "Cl": 0.0}, cell, cutoff=0.2)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, 0.1, 5000.0)
    bond.setUsesPeriodicBoundaryConditions(True)
    system.addForce(bond)
    found = evaluate(structure, system)
    arm = structure.positions[1] - structure.positions[0]
    r = np.linalg.norm(arm)
    pull = 5000.0 / 96.4853321 / 100 * (r - 1.0)  # eV/Å
    np.testing.assert_allclose(found.forces[0], pull * arm / r, rtol=1e-6)
    expected = np.outer(arm, arm) * pull / r / structure.volume
    np.testing.assert_allclose(found.stress, expected, rtol=1e-4)


def test_another_cell_of_the_lattice_and_another_orientation():
    structure = rattled()
    system = system_of(structure.symbols, IONS, structure.cell, **MESH)
    here = evaluate(structure, system)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    for multiples in (
        [[1, 0, 0], [1, 1, 0], [-2, 1, 1]],
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]],  # left-handed
    ):
        turned = dataclasses.replace(
            structure,
            positions=structure.positions @ rotation,
            cell=np.array(multiples) @ structure.cell @ rotation,
        )
        there = evaluate(turned, system)
        assert there.energy == pytest.approx(here.energy, rel=1e-6)
        np.testing.assert_allclose(there.forces @ rotation.T, here.forces, atol=1e-3)
        np.testing.assert_allclose(
            rotation @ there.stress @ rotation.T, here.stress, atol=1e-4
        )


def test_bonded_atoms_may_be_in_different_images(water_box):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = nonbonded_system(topology, WATER, cutoff=0.4, tolerance=1e-6)
    bonds = openmm.HarmonicBondForce()
    for bond in topology.bonds():
        bonds.addBond(bond.atom1.index, bond.atom2.index, 0.0957, 4.5e5)
    system.addForce(bonds)
    whole = structure_of(symbols, positions * 10, box * 10)
    here = evaluate(whole, system)
    shifts = np.random.default_rng(0).integers(-2, 3, positions.shape) @ (box * 10)
    there = evaluate(
        dataclasses.replace(whole, positions=positions * 10 + shifts), system
    )
    assert there.energy == pytest.approx(here.energy, rel=1e-8)
    np.testing.assert_allclose(there.forces, here.forces, atol=1e-6)
    assert not bonds.usesPeriodicBoundaryConditions()  # what was given stays


def labelled(seed=0, **labels):
    rng = np.random.default_rng(seed)
    known = {
        "energy": -1.5,
        "forces": rng.normal(size=(6, 3)),
        "stress": np.eye(3) * 0.1,
    }
    return random_structure(tuple("OHHOHH"), seed, box=8.0, **(known | labels))


@pytest.fixture(scope="module")
def water():
    """Charges and cores for two waters in a triclinic box."""
    cell = labelled().cell
    return system_of("OHHOHH", WATER, cell, lj={"O": (0.2, 0.1)}, cutoff=0.3)


def test_what_is_left_and_what_is_taken_make_up_the_label(water):
    frames = [labelled(0), labelled(1, stress=None), labelled(2, energy=None)]
    parts = evaluate_baseline(frames, water)
    left = subtract_baseline(frames, water)
    for frame, part, rest in zip(frames, parts, left, strict=True):
        for name in ("energy", "forces", "stress"):
            if getattr(frame, name) is None:
                assert getattr(rest, name) is None
            else:
                total = getattr(part, name) + getattr(rest, name)
                np.testing.assert_allclose(total, getattr(frame, name), atol=1e-12)
        assert rest.baseline == parts[0].baseline
        assert sorted(rest.baseline["molecules"].values()) == ["H", "O"]
        np.testing.assert_array_equal(rest.positions, frame.positions)
    with pytest.raises(ValueError, match="found labels from which a baseline was sub"):
        subtract_baseline(left, water)


def test_a_system_for_each_composition(water):
    other = structure_of(["Na", "Cl"], [[0.0] * 3, [2.0] * 3], energy=1.0)
    systems = [water, system_of(["Na", "Cl"], IONS)]
    for choice in (
        by_composition(systems),
        lambda structure: systems[int("Na" in structure.symbols)],
    ):
        first, second = subtract_baseline([labelled(), other], choice)
        assert first.energy == subtract_baseline([labelled()], water)[0].energy
        assert second.energy == pytest.approx(1.0 + COULOMB / (2 * np.sqrt(3)))
        assert set(first.baseline["molecules"]) != set(second.baseline["molecules"])
    with pytest.raises(ValueError, match="one of 2 Systems to have its atoms"):
        subtract_baseline([structure_of(["O"], [[0.0] * 3])], by_composition(systems))


def frame(**changes):
    return dataclasses.replace(labelled(), source="dft.xyz, frame 7", **changes)


SYMBOLS = tuple("OHHOHH")


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (frame(symbols=tuple("OHHHOH")), r"atom 3 is O by its mass of 15\.99.*found H"),
        (frame(symbols=SYMBOLS[:3], positions=np.eye(3)), "the 6 atoms .*, found 3"),
        (frame(periodic=np.array([True, True, False])), r"found periodicity \[True, T"),
        (frame(cell=np.eye(3) * 5.0), "cutoff"),
        (frame(positions=np.zeros((6, 3))), "expected a finite"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_frame(water, structure, message):
    with pytest.raises(ValueError, match=rf"dft\.xyz, frame 7: .*{message}"):
        subtract_baseline([labelled(), structure], water)


def test_masses_that_are_no_element(water):
    heavy = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(water))
    heavy.setParticleMass(1, 4.0)
    with pytest.raises(ValueError, match="atom 1 is He by its mass of 4 Da, found H"):
        subtract_baseline([labelled()], heavy)
    heavy.setParticleMass(1, 3.02)
    with pytest.raises(ValueError, match=r"atom 1 is no element by its mass of 3\.02"):
        subtract_baseline([labelled()], heavy)


def test_read_system(water, tmp_path):
    path = tmp_path / "system.xml"
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        read_system(path)
    path.write_text(openmm.XmlSerializer.serialize(water))
    again = read_system(path)
    assert evaluate(labelled(), again).energy == evaluate(labelled(), water).energy
    path.write_text("<System>")
    with pytest.raises(ValueError, match="expected a serialized System, found"):
        read_system(path)
    path.write_text(openmm.XmlSerializer.serialize(openmm.VerletIntegrator(0.001)))
    with pytest.raises(ValueError, match="found VerletIntegrator"):
        read_system(path)


def test_nonbonded_system_takes_what_the_topology_says(water_box):
    symbols, _, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = nonbonded_system(
        topology,
        {"O": -0.8, "H": 0.4},
        {"HOH:O": (0.3, 0.6), "H": (0.1, 0.05)},
        cutoff=0.4,
        lj_pme=True,
    )
    force = system.getForce(0)
    assert force.getNonbondedMethod() == force.LJPME
    values = [
        [
            v.value_in_unit_system(unit.md_unit_system)
            for v in force.getParticleParameters(i)
        ]
        for i in range(3)
    ]
    assert values == [[-0.8, 0.3, 0.6], [0.4, 0.1, 0.05], [0.4, 0.1, 0.05]]
    assert force.getNumExceptions() == 3 * 27
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    assert len(context.getMolecules()) == 27


@pytest.mark.parametrize(
    ("charges", "lj", "message"),
    [
        ({"O": -0.8}, None, "found none for HOH:H"),
        ({"O": -0.8, "H": 0.41}, None, "sum of zero in a periodic box, found 0.54 e"),
        ({"O": 0, "H": 0}, {"HOH:X": (1, 1)}, "lj: expected keys .* found HOH:X"),
        ({"O": 0, "H": 0, "Na": 1}, None, "charges: expected keys .* found Na"),
        ({"O": 0, "H": np.nan}, None, "charges: expected numbers, found nan of HOH:H"),
        ({"O": 0, "H": 0}, {"O": (0, 1)}, "σ > 0 nm .* found 0 and 1 of HOH:O"),
        ({"O": 0, "H": 0}, {"H": (0.1, -2)}, "ε ≥ 0 .* found 0.1 and -2 of HOH:H"),
    ],
)
def test_nonbonded_system_refuses(water_box, charges, lj, message):
    symbols, _, box = water_box
    with pytest.raises(ValueError, match=message):
        nonbonded_system(make_topology(symbols, box, waters=True), charges, lj)


def test_nonbonded_system_of_atoms_and_pairs_alone(water_box):
    symbols, _, box = water_box
    charges = {"O": -0.8, "H": 0.4}
    topology = make_topology(symbols, box, waters=True)
    with pytest.raises(ValueError, match="cutoff above 0 nm, found 0"):
        nonbonded_system(topology, charges, cutoff=0)
    residue = topology.addResidue("M", topology.addChain())
    topology.addAtom("M", None, residue)
    with pytest.raises(ValueError, match=r"element for each atom, .* \(M of M"):
        nonbonded_system(topology, charges)
