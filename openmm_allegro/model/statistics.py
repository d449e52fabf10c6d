# SPDX-License-Identifier: MIT
"""Numbers of the training data that belong to a model; read without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..utils.settings import check_settings, documented, setting


@documented
@dataclass(frozen=True)
class Statistics:
    """Numbers that the model takes from its training data, one for each element.

    Raises
    ------
    ValueError
        If one is out of bounds.
    """

    mean_neighbors: tuple[float, ...] = setting(
        about="Mean number of neighbours of a centre of that element", maximum=10_000
    )
    scales: tuple[float, ...] = setting(
        about="Energy scale", unit="eV", minimum=-1e6, maximum=1e6
    )
    shifts: tuple[float, ...] = setting(
        about="Energy of an atom with no neighbours",
        unit="eV",
        minimum=-1e8,
        maximum=1e8,
    )

    def __post_init__(self) -> None:
        check_settings(self, "statistics")
        if not all(n > 0 for n in self.mean_neighbors):
            raise ValueError(
                "statistics: expected mean_neighbors above 0 for each element, "
                f"found {self.mean_neighbors}"
            )

    def check_elements(self, elements: Sequence[str]) -> None:
        """Refuse elements of which there is another number.

        Raises
        ------
        ValueError
        """
        for name in ("mean_neighbors", "scales", "shifts"):
            count = len(getattr(self, name))
            if count != len(elements):
                raise ValueError(
                    f"statistics: expected {len(elements)} {name}, one for "
                    f"each of {elements}, found {count}"
                )
