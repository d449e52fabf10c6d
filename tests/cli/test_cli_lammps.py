# SPDX-License-Identifier: MIT
"""``openmm-allegro lammps`` writes a folder, and says what to type next."""

import json
import logging
import subprocess

import pytest
from cli_helpers import error_of
from openmm import app, unit
from openmm_helpers import make_topology
from outcome_helpers import outcome_of

from openmm_allegro import save_model
from openmm_allegro.cli.main import main
from openmm_allegro.runs.names import lammps_paths_of

TOML = """\
[system]
topology = "water.pdb"
model = "model.safetensors"
two_body = "exact"
no_periodic = {vacuum}
[run]
report_interval = 5
[[stages]]
name = "melt"
steps = 20
temperature_k = [300, 500]
[[stages]]
name = "nve"
steps = 10
ensemble = "nve"
velocity_interval = {velocities}
{more}
"""


@pytest.fixture(scope="module")
def inputs(model, water_box, tmp_path_factory):
    """A folder with a model file and a PDB."""
    folder = tmp_path_factory.mktemp("inputs")
    symbols, positions, box = water_box
    save_model(model, folder / "model.safetensors")
    topology = make_topology(symbols, box, waters=True)
    for index, atom in enumerate(topology.atoms()):
        atom.name = ("O", "H1", "H2")[index % 3]
    with open(folder / "water.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    return folder


@pytest.fixture
def command(inputs, tmp_path):
    """The verb with its inputs, and the folder that it writes."""
    files = [inputs / "model.safetensors", inputs / "water.pdb"]
    return ["lammps", *map(str, files), "--output", str(tmp_path / "run")]


@pytest.fixture
def write_protocol(inputs):
    """A protocol beside the inputs."""

    def write(velocities=0, vacuum="false", more=""):
        path = inputs / "protocol.toml"
        text = TOML.format(velocities=velocities, vacuum=vacuum, more=more)
        path.write_text(text)
        return str(path)

    return write


def test_single_run_is_named_as_its_ensemble(command, tmp_path, capsys):
    folder = tmp_path / "run"
    options = ["--ensemble", "npt", "--steps", "50", "--replicate", "2", "2", "1"]
    options += ["--seed", "11", "--timestep", "0.25"]
    outcome = outcome_of(tmp_path / "x.json", *command, *options)
    assert outcome["results"]["stages"]["npt"]["steps"] == 50
    assert outcome["next"][0] == f"mpirun -np 4 lmp -in {folder / 'in.lammps'}"
    assert capsys.readouterr().out.splitlines() == [
        f"run:      mpirun -np 4 lmp -in {folder / 'in.lammps'}",
        f"continue: openmm-allegro lammps {folder} --resume",
        f"analyse:  openmm-allegro analyze rdf {folder / 'npt'}",
    ]
    text = (folder / "in.lammps").read_text()
    assert "\nreplicate       2 2 1\n" in text
    assert "\nminimize " in text
    assert "timestep        0.00025" in text
    record = json.loads((folder / "npt.json").read_text())
    expected = {"ensemble": "npt", "steps": 50, "atoms": 324, "seed": 11}
    assert expected.items() <= record.items()
    assert json.loads((folder / "protocol.json").read_text())["stages"] == ["npt"]
    lines = (folder / "npt.pdb").read_text().splitlines()
    atoms = [line for line in lines if line.startswith("HETATM")]
    assert len(atoms) == 324


def test_protocol_numbers_its_stages(write_protocol, tmp_path, caplog):
    path = write_protocol(velocities=5, more="[watchdogs]\n")
    words = ["lammps", path, "--output", tmp_path / "run"]
    outcome = outcome_of(tmp_path / "x.json", *words)
    assert "the watchdogs are left out" in outcome["warnings"][0]
    assert len(outcome["warnings"]) == 2
    names = json.loads((tmp_path / "run/protocol.json").read_text())["stages"]
    assert names == ["1-melt", "2-nve"]
    text = (tmp_path / "run/in.lammps").read_text()
    assert "langevin 300 500 1 " in text
    assert "minimize" not in text
    assert "the watchdogs are left out, for LAMMPS has none" in caplog.text
    assert "no frames with velocities will be written" in caplog.text
    assert "\n#dump           velocities all custom 5 2-nve.velocities" in text


def test_force_removes_the_earlier_run(command, tmp_path, capsys):
    assert main([*command, "--ensemble", "nve"]) == 0
    old = lammps_paths_of(tmp_path / "run/nve")["restart"]
    old.write_text("x")
    assert "--force" in error_of(capsys, *command)
    assert main([*command, "--force"]) == 0
    assert not old.exists()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        *("in.lammps", "plan.json", "system.data", "model.allegro", "protocol.json"),
        *("nvt.pdb", "nvt.json", "nvt.system.xml"),
    }


def test_committee_has_a_file_for_each_model(command, tmp_path):
    assert main([command[0], command[1], *command[1:]]) == 0
    text = (tmp_path / "run/in.lammps").read_text()
    assert "* * model-1.allegro model-2.allegro H O" in text
    assert len(list((tmp_path / "run").glob("model-*.allegro"))) == 2


def test_many_atoms_are_said_to_have_no_frames(command, capsys, caplog):
    with caplog.at_level(logging.INFO):
        assert main([*command, "--replicate", "40", "40", "40"]) == 0
    assert "5,184,000 atoms: 40 x 40 x 40 boxes of 81 atoms" in caplog.text
    assert "no frames and no topology will be written" in caplog.text
    assert "openmm-allegro report" in capsys.readouterr().out


def test_resume_takes_the_folder_alone(command, tmp_path, capsys):
    assert main(command) == 0
    folder = str(tmp_path / "run")
    assert "--seed" in error_of(capsys, "lammps", folder, "--resume", "--seed", "5")
    message = error_of(capsys, "lammps", folder, "--resume", "--steps", "5")
    assert "expected at least the" in message
    assert main(["lammps", folder, "--resume"]) == 0
    assert "run:      mpirun" in capsys.readouterr().out
    message = error_of(capsys, "lammps", tmp_path / "other", "--resume")
    assert "expected plan.json in the folder of a run in LAMMPS" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ensemble", "npt", "--no-periodic"], "expected a periodic System"),
        (["--integrator", "andersen"], "of which it has no counterpart"),
        (["--state", "nowhere"], "such as nowhere.state.xml or the prefix of its name"),
        (["--hydrogen-mass", "11"], "expected atoms heavier than their hydrogens"),
    ],
)
def test_errors(command, options, words, tmp_path, capsys):
    assert words in error_of(capsys, *command, *options)
    assert not (tmp_path / "run").exists()


def test_errors_of_inputs(command, write_protocol, tmp_path, capsys):
    assert "--output FOLDER" in error_of(capsys, *command[:3])
    output = ["--output", tmp_path / "run"]
    assert "alone" in error_of(capsys, "lammps", command[1], *output)
    path = write_protocol()
    message = error_of(capsys, "lammps", path, *output, "--steps", "5")
    assert "--steps beside it" in message
    assert not (tmp_path / "run").exists()


SERIES = """
[system]
model = "model.safetensors"
topology = "water.pdb"

[series]
temperatures_k = [600, 500]

[[stages]]
name = "heat"
steps = 10
report_interval = 5
temperature_k = [50, "T"]

[[stages]]
name = "hold"
steps = 20
report_interval = 10
"""


def test_a_series_has_a_folder_for_each_temperature(inputs, tmp_path, capsys):
    """As simulate has them, so that analyses read it; one line runs them all."""
    (inputs / "series.toml").write_text(SERIES)
    folder = tmp_path / "my series"
    words = ["lammps", inputs / "series.toml", "--output", folder, "--seed", "7"]
    outcome = outcome_of(tmp_path / "x.json", *words)
    line = f"for t in 600K 500K; do mpirun -np 4 lmp -in '{folder}'/$t/in.lammps"
    assert outcome["next"][0] == f"{line} || break; done"
    record = json.loads((folder / "series.json").read_text())
    assert record["temperatures_k"] == [600, 500] and record["engine"] == "lammps"
    assert record["seeds"] == {"600K": 7, "500K": 1007}
    for kelvin in (600, 500):
        text = (folder / f"{kelvin}K" / "in.lammps").read_text()
        assert f" 50 {kelvin} " in text and f" {kelvin} {kelvin} " in text
        assert (folder / f"{kelvin}K" / "2-hold.json").is_file()
    shown = subprocess.run(
        ["bash", "-c", outcome["next"][0].replace("mpirun -np 4 lmp -in", "ls")],
        capture_output=True,
        text=True,
    )
    assert len(shown.stdout.splitlines()) == 2, shown.stderr
    capsys.readouterr()
    assert main(["lammps", str(folder), "--resume", "--steps", "40"]) == 0
    printed = capsys.readouterr().out
    assert "600K: 1-heat begins\n500K: 1-heat begins\nrun:      for t in" in printed
    assert (
        json.loads((folder / "500K" / "plan.json").read_text())["stages"][1]["steps"]
        == 40
    )
    assert "--force" in error_of(capsys, *words)
    run = ["simulate", *words[1:4], "--resume"]
    assert "lammps FOLDER --resume continues it" in error_of(capsys, *run)
    assert json.loads((folder / "series.json").read_text()) == record
