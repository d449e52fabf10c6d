# SPDX-License-Identifier: MIT
"""Well-tempered metadynamics: OpenMM's own, killed and resumed, and other settings."""

import json
import signal

import numpy as np
import openmm
import pytest
from bias_helpers import HILLS, KT, RESTRAINTS, SETTINGS, VARIABLES, chain_system
from openmm import app
from run_helpers import STEPS, Killer, check_same, send, start, start_killed

from openmm_allegro import Watchdogs
from openmm_allegro.bias import Metadynamics, Restraint
from openmm_allegro.bias.metadynamics import MetadynamicsBias
from openmm_allegro.bias.variables import make_force, resolve

SAMPLING = {"variables": VARIABLES, "restraints": RESTRAINTS, "bias": HILLS}


def rows(path):
    return np.genfromtxt(path, delimiter=",", names=True)


def test_hills_are_those_of_openmm(tmp_path):
    """The same trajectory and bias as openmm.app.Metadynamics, in two variables."""
    topology, positions, bare = chain_system()
    settings = Metadynamics(
        variables=("d", "bend"),
        widths=(0.2, 12.0),
        lower=(1.0, 0.0),
        upper=(6.0, 180.0),
        grid=(101, 61),
        pace=5,
        height_kj_mol=2.0,
        bias_factor=4.0,
    )
    found = resolve(VARIABLES[:2], topology, bare, {})
    ends = []
    for ours in (True, False):
        system = chain_system()[2]
        if ours:
            bias = MetadynamicsBias(settings, found, 300.0, tmp_path / "hills.csv")
            bias.add_to(system, 31)
        else:
            variables = [
                app.BiasVariable(make_force(each, system), *rest, False, points)
                for each, rest, points in zip(
                    found,
                    [(0.1, 0.6, 0.02), (0.0, np.pi, np.radians(12.0))],
                    settings.grid,
                    strict=True,
                )
            ]
            bias = app.Metadynamics(system, variables, 300.0, 4.0, 2.0, 5)
        integrator = openmm.VerletIntegrator(0.002)
        platform = openmm.Platform.getPlatform("Reference")
        simulation = app.Simulation(topology, system, integrator, platform)
        simulation.context.setPositions(positions)
        simulation.context.setVelocitiesToTemperature(300.0, 1)
        for _ in range(20):
            bias.step(simulation, 5)
        state = simulation.context.getState(positions=True, energy=True)
        ends.append(state)
        if ours:
            grid = bias.state_dict()["grid"]
    np.testing.assert_allclose(grid, bias._totalBias, rtol=1e-9, atol=1e-12)
    first, second = (each.getPositions(asNumpy=True)._value for each in ends)
    np.testing.assert_allclose(first, second, atol=1e-9)
    hills = rows(tmp_path / "hills.csv")
    assert len(hills) == 20 and hills["height_kj_mol"][0] == 2.0
    assert (np.diff(hills["height_kj_mol"]) != 0).any()


def test_outside_of_the_grid_no_force_acts(tmp_path):
    """The energy goes on as it is at the end, rather than to jump to 0."""
    topology, positions, system = chain_system()
    settings = Metadynamics(
        variables=("d",), widths=(0.3,), lower=(2.0,), upper=(3.1,), pace=1
    )
    found = resolve(VARIABLES[:1], topology, system, {})
    bias = MetadynamicsBias(settings, found, 300.0, tmp_path / "hills.csv")
    bias.add_to(system, 31)
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3))
    grid = np.linspace(1.0, 2.0, len(bias.state_dict()["grid"]))
    bias.begin(context, {"grid": grid})
    for distance in (0.311, 0.5):
        context.setPositions([[0, 0, 0], [distance, 0, 0], *positions[2:]])
        state = context.getState(energy=True, forces=True, groups={31})
        assert state.getPotentialEnergy()._value == pytest.approx(2.0)
        assert np.abs(state.getForces(asNumpy=True)._value).max() < 1e-9


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return start(chain_system(), folder / "whole", **SAMPLING, **SETTINGS, **QUIET)


QUIET = {"velocity_interval": 0, "platform": "Reference", "threads": None}


def again(output, **options):
    return start(chain_system(), output, **(SAMPLING | SETTINGS | QUIET | options))


def test_tables(whole):
    """A line for each report, with the energy of the hills until then."""
    table, hills = rows(whole["variables"]), rows(whole["hills"])
    assert table["step"].tolist() == list(range(5, STEPS + 1, 5))
    assert hills["step"].tolist() == list(range(7, STEPS + 1, 7))
    np.testing.assert_allclose(hills["time_ps"], hills["step"] * 0.0005, rtol=1e-6)
    energies = np.zeros(len(table))
    for hill in hills:
        away = table["turn_deg"] - hill["turn_deg"]
        away -= 360 * np.round(away / 360)
        height = hill["height_kj_mol"]
        part = height * np.exp(-0.5 * (away / hill["width_turn_deg"]) ** 2)
        energies += np.where(table["step"] > hill["step"], part, 0.0)
    np.testing.assert_allclose(table["bias_kj_mol"], energies, atol=2e-3)
    bias = json.loads(whole["record"].read_text())["bias"]
    assert bias["kind"] == "metadynamics" and bias["grid"] == [91]
    before = energies[np.searchsorted(table["step"], hills["step"])]
    assert (before >= 0).all()
    height = hills["height_kj_mol"][1]
    assert height == pytest.approx(np.exp(-1.0 / (9 * KT)), rel=0.2)


@pytest.mark.parametrize("step", [3, 33, 41])
def test_killed_and_resumed(step, whole, tmp_path):
    """To the last bit, with the same variables and hills."""
    options = {**SAMPLING, **SETTINGS, **QUIET}
    start_killed(chain_system(), tmp_path / "x", step, **options)
    paths = again(tmp_path / "x", resume=True)
    check_same(paths, whole)
    for name in ("variables", "hills"):
        assert paths[name].read_bytes() == whole[name].read_bytes()


def test_stopped_by_a_signal(whole, tmp_path):
    """Where no checkpoint is due."""
    stop = [Killer(24, send(signal.SIGTERM))]
    with pytest.raises(SystemExit):
        again(tmp_path / "x", reporters=stop)
    paths = again(tmp_path / "x", resume=True)
    check_same(paths, whole)
    assert paths["hills"].read_bytes() == whole["hills"].read_bytes()


@pytest.mark.parametrize(
    "message, options",
    [
        ("bias: height_kj_mol 1.0 rather than 2.0", {"height_kj_mol": 2.0}),
        ("bias metadynamics rather than none", {"bias": None}),
        ("6 variables rather than 5", {"variables": VARIABLES[:5]}),
        (
            r"restraint d: center 3.2 rather than 3.3",
            {"restraints": (Restraint("d", 3.3, 10.0), RESTRAINTS[1])},
        ),
    ],
)
def test_resumed_as_another(message, options, whole):
    if "height_kj_mol" in options:
        bias = Metadynamics(variables=("turn",), widths=(20.0,), pace=7, **options)
        options = {"bias": bias}
    output = str(whole["record"]).removesuffix(".json")
    with pytest.raises(ValueError, match=message):
        again(output, resume=True, **options)


def test_watchdogs_look_at_the_energy_without_the_bias(tmp_path):
    """A bias of 100 kJ/mol is no jump of the energy; restraints are part of it."""
    high = Metadynamics(
        variables=("turn",), widths=(90.0,), pace=7, height_kj_mol=100.0
    )
    limits = Watchdogs(energy_jump=8.0, interval=5)
    paths = again(tmp_path / "x", bias=high, watchdogs=limits)
    energies = np.genfromtxt(paths["energies"], delimiter=",", skip_header=1)[:, 2]
    assert np.ptp(energies) > 4 * 8.0
    assert np.ptp(energies - rows(paths["variables"])["bias_kj_mol"]) < 4 * 8.0
    assert not (tmp_path / "x.events.csv").exists()
