# SPDX-License-Identifier: MIT
"""Commands of the command line, their errors, and files to give to them."""

import json
from pathlib import Path

import numpy as np
from mdtraj.formats import XTCTrajectoryFile
from training_helpers import training_toml

from openmm_allegro.cli.main import main

# A training of one epoch.
TOML = training_toml(
    {
        "training": ["ethanol.extxyz"],
        "test": ["ethanol.extxyz"],
        "validation_size": 4,
    },
    {"max_epochs": 1, "warmup_steps": 0},
)


def error_of(capsys, *arguments):
    """The one line on the screen of a command that fails."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("openmm-allegro: error: ")
    return message


def analyze(*arguments):
    """Run ``analyze``, which succeeds."""
    assert main(["analyze", *map(str, arguments)]) == 0
    if "--json" in arguments:
        check_json(arguments[arguments.index("--json") + 1])


def check_json(path):
    """Hold the JSON of ``analyze`` to its one shape: each number has a unit."""
    content = json.loads(Path(path).read_text())
    for row in content["table"]:
        assert list(row) == ["item", "quantity", "value", "error", "unit", "warnings"]
        assert set(row["warnings"]) <= set(content["warnings"])
    lacking = set(_without_unit(content["results"], content["units"]))
    assert not lacking, f"{content['quantity']}: no units of {sorted(lacking)}"


def _without_unit(results, units, name="", known=False):
    """Names of numbers in the results of which neither they nor what holds them has."""
    if isinstance(results, dict):
        for key, value in results.items():
            yield from _without_unit(value, units, key, known or key in units)
    elif isinstance(results, list):
        for value in results[:3]:
            yield from _without_unit(value, units, name, known)
    elif isinstance(results, float | int) and not isinstance(results, bool):
        if not known:
            yield name


def analyze_error(capsys, *arguments):
    """The error of an ``analyze`` command."""
    return error_of(capsys, "analyze", *arguments)


def write_run(trajectory, prefix, **record):
    """Files of a run with a prefix; its name, to give to the command."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    save_xtc(trajectory, f"{prefix}.xtc")
    trajectory[0].save_pdb(f"{prefix}.pdb")
    if record:
        (prefix.parent / f"{prefix.name}.json").write_text(json.dumps(record))
    return str(prefix)


def save_xtc(trajectory, path):
    """Write an XTC with steps of 1 fs, as a run does; mdtraj numbers them 0, 1, 2."""
    with XTCTrajectoryFile(str(path), "w") as file:
        file.write(
            trajectory.xyz,
            time=np.asarray(trajectory.time, dtype=np.float32),
            step=np.round(1000 * trajectory.time).astype(np.int32),
            box=trajectory.unitcell_vectors,
        )


def rows_of(path):
    """Rows of the table in a JSON file by item and quantity."""
    return {
        (row["item"], row["quantity"]): row
        for row in json.loads(path.read_text())["table"]
    }
