# SPDX-License-Identifier: MIT
"""Packages that import what they export only when it is used."""

import importlib
import subprocess
import sys

import pytest

PACKAGES = {
    "classical": {
        "by_composition": "baseline",
        "evaluate_baseline": "baseline",
        "read_system": "serialized",
        "subtract_baseline": "baseline",
        "d3_force": "dispersion",
        "nonbonded_system": "nonbonded",
    },
    "mixing": dict.fromkeys(
        ("classical_end", "inside_region", "mixed_system", "outside_region"), "region"
    ),
    "interop.nequip": dict.fromkeys(("export_model", "import_model"), "convert"),
}


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_are_those_of_the_modules(package):
    module = importlib.import_module(f"openmm_allegro.{package}")
    assert sorted(module.__all__) == sorted(PACKAGES[package])
    assert set(PACKAGES[package]) <= set(dir(module))
    for name, origin in PACKAGES[package].items():
        origin = importlib.import_module(f"openmm_allegro.{package}.{origin}")
        assert getattr(module, name) is getattr(origin, name)
    with pytest.raises(AttributeError, match="has no attribute 'spam'"):
        module.spam  # noqa: B018


def test_openmm_is_found_beside_finders_of_an_older_kind():
    code = (
        "import sys, openmm_allegro\n"
        "sys.meta_path.insert(1, type('Old', (), {'find_module': lambda *_: None})())\n"
        "import openmm\n"
        "assert hasattr(openmm.XmlSerializer.deserializeSystem, '__wrapped__')\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_module_is_imported_when_a_name_of_it_is_used():
    code = (
        "import sys, openmm_allegro.classical as classical\n"
        "import openmm_allegro.interop.nequip\n"
        "dispersion = 'openmm_allegro.classical.dispersion'\n"
        "assert dispersion not in sys.modules\n"
        "assert 'openmm_allegro.interop.nequip.convert' not in sys.modules\n"
        "classical.d3_force\n"
        "assert dispersion in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["", "a.b", "utils.lazy", "1"])
def test_what_is_no_name_is_no_attribute(name):
    import openmm_allegro

    assert getattr(openmm_allegro, name, None) is None
