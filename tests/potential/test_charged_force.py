# SPDX-License-Identifier: MIT
"""Forces of models with charges: gradients of the whole, closed forms, Contexts."""

import dataclasses

import numpy as np
import openmm
import pytest
import torch
from charged_helpers import START, charged_water, two_ions
from openmm_helpers import (
    context_of,
    energy_and_forces,
    evaluate,
    make_topology,
    skip_without,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.potential.computation import computations, model_computation
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.structure import Structure
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.units import (
    COULOMB_EV_ANGSTROM_CODATA,
    EV_TO_KJ_PER_MOL,
    NM_TO_ANGSTROM,
)

DOUBLE = ForceOptions(precision="double", backend="pythonforce")


def computation_of(model, symbols, periodic=True, **options):
    return model_computation(
        model,
        symbols,
        dataclasses.replace(DOUBLE, **options),
        periodic=periodic,
        device="cpu",
    )


@pytest.fixture(scope="module", params=["learned", "constant"])
def charged(request):
    return charged_water(request.param)


@pytest.fixture(scope="module", params=[0.0, -1.0])
def total(request):
    return request.param


@pytest.fixture(scope="module")
def computation(total, charged, water_box):
    return computation_of(charged, water_box[0], total_charge=total)


def test_forces_are_the_gradient(computation, water_box):
    """To 1e-6, with elements' charges that add up to 5.4 e in the box."""
    _, positions, box = water_box
    _, forces, _ = computation.run(positions, box)
    step = 1e-6 * np.random.default_rng(1).normal(size=positions.shape)
    ends = [computation.run(positions + s * step, box)[0].sum() for s in (-1, 1)]
    expected = -(forces * 2 * step * NM_TO_ANGSTROM).sum()
    assert ends[1] - ends[0] == pytest.approx(expected, rel=1e-6)
    assert abs(forces.sum(axis=0)).max() < 2e-4  # a mesh is fixed in the box


def test_strain_is_the_derivative(computation, water_box):
    _, positions, box = water_box
    strain = computation.run(positions, box)[2]
    step = 1e-6 * np.random.default_rng(2).normal(size=(3, 3))
    step += step.T
    ends = []
    for sign in (-1, 1):
        deform = np.eye(3) + sign * step
        ends.append(computation.run(positions @ deform, box @ deform)[0].sum())
    assert ends[1] - ends[0] == pytest.approx((strain * 2 * step).sum(), rel=1e-6)


@pytest.mark.parametrize("kernel", ["auto", "plain"])
def test_training_predicts_the_same(charged, water_box, kernel):
    """By an exact sum in double; what is deployed has a mesh and a float32 network."""
    symbols, positions, box = water_box
    cell = box * NM_TO_ANGSTROM
    structure = Structure(
        tuple(symbols), positions * NM_TO_ANGSTROM, cell, np.full(3, True), charge=1.0
    )
    samples = make_samples([structure], charged.config, torch.float64)
    expected = predict(charged.energy, collate(samples, charged.config))
    computation = computation_of(
        charged, symbols, precision="mixed", total_charge=1.0, kernel=kernel
    )
    energies, forces, strain = computation.run(positions, box)
    assert energies.sum() == pytest.approx(float(expected.energies[0]), abs=1e-3)
    assert abs(forces - expected.forces.numpy()).max() < 2e-5
    stress = strain / np.linalg.det(cell)
    assert stress == pytest.approx(expected.stresses[0].numpy(), abs=1e-6)
    charges = computation.charges(positions, box)
    assert charges == pytest.approx(expected.charges.numpy(), abs=1e-6)


def test_charges_have_the_total(charged, computation, water_box, total):
    _, positions, box = water_box
    charges = computation.charges(positions, box)
    assert charges.sum() == pytest.approx(total, abs=1e-12)
    oxygen, hydrogen = charges[::3], np.delete(charges, np.s_[::3])
    assert oxygen.max() < hydrogen.min()
    if charged.config.charges == "constant":
        assert hydrogen[0] - oxygen[0] == pytest.approx(START["H"] - START["O"])
        assert np.ptp(oxygen) < 1e-15
    else:
        assert np.ptp(oxygen) > 0.01


@pytest.mark.parametrize("distance", [8.0, 20.0])
def test_ions_beyond_the_cutoff(distance):
    """Coulomb's law in vacuum, with the charges that the total leaves: 0.85 e."""
    run = computation_of(two_ions(), ["Na", "Cl"], periodic=False).run
    energies, forces, _ = run(np.array([[0.0, 0, 0], [0, 0, distance / 10]]))
    product = -COULOMB_EV_ANGSTROM_CODATA * 0.85**2
    apart = -3.0  # eV, the shifts
    assert energies.sum() - apart == pytest.approx(product / distance, rel=1e-9)
    assert forces[1, 2] == pytest.approx(product / distance**2, rel=1e-9)
    assert forces[0, 2] == -forces[1, 2]


@pytest.mark.parametrize("kernel", ["plain", "auto"])
def test_charges_of_zero_are_the_local_model(model, water_box, kernel):
    """Bit for bit."""
    symbols, positions, box = water_box
    neutral = charged_water("constant", start={"H": 0.0, "O": 0.0})
    results = [
        computation_of(one, symbols, kernel=kernel).run(positions, box)
        for one in (model, neutral)
    ]
    for local, other in zip(*results, strict=True):
        assert np.array_equal(local, other)


def test_supercell(charged, water_box):
    """Energies of atoms do not depend on how many boxes the box is made of."""
    symbols, positions, box = water_box
    doubled = box * [[2], [1], [1]]
    both = np.vstack((positions, positions + box[0]))
    once = computation_of(charged, symbols).run(positions, box)
    twice = computation_of(charged, symbols * 2).run(both, doubled)
    assert twice[0][: len(symbols)] == pytest.approx(once[0], abs=1e-6)
    assert twice[1][: len(symbols)] == pytest.approx(once[1], abs=1e-5)
    assert twice[2] == pytest.approx(2 * once[2], abs=1e-4)


@pytest.mark.parametrize(
    ("charged", "backend"),
    [
        *(("learned", name) for name in ("torchforce", "pythonforce", "native")),
        pytest.param("constant", "torchforce", marks=pytest.mark.slow),
        *(("constant", name) for name in ("pythonforce", "native")),
    ],
    indirect=["charged"],
)
def test_system(charged, water_box, backend):
    """All backends compute the same, also those of Systems that were read from XML."""
    skip_without(backend)
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(charged).create_system(
        topology, backend=backend, total_charge=1.0
    )
    read = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    context, other = (context_of(system, p) for p in (positions, positions * 1.01))
    energy, forces = evaluate(context)
    assert abs(evaluate(other)[0] - energy) > 1.0
    assert evaluate(context)[0] == energy  # the other Context has changed nothing
    assert energy_and_forces(read, positions)[0] == energy
    (computation,) = computations(read)
    assert computation.is_charged
    results = computation.run(positions, box)
    assert energy == pytest.approx(results[0].sum() * EV_TO_KJ_PER_MOL, rel=1e-9)
    expected = results[1] * EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM
    assert forces == pytest.approx(expected, rel=1e-9, abs=1e-6)
    other = computation_of(charged, symbols, precision="mixed", total_charge=1.0)
    for a, b in zip(results, other.run(positions, box), strict=True):
        assert a == pytest.approx(b, abs=2e-5)
    charges = computation.charges(positions, box)
    assert charges.sum() == pytest.approx(1.0)
    assert charges == pytest.approx(other.charges(positions, box), abs=1e-6)
    context.setPeriodicBoxVectors(*(400 * box))
    with pytest.raises(openmm.OpenMMException, match="a mesh of at most 2"):
        evaluate(context)
