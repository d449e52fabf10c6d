# SPDX-License-Identifier: MIT
"""Epochs of any size, and trainings that end within their hours."""

from collections import Counter

import pytest
from training_helpers import assert_same_training, fit, rates, read_log, short

pytest.importorskip("lightning")

from openmm_allegro.training import pace
from openmm_allegro.training.module import EpochOrder
from openmm_allegro.training.pace import Course, epochs_in_time


@pytest.mark.parametrize("size", [1, 3, 7, 10, 16, 25])
def test_epochs_take_each_structure_as_often_as_the_others(size):
    order, seen = EpochOrder(10, seed=3, epoch_size=size), []
    for epoch in range(40):
        order.set_epoch(epoch)
        chosen = list(order)
        assert len(chosen) == len(order) == size
        if size <= 10 and epoch == 0:
            assert len(set(chosen)) == size
        seen += chosen
    passes, rest = divmod(len(seen), 10)
    counts = Counter(seen[: 10 * passes])
    assert set(counts.values()) == {passes} and len(counts) == 10
    assert seen[:10] != seen[10:20] or size == 1  # another order in each pass
    assert len(seen[10 * passes :]) == rest


def test_epochs_of_one_pass_are_what_they_were():
    plain, same = EpochOrder(10, seed=3), EpochOrder(10, seed=3, epoch_size=10)
    for epoch in (0, 5):
        plain.set_epoch(epoch)
        same.set_epoch(epoch)
        assert list(plain) == list(same)


def test_course_goes_on_from_where_it_is():
    course = Course(100)
    shorter = course.ending(40, 60)
    assert course.done(40) == shorter.done(40) == 0.4
    assert shorter.done(50) == pytest.approx(0.7)
    assert shorter.done(60) == shorter.done(70) == 1.0
    assert shorter.ending(50, 60).done(55) == pytest.approx(shorter.done(55))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.02, 1.5, 7.0, 60.0, 1000.0])
def test_epochs_end_in_time(seconds):
    """Whatever an epoch takes: at most one more than fits, and no fewer either."""
    limit, planned, done = 100.0, 100, 10
    for noise in (0.0, 0.2):
        durations = [50.0] + [seconds * (1 + noise * (-1) ** i) for i in range(9)]
        elapsed = done * seconds
        epochs = epochs_in_time(
            done, planned, planned, elapsed=elapsed, durations=durations, limit=limit
        )
        assert done < epochs <= planned
        expected = elapsed + (epochs - done) * seconds
        assert expected <= 1.06 * limit or epochs == done + 1
        if epochs < planned and not noise:
            assert expected + seconds > limit


def test_a_shortened_training_becomes_longer_again():
    """At most as long as it was planned first."""
    times = {"elapsed": 50.0, "limit": 100.0}
    for seconds, expected in ((10.0, 15), (9.5, 15), (5.0, 20), (0.1, 100), (20.0, 12)):
        durations = [30.0, *[seconds] * 5]
        assert epochs_in_time(10, 15, 100, durations=durations, **times) == expected


def slow(monkeypatch, seconds):
    """Let each look at the clock after an epoch find these seconds more."""
    from openmm_allegro.training import record

    now = {"time": 0.0}

    class Clock:
        @staticmethod
        def monotonic():
            return now["time"]

    monkeypatch.setattr(pace, "time", Clock)
    monkeypatch.setattr(record, "time", Clock)
    original = record.TrainingLog.add

    def add(self, metrics, **values):
        now["time"] += seconds
        return original(self, metrics, **values)

    monkeypatch.setattr(record.TrainingLog, "add", add)
    return now


def test_a_slow_training_ends_in_time_at_its_last_rate(tmp_path, monkeypatch, caplog):
    slow(monkeypatch, seconds=360.0)
    settings = dict(schedule="cosine", final_rate=0.1, epoch_size=8)
    config = short(max_epochs=20, max_hours=0.5, **settings)
    fit(tmp_path / "run", config)
    found = rates(tmp_path / "run")
    assert len(found) == 5
    assert found[-1] == pytest.approx(0.1 * 0.02)
    assert found == sorted(found, reverse=True)
    assert "max_hours = 0.5 leaves time for 5 of 20" in caplog.text
    assert read_log(tmp_path / "run")[-1]["step"] == 10


def test_a_resumed_training_keeps_its_shorter_course(tmp_path, monkeypatch):
    slow(monkeypatch, seconds=360.0)
    config = short(max_epochs=20, max_hours=0.5, schedule="cosine", epoch_size=8)
    fit(tmp_path / "whole", config)
    original = pace.Pace.on_validation_end

    def killed(self, trainer, module):
        original(self, trainer, module)
        if trainer.current_epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pace.Pace, "on_validation_end", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "parts", config)
    fit(tmp_path / "parts", config, resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


def test_no_limit_changes_nothing(tmp_path, monkeypatch):
    slow(monkeypatch, seconds=1e5)
    fit(tmp_path / "run", short(max_epochs=3))
    assert len(read_log(tmp_path / "run")) == 3


def test_a_training_ends_before_its_deadline_in_the_middle_of_an_epoch(
    tmp_path, monkeypatch
):
    """Steps that take far longer than planned: the last rate, a model, and in time."""
    from openmm_allegro.training import module

    now = slow(monkeypatch, seconds=1.0)
    original = module.TrainingModule.training_step

    def step(self, *batch):
        now["time"] += 10.0
        return original(self, *batch)

    monkeypatch.setattr(module.TrainingModule, "training_step", step)
    config = short(max_epochs=2, schedule="cosine", final_rate=0.1, epoch_size=400)
    deadline = pace.Deadline(now["time"] + 300.0, 300.0, frames=20)
    fit(tmp_path / "run", config, deadline=deadline)
    rows = read_log(tmp_path / "run")
    assert len(rows) == 1 and 15 <= rows[0]["step"] <= 29
    assert 200 < now["time"] <= 300
    assert rates(tmp_path / "run")[-1] < 0.2 * 0.02
    assert (tmp_path / "run" / "model.safetensors").exists()
    fit(tmp_path / "run", config, resume=True)
    assert len(read_log(tmp_path / "run")) == 1  # it had ended
