# SPDX-License-Identifier: MIT
"""TOML to dataclasses, and the messages for what is not allowed in it."""

import dataclasses
import json
from dataclasses import dataclass, field

import pytest
from training_helpers import tiny_config

from openmm_allegro.model import AllegroConfig
from openmm_allegro.training.train import DataConfig, TrainConfig
from openmm_allegro.utils.config import from_mapping, read_toml

TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
TOML = """
[data]
training = ["a.extxyz", "b.extxyz"]
validation_size = 10
[model]
elements = ["H", "O"]
cutoff = 5
parity = false
[model.pair_cutoffs]
H-H = 3
[train]
schedule = "plateau"
energy_weight = 2
"""


@dataclass(frozen=True)
class Example:
    number: int
    real: float = 1.0
    flag: bool = False
    name: str = ""
    names: tuple[str, ...] = ()
    table: dict[str, float] = field(default_factory=dict)


@pytest.fixture
def read(tmp_path):
    def read(text, tables=TABLES):
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return read_toml(path, tables)

    return read


def test_tables_become_dataclasses(read):
    found = read(TOML)
    assert found["data"] == DataConfig(("a.extxyz", "b.extxyz"), validation_size=10)
    assert found["train"] == TrainConfig(schedule="plateau", energy_weight=2.0)
    expected = AllegroConfig(("H", "O"), 5.0, {"H-H": 3.0}, parity=False)
    assert found["model"] == expected
    assert found["model"].cutoff_table().tolist() == [[3.0, 5.0], [5.0, 5.0]]


def test_integers_become_floats_where_floats_are_wanted(read):
    found = read(TOML)
    numbers = found["model"].cutoff, found["model"].pair_cutoffs["H-H"]
    assert [type(x) for x in numbers] == [float, float]
    assert type(found["train"].energy_weight) is float


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(("a",), ("b",), ("c", "d"), 4, 7),
        TrainConfig(seed=5, learning_rate=1 / 3, schedule="constant"),
        tiny_config(pair_cutoffs={"H-O": 2.1}, zbl=True),
    ],
)
def test_asdict_is_the_way_back(config):
    table = json.loads(json.dumps(dataclasses.asdict(config)))
    assert from_mapping(type(config), table, "x") == config


def test_absent_table_gives_the_defaults(read):
    text = TOML.replace('[train]\nschedule = "plateau"\nenergy_weight = 2\n', "")
    assert read(text)["train"] == TrainConfig()


def test_unknown_key_lists_the_known_ones(read):
    with pytest.raises(ValueError) as error:
        read(TOML.replace("schedule", "shedule"))
    message = str(error.value)
    assert "[train]" in message and "found shedule" in message
    assert all(f.name in message for f in dataclasses.fields(TrainConfig))


@pytest.mark.parametrize("extra", ["[modle]\ncutoff = 3\n", "seed = 1\n"])
def test_unknown_table_lists_the_known_ones(read, extra):
    with pytest.raises(ValueError, match=r"tables among data, model, train; found"):
        read(extra + TOML)


def test_missing_key(read):
    with pytest.raises(
        ValueError, match=r"\[model\]: expected cutoff, found only elem"
    ):
        read(TOML.replace("cutoff = 5", ""))
    with pytest.raises(
        ValueError, match=r"\[data\]: expected training, found only an e"
    ):
        read("")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("number", True, "number: expected int, found True"),
        ("number", 1.0, "number: expected int, found 1.0"),
        ("number", "1", "number: expected int, found '1'"),
        ("real", "1.0", "real: expected float, found '1.0'"),
        ("real", True, "real: expected float, found True"),
        ("real", float("nan"), "real: expected a finite number, found nan"),
        ("real", float("inf"), "real: expected a finite number, found inf"),
        ("flag", 0, "flag: expected bool, found 0"),
        ("flag", "False", "flag: expected bool, found 'False'"),
        ("name", 3, "name: expected str, found 3"),
        ("names", "abc", "names: expected a list, found 'abc'"),
        ("names", ["a", 1], "names: expected str, found 1"),
        ("table", [1.0], "table: expected a table, found [1.0]"),
        ("table", {"a": "b"}, "table.a: expected float, found 'b'"),
        ("table", {"a": True}, "table.a: expected float, found True"),
    ],
)
def test_wrong_type(key, value, message):
    with pytest.raises(ValueError) as error:
        from_mapping(Example, {"number": 1, key: value}, "here")
    assert str(error.value) == f"here: {message}"


def test_a_value_in_place_of_a_table(read):
    with pytest.raises(ValueError, match=r"\[train\]: expected a table, found 3"):
        read("train = 3\n" + TOML.split("[train]")[0])


def test_no_file_and_no_toml(read, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a TOML file, found nothing"):
        read_toml(tmp_path / "nothing.toml", TABLES)
    with pytest.raises(ValueError, match=r"config\.toml: expected TOML, found"):
        read("[data\n")
    path = tmp_path / "latin.toml"
    path.write_bytes("name = 'Å'".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.toml: expected TOML, found"):
        read_toml(path, TABLES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("max_epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warmup_steps", -1),
        ("schedule", "linear"),
        ("final_rate", 1.5),
        ("plateau_patience", -1),
        ("plateau_factor", 1.0),
        ("plateau_factor", 0.0),
        ("energy_weight", -1.0),
        ("stress_weight", float("inf")),
        ("ema_decay", 1.0),
        ("ema_decay", -0.1),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("weight_decay", -0.1),
        ("weight_decay", 200.0),  # of a rate of 0.005
        ("forces_loss", "l1"),
        ("gradient_clip", -1.0),
        ("early_stop_patience", -1),
        ("dtype", "float16"),
    ],
)
def test_train_config_out_of_range(name, value):
    with pytest.raises(ValueError, match=rf"{name}.*found.*{value}"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"energy_weight": 0.0, "forces_weight": 0.0},
        {"late_epoch": 5, "late_weights": (0.0, 0.0, 0.0)},
    ],
)
def test_some_weight_is_needed(changes):
    with pytest.raises(ValueError, match="expected a weight above 0"):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"late_epoch": 5}, r"three late_weights .* late_epoch = 5, found \(\)"),
        ({"late_epoch": 5, "late_weights": (1.0, 1.0)}, r"found \(1.0, 1.0\)"),
        ({"late_epoch": 5, "late_weights": (1.0, -1.0, 0.0)}, "at least 0"),
        ({"late_weights": (1.0, 1.0, 0.0)}, "expected no late_weights"),
        (
            {"late_epoch": 100, "late_weights": (1.0, 1.0, 0.0)},
            "max_epochs = 100, found 100",
        ),
        (
            {"late_epoch": 5, "late_weights": (1, 1, 0), "schedule": "plateau"},
            "another schedule than plateau",
        ),
        (
            {"late_epoch": 5, "late_weights": (1, 1, 0), "early_stop_patience": 3},
            "early_stop_patience = 3",
        ),
    ],
)
def test_late_weights_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


def test_weights_of_an_epoch():
    config = TrainConfig(energy_weight=2.0, late_epoch=5, late_weights=(9.0, 0.0, 3.0))
    assert config.weights_of(4) == (2.0, 1.0, 0.0)
    assert config.weights_of(5) == (9.0, 0.0, 3.0)
    assert TrainConfig(energy_weight=2.0).weights_of(99) == (2.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff": -1.0}, "expected cutoff above 0 and at most 100 Å, found -1.0"),
        ({"l_max": 9}, "l_max of at least 0 and at most 4, found 9"),
        ({"pair_cutoffs": {"H-X": 2.0}}, "found 'H-X'"),
        ({"pair_cutoffs": {"H-O": 9.0}}, "found 9.0"),
        ({"elements": ("H", "H")}, "each element once"),
        ({"elements": ("H", "Qq")}, "found 'Qq'"),
    ],
)
def test_model_config_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(tiny_config(), **changes)


def test_choices_are_listed_whatever_the_type():
    for table in ({"dtype": 3}, {"dtype": "float16"}):
        with pytest.raises(ValueError, match=r"dtype of \('float32', 'float64'"):
            from_mapping(TrainConfig, {"max_epochs": 1} | table, "x [train]")


def test_a_table_is_named_once():
    from openmm_allegro.simulate.watchdogs import Watchdogs

    with pytest.raises(ValueError, match=r"^x \[watchdogs\]: expected interval of"):
        from_mapping(Watchdogs, {"interval": 0}, "x [watchdogs]")
