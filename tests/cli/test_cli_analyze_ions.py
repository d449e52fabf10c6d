# SPDX-License-Identifier: MIT
"""``analyze`` of who is beside whom, in closed form."""

import numpy as np
import pytest
from analysis_helpers import make_trajectory, pairs_that_part, two_states
from cli_helpers import analyze, rows_of, write_run
from cli_helpers import analyze_error as error_of

pytestmark = pytest.mark.usefixtures("read_here")


def test_survival_of_a_two_state_process(tmp_path, capsys):
    rng = np.random.default_rng(7)
    states = two_states(2000, 20, 0.05, 0.02, rng)
    prefix = write_run(pairs_that_part(states, rng, time_step=0.5), tmp_path / "nvt")
    out, figure = tmp_path / "s.json", tmp_path / "s.png"
    analyze(
        *("survival", prefix, "Na-O", "--shell", 0.4, "--max-lag", 50),
        *("--json", out, "--plot", figure),
    )
    row = rows_of(out)["Na-O", "lifetime"]
    assert abs(row["value"] + 0.5 / np.log(0.95)) < 3 * row["error"]
    assert row["unit"] == "ps"
    patient = ["--shell", "0.4", "--outer", "0.5", "--tolerance", 2]
    analyze("residence", prefix, "Na-O", *patient, "--json", out, "--force")
    breaks = rows_of(out)["Na-O", "breaks"]["value"]
    gaps = np.diff(np.pad(states, ((1, 1), (0, 0))), axis=0)
    assert breaks < np.sum(gaps[1:-1] == -1)
    capsys.readouterr()
    wrong = error_of(capsys, "survival", prefix, "Na-O", "--shell", "0.3,0.4")
    assert "one --shell, or 1 for Na-O, found 2" in wrong


def test_speciation_and_clusters_of_pairs(tmp_path, capsys):
    """10 Na, of which 4 hold a Cl at 0.25 nm and 6 are alone."""
    sites = np.stack(np.meshgrid(*[[0.0, 2.0, 4.0]] * 3), -1).reshape(-1, 3)[:10]
    chloride = sites + np.where(np.arange(10) < 4, 0.25, 0.9)[:, None] * [1, 0, 0]
    positions = np.tile(np.concatenate([sites, chloride]), (20, 1, 1))
    trajectory = make_trajectory(positions, 6 * np.eye(3), ["Na"] * 10 + ["Cl"] * 10)
    prefix = write_run(trajectory, tmp_path / "nvt")
    out, figure = tmp_path / "x.json", tmp_path / "x.png"
    options = ["--shell", 0.4, "--json", out, "--plot", figure, "--force"]
    analyze("speciation", prefix, "Na-Cl", *options)
    rows = rows_of(out)
    assert rows["1 Cl", "part of the centres"]["value"] == pytest.approx(0.4)
    assert rows["0 Cl", "part of the centres"]["value"] == pytest.approx(0.6)
    analyze("clusters", prefix, "Na-Cl", *options)
    rows = rows_of(out)
    assert rows["Na-Cl", "part of the ions alone"]["value"] == pytest.approx(0.6)
    assert rows["Na-Cl", "in clusters of 2"]["value"] == pytest.approx(0.4)
    assert rows["Na-Cl", "mean size"]["value"] == pytest.approx(1.4)
    assert "one centre" in error_of(
        capsys, "speciation", prefix, "Na-Cl", "Cl-Na", "--shell", 0.4
    )
