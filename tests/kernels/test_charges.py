# SPDX-License-Identifier: MIT
"""Charges of a program, and forces seeded with derivatives by them."""

import pytest
import torch
from charge_calls import reference, run, with_pairs
from helpers import CHARGED, FULL, random_atoms, tiny_config, tiny_energy
from kernel_helpers import BUILDS, CASES, in_numpy, load, tabulated

from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference import operator as fused
from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Code, unpack
from openmm_allegro.kernels.inference.table import POTENTIAL, force_error, with_table

ALL = ("energies", "forces", "strain", "virials", "charges")
# The twin, and the builds for this processor.
HERE = [
    name
    for name in BUILDS
    if name == "twin" or library.BUILDS[name].needs <= library.processor_flags()
]


def close(found, expected, tolerance):
    """Compare with a tolerance that is relative to the largest number."""
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, atol=tolerance * scale, rtol=0.0)


def symmetric(strain):
    return 0.5 * (strain + strain.T)


def some_seeds(count):
    generator = torch.Generator().manual_seed(3)
    return 5.0 * torch.randn(count, generator=generator, dtype=torch.float64)


class Case:
    """A model with learned charges, random atoms and their pairs."""

    def __init__(self, kind="triclinic", count=None, **overrides):
        self.config = tiny_config(**{**FULL, **CHARGED, **overrides})
        self.energy = tiny_energy(self.config)
        self.atoms = random_atoms(kind, count=count)
        self.arrays = with_pairs(self.config, self.atoms)
        self.seeds = some_seeds(len(self.atoms.types))

    def program(self, dtype=torch.float64):
        return fold(self.energy, dtype)


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.mark.parametrize("name", CASES)
def test_charges_and_seeded_forces_are_those_of_torch(name):
    """In all kernels that run here, in float64 to the last digits, and in float32."""
    case = Case(**{"num_layers": 2, "zbl": False, "pair_cutoffs": {}, **CASES[name]})
    expected = reference(case.energy, case.config, case.atoms, case.seeds)
    assert expected["charges"].abs().max() > 1e-3
    unseeded = reference(case.energy, case.config, case.atoms)["forces"]
    assert (expected["forces"] - unseeded).abs().max() > 1e-3
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        program = case.program(dtype)
        for build in HERE:
            found = results(build, program, case)
            close(found["charges"], expected["charges"], tolerance)
            close(found["energies"], expected["energies"], 10 * tolerance)
            close(found["forces"], expected["forces"], 10 * tolerance)
            close(symmetric(found["strain"]), expected["strain"], 10 * tolerance)


def results(build, program, case):
    """All results of a kernel, or of the twin."""
    if build == "twin":
        names = ("energies", "forces", "strain")
        found = twin.evaluate(*case.arrays, *program, case.seeds)
        charges = twin.charges(*case.arrays, *program)
        return {**dict(zip(names, found, strict=True)), "charges": charges}
    return run(load(build), program, case.arrays, ALL, case.seeds)


@pytest.mark.parametrize("build", HERE[1:])
@pytest.mark.parametrize("kind", ["triclinic", "isolated", "tiny", "slab"])
def test_seeded_forces_are_derivatives_of_energy_and_seeded_charges(build, kind):
    """By differences along random positions, and under random strains of the cell."""
    case = Case(kind)
    program, kernels = case.program(), load(build)
    found = run(kernels, program, case.arrays, ALL, case.seeds)
    virials = found["virials"].sum(0)
    torch.testing.assert_close(virials, found["strain"], atol=1e-11, rtol=0)

    def total(positions, cell):
        arrays = [positions, cell, *case.arrays[2:]]
        sums = run(kernels, program, arrays, ("energies", "charges"))
        return float(sums["energies"].sum() + (case.seeds * sums["charges"]).sum())

    positions, cell = case.arrays[:2]
    generator = torch.Generator().manual_seed(1)
    along = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
    expected = slope(lambda step: total(positions + step * along, cell))
    assert -(found["forces"] * along).sum() == pytest.approx(expected, rel=1e-8)
    strain = torch.randn((3, 3), generator=generator, dtype=torch.float64)
    strain = strain + strain.T
    unit = torch.eye(3, dtype=torch.float64)

    def strained(step):
        stretch = unit + step * strain
        return total(positions @ stretch, cell @ stretch)

    expected = slope(strained)
    assert (found["strain"] * strain).sum() == pytest.approx(expected, rel=1e-8)


def slope(function, step=2e-4):
    """Derivative at 0 by differences of fourth order."""
    near, far = (
        function(step) - function(-step),
        function(2 * step) - function(-2 * step),
    )
    return (8.0 * near - far) / (12.0 * step)


@pytest.mark.parametrize("build", HERE[1:])
def test_forces_are_linear_in_the_seeds(build, case):
    kernels, program = load(build), case.program()

    def forces(seeds):
        found = run(kernels, program, case.arrays, ALL, seeds)
        return torch.cat((found["forces"].flatten(), found["strain"].flatten()))

    other = case.seeds.flip(0)
    none = forces(None)
    assert torch.equal(forces(torch.zeros_like(other)), none)
    parts = forces(case.seeds) - none, forces(other) - none
    assert parts[0].abs().max() > 1e-2
    both = forces(2.0 * case.seeds - 0.5 * other) - none
    close(both, 2.0 * parts[0] - 0.5 * parts[1], 1e-12)


@pytest.mark.parametrize("build", HERE[1:])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_results_that_are_not_wanted_do_not_matter(build, dtype, case):
    """The others are the same to the last bit, also from one call to the next."""
    kernels, program = load(build), case.program(dtype)
    for threads in (1, 3):
        expected = run(kernels, program, case.arrays, ALL, case.seeds, threads)
        for wanted in (
            *(ALL, ("charges",), ("energies",), ("energies", "charges")),
            *(("forces", "strain"), ("charges", "forces", "strain")),
        ):
            found = run(kernels, program, case.arrays, wanted, case.seeds, threads)
            for name in wanted:
                assert torch.equal(found[name], expected[name]), (wanted, name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_charges_from_a_table(dtype):
    """Close to those without one; a readout without hidden layers is in the table."""
    case = Case(readout_depth=0)
    exact = results(HERE[1], case.program(dtype), case)
    program = tabulated(case.energy, dtype, 2048)
    for build in HERE[1:]:
        found = results(build, program, case)
        for name, value in exact.items():
            close(found[name], value, 1e-5)


@pytest.mark.parametrize("intervals", [32, 128])
def test_seeded_forces_of_a_table_are_within_its_bound(intervals):
    """Charges ten times as large have the larger part of it."""
    case = Case()
    with torch.no_grad():
        case.energy.charges.factors.mul_(10.0)
    case.seeds = POTENTIAL * case.seeds.sign()
    exact = in_numpy(case.program())
    table = with_table(exact, intervals)
    bound, _ = force_error(table, exact, case.config.elements)
    expected, found = (
        run(load(HERE[1]), one, case.arrays, ("forces", "strain"), case.seeds)["forces"]
        for one in (exact, table)
    )
    assert bound / 1000 < (found - expected).abs().max() < bound


@pytest.mark.parametrize("has_kernels", [True, False])
def test_operators(monkeypatch, has_kernels, case):
    """Give what the kernel gives, and where there is none, the twin."""
    program = case.program()
    build = HERE[1] if has_kernels else "twin"
    kernels = load(build) if has_kernels else None
    monkeypatch.setattr(fused, "library", lambda: kernels)
    monkeypatch.setenv("OPENMM_CPU_THREADS", "1")
    expected = results(build, program, case)
    operators = torch.ops.openmm_allegro
    assert torch.equal(operators.charges(*case.arrays, *program), expected["charges"])
    found = operators.evaluate_charged(*case.arrays, *program, case.seeds)
    for name, value in zip(("energies", "forces", "strain"), found, strict=True):
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize("build", HERE[1:])
def test_a_program_without_charges_gives_zeros(build):
    """And seeds add nothing to its forces, to the last bit."""
    case = Case(charges="none", charge_start={})
    kernels, program = load(build), case.program()
    assert not any(op.code == Code.CHARGE for op in unpack(program).operations())
    before = run(kernels, program, case.arrays, ALL[:3], threads=2)
    after = run(kernels, program, case.arrays, ALL, case.seeds, threads=2)
    assert not after["charges"].any()
    for name, value in before.items():
        assert torch.equal(after[name], value)
    assert not torch.ops.openmm_allegro.charges(*case.arrays, *program).any()
    plain = torch.ops.openmm_allegro.evaluate(*case.arrays, *program)
    seeded = torch.ops.openmm_allegro.evaluate_charged(
        *case.arrays, *program, case.seeds
    )
    for one, other in zip(seeded, plain, strict=True):
        assert torch.equal(one, other)


def test_atoms_alone_have_no_charge(case):
    """Nor do their seeds push them."""
    far = case.atoms.positions * 100.0, torch.zeros_like(case.atoms.cell)
    arrays = [*far, case.arrays[2], torch.zeros_like(case.arrays[3])]
    arrays += [x[:0] for x in case.arrays[4:]]
    for build in HERE:
        if build == "twin":
            found = {"charges": twin.charges(*arrays, *case.program())}
        else:
            program = case.program()
            found = run(load(build), program, arrays, ALL, case.seeds)
            assert not found["forces"].any()
        assert not found["charges"].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_constant_charges_leave_the_program_as_it_is(dtype):
    without = Case(charges="none", charge_start={}).program(dtype)
    for one, other in zip(
        Case(charges="constant").program(dtype), without, strict=True
    ):
        assert torch.equal(one, other)


def test_learned_charges_leave_the_energy_as_it_is(case):
    without = Case(charges="none", charge_start={})
    for build in HERE[1:]:
        wanted = ALL[:3]
        expected = run(load(build), without.program(), without.arrays, wanted)
        found = run(load(build), case.program(), case.arrays, wanted)
        for name in wanted:
            close(found[name], expected[name], 1e-13)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("source", lambda op, head: -1, "columns up to"),
        ("source", lambda op, head: head.stride, "columns up to"),
        ("source", lambda op, head: head.stride - 1, "columns up to"),
        ("width", lambda op, head: 0, "widths from 1"),
        ("width", lambda op, head: -(2**62), "widths from 1"),
        ("width", lambda op, head: 2**62, "widths from 1"),
        ("width", lambda op, head: head.stride, "weights|columns up to"),
        ("weights", lambda op, head: -1, "weights from 0 on"),
        ("weights", lambda op, head: op.weights + 1, "weights from"),
        ("weights", lambda op, head: 2**62, "weights from"),
        ("code", lambda op, head: len(Code), f"operations 0 to {len(Code) - 1}"),
        ("code", lambda op, head: int(Code.ENERGY), "weights from"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_bad_operations_are_refused(case, field, change, message, dtype):
    program = case.program(dtype)
    parts = unpack(program)
    operations = parts.operations()
    place = next(i for i, op in enumerate(operations) if op.code == Code.CHARGE)
    value = change(operations[place], parts.header)
    row = parts.arrays["operation"].view(len(operations), -1)[place]  # of the program
    row[operations[place]._fields.index(field)] = value
    with pytest.raises(ValueError, match=rf"expected a program with .*({message})"):
        torch.ops.openmm_allegro.charges(*case.arrays, *program)
