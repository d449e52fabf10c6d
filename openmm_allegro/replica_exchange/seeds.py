# SPDX-License-Identifier: MIT
"""Seeds that follow from the seed of a run."""

import numpy as np


def draw(*words: int) -> int:
    """Make a seed above 0; OpenMM replaces the seed 0 by a random one."""
    drawn = np.random.SeedSequence(words).generate_state(1)[0]
    return int(drawn % (2**31 - 1)) + 1
