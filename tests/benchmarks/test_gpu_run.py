# SPDX-License-Identifier: MIT
"""The command for a card: one part cannot cost another, and a dry run has no times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu"
# A part that ends well, fails, hangs with a child, or writes and then hangs.
FAKE = """
import json, subprocess, sys, time
name, file, seconds, device = sys.argv[1:]
json.dump({"row": {"ms": 1.0}}, open(file, "w"))
if name == "failing":
    raise SystemExit("no card")
if name == "hanging":
    print(subprocess.Popen(["sleep", "60"]).pid)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def run(script):
    return script("run")


@pytest.fixture(scope="module")
def goals(script):
    return script("goals")


def test_each_part_ends_by_itself(run, tmp_path, monkeypatch):
    (tmp_path / "part.py").write_text(FAKE)
    monkeypatch.setattr(run, "HERE", tmp_path)
    names = "failing", "hanging", "good", "long"
    parts = [run.Part(name, 30.0, 0.1, "a part") for name in names]
    parts[1] = parts[1]._replace(seconds=1.5)
    parts[3] = parts[3]._replace(least=100.0)
    content = run.run(parts, 60.0, tmp_path, dry=False)
    statuses = {name: part["status"] for name, part in content["parts"].items()}
    assert statuses == {
        "failing": "failed",
        "hanging": "stopped at its limit",
        "good": "done",
        "long": "left out",
    }
    assert content["parts"]["failing"]["log"] == ["no card"]
    for name in names[:3]:
        assert content["parts"][name]["rows"] == {"row": {"ms": 1.0}}
    assert "expected 100 s, found" in content["parts"]["long"]["reason"]
    assert json.loads((tmp_path / "gpu_unknown.json").read_text()) == content
    # what a part began is stopped with it
    child = int(content["parts"]["hanging"]["log"][0])
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_limits_fill_the_time(run):
    assert sum(part.seconds for part in run.PARTS) <= 16 * 60
    assert all(part.least <= part.seconds for part in run.PARTS)
    assert sum(part.least for part in run.PARTS) <= 12 * 60


def test_goals_are_met_or_have_a_distance(goals):
    judged, rows = goals.judged, {}
    for goal in goals.GOALS:
        part = rows.setdefault(goal.part, {"rows": {}})
        part["rows"].setdefault(goal.row, {})[goal.number] = goal.limit
    assert all(line["verdict"].startswith("met") for line in judged(rows))
    for part in rows.values():
        for row in part["rows"].values():
            row.update({key: 2 * value for key, value in row.items()})
    missed = [line["verdict"] for line in judged(rows)]
    expected = [not goal.at_least and goal.limit > 0 for goal in goals.GOALS]
    assert ["factor of 2," in verdict for verdict in missed] == expected
    assert {line["verdict"] for line in judged({})} == {"not measured"}


def test_names_of_goals_are_those_of_the_parts(run, goals):
    assert {goal.part for goal in goals.GOALS} <= {part.name for part in run.PARTS}


def test_dry_run_has_no_times(run, tmp_path):
    chosen = [part for part in run.PARTS if part.name in ("machine", "races")]
    content = run.run(chosen, 60.0, tmp_path, dry=True)
    assert {part["status"] for part in content["parts"].values()} == {"done"}
    assert content["parts"]["machine"]["rows"]["host"]["cores"] > 0
    text = (tmp_path / "gpu_dry_run.json").read_text()
    assert "seconds" not in text and "_ms" not in text


@pytest.mark.slow
def test_dry_run_runs_all_parts(tmp_path):
    command = [sys.executable, str(GPU / "run.py"), "--dry-run", "--output", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    content = json.loads((tmp_path / "gpu_dry_run.json").read_text())
    statuses = {name: part["status"] for name, part in content["parts"].items()}
    assert set(statuses.values()) == {"done"}, done.stdout
    for part in content["parts"].values():
        assert not any("failed" in row for row in part["rows"].values()), part


def test_variants_of_training_on_a_gpu(script, monkeypatch):
    """No sparse products there; graphs on a CPU only where they are asked for."""
    training = script("training")

    def chosen(*arguments):
        monkeypatch.setattr(sys, "argv", ["training.py", "model", "frames", *arguments])
        options = training._options()
        return options.output.name, training._chosen(4, options)

    name, variants = chosen("--device", "cuda")
    assert name == "training_cuda.json"
    ours = ["ours, dense", "ours, compiled, dense", "ours, graphs"]
    assert variants == [*ours, "nequip eager", "nequip compile"]
    name, variants = chosen()
    assert name == "training.json" and "ours, graphs" not in variants
    assert chosen("--variants", "ours, graphs")[1] == ["ours, graphs"]
