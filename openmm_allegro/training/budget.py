# SPDX-License-Identifier: MIT
"""Time that a training may take."""

import math
from dataclasses import dataclass

from ..utils.settings import check_settings, setting
from ..utils.words import counted, digits

# Frames of which energies and latents are computed after a training: as many as there
# are, if their time is small beside its own.
FEWEST_AFTER, MOST_AFTER = 50, 2000
_AFTER = 0.4  # of the frames that steps were made of


def frames_after(trained: int) -> int:
    """Most frames of a set that are computed after steps of so many frames in all."""
    return int(min(max(_AFTER * trained, FEWEST_AFTER), MOST_AFTER))


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


def steps_words(planned: int, expected: int, seconds: float, hours: float) -> str:
    """Say how many steps fit hours; beside other work they are fewer than planned.

    Parameters
    ----------
    planned, expected : int
        As fast as the machine can make them, and as fast as they were measured.
    seconds : float
        Of a step as measured.
    hours : float
    """
    if expected >= 0.8 * planned:
        return f"{counted(planned, 'step')} in {digits(hours)} h"
    return (
        f"about {counted(expected, 'step')} in {digits(hours)} h, {digits(seconds)} s "
        f"each beside what else the machine does ({planned:,} if it did nothing else)"
    )


def few_steps_words(
    hours: float, steps: int, seconds: float, spent: float, *, few: int, needed: float
) -> str:
    """Say that there is time for few steps, and which hours are enough.

    Parameters
    ----------
    hours : float
    steps : int
        Expected.
    seconds, spent : float
        Of a step, and those of the hours that are gone.
    few : int
        Steps that it takes.
    needed : float
        Seconds for so many, and all else.
    """
    text = f"--hours {digits(hours)} leaves time for about {counted(steps, 'step')}"
    text += f" of {digits(seconds)} s"
    whole = 3600 * hours
    if spent > 0.2 * whole:
        text += f", as what comes before them took {spent:.0f} of its {whole:.0f} s"
    unit = 10.0 ** math.floor(math.log10(needed / 3600))
    enough = math.ceil(needed / 3600 / unit) * unit
    return (
        f"{text}: too few to learn forces from; give at least --hours {enough:.3g}, "
        f"for {few:,} steps"
    )
