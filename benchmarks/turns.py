# SPDX-License-Identifier: MIT
"""Times of jobs that take turns: what else a computer does meets all of them."""

import time
from collections.abc import Callable

import numpy as np


def in_turn(jobs: dict[str, Callable], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of processor [rounds] of each job, which are done in turn."""
    times = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name in list(jobs) if number % 2 else list(jobs)[::-1]:
            start = time.process_time()
            jobs[name]()
            if number:
                times[name].append(time.process_time() - start)
    return {name: np.array(values) for name, values in times.items()}
