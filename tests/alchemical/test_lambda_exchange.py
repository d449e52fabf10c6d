# SPDX-License-Identifier: MIT
"""Replicas that exchange λ: free energies of oscillators, and energies at each λ."""

import importlib.util

import numpy as np
import openmm
import pytest
from openmm import unit

# not importorskip, lest openmmtools is imported here
if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from lambda_helpers import COMMON, EXCHANGE, KELVIN, R, two_oscillators
from replica_helpers import oscillators, temper

from openmm_allegro.alchemical import lambda_exchange, lambda_free_energies
from openmm_allegro.replica_exchange import (
    read_replicas,
    read_samples,
    write_temperature,
)
from openmm_allegro.replica_exchange.samples import read_arrays


def exchange(output, made=None, **options):
    topology, positions, system, _ = made or two_oscillators()
    options = COMMON | EXCHANGE | options
    return lambda_exchange(topology, positions, system, output, **options)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    output = tmp_path_factory.mktemp("exchange") / "oscillators"
    exchange(output)
    return output


def test_free_energy_is_that_of_oscillators(sampled):
    exact = two_oscillators()[-1]
    found = lambda_free_energies(sampled)
    assert 0 < found.error[-1] < 1.0
    assert abs(found.f[-1] - exact) < 4 * found.error[-1]
    assert found.overlap.sum(axis=1) == pytest.approx(np.ones(3))
    assert not found.warnings and found.round_trips > 5
    assert ((found.acceptance > 0.2) & (found.acceptance < 1)).all()
    (few,) = lambda_free_energies(sampled, discard=84).warnings
    assert "independent samples of each λ" in few and "make more iterations" in few
    assert "lower λ" in sampled.with_suffix(".exchanges.csv").read_text()


def test_energies_are_those_of_each_lambda(sampled):
    """Stored energies of a replica at all λ, beside those of its stored positions."""
    _, replicas = read_replicas(sampled)
    record, (reduced,) = read_arrays(sampled, "energies")
    system = two_oscillators()[2]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    for replica, trajectory in enumerate(replicas):
        context.setPositions(trajectory.xyz[-1].astype(float))
        for state, value in enumerate(EXCHANGE["lambdas"]):
            context.setParameter("lambda_interpolate", value)
            energy = context.getState(energy=True).getPotentialEnergy()._value
            last = reduced[EXCHANGE["iterations"], replica, state] * R * KELVIN
            assert last == pytest.approx(energy, abs=1e-3)
    assert record["method"] == "lambda-exchange"


def test_replicas_at_one_temperature_have_velocities_of_their_own(tmp_path):
    """Free particles all begin alike; the first iteration must part them."""
    made = two_oscillators(last=1000.0, offset=0.0)
    exchange(tmp_path / "x", made, iterations=1, checkpoint_interval=1)
    _, replicas = read_replicas(tmp_path / "x")
    assert len({tuple(replica.xyz[-1].ravel()) for replica in replicas}) == 3


def test_resumes_and_compares(tmp_path):
    exchange(tmp_path / "x", iterations=4, checkpoint_interval=2)
    again = {"checkpoint_interval": 2, "resume": True}
    with pytest.raises(ValueError, match=r"lambdas \[0.0, 0.3, 1.0\] rather than"):
        exchange(tmp_path / "x", lambdas=(0.0, 0.5, 1.0), **again)
    exchange(tmp_path / "x", iterations=6, **again)
    _, (states,) = read_arrays(tmp_path / "x", "states")
    assert len(states) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambdas": (0.0, 0.5)}, "lambdas that ascend from 0 to 1, found 0, 0.5"),
        ({"lambdas": (0.0, 0.5, 0.5, 1.0)}, "lambdas that ascend"),
        ({"lambdas": (0.0, 2.0)}, "at most 1"),
        ({"temperature": 300.0}, "a quantity in kelvin for temperature"),
        ({"pressure": 1 * unit.bar}, "a periodic System"),
    ],
)
def test_bad_settings_of_an_exchange(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        exchange(tmp_path / "x", **options)
    assert not list(tmp_path.iterdir())


def test_a_system_without_lambda_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lambda_interpolate.*found one with spring"):
        exchange(tmp_path / "x", (*oscillators(), 0.0))


def test_other_runs_are_refused(tmp_path, sampled):
    temper(tmp_path / "x", iterations=1)
    with pytest.raises(ValueError, match="found one of parallel-tempering"):
        lambda_free_energies(tmp_path / "x")
    with pytest.raises(ValueError, match="found one of lambda-exchange"):
        read_samples(sampled)


def test_frames_of_one_lambda(sampled, tmp_path):
    """Those of the model are at its minimum, and closer to it."""
    spread = [
        write_temperature(sampled, index, tmp_path / f"{index}.xtc").xyz.std()
        for index in (0, 2)
    ]
    assert spread[1] < spread[0]
    with pytest.raises(ValueError, match="index from 0 to 2, found 3"):
        write_temperature(sampled, 3, tmp_path / "3.xtc")
