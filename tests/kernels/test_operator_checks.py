# SPDX-License-Identifier: MIT
"""No argument of a registered operator ends the process."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import random_atoms, tiny_config, tiny_energy

from openmm_allegro import kernels
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.neighbors import VerletList

CALLS = Path(__file__).with_name("operator_calls.py")


def operator_names():
    """All that the package registers."""
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        if not module.name.rpartition(".")[2].startswith("_"):  # a compiled library
            importlib.import_module(module.name)
    names = [schema.name for schema in torch._C._jit_get_all_schemas()]
    mine = [name for name in names if name.startswith("openmm_allegro::")]
    return sorted({name.partition("::")[2] for name in mine})


@pytest.fixture(scope="module")
def outcomes():
    """Of all calls with wrong arguments, in one process."""
    path = os.pathsep.join([str(CALLS.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(CALLS), *operator_names()],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = done.stderr.splitlines()[-5:]
    assert done.returncode == 0, f"the process ended at {last}"
    return {(name, kernel): outcome for name, kernel, outcome in lines}


@pytest.mark.parametrize("name", operator_names())
@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_wrong_arguments_are_refused(outcomes, name, kernel):
    outcome = outcomes[name, kernel]
    assert outcome["made"] > 100
    assert outcome["accepted"] == []


def test_a_program_that_is_changed_in_place_is_looked_at_again():
    config = tiny_config()
    atoms = random_atoms("triclinic")
    pairs = VerletList(config.cutoff, 0.0)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    program = fold(tiny_energy(config), torch.float64)
    arguments = atoms.positions, atoms.cell, atoms.types
    arguments += pairs.offsets, pairs.neighbors, pairs.shifts, *program
    before = torch.ops.openmm_allegro.evaluate(*arguments)
    program.integers.numpy()[40] += 10**6  # torch does not count this change
    with pytest.raises(ValueError, match=r"expected a program with .* found"):
        torch.ops.openmm_allegro.evaluate(*arguments)
    program.integers.numpy()[40] -= 10**6
    again = torch.ops.openmm_allegro.evaluate(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(before, again, strict=True))
