# SPDX-License-Identifier: MIT
"""Settings chosen from data, hours and a clock; the clock of these tests is made up."""

import dataclasses
import functools
import itertools
import re

import numpy as np
import pytest
import torch
from data_helpers import made_up
from toml_helpers import TRAIN
from training_helpers import tiny_config

pytest.importorskip("lightning")

from openmm_allegro.training import recipe
from openmm_allegro.training.clock import MeasuredClock
from openmm_allegro.training.config import DataConfig, TrainConfig
from openmm_allegro.training.config_file import config_text
from openmm_allegro.training.recipe import LADDER, Cost, choose, validation_size
from openmm_allegro.training.survey import survey
from openmm_allegro.utils.config import read_toml

WATER = ["O", "H", "H"] * 9
ALLOY = ["Li", "P", "S", "S", "Cl", "Ge", "Na", "O"]
DATA = DataConfig(training=("made.extxyz",))


@functools.cache
def sets():
    """Surveys of small data sets by name."""
    return {
        "molecule": survey(
            made_up(["C", "C", "O", *"HHHHHH"], 40, spacing=1.4, box=False)
        ),
        "liquid": survey(made_up(WATER, 30, spacing=1.9)),
        "crystal": survey(made_up(["Li", "Cl"] * 4, 24, spacing=2.6, stress=True)),
        "alloy": survey(made_up(ALLOY, 24, spacing=2.4)),
        "tiny": survey(made_up(["Li", "Cl"] * 4, 4, spacing=2.6)),
    }


def many(name, frames):
    """A survey of more frames."""
    one = sets()[name]
    times = -(-frames // one.frames)
    arrays = {
        f: np.tile(getattr(one, f), times)[:frames]
        for f in ("sizes", "residuals", "frame_forces", "largest_forces")
    }
    labelled = {k: frames if v else 0 for k, v in one.labelled.items()}
    return dataclasses.replace(one, **arrays, labelled=labelled)


def clock(speed=1.0, asked=None):
    """A machine on which a step costs what its multiplications do."""

    def cost(model, train):
        if asked is not None:
            asked.append(model)
        width = model.num_scalar_features / 64 * (model.l_max + 1) ** 2 / 9
        step = (0.005 + 0.03 * train.batch_size * width) / speed
        return Cost(step, step, 0.3 * step / train.batch_size)

    return cost


@pytest.mark.parametrize("name", ["molecule", "liquid", "crystal", "alloy", "tiny"])
@pytest.mark.parametrize("hours", [0.05, 0.5, 3.0, 24.0])
@pytest.mark.parametrize("frames", [0, 3_000, 200_000])
@pytest.mark.parametrize("compile", [False, True])
def test_trainings_fit_their_hours(name, hours, frames, compile):
    one = many(name, frames) if frames else sets()[name]
    chosen = choose(one, DATA, hours, clock(), spent=5.0, can_compile=compile)
    cost = clock()(chosen.model, chosen.train)
    train, data = chosen.train, chosen.data
    trained = one.frames - data.validation_size
    size = train.epoch_size or trained
    steps = train.max_epochs * -(-size // train.batch_size)
    step = cost.step * (recipe.COMPILED if train.compile else 1)
    checks = data.validation_size * cost.validation + cost.saving
    total = steps * step + train.max_epochs * checks + recipe.COMPILING * train.compile
    assert total < 3600 * hours
    assert steps == chosen.steps
    # and use them, unless there is no need
    assert total > 0.75 * 3600 * hours or steps > 0.98 * recipe.MOST_STEPS
    assert 1 <= data.validation_size < one.frames
    assert train.max_hours <= hours
    assert not train.compile or len(set(one.sizes)) == 1


@pytest.mark.parametrize("name", ["molecule", "liquid", "crystal"])
@pytest.mark.parametrize("speed", [0.3, 1.0, 30.0])
def test_more_hours_never_make_less(name, speed):
    def rung(model):
        sizes = [(r.l_max, r.scalars) for r in LADDER]
        return sizes.index((model.l_max, model.num_scalar_features))

    found = [
        choose(many(name, 1000), DATA, hours, clock(speed))
        for hours in np.geomspace(0.02, 100, 25)
    ]
    rungs = [rung(f.model) for f in found]
    assert rungs == sorted(rungs)
    assert rungs[0] < rungs[-1] == len(LADDER) - 1 or speed < 1
    for first, second in itertools.pairwise(found):
        if first.model == second.model:
            assert second.steps >= 0.9 * first.steps


def test_networks_have_time_for_their_steps():
    for hours in np.geomspace(0.02, 50, 20):
        chosen = choose(many("liquid", 800), DATA, hours, clock())
        (rung,) = (
            r
            for r in LADDER
            if (r.l_max, r.scalars)
            == (chosen.model.l_max, chosen.model.num_scalar_features)
        )
        assert chosen.steps >= rung.steps or rung == LADDER[0]


def test_a_busy_machine_gets_a_smaller_network_and_as_many_epochs():
    """Beside other work steps take longer than they can: there may be fewer of them."""
    one, quiet = many("liquid", 800), clock()

    def busy(model, train):
        cost = quiet(model, train)
        return cost._replace(step=10 * cost.step)

    alone, beside = (choose(one, DATA, 2.0, c) for c in (quiet, busy))
    features = "num_scalar_features"
    sizes = [(r.model.l_max, getattr(r.model, features)) for r in (beside, alone)]
    assert sizes[0] < sizes[1]
    cost = quiet(beside.model, beside.train)
    assert beside.steps * cost.step > 0.75 * 7200
    assert "beside what else the machine does" in beside.reasons[features]
    assert "beside" not in alone.reasons[features]
    # one number, wherever it is said
    assert beside.pace in beside.reasons[features] and beside.pace.startswith("about")
    assert not alone.warning


def test_hours_that_are_nearly_gone_are_told_with_those_that_are_enough():
    """Most of the hours were spent before the first step."""
    one, speed = many("liquid", 800), clock()
    cost = speed(choose(one, DATA, 1.0, speed).model, TrainConfig())
    chosen = choose(one, DATA, 0.06, speed, spent=200.0, tested=80)
    assert "took 200 of its 216 s" in chosen.warning
    enough = float(re.search(r"at least --hours (\S+),", chosen.warning)[1])
    again = choose(one, DATA, enough, speed, spent=200.0, tested=80)
    assert not again.warning and enough < 2 * (1000 * cost.step + 300) / 3600


def test_slow_steps_are_few():
    for step in (1.0, 20.0, 100.0, 1000.0):
        cost = Cost(step, step, 0.01, 0.01)
        chosen = choose(sets()["crystal"], DATA, 0.2, lambda *_, cost=cost: cost)
        assert 1 <= chosen.steps <= max(1, 720 / step)
        assert chosen.steps == chosen.train.max_epochs or step == 1.0


def test_larger_networks_than_fit_are_not_measured():
    asked = []
    choose(sets()["liquid"], DATA, 0.05, clock(asked=asked))
    assert len(asked) == 2


def test_cutoffs_follow_the_neighbours():
    hours = 1.0
    molecule, liquid, crystal = (
        choose(sets()[name], DATA, hours, clock()).model
        for name in ("molecule", "liquid", "crystal")
    )
    assert molecule.cutoff == recipe.MOLECULE_CUTOFF and not molecule.pair_cutoffs
    assert liquid.elements == ("H", "O")
    assert liquid.pair_cutoffs == {"H-H": 3.0, "H-O": 4.0}
    assert not crystal.pair_cutoffs
    assert crystal.cutoff > liquid.cutoff or crystal.cutoff == recipe.CUTOFF
    for name in ("liquid", "crystal", "alloy"):
        model = choose(sets()[name], DATA, hours, clock()).model
        around = sets()[name].pairs.mean_neighbors(model.cutoff)
        inside = recipe.SHORTEST < model.cutoff < recipe.LONGEST
        enough = recipe.FEWEST_NEIGHBORS <= around <= recipe.MOST_NEIGHBORS
        assert enough or not inside


def test_hydrogens_of_few_neighbours_need_no_cutoffs():
    crystal = made_up(["Li", "Cl"] * 32, 6)
    methane = made_up(["C", *"HHHH"], 40, spacing=1.2, box=False)
    model = choose(survey([*crystal, *methane]), DATA, 1.0, clock()).model
    assert "H" in model.elements and not model.pair_cutoffs


def test_passes_are_those_of_the_epochs():
    cost = Cost(20.0, 20.0, 0.01, 0.01)
    one = dataclasses.replace(sets()["alloy"], sizes=np.full(24, 40))
    chosen = choose(one, DATA, 1.0, lambda *_: cost)  # 20 frames in batches of 4
    train, said = chosen.train, chosen.reasons["max_epochs"]
    size = train.epoch_size or 20
    assert f"{train.max_epochs * size / 20:.3g} passes" in said
    single = choose(sets()["tiny"], DATA, 0.02, lambda *_: Cost(60, 60, 1, 1))
    assert single.reasons["max_epochs"].startswith("1 step of")


def test_counted_neighbours_are_those_of_the_lattice():
    pairs = survey(made_up(["Li", "Cl"] * 32, 5, spacing=2.6)).pairs
    assert pairs.mean_neighbors(3.2) == pytest.approx(6, abs=0.3)
    assert pairs.mean_neighbors(4.1) == pytest.approx(18, abs=1.0)


def test_batches_have_atoms_enough():
    for name in ("molecule", "liquid", "crystal"):
        one = many(name, 500)
        frames = choose(one, DATA, 1.0, clock()).train.batch_size
        assert frames * one.mean_atoms >= recipe.FEWEST_ATOMS
        assert frames == 1 or (frames - 1) * one.mean_atoms < recipe.ATOMS_IN_BATCH
    different = dataclasses.replace(
        many("liquid", 500), sizes=np.full(500, 400), frame_forces=np.arange(500.0)
    )
    assert choose(different, DATA, 1.0, clock()).train.batch_size == 2


def test_validation_frames():
    sizes = [validation_size(n) for n in (4, 10, 20, 100, 1000, 10**6)]
    assert sizes == [1, 2, 4, 10, 80, 200]


def test_frames_without_forces_are_trained_on_by_energies():
    one = sets()["molecule"]
    one = dataclasses.replace(one, labelled=one.labelled | {"forces": 0})
    assert choose(one, DATA, 1.0, clock()).train.forces_weight == 0


def test_a_fine_tuned_network_is_that_of_its_model():
    one = sets()["liquid"]
    network = choose(one, DATA, 10.0, clock()).model
    data = dataclasses.replace(DATA, start_from="model.safetensors")
    chosen = choose(one, data, 0.1, clock(), network=network, replayed=True)
    assert chosen.model == network
    assert "[model]" not in config_text(chosen, "A heading.")


@pytest.mark.parametrize("name", ["molecule", "crystal"])
def test_the_clock_measures_networks_and_leaves_no_trace(name, caplog):
    frames = made_up(["Li", "Cl"] * 4, 6, box=name == "crystal", stress=True)
    measured = MeasuredClock(frames, seconds=0.01)
    state = torch.random.get_rng_state()
    costs = [
        measured(tiny_config(("Li", "Cl"), **size), TrainConfig(batch_size=8))
        for size in ({}, {"num_scalar_features": 128, "two_body_width": 512})
    ]
    for cost in costs:
        assert 0 < cost.fastest <= cost.step and 0 < cost.validation < cost.step
    assert costs[0].fastest < costs[1].fastest
    assert torch.equal(state, torch.random.get_rng_state())
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_hours_must_be_above_zero(hours):
    with pytest.raises(ValueError, match="hours"):
        choose(sets()["tiny"], DATA, hours, clock())


@pytest.mark.parametrize("name", ["molecule", "liquid", "crystal", "alloy", "tiny"])
@pytest.mark.parametrize("hours", [0.1, 5.0])
def test_the_file_says_what_was_chosen(tmp_path, name, hours):
    """Read back, and each line of it has a comment."""
    data = DataConfig(
        training=("a b.extxyz", 'c"d\\e.xyz', "ü.extxyz"),
        test=("../t.extxyz",),
        energy_key="REF_energy",
        use_weights=False,
    )
    chosen = choose(sets()[name], data, hours, clock(), can_compile=True)
    path = tmp_path / "config.toml"
    text = config_text(chosen, "A training on some files. " * 20)
    path.write_text(text, encoding="utf-8")
    assert read_toml(path, TRAIN) == chosen.tables()
    assert max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    for before, line in itertools.pairwise(lines):
        is_setting = "=" in line and not line.startswith("#")
        assert (
            not is_setting
            or "  # " in line
            or before.startswith("#")
            or (
                "-" in line.split("=")[0]  # a pair of elements
            )
        )
