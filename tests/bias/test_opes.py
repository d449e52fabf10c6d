# SPDX-License-Identifier: MIT
"""OPES: the package's own course, killed and resumed; PLUMED and what is refused."""

import sys
import types

import numpy as np
import openmm
import pytest
from bias_helpers import KT, SETTINGS, VARIABLES, chain_system
from openmm import app
from run_helpers import check_same, start, start_killed

from openmm_allegro.bias import Opes, Plumed
from openmm_allegro.bias.opes import OpesBias
from openmm_allegro.bias.variables import make_force, resolve

openmm_opes = pytest.importorskip("openmm_opes")

ENDS = {"lower": (1.0, 0.0), "upper": (6.0, 180.0), "grid": (51, 41)}
KINDS = {
    "fixed": Opes(variables=("turn",), widths=(20.0,), pace=6, barrier_kj_mol=15.0),
    "measured": Opes(variables=("d", "bend"), pace=2, barrier_kj_mol=15.0, **ENDS),
    "explore": Opes(
        variables=("turn",), widths=(20.0,), pace=6, barrier_kj_mol=15.0, explore=True
    ),
}
QUIET = {"velocity_interval": 0, "platform": "Reference", "threads": None}


def again(output, bias, **options):
    given = {"variables": VARIABLES, "bias": bias, **SETTINGS, **QUIET}
    return start(chain_system(), output, **(given | options))


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed(kind, tmp_path):
    """To the last bit, kernels and all, before and after the first of them."""
    bias = KINDS[kind]
    whole = again(tmp_path / "whole", bias)
    given = {"variables": VARIABLES, "bias": bias, **SETTINGS, **QUIET}
    for step in (5, 47) if kind == "measured" else (47,):
        start_killed(chain_system(), tmp_path / f"x{step}", step, **given)
        paths = again(tmp_path / f"x{step}", bias, resume=True)
        check_same(paths, whole)
        for name in ("variables", "kernels"):
            assert paths[name].read_bytes() == whole[name].read_bytes()
    kernels = np.genfromtxt(whole["kernels"], delimiter=",", names=True, ndmin=1)
    if kind == "fixed":
        assert kernels["step"].tolist() == list(range(6, 61, 6))
        table = np.genfromtxt(whole["variables"], delimiter=",", names=True)
        assert abs(table["bias_kj_mol"][0]) < 1e-9
        assert 0.0 < table["bias_kj_mol"][-1] < 20.0
        # widths are those within a basin at first, then narrower
        assert kernels["width_turn_deg"][0] == pytest.approx(20.0, rel=0.06)
        assert (np.diff(kernels["width_turn_deg"]) < 0).all()


def test_course_is_that_of_the_package(tmp_path):
    topology, positions, bare = chain_system()
    found = resolve(VARIABLES[2:3], topology, bare, {})
    ends = []
    for ours in (True, False):
        system = chain_system()[2]
        if ours:
            bias = OpesBias(KINDS["fixed"], found, 300.0, tmp_path / "kernels.csv")
            bias.add_to(system, 31)
        else:
            axis = np.pi, np.radians(20.0), True, 91
            variable = app.BiasVariable(make_force(found[0], system), -np.pi, *axis)
            bias = openmm_opes.OPES(system, [variable], 300.0, 15.0, 6, None)
        integrator = openmm.VerletIntegrator(0.002)
        platform = openmm.Platform.getPlatform("Reference")
        simulation = app.Simulation(topology, system, integrator, platform)
        simulation.context.setPositions(positions)
        simulation.context.setVelocitiesToTemperature(300.0, 1)
        for _ in range(20):
            bias.step(simulation, 6)
        ends.append(simulation.context.getState(positions=True))
    first, second = (each.getPositions(asNumpy=True)._value for each in ends)
    np.testing.assert_allclose(first, second, atol=1e-7)


def test_a_barrier_below_kt_is_refused(tmp_path):
    bias = Opes(variables=("turn",), widths=(20.0,), pace=6, barrier_kj_mol=0.9 * KT)
    with pytest.raises(ValueError, match=r"barrier above kT = 2.494 kJ/mol, found 2.2"):
        again(tmp_path / "x", bias)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "message, options",
    [
        ("constant temperature, found 'nve'", {"ensemble": "nve"}),
        ("found a ramp", {"temperature": [300, 400] * SETTINGS["temperature"].unit}),
        (r"expected variables of \['d'\], found 'turn'", {"variables": VARIABLES[:1]}),
    ],
)
def test_runs_that_no_bias_fits(message, options, tmp_path):
    with pytest.raises(ValueError, match=message):
        again(tmp_path / "x", KINDS["fixed"], **options)


def test_a_start_beyond_the_grid_is_refused(tmp_path):
    far = Opes(variables=("d",), lower=(4.0,), upper=(9.0,), pace=6, barrier_kj_mol=9.0)
    message = "d: expected a start within the grid from 4 to 9, found 3"
    with pytest.raises(ValueError, match=message):
        again(tmp_path / "x", far)
    assert not list(tmp_path.iterdir())


def test_plumed(tmp_path, monkeypatch):
    """Its input goes to openmm-plumed, of which a stand-in is called here."""
    bias = Plumed(str(tmp_path / "plumed.dat"))
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        again(tmp_path / "x", bias)
    (tmp_path / "plumed.dat").write_text("d: DISTANCE ATOMS=1,2\n")
    monkeypatch.setitem(sys.modules, "openmmplumed", None)
    with pytest.raises(ImportError, match="conda install -c conda-forge openmm-plumed"):
        again(tmp_path / "x", bias)
    calls = []

    def make(script):
        calls.append(script)
        force = openmm.CustomBondForce("10*r")
        force.addBond(0, 1)
        return force

    stand_in = types.SimpleNamespace(PlumedForce=make)
    monkeypatch.setitem(sys.modules, "openmmplumed", stand_in)
    paths = again(tmp_path / "x", bias, variables=VARIABLES[:1])
    assert calls == ["d: DISTANCE ATOMS=1,2\n"]
    table = np.genfromtxt(paths["variables"], delimiter=",", names=True)
    np.testing.assert_allclose(table["bias_kj_mol"], table["d_angstrom"], rtol=1e-6)
    with pytest.raises(ValueError, match="found bias kind 'plumed'"):
        again(tmp_path / "x", bias, variables=VARIABLES[:1], steps=80, resume=True)
