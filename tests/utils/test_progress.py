# SPDX-License-Identifier: MIT
"""Jobs that take long say so, and short ones do not."""

import logging
import time

import pytest

from openmm_allegro.utils import progress

pytestmark = pytest.mark.small
log = logging.getLogger("openmm_allegro.test")


def test_long_jobs_are_told_and_short_ones_are_not(caplog, monkeypatch):
    with caplog.at_level(logging.INFO, "openmm_allegro.test"):
        with progress.log_if_long(log, "measuring nothing"):
            pass
        assert not caplog.messages
        monkeypatch.setattr(progress, "FIRST", 0.02)
        monkeypatch.setattr(progress, "NEXT", 0.02)
        with progress.log_if_long(log, "measuring rdf"):
            deadline = time.monotonic() + 20
            while len(caplog.messages) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
    assert caplog.messages[0] == "measuring rdf"
    assert "since" in caplog.messages[1]


def test_errors_pass_and_nothing_is_told_afterwards(caplog, monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0.02)
    with caplog.at_level(logging.INFO, "openmm_allegro.test"):
        with pytest.raises(ValueError), progress.log_if_long(log, "measuring"):
            raise ValueError
        number = len(caplog.messages)
        time.sleep(0.06)
    assert len(caplog.messages) == number


def test_the_innermost_job_is_told_and_lines_are_no_silence(caplog, monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0.2)
    monkeypatch.setattr(progress, "NEXT", 60.0)
    progress.note_lines()  # caplog's handlers are among those of the root
    with (
        caplog.at_level(logging.INFO, "openmm_allegro.test"),
        progress.log_if_long(log, "outer"),
    ):
        for _ in range(6):
            time.sleep(0.05)
            log.info("a line")
        with progress.log_if_long(log, "inner"):
            deadline = time.monotonic() + 20
            while "inner" not in caplog.messages and time.monotonic() < deadline:
                time.sleep(0.01)
    assert caplog.messages == [*["a line"] * 6, "inner"]


def test_a_job_says_what_it_is_at(caplog, monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "FIRST", 0.02)
    monkeypatch.setattr(progress, "NEXT", 0.02)
    slow = "import time\nuntil = time.monotonic() + 10\n"
    slow += "while time.monotonic() < until and not done(): time.sleep(0.01)\n"
    (tmp_path / "slow_to_load.py").write_text(f"from builtins import done\n{slow}")
    monkeypatch.syspath_prepend(tmp_path)

    def wait(text):
        deadline = time.monotonic() + 10
        while not said(text) and time.monotonic() < deadline:
            time.sleep(0.01)

    def said(text):
        return any(message.startswith(text) for message in caplog.messages)

    monkeypatch.setattr(
        "builtins.done", lambda: said("at work: loading"), raising=False
    )
    with (
        caplog.at_level(logging.INFO, "openmm_allegro.test"),
        progress.log_if_long(log, "at work"),
    ):
        import slow_to_load  # noqa: F401

        progress.name_stage("reading frames")
        wait("at work: reading frames")
        with progress.log_if_long(log, "measuring"):
            pass
        wait("at work: after measuring")
    stages = "loading slow_to_load", "reading frames", "after measuring"
    assert all(said(f"at work: {stage}") for stage in stages)
