# SPDX-License-Identifier: MIT
"""Damaged and hostile programs in model files are refused before anything runs them."""

import numpy as np
import pytest
from helpers import tiny_statistics
from safetensors.numpy import load
from training_helpers import tiny_config, tiny_model

from openmm_allegro import load_model, save_model
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.model import AllegroEnergy

SINGLE, DOUBLE = "folded.single.", "folded.double."


def put(name, value):
    return lambda header, arrays: arrays.update({name: value(arrays[name])})


def set_integer(place, value):
    return lambda header, arrays: arrays[f"{DOUBLE}integers"].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put(f"{SINGLE}weights", lambda a: a.astype(np.float64)),
            r"an array folded\.single\.weights of type F32 .* found F64 with 1",
        ),
        (
            put(f"{DOUBLE}integers", lambda a: a.astype(np.int32)),
            r"folded\.double\.integers of type I64 .* found I32",
        ),
        (put(f"{SINGLE}constants", lambda a: a[None]), "found F64 with 2 axes"),
        (put(f"{SINGLE}constants", lambda a: a[:-1]), r"folded\.single: .* constants"),
        (put(f"{SINGLE}integers", lambda a: a[:5]), r"folded\.single: .* header"),
        (put(f"{DOUBLE}weights", lambda a: a[:-8]), r"folded\.double: .* weights"),
        (put(f"{DOUBLE}weights", lambda a: a * np.nan), "finite .* folded.double.weig"),
        (lambda h, a: a.pop(f"{DOUBLE}weights"), r"double\.weights .* found none"),
        (
            lambda h, a: a.update({"folded.half.weights": a[f"{SINGLE}weights"]}),
            "no array folded.half",
        ),
        (lambda h, a: h.update(programs=None), "no array folded.* found"),
        (lambda h, a: h.pop("programs"), "expected programs with a format .* found {}"),
        (lambda h, a: h.update(programs=[]), r"expected programs with a form.*\[\]"),
        (lambda h, a: h["programs"].update(format="2"), "expected programs with a f"),
        (lambda h, a: h["programs"].update(format=0), "expected programs with a form"),
        (lambda h, a: h["programs"].update(digest="0"), "expected programs with a f"),
        (lambda h, a: h["programs"].update(more=1), "expected programs with a format"),
        (lambda h, a: h.update(format_version=1), "keys among .* found programs"),
        (set_integer(0, 4), r"folded\.double: .* format 3, found 4"),
        (set_integer(1, 10), r"folded\.double: .* columns"),
        (set_integer(4, 2), r"folded\.double: "),
        (set_integer(-1, 10**6), r"folded\.double: .* layer"),
        (set_integer(-1, -1), r"folded\.double: .* layer"),
    ],
)
def test_arrays_that_are_no_programs(rewritten, change, message):
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*{message}"):
        load_model(rewritten(change))


@pytest.mark.parametrize("changes", [{"cutoff": 2.9}, {"elements": ("H", "C")}])
def test_programs_of_another_model(rewritten, tmp_path, changes):
    """Whole ones, for other cutoffs or for fewer elements than the atoms may have."""
    other = tiny_model()
    config = tiny_config(**changes)
    statistics = tiny_statistics(config)
    other.config, other.statistics = config, statistics
    other.energy = AllegroEnergy(config, statistics)
    arrays = load(save_model(other, tmp_path / "other.safetensors").read_bytes())
    theirs = {n: a for n, a in arrays.items() if n.startswith("folded.")}
    with pytest.raises(ValueError, match="elements, cutoffs, energies and"):
        load_model(rewritten(lambda header, arrays: arrays.update(theirs)))


def test_a_program_that_is_noise(rewritten):
    with pytest.raises(ValueError, match=r"weights that give a H atom .* 1e\+08 eV"):
        load_model(rewritten(put(f"{SINGLE}weights", lambda a: a * 1e12)))


@pytest.mark.parametrize("name", [f"{SINGLE}weights", f"{DOUBLE}weights"])
def test_programs_that_differ_from_each_other(rewritten, name):
    with pytest.raises(ValueError, match=r"double of one model, found energies that"):
        load_model(rewritten(put(name, lambda a: a * a.dtype.type(1.2))))


def test_a_large_index_anywhere(rewritten):
    """Each file is refused, or its programs can be run."""
    size = len(load(rewritten().read_bytes())[f"{DOUBLE}integers"])
    random = np.random.default_rng(0)
    refused = 0
    for place in random.choice(size, 60, replace=False):
        try:
            model = load_model(
                rewritten(set_integer(place, int(10 ** random.uniform(1, 18))))
            )
        except ValueError:
            refused += 1
        else:
            folded(model, "double")
    assert refused > 40
