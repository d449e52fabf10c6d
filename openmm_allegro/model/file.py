# SPDX-License-Identifier: MIT
"""Model files: safetensors with a JSON header, so that reading one runs no code."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save

from ..utils.config import from_mapping
from ..utils.files import replace_file
from . import AllegroConfig, AllegroEnergy, Statistics
from .header import (
    BLANK,
    CHECKSUM,
    DTYPES,
    FORMAT,
    FORMAT_VERSION,
    KINDS,
    UNITS,
    check_checksum,
    read_description,
    read_header,
    tell_if_unchecked,
    with_checksum,
)
from .probe import check_energies
from .shapes import Shape, weight_shapes

__all__ = [
    "Model",
    "Origin",
    "digest",
    "load_model",
    "read_header",
    "save_model",
    "write_file",
]

_TERMS = "terms."  # begins the names of weights that further terms have


class Origin(NamedTuple):
    """File that a model was read from, with the hashes of that moment."""

    path: str
    sha256: str  # of the file
    digest: str  # ``digest`` of the model


@dataclass
class Model:
    """A network with all that its use needs, and how it was made.

    Parameters
    ----------
    config : AllegroConfig
    statistics : Statistics
    energy : AllegroEnergy
        The network; positions in Å, energies in eV.
    kind : str
        "total" for the whole energy, "delta" for a correction to a classical force
        field.
    dtype : str
        "float32" or "float64", the precision of the stored weights.
    provenance : dict
        How the model was made; JSON values only.
    origin : Origin, optional
        The file that it was read from.
    """

    config: AllegroConfig
    statistics: Statistics
    energy: AllegroEnergy
    kind: str = "total"
    dtype: str = "float32"
    provenance: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def num_weights(self) -> int:
        """Number of weights that training fits."""
        return sum(p.numel() for p in self.energy.parameters())


def save_model(model: Model, path: str | Path) -> Path:
    """Write a model file; an existing one is replaced in one step.

    Parameters
    ----------
    model : Model
    path : path
        Normally ``*.safetensors``.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If ``model.kind`` or ``model.dtype`` is unknown, or the provenance has NaN or
        infinity.
    """
    for name, known in (("kind", KINDS), ("dtype", tuple(DTYPES))):
        if getattr(model, name) not in known:
            raise ValueError(
                f"model file: expected {name} of {known}, found "
                f"{getattr(model, name)!r}"
            )
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "dtype": model.dtype,
        "units": UNITS,
        "config": dataclasses.asdict(model.config),
        "statistics": dataclasses.asdict(model.statistics),
        "provenance": model.provenance,
        CHECKSUM: BLANK,  # the last one, see header.with_checksum
    }
    dtype = getattr(torch, model.dtype)
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in _weights(model.energy).items()
    }
    path = Path(path)
    content = save(tensors, metadata={FORMAT: json.dumps(header, allow_nan=False)})
    write_file(path, with_checksum(content))
    return path


def digest(model: Model) -> str:
    """Hash what a model computes, as hexadecimal SHA-256: config, statistics, weights.

    It is that of the model, not of its file, whose header has more.
    """
    parts = (model.config, model.statistics)
    text = json.dumps([dataclasses.asdict(part) for part in parts], sort_keys=True)
    sha = hashlib.sha256(f"{model.kind} {model.dtype} {text}".encode())
    dtype = getattr(torch, model.dtype)
    for name, value in sorted(_weights(model.energy).items()):
        array = value.detach().to("cpu", dtype).contiguous().numpy()
        sha.update(f" {name} {array.shape} ".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a file and its folder; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Files of safetensors' own save_file can be read by their owner alone.
    replace_file(path, content)


def load_model(path: str | Path) -> Model:
    """Read a model file. The network comes in float64; see ``AllegroEnergy.set_dtype``.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model file, is truncated, comes from a newer version or
        does not hold the weights its header promises.
    """
    header, stored = read_description(path)
    check_checksum(path, header)
    dataclass_of = {"config": AllegroConfig, "statistics": Statistics}
    parts = {
        k: from_mapping(c, header[k], f"{path}: {k}") for k, c in dataclass_of.items()
    }
    config, statistics = parts["config"], parts["statistics"]
    # Before anything is built, which could take more memory than there is.
    try:
        shapes = weight_shapes(config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    of_terms = {name for name in stored if name.startswith(_TERMS)}
    of_network = {name: stored[name] for name in stored if name not in of_terms}
    _check_shapes(path, shapes, of_network, header["dtype"])
    energy = AllegroEnergy(config, statistics)
    expected = _weights(energy)
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    _check_shapes(path, shapes, stored, header["dtype"])
    _read_weights(path, expected)
    dtype = header["dtype"]
    try:
        check_energies(energy, config, getattr(torch, dtype))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    tell_if_unchecked(path, header)
    model = Model(
        config, statistics, energy, header["kind"], dtype, header["provenance"]
    )
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    model.origin = Origin(str(path), sha256, digest(model))
    return model


def _check_shapes(
    path: str | Path,
    expected: dict[str, Shape],
    stored: dict[str, tuple[str, Shape]],
    dtype: str,
) -> None:
    """Refuse weights of other names, shapes or precision than the header promises."""
    for name in sorted(set(expected) | set(stored)):
        kind, shape = stored.get(name, (None, None))
        if expected.get(name) != shape:
            raise ValueError(
                f"{path}: expected weights {name} of shape {expected.get(name)} from "
                f"the header, found {shape}"
            )
        if kind != DTYPES[dtype]:
            raise ValueError(
                f"{path}: expected weights {name} in {dtype} from the header, "
                f"found {kind}"
            )


def _read_weights(path: str | Path, expected: dict[str, torch.Tensor]) -> None:
    """Fill tensors with the stored ones of the same names."""
    with safe_open(path, framework="pt") as file:
        for name, value in expected.items():
            weights = file.get_tensor(name)
            if not torch.isfinite(weights).all():
                raise ValueError(
                    f"{path}: expected finite weights, found NaN or infinity in {name}"
                )
            value.copy_(weights)


def _weights(energy: AllegroEnergy) -> dict[str, torch.Tensor]:
    """List what training fits: the network's weights, and those of further terms.

    They share their memory with the model.
    """
    terms = energy.terms.state_dict(prefix=_TERMS)
    return {**energy.network.state_dict(), **terms}
