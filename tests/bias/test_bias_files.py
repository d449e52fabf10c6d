# SPDX-License-Identifier: MIT
"""Variables, restraints and bias in TOML files: protocols and the command line."""

import csv
import json
import re
import warnings
from pathlib import Path

import openmm
import pytest
from bias_helpers import chain_system
from openmm import app, unit
from report_helpers import write_run

from openmm_allegro import Stage, run, run_protocol
from openmm_allegro.bias import Restraint, Variable
from openmm_allegro.bias.bias_file import read_sampling
from openmm_allegro.cli import main
from openmm_allegro.lammps.ensembles import check_written
from openmm_allegro.measure.free_energy import FreeEnergySettings, measure_free_energy
from openmm_allegro.measure.survival import SurvivalSettings, measure_survival
from openmm_allegro.report.production import Findings
from openmm_allegro.report.summary import alert_list
from openmm_allegro.runs.run import read_run, read_stages
from openmm_allegro.runs.source import Source
from openmm_allegro.simulate.protocol_file import read_protocol, read_settings

ROOT = Path(__file__).parents[2]

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
BIAS = TABLES.replace("STAGES", "")
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
variable_interval = 1
""" + TABLES.replace("STAGES", 'stages = ["pushed"]')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    topology, positions, system = chain_system()
    with open(tmp_path / "chain.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    (tmp_path / "chain.xml").write_text(openmm.XmlSerializer.serialize(system))
    (tmp_path / "protocol.toml").write_text(PROTOCOL)
    (tmp_path / "bias.toml").write_text(BIAS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_protocol(folder, capsys, caplog):
    """Variables are written in each stage; restraint and bias act in the second."""
    caplog.set_level("INFO")
    main(["simulate", "protocol.toml", "--output", "out", "--platform", "Reference"])
    free, pushed = (lines(f"out/{n}.variables.csv") for n in ("1-free", "2-pushed"))
    assert list(free[0])[2:5] == ["d_angstrom", "turn_deg", "shape_angstrom"]
    assert [int(row["step"]) for row in pushed] == list(range(1, 21))
    assert all(float(r["restraints_kj_mol"]) == 0.0 for r in free)
    assert any(float(r["restraints_kj_mol"]) > 0.0 for r in pushed)
    assert len(lines("out/2-pushed.hills.csv")) == 4
    # so that numbers of a PDB file in the place of indices are seen
    assert "turn: dihedral of AR1:AR–AR2:AR–AR3:AR–AR4:AR" in caplog.text
    assert "4 hills in 20 steps, one every 5" in caplog.text
    assert "found 4: pace is 5, and the run has 20 steps" in caplog.text
    assert not (folder / "out/1-free.hills.csv").exists()
    records = [json.loads((folder / f"out/{n}.json").read_text())
               for n in ("1-free", "2-pushed")]  # fmt: skip
    assert "bias" not in records[0] and "restraints" not in records[0]
    assert records[1]["restraints"][0]["side"] == "above"
    # the stage without a bias is left out, and its other restraints make no windows
    found = measure_free_energy(
        Source(read_stages("out")), (), FreeEnergySettings(blocks=2)
    )
    assert list(found.results) == ["turn (hills)", "turn (reweighting)"]
    assert "Left out as runs without a bias beside others: out/1-free." in found.notes
    with pytest.raises(ValueError, match="found a bias in out/2-pushed"):
        settings = FreeEnergySettings(method="windows")
        measure_free_energy(Source(read_stages("out")), (), settings)
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


def test_single_run(folder, capsys, caplog):
    """By the command line and in Python, where restraints have no stages."""
    caplog.set_level("INFO")
    names = ("alanine.safetensors", "solute.pdb")
    inputs = [str(ROOT / "systems" / "alanine_water" / name) for name in names]
    options = ["--bias", "bias.toml", "--output", "one", "--steps", "20"]
    options += ["--backend", "native", "--no-minimize"]
    assert main(["simulate", *inputs, *options]) != 0
    message = "shape: expected a reference of the System's 22 particles, found one of 4"
    assert message in capsys.readouterr().err
    (folder / "bias.toml").write_text(BIAS.replace("chain.pdb", inputs[1]))
    assert main(["simulate", *inputs, *options]) == 0
    assert "analyze free-energy one" in capsys.readouterr().out
    assert len(lines("one.hills.csv")) == 4
    assert "known to fail: in populations of φ and ψ" in caplog.text
    assert caplog.text.count("turn: dihedral of ACE") == 1
    wall = Restraint("d", 3.0, 1.0, stages=("a",))
    with pytest.raises(ValueError, match="no stages in a single run"):
        run(*chain_system(), "two", restraints=[wall])


@pytest.mark.parametrize(
    "text, message",
    [
        ("variables = 3", r"expected tables \[\[variables\]\], found 3"),
        ("[restraints]\na = 1", r"expected tables \[\[restraints\]\], found {"),
        ("bias = 1", "expected a table, found 1"),
        ("[bias]\nkind = 3", "expected kind of"),
        ("variables = [1]", "number 1: expected a table, found 1"),
        ("", "expected tables variables, restraints, bias, found none"),
        ("[[variables]]\nname = 1\nkind = 'angle'", "name: expected str, found 1"),
        ("[[variables]]\nname = 'a-b'\nkind = 'angle'", "found 'a-b'"),
    ],
)
def test_hostile_tables(text, message, tmp_path):
    (tmp_path / "bias.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sampling(tmp_path / "bias.toml")


def test_lammps_has_no_bias(folder, capsys):
    with pytest.raises(ValueError, match="for LAMMPS a stage without a bias"):
        check_written(Stage("a", 20, bias=True))
    assert main(["lammps", "protocol.toml", "--output", "folder"]) != 0
    assert "without variables, restraints and bias" in capsys.readouterr().err


def test_the_manual(folder):
    """Its protocol can be read, and its Python runs."""
    text = (ROOT / "docs" / "bias.md").read_text(encoding="utf-8")
    (folder / "systems").symlink_to(ROOT / "systems")
    (tables,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (folder / "manual.toml").write_text(tables)
    settings = read_settings("manual.toml")
    assert [stage.bias for stage in settings.stages] == [False, True]
    assert len(settings.sampling.variables) == 2 and settings.sampling.bias
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code = code.replace("pdb.topology),", 'pdb.topology, backend="native"),')
    pytest.importorskip("openmm_opes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "bias.md", "exec"), {})
    assert len(lines("runs/opes.kernels.csv")) == 4


def test_the_page_says_so(tmp_path):
    """Of a biased run, and of no other."""
    of = {"bias": {"kind": "opes", "variables": ["d"]}}
    of["restraints"] = [{"variable": "d"}, {"variable": "turn"}]
    pages = []
    for name, more in (("free", {}), ("pushed", of)):
        write_run(tmp_path / name, **more)
        pages.append(alert_list([read_run(tmp_path / name)], Findings()))
    words = "was biased by opes of d and restraints of d, turn"
    assert words not in pages[0] and f"pushed {words}" in pages[1]


def test_one_element_has_no_unlike_pairs():
    with pytest.raises(ValueError, match="name pairs, such as O-O"):
        measure_survival(None, {}, SurvivalSettings())
