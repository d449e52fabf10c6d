# SPDX-License-Identifier: MIT
"""A source is compiled once, and what is missing is said where it cannot be."""

import ctypes
import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from openmm_allegro.utils.compiler import (
    Unit,
    compile_library,
    compiled_library,
    find_compiler,
)

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
    monkeypatch.setenv("CXX", "g++ -DNAME='a")
    with pytest.raises(ImportError, match="words as of a shell in the variable CXX"):
        answer()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(ImportError, match=r"found no g\+\+ or clang\+\+; install"):
        answer()


def test_failing_compiler_is_quoted_and_leaves_nothing(cache, answer):
    with pytest.raises(ImportError, match="no-such-standard"):
        answer("-std=no-such-standard")
    assert list(cache.iterdir()) == []


def test_units_have_flags_of_their_own(tmp_path):
    source = tmp_path / "unit.cpp"
    source.write_text('extern "C" int NAME() { return SHARED + NUMBER; }')
    units = [Unit(source, [f"-DNAME=f{n}", f"-DNUMBER={n}"]) for n in (1, 2)]
    path = tmp_path / "library.so"
    compile_library(path, units, ["-DSHARED=40"], find_compiler("this test"), "it")
    library = ctypes.CDLL(str(path))
    assert (library.f1(), library.f2()) == (41, 42)
    assert sorted(tmp_path.iterdir()) == [path, source]


@pytest.mark.parametrize("status", [0, 1])
def test_one_process_compiles_and_others_do_as_it_did(tmp_path, monkeypatch, status):
    """Eight ask at the same time; one that asks later tries anew."""
    log, go, waiting = tmp_path / "log", tmp_path / "go", []
    script = tmp_path / "slow"
    script.write_text(
        f"#!/bin/sh\necho >> {log}\nwhile [ ! -e {go} ]; do sleep 0.05; done\n"
        'while [ "$1" != -o ]; do shift; done\n'
        f"echo made > $2\nexit {status}\n"
    )
    script.chmod(0o755)
    path = tmp_path / "library.so"

    def flock(descriptor, operation, lock=fcntl.flock):
        if operation == fcntl.LOCK_EX:
            waiting.append(descriptor)
            if len(waiting) == 7:
                go.touch()
        lock(descriptor, operation)

    def ask(_=None):
        try:
            compile_library(path, [Unit(path)], [], [str(script)], "this test")
        except ImportError as error:
            return str(error)
        return path.read_text()

    monkeypatch.setattr(fcntl, "flock", flock)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len(log.read_text()) == (1 if status else 2)  # the second one links
    if status == 0:
        assert answers == ["made\n"] * 8
        return
    assert sum("expects that another process compiles it" in a for a in answers) == 7
    assert "expects that its source compiles" in ask()
