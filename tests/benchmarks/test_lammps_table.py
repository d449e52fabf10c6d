# SPDX-License-Identifier: MIT
"""Tables of models in LAMMPS: those that the script prints of the results it wrote."""

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "lammps.json"
LOG = """\
Loop time of 15.2074 on 2 procs for 4 steps with 94208 atoms

Performance: 0.003 ns/day, 8000.000 hours/ns, 0.066 timesteps/s
11.4% CPU use with 2 MPI tasks x 1 OpenMP threads
"""


def test_every_part_that_was_measured_has_lines(script):
    """If not: python benchmarks/lammps.py."""
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = list(script("lammps_table").lines(content))
    assert len(rows) > len(content)
    assert {row.count("|") for row in rows if row} == {5}


def test_loops_of_a_log_are_read(script):
    (loop,) = script("lammps_runs").loops(LOG)
    assert loop == {
        "seconds": 15.2074,
        "cpu_use": pytest.approx(0.114),
        "ranks": 2,
        "steps": 4,
        "atoms": 94208,
    }
