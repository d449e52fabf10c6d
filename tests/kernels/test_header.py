# SPDX-License-Identifier: MIT
"""The C header is what Python, the twin and the compiled kernels share."""

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


def test_every_declaration_has_a_sentence():
    """A field or function without ``///`` above it has no meaning that can be read."""
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        is_field = re.fullmatch(r"  (const )?\w+ \*?\w+(\[\d+\])?;", line)
        is_other = re.match(
            r"(typedef|enum|#define ALLEGRO|\w+ \*?allegro_\w+\()", line
        )
        if is_field or is_other:
            assert lines[number - 1].lstrip().startswith("///"), line


def test_python_finds_all_that_is_declared():
    structs = re.findall(r"typedef struct (\w+) \{", TEXT)
    assert len(structs) == 17
    for name in structs:
        body = TEXT.partition(f"typedef struct {name} {{")[2].partition("}")[0]
        fields = [line for line in body.splitlines() if line.endswith(";")]
        assert len(header.structure(name)._fields_) == len(fields)
    listed = TEXT.count("\n  X(")
    names = ("ALLEGRO_INTEGERS", "ALLEGRO_CONSTANTS")
    assert sum(len(header.arrays(name)) for name in names) == listed
    assert len(header.enumeration("allegro_code")) == 6
    with pytest.raises(KeyError, match="declaration of allegro_none"):
        header.record("allegro_none")


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
def test_the_header_is_plain_c(tmp_path):
    source = tmp_path / "header.c"
    source.write_text(f'#include "{header.PATH}"\n')
    options = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run(["gcc", *options, "-fsyntax-only", source], check=True)
