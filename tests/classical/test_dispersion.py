# SPDX-License-Identifier: MIT
"""D3 inside OpenMM against the library called by hand, its own gradient, its images."""

import pickle

import numpy as np
import openmm
import pytest
from openmm_helpers import energy_and_forces, make_topology

from openmm_allegro import AllegroPotential, Model, Structure
from openmm_allegro.classical import nonbonded_system, subtract_baseline
from openmm_allegro.classical.dispersion import (
    D3,
    HARTREE_TO_KJ_PER_MOL,
    NM_TO_BOHR,
    d3_force,
)
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.units import EV_TO_KJ_PER_MOL

interface = pytest.importorskip("dftd3.interface")


def system_of(symbols, box=None, functional="pbe", **options):
    system = openmm.System()
    for _ in symbols:
        system.addParticle(1.0)
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    periodic = box is not None
    system.addForce(d3_force(symbols, functional, periodic=periodic, **options))
    return system


@pytest.mark.parametrize("three_body", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_equals_the_library(water_box, periodic, three_body):
    symbols, positions, box = water_box
    cutoff = 1.0 if three_body else 3.0  # triples of a large cutoff take seconds
    numbers = np.array([{"O": 8, "H": 1}[s] for s in symbols])
    lattice = box * NM_TO_BOHR if periodic else None
    directions = np.array([periodic] * 3)
    model = interface.DispersionModel(
        numbers, positions * NM_TO_BOHR, lattice, directions
    )
    reach = min(40.0, cutoff * NM_TO_BOHR)
    model.set_realspace_cutoff(cutoff * NM_TO_BOHR, reach, reach, 2.0, 2.0)
    damping = interface.RationalDampingParam(method="pbe", atm=three_body)
    expected = float(model.get_dispersion(damping, grad=False)["energy"])
    system = system_of(
        symbols, box if periodic else None, three_body=three_body, cutoff=cutoff
    )
    energy, _ = energy_and_forces(system, positions)
    # PythonForce hands positions over in single precision
    assert energy == pytest.approx(expected * HARTREE_TO_KJ_PER_MOL, rel=1e-5)
    assert energy < -1.0


def test_forces_are_the_gradient(water_box):
    symbols, positions, box = water_box
    system = system_of(symbols, box, cutoff=1.5)
    _, forces = energy_and_forces(system, positions)
    direction = np.random.default_rng(3).normal(size=positions.shape)
    step = 2e-4
    high, low = (
        energy_and_forces(system, positions + sign * step * direction)[0]
        for sign in (1, -1)
    )
    slope = -(high - low) / (2 * step)
    assert (forces * direction).sum() == pytest.approx(slope, rel=0.01)
    assert abs(forces).max() > 1.0


def test_any_image_is_the_same_and_so_is_a_copy(water_box):
    symbols, positions, box = water_box
    system = system_of(symbols, box, cutoff=1.5)
    energy, forces = energy_and_forces(system, positions)
    shifts = np.random.default_rng(0).integers(-3, 4, positions.shape) @ box
    text = openmm.XmlSerializer.serialize(system)
    again = openmm.XmlSerializer.deserialize(text)
    moved, moved_forces = energy_and_forces(again, positions + shifts)
    assert moved == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(moved_forces, forces, atol=1e-3 * abs(forces).max())


def test_its_settings_are_part_of_the_fingerprint(water_box):
    symbols, _, box = water_box
    prints = [
        fingerprint(system_of(symbols, box, **options), symbols)
        for options in (
            {},
            {},
            {"functional": "revpbe"},
            {"damping": "zero"},
            {"cutoff": 2.0},
            {"three_body": True},
        )
    ]
    assert prints[0] == prints[1]
    assert len({p["hash"] for p in prints}) == 5


@pytest.mark.parametrize(
    ("symbols", "options", "message"),
    [
        (["O", "Am"], {}, "expected elements from H to Pu, found Am"),
        ([], {}, "found no atoms"),
        (["O"], {"functional": "none"}, "expected a functional .* found 'none'"),
        (["O"], {"damping": "tang"}, "expected damping of .*'bj'.*'tang'"),
        (["O"], {"cutoff": 0.0}, "expected a cutoff above 0 nm, found 0.0"),
    ],
)
def test_bad_input(symbols, options, message):
    with pytest.raises(ValueError, match=message):
        system_of(symbols, **options)


@pytest.mark.parametrize("periodic", [False, True])
def test_baseline_with_dispersion(water_box, periodic):
    """Energy, forces and stress of a baseline's System are those of its parts."""
    symbols, positions, box = water_box
    topology = make_topology(symbols, box if periodic else None, waters=True)
    charges, cores = {"O": -0.8, "H": 0.4}, {"O": (0.315, 0.636)}
    plain = nonbonded_system(topology, charges, cores, cutoff=0.4)
    system = nonbonded_system(topology, charges, cores, cutoff=0.4, d3="PBE")
    assert [f.getName() for f in system.getForces()][-1] == "D3"
    d3 = system_of(symbols, box if periodic else None)
    whole, *parts = (energy_and_forces(s, positions) for s in (system, plain, d3))
    assert whole[0] == pytest.approx(sum(energy for energy, _ in parts), rel=1e-7)
    np.testing.assert_allclose(whole[1], sum(f for _, f in parts), atol=1e-4)
    assert parts[1][0] < -1.0

    structure = Structure(
        tuple(symbols),
        positions * 10,
        box * 10 if periodic else np.zeros((3, 3)),
        np.full(3, periodic),
        energy=0.0,
        forces=np.zeros(positions.shape),
        stress=np.zeros((3, 3)) if periodic else None,
    )
    rest, plain_rest = (subtract_baseline([structure], s)[0] for s in (system, plain))
    assert plain_rest.baseline["hash"] != rest.baseline["hash"]
    energy, forces, virial = library_result(symbols, positions, box, periodic)
    assert plain_rest.energy - rest.energy == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(
        plain_rest.forces - rest.forces, forces, atol=1e-4 * abs(forces).max()
    )
    if periodic:
        stress = virial / np.linalg.det(10 * box)
        np.testing.assert_allclose(
            plain_rest.stress - rest.stress, stress, atol=0.02 * abs(stress).max()
        )


def library_result(symbols, positions, box, periodic):
    """Energy (eV), forces (eV/Å) and virial (eV) of D3 by the library alone."""
    numbers = np.array([{"O": 8, "H": 1}[s] for s in symbols])
    model = interface.DispersionModel(
        numbers,
        positions * NM_TO_BOHR,
        box * NM_TO_BOHR if periodic else None,
        np.full(3, periodic),
    )
    model.set_realspace_cutoff(3 * NM_TO_BOHR, 40.0, 40.0, 2.0, 2.0)
    damping = interface.RationalDampingParam(method="pbe", atm=False)
    result = model.get_dispersion(damping, grad=True)
    hartree = HARTREE_TO_KJ_PER_MOL / EV_TO_KJ_PER_MOL
    forces = -result["gradient"] * hartree * NM_TO_BOHR / 10
    return float(result["energy"]) * hartree, forces, result["virial"] * hartree


def test_model_beside_a_baseline_with_dispersion(model, water_box):
    """A delta model goes beside the baseline with D3, and not beside it without."""
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    charges = {"O": -0.8, "H": 0.4}
    system = nonbonded_system(topology, charges, cutoff=0.4, d3="pbe")
    provenance = {"baseline": fingerprint(system, symbols)}
    delta = Model(**vars(model) | {"kind": "delta", "provenance": provenance})
    options = {"backend": "pythonforce", "precision": "double"}
    potential = AllegroPotential(delta)
    both = potential.add_to_system(topology, system, **options)
    alone = AllegroPotential(model).create_system(topology, **options)
    (energy, forces), *parts = (
        energy_and_forces(s, positions) for s in (both, system, alone)
    )
    assert energy == pytest.approx(sum(e for e, _ in parts), rel=1e-6)
    total = sum(f for _, f in parts)
    np.testing.assert_allclose(forces, total, atol=1e-4 * abs(total).max())
    without = nonbonded_system(topology, charges, cutoff=0.4)
    with pytest.raises(ValueError, match="PythonForce"):
        potential.add_to_system(topology, without, **options)


def test_a_pickle_of_before_the_move_is_read():
    """A serialized System names the class of its function by the path of that time."""
    assert pickle.loads(b"copenmm_allegro.dispersion\nD3\n.") is D3
