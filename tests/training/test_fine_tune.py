# SPDX-License-Identifier: MIT
"""Trainings that start from a trained model: its energies, other elements, errors."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from training_helpers import (
    assert_same_training,
    ethanol,
    same,
    short,
    tiny_config,
    tiny_model,
    training_toml,
    weights,
)

pytest.importorskip("lightning")

from openmm_allegro.cli.main import main
from openmm_allegro.modelfile import load_model, save_model
from openmm_allegro.structure import Structure
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.fine_tune import (
    check_fine_tuning,
    fine_tuned_config,
)
from openmm_allegro.training.new_elements import nearest_element
from openmm_allegro.training.replay import ReplayOrder
from openmm_allegro.training.start import start_training
from openmm_allegro.training.train import train

AS_IT_IS = {"refit_shifts": False}
PARTS = ("embedding", "two_body", "layer_1", "readout")


def with_other(structure: Structure, element: str, **changes) -> Structure:
    """The structure with an element in the place of its oxygen."""
    symbols = tuple(element if s == "O" else s for s in structure.symbols)
    return dataclasses.replace(structure, symbols=symbols, **changes)


def moved(structure: Structure, **energies: float) -> Structure:
    """The structure at a level of theory with other energies of its elements (eV)."""
    change = sum(energies.get(symbol, 0.0) for symbol in structure.symbols)
    return dataclasses.replace(structure, energy=structure.energy + change)


def started(source, frames, *, replay=(), table=None, **settings):
    config = fine_tuned_config(source.config, [*frames, *replay], table)
    return start_training(
        config, short(**settings), frames, frames[:2], source=source, replay=replay
    )


def tuned(source, output, *, frames=None, replay=(), resume=False, **settings):
    """Fine-tune a model on 8 frames, two steps an epoch."""
    frames = ethanol()[:8] if frames is None else frames
    config = fine_tuned_config(source.config, [*frames, *replay])
    return train(
        config,
        short(**({"max_epochs": 2, "learning_rate": 0.002} | settings)),
        frames,
        ethanol()[16:],
        output,
        start_from=source,
        replay=replay,
        resume=resume,
        progress=False,
    )


def predicted(model, frames, name="energy"):
    return evaluate(model, frames)["arrays"][f"{name}_prediction"]


@pytest.mark.parametrize("embedding", ["bessel", "spline"])
@pytest.mark.parametrize("new", [(), ("Li", "S")])
def test_known_elements_keep_their_energies_and_forces_bit_for_bit(embedding, new):
    source = tiny_model(pair_cutoffs={"H-O": 2.0}, zbl=True, radial_embedding=embedding)
    frames = [*ethanol()[:3], *(with_other(ethanol()[4], e) for e in new)]
    model = started(source, frames, **AS_IT_IS).model
    assert model.config.elements == ("H", "C", "O", *new)
    for name in ("energy", "forces"):
        before, after = (predicted(m, ethanol()[:3], name) for m in (source, model))
        assert (before == after).all()
    for name in ("mean_neighbors", "scales", "shifts"):
        before, after = (getattr(m.statistics, name) for m in (source, model))
        assert after[:3] == before


def test_a_new_element_begins_as_the_nearest():
    """Sulfur in the place of oxygen has its forces, but for its neighbours' number."""
    source = tiny_model(pair_cutoffs={"H-O": 2.0})
    frames = [with_other(s, "S") for s in ethanol()[:4]]
    model = started(source, frames).model
    assert model.config.pair_cutoffs == {"H-O": 2.0, "H-S": 2.0}
    assert model.provenance["new_elements"] == {"S": "O"}
    numbers = model.statistics.mean_neighbors
    ratio = source.statistics.mean_neighbors[2] / numbers[3]
    assert 0.5 < ratio < 2
    oxygen = dataclasses.replace(
        source.statistics, mean_neighbors=(*numbers[:2], numbers[3])
    )
    alike = type(source)(
        source.config, oxygen, type(source.energy)(source.config, oxygen, seed=3)
    )
    alike.energy.set_dtype(torch.float32)
    before, after = (
        predicted(alike, ethanol()[:4], "forces"),
        predicted(model, frames, "forces"),
    )
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_nearest_elements():
    known = ("H", "C", "O", "Na", "Cl")
    nearest = {e: nearest_element(e, known) for e in ("N", "F", "K", "Br", "Si", "La")}
    expected = {"N": "C", "F": "Cl", "K": "Na", "Br": "Cl", "Si": "C", "La": "Na"}
    assert nearest == expected
    assert nearest_element("Yb", ("Hf", "Eu", "Ba")) == "Eu"


def test_energies_of_elements_are_fitted_to_another_level_of_theory():
    """An offset of each element is found; compositions of two kinds tell two."""
    source = tiny_model()
    frames = [
        dataclasses.replace(s, energy=float(e) * len(s))
        for s, e in zip(ethanol()[:6], predicted(source, ethanol()[:6]), strict=True)
    ]
    other = [moved(s, H=0.5, C=-2.0, O=3.0) for s in frames]
    model = started(source, other).model
    assert max(abs(predicted(model, other) - [s.energy / len(s) for s in other])) < 1e-6
    assert (
        predicted(model, other, "forces") == predicted(source, other, "forces")
    ).all()
    # a new element takes what the known ones would have to share
    sulfur = [with_other(s, "S", energy=s.energy - 7000.0) for s in frames]
    shifts = started(source, [*frames, *sulfur]).model.statistics.shifts
    np.testing.assert_allclose(shifts[:3], source.statistics.shifts, atol=1e-3)
    # those of isolated atoms are taken as they are
    model = started(source, other, table={"shifts": {"O": -2000.0}}).model
    assert model.statistics.shifts[2] == -2000.0


def test_elements_of_a_table_are_all_that_the_model_has():
    source = tiny_model(pair_cutoffs={"H-O": 2.0, "C-O": 2.5})
    frames = [with_other(s, "H") for s in ethanol()[:4]]
    model = started(source, frames, table={"elements": ["C", "H"]}, **AS_IT_IS).model
    assert model.config.elements == ("C", "H") and not model.config.pair_cutoffs
    assert (predicted(model, frames) == predicted(source, frames)).all()


@pytest.mark.parametrize(
    "table, text",
    [
        ({"cutoff": 4.0}, "cutoff = 3.0 as the model to start from has, found 4.0"),
        ({"zbl": True}, "zbl = False"),
        ({"pair_cutoffs": {"H-C": 2.0}}, "pair_cutoffs H-C = 3.0"),
        ({"elements": ["N"]}, "elements of the model to start from, H, C, O"),
        ({"l_mx": 1}, "l_mx"),
    ],
)
def test_another_network_is_refused_by_key(table, text):
    with pytest.raises(ValueError, match=text):
        fine_tuned_config(tiny_model().config, ethanol()[:1], table)


def test_cutoffs_of_new_pairs_may_be_given():
    frames = [with_other(ethanol()[0], "S")]
    table = {"pair_cutoffs": {"H-S": 2.2}}
    config = fine_tuned_config(tiny_model().config, frames, table)
    assert config.pair_cutoffs == {"H-S": 2.2}


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("frozen", [("embedding", "layer_1"), ("two_body", "readout")])
def test_frozen_parts_stay_as_they_are(tmp_path, optimizer, frozen):
    source = tiny_model()
    settings = {"weight_decay": 0.1, "fix_linear_chains": False, "max_epochs": 1}
    model = tuned(source, tmp_path, freeze=frozen, optimizer=optimizer, **settings)
    before, after = weights(source), weights(model)
    names = {
        "embedding": ("embedding.",),
        "two_body": ("two_body.", "tensor_weights.", "first_projection."),
        "layer_1": ("operators.0.", "latents.0."),
        "readout": ("readout.",),
    }
    assert tuple(names) == PARTS
    starts = tuple(start for part in frozen for start in names[part])
    for name, value in after.items():
        assert torch.equal(value, before[name]) == name.startswith(starts), name
    assert model.provenance["train"]["freeze"] == list(frozen)


@pytest.mark.parametrize(
    "frozen, text",
    [
        (("embeding",), "embedding, two_body, layer_1, readout, found embeding"),
        (PARTS, "a part that is not frozen"),
    ],
)
def test_what_cannot_be_frozen(tmp_path, frozen, text):
    with pytest.raises(ValueError, match=text):
        tuned(tiny_model(), tmp_path, freeze=frozen)
    assert not any(tmp_path.iterdir())


def test_new_elements_need_an_embedding_that_is_trained():
    frames = [with_other(ethanol()[0], "S"), ethanol()[1]]
    with pytest.raises(ValueError, match=r"embedding .* S"):
        started(tiny_model(), frames, freeze=("embedding",))


@pytest.mark.parametrize(
    "fraction, replayed", [(0.5, 8), (0.2, 2), (0.75, 24), (0.01, 1)]
)
def test_each_epoch_has_its_share_of_old_frames(fraction, replayed):
    order = ReplayOrder(8, 5, short(seed=1, replay_fraction=fraction))
    epochs = []
    for epoch in range(10):
        order.set_epoch(epoch)
        epochs.append(list(order))
        assert list(order) == epochs[-1] and len(order) == len(epochs[-1])
        assert sorted(i for i in epochs[-1] if i < 8) == list(range(8))
        old = np.array(epochs[-1]) >= 8
        assert old.sum() == replayed
        # half of an epoch has half of them, so that each batch has some
        assert abs(2 * old[: len(old) // 2].sum() - replayed) <= 2
    drawn = [i for epoch in epochs for i in epoch if i >= 8]
    counts = np.bincount(drawn, minlength=13)[8:]
    assert counts.max() - counts.min() <= 1
    assert epochs[0] != epochs[1]


def test_an_epoch_of_another_size_has_the_same_share():
    order = ReplayOrder(80, 50, short(epoch_size=20, replay_fraction=0.25))
    assert sum(i >= 80 for i in order) == 5 and len(list(order)) == 20


def test_old_frames_are_remembered(tmp_path):
    """The model's own labels, replayed from another level of theory, hold it back."""
    source = tiny_model()
    energies, forces = (
        predicted(source, ethanol()[:8], n) for n in ("energy", "forces")
    )
    old = [
        dataclasses.replace(s, energy=float(e) * len(s), forces=f)
        for s, e, f in zip(ethanol()[:8], energies, np.split(forces, 8), strict=True)
    ]
    errors = []
    for name, replay in (("without", ()), ("with", [moved(s, H=5.0) for s in old])):
        settings = {"learning_rate": 0.02, "max_epochs": 4, "energy_weight": 0.0}
        settings |= {"epoch_size": 8}  # as many steps with old frames as without
        if replay:
            settings |= {"replay_level": "other", "replay_fraction": 0.75}
        frames = ethanol()[8:16]
        model = tuned(source, tmp_path / name, frames=frames, replay=replay, **settings)
        errors.append(evaluate(model, old)["metrics"]["forces_rmse"])
    assert errors[1] < 0.8 * errors[0]


def test_levels_of_theory_of_old_and_new_frames():
    source = tiny_model()
    frames = [
        dataclasses.replace(s, energy=float(e) * len(s))
        for s, e in zip(ethanol()[:8], predicted(source, ethanol()[:8]), strict=True)
    ]
    old, new = frames[:2], [moved(s, O=9.0) for s in frames[2:]]
    with pytest.raises(ValueError, match=r"\+250 meV/atom .* replay_level = 'other'"):
        started(source, new, replay=old)
    start = started(source, new, replay=old, replay_level="other")
    for sample, structure in zip(start.replay, old, strict=True):
        assert sample.energy == pytest.approx(structure.energy + 9.0, abs=1e-4)
    start = started(source, new, replay=old, replay_level="same")
    assert [s.energy for s in start.replay] == [s.energy for s in old]
    change = sum(start.model.statistics.shifts) - sum(source.statistics.shifts)
    assert 0 < change < 9.0
    started(source, frames[2:], replay=old)  # the same level needs no setting


def test_resumed_it_is_as_without_the_interruption(tmp_path):
    source = tiny_model()
    settings = {"replay": ethanol()[8:16], "optimizer": "muon", "freeze": ("readout",)}
    tuned(source, tmp_path / "whole", max_epochs=4, **settings)
    tuned(source, tmp_path / "parts", max_epochs=2, **settings)
    for others in (
        {"freeze": ()},
        {"replay": ethanol()[8:12]},
        {"source": tiny_model(dtype="float64")},
    ):
        changed = {"source": source, "max_epochs": 4} | settings | others
        with pytest.raises(ValueError, match="to resume it, found"):
            tuned(output=tmp_path / "parts", resume=True, **changed)
    tuned(source, tmp_path / "parts", max_epochs=4, resume=True, **settings)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


def test_labels_of_another_kind_are_refused():
    source = tiny_model()
    source.kind = "delta"
    with pytest.raises(ValueError, match="from which the baseline"):
        started(source, ethanol()[:4])
    baseline = {"hash": "0", "settings": {"NonbondedForce": [1]}, "molecules": {}}
    subtracted = [dataclasses.replace(s, baseline=baseline) for s in ethanol()[:4]]
    with pytest.raises(ValueError, match="expected labels of the whole energy"):
        started(tiny_model(), subtracted)
    source.provenance["baseline"] = baseline | {"settings": {"NonbondedForce": [2]}}
    with pytest.raises(ValueError, match="settings of the same baseline"):
        started(source, subtracted)
    source.provenance["baseline"] = baseline | {"molecules": {"1": "H2O"}}
    source.provenance |= {"periodic": "all", "closest_pairs": {"H-H": 0.5, "O-O": 2}}
    record = started(source, subtracted).model.provenance
    assert record["periodic"] == "some"  # of all that it was trained on
    closest = started(tiny_model(), ethanol()[:4]).model.provenance["closest_pairs"]
    assert record["closest_pairs"] == closest | {"H-H": 0.5, "O-O": 2}
    assert record["baseline"]["molecules"] == {"1": "H2O"}


def test_settings_that_need_a_model_or_frames_to_replay():
    with pytest.raises(ValueError, match=r"a model to start from .* beside freeze"):
        check_fine_tuning(tiny_config(), short(freeze=("readout",)), None, ())
    with pytest.raises(ValueError, match="beside replay, found none"):
        check_fine_tuning(tiny_config(), short(), None, ethanol()[:1])
    with pytest.raises(ValueError, match=r"frames to replay .* 'same'"):
        check_fine_tuning(tiny_config(), short(replay_level="same"), tiny_model(), ())


def test_command(tmp_path, monkeypatch, capsys, undrawn):
    from training_helpers import ETHANOL

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    save_model(tiny_model(), tmp_path / "source.safetensors")
    data = {"training": [str(ETHANOL)], "validation_size": 12}
    text = training_toml(data, {"max_epochs": 1, "freeze": ["two_body"]})
    text = text.replace('elements = ["C", "H", "O"]', 'elements = ["H", "C", "O"]')
    (tmp_path / "data" / "config.toml").write_text(text)
    command = ["train", "data/config.toml", "--output", "tuned"]
    command += ["--from", "source.safetensors", "--replay", str(ETHANOL)]
    assert main(command) == 0
    model = load_model("tuned/model.safetensors")
    record, origin = model.provenance, load_model("source.safetensors").origin
    assert record["started_from"]["sha256"] == origin.sha256
    assert record["started_from"]["file"] == "source.safetensors"
    assert record["replay_structures"] == 20 and len(record["replay_files"]) == 1
    capsys.readouterr()
    assert main(["info", "tuned/model.safetensors"]) == 0
    shown = json.loads(capsys.readouterr().out)["provenance"]
    assert shown["started_from"] == record["started_from"]
    assert shown["train"]["freeze"] == ["two_body"]
    name = "two_body.layers.0.weight"
    source = load_model("source.safetensors")
    assert same(*({name: weights(m)[name]} for m in (source, model)))
    (tmp_path / "data" / "config.toml").write_text(
        text.replace("cutoff = 3.0", "cutoff = 3.5")
    )
    assert main([*command, "--force"]) == 2
    assert "expected cutoff = 3.0" in capsys.readouterr().err
