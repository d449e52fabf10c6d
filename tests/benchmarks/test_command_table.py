# SPDX-License-Identifier: MIT
"""What each verb of the command says, as measured and as the manual has it."""

import json
from pathlib import Path

import pytest

from openmm_allegro.cli.main import VERBS

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "benchmarks" / "results" / "command_table.json"
RESUMABLE = {"train", "simulate", "free-energy", "learn"}


def check(row):
    assert row["status"] == 0 and row["first"] and row["last"], row
    assert row["did_you_mean"], row
    if row["interrupted"] is not None:
        assert row["interrupted_status"] == 130, row
        assert "interrupted" in row["interrupted"], row
        assert ("--resume" in row["interrupted"]) >= (row["verb"] in RESUMABLE), row


def test_the_manual_has_what_was_measured_of_each_verb(script):
    """If not: python benchmarks/command_table.py, and its table into the page."""
    rows = json.loads(ROWS.read_text())["rows"]
    assert {row["verb"] for row in rows} == set(VERBS)
    for row in rows:
        check(row)
    page = (ROOT / "docs" / "command.md").read_text()
    table = page.split("<!-- seen -->")[1].split("<!--")[0].strip()
    assert table == script("command_table").markdown(rows)


@pytest.mark.slow
def test_verbs_begin_end_and_stop_as_the_table_says(script, tmp_path):
    """Processes that are run to their ends, and stopped by SIGINT."""
    table, inputs = script("command_table"), script("command_inputs")
    inputs.write_inputs(tmp_path)
    for case in inputs.CASES:
        check(table.look_at(case, tmp_path))
