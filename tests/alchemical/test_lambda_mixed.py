# SPDX-License-Identifier: MIT
"""Both ends of λ are the force field's System and the mixed one, in any box."""

import importlib.util

import numpy as np
import openmm
import pytest
from openmm import unit

if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from lambda_helpers import KELVIN, R, two_oscillators
from mixed_helpers import SOLUTE, organic_model, solvated

from openmm_allegro import AllegroPotential
from openmm_allegro.alchemical import lambda_exchange, switch_states
from openmm_allegro.alchemical.starts import read_start
from openmm_allegro.alchemical.systems import at_lambda, end_system, lambda_groups
from openmm_allegro.alchemical.works import read_works
from openmm_allegro.replica_exchange import read_replicas
from openmm_allegro.replica_exchange.samples import read_arrays

BAR = 0.0602214  # kJ/mol per nm³
OPTIONS = {
    "temperature": KELVIN * unit.kelvin,
    "pressure": 2000 * unit.bar,
    "timestep": 0.2 * unit.femtosecond,
    "platform": "CPU",
    "threads": 1,
    "minimize": False,
    "progress": False,
    "seed": 2,
}


@pytest.fixture(scope="module")
def mixed():
    """N-methylacetamide in water (PME) as the model's region: the box and Systems."""
    box, potential = solvated(), AllegroPotential(organic_model())

    def make(**options):
        return potential.create_mixed_system(
            box.topology,
            box.system,
            range(SOLUTE),
            remove_constraints=False,
            backend="native",
            **options,
        )

    return box, make(interpolate=True), make()


def energy_of(system):
    """A function of positions and box: the energy on one thread in kJ/mol."""
    platform, threads = openmm.Platform.getPlatformByName("CPU"), {"Threads": "1"}
    integrator = openmm.VerletIntegrator(0.001)
    context = openmm.Context(system, integrator, platform, threads)

    def energy(positions, vectors):
        context.setPeriodicBoxVectors(*np.asarray(vectors, dtype=float))
        context.setPositions(np.asarray(positions, dtype=float))
        return context.getState(energy=True).getPotentialEnergy()._value

    return energy


def test_replicas_have_the_energies_of_both_ends_at_their_pressure(mixed, tmp_path):
    box, system, end = mixed
    lambda_exchange(
        box.topology,
        box.positions,
        system,
        tmp_path / "x",
        lambdas=(0.0, 1.0),
        iterations=2,
        steps_per_iteration=50,
        checkpoint_interval=1,
        **OPTIONS,
    )
    _, replicas = read_replicas(tmp_path / "x")
    _, (reduced,) = read_arrays(tmp_path / "x", "energies")
    ends, volumes = [energy_of(box.system), energy_of(end)], set()
    for replica, trajectory in enumerate(replicas):
        for index, frame in enumerate(trajectory, start=1):
            volume = float(frame.unitcell_volumes[0])
            volumes.add(round(volume, 5))
            what = frame.xyz[0], frame.unitcell_vectors[0]
            expected = np.array([energy(*what) for energy in ends])
            found = reduced[index, replica] * R * KELVIN - 2000 * BAR * volume
            # positions are stored in single precision
            assert found == pytest.approx(expected, abs=0.1)
            assert np.diff(found) == pytest.approx(np.diff(expected), abs=0.02)
    assert len(volumes) > 2


def test_works_are_differences_of_both_ends(mixed, tmp_path):
    box, system, end = mixed
    paths = switch_states(
        box.topology,
        box.positions,
        system,
        tmp_path / "x",
        switches=2,
        switch_steps=0,
        interval=50,
        equilibration=50,
        **OPTIONS,
    )
    classical, model, volumes = energy_of(box.system), energy_of(end), set()
    for direction, name in (("forward", "mm"), ("reverse", "ml")):
        sign = 1 if direction == "forward" else -1
        for number, work in enumerate(read_works(paths["works"])[direction]):
            start = read_start(tmp_path / f"x-{name}.starts", 50 + 50 * number)
            difference = model(*start) - classical(*start)
            # the force field's sums are in single precision here
            assert work == pytest.approx(sign * difference, abs=2e-3)
            volumes.add(np.linalg.det(start.box))
    assert len(volumes) > 2


def test_end_of_the_force_field_is_sampled_without_the_model(mixed):
    box, system, end = mixed
    classical = end_system(system, 0.0)
    names = {force.getName() for force in classical.getForces()}
    assert not names & {"Allegro", "Allegro, or what it replaces"}
    what = box.positions, box.topology.getPeriodicBoxVectors()
    what = what[0], [v.value_in_unit(unit.nanometer) for v in what[1]]
    for first, second in (
        (classical, box.system),
        (end_system(system, 1.0), end),
        (end_system(two_oscillators()[2], 0.0), None),
    ):
        if second is not None:
            energies = [energy_of(each)(*what) for each in (first, second)]
            assert energies[0] == pytest.approx(energies[1], abs=0.01)
            atoms = [molecules_of(each) for each in (first, second)]
            assert atoms[0] == atoms[1]
        else:  # nothing is known of other forces
            assert first.getNumForces() == 1


def molecules_of(system):
    """Atoms of each molecule, which barostats move."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    return sorted(map(tuple, context.getMolecules()))


def test_lambda_is_alone_in_its_group(mixed):
    """Energies at several λ leave out what does not depend on it."""
    box, system, _ = mixed
    first = at_lambda(system, 0.0)
    groups = lambda_groups(first)
    alone = [f for f in first.getForces() if f.getForceGroup() in groups]
    assert [force.getName() for force in alone] == ["Allegro, or what it replaces"]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(first, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(box.positions)
    assert context.getParameter("lambda_interpolate") == 0.0

    def energies():
        every = (
            context.getState(energy=True),
            context.getState(energy=True, groups=groups),
        )
        return np.array([state.getPotentialEnergy()._value for state in every])

    start = energies()
    context.setParameter("lambda_interpolate", 0.4)
    middle = energies()
    context.setParameter("lambda_interpolate", 1.0)
    step = energies() - start
    assert step[0] == pytest.approx(step[1], abs=1e-6)
    # the path is linear, so the derivative by λ is the difference of the ends
    assert middle - start == pytest.approx(0.4 * step, abs=1e-6)
