# SPDX-License-Identifier: MIT
"""The fused kernel and its twin have the function of the network."""

import ctypes
import functools
import importlib.util
import os

import numpy as np
import pytest
import torch
from helpers import (
    FULL,
    evaluate_structure,
    random_atoms,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from kernel_helpers import (
    BUILDS,
    CASES,
    evaluate,
    evaluate_program,
    load,
    network_of,
    program_of,
    tabulated,
)

from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference import operator as fused
from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.modelfile import Model
from openmm_allegro.neighbors import VerletList
from openmm_allegro.potential.module import force_module


def test_folding_is_exact():
    """The harmonics' polynomials come from a fit, yet are the same each time."""
    for l_max in range(5):
        energy = tiny_energy(tiny_config(l_max=l_max))
        first, second = fold(energy, torch.float64), fold(energy, torch.float64)
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other)


@functools.cache
def expected_of(case, kind):
    """Atoms, and what the network says of them."""
    config, energy = network_of(case)
    atoms = random_atoms(kind)
    return atoms, evaluate_structure(energy, config, *atoms)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("case", CASES)
def test_same_function(case, build, dtype):
    config, _ = network_of(case)
    for kind in ("triclinic", "tiny", "slab", "isolated"):
        atoms, expected = expected_of(case, kind)
        found = evaluate_program(build, program_of(case, dtype), config, atoms)
        tolerance = 1e-11 if dtype == torch.float64 else 1e-5
        assert expected.forces.abs().max() > 1e-3
        for value, reference in zip(found, expected, strict=True):
            scale = max(1.0, float(reference.abs().max()))
            torch.testing.assert_close(
                value, reference, atol=tolerance * scale, rtol=0.0
            )


def test_threads_and_blocks_do_not_matter():
    """Many more pairs than one block holds, on one to three threads."""
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    atoms = random_atoms("large", count=14)
    cell = atoms.cell.numpy()
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) @ cell
    positions = (atoms.positions.numpy() + grid[:, None]).reshape(-1, 3)
    many = atoms._replace(
        positions=torch.tensor(positions),
        cell=torch.tensor(4 * cell),
        types=atoms.types.repeat(64),
    )
    flags = library.processor_flags()
    name = next(n for n in BUILDS[1:] if library.BUILDS[n].needs <= flags)
    one = evaluate(name, energy, config, many, torch.float64)
    small = evaluate(name, energy, config, atoms, torch.float64)
    torch.testing.assert_close(one[0], small[0].repeat(64), atol=1e-11, rtol=0)
    torch.testing.assert_close(one[1], small[1].repeat(64, 1), atol=1e-11, rtol=0)
    for threads in (2, 3):
        first = evaluate(name, energy, config, many, torch.float64, threads)
        again = evaluate(name, energy, config, many, torch.float64, threads)
        for value, same, reference in zip(first, again, one, strict=True):
            assert torch.equal(value, same)
            torch.testing.assert_close(value, reference, atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    "told, expected",
    [("2", 2), ("0", 3), ("", 3), ("-1", 3), ("two", 3), ("²", 3), ("9" * 9, None)],
)
def test_number_of_threads(monkeypatch, told, expected):
    """The environment's value, if it is a number, but no more than are of use."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("OPENMM_CPU_THREADS", told)
    assert fused._threads(100) == (expected or 4)
    assert fused._threads(2) == 2
    assert fused._threads(0) == 1


@pytest.mark.parametrize("build", BUILDS[1:])
@pytest.mark.parametrize("points", [0, 64])
def test_what_is_no_number_stays_none(monkeypatch, build, points):
    """Also with a table, in which such a distance has no place."""
    config = tiny_config()
    energy = tiny_energy(config)
    atoms = random_atoms("tiny")
    pairs = VerletList(config.cutoff, 0.0)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    monkeypatch.setattr(fused, "library", lambda: load(build))
    for dtype in (torch.float64, torch.float32):
        program = tabulated(energy, dtype, points) if points else fold(energy, dtype)
        forces = torch.ops.openmm_allegro.evaluate(
            *(torch.full_like(atoms.positions, torch.nan), atoms.cell, atoms.types),
            *(pairs.offsets, pairs.neighbors, pairs.shifts, *program),
        )[1]
        assert forces.isnan().all()


def test_an_atom_alone_and_no_atoms_near():
    config = tiny_config()
    energy = tiny_energy(config)
    atoms = random_atoms("isolated", count=3)
    apart = atoms._replace(positions=atoms.positions * 100.0)
    for build in BUILDS:
        energies, forces, _ = evaluate(build, energy, config, apart, torch.float32)
        assert torch.equal(energies, energy.shifts[apart.types])
        assert not forces.any()


def test_without_the_kernel_the_twin_answers(monkeypatch, caplog):
    config = tiny_config()
    energy = tiny_energy(config)
    atoms = random_atoms("triclinic")
    expected = evaluate("twin", energy, config, atoms, torch.float64)
    forget_library()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    try:
        assert library.library() is None
        assert library.library() is None
        assert "was not built" in caplog.text and "CXX=no-such-comp" in caplog.text
        assert len(caplog.records) == 1  # one line, not one for each step
        pairs = VerletList(config.cutoff, 0.0)
        pairs(atoms.positions, atoms.cell, atoms.periodic)
        found = torch.ops.openmm_allegro.evaluate(
            *(atoms.positions, atoms.cell, atoms.types, pairs.offsets),
            *(pairs.neighbors, pairs.shifts, *fold(energy, torch.float64)),
        )
    finally:
        forget_library()
    torch.testing.assert_close(found[1], expected[1], atol=1e-11, rtol=0)


def forget_library():
    """Let the kernels be looked for again."""
    library.library.cache_clear()
    library._find.cache_clear()


def test_a_program_of_another_version_is_refused():
    config = tiny_config()
    atoms = random_atoms("triclinic")
    pairs = VerletList(config.cutoff, 0.0)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    program = fold(tiny_energy(config), torch.float64)
    program.integers[0] += 1
    arguments = atoms.positions, atoms.cell, atoms.types
    arguments += pairs.offsets, pairs.neighbors, pairs.shifts, *program
    for function in (torch.ops.openmm_allegro.evaluate, twin.evaluate):
        with pytest.raises(RuntimeError, match="another version of openmm_allegro"):
            function(*arguments)


@pytest.mark.parametrize("number", ["FORMAT", "INTERFACE"])
def test_a_kernel_of_another_version_is_not_used(monkeypatch, caplog, number):
    monkeypatch.setattr(library, number, 99)
    monkeypatch.setenv("CXX", "no-such-compiler")
    forget_library()
    try:
        assert library.library() is None
    finally:
        forget_library()
    if any(map(library.load, library.BUILDS)):
        assert "of another version" in caplog.text


def test_compiled_on_first_use_where_none_was_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(library, "FLAGS", [*library.FLAGS, "-O0"])  # sooner compiled
    forget_library()
    try:
        assert library.is_current(library.library())
        assert [p.name for p in tmp_path.iterdir()] == [
            os.path.basename(library.library()._name)
        ]
    finally:
        forget_library()


def test_a_library_without_one_of_the_functions_is_not_used():
    """One compiled before the functions of the header were what they are."""
    assert not library.is_current(ctypes.CDLL(None))


class Spring(torch.nn.Module):
    """A term of the energy that programs do not have."""

    def forward(self, r, center_types, neighbor_types):
        return (0.5 * (3.0 - r.clamp(max=3.0)) ** 2).sum(-1)


def test_a_term_that_programs_lack_runs_in_torch():
    """It is never left out: the fused kernel refuses it, and "auto" takes torch."""
    config = tiny_config(zbl=True)
    energy = tiny_energy(config)
    atoms = random_atoms("isolated")
    before = evaluate_structure(energy, config, *atoms)
    energy.terms["spring"] = Spring()
    expected = evaluate_structure(energy, config, *atoms)
    assert (expected.forces - before.forces).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"among \('zbl', 'core'\), found .*'spring'"):
        fold(energy, torch.float64)
    model = Model(config, tiny_statistics(config), energy, "total", "float64")
    symbols = [config.elements[t] for t in atoms.types]
    options = {"periodic": False, "precision": "double"}
    with pytest.raises(ValueError, match="'spring'"):
        force_module(model, symbols, kernel="fused", **options)
    module = force_module(model, symbols, kernel="auto", **options)
    found = module.evaluate(0.1 * atoms.positions)
    torch.testing.assert_close(found[1], expected.forces, atol=1e-9, rtol=0)
