# SPDX-License-Identifier: MIT
"""The native force of models with charges: two passes around the sum at long range."""

import copy

import numpy as np
import openmm
import pytest
import torch
from charge_calls import reference
from charged_helpers import charged_water
from helpers import Atoms
from openmm_helpers import (
    check_damage_is_refused,
    context_of,
    energy_and_forces,
    lattice_waters,
    make_topology,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.mixing.link_atoms import Cap
from openmm_allegro.model.charges import with_total
from openmm_allegro.model.ewald import ewald_sum, open_sum
from openmm_allegro.plugin.engine import Engine
from openmm_allegro.potential.force import model_force
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.units import EV_TO_KJ_PER_MOL

SYMBOLS, POSITIONS, BOX = lattice_waters()
TILT = np.array([[1.0, 0.0, 0.0], [0.15, 1.0, 0.0], [-0.2, 0.1, 1.0]])
CELLS = {"cubic": BOX, "triclinic": BOX @ TILT, "none": None}
TOTAL = -1.0  # e, where START alone gives the box 5.4 e


@pytest.fixture(scope="module", params=["learned", "constant"])
def charged(request):
    return charged_water(request.param)


def system_of(model, box=BOX, symbols=SYMBOLS, precision="double", **options):
    return AllegroPotential(model).create_system(
        make_topology(symbols, box),
        backend="native",
        precision=precision,
        **{"total_charge": TOTAL, **options},
    )


def engine_of(model, box=BOX, threads=1, **options):
    system = system_of(model, box, **options)
    return Engine(system.getForce(0), threads)


def exact(model, positions, box):
    """Results of ``Engine.run`` and charges by torch in double precision, no mesh."""
    energy, config = model.energy.set_dtype(torch.float64), model.config
    cell = torch.zeros(3, 3).double() if box is None else torch.tensor(box * 10)
    types = torch.tensor([config.elements.index(symbol) for symbol in SYMBOLS])
    periodic = torch.full((3,), box is not None)
    atoms = Atoms(torch.tensor(positions * 10), cell, periodic, types)
    raw = reference(energy, config, atoms)["charges"]
    charges = with_total(raw + energy.charges.start.detach()[types], TOTAL)
    if box is None:
        field = open_sum(atoms.positions, charges, config.alpha)
    else:
        field = ewald_sum(atoms.positions, cell, charges, config.alpha, 1e-14)
    seeds = field.potentials - field.potentials.mean()
    parts = reference(energy, config, atoms, seeds)
    return (
        (parts["energies"] + 0.5 * charges * field.potentials).numpy(),
        (parts["forces"] + field.forces).numpy(),
        (parts["strain"] + field.strain).numpy(),
        charges.numpy(),
    )


@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch_with_the_exact_sum(charged, cell):
    """In mixed precision to 2e-5 eV/Å, in double to the error of the mesh."""
    box = CELLS[cell]
    positions = POSITIONS if box is None else POSITIONS @ np.linalg.inv(BOX) @ box
    energies, forces, strain, charges = exact(charged, positions, box)
    assert abs(charges.sum() - TOTAL) < 1e-12
    if charged.config.charges == "learned":
        assert np.ptp(charges[::3]) > 0.01
    for precision in ("mixed", "double"):
        engine = engine_of(charged, box, precision=precision)
        assert engine.is_charged
        found = engine.run(positions, box)
        assert np.sqrt(np.mean((found[1] - forces) ** 2)) < 2e-5
        assert found[0].sum() == pytest.approx(energies.sum(), abs=2e-4)
        np.testing.assert_allclose(found[0], energies, atol=1e-4)
        np.testing.assert_allclose(found[2] + found[2].T, strain + strain.T, atol=1e-3)
        of_atoms = engine.charges(positions, box)
        np.testing.assert_allclose(of_atoms, charges, atol=1e-6)
        assert abs(of_atoms.sum() - TOTAL) < 1e-12


@pytest.mark.parametrize("cell", CELLS)
def test_forces_and_strain_are_derivatives_of_the_whole(charged, cell):
    """With charges far from neutral before their total is set: energies alone differ
    if the potentials' mean is not taken off."""
    box = CELLS[cell]
    engine = engine_of(charged, box)
    run = engine.run
    _, forces, strain = run(POSITIONS, box)
    random = np.random.default_rng(1)
    step = 1e-5 * random.normal(size=POSITIONS.shape)
    ends = [run(POSITIONS + s * step, box)[0].sum() for s in (-2, -1, 1, 2)]
    slope = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / 12
    assert slope == pytest.approx(-(forces * step * 10).sum(), rel=1e-6)
    if box is None:
        return
    bend = 1e-5 * random.normal(size=(3, 3))
    ends = []
    for sign in (-1, 1):
        deform = np.eye(3) + sign * bend
        ends.append(run(POSITIONS @ deform, box @ deform)[0].sum())
    assert (ends[1] - ends[0]) / 2 == pytest.approx((strain * bend).sum(), rel=1e-6)


def test_energy_alone_is_that_with_forces(charged):
    """Learned charges and energies come from one pass then, in volume moves too."""
    context = context_of(system_of(charged, precision="mixed"), POSITIONS)
    for scale in (1.0, 1.003, 0.99):
        context.setPeriodicBoxVectors(*(scale * BOX))
        context.setPositions(scale * POSITIONS)
        alone = context.getState(energy=True).getPotentialEnergy()
        assert alone == context.getState(energy=True, forces=True).getPotentialEnergy()


def test_volume_moves_use_the_strain(charged):
    """A barostat moves molecules: the energies that it compares are of their boxes."""
    system = system_of(charged)
    energy = []
    for sign in (-1, 1):
        scale = 1.0 + sign * 1e-5
        found = energy_and_forces(system, scale * POSITIONS, box=scale * BOX)
        energy.append(found[0] / EV_TO_KJ_PER_MOL)
    virial = np.trace(engine_of(charged).run(POSITIONS, BOX)[2])
    assert (energy[1] - energy[0]) / 2e-5 == pytest.approx(virial, rel=1e-6)
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0, 1))
    context = context_of(system, POSITIONS, timestep=1e-5)
    context.getIntegrator().step(20)
    state = context.getState(positions=True, energy=True)
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    assert abs(box[0, 0] - BOX[0, 0]) > 1e-4
    fresh = energy_and_forces(system, state.getPositions(asNumpy=True)._value, box=box)
    assert state.getPotentialEnergy()._value == pytest.approx(fresh[0], rel=1e-9)


def test_threads(charged):
    """The same bits from call to call, and the same numbers to rounding."""
    expected = engine_of(charged).run(POSITIONS, BOX)
    for threads in (2, 3):
        once, again = (
            engine_of(charged, threads=threads).run(POSITIONS, BOX) for _ in range(2)
        )
        for value, same, other in zip(once, again, expected, strict=True):
            assert np.array_equal(value, same)
            np.testing.assert_allclose(value, other, atol=1e-10)


def test_xml_copies_and_other_contexts(charged):
    system = system_of(charged, box=BOX)
    text = openmm.XmlSerializer.serialize(system)
    assert 'version="2"' in text
    expected = energy_and_forces(system, POSITIONS)
    other_charge = energy_and_forces(system_of(charged, total_charge=0.0), POSITIONS)
    assert abs(other_charge[0] - expected[0]) > 1.0
    context = context_of(system, POSITIONS)
    for other in (copy.deepcopy(system), openmm.XmlSerializer.deserialize(text)):
        assert openmm.XmlSerializer.serialize(other) == text
        energy, forces = energy_and_forces(other, POSITIONS)
        assert energy == expected[0]
        assert np.array_equal(forces, expected[1])
    context.setPositions(POSITIONS + 0.001 * np.sin(POSITIONS))
    context.getState(forces=True)
    context.setPositions(POSITIONS)  # by the other Contexts nothing has changed
    assert context.getState(energy=True).getPotentialEnergy()._value == expected[0]


def test_xml_without_charges_is_that_of_before(model):
    text = openmm.XmlSerializer.serialize(system_of(model, total_charge=0.0))
    assert 'type="AllegroForce" version="1"' in text
    for word in ("totalCharge", "images", "start=", "alpha=", "learned="):
        assert word not in text


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('alpha="', 'alpha="-1', "alpha of charges from 0.001"),
        ('start="', 'start="AAAA', "base64|whole numbers|charges of 2 elements"),
        ('start="', 'start="" was="', "expected charges of elements, found none"),
        ('totalCharge="', 'totalCharge="1e9" was="', "a total charge from"),
        ('images="', 'images="7', "images 0 to 2"),
        ('learned="', 'lernt="', "learned"),
    ],
)
def test_damaged_xml_of_charges_is_refused(before, after, message):
    system = system_of(charged_water())
    check_damage_is_refused(system.getForce(0), before, after, message)


def test_restart_is_exact_to_the_last_bit(charged):
    system = system_of(charged, precision="mixed")
    first = context_of(system, POSITIONS, timestep=0.0002)
    first.getIntegrator().step(17)
    checkpoint = first.createCheckpoint()
    first.getIntegrator().step(30)
    second = context_of(system, POSITIONS, timestep=0.0002)
    second.loadCheckpoint(checkpoint)
    second.getIntegrator().step(30)
    ends = [
        one.getState(positions=True).getPositions(asNumpy=True)._value
        for one in (first, second)
    ]
    assert np.array_equal(*ends)


def test_committee():
    """Each member has charges of its own; results are the means."""
    members = [charged_water(), charged_water("constant"), charged_water(seed=6)]
    engine, *alone = (engine_of(m, BOX) for m in (members, *members))
    assert engine.number_of_models == 3
    each = [one.run(POSITIONS, BOX) for one in alone]
    for result, found in enumerate(engine.run(POSITIONS, BOX)):
        expected = np.mean([parts[result] for parts in each], axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-11)
    each = [one.charges(POSITIONS, BOX) for one in alone]
    assert np.ptp([charges[0] for charges in each]) > 1e-3
    found = engine.charges(POSITIONS, BOX)
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-14)
    forces = np.array([one.run(POSITIONS, BOX)[1] for one in alone])
    spread = np.sqrt(forces.var(axis=0, ddof=1).sum(axis=-1))
    np.testing.assert_allclose(engine.deviation(POSITIONS, BOX), spread, atol=1e-10)


def test_supercell(charged):
    box = BOX * [[2], [1], [1]]
    both = np.vstack((POSITIONS, POSITIONS + BOX[0]))
    once = engine_of(charged, total_charge=0.0).run(POSITIONS, BOX)
    engine = engine_of(charged, box, symbols=SYMBOLS * 2, total_charge=0.0)
    twice = engine.run(both, box)
    for half in np.split(twice[0], 2):
        np.testing.assert_allclose(half, once[0], atol=3e-5)
    for half in np.split(twice[1], 2):
        np.testing.assert_allclose(half, once[1], atol=1e-4)
    np.testing.assert_allclose(twice[2], 2 * once[2], atol=1e-3)


@pytest.mark.parametrize("kind", ["constant", "learned"])
def test_charges_of_zero_are_the_local_model(model, kind):
    """Bit for bit, charges that the network adds being zero."""
    neutral = charged_water(kind, start={"H": 0.0, "O": 0.0})
    neutral.energy.charges.factors.zero_()
    none = {"total_charge": 0.0, "precision": "mixed"}
    results = [engine_of(one, **none).run(POSITIONS, BOX) for one in (model, neutral)]
    for local, other in zip(*results, strict=True):
        assert np.array_equal(local, other)


@pytest.mark.parametrize("images", ["all", "nearest", "none"])
def test_link_atoms_are_atoms(charged, images):
    """Of a part of the atoms, with caps that have charges: as the module of torch."""
    atoms, count = [0, 1, 9, 10, 11], len(SYMBOLS)
    caps = [Cap(0, 2, 0.8)]
    positions = POSITIONS.copy()
    positions[9:12] += BOX[0]
    results = []
    for backend in ("pythonforce", "native"):
        force = model_force(
            [charged],
            [*(SYMBOLS[i] for i in atoms), "H"],
            ForceOptions(backend=backend, precision="double", total_charge=TOTAL),
            atoms=[*atoms, count],
            caps=caps,
            periodic=True,
            images=images,
        )
        system = system_of(charged)
        system.removeForce(0)
        system.addForce(force)
        results.append(energy_and_forces(system, positions))
    (energy, forces), (native, of_native) = results
    assert native == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(of_native, forces, atol=1e-8)
    with pytest.raises(ValueError, match="without link atoms for charges"):
        Engine(force).charges(positions, BOX)


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_nearest_images_in_an_oblique_box(charged, backend):
    """Fewer than half of a box across, a region is whole whatever vectors are added."""
    box = 1.5 * np.array([[1.0, 0.0, 0.0], [0.49, 1.0, 0.0], [-0.49, 0.49, 1.0]])
    random = np.random.default_rng(8)
    directions = random.normal(size=(12, 3))
    directions[:2] = np.cross(box[1], box[2]), -np.cross(box[0], box[2])
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    whole = np.vstack([np.zeros(3), 0.73 * directions / lengths])
    moved = whole + random.integers(-2, 3, size=whole.shape) @ box
    symbols = ["O", *["H", "O"] * 6]
    options = ForceOptions(backend=backend, precision="double", total_charge=TOTAL)
    results = []
    for images, positions in (("none", whole), ("nearest", moved)):
        system = system_of(charged, box, symbols)
        system.removeForce(0)
        force = model_force([charged], symbols, options, periodic=True, images=images)
        system.addForce(force)
        results.append(energy_and_forces(system, positions))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-10)
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-6)


@pytest.mark.parametrize("kind", ["learned"])
def test_table(kind):
    """Charges are found with it, too."""
    plain, table = (
        engine_of(charged_water(kind), two_body=two_body, precision="mixed")
        for two_body in ("exact", "table")
    )
    expected = plain.run(POSITIONS, BOX)
    for value, other in zip(table.run(POSITIONS, BOX), expected, strict=True):
        np.testing.assert_allclose(value, other, atol=3e-4)
    charges = plain.charges(POSITIONS, BOX)
    np.testing.assert_allclose(table.charges(POSITIONS, BOX), charges, atol=1e-5)


def test_constant_energy(charged):
    """The total energy stays, while the potential one goes up and down."""
    context = context_of(system_of(charged), POSITIONS, timestep=0.0001)
    context.setVelocitiesToTemperature(300.0, 1)
    totals, potentials = [], []
    for _ in range(20):
        context.getIntegrator().step(5)
        state = context.getState(energy=True)
        potential = state.getPotentialEnergy()
        potentials.append(potential._value)
        totals.append((potential + state.getKineticEnergy())._value)
    assert np.ptp(totals) < 2e-3 * np.ptp(potentials)


def test_what_is_refused(model, charged):
    with pytest.raises(ValueError, match="without charges for virials"):
        engine_of(charged).virials(POSITIONS, BOX)
    with pytest.raises(ValueError, match="expected a model with charges"):
        engine_of(model, total_charge=0.0).charges(POSITIONS, BOX)
    huge = 1e5 * BOX
    with pytest.raises(ValueError, match=r"2\^28 points"):
        engine_of(charged, huge).run(POSITIONS, huge)
