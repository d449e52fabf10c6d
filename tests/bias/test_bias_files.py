# SPDX-License-Identifier: MIT
"""Variables, restraints and bias in TOML files: protocols and the command line."""

import csv
import json

import openmm
import pytest
from bias_helpers import chain_system
from openmm import app, unit

from openmm_allegro import Stage, run_protocol
from openmm_allegro.bias import Variable
from openmm_allegro.cli import main
from openmm_allegro.simulate.protocol_file import read_protocol

TABLES = """
[[variables]]
name = "d"
kind = "distance"
selections = ["index 0", "index 1"]

[[variables]]
name = "turn"
kind = "dihedral"
atoms = [0, 1, 2, 3]

[[variables]]
name = "shape"
kind = "rmsd"
atoms = [0, 1, 2, 3]
reference = "chain.pdb"

[[restraints]]
variable = "d"
center = 2.5
force_constant = 40.0
side = "above"
STAGES

[bias]
kind = "metadynamics"
variables = ["turn"]
widths = [20.0]
pace = 5
"""
PROTOCOL = """
[system]
topology = "chain.pdb"
system = "chain.xml"

[run]
report_interval = 5
timestep_fs = 1.0

[[stages]]
name = "free"
steps = 20

[[stages]]
name = "pushed"
steps = 20
bias = true
variable_interval = 2
""" + TABLES.replace("STAGES", 'stages = ["pushed"]')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    topology, positions, system = chain_system()
    with open(tmp_path / "chain.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    (tmp_path / "chain.xml").write_text(openmm.XmlSerializer.serialize(system))
    (tmp_path / "protocol.toml").write_text(PROTOCOL)
    (tmp_path / "bias.toml").write_text(TABLES.replace("STAGES", ""))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_protocol(folder, capsys):
    """Variables are written in each stage; restraint and bias act in the second."""
    main(["simulate", "protocol.toml", "--output", "out", "--platform", "Reference"])
    free, pushed = (lines(f"out/{n}.variables.csv") for n in ("1-free", "2-pushed"))
    assert list(free[0])[2:5] == ["d_angstrom", "turn_deg", "shape_angstrom"]
    assert [int(row["step"]) for row in pushed] == list(range(2, 21, 2))
    assert all(float(r["restraints_kj_mol"]) == 0.0 for r in free)
    assert any(float(r["restraints_kj_mol"]) > 0.0 for r in pushed)
    assert len(lines("out/2-pushed.hills.csv")) == 4
    assert not (folder / "out/1-free.hills.csv").exists()
    records = [json.loads((folder / f"out/{n}.json").read_text())
               for n in ("1-free", "2-pushed")]  # fmt: skip
    assert "bias" not in records[0] and "restraints" not in records[0]
    assert records[1]["restraints"][0]["side"] == "above"
    # the same again is done; with another bias it is another
    main(["simulate", "protocol.toml", "--output", "out", "--resume"])
    other = PROTOCOL.replace("widths = [20.0]", "widths = [21.0]")
    (folder / "protocol.toml").write_text(other)
    assert main(["simulate", "protocol.toml", "--output", "out", "--resume"]) != 0
    assert "widths [20.0] rather than [21.0]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("bias = true", "", "expected a stage with bias = true"),
        ('kind = "metadynamics"', 'kind = "metad"', "expected kind of .'metadynamics'"),
        ("pace = 5", "pace = 5\nheigth = 1", "expected keys among variables, pace"),
        ('["pushed"]', '["pusht"]', "expected stages among .*found 'pusht'"),
        ('["index 0", "index 1"]', '["index 0"]', "expected 2 points"),
        ('"index 1"]', '"index 7"]', "'index 7', found none"),
    ],
)
def test_bad_tables(old, new, message, folder, capsys):
    """Found before the first stage begins."""
    (folder / "protocol.toml").write_text(PROTOCOL.replace(old, new))
    with pytest.raises(ValueError, match=message):
        protocol = read_protocol("protocol.toml")
        sampling = protocol.sampling
        run_protocol(*protocol.prepared[:3], protocol.stages, "out",
                     variables=sampling.variables, restraints=sampling.restraints,
                     bias=sampling.bias, progress=False)  # fmt: skip
    assert not (folder / "out").exists()


def test_a_stage_without_a_bias(tmp_path):
    with pytest.raises(ValueError, match="stage a: expected a bias of the protocol"):
        run_protocol(*chain_system(), [Stage("a", 20, bias=True)], tmp_path)
    variables = [Variable("d", "distance", atoms=(0, 1))]
    with pytest.raises(ValueError, match="class Restraint, found 'd'"):
        run_protocol(*chain_system(), [Stage("a", 20)], tmp_path,
                     variables=variables, restraints="d")  # fmt: skip


def test_lammps_has_no_bias(folder, capsys):
    assert main(["lammps", "protocol.toml", "--output", "folder"]) != 0
    assert "without variables, restraints and bias" in capsys.readouterr().err
