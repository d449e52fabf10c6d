# SPDX-License-Identifier: MIT
"""No argument of a registered operator ends the process."""

import contextlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ELEMENTS, random_atoms, tiny_config, tiny_energy
from operator_calls import evaluate_arguments

from openmm_allegro import kernels
from openmm_allegro.kernels.inference import validity
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Header
from openmm_allegro.neighbors import VerletList

CALLS = Path(__file__).with_name("operator_calls.py")
PATH = os.pathsep.join([str(CALLS.parents[1]), os.environ.get("PYTHONPATH", "")])


def operator_names():
    """All that the package registers, but the one that test_card_operator calls."""
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        if not module.name.rpartition(".")[2].startswith("_"):  # a compiled library
            importlib.import_module(module.name)
    names = [schema.name for schema in torch._C._jit_get_all_schemas()]
    mine = [name for name in names if name.startswith("openmm_allegro::")]
    return sorted({name.partition("::")[2] for name in mine} - {"evaluate_atoms"})


def outcomes_of(kernels, *names):
    """Outcomes of all calls with wrong arguments, in one process."""
    done = subprocess.run(
        [sys.executable, str(CALLS), kernels, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATH},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = done.stderr.splitlines()[-5:]
    assert done.returncode == 0, f"the process ended at {last}"
    return {(name, kernel): outcome for name, kernel, outcome in lines}


@pytest.fixture(scope="module")
def outcomes():
    return outcomes_of("compiled,torch", *operator_names())


@pytest.mark.parametrize("name", operator_names())
@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_wrong_arguments_are_refused(outcomes, name, kernel):
    outcome = outcomes[name, kernel]
    assert outcome["made"] > 100
    assert outcome["accepted"] == []


@pytest.mark.slow
def test_wrong_programs_without_compiled_kernels():
    """Torch looks at indices itself; it only does not miss weights that it ignores."""
    outcome = outcomes_of("unbuilt", "evaluate")["evaluate", "unbuilt"]
    assert outcome["made"] > 1000
    assert all(call.startswith("weights ") for call in outcome["accepted"])


def test_a_program_is_compared_with_its_lengths_without_kernels(monkeypatch):
    monkeypatch.setattr(validity, "library", lambda: None)
    integers, constants, weights = (
        a.numpy() for a in fold(tiny_energy(tiny_config()), torch.float32)
    )
    validity._check.cache_clear()
    assert validity.check_program(integers, constants, weights) == len(ELEMENTS)
    for other in (integers[:-1], np.append(integers, 0), integers[:9], integers[:0]):
        with pytest.raises(ValueError, match=r"expected a program with .* found"):
            validity.check_program(other, constants, weights)
    for other in (constants[:-1], np.append(constants, 0.0)):
        with pytest.raises(ValueError, match=r"expected a program with .* found"):
            validity.check_program(integers, other, weights)
    with pytest.raises(ValueError, match=r"axis of int64, found 1 of int32"):
        validity.check_program(integers.astype(np.int32), constants, weights)
    changed = integers.copy()
    changed[0] = 1
    with pytest.raises(RuntimeError, match="expected a program of format 3, found 1"):
        validity.check_program(changed, constants, weights)
    validity._check.cache_clear()


@contextlib.contextmanager
def little_memory(size):
    """Let the process have so many bytes more than it has now."""
    resource = pytest.importorskip("resource")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="it ends the process itself")
@pytest.mark.parametrize("threads", [1, 2])
def test_too_little_memory_is_an_error(threads, monkeypatch):
    """In each thread, and the process goes on."""
    monkeypatch.setenv("OPENMM_CPU_THREADS", str(threads))
    arguments = evaluate_arguments(torch.float64, 0)
    before = torch.ops.openmm_allegro.evaluate(*arguments)
    integers = arguments[6].clone()
    integers[Header._fields.index("stride")] = 2**17  # of the rows of a block
    offsets, neighbors, shifts = arguments[3:6]
    # The first atom has more pairs than any memory that is free has room for.
    own = int(offsets[1])
    offsets = torch.full_like(offsets, 1000 * own).index_fill(0, torch.tensor([0]), 0)
    pairs = offsets, neighbors[:own].repeat(1000), shifts[:own].repeat(1000, 1)
    changed = [*arguments[:3], *pairs, integers, *arguments[7:]]
    with (
        little_memory(50_000_000),
        pytest.raises(MemoryError, match="evaluate: expected more memory"),
    ):
        torch.ops.openmm_allegro.evaluate(*changed)
    again = torch.ops.openmm_allegro.evaluate(*arguments)
    assert all(torch.equal(*each) for each in zip(before, again, strict=True))


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
