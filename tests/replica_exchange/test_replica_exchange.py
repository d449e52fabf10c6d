# SPDX-License-Identifier: MIT
"""Parallel tempering of harmonic oscillators, whose thermodynamics is known."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import make_topology, skip_without

# not importorskip, lest openmmtools is imported here
if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from replica_helpers import ATOMS, LADDER, SPRING, oscillators, temper
from scipy.special import betainc

from openmm_allegro import AllegroPotential
from openmm_allegro.replica_exchange import (
    averages,
    basin_free_energy,
    exchanges,
    free_energies,
    parallel_tempering,
    read_replicas,
    read_samples,
    temperature_ladder,
    write_temperature,
)

DEGREES = 3 * ATOMS
R = 8.31446261815324e-3  # kJ/(mol K)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    output = tmp_path_factory.mktemp("tempering") / "oscillators"
    temper(output, iterations=250)
    return output


def test_thermodynamics_is_that_of_oscillators(sampled):
    """f = -(n/2) ln T, E = n R T / 2, C = n R / 2, within four errors."""
    found = free_energies(sampled)
    kelvin = found.temperatures
    expected = -0.5 * DEGREES * np.log(kelvin / kelvin[0])
    assert (found.f_error[1:] < 0.1).all()
    assert (np.abs(found.f - expected)[1:] < 4 * found.f_error[1:]).all()
    assert (found.energy_error < 0.05 * found.energy).all()
    assert (
        np.abs(found.energy - 0.5 * DEGREES * R * kelvin) < 4 * found.energy_error
    ).all()
    assert (found.heat_capacity_error < 0.25 * found.heat_capacity).all()
    assert (
        np.abs(found.heat_capacity - 0.5 * DEGREES * R) < 4 * found.heat_capacity_error
    ).all()
    assert found.inefficiency < 5


def test_acceptance_is_that_of_gamma_distributed_energies(sampled):
    """Overlap of the energies of n oscillators at two temperatures.

    Both are gamma distributed with shape n/2, and the acceptance is twice the chance
    that the colder one has the higher energy, a regularised incomplete beta function.
    250 independent iterations give it to 0.03.
    """
    found = exchanges(sampled)
    lower, higher = found.temperatures[:-1], found.temperatures[1:]
    expected = 2 * betainc(0.5 * DEGREES, 0.5 * DEGREES, lower / (lower + higher))
    assert found.acceptance == pytest.approx(expected, abs=0.1)
    assert (found.round_trips > 10).all()
    table = Path(f"{sampled}.exchanges.csv").read_text().splitlines()
    assert len(table) == 1 + len(LADDER)
    assert float(table[1].split(",")[4]) == pytest.approx(found.acceptance[0], abs=1e-4)


def test_averages_between_the_temperatures(sampled):
    """<x²> = RT / spring, and the chance to be within one standard deviation."""
    _, replicas = read_replicas(sampled)
    x = np.stack([replica.xyz[:, 0, 0] for replica in replicas], axis=1)
    kelvin = 330.0
    mean, error = averages(sampled, x**2, kelvin)
    assert error < 0.15 * mean
    assert abs(mean - R * kelvin / SPRING) < 4 * error
    inside = np.abs(x) < np.sqrt(R * kelvin / SPRING)
    value, error = basin_free_energy(sampled, inside, ~inside, kelvin)
    expected = -R * kelvin * np.log(0.3173 / 0.6827)
    assert error < 0.6
    assert abs(value - expected) < 4 * error
    with pytest.raises(ValueError, match="both basins, found"):
        basin_free_energy(sampled, x > -9, x < -9, kelvin)
    with pytest.raises(ValueError, match="from 300 to 450 K, found 290"):
        averages(sampled, x, 290)


def test_what_is_slow_widens_the_error(sampled):
    """Two labels that replicas keep for long are known less well than fast ones."""
    samples = read_samples(sampled)
    blocks = np.arange(len(samples.states))[:, None] // 10 + np.arange(3)
    slow = np.random.default_rng(0).random(100)[blocks] < 0.5
    fast = np.random.default_rng(0).random(samples.states.shape) < 0.5
    errors = [basin_free_energy(sampled, s, ~s, 300.0)[1] for s in (slow, fast)]
    assert errors[0] > 1.7 * errors[1]


def test_trajectories_have_the_energies(sampled, tmp_path):
    samples = read_samples(sampled)
    iterations, replicas = read_replicas(sampled)
    assert iterations.tolist() == samples.iterations.tolist()
    energies = [0.5 * SPRING * (r.xyz**2).sum(axis=(1, 2)) for r in replicas]
    assert np.transpose(energies) == pytest.approx(samples.energies, rel=1e-4)
    coldest = write_temperature(sampled, 0, tmp_path / "cold.xtc")
    energy = 0.5 * SPRING * (coldest.xyz**2).sum(axis=(1, 2))
    at = samples.energies[samples.states == 0]
    assert energy == pytest.approx(at, rel=1e-4)
    assert (tmp_path / "cold.xtc").stat().st_size > 1000
    with pytest.raises(ValueError, match="index from 0 to 2, found 3"):
        write_temperature(sampled, 3, tmp_path / "none.xtc")


@pytest.mark.parametrize("exchange", ["all", "neighbors"])
def test_same_seed_same_run(tmp_path, exchange):
    for name in ("a", "b"):
        temper(tmp_path / name, iterations=4, exchange=exchange)
    one, other = (read_samples(tmp_path / name) for name in ("a", "b"))
    assert (one.states == other.states).all()
    assert one.energies.tolist() == other.energies.tolist()


def test_global_random_numbers_are_left_alone(tmp_path):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    temper(tmp_path / "run", iterations=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_instability_is_an_error(tmp_path):
    topology, positions, system = oscillators("spring*sqrt(0.1 - x)")
    with pytest.raises(RuntimeError, match="simulation in iteration 1") as error:
        parallel_tempering(
            topology,
            positions,
            system,
            tmp_path / "run",
            temperatures=LADDER,
            timestep=10 * unit.femtosecond,
            platform="Reference",
            minimize=False,
            progress=False,
        )
    record = json.loads((tmp_path / "run.json").read_text())
    assert "found an unstable" in str(error.value)
    assert record["stopped"] in str(error.value) and "NaN" in record["stopped"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatures": [300, 330]}, "as a quantity in kelvin"),
        ({"temperatures": [300] * unit.kelvin}, "at least 2 ascending"),
        ({"temperatures": [330, 300] * unit.kelvin}, "at least 2 ascending"),
        ({"temperatures": [0, 300] * unit.kelvin}, "above 0, found 0"),
        ({"timestep": 0.5}, "a quantity in femtosecond for timestep"),
        ({"iterations": 0}, "iterations of at least 1"),
        ({"steps_per_iteration": 1.5}, "an integer for steps_per_iteration"),
        ({"exchange": "none"}, "exchange of"),
        ({"pressure": 1 * unit.bar}, "a periodic System"),
        ({"resume": True, "overwrite": True}, "found both"),
        ({"platform": "Abacus"}, "a platform of"),
    ],
)
def test_bad_input(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        temper(tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


def test_barostat_in_the_system_is_refused(tmp_path):
    topology, positions, system = oscillators()
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    with pytest.raises(ValueError, match="without a barostat"):
        parallel_tempering(
            topology, positions, system, tmp_path / "run", temperatures=LADDER
        )


def test_ladder():
    assert LADDER._value[1] == pytest.approx(np.sqrt(300 * 450))
    with pytest.raises(ValueError, match="from a lower to a higher"):
        temperature_ladder(300 * unit.kelvin, 300 * unit.kelvin, 3)


@pytest.mark.parametrize(
    ("backend", "pressure"),
    [
        ("torchforce", None),
        pytest.param("pythonforce", None, marks=pytest.mark.slow),
        ("native", 1 * unit.bar),
    ],
)
def test_our_force_in_each_replica(
    model, water_box, tmp_path, monkeypatch, backend, pressure
):
    """One Context for all; energies are those of the stored positions.

    It continues with another backend, or another reason for the same.
    """
    if backend == "torchforce":
        skip_without("torchforce")
    from openmmtools.states import ThermodynamicState

    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    potential = AllegroPotential(model)
    system = potential.create_system(topology, backend=backend)
    made = []
    create = ThermodynamicState.create_context
    monkeypatch.setattr(
        ThermodynamicState,
        "create_context",
        lambda *arguments: made.append(1) or create(*arguments),
    )
    options = {
        "temperatures": [300, 320] * unit.kelvin,
        "steps_per_iteration": 3,
        "timestep": 0.2 * unit.femtosecond,
        "pressure": pressure,
        "platform": "Reference",
        "minimize": False,
        "checkpoint_interval": 1,
        "threads": 1,
        "progress": False,
    }
    output = tmp_path / "water"
    parallel_tempering(topology, positions, system, output, iterations=1, **options)
    other = "auto" if backend == "native" else "native"
    parallel_tempering(
        topology,
        positions,
        potential.create_system(topology, backend=other),
        output,
        iterations=2,
        resume=True,
        **options,
    )
    assert len(made) == 2  # one each
    samples = read_samples(output)
    _, replicas = read_replicas(output)
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    for replica, energies in zip(replicas, samples.energies.T, strict=True):
        assert len(replica) == 2
        for frame, energy in zip(replica, energies, strict=True):
            context.setPeriodicBoxVectors(*frame.unitcell_vectors[0].astype(float))
            context.setPositions(frame.xyz[0].astype(float))
            found = context.getState(energy=True).getPotentialEnergy()._value
            if pressure is not None:  # 1 bar nm³ is 0.06 kJ/mol
                found += 0.0602 * frame.unitcell_volumes[0]
            # positions are stored in single precision, and forces are some 1000
            assert energy == pytest.approx(found, abs=0.05)


def test_imports_nothing_heavy():
    code = (
        "import sys, openmm_allegro.replica_exchange\n"
        "print([n for n in ('openmmtools', 'netCDF4', 'pymbar') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_topology_is_written(sampled):
    assert app.PDBFile(f"{sampled}.pdb").topology.getNumAtoms() == ATOMS
