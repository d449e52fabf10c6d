# SPDX-License-Identifier: MIT
"""Time that a training may take."""

from dataclasses import dataclass

from ..utils.settings import check_settings, setting


@dataclass(frozen=True)
class Budget:
    """Time for a training, from reading the data to the last test.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    hours: float = setting(
        1.0,
        about="Hours that the whole training may take",
        metavar="HOURS",
        above=0,
        maximum=1e5,
    )

    def __post_init__(self) -> None:
        check_settings(self)
