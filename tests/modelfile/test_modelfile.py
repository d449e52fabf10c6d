# SPDX-License-Identifier: MIT
"""A model file gives back what was put in, and anything else is refused."""

import json
import os
import pickle
import stat

import pytest
import torch
from code_helpers import Payload
from safetensors import safe_open
from safetensors.torch import save, save_file
from training_helpers import ethanol, tiny_model

from openmm_allegro.model import AllegroEnergy
from openmm_allegro.model import energy as energy_module
from openmm_allegro.model.model import digest
from openmm_allegro.modelfile import load_model, read, read_header, save_model, write
from openmm_allegro.modelfile.header import BLANK, CHECKSUM, FORMAT, with_checksum
from openmm_allegro.modelfile.programs import ARRAYS
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples


@pytest.fixture
def path(tmp_path):
    return save_model(tiny_model(), tmp_path / "model.safetensors")


def energies(model, dtype):
    samples = make_samples(ethanol()[:3], model.config, dtype)
    batch = collate(samples, model.config)
    return predict(model.energy.set_dtype(dtype), batch)[:3]  # there are no charges


def contents(path):
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return json.loads(file.metadata()[FORMAT]), tensors


def write_signed(path, header, tensors):
    path.write_bytes(with_checksum(save(tensors, metadata={FORMAT: header})))


@pytest.fixture
def altered(path):
    """Write the file again with a changed header or changed weights."""

    def alter(change):
        header, tensors = contents(path)
        change(header, tensors)
        write_signed(path, json.dumps(header | {CHECKSUM: BLANK}), tensors)
        return path

    return alter


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_exact(tmp_path, dtype):
    model = tiny_model(dtype, pair_cutoffs={"H-H": 2.0, "C-O": 1 / 0.37}, zbl=True)
    model.kind = "delta"
    path = save_model(model, tmp_path / "new folder" / "model.safetensors")
    loaded = load_model(path)
    assert loaded.config == model.config
    assert loaded.statistics == model.statistics
    assert loaded.provenance == model.provenance
    assert (loaded.kind, loaded.dtype) == ("delta", dtype)
    before, after = (m.energy.network.state_dict() for m in (model, loaded))
    assert set(before) == set(after)
    for name, value in before.items():
        assert after[name].dtype == torch.float64
        assert torch.equal(after[name], value.double()), name
    kind = getattr(torch, dtype)
    first, second = energies(model, kind), energies(loaded, kind)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Spring(torch.nn.Module):
    """A term of the energy with a weight of its own."""

    def __init__(self):
        super().__init__()
        self.strength = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, r, center_types, neighbor_types):
        return (self.strength * (3.0 - r.clamp(max=3.0)) ** 2).sum(-1)


class EnergyWithSpring(AllegroEnergy):
    """The energy as it is where somebody has added the term."""

    def __init__(self, config, statistics, seed=0):
        super().__init__(config, statistics, seed)
        self.terms["spring"] = Spring()


def test_weights_of_a_further_term_are_kept(tmp_path, monkeypatch):
    model = tiny_model("float64", zbl=True)
    names = set(contents(save_model(model, tmp_path / "without.safetensors"))[1])
    names -= set(ARRAYS)
    assert names == set(model.energy.network.state_dict())
    model.energy = EnergyWithSpring(model.config, model.statistics, seed=3)
    with torch.no_grad():
        model.energy.terms["spring"].strength.fill_(0.75)
    path = save_model(model, tmp_path / "with.safetensors")
    assert set(contents(path)[1]) == {*names, "terms.spring.strength"}
    with pytest.raises(ValueError, match=r"terms\.spring\.strength of shape None"):
        load_model(path)  # by a version that lacks the term
    monkeypatch.setattr(energy_module, "AllegroEnergy", EnergyWithSpring)
    loaded = load_model(path)
    assert loaded.energy.terms["spring"].strength.item() == 0.75
    first, second = energies(model, torch.float64), energies(loaded, torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(ValueError, match=r"terms\.spring\.strength of shape \(\)"):
        _ = load_model(tmp_path / "without.safetensors").energy


def test_loading_twice_gives_the_same_energies(path):
    first, second = (energies(load_model(path), torch.float64) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_saving_what_was_loaded_gives_the_same_file(path, tmp_path):
    again = save_model(load_model(path), tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()


def test_header_says_units_and_version(path):
    header = read_header(path)
    assert header["units"] == {"length": "angstrom", "energy": "eV"}
    assert header["format"] == "openmm_allegro" and header["format_version"] == 2
    assert header["config"]["elements"] == ["H", "C", "O"]
    assert header["provenance"] == {"seed": 3, "note": "Å"}


def test_file_has_ordinary_permissions(path):
    ordinary = path.with_name("ordinary")
    ordinary.touch()
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, ordinary)]
    assert modes[0] == modes[1]


def test_missing_file(tmp_path):
    for missing, kind in (
        (tmp_path / "none.safetensors", "nothing"),
        (tmp_path, "a fo"),
    ):
        with pytest.raises(FileNotFoundError, match=f"a model file, found {kind}"):
            load_model(missing)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_file(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=r"model\.safetensors: .*truncated or of another"
    ):
        load_model(path)


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 20, b"PK\3\4" * 100, b"\xff" * 64]
)
def test_file_of_another_kind(tmp_path, content):
    path = tmp_path / "noise"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"noise: expected a model file .* found"):
        load_model(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_foreign_safetensors(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.ones(2)}, path, metadata=metadata)
    with pytest.raises(
        ValueError, match=r"with an openmm_allegro header, found metadata"
    ):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_provenance_that_no_file_can_hold(tmp_path, value):
    model = tiny_model()
    model.provenance = {"value": value}
    with pytest.raises(ValueError, match="expected provenance of JSON's finite values"):
        save_model(model, tmp_path / "model.safetensors")
    assert not any(tmp_path.iterdir())


def test_a_file_replaced_while_it_is_read(path, tmp_path, monkeypatch):
    """By a training, for instance: the model is one of the two."""
    other = save_model(tiny_model("float64"), tmp_path / "other.safetensors")

    def replace(path):
        read_header(path)
        path.write_bytes(other.read_bytes())

    monkeypatch.setattr(read, "read_header", replace)
    model = load_model(path)
    assert model.origin.digest == digest(model)
    assert model.origin[1:] == load_model(other).origin[1:]


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_is_refused_and_not_run(tmp_path, writer):
    path, target = tmp_path / "model.safetensors", tmp_path / "executed"
    write = {"pickle": pickle.dump, "torch": torch.save}[writer]
    with open(path, "wb") as file:
        write(Payload(target), file)
    with pytest.raises(
        ValueError, match="expected a model file in the safetensors form"
    ):
        load_model(path)
    assert not target.exists()


def change_header(**values):
    return lambda header, tensors: header.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_header(format_version=5), "version 1, 2, 3, 4, found 5; a newer"),
        (change_header(format_version=None), "format version 1, 2, 3, 4, found None"),
        (change_header(kind="partial"), "kind of .*'total', 'delta'.* found 'partial'"),
        (change_header(dtype="int8"), "expected dtype of .* found 'int8'"),
        (change_header(units={"length": "nm"}), "expected units of .* found .*'nm'"),
        (lambda h, t: h.pop("config"), "a table config in the header, found None"),
        (lambda h, t: h.pop("statistics"), "a table statistics in the header"),
        (change_header(provenance=[1]), r"a table provenance .* found \[1\]"),
        (
            lambda h, t: h["config"].update(lmax=2),
            "config: expected keys .* found lmax",
        ),
        (lambda h, t: h["config"].pop("cutoff"), "config: expected cutoff, found only"),
        (
            lambda h, t: h["config"].update(cutoff="5"),
            "cutoff: expected float, found '5'",
        ),
        (
            lambda h, t: h["config"].update(cutoff=-5.0),
            "expected cutoff above 0 and at most 100 Å, found -5.0",
        ),
        (lambda h, t: h["statistics"].update(scales=[1.0]), "3 scales, .* found 1"),
        (
            lambda h, t: h["statistics"].update(shifts=[0.0, float("nan"), 0.0]),
            "shifts: expected a finite number, found nan",
        ),
        (
            lambda h, t: h["config"].update(num_scalar_features=16),
            r"expected weights .* of shape \(.*\) from the header, found \(",
        ),
        (lambda h, t: t.popitem(), r"of shape \(.*\) from the header, found None"),
        (lambda h, t: t.update(more=torch.ones(1)), "weights more of shape None"),
        (
            lambda h, t: next(iter(t.values())).fill_(torch.nan),
            "finite weights, found NaN",
        ),
        (
            lambda h, t: t.update({k: v.to(torch.float16) for k, v in t.items()}),
            "in float32 from the header, found F16",
        ),
        (
            change_header(dtype="float64"),
            "in float64 from the header, found F32",
        ),
    ],
)
def test_altered_file(altered, change, message):
    with pytest.raises(ValueError, match=message):
        load_model(altered(change))


@pytest.mark.parametrize("header", ["{", "[]", "3", "null", '"text"'])
def test_header_that_is_no_table(path, header):
    save_file(contents(path)[1], path, metadata={FORMAT: header})
    with pytest.raises(ValueError, match=r"model\.safetensors: expected a .*, found"):
        load_model(path)


@pytest.mark.parametrize(("name", "value"), [("kind", "half"), ("dtype", "float16")])
def test_saving_an_unknown_kind_or_dtype(tmp_path, name, value):
    model = tiny_model()
    setattr(model, name, value)
    with pytest.raises(ValueError, match=f"expected {name} of .* found '{value}'"):
        save_model(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["save", "fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file(path, monkeypatch, step):
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    where = write if step == "save" else os
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(where, step, fail)
        other = tiny_model()
        other.provenance["note"] = "later"
        save_model(other, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    load_model(path)
