# SPDX-License-Identifier: MIT
"""Remarks that are of no use are left out; the rest is not."""

import importlib.util
import logging
import subprocess
import sys
import warnings

import pytest

from openmm_allegro.utils.quiet import quiet


def test_messages(caplog):
    logger = logging.getLogger("pymbar.timeseries")
    with quiet("pymbar"):
        logger.warning("Warning on use of the timeseries module: If ...")
        logger.warning("a frame is missing")
    logger.warning("Warning on use of the timeseries module, again")
    assert caplog.messages == [
        "a frame is missing",
        "Warning on use of the timeseries module, again",
    ]
    assert not logger.filters


def test_levels(caplog):
    parent, child = (logging.getLogger(f"lightning.pytorch{x}") for x in ("", ".x"))
    level = parent.level
    with caplog.at_level(logging.INFO), quiet("lightning"):
        for logger in (parent, child):
            logger.info("GPU available: False")
            logger.warning("loss is not finite")
    assert caplog.messages == ["loss is not finite"] * 2
    assert parent.level == level


def test_warnings():
    with quiet("lightning"):
        warnings.warn("The dirpath has changed from 'a' to 'b'", stacklevel=1)
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.warns(UserWarning, match="dirpath"):
        warnings.warn("The dirpath has changed from 'a' to 'b'", stacklevel=1)


def test_all_is_as_before_after_an_error():
    root, level = logging.getLogger(), logging.getLogger("freud").level
    with pytest.raises(ZeroDivisionError), quiet("openmmtorch", "freud"):
        1 / 0  # noqa: B018
    assert not root.filters
    assert logging.getLogger("freud").level == level


IMPORTS = {
    "pymbar": "simulate.integrators._import('pymbar.timeseries')",
    "openmmtools": "simulate.integrators._import('openmmtools.integrators')",
    "openmmtorch": "forces.register_torch_force()",
}


def test_imports_say_nothing():
    program = "import logging, numpy; logging.basicConfig()\n"
    for package, call in IMPORTS.items():
        if importlib.util.find_spec(package):
            program += f"import openmm_allegro; openmm_allegro.{call}\n"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
