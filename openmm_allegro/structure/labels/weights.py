# SPDX-License-Identifier: MIT
"""Read the weights that a file gives a frame."""

from typing import TYPE_CHECKING

import numpy as np

from .names import KINDS, kind_of_sigma, kind_of_weight
from .values import as_number

if TYPE_CHECKING:
    import ase

Weights = tuple[float, float, float]  # of energy, forces and stress in the loss

PLAIN: Weights = (1.0, 1.0, 1.0)
_WAY_OUT = "use_weights = false leaves weights out"


def read_weights(atoms: "ase.Atoms", where: str) -> tuple[Weights, tuple[str, ...]]:
    """Weights of energy, forces and stress, and the keys that they are from.

    Raises
    ------
    ValueError
        If a weight is no number of at least 0, two differ that mean the same, or there
        are weights of single atoms or deviations in their place.
    """
    for name in atoms.arrays:
        if kind_of_weight(name):
            raise ValueError(
                f"{where}: expected weights of frames in the comment line, found a "
                f"column {name} of weights of atoms, which are not known; {_WAY_OUT}"
            )
    info = [name for name in atoms.info if isinstance(name, str)]
    for name in (*info, *atoms.arrays):
        if kind_of_sigma(name) in KINDS:
            raise ValueError(
                f"{where}: expected weights such as config_energy_weight, found {name} "
                f"of GAP, a deviation; {_WAY_OUT}"
            )
    names = [name for name in info if kind_of_weight(name)]
    if not names:
        return PLAIN, ()
    values: dict[str, float] = {}
    origins: dict[str, str] = {}
    for name in names:
        value = as_number(atoms.info[name], f"{where}: {name}", 0)
        if not 0 <= value < np.inf:
            raise ValueError(
                f"{where}: expected {name} of at least 0, found {atoms.info[name]}; "
                f"{_WAY_OUT}"
            )
        kind = kind_of_weight(name).replace("virial", "stress")
        if values.setdefault(kind, value) != value:
            raise ValueError(
                f"{where}: expected one weight, found {origins[kind]} = "
                f"{values[kind]:g} and {name} = {value:g}; {_WAY_OUT}"
            )
        origins.setdefault(kind, name)
    frame = values.get("frame", 1.0)
    energy, forces, stress = (
        frame * values.get(kind, 1.0) for kind in ("energy", "forces", "stress")
    )
    return (energy, forces, stress), tuple(names)
