# SPDX-License-Identifier: MIT
"""What a newcomer sees: first steps, what was meant, what to type next."""

import importlib
import logging
import time

import pytest

from openmm_allegro.cli.main import VERBS, main
from openmm_allegro.utils.config import from_mapping, read_tables
from openmm_allegro.utils.suggest import did_you_mean

pytestmark = pytest.mark.small


def test_without_arguments_it_says_what_to_try(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    tried = [line.split()[1] for line in text.splitlines() if line.startswith("  o")]
    assert len(tried) >= 4 and set(tried) <= set(VERBS)


@pytest.mark.parametrize(
    "arguments, meant",
    [
        (["simulat", "x"], "simulate"),
        (["analyze", "rfd", "x"], "rdf"),
        (["analyze", "rdf", "x", "--r-maxx", "1"], "--r-max"),
        (["simulate", "m", "x.pdb", "--output", "o", "--ensemble", "nvp"], "nvt"),
        (
            ["simulate", "m", "x.pdb", "--output", "o", "--temprature", "1"],
            "--temperat",
        ),
    ],
)
def test_errors_name_what_was_meant(arguments, meant, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert f"did you mean {meant}" in capsys.readouterr().err


def test_a_word_unlike_all_others_has_no_suggestion(capsys):
    with pytest.raises(SystemExit):
        main(["zzz"])
    assert "did you mean" not in capsys.readouterr().err
    assert did_you_mean(["zzz", 3], ["rdf"]) == ""


def test_keys_and_tables_of_a_toml(tmp_path):
    from openmm_allegro.simulate.settings import Stage

    with pytest.raises(ValueError, match="did you mean temperature_k"):
        from_mapping(Stage, {"name": "a", "temperature": 300}, "stage")
    with pytest.raises(ValueError, match="did you mean nvt"):
        from_mapping(Stage, {"name": "a", "ensemble": "nvtt"}, "stage")
    path = tmp_path / "a.toml"
    path.write_text("[stage]\nname = 'a'\n")
    with pytest.raises(ValueError, match="did you mean stages"):
        read_tables(path, ("system", "stages"))


def test_a_silent_verb_says_what_it_does(monkeypatch, caplog):
    command = importlib.import_module("openmm_allegro.cli.main")
    progress = importlib.import_module("openmm_allegro.utils.progress")
    functions = command._functions_of

    def wait(options):
        for _ in range(400):
            if any("loading libraries" in text for text in caplog.messages):
                break
            time.sleep(0.05)

    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(
        command, "_functions_of", lambda verb: (functions(verb)[0], wait)
    )
    with caplog.at_level(logging.INFO):
        assert main(["info", "m"]) == 0
    assert "info: loading libraries and reading its input" in caplog.messages


@pytest.mark.parametrize(
    ("stopped", "status"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)]
)
def test_an_interrupted_job_that_can_be_continued_says_so(
    monkeypatch, tmp_path, capsys, stopped, status
):
    """By Ctrl-C or by SIGTERM, which a cluster sends; if there is something yet."""
    writes = []

    def stop(options):
        for path in writes:
            path.write_text("a line")
        raise stopped

    command = importlib.import_module("openmm_allegro.cli.main")
    functions = command._functions_of
    monkeypatch.setattr(
        command, "_functions_of", lambda verb: (functions(verb)[0], stop)
    )
    job = ["simulate", "m", "x.pdb", "--output", str(tmp_path / "o")]
    assert main(job) == status
    assert "before anything was written" in capsys.readouterr().err
    writes.append(tmp_path / "o.csv")
    assert main(job) == status
    assert "--resume continues" in capsys.readouterr().err
    assert main(["info", "m"]) == status
    assert "--resume" not in capsys.readouterr().err
