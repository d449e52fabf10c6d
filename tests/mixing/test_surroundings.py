# SPDX-License-Identifier: MIT
"""Electrostatic embedding: charges of a model among those of a force field."""

import math
from itertools import combinations

import numpy as np
import openmm
import pytest
from embedded_helpers import (
    ALPHA,
    REGION,
    START,
    box_of_waters,
    charged,
    mixed,
    model_alone,
    nonbonded,
    set_charge,
    slope,
)
from helpers import water_model
from openmm_helpers import (
    context_of,
    energy_and_forces,
    evaluate,
    skip_without,
    water_system,
)

from openmm_allegro.forces import allegro_module
from openmm_allegro.plugin.engine import Engine, is_native
from openmm_allegro.potential.computation import computations
from openmm_allegro.potential.description import notes_of
from openmm_allegro.simulate.identity import identify
from openmm_allegro.units import (
    COULOMB_EV_ANGSTROM_CODATA,
    COULOMB_KJ_MOL_NM,
    EV_TO_KJ_PER_MOL,
    NM_TO_ANGSTROM,
)


@pytest.mark.parametrize(
    ("total", "rest"), [(0, 0), (-1, 1), (-1, 0), (0, 1), (1, 1), (0, None)]
)
def test_the_same_charges_as_in_mechanical_embedding(water_box, total, rest):
    """With charges of elements alone both differ by pairs inside the region.

    There the force field's pairs are left out, and the model has Gaussian charges.
    Images, surroundings and background are the same, whatever are the charges of the
    region and of the box.
    """
    periodic = rest is not None
    given = box_of_waters(water_box, charge=total, rest=rest, periodic=periodic)
    model = charged("constant")
    start = np.array([START[s] for s in ["O", "H", "H"] * 2])
    charges = start + (total - start.sum()) / len(REGION)
    electrostatic = mixed(model, given)
    for index, value in zip(REGION, charges, strict=True):
        set_charge(nonbonded(given[2]), index, value)
    mechanical = mixed(water_model(), given, embedding="mechanical")
    energies, forces = zip(
        *(energy_and_forces(s, given[1]) for s in (electrostatic, mechanical)),
        strict=True,
    )
    expected, expected_forces = 0.0, np.zeros_like(given[1])
    alpha = ALPHA * NM_TO_ANGSTROM
    side = 0.93 if periodic else np.inf
    for (i, q), (j, p) in combinations(zip(REGION, charges, strict=True), 2):
        vector = given[1][j] - given[1][i]
        if np.isfinite(side):
            vector -= side * np.round(vector / side)
        r = np.linalg.norm(vector)
        energy = COULOMB_KJ_MOL_NM * q * p * math.erf(alpha * r) / r
        gauss = 2 * alpha / math.sqrt(math.pi) * math.exp(-((alpha * r) ** 2))
        slope = COULOMB_KJ_MOL_NM * q * p * gauss / r - energy / r
        expected += energy
        expected_forces[i] += slope * vector / r
        expected_forces[j] -= slope * vector / r
    assert energies[0] - energies[1] == pytest.approx(
        expected, abs=0.01 if periodic else 1e-8
    )
    difference = forces[0] - forces[1] - expected_forces
    assert abs(difference).max() < (0.2 if periodic else 1e-6)  # of meshes
    assert abs(expected) > 50 and abs(expected_forces).max() > 100


@pytest.mark.parametrize("periodic", [True, False])
def test_forces_are_derivatives(water_box, periodic):
    """On atoms of the region and on charges around it, and none on the whole."""
    given = box_of_waters(water_box, periodic=periodic)
    system = model_alone(mixed(charged("learned"), given))
    context = context_of(system, given[1])

    def energy_at(positions, box=None):
        if box is not None:
            context.setPeriodicBoxVectors(*box)
        context.setPositions(positions)
        return context.getState(energy=True).getPotentialEnergy()._value

    random = np.random.default_rng(0)
    _, forces = evaluate(context)
    outside = np.setdiff1d(np.arange(81), REGION)
    for atoms in (REGION, outside):
        step = np.zeros_like(forces)
        step[atoms] = random.normal(size=(len(atoms), 3))
        numeric = -slope(lambda h, step=step: energy_at(given[1] + h * step))
        assert (forces * step).sum() == pytest.approx(numeric, rel=1e-6)
    assert abs(forces[outside]).max() > 10
    if not periodic:
        assert abs(forces.sum(0)).max() < 1e-9 * abs(forces).max()
        return
    assert abs(forces.sum(0)).max() < 1e-4 * abs(forces).max()
    # by the strain, and by a barostat's energies
    box = np.diag([0.93] * 3)
    _, _, strain = computations(system, context)[0].run(given[1], box)
    for i, j in ((0, 0), (1, 2)):
        unit = np.zeros((3, 3))
        unit[i, j] = unit[j, i] = 1.0
        unit = np.tril(unit) * (
            1.0 if i == j else 2.0
        )  # boxes of OpenMM are triangular
        numeric = slope(
            lambda h, unit=unit: energy_at(
                given[1] @ (np.eye(3) + h * unit), box @ (np.eye(3) + h * unit)
            )
        )
        found = (strain * unit).sum() * EV_TO_KJ_PER_MOL
        assert found == pytest.approx(numeric, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize(("kind", "periodic"), [("learned", True), ("constant", False)])
def test_native_equals_torch(water_box, kind, periodic):
    """To rounding, for energies, forces on all particles and the strain."""
    given = box_of_waters(water_box, charge=-1.0, rest=0.0, periodic=periodic)
    box = np.diag([0.93] * 3) if periodic else None
    results = []
    for backend in ("pythonforce", "native"):
        system = mixed(charged(kind), given, backend=backend)
        context = context_of(system, given[1])
        found = computations(system, context)[0].run(given[1], box)
        results.append([*evaluate(context), *found])
    for torch_has, native in zip(*results, strict=True):
        np.testing.assert_allclose(native, torch_has, rtol=1e-11, atol=1e-8)


def test_pairs_in_an_oblique_box(water_box):
    """All of them up to the cutoff, of which rounded fractions of the box miss some."""
    import torch

    symbols, positions, _ = water_box
    box = 0.95 * np.array([[1.0, 0.0, 0.0], [0.49, 1.0, 0.0], [-0.49, 0.49, 1.0]])
    topology, system = water_system(symbols, box, cutoff=0.45)
    given = topology, positions, system
    system = mixed(charged("constant"), given, backend="pythonforce")
    (module,) = filter(None, map(allegro_module, system.getForces()))
    cell = box * NM_TO_ANGSTROM
    own, others = (
        positions[index] * NM_TO_ANGSTROM for index in (REGION, module.others)
    )
    found = module._direct(
        *map(torch.tensor, (own, others, cell, np.ones(len(own))))
    ).energies
    shifts = np.stack(np.meshgrid(*[range(-3, 4)] * 3), -1).reshape(-1, 3) @ cell
    vectors = others[None, :, None] - own[:, None, None] + shifts
    r = np.linalg.norm(vectors, axis=-1)
    r[r > 4.5] = np.inf
    erfc = torch.erfc(torch.tensor(ALPHA * r)).numpy()
    points = COULOMB_EV_ANGSTROM_CODATA * module.points.numpy()[:, None]
    expected = (points * erfc / r).sum((1, 2))
    assert found.numpy() == pytest.approx(expected, abs=1e-12)


def test_no_force_on_the_whole_and_the_given_charge(water_box):
    given = box_of_waters(water_box)
    system = mixed(charged("learned"), given, total_charge=1.0)
    _, forces = energy_and_forces(system, given[1])
    assert abs(forces.sum(0)).max() < 1e-4 * abs(forces).max()
    one = Engine(next(f for f in system.getForces() if is_native(f)))
    charges = one.charges(given[1], np.diag([0.93] * 3))
    assert charges.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.ptp(charges[[0, 3]]) > 1e-3  # oxygens
    energies, inner, _ = one.run(given[1], np.diag([0.93] * 3))
    assert energies.shape == (6,) and inner.shape == (6, 3)
    assert one.particles.tolist() == REGION


@pytest.mark.parametrize(
    "backend", ["native", pytest.param("torchforce", marks=pytest.mark.slow)]
)
def test_a_barostat(water_box, backend):
    """Energies after volume moves are those of a new Context."""
    skip_without(backend)
    given = box_of_waters(water_box)
    system = mixed(charged("learned"), given, backend=backend)
    system = openmm.XmlSerializer.clone(system)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    context = context_of(system, given[1], timestep=1e-9)
    context.getIntegrator().step(6)
    state = context.getState(energy=True, positions=True)
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    assert abs(np.linalg.det(box) - 0.93**3) > 1e-4
    positions = state.getPositions(asNumpy=True)._value
    other = mixed(charged("learned"), given)
    energy, _ = energy_and_forces(other, positions, box=box)
    assert state.getPotentialEnergy()._value == pytest.approx(energy, rel=1e-9)


@pytest.mark.parametrize("method", ["PME", "LJPME", "NoCutoff"])
def test_interpolation(water_box, method):
    """λ = 0 is the force field, λ = 1 the mixed System, linear between."""
    periodic = method != "NoCutoff"
    method = getattr(openmm.NonbondedForce, method)
    given = box_of_waters(water_box, charge=-1.0, periodic=periodic, method=method)
    model = charged("learned")
    system = mixed(model, given, interpolate=True)
    context = context_of(system, given[1])
    found = []
    for value in (0.0, 0.3, 1.0):
        context.setParameter("lambda_interpolate", value)
        found.append(evaluate(context))
    ends = [energy_and_forces(s, given[1]) for s in (given[2], mixed(model, given))]
    assert abs(ends[0][0] - ends[1][0]) > 50
    for value, (energy, forces) in zip((0.0, 0.3, 1.0), found, strict=True):
        expected = (1 - value) * ends[0][0] + value * ends[1][0]
        assert energy == pytest.approx(expected, rel=1e-9)
        expected = (1 - value) * ends[0][1] + value * ends[1][1]
        np.testing.assert_allclose(forces, expected, rtol=1e-9, atol=1e-6)


def test_committee_and_description(water_box):
    """A committee has the mean, each member with charges of its own."""
    given = box_of_waters(water_box)
    models = [charged("learned", 5), charged("constant", 6)]
    alone = [energy_and_forces(mixed(m, given), given[1]) for m in models]
    system = mixed(models, given)
    energy, forces = energy_and_forces(system, given[1])
    assert energy == pytest.approx(np.mean([e for e, _ in alone]), rel=1e-9)
    mean = np.mean([f for _, f in alone], axis=0)
    np.testing.assert_allclose(forces, mean, rtol=1e-9, atol=1e-6)
    notes = notes_of(identify(system, given[0]).descriptions)
    assert notes["embedding"] == "electrostatic" and notes["total_charge"] == 0.0
    mechanical = mixed(models[0], given, embedding="mechanical")
    assert "embedding" not in notes_of(identify(mechanical, given[0]).descriptions)


def refusals():
    """What is changed in the System, the arguments, and the message."""
    yield (
        "screened",
        lambda s: None,
        {"model": charged("learned", dipole_weight=0.0)},
        ("labels of charges or dipoles, found one without.*screened_charges=True"),
    )
    yield "none", lambda s: None, {"model": water_model()}, "with charges, found one"
    yield "unknown", lambda s: None, {"embedding": "polarised"}, "of .*'electrostatic'"

    def cut_off(system):
        nonbonded(system).setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)

    yield (
        "reaction field",
        cut_off,
        {},
        "without a reaction field, found CutoffPeriodic",
    )

    def short(system):
        nonbonded(system).setCutoffDistance(0.3)

    yield "short", short, {}, "cutoff of at least 3.1 Å.*found 3 Å"

    def excepted(system):
        nonbonded(system).addException(2, 30, 0.0, 1.0, 0.0)

    yield "border", excepted, {}, "across the border.*atoms 2 and 30"

    def scaled(system):
        nonbonded(system).addGlobalParameter("scale", 1.0)
        nonbonded(system).addParticleParameterOffset("scale", 30, 0.1, 0.0, 0.0)

    yield "scaled", scaled, {}, "constant charges.*'scale'"

    def fractional(system):
        set_charge(nonbonded(system), 0, -0.5)

    yield "fractional", fractional, {}, r"expected total_charge.*\+0.334 e"

    def solvent(system):
        force = openmm.GBSAOBCForce()
        for _ in range(81):
            force.addParticle(0.0, 0.1, 0.8)
        system.addForce(force)

    yield "solvent", solvent, {}, "no implicit solvent.*found a GBSAOBCForce"

    def second(system):
        system.addForce(openmm.XmlSerializer.clone(nonbonded(system)))

    yield "second", second, {}, "one NonbondedForce in mm_system"


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [pytest.param(*case, id=name) for name, *case in refusals()],
)
def test_refused(water_box, change, arguments, message):
    given = box_of_waters(water_box)
    change(given[2])
    model = arguments.pop("model", None) or charged("constant")
    with pytest.raises(ValueError, match=message):
        mixed(model, given, **arguments)
