# SPDX-License-Identifier: MIT
"""The kernels as sources for programs that compile them in."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from kernel_calls import small_system, sums
from kernel_helpers import load

from openmm_allegro.kernels import header
from openmm_allegro.kernels.builds import BUILDS, FLAGS, STANDALONE, STANDALONE_INCLUDED

NAMES = [source.stem.removeprefix("allegro") for source in STANDALONE]


def test_the_sources_have_the_instruction_sets_of_the_builds():
    """Said again in each source, so that it can be compiled without flags."""
    assert set(BUILDS) <= set(NAMES) == {"_avx512", "_avx2", "_generic"}
    for name, source in zip(NAMES, STANDALONE, strict=True):
        text = source.read_text(encoding="utf-8")
        assert f"#define ALLEGRO_NAME(name) name##{name}\n" in text
        if name not in BUILDS:
            continue
        defined = re.findall(r"#define (\w+) (\d+)\n", text)
        by_pragma = [f"-D{key}={value}" for key, value in defined]
        by_pragma += [f"-m{key}" for key in _targets("#pragma GCC target", text)]
        assert sorted(by_pragma) == sorted(BUILDS[name].flags)
        only_gcc = {"prefer-vector-width=512"}
        assert set(_targets("target", text.partition("#else")[0])) == set(
            _targets("#pragma GCC target", text)
        ).difference(only_gcc)


def test_all_functions_have_other_names():
    renamed = next(p for p in STANDALONE_INCLUDED if p.name == "renamed.h")
    pattern = r"#define (allegro_\w+) ALLEGRO_NAME\(\1\)\n"
    names = re.findall(pattern, renamed.read_text(encoding="utf-8"))
    text = "".join(path.read_text(encoding="utf-8") for path in header.PATHS)
    declared = re.findall(r"^\w.* \*?(allegro_\w+)\(", text, re.M)
    assert sorted(names) == sorted(declared)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flags", [FLAGS, ["-std=c++17", "-O2"]])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_compiled_in_they_give_the_same(tmp_path, compiler, flags, name):
    """To the last bit, if the compiler is that of the installed kernels."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = STANDALONE[NAMES.index(name)]
    library = tmp_path / "kernels.so"
    command = [compiler, *flags, "-fPIC", "-shared", source, "-o", library]
    subprocess.run(command, check=True)
    _check_shared_functions(library)
    expected, compiled_in = load(name), _Renamed(ctypes.CDLL(str(library)), name)
    for dtype in (torch.float64, torch.float32):
        system = small_system(dtype=dtype)
        pairs = zip(sums(compiled_in, system), sums(expected, system), strict=True)
        for value, reference in pairs:
            if compiler == "g++":
                assert np.array_equal(value, reference)
            np.testing.assert_allclose(value, reference, atol=1e-5, rtol=0)


class _Renamed:
    """Functions of a library by names without the suffix that they have."""

    def __init__(self, library, suffix):
        self._library, self._suffix = library, suffix
        header.declare(self)

    def __getattr__(self, name):
        return getattr(self._library, name + self._suffix)


def _targets(before, text):
    """Instruction sets in the parentheses after some text."""
    found = re.search(re.escape(before) + r"\(([^)]*)\)", text)
    quoted = re.findall(r'"(.*?)"', found[1]) if found else []
    return re.findall(r"[\w=-]+", ",".join(quoted))


def _check_shared_functions(library):
    """Check that no function which linkers share between sources needs AVX."""
    if shutil.which("objdump") is None:
        return
    names = subprocess.run(["nm", library], capture_output=True, text=True, check=True)
    weak = set(re.findall(r" [WVu] (\S+)", names.stdout))
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", library],
        capture_output=True,
        text=True,
        check=True,
    )
    for name, body in re.findall(r"^\w+ <(\S+)>:\n((?:.+\n)*)", code.stdout, re.M):
        assert name not in weak or not re.search(r"%[yz]mm|\tv[a-z]", body), name
