# SPDX-License-Identifier: MIT
"""Give a trained network elements that it does not know, or take some away.

Weights that belong to elements are rows: those of the element embeddings, or of the
splines of each pair. A new element begins with the rows of the known element that is
nearest in the periodic table. They have the size and the shape that the following
layers were trained with, which a mean of the rows of unlike elements does not have: its
entries cancel, and neither do random rows, whose first steps undo what was learnt.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..model import AllegroConfig
from ..topology.elements import ATOMIC_NUMBERS

# Atomic number of the last element of each period.
_PERIODS = (2, 10, 18, 36, 54, 86, 118)
_GROUPS = 18


def nearest_element(element: str, known: Sequence[str]) -> str:
    """The known element that is nearest in the periodic table.

    Steps between groups and steps between periods count the same; of several the one
    in the nearest group is taken, then the one of the nearest atomic number.
    Lanthanides and actinides belong to the third group.

    Parameters
    ----------
    element : str
    known : sequence of str
        At least one.

    Examples
    --------
    >>> [nearest_element(e, ("H", "O", "Na", "Cl")) for e in ("K", "Br", "C")]
    ['Na', 'Cl', 'O']
    """
    group, period = _place(element)

    def distance(other: str) -> tuple[int, int, int]:
        groups, periods = (
            abs(a - b) for a, b in zip(_place(other), (group, period), strict=True)
        )
        numbers = abs(ATOMIC_NUMBERS[other] - ATOMIC_NUMBERS[element])
        return groups + periods, groups, numbers

    return min(known, key=distance)


def models_of(elements: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """The known element that each element begins as: itself, or the nearest one."""
    return {e: e if e in known else nearest_element(e, known) for e in elements}


def extended_cutoffs(
    config: AllegroConfig, elements: Sequence[str]
) -> dict[str, float]:
    """Cutoffs (Å) of pairs of elements, of which some may be new.

    Those of a new element are those of the element that it begins as, because its rows
    belong to distances in units of the cutoff.
    """
    model_of = models_of(elements, config.elements)
    cutoffs = {}
    for center in elements:
        for neighbor in elements:
            pair = f"{model_of[center]}-{model_of[neighbor]}"
            if pair in config.pair_cutoffs:
                cutoffs[f"{center}-{neighbor}"] = config.pair_cutoffs[pair]
    return cutoffs


def extended_weights(
    weights: Mapping[str, Tensor], before: Sequence[str], after: Sequence[str]
) -> dict[str, Tensor]:
    """Weights of a network with other elements.

    Parameters
    ----------
    weights : mapping
        Of the network, by name.
    before, after : sequence of str
        Its elements, and those that the new one has. Rows of an element that is in both
        are the same numbers.
    """
    model_of = models_of(after, before)
    rows = torch.tensor([before.index(model_of[element]) for element in after])
    pairs = (rows[:, None] * len(before) + rows[None, :]).flatten()
    # by the names that ``weight_shapes`` gives
    chosen = {
        "embedding.center": rows,
        "embedding.neighbor": rows,
        "embedding.weight": pairs,
    }
    return {
        name: value[chosen[name]] if name in chosen else value
        for name, value in weights.items()
    } | {
        name: value[rows][:, rows]
        for name, value in weights.items()
        if name == "terms.core.strengths"
    }


def _place(element: str) -> tuple[int, int]:
    """Group, 1 to 18, and period, from 1."""
    number = ATOMIC_NUMBERS[element]
    period = next(i for i, last in enumerate(_PERIODS) if number <= last)
    last, first = _PERIODS[period], (0, *_PERIODS)[period] + 1
    from_start, from_end = number - first, last - number
    if period == 0:
        return (1 if from_start == 0 else _GROUPS), 1
    group = from_start + 1 if from_start < 2 else max(3, _GROUPS - from_end)
    return group, period + 1
