# SPDX-License-Identifier: MIT
"""The C headers are what Python, the twin and the compiled kernels share."""

import ctypes
import re
import shutil
import subprocess

import pytest
import torch
from helpers import FULL, tiny_config, tiny_energy

from openmm_allegro.kernels import header
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import (
    Code,
    Program,
    operation_row,
    pack,
    unpack,
)

TEXT = header.PATH.read_text(encoding="utf-8")
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (*header.PATHS, header.GPU_PATH)
}
STRUCTS = {"allegro.h": 17, "long_range.h": 2, "training.h": 2, "allegro_gpu.h": 9}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_declaration_has_a_sentence(text):
    """A field or function without ``///`` above it has no meaning that can be read."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        is_field = re.match(r"  (const )?\w+ \*?(\w+(\[\d+\])?;|\(\*\w+\))", line)
        is_other = re.match(
            r"(typedef|enum|#define ALLEGRO_(?!\w+_H$)|\w+ \*?allegro_\w+\()", line
        )
        if is_field or is_other:
            assert lines[number - 1].lstrip().startswith("///"), line


@pytest.mark.parametrize("name", TEXTS)
def test_python_finds_all_structs(name):
    text = TEXTS[name]
    structs = re.findall(r"typedef struct (\w+) \{", text)
    assert len(structs) == STRUCTS[name]
    for name in structs:
        body = text.partition(f"typedef struct {name} {{")[2].partition("}")[0]
        fields = [line for line in body.splitlines() if line.endswith(";")]
        assert len(header.structure(name)._fields_) == len(fields)


def test_python_finds_all_else_that_is_declared():
    listed = TEXT.count("\n  X(")
    names = ("ALLEGRO_INTEGERS", "ALLEGRO_CONSTANTS")
    assert sum(len(header.arrays(name)) for name in names) == listed
    assert len(header.enumeration("allegro_code")) == 8
    with pytest.raises(KeyError, match="declaration of allegro_none"):
        header.record("allegro_none")


def test_functions_of_a_struct_have_their_types():
    device = header.structure("allegro_gpu_device")
    kinds = {name: kind for name, kind, *_ in device._fields_}
    assert kinds["groups"] is ctypes.c_int64 and kinds["self"] is ctypes.c_void_p
    assert kinds["release"]._restype_ is None
    launch = kinds["launch"]
    arguments = ctypes.POINTER(header.structure("allegro_gpu_argument"))
    assert launch._restype_ is ctypes.c_int64
    assert launch._argtypes_[-2:] == (arguments, ctypes.c_int64)
    assert kinds["kernel"]._argtypes_[2] is ctypes.c_char_p
    assert header.enumeration("allegro_gpu_kind").BUFFER == 0


def test_every_operation_fits_into_a_row():
    for code in Code:
        assert 1 < header.length(f"allegro_{code.name.lower()}") <= 8


def test_structs_take_all_fields_and_no_others():
    with pytest.raises(TypeError, match="allegro_results: expected"):
        header.filled("allegro_results", energies=torch.zeros(1))
    sizes = {"x": torch.zeros(1), "forces": torch.zeros(1), "strain": torch.zeros(1)}
    with pytest.raises(TypeError, match="allegro_results: expected"):
        header.filled("allegro_results", **sizes)


def test_a_program_taken_apart_and_put_together_is_the_same():
    program = fold(tiny_energy(tiny_config(**FULL)), torch.float64)
    parts = unpack(program)
    for one, other in zip(pack(parts), program, strict=True):
        assert torch.equal(one, other)
    rows = torch.tensor([operation_row(op) for op in parts.operations()])
    assert torch.equal(rows.flatten(), parts.arrays["operation"])
    short = dict(parts.arrays, roots=parts.arrays["roots"][1:])
    with pytest.raises(ValueError, match=r"roots: expected \d+ numbers, found"):
        pack(parts._replace(arrays=short))
    assert isinstance(pack(parts), Program)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler")
def test_the_headers_are_plain_c(tmp_path):
    source = tmp_path / "header.c"
    source.write_text(f'#include "{header.GPU_PATH}"\n')  # which includes the other
    options = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run(["gcc", *options, "-fsyntax-only", source], check=True)
