# SPDX-License-Identifier: MIT
"""Settings of free energies along λ, declared once."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..replica_exchange.settings import ExchangeSettings
from ..simulate.settings import RunSettings
from ..utils.settings import check_settings, documented, setting, setting_of

DIRECTIONS = {
    "both": ("forward", "reverse"),
    "forward": ("forward",),
    "reverse": ("reverse",),
}


@dataclass(frozen=True)
class _States:
    """First fields of an exchange of λ."""

    lambdas: tuple[float, ...] = setting(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        about="Values of lambda_interpolate, ascending, from 0 (the force field) to 1 "
        "(the model)",
        minimum=0.0,
        maximum=1.0,
        example="0,0.5,1",
    )
    temperature_k: float = setting(
        300.0,
        about="Temperature of all states",
        unit="K",
        above=0.0,
        maximum=1e6,
        option="temperature",
    )


@documented
@dataclass(frozen=True)
class LambdaSettings(ExchangeSettings, _States):
    """Settings of ``lambda_exchange``; the table ``[exchange]``.

    Raises
    ------
    ValueError
        If a value is of another type or out of range, or the values of λ do not ascend
        from 0 to 1.
    """

    method: ClassVar[str] = "lambda-exchange"

    def __post_init__(self) -> None:
        super().__post_init__()
        values = self.lambdas
        ascend = len(values) > 1 and (np.diff(values) > 0).all()
        if not ascend or values[0] != 0.0 or values[-1] != 1.0:
            raise ValueError(
                "expected lambdas that ascend from 0 to 1, found "
                f"{', '.join(f'{value:g}' for value in values) or 'none'}"
            )


@documented
@dataclass(frozen=True)
class SwitchingSettings:
    """Settings of ``switch_states``; the table ``[switching]``.

    Raises
    ------
    ValueError
        If a value is of another type or out of range.
    """

    directions: str = setting(
        "both",
        about="Switches from the force field to the model (forward), back (reverse), "
        "or both, without which the result is biased",
        choices=tuple(DIRECTIONS),
    )
    switches: int = setting(
        100,
        about="Switches of each direction, those before a resumption included",
        minimum=2,
        may_change=True,
    )
    switch_steps: int = setting(
        2000,
        about="Steps of a switch, over which λ changes at a constant rate; 0 for an "
        "instant one",
        minimum=0,
    )
    change_interval: int = setting(
        10,
        about="Steps between changes of λ, each of which costs two energies of what "
        "depends on it",
        minimum=1,
    )
    interval: int = setting(
        500,
        about="Steps of equilibrium between two switches",
        minimum=1,
    )
    equilibration: int = setting(
        5000,
        about="Steps at each end before the first switch, in whole intervals",
        minimum=0,
    )
    temperature_k: float = setting_of(_States, "temperature_k", about="Temperature")
    timestep_fs: float = setting_of(RunSettings, "timestep_fs")
    friction_per_ps: float = setting_of(RunSettings, "friction_per_ps")
    pressure_bar: float | None = setting_of(ExchangeSettings, "pressure_bar")
    minimize: bool = setting_of(RunSettings, "minimize")

    def __post_init__(self) -> None:
        check_settings(self, bits=31)

    @property
    def ensemble(self) -> str:
        """Name of the ensemble, as ``RunSettings`` has it."""
        return "nvt" if self.pressure_bar is None else "npt"

    @property
    def changes(self) -> int:
        """Number of changes of λ in a switch; steps are between them."""
        return self.switch_steps // self.change_interval + 1

    @property
    def first_start(self) -> int:
        """Step of equilibrium that the first switch starts from."""
        return max(1, -(-self.equilibration // self.interval)) * self.interval

    @property
    def steps(self) -> int:
        """Steps of equilibrium at each end."""
        return self.first_start + (self.switches - 1) * self.interval

    def record(self) -> dict[str, Any]:
        """Collect the values as a run's record has them."""
        values = dataclasses.asdict(self)
        del values["minimize"]
        values |= {"ensemble": self.ensemble, "steps": self.steps}
        return {name: value for name, value in values.items() if value is not None}
