# SPDX-License-Identifier: MIT
"""``--json`` and other outputs never replace what a verb reads or writes itself."""

import json
from pathlib import Path

import pytest
from cli_helpers import error_of

from openmm_allegro.cli import models
from openmm_allegro.cli.main import main
from openmm_allegro.cli.outcome import Outcome
from openmm_allegro.utils.files import lock_output

WATER = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "water.xyz").write_text(WATER)
    (tmp_path / "runs").mkdir()
    for name in ("a.json", "a.pdb"):
        (tmp_path / "runs" / name).write_text('{"backend": "native"}')


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["info", "water.xyz", "--force"], "water.xyz"),
        (["report", "runs/a", "--force"], "runs/a.json"),
        (["analyze", "rdf", "runs/a", "--force"], "runs/../runs/a.json"),
        (["evaluate", "m.safetensors", "water.xyz", "--force"], "water.xyz"),
        (["simulate", "m", "water.xyz", "--output", "runs/b"], "runs/b.json"),
        (["simulate", "m", "t.pdb", "--output", "runs/a", "--resume"], "runs/a.json"),
        (["lammps", "p.toml", "--output", "runs/l"], "runs/l/series.json"),
        (["analyze", "rdf", "runs/a", "--csv", "x.csv"], "runs/../x.csv"),
        (["models"], "-"),
    ],
)
def test_json_of_another_file_is_refused(arguments, path, tmp_path, capsys):
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    words = error_of(capsys, *arguments, "--json", path)
    assert Path(path).name in words and ("--json" in words or path == "-")
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*.*")}


def test_json_that_the_verb_wrote_stays(tmp_path, monkeypatch, capsys):
    def write(options):
        (tmp_path / "own.json").write_text("{}")
        return Outcome({})

    monkeypatch.setattr(models, "models", write)
    assert "models wrote" in error_of(capsys, "models", "--json", "own.json")
    assert (tmp_path / "own.json").read_text() == "{}"


def test_json_of_a_name_that_is_no_text(tmp_path):
    name = b"\xff.cif".decode(errors="surrogateescape")
    made = ["box", "water=2", "--box", "1,1,1", "--output", name, "--json", "x.json"]
    assert main(made) == 0
    outcome = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert outcome["files"] == [name] and (tmp_path / name).is_file()


def test_an_output_below_a_file_is_refused_in_words():
    with pytest.raises(FileExistsError, match=r"^expected a folder at .*water\.xyz"):
        with lock_output("water.xyz/x"):
            pass
