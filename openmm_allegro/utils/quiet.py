# SPDX-License-Identifier: MIT
"""Other packages without the remarks that they make to everybody each time."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class _Remarks(NamedTuple):
    """Remarks of a package that are of no use to a user of this one."""

    messages: Mapping[str, str] = {}  # from a logger's name to a regular expression
    loggers: tuple[str, ...] = ()  # of which only warnings and errors get through
    # Regular expressions of the message and of the module that is warned.
    warnings: tuple[tuple[str, str], ...] = ()


_REMARKS = {
    "freud": _Remarks(loggers=("freud",)),  # whose Fourier transforms it uses
    "lightning": _Remarks(
        loggers=("lightning.pytorch", "lightning.fabric"),
        # on choices that are made here, not by the user
        warnings=tuple(
            (message, "")
            for message in (
                "GPU available but not used",
                ".*does not have many workers",
                "Checkpoint directory .* exists and is not empty",
                "The dirpath has changed from",
                "Be aware that when using `ckpt_path`, callbacks",
                r".*isinstance\(treespec, LeafSpec\)",
            )
        ),
    ),
    # counts its threads when PyTables imports it
    "numexpr": _Remarks(loggers=("numexpr.utils",)),
    # 1.5 imports simtk.openmm, which tells the root logger that it is old.
    "openmmtorch": _Remarks(messages={"": "simtk.openmm"}),
    "openmmtools": _Remarks(
        messages={
            "openmmtools.multistate.multistatesampler": "API is experimental",
            "openmmtools.multistate.multistatereporter": "API is experimental",
        },
        loggers=("openmmtools",),  # lines about each iteration
        warnings=(("", r"openmmtools\b"),),  # a NaN ends the run with our error
    ),
    "pymbar": _Remarks(
        messages={
            "pymbar.mbar_solvers": "JAX|trying next method",
            "pymbar.timeseries": "use of the timeseries module",
        },
        loggers=("pymbar",),  # how equations were solved
        warnings=(("", r"(pymbar|numba|mdtraj)\b"),),
    ),
}


@contextlib.contextmanager
def quiet(*packages: str) -> Iterator[None]:
    """Leave out remarks of packages; all else that they log or warn of gets through.

    Loggers and filters of warnings are as before afterwards.

    Parameters
    ----------
    *packages : str
        "freud", "lightning", "numexpr", "openmmtools", "openmmtorch" or "pymbar".
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        for remarks in (_REMARKS[package] for package in packages):
            for logger, text in remarks.messages.items():
                stack.enter_context(_without_message(logger, text))
            for logger in remarks.loggers:
                stack.enter_context(_warnings_only(logger))
            for message, module in remarks.warnings:
                warnings.filterwarnings("ignore", message, module=module)
        yield


@contextlib.contextmanager
def _without_message(name: str, text: str) -> Iterator[None]:
    def accept(record: logging.LogRecord) -> bool:
        return not re.search(text, str(record.msg))

    logger = logging.getLogger(name)
    logger.addFilter(accept)
    try:
        yield
    finally:
        logger.removeFilter(accept)


@contextlib.contextmanager
def _warnings_only(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
