# SPDX-License-Identifier: MIT
"""The fused kernel and its twin have the function of the network."""

import ctypes
import importlib.util
import os
import re

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

from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference import operator as fused
from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.fold import fold, fold_parts
from openmm_allegro.kernels.inference.table import (
    TableFunctions,
    fold_with_table,
    force_error,
)
from openmm_allegro.modelfile import Model
from openmm_allegro.neighbors import VerletList
from openmm_allegro.potential.module import force_module

CASES = {
    "two layers": {},
    "all options": FULL,
    "l_max 3": {"l_max": 3, "num_layers": 3},
    "l_max 0": {"l_max": 0, "num_layers": 1},
    "l_max 4, mish and gelu": {
        "l_max": 4,
        "latent_nonlinearity": "mish",
        "readout_nonlinearity": "gelu",
    },
    "spline": {"radial_embedding": "spline", "embedding_dim": 9},
    "no hidden layers": {
        "num_layers": 3,
        "latent_depth": 0,
        "readout_depth": 0,
        "two_body_depth": 0,
    },
    "linear": {"latent_depth": 2, "latent_nonlinearity": "none"},
    "deep": {"latent_depth": 3, "two_body_depth": 2, "readout_depth": 2},
    "uncoupled": {"path_channel_coupling": False, "num_layers": 4, "parity": False},
    "trained roots": {"bessel_trainable": True, "envelope_p": 5.5},
    "odd sizes": {
        "num_tensor_features": 17,
        "num_scalar_features": 34,
        "latent_width": 33,
        "embedding_dim": 10,
    },
    "chosen irreps": {
        "edge_irreps": ("0e", "1e", "2e"),
        "tensor_irreps": ("0e", "2e"),
        "num_layers": 3,
    },
    "a degree left out": {"edge_irreps": ("0e", "2e")},
}
BUILDS = ["twin", *library.BUILDS]


def evaluate(build, energy, config, atoms, dtype, threads=1, points=0):
    """Energies, forces and symmetric strain derivative through one of the builds."""
    pairs = VerletList(config.cutoff, 0.4)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    arguments = atoms.positions, atoms.cell, atoms.types
    arguments += (
        pairs.offsets,
        pairs.neighbors,
        pairs.shifts,
        *(tabulated(energy, dtype, points) if points else fold(energy, dtype)),
    )
    if build == "twin":
        found = twin.evaluate(*arguments)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused, "library", lambda: load(build))
            patch.delenv("OPENMM_CPU_THREADS", raising=False)
            patch.setattr(torch, "get_num_threads", lambda: threads)
            found = torch.ops.openmm_allegro.evaluate(*arguments)
    energies, forces, strain = found
    return energies, forces, 0.5 * (strain + strain.T)


def tabulated(energy, dtype, intervals):
    """The program of a model with a table of so many intervals."""
    folded = fold_parts(energy, dtype)
    return folded.program(TableFunctions(energy, folded.combined).table(intervals))


def load(build):
    """A compiled library; only what cannot run here is left out."""
    loaded = library.load(build)
    if loaded is None:
        assert not library.BUILDS[build].needs <= library.processor_flags() or not any(
            importlib.util.find_spec(f"openmm_allegro.kernels.cpu.{name}")
            for name in library.BUILDS
        )
        pytest.skip(f"{build} was not built or does not run here")
    assert library.is_current(loaded)
    return loaded


def test_folding_is_exact():
    """The harmonics' polynomials come from a fit, yet are the same each time."""
    for l_max in range(5):
        energy = tiny_energy(tiny_config(l_max=l_max))
        first, second = fold(energy, torch.float64), fold(energy, torch.float64)
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("case", CASES)
def test_same_function(case, build, dtype):
    config = tiny_config(**CASES[case])
    energy = tiny_energy(config)
    for kind in ("triclinic", "tiny", "slab", "isolated"):
        atoms = random_atoms(kind)
        expected = evaluate_structure(energy, config, *atoms)
        found = evaluate(build, energy, config, atoms, dtype)
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


def close_pair(config, fraction):
    """Two of the atoms at a fraction of the cutoff from each other."""
    atoms = random_atoms("triclinic")
    positions = atoms.positions.clone()
    step = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    positions[1] = positions[0] + fraction * config.cutoff * step
    return atoms._replace(positions=positions)


@pytest.mark.parametrize("build", BUILDS[1:])
@pytest.mark.parametrize("case", CASES)
def test_table_converges_and_is_exact_below_its_first_radius(case, build):
    """Errors fall with the third power of the interval, also beside a close pair."""
    config = tiny_config(**CASES[case])
    energy = tiny_energy(config)
    for fraction in (0.4, 0.08):
        atoms = close_pair(config, fraction)
        exact = evaluate(build, energy, config, atoms, torch.float64)
        errors = []
        for points in (64, 256):
            found = evaluate(build, energy, config, atoms, torch.float64, points=points)
            errors.append((found[1] - exact[1]).abs().max() / exact[1].abs().max())
        assert errors[1] < 1e-4
        assert errors[1] < errors[0] / 20 or errors[1] < 1e-9


def test_forces_of_the_table_are_derivatives():
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    atoms = random_atoms("triclinic")
    arguments = "_generic", energy, config
    options = {"dtype": torch.float64, "points": 32}  # coarse: not the exact forces
    forces = evaluate(*arguments, atoms, **options)[1]
    exact = evaluate(*arguments, atoms, torch.float64)[1]
    assert (forces - exact).abs().max() > 1e-5
    step = 1e-5
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.positions.clone()
            moved[atom, axis] += sign * step
            found = evaluate(*arguments, atoms._replace(positions=moved), **options)
            energies.append(found[0].sum())
        derivative = (energies[0] - energies[1]) / (2 * step)
        assert float(-derivative) == pytest.approx(float(forces[atom, axis]), abs=1e-7)


def test_the_error_of_a_table_is_said(caplog):
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    with caplog.at_level("INFO"):
        program = fold_with_table(energy, torch.float32, config.elements)
    bound, seen = force_error(energy, program, config.elements)
    assert 0.0 < seen < bound
    assert f"forces within {bound:.1e} eV/Å ({seen:.1e} in the worst" in caplog.text
    slope = re.search(r"and (\S+) of the largest slope", caplog.text)
    assert float(slope[1]) <= 3e-5


@pytest.mark.parametrize("intervals", (16, 128))
def test_forces_of_a_table_are_within_its_bound(intervals):
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    program = tabulated(energy, torch.float64, intervals)
    bound, _ = force_error(energy, program, config.elements)
    atoms = random_atoms("triclinic")
    exact = evaluate("_generic", energy, config, atoms, torch.float64)[1]
    options = {"dtype": torch.float64, "points": intervals}
    found = evaluate("_generic", energy, config, atoms, **options)[1]
    assert bound / 1000 < (found - exact).abs().max() < bound
    exact = fold(energy, torch.float64)
    assert force_error(energy, exact, config.elements)[0] < 1e-9


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
    with pytest.raises(ValueError, match=r"among \('zbl',\), found .*'spring'"):
        fold(energy, torch.float64)
    model = Model(config, tiny_statistics(config), energy, "total", "float64")
    symbols = [config.elements[t] for t in atoms.types]
    options = {"periodic": False, "precision": "double"}
    with pytest.raises(ValueError, match="'spring'"):
        force_module(model, symbols, kernel="fused", **options)
    module = force_module(model, symbols, kernel="auto", **options)
    found = module.evaluate(0.1 * atoms.positions)
    torch.testing.assert_close(found[1], expected.forces, atol=1e-9, rtol=0)
