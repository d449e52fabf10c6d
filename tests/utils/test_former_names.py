# SPDX-License-Identifier: MIT
"""Modules can be imported by the names they had in flat layout, in every usual way."""

import importlib
import importlib.util
import pickle
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import openmm_allegro
from openmm_allegro.utils.former_names import FORMER, PACKAGE, keep_former_names

# What the README, examples and systems of that time imported.
USED = {
    "analysis.errors": ["Estimate", "jackknife", "sum_blocks"],
    "analysis.plots": ["plot_msd", "plot_rdf", "plot_temperature"],
    "classical": ["nonbonded_system"],
    "config": ["read_toml"],
    "dataset": ["collate", "make_samples", "split", "statistics"],
    "deploy": ["force_module"],
    "ensembles": ["add_barostat", "whole_molecules"],
    "evaluate": ["evaluate", "parity_plot", "predict"],
    "fingerprint": ["common_baseline"],
    "forces": ["copy_system"],
    "hydrogen_mass": ["repartition_hydrogen_mass"],
    "interop.ase": ["AllegroCalculator"],
    "model": ["AllegroConfig", "AllegroEnergy", "Statistics"],
    "model.file": ["Model", "digest", "load_model", "read_header", "save_model"],
    "model.header": ["FORMAT", "with_checksum"],
    "modelfile": ["Model", "load_model", "save_model"],
    "optimizers": ["Muon"],
    "output": ["check_output", "paths_of", "read_record", "replacing"],
    "process": ["choose_platform", "interruptible", "torch_threads"],
    "protocol": ["Stage", "run_protocol"],
    "protocol_file": ["SystemConfig", "prepare", "read_protocol"],
    "structure": ["read_structures"],
    "train": ["DataConfig", "TrainConfig", "read_data", "train"],
    "train_config": ["TrainConfig", "read_labelled"],
    "units": ["EV_TO_KJ_PER_MOL", "KJ_PER_MOL_NM3_TO_BAR", "NM_TO_ANGSTROM"],
    "watchdogs": ["Watchdogs"],
}


@pytest.mark.parametrize("name", USED)
def test_names_that_were_used(name):
    if name in ("evaluate", "train", "train_config"):
        pytest.importorskip("lightning")
    module = import_module(f"{PACKAGE}.{name}")
    for attribute in USED[name]:
        assert getattr(module, attribute) is not None


@pytest.mark.parametrize("name", FORMER)
def test_each_name_stands_for_its_module(name):
    if name in ("dataset", "evaluate", "train", "train_config"):
        pytest.importorskip("lightning")
    former = import_module(f"{PACKAGE}.{name}")
    places = FORMER[name]
    if isinstance(places, str):
        assert former is import_module(f"{PACKAGE}.{places}")
        assert former.__spec__.name == former.__name__ == f"{PACKAGE}.{places}"
    else:
        for place in places:
            present = import_module(f"{PACKAGE}.{place}")
            for attribute in (n for n in vars(present) if not n.startswith("_")):
                assert hasattr(former, attribute)


def test_ways_to_import():
    from openmm_allegro.baseline import subtract_baseline

    from openmm_allegro import baseline

    present = import_module(f"{PACKAGE}.classical.baseline")
    assert openmm_allegro.baseline is baseline is present
    assert subtract_baseline is present.subtract_baseline
    resolved = pkgutil.resolve_name(f"{PACKAGE}.baseline:subtract_baseline")
    assert resolved is subtract_baseline
    assert importlib.util.find_spec(f"{PACKAGE}.baseline") is not None
    assert importlib.util.find_spec(f"{PACKAGE}.nonsense") is None
    with pytest.raises(ModuleNotFoundError, match=r"openmm_allegro\.nonsense"):
        import_module(f"{PACKAGE}.nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = openmm_allegro.nonsense
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        from openmm_allegro.dataset import nonsense  # noqa: F401


def test_pickles_and_types():
    from openmm_allegro.config import from_mapping
    from openmm_allegro.watchdogs import Watchdogs

    watchdogs = from_mapping(Watchdogs, {}, "x")
    present = "simulate.watchdogs.settings"
    assert type(watchdogs).__module__ == f"{PACKAGE}.{present}"
    content = pickle.dumps(watchdogs, protocol=0).decode()
    former = content.replace(f"{PACKAGE}.{present}", f"{PACKAGE}.watchdogs").encode()
    assert former.decode() != content
    for text in (content.encode(), former):
        assert isinstance(pickle.loads(text), openmm_allegro.Watchdogs)


def test_reload_and_repeat():
    former = import_module(f"{PACKAGE}.link_atoms")
    assert importlib.reload(former) is former
    before = list(sys.meta_path)
    keep_former_names()
    assert sys.meta_path == before


def test_modules_can_be_run():
    """``python -m`` has the command where it had it."""
    command = [sys.executable, "-m", f"{PACKAGE}.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, openmm_allegro.__version__)


def test_all_names_of_a_joined_module():
    names = {}
    exec("from openmm_allegro.dataset import *", names)
    for name in ("collate", "split"):
        assert names[name] is getattr(openmm_allegro.dataset, name)
        assert name in dir(openmm_allegro.dataset)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("analysis.rdf", "RadialDistribution"),
        ("analysis.transport", "Diffusion"),
        ("analysis.structure_factor", "StructureFactor"),
        ("analysis.velocities", "Spectrum"),
        ("watchdog_settings", "Watchdogs"),
        ("model.file", "Model"),
        ("modelfile", "Model"),
        ("lightning_module", "TrainingModule"),
        ("checkpoint", "read_checkpoint"),
    ],
)
def test_what_pickles_name(module, name):
    text = f"c{PACKAGE}.{module}\n{name}\n.".encode()
    assert pickle.loads(text).__name__ == name


@pytest.mark.parametrize(
    "name", ["rdf", "conductivity", "contacts", "speciation", "structure_factor"]
)
def test_functions_with_the_name_of_a_module_stay(name):
    import_module(f"{PACKAGE}.analysis.{name}")
    function = getattr(openmm_allegro.analysis, name)
    assert callable(function) and function.__name__ == name
