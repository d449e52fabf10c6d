# SPDX-License-Identifier: MIT
"""Charges on a card: the sum at long range between two passes of the network."""

import functools

import numpy as np
import pytest
import torch
from charge_calls import reference
from gpu_step import ListDevice, steps
from helpers import CHARGED, FULL, random_atoms, tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.gpu.library import Counter
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.mesh import Mesh
from openmm_allegro.kernels.library import library
from openmm_allegro.model.charges import with_total
from openmm_allegro.model.long_range import LongRangeSettings

TOTAL = 0.7  # e
FAST = {"flags": ("-O0",)}  # to compile
SLOW = pytest.mark.slow


@functools.cache
def model(charges, **overrides):
    config = tiny_config(**{**FULL, **CHARGED, "charges": charges, **overrides})
    energy = tiny_energy(config)
    start = tuple(map(float, energy.charges.start.detach()))
    learned = charges == "learned"
    return config, energy, LongRangeSettings(start, config.alpha, TOTAL, learned)


def exact(charges, atoms):
    """Energies, forces and strain by torch, the sum by the kernel for processors."""
    config, energy, settings = model(charges)
    raw = reference(energy, config, atoms)["charges"]
    own = with_total(raw + energy.charges.start.detach()[atoms.types], TOTAL).numpy()
    arrays = atoms.positions.numpy(), atoms.cell.numpy(), own
    _, potentials, forces, strain = Mesh(library()).sum(*arrays, settings.alpha)
    seeds = torch.tensor(potentials - potentials.mean())
    found = reference(energy, config, atoms, seeds)
    parts = {name: values.numpy() for name, values in found.items()}
    energies = parts["energies"] + 0.5 * own * potentials
    return energies, parts["forces"] + forces, symmetric(parts["strain"] + strain)


def symmetric(strain):
    return 0.5 * (strain + strain.T)


@functools.cache
def program(charges, dtype=torch.float64):
    return in_numpy(fold(model(charges)[1], dtype))


def charged_steps(charges, atoms, dtype=torch.float64, *, rows=-1, images=0, **device):
    """Steps of one model, by default of the kernel for any number of rows."""
    return steps(
        [program(charges, dtype)],
        atoms.types.numpy(),
        atoms.periodic.numpy(),
        device=ListDevice(networks=True, memory=227 * 1024, **device),
        charges=[model(charges)[2]],
        images=images,
        rows=rows,
    )


def moved(atoms):
    """Positions many boxes away, and the box."""
    positions, cell = atoms.positions.numpy(), atoms.cell.numpy()
    images = np.random.default_rng(0).integers(-9, 9, positions.shape)
    return positions + images @ cell, cell


@pytest.mark.parametrize(
    ("charges", "kind"),
    [
        ("learned", "triclinic"),
        ("constant", "isolated"),
        pytest.param("constant", "triclinic", marks=SLOW),
        pytest.param("learned", "isolated", marks=SLOW),
        pytest.param("learned", "tiny", marks=SLOW),
    ],
)
def test_equals_the_processor(charges, kind):
    """Energies, forces and strain, to the roundings of integers; in any order of lanes
    and groups the same bits. The total charge is not that of the start."""
    atoms = random_atoms(kind, 1)
    positions, cell = moved(atoms)
    found = []
    for options in ({}, {"backwards": True, "groups": 3}):
        with charged_steps(charges, atoms, **FAST, **options) as made:
            if not options:  # a mesh of another box
                made.step(1.4 * positions, 1.4 * cell)
            made.step(positions, cell)
            found.append(made.results())
            made.step(positions, cell, wants_forces=False)
            np.testing.assert_array_equal(made.results()[0], found[0][0])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    energies, forces, strain = found[0]
    expected = exact(charges, atoms)
    np.testing.assert_allclose(energies, expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(symmetric(strain), expected[2], rtol=0, atol=1e-8)


@SLOW
@pytest.mark.parametrize("rows", [16, -1])
def test_single_precision(rows):
    """As good as that of a model without charges."""
    atoms = random_atoms("triclinic", 1)
    with charged_steps("learned", atoms, torch.float32, rows=rows, **FAST) as made:
        made.step(*moved(atoms))
        energies, forces, strain = made.results()
    expected = exact("learned", atoms)
    np.testing.assert_allclose(energies, expected[0], rtol=0, atol=3e-6)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=3e-5)
    np.testing.assert_allclose(symmetric(strain), expected[2], rtol=0, atol=5e-5)


def test_launches_of_a_step_and_what_it_refuses():
    """Tables and meshes are those of the step before, and the host waits for the box
    alone. Errors are those of the processor, a step later."""
    atoms = random_atoms("triclinic", 1)
    positions, cell = atoms.positions.numpy(), atoms.cell.numpy()
    with charged_steps("learned", atoms, **FAST) as made:
        device = made.device
        made.step(positions, cell)
        before = len(device.names), len(device.uploads), device.waits
        made.step(positions, 1.0001 * cell)
        assert len(device.names) - before[0] == 15
        assert len(device.uploads) == before[1]
        assert device.waits - before[2] == 1
        for large, message in ((1e3, "2\\^28 points"), (1e9, "2\\^28 points")):
            with pytest.raises(RuntimeError, match=message):
                made.step(positions, large * cell)
        long = cell * [[1.0], [1.0], [400.0]]
        with pytest.raises(RuntimeError, match=r"at most 1024 points .* found \d+"):
            made.step(positions, long)
        for wrong in (np.nan, 1e12):
            lost = positions.copy()
            lost[2, 1] = wrong
            made.step(lost, cell)
            assert np.isnan(made.results()[0]).all()
            with pytest.raises(RuntimeError, match=r"^Allegro: expected .*positions"):
                made.finish()
        flat = cell.copy()
        flat[2] = flat[1]
        made.step(positions, flat)
        with pytest.raises(RuntimeError, match="that span a volume"):
            made.finish()
        made.step(positions, cell)
        assert made.finish()[Counter.NOT_FINITE] == 0


@SLOW
@pytest.mark.parametrize("images", [1, 2])
def test_regions_without_images(images):
    """In a box: nearest images, or those that are given, as if there were none."""
    atoms = random_atoms("isolated", 1)
    positions = atoms.positions.numpy()
    cell = 40.0 * np.array([[1.0, 0.0, 0.0], [0.45, 1.0, 0.0], [-0.4, 0.4, 1.0]])
    expected = exact("learned", atoms)
    if images == 1:
        shifts = np.random.default_rng(1).integers(-3, 4, positions.shape)
        positions = positions + shifts @ cell
    inside = atoms._replace(periodic=torch.ones(3, dtype=torch.bool))
    with charged_steps("learned", inside, images=images, **FAST) as made:
        made.step(positions, cell)
        energies, forces, _ = made.results()
        assert made.device.waits == 0
    np.testing.assert_allclose(energies, expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-8)


@SLOW
def test_a_committee_has_the_mean_of_its_members():
    """Each with charges and a mesh of its own."""
    atoms = random_atoms("triclinic", 1)
    positions, cell = atoms.positions.numpy(), atoms.cell.numpy()
    kinds = "learned", "constant"
    types = np.array([atoms.types.numpy()] * 2)
    own = [model("learned")[2], model("constant")[2]._replace(alpha=0.6)]
    device = ListDevice(networks=True, **FAST)
    with steps(
        [program(kind) for kind in kinds],
        types,
        [True] * 3,
        device=device,
        charges=own,
        rows=-1,
    ) as made:
        made.step(positions, cell)
        mean = made.results()
        each = []
        for number in (1, 0):
            made.step(positions, cell, member=number)
            each.append(made.results())
    for one, both in zip(mean, zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(one, np.mean(both, 0), rtol=0, atol=1e-10)
    expected = exact("learned", atoms)
    np.testing.assert_allclose(each[1][1], expected[1], rtol=0, atol=1e-9)


def test_charges_that_nobody_sums_are_refused():
    """Nor those of a box that is one along some vectors alone."""
    *_, settings = model("learned")
    for options, periodic, message in (
        (
            {},
            [True] * 3,
            "found one whose charges nobody sums",
        ),
        ({"charges": [settings]}, [True, True, False], "repeats along all .* or none"),
        ({"charges": [settings._replace(alpha=0.0)]}, [True] * 3, "alpha of charges"),
    ):
        with pytest.raises(RuntimeError, match=message):
            with steps([program("learned")], [0, 1], periodic, **options):
                pass
