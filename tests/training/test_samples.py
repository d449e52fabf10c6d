# SPDX-License-Identifier: MIT
"""Subsets, pairs, statistics and batches."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from training_helpers import (
    ethanol,
    liquid,
    random_structure,
    tiny_config,
    tiny_model,
    without,
)

from openmm_allegro.structure import Structure
from openmm_allegro.training.data import split
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.statistics import statistics


def test_split_is_disjoint_and_reproducible():
    structures = list(ethanol())
    parts = split(structures, [11, 5, 2], seed=4)
    assert [len(p) for p in parts] == [11, 5, 2]
    chosen = [id(s) for part in parts for s in part]
    assert len(set(chosen)) == 18 and set(chosen) <= {id(s) for s in structures}
    again = split(structures, [11, 5, 2], seed=4)
    assert [id(s) for part in again for s in part] == chosen
    other = split(structures, [11, 5, 2], seed=5)
    assert [id(s) for part in other for s in part] != chosen


@pytest.mark.parametrize("sizes", [[15, 6], [-1, 5]])
def test_split_refuses_sizes_that_do_not_fit(sizes):
    with pytest.raises(ValueError, match=r"sum to at most 20 structures, found \["):
        split(ethanol(), sizes)


def brute_force(structure: Structure, table: np.ndarray, types: list[int]) -> list:
    """(centre, neighbour, vector) of all pairs by a loop over images."""
    reach = [range(-4, 5) if p else range(1) for p in structure.periodic]
    found = []
    for i, j in itertools.product(range(len(structure)), repeat=2):
        for image in itertools.product(*reach):
            if i == j and not any(image):
                continue
            shift = np.array(image) @ structure.cell
            vector = structure.positions[j] + shift - structure.positions[i]
            if np.linalg.norm(vector) < table[types[i], types[j]]:
                found.append((i, j, *np.round(vector, 6)))
    return sorted(found)


SLAB = Structure(
    ("H", "O", "C"),
    np.array([[0.1, 0.2, 0.0], [1.2, 0.3, 0.5], [2.0, 2.5, -0.7]]),
    np.array([[4.0, 0.0, 0.0], [1.5, 3.5, 0.0], [0.0, 0.0, 0.0]]),
    np.array([True, True, False]),
)


@pytest.mark.parametrize(
    "structure",
    [
        ethanol()[0],
        random_structure(("H", "O", "C", "H", "O", "H"), box=4.2),
        random_structure(("H", "O"), box=1.9),
        SLAB,
        random_structure(("O",)),
    ],
    ids=["molecule", "triclinic", "box under one cutoff", "slab", "atom"],
)
@pytest.mark.parametrize("pair_cutoffs", [{}, {"H-H": 1.9, "H-O": 2.2, "O-H": 2.7}])
def test_pairs_are_those_of_a_double_loop(structure, pair_cutoffs):
    config = tiny_config(pair_cutoffs=pair_cutoffs)
    (sample,) = make_samples([structure], config, torch.float64)
    types = [config.elements.index(s) for s in structure.symbols]
    assert sample.types.tolist() == types
    found = zip(
        sample.centers.tolist(),
        sample.neighbors.tolist(),
        *np.round(sample.vectors.numpy(), 6).T,
        strict=True,
    )
    expected = brute_force(structure, config.cutoff_table(), types)
    rows = [np.reshape(pairs, (-1, 5)) for pairs in (sorted(found), expected)]
    np.testing.assert_allclose(*rows, atol=2e-6)  # twice the rounding
    assert (sample.centers.diff() >= 0).all()


def test_ordered_pairs_need_not_be_symmetric():
    config = tiny_config(pair_cutoffs={"H-O": 1.2})
    (sample,) = make_samples([ethanol()[0]], config)
    pairs = [
        (config.elements[a], config.elements[b])
        for a, b in zip(
            sample.types[sample.centers].tolist(),
            sample.types[sample.neighbors].tolist(),
            strict=True,
        )
    ]
    assert pairs.count(("H", "O")) == 1 < pairs.count(("O", "H"))


def test_labels_keep_their_values_and_get_the_dtype():
    s = liquid()[0]
    (sample,) = make_samples([s], tiny_config(), torch.float32)
    assert sample.energy == s.energy
    np.testing.assert_array_equal(sample.forces, s.forces.astype(np.float32))
    np.testing.assert_array_equal(sample.stress, s.stress.astype(np.float32))
    assert sample.vectors.dtype == torch.float32
    assert sample.volume == pytest.approx(s.volume)


def test_unknown_element():
    with pytest.raises(
        ValueError, match=r"frame 0: expected only the elements .*, H, C; found O"
    ):
        make_samples(
            [random_structure(("H", "C")), ethanol()[0]], tiny_config(("H", "C"))
        )


def labelled(symbols, energy, seed=0):
    forces = np.random.default_rng(seed).normal(size=(len(symbols), 3))
    return random_structure(symbols, seed, energy=energy, forces=forces)


def test_shifts_are_the_energies_of_the_elements():
    known = {"H": -13.6, "C": -1030.0, "O": -2040.5}
    compositions = ["HH", "HHO", "CO", "CHHHH", "COO"]
    structures = [
        labelled(tuple(c), sum(known[e] for e in c), i)
        for i, c in enumerate(compositions)
    ]
    config = tiny_config()
    numbers = statistics(make_samples(structures, config), config)
    np.testing.assert_allclose(numbers.shifts, list(known.values()), rtol=1e-10)


def test_one_composition_gives_the_shifts_of_least_norm():
    config = tiny_config(("H", "C", "O", "Na"))
    numbers = statistics(make_samples(ethanol(), config), config)
    count = np.array([6, 2, 1, 0])
    mean = np.mean([s.energy for s in ethanol()])
    # The shortest x with count · x = mean lies along count.
    np.testing.assert_allclose(numbers.shifts, mean * count / (count @ count))


def test_scale_is_the_force_rms_of_all_components():
    config = tiny_config()
    numbers = statistics(make_samples(ethanol(), config), config)
    rms = np.sqrt(np.mean([s.forces**2 for s in ethanol()]))
    np.testing.assert_allclose(numbers.scales, [rms] * 3, rtol=1e-6)


def test_scale_without_any_force_is_one():
    still = labelled(("H", "O"), -5.0)
    still = dataclasses.replace(still, forces=np.zeros((2, 3)))
    config = tiny_config()
    assert statistics(make_samples([still], config), config).scales == (1.0,) * 3


def test_mean_neighbors_of_each_element():
    config = tiny_config(("H", "C", "O", "Na"))
    table = config.cutoff_table()
    pairs, atoms = np.zeros(4), np.zeros(4)
    for s in ethanol()[:3]:
        types = [config.elements.index(e) for e in s.symbols]
        for i, *_ in brute_force(s, table, types):
            pairs[types[i]] += 1
        atoms += np.bincount(types, minlength=4)
    numbers = statistics(make_samples(ethanol()[:3], config), config)
    np.testing.assert_allclose(
        numbers.mean_neighbors[:3], (pairs / np.fmax(atoms, 1))[:3]
    )
    # Nothing is known of sodium: the mean over all atoms.
    assert numbers.mean_neighbors[3] == pytest.approx(pairs.sum() / atoms.sum())


def test_isolated_atoms_have_usable_statistics():
    config = tiny_config()
    atoms = [
        labelled((e,), energy) for e, energy in zip("HCO", (-1, -2, -3), strict=True)
    ]
    numbers = statistics(make_samples(atoms, config), config)
    assert numbers.mean_neighbors == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(numbers.shifts, (-1, -2, -3))


def test_statistics_use_what_is_labelled_and_need_something():
    config = tiny_config()
    bare = [without(s, "energy", "forces") for s in ethanol()[:2]]
    with pytest.raises(ValueError, match="expected samples with energies"):
        statistics(make_samples(bare, config), config)
    mixed = statistics(make_samples([*bare, ethanol()[2]], config), config)
    alone = statistics(make_samples([ethanol()[2]], config), config)
    assert mixed.shifts == alone.shifts and mixed.scales == alone.scales


def test_a_batch_is_its_frames_alone():
    """Energies, forces and stresses do not know of the other frames."""
    model = tiny_model("float64")
    structures = [
        ethanol()[0],
        liquid()[0],
        random_structure(("O",)),
        SLAB,
        random_structure(("H", "O", "C", "H"), box=3.1),
    ]
    samples = make_samples(structures, model.config, torch.float64)
    together = collate(samples, model.config)
    joint = predict(model.energy, together)
    assert together.sizes.tolist() == [9, 160, 1, 3, 4]
    assert joint.energies.dtype == torch.float64
    offset = 0
    for index, sample in enumerate(samples):
        alone = predict(model.energy, collate([sample], model.config))
        atoms = slice(offset, offset + len(sample.types))
        offset = atoms.stop
        assert (together.frames[atoms] == index).all()
        close = dict(rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(joint.energies[index], alone.energies[0], **close)
        torch.testing.assert_close(joint.forces[atoms], alone.forces, **close)
        torch.testing.assert_close(joint.stresses[index], alone.stresses[0], **close)
    shift = model.statistics.shifts[2]
    assert joint.energies[2].item() == pytest.approx(
        shift
    )  # an atom without neighbours


def test_every_atom_is_a_centre_once_and_every_pair_is_kept():
    config = tiny_config()
    samples = make_samples(liquid(), config)
    batch = collate(samples, config)
    centers = torch.cat([block[0] for block in batch.blocks])
    assert sorted(centers.tolist()) == list(range(640))
    lengths = torch.cat([v.norm(dim=-1).flatten() for _, _, v in batch.blocks])
    inside = (lengths < config.cutoff).sum()
    assert inside == sum(len(s.centers) for s in samples)
    # what is not a pair is beyond the cutoff
    assert (lengths[lengths >= config.cutoff] > 1.4 * config.cutoff).all()


def test_missing_labels_become_nan():
    config = tiny_config()
    structures = [ethanol()[0], without(ethanol()[1], "energy", "forces"), liquid()[0]]
    batch = collate(make_samples(structures, config), config)
    assert batch.energies.isnan().tolist() == [False, True, False]
    assert batch.forces[:9].isfinite().all() and batch.forces[9:18].isnan().all()
    assert batch.stresses.isnan().flatten(1).all(1).tolist() == [True, True, False]
    assert batch.volumes.tolist() == [0.0, 0.0, 4096.0]
