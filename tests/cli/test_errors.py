# SPDX-License-Identifier: MIT
"""Whatever goes wrong, the command says it in one line."""

import os
import subprocess
import sys
import warnings

import openmm
import pytest
import torch

from openmm_allegro.cli import info
from openmm_allegro.cli.main import _warnings_in_one_line, main

COMMAND = [sys.executable, "-m", "openmm_allegro.cli"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OverflowError("int too large"), "OverflowError: int too large"),
        (TypeError("no\n\n  number"), "TypeError: no number"),
        (KeyError("x"), "KeyError: 'x'"),
        (IndexError(), "IndexError: no message"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (AssertionError(), "AssertionError: no message"),
        (ValueError(), "ValueError: no message"),
        (MemoryError(), "enough memory"),
        (RecursionError("maximum"), "nested less deeply"),
        (openmm.OpenMMException("Particle\ncoordinate"), "Particle coordinate"),
        (torch.OutOfMemoryError("CUDA\nException raised from x"), "error: CUDA\n"),
        (PermissionError(13, "Permission denied", "x"), "Permission denied: 'x'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "can't decode byte 0xff"),
        (ModuleNotFoundError("no mdtraj", name="mdtraj"), "openmm-allegro[analysis]"),
        (ExceptionGroup("several", [ValueError("a")]), "several"),
    ],
)
def test_errors_are_one_line(error, words, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr(info, "info", fail)
    assert main(["info", "x"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("openmm-allegro: error: ") and words in message
    assert message.count("\n") == 1
    for arguments in (["--debug", "info", "x"], ["info", "x", "--debug"]):
        assert main(arguments) == 2
        message = capsys.readouterr().err
        assert "Traceback" in message and words.strip() in message.replace("\n", " ")


def test_ctrl_c(monkeypatch, capsys):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "info", interrupt)
    assert main(["info", "x"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_that_has_enough():
    """As ``head`` does; help is longer than what a closed pipe takes."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_names_that_are_no_text(tmp_path):
    done = subprocess.run(
        [*COMMAND, "info", os.fsencode(tmp_path) + b"/\xff\n\xe9"],
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert r"\udcff" in done.stderr


@pytest.mark.parametrize("debug", [False, True])
def test_a_warning_is_one_line_as_an_error_is(debug):
    """With --debug the place in the code follows."""
    before = warnings.formatwarning
    with _warnings_in_one_line(debug):
        text = warnings.formatwarning("a\n b", UserWarning, __file__, 1)
    assert warnings.formatwarning is before
    assert text.startswith("openmm-allegro: warning: a b\n")
    assert (text.count("\n") == 1) != debug and (__file__ in text) == debug
