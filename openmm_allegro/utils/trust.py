# SPDX-License-Identifier: MIT
"""Declare the trust in files that may run code."""

from dataclasses import dataclass

from .settings import setting


@dataclass(frozen=True)
class Trust:
    """Trust of the user in files; no table of a file has it."""

    trust: bool = setting(
        False,
        about="Read files of Systems that can run code (with a PythonForce, for "
        "instance), as you would run the programs of whoever made them",
    )
