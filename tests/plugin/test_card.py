# SPDX-License-Identifier: MIT
"""Libraries of the native force for cards: compiled, or a reason for the processor."""

import logging

import openmm
import pytest
from openmm_helpers import context_of, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.plugin import card, library
from openmm_allegro.simulate import platform as hardware
from openmm_allegro.simulate.platform import describe_hardware

pytestmark = pytest.mark.small


@pytest.fixture
def present(monkeypatch):
    """A Platform CUDA that OpenMM seems to have."""

    class Named:
        def __init__(self, index):
            self.getName = lambda: ("Reference", "CUDA")[index]

    monkeypatch.setattr(openmm.Platform, "getNumPlatforms", lambda: 2)
    monkeypatch.setattr(openmm.Platform, "getPlatform", Named)


# Not what an earlier test left.
obstacle_on = card.obstacle_on.__wrapped__


def test_platforms_without_a_card():
    assert obstacle_on("Reference") == "the Platform Reference has no card"
    assert obstacle_on("Nonesuch") == "OpenMM has no Platform Nonesuch here"


def test_a_card_that_is_not_wanted(present, monkeypatch, caplog):
    """Nothing is compiled, and nothing logged."""
    monkeypatch.setenv("OPENMM_ALLEGRO_CARD", "never")
    assert obstacle_on("CUDA") == "OPENMM_ALLEGRO_CARD=never says so"
    card.load_cards()
    assert not caplog.records


def test_missing_headers_are_named_once_in_the_log(
    present, monkeypatch, tmp_path, caplog
):
    """With what brings them; the force is computed on the processor then."""
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path))
    monkeypatch.setattr(card, "_header_folders", lambda platform: iter(()))
    monkeypatch.setattr(card, "obstacle_on", obstacle_on)
    with caplog.at_level(logging.WARNING):
        card.load_cards()
    (record,) = caplog.records
    assert "expects the header cuda.h, found none" in record.getMessage()
    assert "pip: nvidia-cuda-runtime" in record.getMessage()


@pytest.mark.parametrize("variable", ["CUDA_HOME", "CONDA_PREFIX"])
def test_headers_of_a_toolkit_come_first(variable, monkeypatch, tmp_path):
    for name in ("CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / "include" / "crt").mkdir(parents=True)
    for file in card.PLATFORMS["CUDA"].files:
        (tmp_path / "include" / file).touch()
    assert card._folders_of("CUDA") == [tmp_path / "include"]


def test_a_context_says_where_its_force_is_computed(model, monkeypatch):
    """And the record of a run, where the Platform may have a card."""
    symbols, positions, box = lattice_waters()
    potential = AllegroPotential(model)
    system = potential.create_system(make_topology(symbols, box), backend="native")
    context = context_of(system, positions)
    reason = "there is no library for the Platform Reference"
    assert library.obstacle_of_last_context() == reason
    assert "native_force" not in describe_hardware(context)
    monkeypatch.setattr(hardware, "PLATFORMS", ("Reference",))
    assert describe_hardware(context)["native_force"] == f"processor: {reason}"
    monkeypatch.setenv("OPENMM_ALLEGRO_CARD", "always")
    with pytest.raises(openmm.OpenMMException, match=f"expected a card.*{reason}"):
        context_of(system, positions)


@pytest.mark.slow
@pytest.mark.parametrize("platform", card.PLATFORMS)
def test_compiles_against_this_openmm(platform, monkeypatch, tmp_path):
    """Whether it has the Platform or not: its headers are there."""
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path))
    try:
        folders = card._folders_of(platform)
    except ImportError as error:
        pytest.skip(str(error))
    assert len(folders) <= 2
    assert card.card_path(platform).is_file()
