# SPDX-License-Identifier: MIT
"""Structures for training, validation and test from the files of a DataConfig."""

import hashlib

import pytest
from training_helpers import ETHANOL, LIQUID, ethanol

from openmm_allegro.training.config import DataConfig
from openmm_allegro.training.data import read_data, report_repeated


def test_read_data_holds_out_validation_frames():
    config = DataConfig((ETHANOL.name,), validation_size=5, split_seed=3)
    training, validation, record = read_data(config, ETHANOL.parent)
    assert (len(training), len(validation)) == (15, 5)
    energies = [s.energy for s in (*training, *validation)]
    assert sorted(energies) == sorted(s.energy for s in ethanol())
    digest = hashlib.sha256(ETHANOL.read_bytes()).hexdigest()
    assert record == {
        "training_files": {ETHANOL.name: digest},
        "validation_size": 5,
        "split_seed": 3,
    }


def test_read_data_from_separate_files():
    config = DataConfig((ETHANOL.name,), (LIQUID.name,), (LIQUID.name,))
    training, validation, record = read_data(config, ETHANOL.parent)
    assert (len(training), len(validation)) == (20, 4)
    assert set(record) == {"training_files", "validation_files", "test_files"}


def test_frames_that_are_in_two_sets_are_told(caplog):
    """Errors on them say nothing of other frames, though their file is another."""
    config = DataConfig((ETHANOL.name,), (LIQUID.name,))
    training, liquid, _ = read_data(config, ETHANOL.parent)
    assert not caplog.records
    report_repeated("test", [*liquid, *training[:3]], training)
    assert "3 of 7 test frames are training or validation frames too" in caplog.text
    read_data(DataConfig((ETHANOL.name,), (ETHANOL.name,)), ETHANOL.parent)
    assert "20 of 20 validation frames" in caplog.text


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (DataConfig((ETHANOL.name,)), ValueError, "expected validation files or a val"),
        (DataConfig(("no.xyz",), validation_size=1), FileNotFoundError, "no.xyz"),
        (
            DataConfig((ETHANOL.name,), test=("no.xyz",), validation_size=1),
            FileNotFoundError,
            "no.xyz",
        ),
        (
            DataConfig((ETHANOL.name,), validation_size=21),
            ValueError,
            r"validation_size below .* frames, 20, found 21",
        ),
        (
            DataConfig((), validation_size=1),
            ValueError,
            r"expected training files, found",
        ),
    ],
)
def test_read_data_refuses(config, error, message):
    with pytest.raises(error, match=message):
        read_data(config, ETHANOL.parent)
