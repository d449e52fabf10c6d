# SPDX-License-Identifier: MIT
"""Kernels of all models have the energies and forces of their twin in float64."""

import numpy as np
import pytest
from gpu_grid import KINDS, MODELS, emitted, errors, expected, packed_atoms
from gpu_helpers import host_card
from gpu_network import run_network

# Errors over those of the twin in float32. The largest errors may also have roundings
# of the largest number: two of energies, strain and charges, and one of forces.
LARGEST, ROUNDINGS = 3.0, np.array([2.0, 1.0, 2.0, 2.0]) * 2.0**-23
# Root mean squares over the packed centres of one draw, which are few, scatter more.
OF_A_FEW = 4.0


def check(model, kind, rows, *flags):
    """Errors at most three times the twin's, and the same numbers in any order."""
    kernels = emitted(model, kind, rows)
    pairs, exact, single = expected(model, rows or 16)
    runs = []
    for backwards, groups in [(False, 2), (True, 3)]:
        options = {"backwards": backwards, "flags": flags, "memory": 227 * 1024}
        with host_card(**options) as card:
            runs.append(run_network(card, kernels, pairs, groups=groups))
            launched = {launch.name for launch in card.device.launches}
            assert launched == ({"network", "wide"} if rows else {"wide"})
    for first, second in zip(*runs, strict=True):
        assert np.array_equal(first, second)
    scale = np.array([abs(values).max() for values in exact])
    for atoms in (packed_atoms(pairs, rows), slice(None)) if rows else (slice(None),):
        allowed = 1e-11 * np.maximum(scale, 1.0)
        if kind != "double":
            allowed += LARGEST * errors(single, exact, atoms) + ROUNDINGS * scale
            own, reference = (
                np.square(one.forces - exact.forces)[atoms].mean() ** 0.5
                for one in (runs[0], single)
            )
            is_all = isinstance(atoms, slice)
            assert own <= (LARGEST if is_all else OF_A_FEW) * reference
        assert (errors(runs[0], exact, atoms) <= allowed).all()


def test_all_options_at_once():
    check("all options", "double", 0, "-O0")


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 16, 32, 64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_models(model, kind, rows):
    check(model, kind, rows)
