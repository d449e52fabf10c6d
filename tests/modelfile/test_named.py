# SPDX-License-Identifier: MIT
"""Models by name: the cards are true, and a name stands wherever a file does."""

import pytest
from outcome_helpers import outcome_of

from openmm_allegro import AllegroPotential
from openmm_allegro.cli.main import main
from openmm_allegro.modelfile import load_model, read_header
from openmm_allegro.modelfile.named import (
    errors_of,
    model_path,
    named_models,
    read_card,
)

pytestmark = pytest.mark.small
CARDS = named_models()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder in which nothing is called as a model."""
    monkeypatch.chdir(tmp_path)
    if not CARDS:
        pytest.skip("needs the shipped models")


@pytest.mark.parametrize("name", CARDS)
def test_card_and_file(name):
    card = read_card(CARDS[name])
    header = read_header(model_path(name))
    assert header["kind"] == ("delta" if name.endswith("delta") else "total")
    charged = header["config"].get("charges", "none") != "none"
    assert ("charges" in card.title) == charged
    assert 10 < errors_of(CARDS[name])["forces_rmse"] < 200
    assert "teacher" not in card.level_of_theory
    # who made the data, and not a bare DOI
    assert not card.source.startswith(("doi:", "http"))
    texts = (card.title, card.level_of_theory, card.domain, card.fails, card.checked)
    for text in texts:
        assert text and not text.endswith(".")


def test_name_in_the_place_of_a_file():
    by_name, by_path = load_model("nacl_aq"), load_model(model_path("nacl_aq"))
    assert by_name.config == by_path.config
    assert AllegroPotential("nacl_aq").models[0].config == by_path.config


def test_file_comes_before_a_name(tmp_path):
    (tmp_path / "nacl_aq").write_bytes(b"no model")
    with pytest.raises(ValueError, match="nacl_aq: expected a model file in the safet"):
        load_model("nacl_aq")


def test_checkpoint_of_nequip_is_imported_first(tmp_path, capsys):
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"PK\x03\x04" * 64)
    assert main(["info", str(path)]) == 2
    assert f"openmm-allegro import {path} -o MODEL" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, text",
    [
        ("nacl_aqq", "no model of that name; did you mean nacl_aq"),
        ("other/nacl_aq", r"found nothing at other/nacl_aq$"),
        ("nacl_aq.safetensors", r"found nothing at nacl_aq.safetensors$"),
    ],
)
def test_what_is_neither(given, text):
    with pytest.raises(FileNotFoundError, match=text):
        load_model(given)


def test_options_of_the_force_are_refused_beside_a_model():
    with pytest.raises(TypeError, match=r"found backend .*create_system\(topology, ba"):
        AllegroPotential("nacl_aq", backend="native")


def test_info_tells_where_a_model_fails(tmp_path):
    header = outcome_of(tmp_path / "info.json", "info", "alanine")["results"]
    assert header["fails"].startswith("in populations of φ and ψ")
    assert header["card"] == "openmm-allegro models alanine"


def test_command_lists_the_models(tmp_path, capsys):
    path = tmp_path / "models.json"
    outcome = outcome_of(path, "models")
    assert set(outcome["results"]["models"]) == set(CARDS)
    assert outcome["next"] == ["openmm-allegro models NAME"]
    text = capsys.readouterr().out
    assert all(f"\n{name} " in text for name in CARDS)
    assert " H O Na Cl " in text
    card = outcome_of(path, "models", "nacl_aq")["results"]["models"]["nacl_aq"]
    assert card["elements"] == ["H", "O", "Na", "Cl"] and card["cutoff"] == 5.0
    assert card["errors"]["forces_rmse"] > 0 and "revPBE0" in card["level_of_theory"]
    text = capsys.readouterr().out
    assert "4.54 % of their root mean square, 881" in text and "checked" in text
    assert "revPBE0-D3" in text and str(model_path("nacl_aq")) in text
    assert main(["models", "nacl"]) == 2
    assert "did you mean nacl_aq" in capsys.readouterr().err
