# SPDX-License-Identifier: MIT
"""A source is compiled once, and what is missing is said where it cannot be."""

import ctypes
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from openmm_allegro.utils.compiler import compiled_library

pytestmark = pytest.mark.small


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def answer(tmp_path):
    """A function that compiles a source that includes another file."""
    source, number = tmp_path / "answer.cpp", tmp_path / "number.h"
    source.write_text('#include "number.h"\nextern "C" int answer() { return NUMBER; }')
    number.write_text("#define NUMBER 42\n")

    def compiled(*flags):
        return compiled_library(
            "answer", source, flags, included=[number], needed_by="this test"
        )

    return compiled


def test_compiled_once(cache, answer):
    path = answer()
    made = path.stat().st_mtime_ns
    assert answer() == path and path.stat().st_mtime_ns == made
    assert [p.name for p in cache.iterdir()] == [path.name]
    assert ctypes.CDLL(str(path)).answer() == 42


def test_other_flags_or_sources_make_another_file(cache, answer, tmp_path):
    first, second = answer(), answer("-O1")
    (tmp_path / "number.h").write_text("#define NUMBER 43\n")
    assert len({first, second, answer()}) == 3
    assert ctypes.CDLL(str(answer())).answer() == 43


def test_variables_name_a_compiler_and_flags(cache, answer, monkeypatch):
    first = answer()
    compiler = shutil.which("g++") or shutil.which("c++")
    monkeypatch.setenv("CXX", f"{compiler} -O1")
    second = answer()
    monkeypatch.setenv("CXXFLAGS", "-DNUMBER_OF_ANOTHER='4 2'")
    third = answer()
    monkeypatch.setenv("CXXFLAGS", "-no-such-flag")
    with pytest.raises(ImportError, match="no-such-flag"):
        answer()
    assert len({first, second, third}) == 3


def test_several_compile_at_once(cache, answer):
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: answer(), range(3)))
    assert len(set(paths)) == 1
    assert list(cache.iterdir()) == paths[:1]
    assert ctypes.CDLL(str(paths[0])).answer() == 42


def test_a_folder_that_cannot_be_written_to(tmp_path, answer, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ImportError, match=r"into, found .*cache is none \(.*OPENMM_A"):
        answer()


def test_no_compiler(cache, answer, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ImportError, match=r"expects a C\+\+ compiler, found no CXX="):
        answer()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(ImportError, match=r"found no g\+\+ or clang\+\+; install"):
        answer()


def test_failing_compiler_is_quoted_and_leaves_nothing(cache, answer):
    with pytest.raises(ImportError, match="no-such-standard"):
        answer("-std=no-such-standard")
    assert list(cache.iterdir()) == []
