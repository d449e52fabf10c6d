# SPDX-License-Identifier: MIT
"""The native force makes its two-body table from the recipe that its XML holds."""

import copy
import os
import re

import numpy as np
import openmm
import pytest
from helpers import water_model
from openmm_helpers import (
    BACKEND,
    context_of,
    energy_and_forces,
    lattice_waters,
    make_topology,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.kernels.inference.table import force_error, with_table
from openmm_allegro.plugin.engine import Engine
from openmm_allegro.plugin.force import FoldedModel, native_force

pytestmark = pytest.mark.small


@pytest.fixture(scope="module")
def other_model():
    return water_model(seed=1)


@pytest.fixture(scope="module")
def waters():
    symbols, positions, box = lattice_waters()
    return make_topology(symbols, box), positions, box


def tabulated_system(model, waters, **options):
    options = {"backend": "native", "two_body": "table"} | options
    return AllegroPotential(model).create_system(waters[0], **options)


@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_equals_the_table_in_torch_and_the_model_within_its_bound(
    model, waters, precision
):
    pytest.importorskip("torch")
    positions = waters[1]
    native, given = (
        tabulated_system(model, waters, precision=precision, backend=backend)
        for backend in ("native", "pythonforce")
    )
    energy, forces = energy_and_forces(native, positions, "CPU")
    expected, of_torch = energy_and_forces(given, positions, "CPU")
    error = 1e-12 if precision == "double" else 1e-6
    assert energy == pytest.approx(expected, rel=error)
    scale = abs(of_torch).max()
    np.testing.assert_allclose(forces, of_torch, rtol=0, atol=error * scale)
    exact = tabulated_system(model, waters, precision="double", two_body="exact")
    difference = forces - energy_and_forces(exact, positions, "CPU")[1]
    (text,) = re.findall('intervals="([^"]+)"', openmm.XmlSerializer.serialize(native))
    programs = folded(model, precision), folded(model, "double")
    tabulated = with_table(programs[0], int(text))
    bound, _ = force_error(tabulated, programs[1], model.config.elements)
    assert 0.0 < abs(difference).max() / 964.853 < bound  # kJ/(mol nm) in eV/Å


def test_copies_hold_the_recipe_alone(model, waters):
    system = tabulated_system(model, waters)
    exact = tabulated_system(model, waters, two_body="exact")
    text, of_exact = (
        openmm.XmlSerializer.serialize(one.getForce(0)) for one in (system, exact)
    )
    assert len(text) < len(of_exact) + 100
    expected = energy_and_forces(system, waters[1])
    for other in (
        copy.deepcopy(system.getForce(0)),
        openmm.XmlSerializer.deserialize(text),
    ):
        assert openmm.XmlSerializer.serialize(other) == text
        copied = copy.deepcopy(system)
        copied.removeForce(0)
        copied.addForce(other)
        energy, forces = energy_and_forces(copied, waters[1])
        assert energy == expected[0]
        assert (forces == expected[1]).all()


def both_forms(model, waters, intervals):
    """A force as XML had it once, with its table, and as it has it now."""
    program = folded(model, "mixed")
    elements = list(model.config.elements)
    types = [elements.index(a.element.symbol) for a in waters[0].atoms()]
    types = np.array(types)
    arguments = {"periodic": True, "cutoff": model.config.cutoff, "skin": 0.5}
    particles = range(len(types))
    former = FoldedModel(*with_table(program, intervals), types)
    recipe = FoldedModel(*program, types, intervals)
    return [native_force([one], particles, **arguments) for one in (former, recipe)]


def test_a_program_with_a_table_inside_is_still_read(model, waters):
    forces = both_forms(model, waters, 64)
    text = re.sub(' intervals="0"', "", openmm.XmlSerializer.serialize(forces[0]))
    assert "intervals" not in text
    former = Engine(openmm.XmlSerializer.deserialize(text), threads=1)
    recipe = Engine(forces[1], threads=1)
    for one, other in zip(
        former.run(*waters[1:]), recipe.run(*waters[1:]), strict=True
    ):
        assert (one == other).all()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_equal_forces_share_a_table_and_the_last_one_frees_it(model, waters):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    _, force = both_forms(model, waters, 4096)  # malloc keeps what is smaller
    size = with_table(folded(model, "mixed"), 4096).weights.nbytes
    assert size > 40e6
    Engine(force, threads=1).run(*waters[1:])  # what else there is to allocate
    before = resident()
    others = [copy.deepcopy(force) for _ in range(3)]
    engines = [Engine(other, threads=1) for other in others]
    assert resident() - before < 0.5 * size  # there is no table before it is needed
    for engine in engines:
        engine.run(*waters[1:])
    assert 0.7 * size < resident() - before < 1.5 * size
    del engine, engines
    assert resident() - before < 0.5 * size


def test_other_models_and_intervals_have_tables_of_their_own(
    model, waters, other_model
):
    engines = [
        Engine(both_forms(one, waters, intervals)[1], threads=1)
        for one in (model, other_model)
        for intervals in (16, 32, 16)
    ]
    energies = [engine.run(*waters[1:])[0].sum() for engine in engines]
    assert energies[0] == energies[2] and energies[3] == energies[5]
    assert len(set(energies)) == 4


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ("-1", "at most 4096 intervals, found -1"),
        ("4097", "at most 4096 intervals, found 4097"),
    ],
)
def test_numbers_of_intervals_that_no_table_has(model, waters, intervals, message):
    force = both_forms(model, waters, 16)[1]
    text = openmm.XmlSerializer.serialize(force)
    text = text.replace('intervals="16"', f'intervals="{intervals}"')
    with pytest.raises(openmm.OpenMMException, match=message):
        openmm.XmlSerializer.deserialize(text)
    program = with_table(folded(model, "mixed"), 16)
    types = np.zeros(1, dtype=np.int64)
    with pytest.raises(openmm.OpenMMException, match="expected one two-body table"):
        native_force(
            [FoldedModel(*program, types, 16)], [0], periodic=False, cutoff=3, skin=1
        )


def test_a_committee_has_a_table_of_each_member(model, waters, other_model):
    positions, box = waters[1:]
    results = []
    for backend in ("native", BACKEND):
        potential = AllegroPotential([model, other_model])
        system = potential.create_system(
            waters[0], backend=backend, two_body="table", precision="double"
        )
        results.append(energy_and_forces(system, positions))
        if backend == "native":
            engine = Engine(system.getForce(0), threads=2)
            deviation = engine.deviation(positions, box)
            virials = engine.virials(positions, box)
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(
        results[0][1], results[1][1], rtol=0, atol=1e-12 * abs(results[1][1]).max()
    )
    each = []
    for one in (model, other_model):
        system = tabulated_system(one, waters, precision="double")
        engine = Engine(system.getForce(0))
        each.append((engine.run(positions, box)[1], engine.virials(positions, box)))
    expected = np.linalg.norm(each[0][0] - each[1][0], axis=1) / np.sqrt(2.0)
    np.testing.assert_allclose(deviation, expected, rtol=1e-9)
    expected = 0.5 * (each[0][1] + each[1][1])
    np.testing.assert_allclose(virials, expected, atol=1e-12 * abs(expected).max())


def test_restart_is_exact_to_the_last_bit(model, waters):
    """From XML, whose table is made anew by another number of threads."""
    system = tabulated_system(model, waters)
    text = openmm.XmlSerializer.serialize(system)
    integrator = openmm.LangevinMiddleIntegrator(300, 1.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    first = openmm.Context(
        system, integrator, openmm.Platform.getPlatformByName("Reference")
    )
    first.setPositions(waters[1])
    first.setVelocitiesToTemperature(300, 1)
    integrator.step(7)
    checkpoint = first.createCheckpoint()
    integrator.step(20)
    expected = first.getState(positions=True).getPositions(asNumpy=True)._value
    del first  # and its table
    again = copy.deepcopy(integrator)
    second = openmm.Context(
        openmm.XmlSerializer.deserialize(text),
        again,
        openmm.Platform.getPlatformByName("Reference"),
    )
    second.loadCheckpoint(checkpoint)
    again.step(20)
    found = second.getState(positions=True).getPositions(asNumpy=True)._value
    assert (found == expected).all()


def test_energy_is_conserved_as_without_a_table(model, waters):
    """200 steps of 0.25 fs; drift is that of the integrator."""
    spreads = []
    for two_body in ("exact", "table"):
        system = tabulated_system(model, waters, two_body=two_body)
        context = context_of(system, waters[1], timestep=0.00025)
        context.setVelocitiesToTemperature(300, 1)
        totals = []
        for _ in range(20):
            context.getIntegrator().step(10)
            state = context.getState(energy=True)
            kinetic, potential = state.getKineticEnergy(), state.getPotentialEnergy()
            totals.append((kinetic + potential)._value)
        spreads.append(np.ptp(totals))
    assert spreads[1] < 1.1 * spreads[0]
