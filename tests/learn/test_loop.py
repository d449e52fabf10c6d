# SPDX-License-Identifier: MIT
"""Loops of active learning: what they add, how they stop, and how they go on."""

import csv
import json
import os
import sys

import ase.io
import numpy as np
import pytest
from learn_helpers import write_loop
from outcome_helpers import outcome_of

from openmm_allegro.learn import learn
from openmm_allegro.learn.label import LabelsNotReadyError
from openmm_allegro.model.model import digest
from openmm_allegro.modelfile import load_model

COMMAND = f"""kind = "command"
command = [{json.dumps(sys.executable)}, "label.py", "{{frames}}", "{{output}}"]"""
ASE = 'kind = "ase"\ncalculator = "ase.calculators.emt:EMT"'
SCRIPT = """
import sys, ase.io
from ase.calculators.emt import EMT
frames = ase.io.read(sys.argv[1], ":")
for number, atoms in enumerate(frames):
    if number == 1:
        atoms.info["failed"] = "no convergence"
        continue
    atoms.calc = EMT()
    atoms.get_forces()
ase.io.write(sys.argv[2], frames, format="extxyz")
"""


class KilledError(BaseException):
    """What no handler of errors takes."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A loop that explores by molecular dynamics and a pool, run to its end."""
    folder = tmp_path_factory.mktemp("learn")
    path = write_loop(folder, protocol=True)
    words = ["learn", path, "--output", folder / "whole"]
    outcome = outcome_of(folder / "x.json", *words)
    assert outcome["results"]["rounds"][0]["frames"] > 0
    return folder


def rows_of(folder, name):
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file))


def test_a_loop_labels_what_it_asks_for(whole):
    output = whole / "whole"
    frames, errors = rows_of(output, "frames.csv"), rows_of(output, "errors.csv")
    assert [int(row["frames"]) for row in errors] == [4, 7, 10]
    assert len(frames) == 6 and {row["labelled"] for row in frames} == {"yes"}
    assert len({row["origin"] for row in frames}) == 6
    assert all("deviation" in row["reason"] for row in frames)
    labelled = ase.io.read(output / "round-00" / "labelled.extxyz", ":")
    for atoms in labelled:  # labels are those of the positions, whoever rounds them
        forces = atoms.get_forces().copy()
        atoms.calc = ase.calculators.emt.EMT()
        assert np.allclose(forces, atoms.get_forces(), atol=1e-5)
    page = (output / "learning.html").read_text()
    assert "Errors against frames" in page and frames[0]["origin"] in page
    record = json.loads((output / "loop.json").read_text())
    assert record["finished"] and record["reason"] == "rounds = 2 is reached"


def test_a_loop_killed_at_ten_places_goes_on(whole, monkeypatch):
    """Each attempt dies some files after the last one; all of it makes one loop."""
    output, replace, killed = whole / "killed", os.replace, []
    count = {"left": 0}

    def dying(source, target, **more):
        if count["left"] == 0:
            killed.append(str(target))
            raise KilledError
        count["left"] -= 1
        return replace(source, target, **more)

    monkeypatch.setattr(os, "replace", dying)
    arguments = {"resume": False}
    for _ in range(40):
        count["left"] = 3 if len(killed) < 10 else 10_000
        arguments["resume"] = (output / "loop.json").exists()
        try:
            learnt = learn(whole / "loop.toml", output, progress=False, **arguments)
            break
        except KilledError:
            continue
    assert len(killed) == 10
    for path in learnt.models:
        other = whole / "whole" / path.name
        assert digest(load_model(path)) == digest(load_model(other))
    for name in ("frames.csv", "errors.csv"):
        text = (output / name).read_text()
        assert text == (whole / "whole" / name).read_text()


def test_a_command_labels_and_a_failed_frame_is_left_out(tmp_path):
    changes = [(ASE, COMMAND), ("rounds = 2", "rounds = 1")]
    path = write_loop(tmp_path, changes=changes)
    (tmp_path / "label.py").write_text("import sys; sys.exit(75)")
    with pytest.raises(LabelsNotReadyError, match="resume"):
        learn(path, tmp_path / "run", progress=False)
    (tmp_path / "label.py").write_text("raise SystemExit('the queue is closed')")
    with pytest.raises(RuntimeError, match="the queue is closed"):
        learn(path, tmp_path / "run", resume=True, progress=False)
    (tmp_path / "label.py").write_text(SCRIPT)
    learnt = learn(path, tmp_path / "run", resume=True, progress=False)
    assert learnt.frames == 2
    labelled = [row["labelled"] for row in rows_of(tmp_path / "run", "frames.csv")]
    assert labelled == ["yes", "no convergence", "yes"]
    # more rounds may follow, with other settings none
    path.write_text(path.read_text().replace("rounds = 1", "rounds = 1\nbudget = 3"))
    learnt = learn(path, tmp_path / "run", resume=True, progress=False)
    assert learnt.reason == "the budget of 3 frames is used"
    path.write_text(path.read_text().replace("seed = 5", "seed = 6"))
    with pytest.raises(ValueError, match=r"learn: seed; only budget, rounds"):
        learn(path, tmp_path / "run", resume=True, progress=False)
    path.write_text(path.read_text().replace("seed = 6", "seed = 5"))
    frames = ase.io.read(tmp_path / "start.extxyz", ":")
    ase.io.write(tmp_path / "start.extxyz", frames[:3])
    with pytest.raises(ValueError, match=r"files: start.extxyz"):
        learn(path, tmp_path / "run", resume=True, progress=False)
    with pytest.raises(FileExistsError, match="resume"):
        learn(path, tmp_path / "run", progress=False)


def test_a_loop_stops_where_error_and_deviation_are_small(tmp_path):
    targets = "seed = 5\ntarget_error_mev_a = 1e5\ntarget_deviation_mev_a = 1e5"
    changes = [("seed = 5", targets), ("seed = 5", 'pick = "random"\nseed = 5')]
    path = write_loop(tmp_path, changes=changes)
    learnt = learn(path, tmp_path / "run", progress=False)
    assert learnt.frames == 0 and "nine in ten" in learnt.reason


@pytest.mark.parametrize(
    "change, message",
    [
        (("members = 2", "members = 1"), "members of at least 2"),
        (('pool = ["pool.extxyz"]', 'pool = ["none.extxyz"]'), "none.extxyz"),
        (("emt:EMT", "emt:Emt"), "module:Class"),
        ((ASE, 'kind = "command"\ncommand = ["dft"]'), "{frames}"),
        (('test = ["test.extxyz"]', "target_error_mev_a = 3"), "expected test frames"),
        (('training = ["start.extxyz"]', ""), "labelled frames to begin with"),
    ],
)
def test_a_loop_that_cannot_be_run_is_refused(tmp_path, change, message):
    path = write_loop(tmp_path, changes=[change])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        learn(path, tmp_path / "run")
    assert not (tmp_path / "run" / "loop.json").exists()
