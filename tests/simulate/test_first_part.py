# SPDX-License-Identifier: MIT
"""Energy of the first frame that becomes heat: told at once, and minimised away."""

import json

import numpy as np
import pytest
from openmm import unit
from openmm_helpers import harmonic_system

from openmm_allegro import run
from openmm_allegro.simulate.protocol import describe_stages
from openmm_allegro.simulate.settings import RunSettings, Stage

pytestmark = pytest.mark.small

FORCE = unit.kilojoule_per_mole / unit.nanometer


def oscillate(output, stretch, **options):
    """Run oscillators stretched by nm, and return the record."""
    topology, positions, system = harmonic_system()
    positions = positions + np.array([stretch, 0, 0])
    settings = {"steps": 200, "timestep": 2 * unit.femtosecond, "platform": "Reference"}
    settings |= {"seed": 5, "progress": False}
    more = settings | options
    paths = run(topology, positions, system, output, **more)
    return json.loads(paths["record"].read_text())


def test_heat_of_the_first_frame_is_told_once_and_kept(tmp_path, caplog):
    hot = oscillate(tmp_path / "hot", 0.475, steps=100, minimize=False)
    (said,) = hot["warnings"]
    assert said in caplog.text
    assert "far above the 300 K of the thermostat" in said
    assert "minimize_tolerance_kj_mol_nm = 100 (--minimize-tolerance 100)" in said
    caplog.clear()
    longer = oscillate(tmp_path / "hot", 0.475, resume=True, minimize=False)
    assert longer["warnings"] == [said] and said not in caplog.text
    tolerance = {"minimize_tolerance": 100 * FORCE}
    cold = oscillate(tmp_path / "cold", 0.475, **tolerance)
    assert cold["minimization"]["after"]["rms_force_kj_mol_nm"] <= 100
    assert "warnings" not in cold


@pytest.mark.parametrize("options", [{"ensemble": "nve"}, {"temperature": [600, 300]}])
def test_what_no_thermostat_holds_is_not_watched(tmp_path, options):
    """Neither constant energy nor a ramp that begins at its own temperature."""
    if "temperature" in options:
        options = {"temperature": options["temperature"] * unit.kelvin}
    stretch = 0.475 if "ensemble" in options else 0.01
    assert "warnings" not in oscillate(tmp_path / "x", stretch, **options)


def test_the_tolerance_is_a_setting_of_the_minimisation():
    with pytest.raises(ValueError, match=r"expected minimize .* found no minimisation"):
        RunSettings(minimize=False, minimize_tolerance_kj_mol_nm=10.0)
    with pytest.raises(ValueError, match="minimize_tolerance"):
        RunSettings(minimize_tolerance_kj_mol_nm=0.0)
    # protocols of before had no such key, and are resumed
    before, after = (
        describe_stages(["1-a"], [Stage("a", minimize=True, **more)], 1)["settings"][0]
        for more in ({}, {"minimize_tolerance_kj_mol_nm": 100})
    )
    assert set(after) - set(before) == {"minimize_tolerance_kj_mol_nm"}
