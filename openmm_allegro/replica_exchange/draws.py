# SPDX-License-Identifier: MIT
"""Random draws of openmmtools, from a seed. It imports openmmtools: import it late."""

import contextlib
from collections.abc import Iterator

import numba
import numpy as np
from openmmtools import mcmc

from .ranks import rank
from .seeds import draw
from .states import LAMBDA


class LangevinMove(mcmc.LangevinDynamicsMove):
    """Langevin move of openmmtools whose initial velocities are drawn from a seed.

    An exchange of temperatures is exact only if the velocities change with it. New
    velocities at each iteration do; openmmtools' own draw of them takes no seed.

    Parameters
    ----------
    seed : int
        Seed of integrator and velocities.
    **options
        Of ``openmmtools.mcmc.LangevinDynamicsMove``.
    """

    def __init__(self, seed: int = 1, **options):
        super().__init__(reassign_velocities=False, **options)
        self.seed = seed
        self.drawn = 0

    @property
    def statistics(self) -> dict[str, int]:
        """Number of draws of velocities; openmmtools shares it among MPI ranks."""
        return {"drawn": self.drawn}

    @statistics.setter
    def statistics(self, value: dict[str, int]) -> None:
        self.drawn = value["drawn"]

    def _get_integrator(self, thermodynamic_state):
        integrator = super()._get_integrator(thermodynamic_state)
        # The seed counts only when a Context is made. No two ranks may draw the same
        # noise, nor may a resumed run draw noise again.
        integrator.setRandomNumberSeed(draw(self.seed, self.drawn, rank()))
        return integrator

    def _before_integration(self, context, thermodynamic_state):
        self.drawn += 1
        kelvin = thermodynamic_state.temperature._value
        words = [self.seed, self.drawn, round(kelvin * 1e6)]
        if (value := getattr(thermodynamic_state, LAMBDA, None)) is not None:
            words.append(round(value * 1e9))
        context.setVelocitiesToTemperature(kelvin, draw(*words))

    def __getstate__(self):
        return super().__getstate__() | {"seed": self.seed, "drawn": self.drawn}

    def __setstate__(self, serialization):
        super().__setstate__(serialization)
        self.seed, self.drawn = serialization["seed"], serialization["drawn"]


@contextlib.contextmanager
def seeded(seed: int, iteration: int) -> Iterator[None]:
    """Seed the generators that exchanges use: NumPy's global one and numba's.

    NumPy's is restored afterwards; numba's is not, since its state cannot be read.
    """
    before = np.random.get_state()  # noqa: NPY002
    drawn = draw(seed, iteration)
    np.random.seed(drawn)  # noqa: NPY002
    _seed_numba(drawn)
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


@numba.njit
def _seed_numba(seed):
    np.random.seed(seed)  # noqa: NPY002
