# SPDX-License-Identifier: MIT
"""A network with all that its use needs; torch is loaded where the network itself is.

Of a model that was read from a file the weights are arrays at first, and programs of
the compiled kernel are with them: a simulation needs no more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..utils.extras import remedy
from .config import AllegroConfig, recorded
from .probe import check_network
from .statistics import Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from .energy import AllegroEnergy

# Begin the names of weights that further terms have, and charges of elements.
TERMS, CHARGES = "terms.", "charges."


class Origin(NamedTuple):
    """File that a model was read from, with the hashes of that moment."""

    path: str
    sha256: str  # of the file
    digest: str  # ``digest`` of the model


class FoldedPrograms(NamedTuple):
    """Programs of the compiled kernel that a model was folded to."""

    format: int  # ALLEGRO_FORMAT of them
    digest: str  # ``digest`` of the model that was folded
    # integers, constants and weights by "single" and "double", see kernels.inference
    arrays: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


class Stored(NamedTuple):
    """Contents of a model file beside its header."""

    weights: Mapping[str, np.ndarray]
    programs: FoldedPrograms | None = None


@dataclass
class Model:
    """A network with all that its use needs, and how it was made.

    Parameters
    ----------
    config : AllegroConfig
    statistics : Statistics
    energy : AllegroEnergy, optional
        The network in torch; positions in Å, energies in eV. If there is none it is
        built of ``stored`` in float64, which imports torch, when it is first used.
    kind : str
        "total" for the whole energy, "delta" for a correction to a classical force
        field.
    dtype : str
        "float32" or "float64", the precision of the stored weights.
    provenance : dict
        How the model was made; JSON values only.
    origin : Origin, optional
        The file that it was read from.
    stored : Stored, optional
        Weights of the file, needed without ``energy``, and programs.

    Raises
    ------
    ValueError
        If there are no weights.
    """

    config: AllegroConfig
    statistics: Statistics
    # Until it is built the attribute is absent, so that __getattr__ is asked for it.
    energy: AllegroEnergy = field(default_factory=lambda: None, repr=False)  # type: ignore
    kind: str = "total"
    dtype: str = "float32"
    provenance: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False, repr=False)
    stored: Stored | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.energy is None:
            if self.stored is None:
                raise ValueError("model: expected energy or stored weights, found none")
            del self.energy

    def __getattr__(self, name: str) -> Any:
        if name != "energy" or "stored" not in vars(self):
            raise AttributeError(f"Model has no attribute {name!r}")
        energy = _build(self)
        if self.origin is not None:  # anybody may have made the file
            check_network(energy, self.config, self.dtype)
        self.energy = energy
        return energy

    @property
    def is_built(self) -> bool:
        """True if ``energy`` is there; its weights may differ from those ``stored``."""
        return "energy" in vars(self)

    @property
    def num_weights(self) -> int:
        """Number of weights that training fits."""
        return sum(array.size for array in weights(self).values())


def weights(model: Model) -> dict[str, np.ndarray]:
    """List what training fits, by name: weights of the network, of terms and charges.

    Returns
    -------
    dict of str to ndarray
        In ``model.dtype``.
    """
    if not model.is_built:
        stored = model.stored.weights.items()
        return {name: array.astype(model.dtype, copy=False) for name, array in stored}
    return {
        name: value.detach().cpu().numpy().astype(model.dtype, order="C")
        for name, value in weight_tensors(model.energy).items()
    }


def weight_tensors(energy: AllegroEnergy) -> dict[str, Tensor]:
    """List the weights of a network in torch; they share their memory with it."""
    terms = energy.terms.state_dict(prefix=TERMS)
    charges = {}
    if energy.charges is not None:
        charges = energy.charges.state_dict(prefix=CHARGES)
    return {**energy.network.state_dict(), **terms, **charges}


def digest(model: Model) -> str:
    """Hash what a model computes, as hexadecimal SHA-256: config, statistics, weights.

    It is that of the model, not of its file, whose header has more.
    """
    parts = recorded(model.config), dataclasses.asdict(model.statistics)
    text = json.dumps(parts, sort_keys=True)
    sha = hashlib.sha256(f"{model.kind} {model.dtype} {text}".encode())
    for name, array in sorted(weights(model).items()):
        sha.update(f" {name} {array.shape} ".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def check_shapes(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse weights of other names or shapes than the config asks for.

    Raises
    ------
    ValueError
    """
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"expected weights {name} of shape {expected.get(name)} from the "
                f"header, found {found.get(name)}"
            )


def _build(model: Model) -> AllegroEnergy:
    """Build the network in torch, in float64, with the stored weights."""
    try:
        import torch

        from .energy import AllegroEnergy
    except ImportError as error:
        raise ImportError(
            "the network of a model expects torch and e3nn, which cannot be imported "
            f"({error}){remedy(error)}, or simulate with backend='native', which needs "
            "neither"
        ) from error
    energy = AllegroEnergy(model.config, model.statistics)
    expected, stored = weight_tensors(energy), model.stored.weights
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    check_shapes(shapes, {name: array.shape for name, array in stored.items()})
    for name, value in expected.items():
        value.copy_(torch.from_numpy(np.array(stored[name])))
    return energy
