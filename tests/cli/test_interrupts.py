# SPDX-License-Identifier: MIT
"""Ctrl-C ends the command with 130 and one line, from its first import on."""

import importlib
import subprocess
import sys

import pytest

COMMAND = importlib.import_module("openmm_allegro.cli.main")
NOTHING = "openmm-allegro: interrupted before anything was written\n"
EARLY = """
import sys
class Interrupt:
    def find_spec(self, name, *more):
        if name == "openmm_allegro.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
import openmm_allegro.cli
"""

pytestmark = pytest.mark.small


def test_while_it_is_imported():
    ended = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (130, NOTHING)


@pytest.mark.parametrize("writes", [False, True])
def test_only_what_was_written_stays(writes, tmp_path, monkeypatch, capsys):
    (tmp_path / "x-other").mkdir()

    def interrupted(run_verb, options):
        if writes:
            (tmp_path / "x.csv").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMAND, "_run", interrupted)
    options = ["--output", str(tmp_path / "x")]
    assert COMMAND.main(["simulate", "m.safetensors", "b.pdb", *options]) == 130
    text = capsys.readouterr().err
    assert ("what was written stays; the same command" in text) == writes
    assert (NOTHING in text) != writes
