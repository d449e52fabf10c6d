# SPDX-License-Identifier: MIT
"""The JSON that verbs write at their end, held to its one shape."""

import json
import shlex
from pathlib import Path

from openmm_allegro import __version__
from openmm_allegro.cli.main import VERBS, main

KEYS = ["verb", "package_version", "options", "results", "units", "warnings"]


def outcome_of(path, *arguments):
    """Run a verb, which succeeds, with ``--json`` at a path, and read what it wrote."""
    words = [str(word) for word in arguments]
    assert main([*words, "--json", str(path)]) == 0
    outcome = json.loads(Path(path).read_text(encoding="utf-8"))
    assert list(outcome) == [*KEYS, "files", "next"]
    assert outcome["verb"] == words[0] and outcome["package_version"] == __version__
    assert set(map(str, outcome["options"].values())) - {"True"} or len(words) == 1
    assert all(Path(file).is_file() for file in outcome["files"])
    for line in outcome["next"]:
        program, verb, *_ = shlex.split(line)
        assert program != "openmm-allegro" or verb in VERBS
    Path(path).unlink()
    return outcome
