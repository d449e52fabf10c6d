# SPDX-License-Identifier: MIT
"""Tables have the functions of the network, and forces within their bound."""

import re

import numpy as np
import pytest
import torch
from helpers import FULL, random_atoms, tiny_config, tiny_energy
from kernel_helpers import (
    BUILDS,
    CASES,
    evaluate,
    evaluate_program,
    in_numpy,
    load,
    network_of,
    program_of,
    tabulated,
)

from openmm_allegro.kernels.inference import compiled, table, twin
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Code, Program, unpack
from openmm_allegro.kernels.inference.table import (
    choose_table,
    force_error,
    table_error,
    two_body,
    with_table,
)
from openmm_allegro.kernels.inference.validity import check_program
from openmm_allegro.topology.elements import covalent_radii


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
    config, _ = network_of(case)
    for fraction in (0.4, 0.08):
        atoms = close_pair(config, fraction)
        exact, *with_tables = (
            evaluate_program(build, program_of(case, torch.float64, n), config, atoms)
            for n in (0, 64, 256)
        )
        errors = []
        for found in with_tables:
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_energies_are_smooth_across_nodes(dtype):
    """A dimer at nodes of the table, and where the table begins."""
    config = tiny_config()
    energy, intervals = tiny_energy(config), 16
    program = in_numpy(tabulated(energy, dtype, intervals))
    start = unpack(program).scalars.table_from
    nodes = start + (1.0 - start) * np.array([0, 1, 7, 15]) / intervals
    step, error = (1e-5, 1e-9) if dtype == torch.float64 else (3e-3, 1e-3)
    for r in nodes * config.cutoff:
        energies, forces = zip(
            *(dimer(program, r + side * step) for side in (-1, 0, 1)), strict=True
        )
        mean = (energies[2] - energies[0]) / (2 * step)
        assert min(forces) - error < mean < max(forces) + error
        nearer = [dimer(program, r + side * step / 10)[1] for side in (-1, 1)]
        change = abs(forces[2] - forces[0])
        assert abs(nearer[1] - nearer[0]) < 0.2 * change + error


def dimer(program, r):
    """Energy of two atoms at a distance, and the force along it."""
    positions = np.array([[0.0, 0.0, 0.0], [0.6 * r, 0.0, 0.8 * r]])
    neighbors = np.array([1, 0], dtype=np.int32)
    pairs = np.array([0, 1, 2]), neighbors, np.zeros((2, 3), dtype=np.int8)
    types = np.array([1, 0])
    energies, forces, _ = compiled.evaluate(
        load("_generic"), program, positions, np.zeros((3, 3)), types, *pairs
    )
    return energies.sum(), forces[0] @ positions[1] / r


def stage_of_twin(program, kind, x):
    """The first stage of a program in torch: values [n, width] and slopes by x."""
    network = twin._Network(Program(*map(torch.from_numpy, program)))
    head = network.head

    def values(x):
        kinds = torch.full((1, len(x)), kind)
        rows = twin._Rows(kinds, x, x, x)
        rows.segments[head.basis] = network._radial(x.unsqueeze(0))
        for operation in network.operations[: head.stage]:
            twin._RUN[Code(operation.code)](network, rows, operation)
        return rows.value(head.first, head.first_width)[0]

    return torch.func.jvp(values, (x,), (torch.ones_like(x),))


@pytest.mark.parametrize("build", BUILDS[1:])
@pytest.mark.parametrize("case", CASES)
def test_values_and_slopes_are_those_of_torch(case, build, monkeypatch):
    """In double precision from either program: float32 weights are rounded alone."""
    energy = tiny_energy(tiny_config(**CASES[case]))
    kernels = load(build)
    monkeypatch.setattr(table, "library", lambda: kernels)
    single, double = (
        in_numpy(fold(energy, dtype)) for dtype in (torch.float32, torch.float64)
    )
    x = torch.linspace(0.05, 1.0, 70, dtype=torch.float64)  # more than a block
    for kind in (1, 5):
        expected = stage_of_twin(double, kind, x)
        width = unpack(double).header.first_width
        for program, error in ((double, 1e-13), (single, 1e-6)):
            found = two_body(program, *divmod(kind, 3), x.numpy())
            if program is single and found[0].shape[1] != width:
                continue  # segments of float32 have other padding
            for one, other in zip(found, expected, strict=True):
                scale = float(other.abs().max())
                np.testing.assert_allclose(one, other, rtol=0, atol=error * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_table_does_not_depend_on_threads(dtype, monkeypatch):
    """Blocks that end amid the intervals of a pair, too, to the last bit."""
    program = in_numpy(fold(tiny_energy(tiny_config(**FULL)), dtype))
    for intervals in (1, 65, 130):
        tables = []
        for threads in (1, 2, 5):
            monkeypatch.setattr(table, "_threads", lambda n=threads: n)
            tables.append(with_table(program, intervals))
            errors = table_error(program, intervals)
            assert errors == table_error(program, intervals)
        for made in tables[1:]:
            for one, other in zip(made, tables[0], strict=True):
                assert one.tobytes() == other.tobytes()
        check_program(*tables[0])


def test_the_error_of_a_table_is_said(caplog):
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    program, exact = (
        in_numpy(fold(energy, dtype)) for dtype in (torch.float32, torch.float64)
    )
    with caplog.at_level("INFO"):
        intervals, made = choose_table(program, exact, config.elements)
    bound, seen = force_error(made, exact, config.elements)
    assert 0.0 < seen < bound
    assert f"forces within {bound:.1e} eV/Å ({seen:.1e} in the worst" in caplog.text
    slope = re.search(r"and (\S+) of the largest slope", caplog.text)
    assert float(slope[1]) == pytest.approx(table_error(exact, intervals)[1], rel=0.1)
    assert float(slope[1]) <= 3e-5
    assert table_error(exact, intervals // 2)[1] > 3e-5


@pytest.mark.parametrize("intervals", (16, 128))
def test_forces_of_a_table_are_within_its_bound(intervals):
    config = tiny_config(**FULL)
    energy = tiny_energy(config)
    exact = in_numpy(fold(energy, torch.float64))
    bound, _ = force_error(with_table(exact, intervals), exact, config.elements)
    atoms = random_atoms("triclinic")
    expected = evaluate("_generic", energy, config, atoms, torch.float64)[1]
    options = {"dtype": torch.float64, "points": intervals}
    found = evaluate("_generic", energy, config, atoms, **options)[1]
    assert bound / 1000 < (found - expected).abs().max() < bound
    assert force_error(exact, exact, config.elements)[0] < 1e-9


def forces_of_trimer(program, types, positions):
    others = np.array([1, 2, 0, 2, 0, 1], dtype=np.int32)
    pairs = np.arange(0, 7, 2), others, np.zeros((6, 3), dtype=np.int8)
    cell = np.zeros((3, 3))
    return compiled.evaluate(load("_generic"), program, positions, cell, types, *pairs)[
        1
    ]


@pytest.mark.parametrize("options", [FULL, {"l_max": 1}])
def test_two_short_bonds_are_within_the_bound(options):
    """From any atom to any two others, where errors of a table are large."""
    config = tiny_config(**options)
    radii = np.array(covalent_radii(config.elements))
    exact = in_numpy(fold(tiny_energy(config, seed=1), torch.float64))
    tabulated = with_table(exact, 128)
    bound, _ = force_error(tabulated, exact, config.elements)
    for types in np.ndindex(3, 3, 3):
        if types[1] > types[2]:  # the same trimers again
            continue
        lengths = 0.8 * (radii[types[0]] + radii[list(types[1:])])
        for cosine in (0.0, -0.33, -1.0):
            sine = (1.0 - cosine**2) ** 0.5
            directions = np.array([[1.0, 0.0, 0.0], [cosine, sine, 0.0]])
            positions = np.vstack([np.zeros(3), lengths[:, None] * directions])
            expected, found = (
                forces_of_trimer(program, np.array(types), positions)
                for program in (exact, tabulated)
            )
            assert abs(found - expected).max() < bound


def test_a_table_needs_the_kernels(monkeypatch):
    program = in_numpy(fold(tiny_energy(tiny_config()), torch.float64))
    monkeypatch.setattr(table, "library", lambda: None)
    with pytest.raises(ImportError, match="two_body='table' expects the compiled ker"):
        with_table(program, 16)


def test_a_table_larger_than_the_memory_is_refused(monkeypatch):
    program = in_numpy(fold(tiny_energy(tiny_config()), torch.float64))
    monkeypatch.setattr(table.os, "sysconf", lambda name: 100)
    with pytest.raises(
        MemoryError, match=r"table of \d+ MB, found 0 MB; use two_body="
    ):
        with_table(program, 2048)
