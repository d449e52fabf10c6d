# SPDX-License-Identifier: MIT
"""Free energies of biased runs: of a dihedral that turns freely, by each method."""

import json

import numpy as np
import pytest
from bias_helpers import chain_system
from openmm import unit

from openmm_allegro import run
from openmm_allegro.bias import Metadynamics, Restraint, Variable
from openmm_allegro.measure.free_energy import FreeEnergySettings, measure_free_energy
from openmm_allegro.runs.run import find_runs, read_run
from openmm_allegro.runs.source import Source

pytestmark = pytest.mark.usefixtures("read_here")

TURN = Variable("turn", "dihedral", atoms=(0, 1, 2, 3))
D = Variable("d", "distance", atoms=(0, 1))
HILLS = Metadynamics(
    variables=("turn",), widths=(25.0,), height_kj_mol=0.5, bias_factor=4.0, pace=40
)
COMMON = {
    "timestep": 10 * unit.femtosecond,
    "friction": 5 / unit.picosecond,
    "report_interval": 2000,
    "variable_interval": 10,
    "variables": [TURN, D],
    "platform": "Reference",
    "seed": 4,
    "progress": False,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Prefixes of a run of metadynamics, and of one with a restraint."""
    folder = tmp_path_factory.mktemp("biased")
    metadynamics, restrained = folder / "metadynamics", folder / "restrained"
    run(*chain_system(), metadynamics, steps=16000, bias=HILLS, **COMMON)
    wall = Restraint("turn", 0.0, 4.0)
    run(*chain_system(), restrained, steps=8000, restraints=[wall], **COMMON)
    return metadynamics, restrained


def measured(*prefixes, subjects=(), **settings):
    source = Source([read_run(prefix) for prefix in prefixes])
    return measure_free_energy(source, list(subjects), FreeEnergySettings(**settings))


def d_rows(found):
    return [row for row in found.rows if row.item == "d"]


def test_free_dihedral(runs):
    """Hills and weights both give a flat free energy, within their errors."""
    found = measured(runs[0], bins=18)
    assert list(found.results) == ["turn (hills)", "turn (reweighting)"]
    for label, result in found.results.items():
        values, errors = np.array(result["free_energy"]), np.array(result["error"])
        away = (values - values.mean()) / errors
        assert np.sqrt(np.mean(away**2)) < 2, label
        assert np.isclose(result["centers"][0][0], -170)
    source = Source([read_run(runs[0])])
    again = measure_free_energy(source, ["turn"], FreeEnergySettings(bins=18))
    assert again.notes == found.notes and not source.notes  # of a start of no use here
    assert "400 hills." in found.notes
    assert any("from 80 ps on" in note for note in found.notes)
    assert next(iter(found.curves["turn (hills)"])) == "turn (°)"


def test_restrained_dihedral(runs):
    """The restraint is taken off, and any variable of the run can be asked for."""
    found = measured(runs[1], subjects=["turn", "d"], bins=12)
    turn, d = (found.results[name] for name in ("turn", "d"))
    known = np.array(turn["error"]) < 3.0
    values = np.array(turn["free_energy"])[known]
    assert known.sum() >= 6 and values.std() < 2.5
    assert turn["effective"] < turn["independent"] * 40
    (lowest, *_) = d["basins"]
    assert lowest["place"][0] == pytest.approx(3.0, abs=0.35)
    place, share = [row for row in d_rows(found) if row.quantity[-1] == "1"]
    assert place.error >= np.diff(d["centers"][0])[0] / np.sqrt(12)
    assert 50 < share.value <= 100 and share.unit == "%"


def test_surface_of_two_variables(runs, tmp_path):
    found = measured(runs[0], subjects=["turn,d"], bins=8)
    assert list(found.results) == ["turn,d"]  # the hills are of one variable
    assert np.shape(found.results["turn,d"]["free_energy"]) == (8, 8)
    found.plot(tmp_path / "surface.png")
    assert (tmp_path / "surface.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="--plot-overlap"):
        found.figures["overlap"](tmp_path / "overlap.png")


def test_runs_with_other_restraints_are_windows(runs, tmp_path):
    """Windows that do not overlap are said to fall into parts."""
    near, far = tmp_path / "near", tmp_path / "far"
    short = COMMON | {"report_interval": 400}
    for prefix, angle in ((near, -60.0), (far, 120.0)):
        narrow = Restraint("turn", angle, 400.0)
        run(*chain_system(), prefix, steps=400, restraints=[narrow], **short)
    found = measured(near, far, bins=30)
    assert found.results["turn"]["method"] == "windows"
    assert "fall into 2 parts" in found.warnings[-1]
    assert "turn -60; turn 120" in found.warnings[-1]
    with pytest.raises(FileNotFoundError, match="the folder"):
        find_runs([str(tmp_path)], folders=True)


@pytest.mark.parametrize(
    ("subjects", "settings", "match"),
    [
        (["phi"], {}, "turn, d, found 'phi'"),
        (["turn,d,turn"], {}, "two with a comma"),
        (["turn"], {"method": "windows"}, "whose restraints alone act"),
        (["d"], {"method": "hills"}, "expected hills of metadynamics"),
        (["turn"], {"limits": (1.0,)}, "--limits"),
        (["turn"], {"radial": True}, "of kind 'distance'"),
        ([], {"blocks": 100_000}, "blocks"),
    ],
)
def test_refused(runs, subjects, settings, match):
    with pytest.raises(ValueError, match=match):
        measured(runs[0], subjects=subjects, **settings)


def test_run_without_variables(runs, tmp_path):
    settings = {k: v for k, v in COMMON.items() if "variable" not in k}
    run(*chain_system(), tmp_path / "plain", steps=2000, **settings)
    with pytest.raises(ValueError, match=r"expected variables in the record"):
        measured(tmp_path / "plain")
    record = json.loads((tmp_path / "plain.json").read_text())
    assert "variables" not in record
