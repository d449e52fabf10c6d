# SPDX-License-Identifier: MIT
"""TOML values of any type in any place are taken as they are meant, or refused."""

import dataclasses
import datetime
import json
import types
from typing import get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toml_helpers import CLASSES, PROTOCOL, TRAIN, TRAINING, allowed, meant, toml

from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.simulate.protocol_file import read_settings
from openmm_allegro.simulate.settings import RunSettings
from openmm_allegro.simulate.watchdogs.settings import Watchdogs
from openmm_allegro.training.config import DataConfig, TrainConfig
from openmm_allegro.utils.config import read_toml
from openmm_allegro.utils.settings import settings_of

NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([2**31, -(2**31), 2**63, 10**40, -(10**400), 10**4000]),
    st.floats(),
    st.sampled_from([-0.0, 1e-320, 1e308, -1e300, 0.5]),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "\0", "a\nb", "../..", "H", "0e", "NPT", "x" * 3000, "1e5"]),
)
PLAIN = st.one_of(
    NUMBERS,
    TEXTS,
    st.booleans(),
    st.dates(min_value=datetime.date(1, 1, 1)),
    st.times(),
    st.datetimes(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)


def read(document, path):
    """Tables of a document as the package reads them, by name."""
    lines = (f"{toml(key)} = {toml(value)}\n" for key, value in document.items())
    path.write_text("".join(lines), encoding="utf-8")
    if "data" in document or "model" in document:
        return read_toml(path, TRAIN)
    system, stages, watchdogs, *_ = read_settings(path)
    return {"system": system, "stages": stages, "watchdogs": watchdogs}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("toml") / "x.toml"


def test_the_documents_are_read(file):
    assert read(TRAINING, file)["train"].max_epochs == 10
    assert read(PROTOCOL, file)["stages"][1].ensemble == "npt"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_value_in_any_place(file, data):
    document = json.loads(json.dumps(data.draw(st.sampled_from([TRAINING, PROTOCOL]))))
    name = data.draw(st.sampled_from(list(document)))
    table, cls = document[name], CLASSES[name]
    if name == "stages":
        table = table[data.draw(st.integers(0, 1))]
    # but for what is a table of its own
    fields = [f for f in dataclasses.fields(cls) if not nested(f.type)]
    key = data.draw(st.sampled_from([f.name for f in fields]))
    field = next(f for f in dataclasses.fields(cls) if f.name == key)
    value = data.draw(st.one_of(VALUES, near(field.type)))
    table[key] = value
    message, tables = "", {}
    try:
        tables = read(document, file)
    except ValueError as error:
        message = str(error)
        assert "\n" not in message and len(message) < 3000
        assert message.startswith(str(file)) and "expected" in message
    kind, meaning = field.type, settings_of(cls)[key]
    if (
        name in ("run", "stages")
        and key == "temperature_k"
        and not isinstance(value, list)
    ):
        value = [value]
    if name == "system" and key == "model" and isinstance(value, str):
        value = [value]
    if not allowed(kind, meaning, value):
        assert message and key in message
    elif tables and name != "run":
        taken = tables[name]
        if name == "stages":
            taken = taken[document["stages"].index(table)]
        assert getattr(taken, key) == meant(value) or value in (0, -1)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_table(file, data):
    """In the place of a table, as one more table, as one more key, or without one."""
    document = json.loads(json.dumps(data.draw(st.sampled_from([TRAINING, PROTOCOL]))))
    name = data.draw(st.sampled_from(list(document)))
    what = data.draw(st.sampled_from(["other", "table", "key", "absent"]))
    if what == "other":
        document[name] = data.draw(VALUES)
    elif what == "table":
        document[data.draw(TEXTS)] = data.draw(VALUES)
    elif what == "key":
        table = document[name][0] if name == "stages" else document[name]
        table[data.draw(TEXTS)] = data.draw(VALUES)
    else:
        del document[name]
    try:
        read(document, file)
    except ValueError as error:
        message = str(error)
        assert "\n" not in message and len(message) < 3000 and "expected" in message
        return
    optional = ("run", "watchdogs", "train")
    assert document[name] == {} if what == "other" else what == "absent"
    assert name in optional


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 20_000,
        "a." * 100_000 + "a = 1",
        "a = " + "9" * 5000,
        "a = 0x" + "f" * 5000,
        "a = 1979-99-99",
        "[data]\n" * 2,
        "# " + "x" * 2_000_000,
        'a = "\ud800"',
        "a = 1\rb = 2",
        "\ufeff[data]",
        "a = 'x\0'",
    ],
)
def test_any_text(file, text):
    file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(ValueError, match="expected") as error:
        read_toml(file, TRAIN)
    assert "\n" not in str(error.value) and len(str(error.value)) < 3000


def test_numbers_have_bounds():
    """Without any, nonsense such as a billion years would be accepted."""
    for cls in (DataConfig, TrainConfig, ForceOptions, RunSettings, Watchdogs):
        for name, meaning in settings_of(cls).items():
            field = next(f for f in dataclasses.fields(cls) if f.name == name)
            kinds = {field.type, *get_args(field.type)}
            if kinds & {int, float} and not kinds & {str, dict}:
                largest = meaning.maximum or meaning.below
                # integers of runs are those of OpenMM, of 31 bits
                assert largest is not None or int in kinds, f"{cls.__name__}.{name}"


def nested(kind):
    """Tell whether a field is a table, or none."""
    return any(map(dataclasses.is_dataclass, (kind, *get_args(kind))))


def near(kind):
    """Values of a type, so that many are allowed."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if get_origin(kind) is tuple:
        return st.lists(near(get_args(kind)[0]), max_size=4)
    if get_origin(kind) is dict:
        return st.dictionaries(
            st.sampled_from(["H-O", "H-H", "energy", "O"]), near(get_args(kind)[1])
        )
    kinds = {
        bool: st.booleans(),
        int: st.integers(-2, 100),
        float: st.one_of(st.floats(0, 100), st.integers(0, 10)),
        str: st.sampled_from(["H", "a.pdb", "npt", "cpu", "single", "plain", "adam"]),
    }
    return kinds[kind]
