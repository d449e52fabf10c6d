# SPDX-License-Identifier: MIT
"""Steps on a card: launches, waits, rebuilds, room that grows, and what is refused."""

import math

import numpy as np
import pytest
import torch
from gpu_step import ListDevice, steps
from helpers import Atoms, random_atoms, tiny_config, tiny_energy
from kernel_helpers import evaluate, in_numpy

from openmm_allegro.kernels.gpu.library import Counter
from openmm_allegro.kernels.inference.fold import fold

SKIN = 0.5
CONFIG = tiny_config()
REPELLING = tiny_config(pair_cutoffs={"H-O": 2.4, "O-H": 2.9}, zbl=True)
NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def program():
    return in_numpy(fold(tiny_energy(CONFIG), torch.float32))


@pytest.fixture
def atoms():
    made = random_atoms("triclinic", 3)
    return made.positions.numpy(), made.cell.numpy(), made.types.numpy()


def test_a_step_has_six_launches_and_waits_for_nothing(program, atoms):
    positions, cell, types = atoms
    for members, cells, most in ((1, 1, 6), (1, 1000, 5), (3, 1, 10)):
        with steps(
            [program] * members, [types] * members, [True] * 3, SKIN, cells=cells
        ) as made:
            device = made.device
            for number in range(4):
                before, waits = len(device.names), device.waits
                uploads = len(device.uploads)
                made.step(positions + 0.05 * number, cell)
                assert len(device.names) - before <= most
                assert device.waits == waits and len(device.uploads) == uploads
            names = device.names[before:]
            assert names[0] == "place" and names[-1] == "finish"
            assert names.count("wide") == members
            before = len(device.names)
            made.step(positions, cell, member=members - 1)
            assert device.names[before:].count("wide") == 1


def test_the_list_is_kept_until_an_atom_has_moved_half_the_skin(program, atoms):
    positions, cell, types = atoms
    moved = positions.copy()
    with steps([program], types, [True] * 3, SKIN) as made:
        for shift, rebuilds in (
            (0.0, 1),
            (0.249, 1),
            (-0.249, 1),
            (0.251, 2),
            (0.0, 3),
        ):
            moved[4, 1] = positions[4, 1] + shift
            made.step(moved, cell)
            assert made.finish()[Counter.REBUILDS] == rebuilds
        made.step(positions, cell * (1 + 1e-12))
        made.step(positions, cell * (1 + 1e-12))
        made.step(positions + cell[0], cell * (1 + 1e-12))
        assert made.finish()[Counter.REBUILDS] == 5
    with steps([program], types, [True] * 3, 0.0) as made:
        for _ in range(3):
            made.step(positions, cell)
        assert made.finish()[Counter.REBUILDS] == 3


def test_rows_do_not_depend_on_when_the_list_was_built(program, atoms):
    """Nor on which image of an atom is handed in, to the last bit of the vectors."""
    positions, cell, types = atoms
    cell = np.round(cell * 2.0**40) / 2.0**40
    later = positions + np.random.default_rng(0).uniform(-0.1, 0.1, positions.shape)
    images = np.random.default_rng(1).integers(-3, 4, positions.shape)
    images[1] = 100, 0, -120
    found = []
    for before, shift in ((positions, 0), (later, 0), (positions, images @ cell)):
        with steps([program], types, [True] * 3, SKIN) as made:
            made.step(before + shift, cell)
            made.step(later + shift, cell)
            x = made.placed()
            near = made.lists().near
            vectors = x[near[:, 1]] - x[near[:, 0]] + near[:, 2:] @ made.box()
            found.append((near[:, :2], vectors))
            assert len(near) > 50
    for pairs, vectors in found[:2]:
        np.testing.assert_array_equal(pairs, found[0][0])
        np.testing.assert_array_equal(vectors, found[0][1])
    # what was handed in is rounded, so only nearly the same
    np.testing.assert_allclose(found[2][1], found[0][1], rtol=0, atol=1e-12)


def test_positions_in_float_and_nm_of_some_particles_with_caps(program):
    """A cap is on the nearest image of its bond."""
    random = np.random.default_rng(2)
    particles = random.uniform(0, 0.9, (9, 3)).astype(np.float32)
    cell = np.diag([0.9, 1.0, 1.1]).astype(np.float32)
    cell[2, 0] = 0.2
    particles[5] = particles[2] + [0.05, 0.08, 0.06] + 2 * cell[0] - cell[2]
    chosen = [7, 2, 0]
    with steps(
        [program],
        [0, 1, 2, 0],
        [True] * 3,
        SKIN,
        particles=chosen,
        caps=[(2, 5, 0.7)],
    ) as made:
        made.step(particles, cell, unit=10.0)
        placed = made.placed() + made.wraps() @ made.box()
    exact = 10.0 * particles.astype(float)
    np.testing.assert_allclose(placed[:3], exact[chosen], rtol=0, atol=1e-11)
    cap = exact[2] + 0.7 * np.array([0.5, 0.8, 0.6])
    np.testing.assert_allclose(placed[3], cap, rtol=0, atol=1e-5)


def test_room_grows_before_it_is_full(program):
    """A crowd that comes step by step: no centre is ever without its list."""
    random = np.random.default_rng(4)
    directions = random.uniform(-1, 1, (60, 3))
    with steps([program], np.zeros(60, int), [False] * 3, SKIN, capacity=32) as made:
        capacities, overflows = [], []
        for size in np.geomspace(6.0, 1.5, 20):
            made.step(size * directions)
            counts = made.lists()
            overflows.append((counts.degrees < 0).sum())
            capacities.append(made.device.arguments["list"][24])
        assert capacities[0] == 32 and capacities[-1] >= 59
        assert sum(overflows) == 0
        assert made.device.waits == 0
        made.step(2.0 * directions)
        assert made.finish()[Counter.LARGEST_COUNT] == 59


def test_centres_without_room_are_wide(program):
    """A crowd that is there at once: `wide` finds the neighbours by itself."""
    random = np.random.default_rng(4)
    positions = random.uniform(-1.5, 1.5, (60, 3))
    with steps([program], np.zeros(60, int), [False] * 3, SKIN, capacity=32) as made:
        made.step(positions)
        lists = made.lists()
        assert (lists.degrees == -1).sum() > 30
        np.testing.assert_array_equal(
            np.sort(lists.wide), np.flatnonzero(lists.degrees < 0)
        )
        made.step(positions)
        assert (made.lists().degrees > 0).all()


def test_room_that_memory_lacks_is_asked_for_again(program):
    positions = np.random.default_rng(4).uniform(-1.5, 1.5, (60, 3))
    with steps([program], np.zeros(60, int), [False] * 3, SKIN, capacity=32) as made:
        made.step(positions)
        made.device.most_bytes = 20_000
        for _ in range(2):
            with pytest.raises(MemoryError):
                made.step(positions)
        made.device.most_bytes = 1 << 40
        for _ in range(2):
            made.step(positions)
        assert (made.lists().degrees > 0).all()


REFUSED = {
    "NaN": ({"move": NAN}, "expected finite positions, found NaN or infinity; the sim"),
    "infinite": ({"move": -INF}, "expected finite positions, found NaN or infinity"),
    "flown away": (
        {"move": 1e12},
        r"within 100000000\.0 Å, found coordinates up to 1e",
    ),
    "NaN box": ({"box": NAN}, "expected finite box vectors, found NaN or infinity"),
    "zero": ({"scale": 0.0}, "box vectors that span a volume, found .*0, 0, 0"),
    "flat": ({"row": [5.2, 0.0, 0.0]}, "box vectors that span a volume"),
    "as nm": (
        {"scale": 0.1},
        "at most 10000 neighbours of an atom within 3.5 Å, found",
    ),
    "thin": ({"row": [0.0, 0.0, 0.003]}, "a box some Å wide, found a width of 0.003"),
    "leans": ({"row": [1e4, 0.0, 5.0]}, "lean far"),
    "large": ({"scale": 1e9}, r"within 100000000\.0 Å, .* in another unit"),
}


@pytest.mark.parametrize("lag", [0, 9])
@pytest.mark.parametrize("name", REFUSED)
def test_refused_a_step_later(name, lag, program, atoms):
    """With the sentences of the processor's lists; until then results are NaN."""
    positions, cell, types = atoms
    change, message = REFUSED[name]
    device = ListDevice(lag=lag)
    with steps([program], types, [True] * 3, SKIN, device=device) as made:
        made.step(positions, cell)
        expected = made.lists().near
        wrong, box = positions.copy(), cell * change.get("scale", 1.0)
        wrong[2, 1] += change.get("move", 0.0)
        box[2] = change.get("row", box[2])
        box[1, 1] += change.get("box", 0.0)
        made.step(wrong, box)
        assert np.isnan(made.results()[0]).all() and np.isnan(made.results()[1]).all()
        with pytest.raises(RuntimeError, match=rf"^Allegro: .*{message}"):
            for _ in range(4):
                made.step(wrong, box)
        made.step(positions, cell)
        made.finish()
        np.testing.assert_array_equal(made.lists().near, expected)


@pytest.mark.slow
def test_too_many_neighbours_are_refused(program):
    """All atoms at one place, and no box: the search stops at the 10,001st."""
    with steps([program], np.zeros(10020, int), [False] * 3, cells=1) as made:
        made.step(np.random.default_rng(0).uniform(0, 0.1, (10020, 3)))
        with pytest.raises(
            RuntimeError, match=r"at most 10000 neighbours .* on one another"
        ):
            made.finish()


@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        ([0, 3], {}, "elements from 0 to 2, found 3"),
        ([], {}, "an atom or more, found 0"),
        ([0], {"particles": [-1]}, "particles from 0 on, found -1"),
        ([0, 1], {"caps": [(0, -2, 0.5)]}, "caps on particles from 0 on, found -2"),
        ([0], {"skin": 2000.0}, "a skin up to 1000 Å, found 2000"),
    ],
)
def test_atoms_that_cannot_be_are_refused(program, types, options, message):
    with pytest.raises(RuntimeError, match=f"^Allegro: expected {message}"):
        with steps([program], types, [True] * 3, **options):
            pass


def test_no_box_is_refused_where_one_is_needed(program, atoms):
    positions, _, types = atoms
    with steps([program], types, [True] * 3) as made:
        with pytest.raises(RuntimeError, match="expected box vectors, found none"):
            made.step(positions)
        with pytest.raises(
            RuntimeError, match="expected a member from -1 to 0, found 1"
        ):
            made.step(positions, np.eye(3), member=1)


@pytest.mark.parametrize("capacity", [0, 3])
@pytest.mark.parametrize("kind", ["triclinic", "tiny", "isolated"])
def test_results_are_those_of_the_twin(kind, capacity):
    """From positions many boxes away to strain, also without room in the list."""
    energy = tiny_energy(REPELLING)
    atoms = random_atoms(kind, 1)
    exact = [
        one.numpy() for one in evaluate("twin", energy, REPELLING, atoms, torch.float64)
    ]
    program = in_numpy(fold(energy, torch.float32))
    positions, cell, periodic, types = (one.numpy() for one in atoms)
    random = np.random.default_rng(0)
    positions = positions + random.integers(-90, 90, positions.shape) @ cell
    found = []
    for backwards in (False, True):
        device = ListDevice(networks=True, backwards=backwards)
        with steps(
            [program], types, periodic, device=device, capacity=capacity, rows=-1
        ) as made:
            if backwards:  # the list is then of other positions
                made.step(positions + 0.1 * random.uniform(size=positions.shape), cell)
            made.step(positions, cell)
            found.append(made.results())
            made.step(positions, cell, wants_forces=False)
            assert np.array_equal(made.results()[0], found[0][0])
    energies, forces, strain = found[0]
    np.testing.assert_allclose(energies, exact[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces, exact[1], rtol=0, atol=1e-6)
    strain = 0.5 * (strain + strain.T)
    np.testing.assert_allclose(strain, exact[2], rtol=0, atol=2e-6)
    for one, other in zip(*found, strict=True):  # whatever order lanes run in
        np.testing.assert_array_equal(one, other)


def test_atoms_at_one_place_have_no_force(atoms):
    """NaN, as on a processor: whole numbers have none, and two of them would be 0."""
    positions, cell, types = atoms
    program = in_numpy(fold(tiny_energy(REPELLING), torch.float32))
    device = ListDevice(networks=True)
    with steps([program], types[:3], [True] * 3, device=device, rows=-1) as made:
        made.step(positions[[0, 0, 1]], cell)
        made.finish()
        energies, forces, _ = made.results()
    assert np.isnan(energies[:2]).all() and np.isnan(forces[:2]).all()


def test_a_committee_has_the_mean_of_its_members(atoms):
    """Of different cutoffs, and elements in another order; and each member alone."""
    positions, cell, types = atoms
    kinds = [("H", "O", "Na"), ("Na", "H", "O")]
    configs = [
        tiny_config(elements=kinds[0]),
        tiny_config(elements=kinds[1], cutoff=2.7),
    ]
    programs = [
        in_numpy(fold(tiny_energy(config, seed), torch.float64))
        for seed, config in enumerate(configs)
    ]
    numbers = np.array([types, [kinds[1].index(kinds[0][t]) for t in types]])
    found = []
    for number in range(2):
        device = ListDevice(networks=True)
        with steps(
            [programs[number]], numbers[number], [True] * 3, device=device, rows=-1
        ) as made:
            made.step(positions, cell)
            found.append(made.results())
    with steps(
        programs, numbers, [True] * 3, device=ListDevice(networks=True), rows=-1
    ) as made:
        made.step(positions, cell)
        for mean, *both in zip(made.results(), *found, strict=True):
            np.testing.assert_allclose(mean, np.mean(both, 0), rtol=0, atol=1e-11)
        for number in (1, 0):
            made.step(positions, cell, member=number)
            for one, alone in zip(made.results(), found[number], strict=True):
                np.testing.assert_array_equal(one, alone)


@pytest.mark.slow
def test_forces_along_a_walk_are_those_of_the_processor():
    """Through rebuilds, changes of the box, growth, and jumps by whole boxes."""
    config = tiny_config(pair_cutoffs={"H-O": 2.4, "O-H": 2.9}, zbl=True)
    energy = tiny_energy(config)
    program = in_numpy(fold(energy, torch.float32))
    random = np.random.default_rng(5)
    cell = np.array([[7.0, 0, 0], [2.0, 7.5, 0], [-1.0, 2.0, 8.0]])
    fractions = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), -1).reshape(-1, 3)
    positions = fractions @ cell
    types = random.integers(3, size=len(positions))
    device = ListDevice(networks=True, memory=227 * 1024)
    with steps(
        [program],
        types,
        [True] * 3,
        0.3,
        device=device,
        rows=16,
        cells=1,
        capacity=16,
    ) as made:
        for step in range(150):
            positions = positions + random.normal(0, 0.02, positions.shape)
            if step % 17 == 16:
                scale = 1 + random.normal(0, 0.005)
                cell, positions = cell * scale, positions * scale
            if step % 23 == 22:
                positions[step % 20] += random.integers(-2, 3, 3) @ cell
            made.step(positions, cell)
            atoms = map(torch.tensor, (positions, cell, [True] * 3, types))
            exact = evaluate("twin", energy, config, Atoms(*atoms), torch.float64)
            forces = made.results()[1]
            np.testing.assert_allclose(forces, exact[1].numpy(), rtol=0, atol=2e-6)
        assert device.waits == 0
        assert 10 < made.finish()[Counter.REBUILDS] < 80
