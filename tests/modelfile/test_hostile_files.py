# SPDX-License-Identifier: MIT
"""Damaged and hostile model files are refused, at once and before anything is built."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from training_helpers import tiny_config

from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.model import energy as energy_module
from openmm_allegro.model.allegro import Allegro
from openmm_allegro.model.shapes import LARGEST_NETWORK, weight_shapes
from openmm_allegro.modelfile import load_model, read_header, save_model
from openmm_allegro.modelfile.header import BLANK, CHECKSUM
from openmm_allegro.modelfile.programs import ARRAYS
from openmm_allegro.utils.settings import settings_of

ROOT = Path(__file__).parents[2]
NUMBERS = {
    f.name: f.type
    for f in dataclasses.fields(AllegroConfig)
    if f.type in (int, float) and f.name != "l_max"
}


@pytest.fixture
def unbuilt(monkeypatch):
    def build(*arguments):
        raise AssertionError("a network was built")

    monkeypatch.setattr(energy_module, "AllegroEnergy", build)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"l_max": 3, "num_layers": 3, "latent_depth": 2, "two_body_depth": 0},
        {"num_layers": 2, "l_max": 2, "parity": False, "readout_depth": 0},
        {"path_channel_coupling": False, "bessel_trainable": True, "zbl": True},
        {"radial_embedding": "spline", "num_splines": 5, "spline_span": 3},
        {
            "num_layers": 3,
            "l_max": 2,
            "edge_irreps": ("0e", "2e"),
            "tensor_irreps": ("0e", "2e", "1e"),
            "embedding_dim": 10,
        },
        {"l_max": 0, "num_layers": 2, "two_body_nonlinearity": "none"},
    ],
)
def test_shapes_are_those_of_the_network(changes):
    config = tiny_config(**changes)
    network = Allegro(config, torch.ones(3))
    shapes = {n: tuple(w.shape) for n, w in network.state_dict().items()}
    assert weight_shapes(config) == shapes


def test_every_number_has_bounds():
    for cls in (AllegroConfig, Statistics):
        settings = settings_of(cls)
        for field in dataclasses.fields(cls):
            if field.name == "pair_cutoffs":  # at most the cutoff
                continue
            if field.type in (int, float, tuple[float, ...], dict[str, float]):
                meaning = settings[field.name]
                bounds = meaning.maximum, meaning.below
                assert any(bound is not None for bound in bounds), field.name


@pytest.mark.parametrize("value", [10**6, 10**9, 2**64, 10**300, 10**400, -(10**400)])
@pytest.mark.parametrize("name", NUMBERS)
def test_absurd_numbers_are_refused(rewritten, unbuilt, name, value):
    path = rewritten(lambda header, _: header["config"].update({name: value}))
    with pytest.raises(ValueError, match=rf"model\.safetensors: config: .*{name}"):
        load_model(path)


@pytest.mark.parametrize(
    "name", [n for n, kind in NUMBERS.items() if kind is int and "spline" not in n]
)
def test_larger_networks_than_the_weights_are_refused(rewritten, unbuilt, name):
    """At the largest value that the field itself may have."""
    largest = settings_of(AllegroConfig)[name].maximum
    path = rewritten(lambda header, _: header["config"].update({name: largest}))
    with pytest.raises(ValueError, match=r"expected weights .* of shape .* found"):
        load_model(path)


def test_absurd_energies_of_isolated_atoms(rewritten, unbuilt):
    path = rewritten(lambda header, _: header["config"].update(shifts={"H": 1e300}))
    with pytest.raises(ValueError, match=r"shifts of .* at most 1e\+08 eV, found 1e"):
        load_model(path)


def test_a_network_that_fills_the_memory_is_refused():
    config = tiny_config(num_scalar_features=4096, num_layers=16, latent_width=8192)
    message = rf"at most {LARGEST_NETWORK:,} weights and couplings, found [\d,]+"
    with pytest.raises(ValueError, match=message):
        AllegroEnergy(config, Statistics((1.0,) * 3, (1.0,) * 3, (0.0,) * 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_neighbors": [1e9, 1.0, 1.0]}, "mean_neighbors .*at most 10000"),
        ({"mean_neighbors": [0.0, 1.0, 1.0]}, "mean_neighbors above 0"),
        ({"scales": [1e300, 1.0, 1.0]}, "scales"),
        ({"shifts": [0.0, 0.0, 10**400]}, "shifts: expected a finite number"),
        ({"shifts": [0.0, 0.0, -1e12]}, "shifts"),
        ({"shifts": [0.0, True, 0.0]}, "shifts: expected float, found True"),
    ],
)
def test_absurd_statistics(rewritten, unbuilt, change, message):
    with pytest.raises(ValueError, match=message):
        load_model(rewritten(lambda header, _: header["statistics"].update(change)))


def repeated(key):
    """The header with a second value of a key."""
    return lambda header: json.dumps(header).replace(
        f'"{key}": ', f'"{key}": 3, "{key}": ', 1
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (repeated("kind"), "2 values of 'kind'"),
        (repeated("cutoff"), "2 values of 'cutoff'"),
        (
            lambda h: json.dumps(
                h | {"provenance": {"x": float("nan")}, "more": BLANK}
            ),
            "finite numbers in provenance, found NaN",
        ),
        (
            lambda h: json.dumps(h).replace('"seed": 3', '"seed": 1e999'),
            "finite numbers in provenance",
        ),
        (
            lambda h: json.dumps(h | {"more": 1, CHECKSUM: BLANK}),
            "keys among .* found more",
        ),
        (lambda h: json.dumps(h | {"format": "x"}), "expected format of .* found 'x'"),
        (
            lambda h: json.dumps(h | {"format_version": True}),
            "version 1, 2, 3, 4, found True",
        ),
        (lambda h: "[" * 100_000 + BLANK, "expected a JSON header, found .*recursion"),
        (
            lambda h: json.dumps(h).replace('"seed": 3', '"seed": ' + "9" * 5000),
            "expected a JSON header, found .*digits",
        ),
    ],
)
def test_headers_that_can_be_read_in_two_ways(rewritten, unbuilt, text, message):
    with pytest.raises(ValueError, match=message):
        load_model(rewritten(text=text))


def test_a_name_twice_in_the_list_of_tensors(content, tmp_path):
    start = 8 + int.from_bytes(content[:8], "little")
    text = content[8:start].rstrip()
    table = json.loads(text)
    name = next(key for key in table if not key.startswith("_"))
    again = json.dumps({name: table[name]})[1:-1].encode()
    text = text[:-1] + b"," + again + b"}"
    text += b" " * (-len(text) % 8)
    path = tmp_path / "twice.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[start:])
    with pytest.raises(ValueError, match=f"twice.safetensors: .*2 values of '{name}'"):
        load_model(path)


@pytest.mark.parametrize(
    ("names", "size", "value"),
    [("", 1e38, "(inf|nan|-inf)"), ("readout", 1e12, r"-?[\d.]+e\+\d+")],
)
def test_absurd_weights(rewritten, names, size, value):
    def enlarge(header, arrays):
        for name, array in arrays.items():
            if names in name and name not in ARRAYS:
                arrays[name] = array * array.dtype.type(size)

    message = rf"weights that give a H atom .* within 1e\+08 eV, found {value} eV"
    with pytest.raises(ValueError, match=message):
        load_model(rewritten(enlarge))


def test_damage_anywhere_is_noticed(content, tmp_path):
    path = tmp_path / "model.safetensors"
    # In the header every place has a meaning of its own; the rest are numbers.
    end = 8 + int.from_bytes(content[:8], "little")
    for place in [*range(0, end, 13), *range(end, len(content), 211)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.safetensors: expected"):
            load_model(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="truncated or of another kind"):
        load_model(path)


def test_damage_to_weights_is_said(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        ValueError, match=r"expected a file whose SHA-256 is .* damaged"
    ):
        load_model(path)


def test_a_file_without_checksum_loads_with_a_notice(content, tmp_path, caplog):
    before = ROOT / "tests" / "data" / "before" / "model.safetensors"
    model = load_model(before)
    assert "model.safetensors has no checksum" in caplog.text
    caplog.clear()
    hostile = tmp_path / "hostile.safetensors"
    hostile.write_bytes(before.read_bytes().replace(b"cutoff", b"cut-of"))
    with pytest.raises(ValueError, match="expected keys among"):
        load_model(hostile)
    assert not caplog.text  # the error is enough
    again = save_model(model, tmp_path / "again.safetensors")
    load_model(again)
    assert not caplog.text
    assert len(read_header(again)[CHECKSUM]) == 64


def test_shipped_files_have_checksums():
    paths = [
        *ROOT.glob("systems/*/*.safetensors"),
        *ROOT.glob("tests/data/n*/*.safet*"),
    ]
    assert len(paths) > 8
    for path in paths:
        assert CHECKSUM in read_header(path), path
