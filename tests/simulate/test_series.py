# SPDX-License-Identifier: MIT
"""A protocol at several temperatures."""

import json

import numpy as np
import pytest
from openmm import app
from openmm_helpers import harmonic_system
from outcome_helpers import outcome_of
from run_helpers import Killed, check_complete, final_state

from openmm_allegro.cli.main import main
from openmm_allegro.simulate.protocol import Stage
from openmm_allegro.simulate.series import run_series
from openmm_allegro.simulate.series_file import read_series

pytestmark = pytest.mark.small

QUICK = {"platform": "Reference", "seed": 5, "progress": False}


def stages(steps=40):
    return {
        kelvin: [
            Stage("heat", 20, temperature_k=(50.0, kelvin), report_interval=10),
            Stage("produce", steps, temperature_k=kelvin, report_interval=10),
        ]
        for kelvin in (300.0, 400.5)
    }


def test_each_temperature_is_a_protocol(tmp_path, monkeypatch):
    system = harmonic_system(count=5)
    whole = run_series(*system, stages(), tmp_path / "whole", **QUICK)
    assert list(whole) == [300.0, 400.5]
    for kelvin, files in whole.items():
        check_complete(files["2-produce"], 40, 10)
        record = json.loads(files["2-produce"]["record"].read_text())
        assert record["temperature_k"] == kelvin
    record = json.loads((tmp_path / "whole" / "series.json").read_text())
    assert record["folders"] == ["300K", "400.5K"] and record["finished"]
    assert record["seeds"] == {"300K": 5, "400.5K": 1005}

    step, calls = app.Simulation.step, []

    def killed(simulation, count):
        step(simulation, count)
        calls.append(count)
        if len(calls) == 7:  # while the second temperature is heated
            raise Killed

    monkeypatch.setattr(app.Simulation, "step", killed)
    with pytest.raises(Killed):
        run_series(*system, stages(), tmp_path / "cut", **QUICK)
    monkeypatch.undo()
    with pytest.raises(FileExistsError, match=r"series.*--resume"):
        run_series(*system, stages(), tmp_path / "cut", **QUICK)
    cut = run_series(*system, stages(), tmp_path / "cut", resume=True, **QUICK)
    for kelvin, files in cut.items():
        for name, paths in files.items():
            ended = final_state(whole[kelvin][name])
            np.testing.assert_array_equal(ended, final_state(paths))
            trajectory = paths["trajectory"].read_bytes()
            assert whole[kelvin][name]["trajectory"].read_bytes() == trajectory


def test_temperatures_are_added_and_runs_become_longer(tmp_path):
    system = harmonic_system(count=5)
    run_series(*system, stages(), tmp_path / "s", **QUICK)
    longer = {350.0: stages()[300.0]} | stages(steps=60)
    files = run_series(*system, longer, tmp_path / "s", resume=True, **QUICK)
    check_complete(files[400.5]["2-produce"], 60, 10)
    record = json.loads((tmp_path / "s" / "series.json").read_text())
    assert record["seeds"] == {"300K": 5, "400.5K": 1005, "350K": 2005}
    with pytest.raises(ValueError, match="has already, found none for 350K"):
        run_series(*system, stages(60), tmp_path / "s", resume=True, **QUICK)


@pytest.mark.parametrize("temperatures", [[], [300.0], [300.0, 300.0000001]])
def test_two_temperatures_are_a_series(tmp_path, temperatures):
    with pytest.raises(ValueError, match="at least two different temperatures"):
        run_series(
            *harmonic_system(count=2),
            {kelvin: stages()[300.0] for kelvin in temperatures},
            tmp_path / "s",
            **QUICK,
        )
    assert not (tmp_path / "s").exists()


TOML = """
[system]
system = "system.xml"
topology = "start.pdb"
[series]
temperatures_k = [600, 500]
[run]
report_interval = 2
{common}
[[stages]]
name = "heat"
steps = 4
temperature_k = {heat}
[[stages]]
name = "keep"
steps = 4
{keep}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the System and the topology of a protocol."""
    import openmm

    topology, positions, system = harmonic_system(count=3)
    positions[:, 0] = np.arange(3)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    with open(tmp_path / "start.pdb", "w") as file:
        app.PDBFile.writeFile(topology, 10 * positions, file)
    return tmp_path


def write(folder, heat='[50, "T"]', keep="", common=""):
    path = folder / "series.toml"
    path.write_text(TOML.format(heat=heat, keep=keep, common=common))
    return path


def test_stages_take_the_temperature_where_they_say_none(folder):
    series = read_series(write(folder))
    assert list(series.stages) == [600.0, 500.0]
    for kelvin, (heat, keep) in series.stages.items():
        assert heat.temperature_k == (50.0, kelvin)
        assert keep.temperature_k == (kelvin,)
    # what a file says holds: here of all stages but the ramp
    series = read_series(write(folder, common="temperature_k = 900"))
    assert series.stages[500.0][1].temperature_k == (900.0,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"heat": "[50, 60]", "keep": "temperature_k = 60"}, "expected a stage at the"),
        ({"heat": '[50, "t"]'}, "expected float, found 't'"),
        ({"common": "steps = 'x'"}, r"\[run\]: .*integer for steps, found 'x'"),
        ({"keep": "friction_per_ps = -1"}, r"number 2: .*friction_per_ps above 0"),
    ],
)
def test_bad_series_files(folder, words, message):
    with pytest.raises(ValueError, match=message):
        read_series(write(folder, **words))


def test_the_command_runs_a_series_and_lammps_does_not_continue_it(folder, capsys):
    output = str(folder / "out")
    words = [str(write(folder)), "--output", output, "--seed", "3"]
    run = ["simulate", *words, "--platform", "Reference"]
    runs = outcome_of(folder / "x.json", *run)["results"]["runs"]
    assert list(runs)[:2] == ["600K/1-heat", "600K/2-keep"]
    assert runs["600K/2-keep"]["temperature_k"] == 600
    assert "600K/1-heat: " in capsys.readouterr().out
    assert (folder / "out" / "500K" / "2-keep.xtc").exists()
    assert main(["lammps", *words]) == 2
    assert "expected no series yet" in capsys.readouterr().err
    assert main(["lammps", output, "--resume"]) == 2
    assert "which openmm-allegro simulate continues" in capsys.readouterr().err
