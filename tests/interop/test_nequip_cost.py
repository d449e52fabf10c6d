# SPDX-License-Identifier: MIT
"""The comparison with nequip takes memory for a few clusters, not for all at once."""

import itertools

import numpy as np
import pytest

pytest.importorskip("allegro")

from nequip_helpers import write_checkpoint

from openmm_allegro.interop.nequip import check, import_model


def test_clusters_are_compared_a_few_at_a_time(tmp_path, monkeypatch):
    path = write_checkpoint(tmp_path / "model.ckpt")
    atoms, plain = [], check.predict

    def counted(energy, batch, **options):
        atoms.append(len(batch.types))
        return plain(energy, batch, **options)

    monkeypatch.setattr(check, "predict", counted)
    weights = []
    for most in (check.MOST_NUMBERS, 1):
        monkeypatch.setattr(check, "MOST_NUMBERS", most)
        model = import_model(path)
        assert model.provenance["difference_from_nequip"] < 1e-10
        weights.append(model.num_weights)
    assert atoms == [6 * 4, *[4] * 6]  # pairs of three elements, four atoms each
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("count", "quadruples", "partners"),
    [(3, 6, 3), (12, 78, 12), (13, 13, 7), (89, 89, 7)],
)
def test_elements_of_the_clusters(count, quadruples, partners):
    """All pairs of few elements; of many, each beside itself and six others."""
    found = check.quadruples(count, np.random.default_rng(0))
    assert found.shape == (quadruples, 4)
    near = np.zeros((count, count), dtype=bool)
    for one, other in itertools.permutations(range(4), 2):
        near[found[:, one], found[:, other]] = True
    assert near.diagonal().all() and (near == near.T).all()
    least = near.sum(axis=1).min()
    assert least == partners


def test_room_for_clusters_depends_on_the_operators(tmp_path):
    """Those of 256 channels, l_max 3: 8 MB for each centre and layer."""

    class Operator:
        channels, dim_in, dim_out = 256, 32, 32

    class Energy:
        class network:
            operators = (Operator,) * 4

    some = check.clusters_at_once(Energy)
    assert 1 <= some and some * 4 * 256 * 32 * 32 * 8 < 2e8
